# SPDX-License-Identifier: Apache-2.0
"""Which tenants a grant means. Pure.

What is granted in a tenant is granted in that one, by its uid. One that is deleted and made again
is another one, of other people perhaps: for whom it was granted in the first has nothing in it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from vneter_sdn.errors import IntentError, Problem
from vneter_sdn.model.snapshot import Key, Object, Snapshot
from vneter_sdn.northbound.access.identity import EVERY, Grant


def bound(grant: Grant, snapshot: Snapshot) -> Grant:
    """A grant in the tenants that there are now.

    Raises:
        IntentError: one of them is not there.
    """
    found = {name: tenant_of(snapshot, name) for name in grant.tenants - {EVERY}}
    absent = sorted(name for name, tenant in found.items() if tenant is None)
    if absent:
        message = f"there is no tenant {', '.join(absent[:10])}; make it first"
        raise IntentError(Problem("credential", "tenants", "NotFound", message))
    uids = ((name, tenant.uid) for name, tenant in found.items() if tenant is not None)
    return replace(grant, uids=frozenset(uids))


def gone(grant: Grant, snapshot: Snapshot) -> tuple[str, ...]:
    """The tenants of a grant that were deleted since it was given, by name."""
    there = ((name, uid, tenant_of(snapshot, name)) for name, uid in sorted(grant.uids))
    return tuple(name for name, uid, tenant in there if tenant is None or tenant.uid != uid)


def living(grants: Iterable[Grant], snapshot: Snapshot) -> tuple[Grant, ...]:
    """What is left of grants, without tenants that were deleted since."""
    found = []
    for grant in grants:
        left = grant.tenants - frozenset(gone(grant, snapshot))
        if left:
            found.append(grant if left == grant.tenants else replace(grant, tenants=left))
    return tuple(found)


def tenant_of(snapshot: Snapshot, name: str) -> Object | None:
    """A tenant."""
    return snapshot.objects.get(Key("Tenant", "", name))
