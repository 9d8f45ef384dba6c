# SPDX-License-Identifier: Apache-2.0
"""As many mutually disjoint paths as wanted, of the least total weight.

Suurballe ("Disjoint paths in a network", Networks 4, 1974) as Suurballe and Tarjan (Networks 14,
1984) and Bhandari ("Survivable Networks", 1999) have it: a flow of one unit for each path, made
larger by one along a shortest augmenting path at a time, with potentials that keep the residual
weights from being negative. A flow of the least weight holds no cycle, hence uses a link in one
direction at most and splits into loopless paths. For paths that share no host, each host is split
in two with a single unit between. O(n E log V) for n paths; exact, the number as well as the sum.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from heapq import heappop, heappush

from vneter_sdn.graph.constrained import Found
from vneter_sdn.graph.terrain import UNREACHABLE, Terrain

_INSIDE = -1
"""Stands for the way through a host, where an edge is expected."""
_Step = tuple[int, int, int]
"""A way on in the residual network: to which node, by which edge, at which weight."""


def disjoint(
    terrain: Terrain, source: int, target: int, count: int, *, hosts: bool = False
) -> tuple[Found, ...]:
    """Up to so many paths of which no two share a link (nor, with `hosts`, a host between).

    Their number is the largest possible up to `count`, their total weight the least possible for
    that number; the best comes first. Limits and way points are not looked at.
    """
    flow = _Flow(terrain, source, target, hosts=hosts)
    for _ in range(count):
        if not flow.augment():
            break
    return tuple(sorted(_split(terrain, source, target, set(flow.into))))


class _Flow:
    """Units that were sent so far, at the least weight, and the residual network they leave.

    Node n is host n; with ``hosts``, where it is entered, and node n + V where it is left. The
    residual network is never written down: it is the terrain, and what is sent the other way.
    Potentials start as the distances to the target, so that a search hardly strays.
    """

    def __init__(self, terrain: Terrain, source: int, target: int, *, hosts: bool) -> None:
        self._terrain, self._target = terrain, target
        self._ends = frozenset((source, target))
        self._shift = len(terrain.hosts) if hosts else 0
        self._source = source + self._shift
        self._distance = terrain.distances(target)[0]
        self._potential = [-far for far in self._distance] * (2 if hosts else 1)
        self.into: dict[int, int] = {}
        """Edges that carry a unit, with the host they lead to."""
        self._passed: set[int] = set()

    def augment(self) -> bool:
        """Send one unit more; whether there was a way."""
        far, came = self._search()
        if self._target not in came:
            return False
        end = far[self._target]
        for node, distance in far.items():
            self._potential[node] += min(0, distance - end)
        node = self._target
        while node != self._source:
            before, edge = came[node]
            if edge != _INSIDE and edge in self.into:
                del self.into[edge]
            elif edge != _INSIDE:
                self.into[edge] = self._terrain.head[edge]
            node = before
        self._passed = set(self.into.values())
        return True

    def _search(self) -> tuple[dict[int, int], dict[int, tuple[int, int]]]:
        """Dijkstra by reduced weights, as far as the target; from where each node was reached."""
        potential = self._potential
        far, came = {self._source: 0}, dict[int, tuple[int, int]]()
        queue = [(0, self._source)]
        while queue:
            distance, node = heappop(queue)
            if node == self._target:
                break
            if distance > far[node]:
                continue
            base = distance + potential[node]
            for beyond, edge, weight in self._onward(node):
                through = base + weight - potential[beyond]
                if through < far.get(beyond, UNREACHABLE):
                    far[beyond], came[beyond] = through, (node, edge)
                    heappush(queue, (through, beyond))
        return far, came

    def _onward(self, node: int) -> Iterator[_Step]:
        if not self._shift:
            yield from self._forth(node)
            yield from self._back(node)
        elif node >= self._shift:
            host = node - self._shift
            yield from self._forth(host)
            if host in self._passed:
                yield host, _INSIDE, 0
        elif node in self._passed:
            yield from self._back(node)
        else:
            yield node + self._shift, _INSIDE, 0

    def _forth(self, host: int) -> Iterator[_Step]:
        """Over edges that carry nothing yet."""
        terrain = self._terrain
        for edge in terrain.out[host]:
            head = terrain.head[edge]
            useless = self._distance[head] >= UNREACHABLE or head + self._shift == self._source
            if edge in self.into or useless or (head in terrain.barred and head not in self._ends):
                continue
            yield head, edge, terrain.weight[edge]

    def _back(self, host: int) -> Iterator[_Step]:
        """Against edges that carry a unit."""
        terrain = self._terrain
        for edge in terrain.into[host] if host in self._passed else ():
            if edge in self.into:
                yield terrain.tail[edge] + self._shift, edge, -terrain.weight[edge]


def _split(terrain: Terrain, source: int, target: int, used: set[int]) -> Iterator[Found]:
    """The paths that a flow is made of, each the best that is left."""
    while any(number in used for number in terrain.out[source]):
        found = _least(terrain, source, target, used)
        used.difference_update(found[1])
        yield found


def _least(terrain: Terrain, source: int, target: int, used: Collection[int]) -> Found:
    """The best path over some edges, which hold one."""
    queue: list[tuple[int, tuple[int, ...], int]] = [(0, (), source)]
    settled: set[int] = set()
    while True:
        weight, edges, host = heappop(queue)
        if host == target:
            return weight, edges
        if host not in settled:
            settled.add(host)
            for number in terrain.out[host]:
                if number in used:
                    entry = (weight + terrain.weight[number], (*edges, number))
                    heappush(queue, (*entry, terrain.head[number]))
