# SPDX-License-Identifier: Apache-2.0
"""The best loopless path under limits, by way of hosts in a given order.

Label setting for the resource-constrained shortest path problem (Desrochers and Soumis, "A
Generalized Permanent Labelling Algorithm for the Shortest Path Problem with Time Windows", INFOR
26, 1988; Irnich and Desaulniers, "Shortest Path Problems with Resource Constraints", 2005), guided
as in A* (Hart, Nilsson, Raphael, 1968) by the exact distances without limits, which also prune what
cannot stay within the limits any more. Way points make a state of how many were passed; a path that
passes a host twice because of them is forbidden by remembering that host, and the search repeated:
decremental state space relaxation (Righini and Salani, Networks 51, 2008).

Without limits and way points O(E log V) at most, and mostly little more than the path itself. With
them NP-hard (Garey and Johnson, ND30): exponential in the worst case, so `Effort` bounds it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush

from vneter_sdn.graph.terrain import UNREACHABLE, Distances, Terrain

Found = tuple[int, tuple[int, ...]]
"""A path: its weight and its edges, by number. The lesser is the better, and sorts first."""
_Used = tuple[int, ...]
_Label = tuple[int, tuple[int, ...], int, int, int, _Used, int]
"""Least weight of the whole, edges so far, host, stops passed, weight and quantities so far, and
which critical hosts it passed, as bits."""


@dataclass(slots=True)
class Effort:
    """How much may be searched, in labels: about 3 µs each."""

    left: int = 1_000_000

    @property
    def spent(self) -> bool:
        """Whether a search ended for lack of effort, so that its answer proves nothing."""
        return self.left <= 0


@dataclass(frozen=True, slots=True)
class Trip:
    """Where a path has to go, and what it may not use."""

    source: int
    target: int
    stops: tuple[int, ...] = ()
    """Hosts to pass in this order: neither end, none twice."""
    hosts: frozenset[int] = frozenset()
    """Hosts that it may not pass."""
    edges: frozenset[int] = frozenset()
    """Edges that it may not use."""
    used: _Used | None = None
    """Of each limited quantity, what was used before the source; nothing when None."""

    def without(self, edges: Collection[int]) -> Trip:
        """The same, avoiding these edges as well."""
        return replace(self, edges=self.edges.union(edges))


def best(terrain: Terrain, trip: Trip, effort: Effort) -> Found | None:
    """The best path of a trip within the limits; None when there is none, or the effort is spent.

    Of paths that weigh the same, the one whose edges sort first.
    """
    search = _Search(terrain, trip, effort)
    while True:
        found = search.run()
        if found is None:
            return None
        again = search.repeated(found[1])
        if not again:
            return found
        search.critical |= again


@dataclass(slots=True)
class _Search:
    terrain: Terrain
    trip: Trip
    effort: Effort
    critical: set[int] = field(default_factory=set)
    """Hosts that labels remember having passed."""

    def run(self) -> Found | None:
        """The best path that passes no critical host twice."""
        terrain, trip = self.terrain, self.trip
        bounds = self._bounds()
        stops, last = (*trip.stops, trip.target), len(trip.stops)
        start = trip.used or (0,) * len(terrain.most)
        passed = 1 << trip.source if trip.source in self.critical else 0
        queue: list[_Label] = [(bounds[0][0][trip.source], (), trip.source, 0, 0, start, passed)]
        settled: dict[tuple[int, int], list[tuple[_Used, int]]] = {}
        head, weight, later = terrain.head, terrain.weight, self._later()
        while queue and queue[0][0] < UNREACHABLE:
            _, edges, host, stage, far, used, passed = heappop(queue)
            self.effort.left -= 1
            if host == trip.target and edges:
                return far, edges
            if self.effort.spent or _dominated(settled, (host, stage), used, passed):
                if self.effort.spent:
                    return None
                continue
            for number in terrain.out[host]:
                beyond = head[number]
                if number in trip.edges or beyond in later[stage] or passed >> beyond & 1:
                    continue
                at = stage + 1 if stage < last and beyond == stops[stage] else stage
                spent = self._spent(number, used, bounds[at])
                if spent is None:
                    continue
                through = far + weight[number]
                mark = passed | (1 << beyond) if beyond in self.critical else passed
                least = through + bounds[at][0][beyond]
                heappush(queue, (least, (*edges, number), beyond, at, through, spent, mark))
        return None

    def repeated(self, edges: tuple[int, ...]) -> set[int]:
        """Hosts that a path passes more than once."""
        seen, twice = {self.trip.source}, set[int]()
        for number in edges:
            host = self.terrain.head[number]
            (twice if host in seen else seen).add(host)
        return twice

    def _later(self) -> list[frozenset[int]]:
        """By how many stops were passed, the hosts that may not be passed next."""
        trip = self.trip
        never = self.trip.hosts | {trip.source} | (self.terrain.barred - {trip.target})
        ahead = (*trip.stops, trip.target)
        return [never.union(ahead[stage + 1 :], ahead[:stage]) for stage in range(len(ahead))]

    def _bounds(self) -> list[Distances]:
        """By how many stops were passed, least weight and quantities from each host to the end."""
        rest = self.terrain.distances(self.trip.target)
        found = [rest]
        for stop in reversed(self.trip.stops):
            near = self.terrain.distances(stop)
            beyond = [column[stop] for column in found[0]]
            found.insert(
                0,
                tuple(
                    [min(UNREACHABLE, far + more) for far in column]
                    for column, more in zip(near, beyond, strict=True)
                ),
            )
        return found

    def _spent(self, number: int, used: _Used, bounds: Distances) -> _Used | None:
        """What is used after an edge; None when the limits cannot be kept from there."""
        if not used:
            return used
        terrain = self.terrain
        beyond = terrain.head[number]
        spent = tuple(had + adds[number] for had, adds in zip(used, terrain.spends, strict=True))
        for total, most, ahead in zip(spent, terrain.most, bounds[1:], strict=True):
            if total + ahead[beyond] > most:
                return None
        return spent


def _dominated(
    settled: dict[tuple[int, int], list[tuple[_Used, int]]],
    state: tuple[int, int],
    used: _Used,
    passed: int,
) -> bool:
    """Whether one that came here before is no worse in anything; if not, note this one.

    Labels come in order of weight, so the earlier never weighs more.
    """
    before = settled.setdefault(state, [])
    for other, marks in before:
        if marks & passed == marks and all(a <= b for a, b in zip(other, used, strict=True)):
            return True
    before.append((used, passed))
    return False
