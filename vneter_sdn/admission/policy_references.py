# SPDX-License-Identifier: Apache-2.0
"""What policies, and what belongs to them, refer to: (field, key) pairs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from vneter_sdn.model.policy_kinds import (
    AssertionSpec,
    ClusterPolicySpec,
    GroupSpec,
    NamespaceSpec,
    PolicySpec,
    Who,
)
from vneter_sdn.model.snapshot import Key
from vneter_sdn.policy.tiers import BUILT_IN

Reference = tuple[str, Key]


def policy_references(key: Key, spec: Any) -> Iterator[Reference]:
    """References of these kinds; nothing for any other."""
    if isinstance(spec, NamespaceSpec | GroupSpec | PolicySpec) and key.tenant:
        yield "metadata.tenant", Key("Tenant", "", key.tenant)
    if isinstance(spec, GroupSpec):
        yield from _groups("spec.members", spec.members, (key.tenant,))
    elif isinstance(spec, PolicySpec):
        yield from _of_policy(key, spec)
    elif isinstance(spec, AssertionSpec):
        yield from _of_assertion(spec)


def _of_policy(key: Key, spec: PolicySpec) -> Iterator[Reference]:
    if spec.tier not in BUILT_IN:
        yield "spec.tier", Key("Tier", "", spec.tier)
    tenants: tuple[str, ...] = (key.tenant,)
    if isinstance(spec, ClusterPolicySpec):
        tenants = spec.tenants
        for position, name in enumerate(tenants):
            yield f"spec.tenants[{position}]", Key("Tenant", "", name)
    yield from _groups("spec.appliesTo", spec.applies_to, tenants)
    for direction, rules in (("ingress", spec.ingress), ("egress", spec.egress)):
        for number, rule in enumerate(rules):
            path = f"spec.{direction}[{number}]"
            yield from _groups(f"{path}.appliesTo", rule.applies_to or (), tenants)
            yield from _groups(f"{path}.peers", rule.peers or (), tenants)


def _groups(path: str, whom: Iterable[Who], tenants: Iterable[str]) -> Iterator[Reference]:
    for position, who in enumerate(whom):
        if who.group is not None:
            for tenant in tenants:
                yield f"{path}[{position}].group", Key("Group", tenant, who.group)


def _of_assertion(spec: AssertionSpec) -> Iterator[Reference]:
    for field, end in (("source", spec.source), ("target", spec.target)):
        if end.tenant is not None:
            yield f"spec.{field}.tenant", Key("Tenant", "", end.tenant)
    for position, name in enumerate(spec.waypoints):
        yield f"spec.waypoints[{position}]", Key("Host", "", name)
