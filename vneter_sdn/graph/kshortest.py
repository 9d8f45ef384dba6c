# SPDX-License-Identifier: Apache-2.0
"""Paths from the best on, one after the other, as many as are asked for.

Yen ("Finding the K Shortest Loopless Paths in a Network", Management Science 17, 1971) with
Lawler's partition ("A Procedure for Computing the K Best Solutions…", 1972): the paths not yet
given are split into sets by where they first leave those given, so none comes twice. A set is
searched only when the least that its best path could weigh is next, which spares most searches.
Works by edge, so parallel edges are different paths; limits and way points hold for each path.

k paths of at most L hops take at most k·L searches of `constrained.best`: O(k L E log V) without
limits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from heapq import heappop, heappush

from vneter_sdn.graph.constrained import Effort, Found, Trip, best
from vneter_sdn.graph.terrain import UNREACHABLE, Terrain


@dataclass(frozen=True, slots=True)
class _Branch:
    """The paths that begin with a root and then take none of some edges."""

    root: tuple[int, ...]
    without: frozenset[int]


_Entry = tuple[int, tuple[int, ...], int, _Branch]
"""What it weighs at least, edges, whether it is a path (1) or a set yet to be searched (0)."""


def paths(terrain: Terrain, trip: Trip, effort: Effort) -> Iterator[Found]:
    """Every loopless path of a trip within the limits, in order of (weight, edges), lazily.

    Ends early when the effort is spent.
    """
    queue: list[_Entry] = [(0, (), 0, _Branch((), frozenset()))]
    while queue:
        weight, edges, is_path, branch = heappop(queue)
        if is_path:
            yield weight, edges
            for deeper in _branches(branch, edges):
                _push(queue, terrain, trip, deeper)
            continue
        found = _search(terrain, trip, branch, effort)
        if found is not None:
            heappush(queue, (*found, 1, branch))
        if effort.spent:
            return


def _branches(branch: _Branch, edges: tuple[int, ...]) -> Iterator[_Branch]:
    """What is left of a branch without its best path: by where others leave that."""
    first = len(branch.root)
    yield _Branch(branch.root, branch.without | {edges[first]})
    for at in range(first + 1, len(edges)):
        yield _Branch(edges[:at], frozenset({edges[at]}))


def _push(queue: list[_Entry], terrain: Terrain, trip: Trip, branch: _Branch) -> None:
    """Queue a branch by the least its paths can weigh, if it has any."""
    host = terrain.head[branch.root[-1]] if branch.root else trip.source
    distances = terrain.distances(trip.target)[0]
    onward = (
        terrain.weight[number] + distances[terrain.head[number]]
        for number in terrain.out[host]
        if number not in branch.without
    )
    least = terrain.length(branch.root) + min(onward, default=UNREACHABLE)
    if least < UNREACHABLE:
        heappush(queue, (least, branch.root, 0, branch))


def _search(terrain: Terrain, trip: Trip, branch: _Branch, effort: Effort) -> Found | None:
    """The best path of a branch."""
    if not branch.root:
        return best(terrain, trip.without(branch.without), effort)
    passed = (trip.source, *(terrain.head[number] for number in branch.root))
    spur = replace(
        trip,
        source=passed[-1],
        stops=tuple(stop for stop in trip.stops if stop not in passed),
        hosts=trip.hosts.union(passed[:-1]),
        edges=trip.edges | branch.without,
        used=tuple(sum(adds[number] for number in branch.root) for adds in terrain.spends),
    )
    found = best(terrain, spur, effort)
    if found is None:
        return None
    return found[0] + terrain.length(branch.root), (*branch.root, *found[1])
