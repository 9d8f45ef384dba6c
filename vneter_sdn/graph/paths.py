# SPDX-License-Identifier: Apache-2.0
"""Shortest paths on the graph."""

from __future__ import annotations

from collections.abc import Mapping

import networkx as nx

from vneter_sdn.errors import NoPath
from vneter_sdn.graph.topology import Edge, Topology


class Paths:
    """The cheapest paths of one graph, to be asked for one target after the other.

    Made once per graph, O(E). Every pair of hosts has an edge unless somebody says otherwise, so
    nearly all paths are that edge: one that costs less than two of the cheapest edges cannot be
    beaten, and needs no search.
    """

    def __init__(self, topology: Topology) -> None:
        self._out: dict[str, list[Edge]] = {vertex.host: [] for vertex in topology.vertices}
        self._into: dict[str, list[Edge]] = {vertex.host: [] for vertex in topology.vertices}
        for edge in topology.edges:
            if not edge.disabled:
                self._out[edge.source].append(edge)
                self._into[edge.target].append(edge)
        costs = (edge.cost for edges in self._out.values() for edge in edges)
        self._beatable = 2 * min(costs, default=1)

    def next_hops(self, target: str, colour: int = 0) -> Mapping[str, str]:
        """For every host that can reach the target, the host that comes next on its cheapest path.

        Among equally cheap next hops the one whose name sorts first is taken, so the answer depends
        on nothing but the graph, and following it never loops (every step makes the rest cheaper:
        costs are at least 1). Hosts that cannot reach the target are absent, and so is the target.

        O(V), and a Dijkstra over the edges out of those hosts whose own edge can be beaten.

        Args:
            target: a host.
            colour: which forwarding tree; only 0, the cheapest, exists so far.

        Raises:
            NoPath: there is no such colour.
        """
        if colour != 0:
            raise NoPath("any", target, f"colour {colour}")
        if target not in self._out:
            return {}
        direct = [edge for edge in self._into[target] if edge.cost < self._beatable]
        hops = {edge.source: target for edge in direct}
        others = [host for host in self._out if host not in hops and host != target]
        return hops | self._searched(target, direct, others) if others else hops

    def _searched(self, target: str, direct: list[Edge], others: list[str]) -> dict[str, str]:
        """Next hops of those hosts that are not known to go directly."""
        open_ = [edge for host in others for edge in self._out[host]]
        graph = nx.DiGraph()
        graph.add_node(target)
        graph.add_weighted_edges_from((e.target, e.source, e.cost) for e in (*direct, *open_))
        distance: dict[str, int] = nx.single_source_dijkstra_path_length(graph, target)
        hops: dict[str, str] = {}
        for edge in open_:  # sorted, so the first that fits has the lowest name
            beyond = distance.get(edge.target)
            if beyond is not None and distance[edge.source] == edge.cost + beyond:
                hops.setdefault(edge.source, edge.target)
        return hops


def next_hops(topology: Topology, target: str, colour: int = 0) -> Mapping[str, str]:
    """`Paths.next_hops`, for a single target."""
    return Paths(topology).next_hops(target, colour)
