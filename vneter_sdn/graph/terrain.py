# SPDX-License-Identifier: Apache-2.0
"""The part of a graph that a policy may use, numbered, with what each edge weighs.

Hosts and edges are numbers here, in the order of their names, so that searches run on lists. The
weight of an edge joins three wishes, the first that differs decides: few drained edges and hosts,
little of the objective, few hops. It is never 0, so no shortest path holds a loop.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from functools import cached_property
from heapq import heappop, heappush

from vneter_sdn.graph.constraint import edge_faults, host_faults, limits
from vneter_sdn.graph.network import Graph
from vneter_sdn.graph.objective import units, weigher
from vneter_sdn.graph.path import Path
from vneter_sdn.graph.topology import Edge
from vneter_sdn.model.path_kinds import Objective, PathConstraints

UNREACHABLE = 1 << 200
"""More than any path weighs."""
_REMEMBERED = 128
"""Targets whose distances are kept."""

Weigh = Callable[[Edge], int]
Distances = tuple[list[int], ...]
"""To one target from every host: of weight, then of each limited quantity."""


class Terrain:
    """The edges that satisfy what is asked of each one, between hosts that do. O(V + E) to make.

    Attributes:
        hosts: names, by number; `number` is the other way.
        edges: by number, in the order of names.
        head: number of the host at the end of each edge; `tail`, at its start.
        weight: of each edge, at least 1.
        spends: for each limited quantity, what each edge adds, in billionths.
        most: for each limited quantity, the most that a path may add up to.
        out: numbers of the edges from each host; `into`, towards it.
        barred: hosts that may only be ends, numbers.
    """

    def __init__(self, graph: Graph, weigh: Weigh, constraints: PathConstraints) -> None:
        vertices = graph.vertices
        self.hosts = tuple(vertices)
        self.number = {host: number for number, host in enumerate(self.hosts)}
        outside = {h for h, v in vertices.items() if host_faults(v, constraints, between=False)}
        self.edges = tuple(
            edge
            for host in self.hosts
            for edge in graph.out(host)
            if not edge_faults(edge, constraints) and outside.isdisjoint((host, edge.target))
        )
        self.barred = frozenset(
            self.number[host] for host, v in vertices.items() if host_faults(v, constraints)
        )
        self.tail = [self.number[edge.source] for edge in self.edges]
        self.head = [self.number[edge.target] for edge in self.edges]
        self.weight = self._weights(graph, weigh)
        limited = limits(constraints)
        self.spends = tuple([units(l_.quantity(e)) for e in self.edges] for l_ in limited)
        self.most = tuple(limit.units for limit in limited)
        self.out: list[list[int]] = [[] for _ in self.hosts]
        self.into: list[list[int]] = [[] for _ in self.hosts]
        for number, (tail, head) in enumerate(zip(self.tail, self.head, strict=True)):
            self.out[tail].append(number)
            self.into[head].append(number)
        self._distances: dict[int, Distances] = {}

    def _weights(self, graph: Graph, weigh: Weigh) -> list[int]:
        plain = [weigh(edge) for edge in self.edges]
        self._detour = sum(plain) + 1  # more than any path without anything drained
        self._hops = 32 * len(self.hosts) + 1  # more than the hops of 32 paths together
        drained = (e.drained + graph.vertices[e.target].drained for e in self.edges)
        return [
            (count * self._detour + own) * self._hops + 1
            for own, count in zip(plain, drained, strict=True)
        ]

    @cached_property
    def links(self) -> Mapping[str, tuple[int, ...]]:
        """The edges of each link, one or two, by what `link_of` calls it."""
        return _grouped((link_of(edge), number) for number, edge in enumerate(self.edges))

    @cached_property
    def risks(self) -> Mapping[str, tuple[int, ...]]:
        """The edges of each shared-risk group."""
        every = enumerate(self.edges)
        return _grouped((risk, number) for number, edge in every for risk in edge.risks)

    def merit(self, weight: int) -> int:
        """The part of a path's weight that says how good it is: all but its hops."""
        return weight // self._hops

    def detours(self, weight: int) -> int:
        """How many drained edges and hosts a path of a weight passes."""
        return self.merit(weight) // self._detour

    def path(self, edges: Collection[int]) -> Path:
        """The path of these edges."""
        return Path(tuple(self.edges[number] for number in edges))

    def length(self, edges: Collection[int]) -> int:
        """What these edges weigh together."""
        return sum(self.weight[number] for number in edges)

    def affordable(self, edges: Collection[int]) -> bool:
        """Whether these edges stay within the limits."""
        return all(
            sum(spend[number] for number in edges) <= most
            for spend, most in zip(self.spends, self.most, strict=True)
        )

    def distances(self, target: int) -> Distances:
        """Least weight, and least of each limited quantity, from every host to a target.

        Each on its own way; `UNREACHABLE` where there is none. Dijkstra (1959), O(E log V) for
        each of them, kept for the next time.
        """
        if target not in self._distances:
            if len(self._distances) >= _REMEMBERED:
                self._distances.clear()
            every = (self.weight, *self.spends)
            self._distances[target] = tuple(self._backwards(target, adds) for adds in every)
        return self._distances[target]

    def _backwards(self, target: int, adds: list[int]) -> list[int]:
        best = [UNREACHABLE] * len(self.hosts)
        best[target] = 0
        queue = [(0, target)]
        while queue:
            far, host = heappop(queue)
            if far > best[host] or (host in self.barred and host != target):
                continue
            for number in self.into[host]:
                tail, through = self.tail[number], far + adds[number]
                if through < best[tail]:
                    best[tail] = through
                    heappush(queue, (through, tail))
        return best


def link_of(edge: Edge) -> str:
    """What both directions of a link are called together."""
    return min(edge.name, edge.reverse)


def _grouped(pairs: Iterable[tuple[str, int]]) -> dict[str, tuple[int, ...]]:
    found: dict[str, list[int]] = {}
    for name, number in pairs:
        found.setdefault(name, []).append(number)
    return {name: tuple(numbers) for name, numbers in found.items()}


def terrain(graph: Graph, objective: Objective | str, constraints: PathConstraints) -> Terrain:
    """The terrain of an objective and constraints, kept with the graph for the next time."""
    key = (objective, constraints)
    return graph.remembered(key, lambda: Terrain(graph, weigher(objective), constraints))
