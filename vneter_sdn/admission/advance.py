# SPDX-License-Identifier: Apache-2.0
"""The next snapshot: an admission carried out, or rows that somebody else wrote taken in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from vneter_sdn.admission.admit import Admission
from vneter_sdn.admission.allocation import lower_cursors, note_pending
from vneter_sdn.admission.draft import Draft
from vneter_sdn.admission.facts import owner_key
from vneter_sdn.admission.index import Index, IndexedSnapshot
from vneter_sdn.admission.trie import GONE, PersistentMap
from vneter_sdn.model.pace import Breathe, on_and_on, paced
from vneter_sdn.model.snapshot import Allocation, Binding, Delta, Key, Object, Snapshot, Status

K = TypeVar("K")
V = TypeVar("V")
Step = tuple[IndexedSnapshot, Delta]


def carried_out(snapshot: Snapshot, admission: Admission) -> Step:
    """The snapshot after an admission, one revision later; what deleted objects left is dropped."""
    deleted = admission.deleted
    bindings = {key: None for key in deleted if key in snapshot.bindings}
    statuses = {key: None for key in deleted if key in snapshot.statuses}
    after = IndexedSnapshot(
        revision=snapshot.revision + (not admission.empty),
        objects=merged(snapshot.objects, admission.objects),
        allocations=merged(snapshot.allocations, admission.allocations),
        bindings=merged(snapshot.bindings, bindings),
        statuses=merged(snapshot.statuses, statuses),
        index=admission.index,
    )
    return after, Delta(
        objects=frozenset(admission.objects),
        allocations=frozenset(admission.allocations),
        bindings=frozenset(bindings),
        statuses=frozenset(statuses),
    )


def taken_in(
    snapshot: Snapshot,
    revision: int,
    objects: Mapping[Key, Object | None],
    allocations: Mapping[tuple[str, str], Allocation | None],
    breathe: Breathe = on_and_on,
) -> IndexedSnapshot:
    """The snapshot after rows were written elsewhere; None is a removed row. O(rows · log n)."""
    index = _reindexed(snapshot, objects, allocations, breathe)
    return IndexedSnapshot(
        revision=revision,
        objects=merged(snapshot.objects, objects),
        allocations=merged(snapshot.allocations, allocations),
        bindings=snapshot.bindings,
        statuses=snapshot.statuses,
        index=index,
    )


def _reindexed(
    snapshot: Snapshot,
    objects: Mapping[Key, Object | None],
    allocations: Mapping[tuple[str, str], Allocation | None],
    breathe: Breathe,
) -> Index:
    draft = Draft(snapshot, 0.0)
    concerned = dict.fromkeys(objects)
    for key, stored in paced(objects.items(), breathe):
        before = draft.object(key)
        draft.put(key, stored)
        if key.kind == "Network" and before and stored and before.spec != stored.spec:
            concerned.update(dict.fromkeys(draft.lookup.others("refers", key, None)))
    for (pool, value), held in paced(allocations.items(), breathe):
        for row in (held, draft.allocation(pool, value)):
            owner = owner_key(row.owner) if row else None
            if owner is not None:
                concerned[owner] = None
        if held is None:
            draft.forget(pool, value)
        else:
            draft.keep(held)
    lower_cursors(draft, [place for place, held in allocations.items() if held is None])
    for key in paced(concerned, breathe):
        note_pending(draft, key)
    return draft.lookup.frozen()


def with_colours(
    snapshot: Snapshot, changes: Mapping[tuple[str, str], Allocation]
) -> tuple[IndexedSnapshot, Delta]:
    """The snapshot after routes were coloured or released, at the same revision."""
    after = taken_in(snapshot, snapshot.revision, {}, changes)
    return after, Delta(allocations=frozenset(changes))


def with_reports(
    snapshot: IndexedSnapshot,
    bindings: Mapping[Key, Binding | None],
    statuses: Mapping[Key, Status | None],
) -> IndexedSnapshot:
    """The snapshot with bindings and statuses written; None removes one."""
    return IndexedSnapshot(
        revision=snapshot.revision,
        objects=snapshot.objects,
        allocations=snapshot.allocations,
        bindings=merged(snapshot.bindings, bindings),
        statuses=merged(snapshot.statuses, statuses),
        index=snapshot.index,
    )


def merged(before: Mapping[K, V], changes: Mapping[K, Any]) -> Mapping[K, V]:
    """The mapping with values set, or removed where None; the same mapping without changes."""
    if not changes:
        return before
    base = before if isinstance(before, PersistentMap) else PersistentMap(before)
    return base.updated({k: GONE if value is None else value for k, value in changes.items()})
