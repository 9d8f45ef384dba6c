# SPDX-License-Identifier: Apache-2.0
"""What could be declared, and would not be kept: refused until bridges do it.

A policy that is taken in and not enforced is worse than one that is refused.
"""

from __future__ import annotations

from collections.abc import Iterator

from vneter_sdn.admission.draft import Draft
from vneter_sdn.errors import Problem
from vneter_sdn.model.kinds import TenantSpec
from vneter_sdn.model.snapshot import Object


def policies_are_not_enforced(stored: Object, _: Draft) -> Iterator[Problem]:
    """No bridge asks policies yet. O(1)."""
    text = "is not enforced by this version, which knows tenants and networks only; remove it"
    if not isinstance(stored.spec, TenantSpec):
        yield Problem(str(stored.key), "kind", "NotEnforced", f"a {stored.key.kind} {text}")
        return
    for field, value in (
        ("defaultIngress", stored.spec.default_ingress),
        ("defaultEgress", stored.spec.default_egress),
    ):
        if value != "allow":
            yield Problem(str(stored.key), f"spec.{field}", "NotEnforced", f"{value} {text}")
