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
from dataclasses import dataclass
from heapq import heappop, heappush

from vneter_sdn.graph.constrained import Found
from vneter_sdn.graph.terrain import UNREACHABLE, Terrain


def disjoint(
    terrain: Terrain, source: int, target: int, count: int, *, hosts: bool = False
) -> tuple[Found, ...]:
    """Up to so many paths of which no two share a link (nor, with `hosts`, a host between).

    Their number is the largest possible up to `count`, their total weight the least possible for
    that number; the best comes first. Limits and way points are not looked at.
    """
    flow = _Flow(_Residual.of(terrain, source, target, hosts=hosts))
    for _ in range(count):
        if not flow.augment():
            break
    return tuple(sorted(_split(terrain, source, target, flow.used())))


@dataclass(frozen=True, slots=True)
class _Residual:
    """A network of unit capacities: arcs in twos, each followed by its opposite."""

    source: int
    target: int
    head: list[int]
    weight: list[int]
    edge: list[int]
    """Edge of the terrain, -1 for the inside of a host."""
    out: list[list[int]]

    @classmethod
    def of(cls, terrain: Terrain, source: int, target: int, *, hosts: bool) -> _Residual:
        """Of a terrain; with `hosts`, host n is entered at n and left at n + V."""
        count = len(terrain.hosts)
        shift = count if hosts else 0
        made = cls(source + shift, target, [], [], [], [[] for _ in range(count + shift)])
        ends = (source, target)
        if hosts:
            for host in range(count):
                if host not in ends and host not in terrain.barred:
                    made.add(host, host + shift, 0, -1)
        for number, weight in enumerate(terrain.weight):
            tail, head = terrain.tail[number], terrain.head[number]
            barred = not terrain.barred.isdisjoint({tail, head} - {source, target})
            if head != source and tail != target and not barred:
                made.add(tail + shift, head, weight, number)
        return made

    def add(self, tail: int, head: int, weight: int, edge: int) -> None:
        """An arc and its opposite."""
        for start, end, adds in ((tail, head, weight), (head, tail, -weight)):
            self.out[start].append(len(self.head))
            self.head.append(end)
            self.weight.append(adds)
            self.edge.append(edge)


class _Flow:
    """Units that were sent so far, at the least weight."""

    def __init__(self, network: _Residual) -> None:
        self._network = network
        self._open = [number % 2 == 0 for number in range(len(network.head))]
        self._potential = [0] * len(network.out)

    def augment(self) -> bool:
        """Send one unit more; whether there was a way."""
        network = self._network
        far, came = self._search()
        if network.target not in came:
            return False
        end = far[network.target]
        for node, distance in enumerate(far):
            self._potential[node] += min(distance, end)
        node = network.target
        while node != network.source:
            arc = came[node]
            self._open[arc], self._open[arc ^ 1] = False, True
            node = network.head[arc ^ 1]
        return True

    def _search(self) -> tuple[list[int], dict[int, int]]:
        """Dijkstra by reduced weights, as far as the target; by which arc each node was reached."""
        network, potential = self._network, self._potential
        far = [UNREACHABLE] * len(network.out)
        far[network.source] = 0
        came: dict[int, int] = {}
        queue = [(0, network.source)]
        while queue:
            distance, node = heappop(queue)
            if node == network.target:
                break
            if distance > far[node]:
                continue
            base = distance + potential[node]
            for arc in network.out[node]:
                head = network.head[arc]
                through = base + network.weight[arc] - potential[head]
                if self._open[arc] and through < far[head]:
                    far[head], came[head] = through, arc
                    heappush(queue, (through, head))
        return far, came

    def used(self) -> set[int]:
        """Edges of the terrain that carry a unit."""
        edges = self._network.edge
        arcs = range(0, len(edges), 2)
        return {edges[arc] for arc in arcs if not self._open[arc] and edges[arc] >= 0}


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
