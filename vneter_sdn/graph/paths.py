# SPDX-License-Identifier: Apache-2.0
"""Shortest paths on the graph."""

from __future__ import annotations

from collections.abc import Mapping

import networkx as nx

from vneter_sdn.errors import NoPath
from vneter_sdn.graph.topology import Topology


def next_hops(topology: Topology, target: str, colour: int = 0) -> Mapping[str, str]:
    """For every host that can reach the target, the host that comes next on its cheapest path.

    Among equally cheap next hops the one whose name sorts first is taken, so the answer depends on
    nothing but the graph, and following it never loops (every step makes the rest cheaper: costs
    are at least 1). Hosts that cannot reach the target are absent, and so is the target.

    One Dijkstra on the reversed graph, O(E + V log V), and one look at every edge.

    Args:
        topology: the graph.
        target: a host.
        colour: which forwarding tree; only 0, the cheapest, exists so far.

    Raises:
        NoPath: there is no such colour.
    """
    if colour != 0:
        raise NoPath("any", target, f"colour {colour}")
    if all(vertex.host != target for vertex in topology.vertices):
        return {}
    graph = nx.DiGraph()
    graph.add_nodes_from(vertex.host for vertex in topology.vertices)
    usable = [edge for edge in topology.edges if not edge.disabled]
    graph.add_weighted_edges_from((edge.target, edge.source, edge.cost) for edge in usable)
    distance: dict[str, int] = nx.single_source_dijkstra_path_length(graph, target)
    hops: dict[str, str] = {}
    for edge in usable:  # sorted, so the first that fits has the lowest name
        if (
            edge.source != target
            and edge.target in distance
            and distance[edge.source] == edge.cost + distance[edge.target]
        ):
            hops.setdefault(edge.source, edge.target)
    return hops
