# SPDX-License-Identifier: Apache-2.0
"""The index of a topology: what leaves and what enters each host."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Set
from functools import cached_property
from operator import attrgetter
from types import MappingProxyType
from typing import Any, TypeVar, cast

from vneter_sdn.graph.topology import Edge, Topology, Vertex

_Made = TypeVar("_Made")
_REMEMBERED = 64
"""Things worked out from a graph that are kept with it."""


class Graph:
    """A topology, indexed by host. Made once, O(V + E log E); nothing of it changes afterwards.

    Only usable edges between two different hosts of the topology are offered by `out` and `into`,
    in the order of their names: whatever walks them gives the same answer however the topology was
    put together. Of several edges of one name the first counts.
    """

    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        self.vertices: Mapping[str, Vertex] = MappingProxyType(
            {v.host: v for v in sorted(topology.vertices, key=lambda v: v.host)}
        )
        self._edges = _by_name(topology.edges)
        self._remembered: dict[Hashable, Any] = {}
        self._compared: tuple[Graph, bool] | None = None

    def out(self, host: str) -> tuple[Edge, ...]:
        """Usable edges from a host, by name; none for a host that is not there."""
        return self._ends[0].get(host, ())

    def into(self, host: str) -> tuple[Edge, ...]:
        """Usable edges towards a host, by name; none for a host that is not there."""
        return self._ends[1].get(host, ())

    @cached_property
    def _ends(self) -> tuple[Mapping[str, tuple[Edge, ...]], Mapping[str, tuple[Edge, ...]]]:
        """Usable edges by source, and by target; trees, which are made most often, need neither."""
        out: dict[str, list[Edge]] = {host: [] for host in self.vertices}
        into: dict[str, list[Edge]] = {host: [] for host in self.vertices}
        for edge in self._edges.values():
            source, target = edge.source, edge.target
            if edge.usable and source in out and target in into and source != target:
                out[source].append(edge)
                into[target].append(edge)
        return _frozen(out), _frozen(into)

    def edge(self, name: str) -> Edge | None:
        """The edge of a name, usable or not."""
        return self._edges.get(name)

    @cached_property
    def usable(self) -> Set[str]:
        """Names of the usable edges."""
        return frozenset(name for name, edge in self._edges.items() if edge.usable)

    def like(self, other: Graph) -> bool:
        """Whether another has equal hosts and edges. O(V + E), once for the same other."""
        if self._compared is None or self._compared[0] is not other:
            alike = self._edges == other._edges and self.vertices == other.vertices
            self._compared = other, self is other or alike
        return self._compared[1]

    @property
    def edges(self) -> Mapping[str, Edge]:
        """Every edge by name, usable or not, in the order of names."""
        return MappingProxyType(self._edges)

    def remembered(self, key: Hashable, make: Callable[[], _Made]) -> _Made:
        """What `make` makes of this graph, made once: a pure function of the graph and the key."""
        if key not in self._remembered:
            if len(self._remembered) >= _REMEMBERED:
                self._remembered.clear()
            self._remembered[key] = make()
        return cast("_Made", self._remembered[key])


def _frozen(found: Mapping[str, list[Edge]]) -> Mapping[str, tuple[Edge, ...]]:
    return {host: tuple(edges) for host, edges in found.items()}


def _by_name(edges: tuple[Edge, ...]) -> dict[str, Edge]:
    """Edges in the order of names; of several of one name the one whose ends sort first."""
    found = {edge.name: edge for edge in sorted(edges, key=attrgetter("name"))}
    if len(found) < len(edges):
        ends = attrgetter("name", "source", "target")
        ordered = sorted(edges, key=ends)
        found = {edge.name: edge for edge in reversed(ordered)}
        return dict(sorted(found.items()))
    return found
