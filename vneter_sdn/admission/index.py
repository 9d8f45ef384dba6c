# SPDX-License-Identifier: Apache-2.0
"""Reverse lookups over a snapshot, so that admitting one object among many costs O(log n).

`Index` is the frozen value that travels with a snapshot (`IndexedSnapshot`); `Lookup` reads it,
together with changes not yet frozen. Facts come from `vneter_sdn.admission.facts`; besides them,
``open`` blocks (those that may have a free address), ``pending`` owners (those that lack something)
and the cursors of pools (no value below is free) are kept here, as hints for `allocation`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from vneter_sdn.admission.facts import Fact, allocation_facts, object_facts
from vneter_sdn.admission.trie import GONE, PersistentMap
from vneter_sdn.model.snapshot import Snapshot

Members = PersistentMap[Any, Any]
_NONE: Members = PersistentMap()


@dataclass(frozen=True, slots=True)
class Index:
    """Facts by (relation, about), and cursors by pool."""

    relations: Mapping[str, PersistentMap[Any, Members]] = field(default_factory=dict)
    cursors: Members = field(default_factory=PersistentMap)


@dataclass(frozen=True, slots=True)
class IndexedSnapshot(Snapshot):
    """A snapshot that brings its index along; what stores hand out."""

    index: Index = field(default_factory=Index, repr=False, compare=False)


class Lookup:
    """Reads an index and collects changes to it; not shared between threads."""

    __slots__ = ("_base", "_cursors", "_over")

    def __init__(self, base: Index) -> None:
        self._base = base
        self._over: dict[str, dict[Any, dict[Any, Any]]] = {}
        self._cursors: dict[Any, Any] = {}

    def members(self, relation: str, about: Any) -> Iterator[tuple[Any, Any]]:
        """Every (member, payload) of a relation about something; each step is O(1)."""
        over = self._over.get(relation, {}).get(about, {})
        base: Members = self._base.relations.get(relation, _NONE).get(about, _NONE)
        for member in base:
            if member not in over:
                yield member, base[member]
        yield from ((member, value) for member, value in over.items() if value is not GONE)

    def has(self, relation: str, about: Any) -> bool:
        """Whether a relation has any member about something."""
        return next(self.members(relation, about), None) is not None

    def others(self, relation: str, about: Any, key: Any) -> list[Any]:
        """The members of a relation other than ``key``, sorted."""
        return sorted(member for member, _ in self.members(relation, about) if member != key)

    def count(self, relation: str, about: Any) -> int:
        """How many members a relation has about something; O(changes)."""
        base: Members = self._base.relations.get(relation, _NONE).get(about, _NONE)
        over = self._over.get(relation, {}).get(about, {})
        changed = sum((value is not GONE) - (member in base) for member, value in over.items())
        return len(base) + changed

    def abouts(self, relation: str) -> list[Any]:
        """Everything a relation has members about; O(distinct values)."""
        seen = dict.fromkeys(self._base.relations.get(relation, _NONE))
        seen.update(dict.fromkeys(self._over.get(relation, {})))
        return [about for about in seen if self.has(relation, about)]

    def add(self, facts: Iterable[Fact]) -> None:
        """Enter facts."""
        for relation, about, member, payload in facts:
            self._over.setdefault(relation, {}).setdefault(about, {})[member] = payload

    def remove(self, facts: Iterable[Fact]) -> None:
        """Take facts out."""
        for relation, about, member, _ in facts:
            self._over.setdefault(relation, {}).setdefault(about, {})[member] = GONE

    def cursor(self, pool: Any, lowest: int) -> int:
        """The lowest value of a pool that may be free."""
        found = self._cursors.get(pool)
        if found is None:
            found = self._base.cursors.get(pool, lowest)
        return lowest if found is GONE else max(int(found), lowest)

    def move(self, pool: Any, value: int) -> None:
        """Set the cursor of a pool; 0 forgets it."""
        self._cursors[pool] = value or GONE

    def frozen(self) -> Index:
        """The index with every change made so far."""
        relations = dict(self._base.relations)
        for relation, abouts in self._over.items():
            base = relations.get(relation, _NONE)
            changes: dict[Any, Any] = {}
            for about, over in abouts.items():
                members = base.get(about, _NONE).updated(over)
                changes[about] = members or GONE
            relations[relation] = base.updated(changes)
        return Index(relations, self._base.cursors.updated(self._cursors))


def index_of(snapshot: Snapshot) -> Index:
    """The index of a snapshot: the one it brings along, or a new one in O(n)."""
    if isinstance(snapshot, IndexedSnapshot):
        return snapshot.index
    lookup = Lookup(Index())
    for stored in snapshot.objects.values():
        lookup.add(object_facts(stored))
    for held in snapshot.allocations.values():
        lookup.add(allocation_facts(held))
    return lookup.frozen()
