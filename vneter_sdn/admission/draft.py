# SPDX-License-Identifier: Apache-2.0
"""One admission in the making: a snapshot, the changes made to it so far, and its index."""

from __future__ import annotations

from collections.abc import Mapping

from vneter_sdn.admission.facts import allocation_facts, object_facts, owner_key
from vneter_sdn.admission.index import Lookup, index_of
from vneter_sdn.model.kinds import NetworkSpec
from vneter_sdn.model.snapshot import Allocation, Key, Object, Pools, Snapshot

NUMBER_DELAY = 60.0
"""Seconds a released tenant id, VNI, bridge id, slot, policy number or MAC address rests."""
COLOUR_DELAY = 120.0
"""Seconds for which a route that is no longer wanted keeps its colour, and its flows."""


class Draft:
    """Reads see the changes; the snapshot itself is never touched. For one thread."""

    __slots__ = (
        "_last",
        "allocations",
        "broken",
        "lookup",
        "now",
        "objects",
        "prefer",
        "snapshot",
    )

    def __init__(self, snapshot: Snapshot, now: float) -> None:
        self.snapshot = snapshot
        self.now = now
        self.lookup = Lookup(index_of(snapshot))
        self.objects: dict[Key, Object | None] = {}
        """Changed objects; None is deleted."""
        self.allocations: dict[tuple[str, str], Allocation | None] = {}
        """Changed allocations; None is forgotten."""
        self.broken: set[Key] = set()
        """Objects of the batch that could not be read; references to them are not faulted."""
        self.prefer: Mapping[Key, Mapping[str, str]] = {}
        """Values that objects get of pools where they are free, rather than any."""
        self._last: dict[tuple[str, ...], Key | None] = {}

    def object(self, key: Key) -> Object | None:
        """The object as it will be."""
        if key in self.objects:
            return self.objects[key]
        return self.snapshot.objects.get(key)

    def network(self, key: Key) -> NetworkSpec | None:
        """The spec of a network as it will be."""
        stored = self.object(key)
        return stored.spec if stored and isinstance(stored.spec, NetworkSpec) else None

    def put(self, key: Key, stored: Object | None) -> None:
        """Write or delete an object."""
        before = self.object(key)
        if before is not None:
            self.lookup.remove(object_facts(before))
        if stored is not None:
            self.lookup.add(object_facts(stored))
        self.objects[key] = stored
        self._last.clear()

    def last(self, *kinds: str) -> Key | None:
        """The last changed object of some kinds, by key: who speaks for all of them, once."""
        if kinds not in self._last:
            changed = (key for key, stored in self.objects.items() if stored and key.kind in kinds)
            self._last[kinds] = max(changed, default=None)
        return self._last[kinds]

    def allocation(self, pool: str, value: str) -> Allocation | None:
        """The allocation of a value as it will be."""
        if (pool, value) in self.allocations:
            return self.allocations[pool, value]
        return self.snapshot.allocations.get((pool, value))

    def keep(self, held: Allocation) -> None:
        """Write an allocation."""
        self._drop_facts(held.pool, held.value)
        self.lookup.add(allocation_facts(held))
        self.allocations[held.pool, held.value] = held

    def forget(self, pool: str, value: str) -> None:
        """Remove an allocation."""
        self._drop_facts(pool, value)
        self.allocations[pool, value] = None

    def _drop_facts(self, pool: str, value: str) -> None:
        before = self.allocation(pool, value)
        if before is not None:
            self.lookup.remove(allocation_facts(before))

    def owner(self, pool: str, value: str) -> Key | None:
        """Who owns a value now; None when it is free, rests, or belongs to no object."""
        held = self.allocation(pool, value)
        return owner_key(held.owner) if held and held.released is None else None

    def delay(self, pool: str) -> float:
        """Seconds for which released values of a pool rest."""
        kind, *path = pool.split("/", 3)
        if kind in ("address", "mac"):
            network = self.network(Key("Network", path[0], path[1]))
            # Who is learned brings its MAC along, wherever it goes.
            if network is not None and (kind == "address" or network.learning):
                return float(network.reuse_delay_seconds)
        return COLOUR_DELAY if pool == Pools.PATH else NUMBER_DELAY

    def rested(self, held: Allocation) -> bool:
        """Whether a released value may be given to somebody else."""
        if held.released is None:
            return False
        delay = self.delay(held.pool)  # times are rounded up: none is not "a moment ago"
        return not delay or self.now >= held.released + delay

    def free(self, pool: str, value: str, owner: str = "") -> bool:
        """Whether a value has no owner and does not rest; an owner's own may rest."""
        held = self.allocation(pool, value)
        if held is None:
            return True
        return held.released is not None and (held.owner == owner or self.rested(held))
