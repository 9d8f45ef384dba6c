# SPDX-License-Identifier: Apache-2.0
"""What somebody may see of a snapshot. Pure.

A view has the objects of some tenants, and what was allocated to, bound for and reported of them.
The status of each is still worked out from everything there is: an endpoint is where it is, whether
or not one may see that host.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from vneter_sdn.admission.facts import owner_key
from vneter_sdn.admission.index import IndexedSnapshot
from vneter_sdn.model.snapshot import Key, Snapshot

Sees = Callable[[Key], bool]


@dataclass(frozen=True, slots=True)
class View(IndexedSnapshot):
    """Part of a snapshot; its index is that of the whole."""

    whole: Snapshot = field(default_factory=Snapshot, repr=False, compare=False)


def view(snapshot: Snapshot, sees: Sees) -> View:
    """What of a snapshot is about keys that one may see. O(snapshot)."""
    kept = {key: stored for key, stored in snapshot.objects.items() if sees(key)}
    return View(
        revision=snapshot.revision,
        objects=kept,
        allocations={
            place: one
            for place, one in snapshot.allocations.items()
            if (owner := owner_key(one.owner)) is not None and sees(owner)
        },
        bindings={key: one for key, one in snapshot.bindings.items() if sees(key)},
        statuses={key: one for key, one in snapshot.statuses.items() if sees(key)},
        index=snapshot.index if isinstance(snapshot, IndexedSnapshot) else View().index,
        whole=snapshot.whole if isinstance(snapshot, View) else snapshot,
    )
