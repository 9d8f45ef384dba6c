# SPDX-License-Identifier: Apache-2.0
"""The disjoint pair of least total weight, where that is hard: risk groups, limits, way points.

Whether two paths exist that share no risk group is NP-complete (Hu, "Diverse routing in optical
mesh networks", IEEE Trans. Comm. 51, 2003), and so is whether two disjoint paths both stay within a
limit (Li, McCormick, Simchi-Levi, 1990). This is a branch and bound by conflict sets, in the manner
of Xie et al. ("Divide and conquer for fast SRLG disjoint routing", DSN 2018) but for the least sum.

What a path has that another may not share are its *units*: links, hosts between, risk groups. Take
the best path p within what is still allowed. If what avoids a set C of its units cannot make a
better pair with p than the best one known, then no path that has all of C is in a better pair: one
of C must be avoided, which are the branches. C is made as small as it gets by leaving units out one
by one. Branches come in order of what p weighs; once two of the next p weigh no less than the best
pair, that pair is proven best. Exact, and says "none" only when there is none, as long as the
effort is not spent; exponential in the worst case.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Literal

from vneter_sdn.graph.constrained import Effort, Found, Trip, best
from vneter_sdn.graph.terrain import UNREACHABLE, Terrain, link_of
from vneter_sdn.graph.topology import Edge

Kind = Literal["link", "node", "risk"]
Unit = tuple[str, str]
"""What may not be shared: (``link``, name), (``node``, host) or (``risk``, group)."""
Pair = tuple[Found, Found]
_WORDS = {"link": "link", "node": "host", "risk": "risk group"}


class Units:
    """Who has which units of a terrain."""

    def __init__(self, terrain: Terrain, kind: Kind) -> None:
        self._terrain, self._kind = terrain, kind

    def _own(self, edge: Edge) -> list[Unit]:
        found = [("link", link_of(edge))]
        if self._kind == "risk":
            found += [("risk", risk) for risk in edge.risks]
        return found

    def of(self, edges: Collection[int], trip: Trip) -> tuple[Unit, ...]:
        """The units of a path, sorted; way points are its own affair, every path passes them."""
        found = {unit for number in edges for unit in self._own(self._terrain.edges[number])}
        if self._kind == "node":
            heads = {self._terrain.head[number] for number in edges}
            between = heads - {trip.target, *trip.stops}
            found |= {("node", self._terrain.hosts[host]) for host in between}
        return tuple(sorted(found))

    def told(self, units: Collection[Unit], edges: Collection[int]) -> list[str]:
        """Units of a path for people, links by their names in its direction."""
        along = {
            own: e.name for n in edges for e in [self._terrain.edges[n]] for own in self._own(e)
        }
        return [
            f"{_WORDS[kind]} {along[kind, name] if kind == 'link' else name}"
            for kind, name in units
        ]

    def edges(self, units: Collection[Unit]) -> set[int]:
        """The edges that have any of these units."""
        found: set[int] = set()
        for kind, name in units:
            if kind == "node":
                found.update(self._terrain.into[self._terrain.number[name]])
            else:
                having = self._terrain.links if kind == "link" else self._terrain.risks
                found.update(having[name])
        return found


def beside(
    terrain: Terrain, trip: Trip, paths: Collection[Found], units: Units, effort: Effort
) -> Found | None:
    """The best path that shares no unit with any of some paths."""
    taken = {unit for _, edges in paths for unit in units.of(edges, trip)}
    return best(terrain, trip.without(units.edges(taken)), effort)


def pair(terrain: Terrain, trip: Trip, units: Units, effort: Effort) -> Pair | None:
    """The disjoint pair of the least total weight, the better path first; None without any.

    When the effort is spent, the best pair seen so far, or None: `Effort.spent` then tells that
    this proves nothing.
    """
    return _Branching(terrain, trip, units, effort).run()


@dataclass(slots=True)
class _Branching:
    terrain: Terrain
    trip: Trip
    units: Units
    effort: Effort
    found: Pair | None = None
    total: int = UNREACHABLE

    def run(self) -> Pair | None:
        """Look until the next branch cannot hold a better pair."""
        queue: list[tuple[int, tuple[int, ...], tuple[Unit, ...]]] = []
        seen = {frozenset[Unit]()}
        self._queue(queue, frozenset())
        while queue and not self.effort.spent:
            weight, edges, avoided = heappop(queue)
            if 2 * weight >= self.total:
                break
            self._match((weight, edges))
            for unit in self._conflict((weight, edges)):
                deeper = frozenset((*avoided, unit))
                if deeper not in seen:
                    seen.add(deeper)
                    self._queue(queue, deeper)
        return self.found

    def _queue(
        self, queue: list[tuple[int, tuple[int, ...], tuple[Unit, ...]]], avoided: frozenset[Unit]
    ) -> None:
        found = self._avoiding(avoided)
        if found is not None and 2 * found[0] < self.total:
            heappush(queue, (*found, tuple(sorted(avoided))))

    def _avoiding(self, units: Collection[Unit]) -> Found | None:
        return best(self.terrain, self.trip.without(self.units.edges(units)), self.effort)

    def _match(self, one: Found) -> None:
        """Note the best pair that a path is part of."""
        other = self._avoiding(self.units.of(one[1], self.trip))
        if other is not None and one[0] + other[0] < self.total:
            self.found = (min(one, other), max(one, other))
            self.total = one[0] + other[0]

    def _conflict(self, one: Found) -> tuple[Unit, ...]:
        """Some of a path's units such that what avoids them makes no better pair with it."""
        kept = list(self.units.of(one[1], self.trip))
        for unit in tuple(kept):
            if self.effort.spent:
                break
            fewer = [other for other in kept if other != unit]
            rival = self._avoiding(fewer)
            if rival is None or one[0] + rival[0] >= self.total:
                kept = fewer
        return tuple(kept)
