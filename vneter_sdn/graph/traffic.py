# SPDX-License-Identifier: Apache-2.0
"""Traffic on the graph: who sends how much to whom, and what that puts on every edge.

Traffic is a fluid here: megabits per second that divide as finely as routing says.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from vneter_sdn.graph.topology import Edge, Topology

Loads = NDArray[np.float64]
"""Mbit/s on every edge of `Arcs.edges`, by index."""
ASSUMED_CAPACITY = 1000.0
"""Mbit/s of an edge whose capacity nobody said."""


@dataclass(frozen=True, slots=True)
class Demand:
    """Traffic from one vertex to another."""

    source: str
    target: str
    mbps: float


class Arcs:
    """The edges of a graph that carry traffic, as arrays, for linear algebra.

    Self loops are left out, and edges of which reservations leave nothing. What carries nobody
    else's traffic is two nodes: one that it sends from, and one, after all others, where what is
    sent to it ends.
    """

    def __init__(self, topology: Topology, aside: Collection[str] = ()) -> None:
        """Of a graph, and the names of vertices that are ends of paths only."""
        self.vertices: tuple[str, ...] = tuple(vertex.host for vertex in topology.vertices)
        self.start: Mapping[str, int] = {node: n for n, node in enumerate(self.vertices)}
        """By name, the node that its traffic leaves from."""
        ends = [node for node in self.vertices if node in set(aside)]
        beyond = {node: n for n, node in enumerate(ends, len(self.vertices))}
        self.end: Mapping[str, int] = {**self.start, **beyond}
        """By name, the node where traffic to it ends."""
        self.size = len(self.vertices) + len(ends)
        """Of nodes."""
        self.edges: tuple[Edge, ...] = tuple(
            edge
            for edge in topology.edges
            if edge.usable
            and edge.residual != 0
            and edge.source != edge.target
            and edge.source in self.start
            and edge.target in self.start
        )
        self.tail = np.array([self.start[edge.source] for edge in self.edges], dtype=np.int64)
        self.head = np.array([self.end[edge.target] for edge in self.edges], dtype=np.int64)
        self.capacity = np.array([_capacity(edge) for edge in self.edges])
        self.cost = np.array([float(edge.cost) for edge in self.edges])
        self.number: Mapping[str, int] = {edge.name: n for n, edge in enumerate(self.edges)}
        self.out: list[list[int]] = [[] for _ in range(self.size)]
        """Edges from each node, in the order of their names."""
        for number in sorted(range(len(self.edges)), key=lambda n: self.edges[n].name):
            self.out[int(self.tail[number])].append(number)

    def distances(self, weight: Loads) -> NDArray[np.float64]:
        """Least weight from every node to every other, inf where there is no way.

        O(V (E + V log V)), in C (scipy.sparse.csgraph). Of parallel edges the lightest counts.
        """
        size = self.size
        order = np.lexsort((weight, self.head, self.tail))
        pair = self.tail[order] * size + self.head[order]
        lightest = order[np.unique(pair, return_index=True)[1]]
        matrix = csr_array(
            (weight[lightest], (self.tail[lightest], self.head[lightest])), shape=(size, size)
        )
        return np.asarray(dijkstra(matrix))

    def routable(self, demands: Iterable[Demand]) -> tuple[list[Demand], list[Demand]]:
        """Demands that have a way, and those that have none; one for each pair, in order.

        What does not leave its node, and what is nothing, is in neither.
        """
        sums: dict[tuple[str, str], float] = {}
        for demand in demands:
            if demand.source != demand.target and demand.mbps > 0:
                pair = demand.source, demand.target
                sums[pair] = sums.get(pair, 0.0) + demand.mbps
        joined = [Demand(*pair, mbps) for pair, mbps in sorted(sums.items())]
        reach = np.isfinite(self.distances(np.ones(len(self.edges)))) if self.size else None

        def has_way(demand: Demand) -> bool:
            one, other = self.start.get(demand.source), self.end.get(demand.target)
            return (
                reach is not None
                and one is not None
                and other is not None
                and bool(reach[one, other])
            )

        return [d for d in joined if has_way(d)], [d for d in joined if not has_way(d)]

    def shortest(self, weight: Loads, rest: Loads, start: int) -> tuple[int, ...]:
        """The edges of a path of the least weight, the first by name at every node.

        Args:
            weight: of every edge, above 0.
            rest: the least weight from every node to the target, finite at the start.
            start: the node to go from.
        """
        path: list[int] = []
        while rest[start] > 0:
            edge = min(self.out[start], key=lambda n: weight[n] + rest[self.head[n]])
            path.append(edge)
            start = int(self.head[edge])
        return tuple(path)

    def utilisation(self, loads: Loads) -> float:
        """The highest share of its capacity that any edge carries; 0 when there is no edge."""
        return float((loads / self.capacity).max()) if len(self.edges) else 0.0


def _capacity(edge: Edge) -> float:
    residual = edge.residual
    return ASSUMED_CAPACITY if residual is None else residual


def shortest_path_loads(arcs: Arcs, demands: Sequence[Demand], *, spread: bool) -> Loads:
    """What shortest-path routing by cost puts on every edge. O(V E) and the distances.

    Args:
        arcs: the graph.
        demands: routable ones.
        spread: every node splits evenly over all its next edges (ECMP, RFC 2992 without its
            hash); otherwise it takes the one whose name sorts first.
    """
    loads = np.zeros(len(arcs.edges))
    distance = arcs.distances(arcs.cost)
    for target, sent in _by_target(arcs, demands).items():
        waiting = np.zeros(arcs.size)
        for source, mbps in sent:
            waiting[source] += mbps
        rest = distance[:, target]
        for node in np.argsort(-np.where(np.isfinite(rest), rest, -1.0), kind="stable"):
            if node == target or not waiting[node]:
                continue
            hops = [
                n
                for n in arcs.out[node]
                if abs(arcs.cost[n] + rest[arcs.head[n]] - rest[node]) < 1e-9 * (1 + rest[node])
            ]
            hops = hops if spread else hops[:1]
            for number in hops:
                loads[number] += waiting[node] / len(hops)
                waiting[arcs.head[number]] += waiting[node] / len(hops)
    return loads


def _by_target(arcs: Arcs, demands: Sequence[Demand]) -> dict[int, list[tuple[int, float]]]:
    found: dict[int, list[tuple[int, float]]] = {}
    for demand in demands:
        sent = found.setdefault(arcs.end[demand.target], [])
        sent.append((arcs.start[demand.source], demand.mbps))
    return found


def gravity(arcs: Arcs, among: Collection[str] = (), peak: float = 1.0) -> tuple[Demand, ...]:
    """A matrix for a graph that has none: between all pairs, as the capacities at both ends.

    It is scaled so that shortest-path routing fills its fullest edge to ``peak``
    (Roughan, "Simplifying the synthesis of Internet traffic matrices", 2005).

    Args:
        arcs: the graph.
        among: the nodes that send and receive; all when empty.
        peak: utilisation of the fullest edge.
    """
    wanted = set(among or arcs.vertices)
    mass = np.zeros(len(arcs.vertices))
    np.add.at(mass, arcs.tail, arcs.capacity)
    raw = [
        Demand(one, other, float(mass[n] * mass[m] / (mass.sum() or 1.0)))
        for n, one in enumerate(arcs.vertices)
        for m, other in enumerate(arcs.vertices)
        if n != m and one in wanted and other in wanted
    ]
    routable, _ = arcs.routable(raw)
    fullest = arcs.utilisation(shortest_path_loads(arcs, routable, spread=False))
    scale = peak / fullest if fullest else 1.0
    return tuple(Demand(d.source, d.target, d.mbps * scale) for d in routable)
