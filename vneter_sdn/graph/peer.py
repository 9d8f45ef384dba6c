# SPDX-License-Identifier: Apache-2.0
"""What networkx makes of a graph: an independent answer, and a pace to be measured against."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import networkx as nx

from vneter_sdn.graph.network import Graph


def reversed_graph(graph: Graph) -> nx.DiGraph:
    """The usable edges turned round, the cheapest of parallel ones."""
    turned = nx.DiGraph()
    turned.add_nodes_from(graph.vertices)
    for host in graph.vertices:
        for edge in sorted(graph.into(host), key=lambda e: -e.cost):
            turned.add_edge(host, edge.source, weight=edge.cost)
    return turned


def costs(turned: nx.DiGraph, targets: Iterable[str]) -> dict[str, Mapping[str, int]]:
    """The cost of the cheapest path to each target, by target and source.

    One Dijkstra for each target: O(targets · (E + V log V)). What is drained is like all else.
    """
    return {target: nx.single_source_dijkstra_path_length(turned, target) for target in targets}
