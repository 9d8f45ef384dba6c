# SPDX-License-Identifier: Apache-2.0
"""A graph as arrays of numbers, for work on all pairs of hosts at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from operator import is_not
from typing import cast

import numpy as np
from numpy.typing import NDArray

from vneter_sdn.graph.network import Graph
from vneter_sdn.graph.topology import Edge, Vertex

Numbers = NDArray[np.int64]
Weights = NDArray[np.float64]
DRAINED = float(1 << 40)
"""What passing something drained weighs: more than 65,000 links of the highest cost. Sums stay
exact in a float (below 2^53) up to 8,191 drained things on one path."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Arrays:
    """Hosts and edges by number.

    Edges are in order of preference among those from one host: by target, wires first, then the
    tunnel between the preferred addresses, then the others by name. So of several that are equally
    good, the one with the lowest number is the one to take.
    """

    hosts: tuple[str, ...]
    edges: tuple[Edge, ...]
    """Usable or not, sorted by source and preference."""
    names: tuple[str, ...]
    """Of the edges."""
    source: Numbers
    target: Numbers
    weight: Weights
    """Of each edge; infinite when it is not usable."""
    drained: Weights
    """Of each host: what passing it adds, which is in the weight of the edges that lead there."""
    leaving: Numbers
    """Edges from host n are those from ``leaving[n]`` to ``leaving[n + 1] - 1``."""
    entering: Numbers
    """Edges into host n are at places ``entering[n]`` to ``entering[n + 1] - 1`` of `by_target`."""
    by_target: Numbers

    @property
    def usable(self) -> int:
        """How many edges are."""
        return int(np.count_nonzero(np.isfinite(self.weight)))

    def like(self, other: Arrays) -> bool:
        """Whether hosts and edges have the numbers that another's have; compares no names."""
        return self.by_target is other.by_target

    def out(self, hosts: Numbers) -> tuple[Numbers, Numbers]:
        """Every edge from each of the hosts: (place in ``hosts``, edge), by place."""
        return _ragged(self.leaving, hosts)

    def into(self, hosts: Numbers) -> tuple[Numbers, Numbers]:
        """Every edge into each of the hosts: (place in ``hosts``, edge), by place."""
        places, found = _ragged(self.entering, hosts)
        return places, self.by_target[found]


def _ragged(starts: Numbers, rows: Numbers) -> tuple[Numbers, Numbers]:
    """All of ``starts[r]`` to ``starts[r + 1] - 1`` for each row r, and which row each is of."""
    counts = starts[rows + 1] - starts[rows]
    places = np.repeat(np.arange(len(rows)), counts)
    first = np.cumsum(counts) - counts
    return places, np.arange(len(places)) - first[places] + starts[rows][places]


def preference(edge: Edge) -> tuple[str, str, bool, str]:
    """By what edges are ordered: see `Arrays`."""
    return edge.source, edge.target, "#" in edge.name, edge.name


def arrays(graph: Graph) -> Arrays:
    """The arrays of a graph. O(V + E log E).

    Edges of unknown hosts and from a host to itself are left out.
    """
    hosts = tuple(graph.vertices)
    number = {host: place for place, host in enumerate(hosts)}
    known = (e for e in graph.edges.values() if e.source in number and e.target in number)
    edges = tuple(sorted((e for e in known if e.source != e.target), key=preference))
    source = np.array([number[e.source] for e in edges], dtype=np.int64)
    target = np.array([number[e.target] for e in edges], dtype=np.int64)
    by_target = np.argsort(target, kind="stable")
    drained = _drained(graph.vertices.values())
    return Arrays(
        hosts=hosts,
        edges=edges,
        names=tuple(edge.name for edge in edges),
        source=source,
        target=target,
        weight=_weights(edges, drained[target]),
        drained=drained,
        leaving=np.searchsorted(source, np.arange(len(hosts) + 1)),
        entering=np.searchsorted(target[by_target], np.arange(len(hosts) + 1)),
        by_target=by_target,
    )


def refreshed(known: Arrays, graph: Graph) -> Arrays:
    """`arrays(graph)`, sooner when it has the hosts and edges that ``known`` has.

    O(V + E), a few steps for each edge that is the same value and more for each other.
    """
    vertices = tuple(graph.vertices.values())
    found = tuple(map(graph.edges.get, known.names))
    if len(graph.edges) != len(found) or tuple(graph.vertices) != known.hosts or None in found:
        return arrays(graph)
    edges = cast("tuple[Edge, ...]", found)
    other = changed(known.edges, edges)
    if any(_ends(edges[number]) != _ends(known.edges[number]) for number in other):
        return arrays(graph)
    drained = _drained(vertices)
    if not np.array_equal(drained, known.drained):
        other = list(range(len(edges)))
    weight = known.weight.copy()
    numbers = np.array(other, dtype=np.int64)
    weight[numbers] = _weights([edges[number] for number in other], drained[known.target[numbers]])
    return replace(known, edges=edges, weight=weight, drained=drained)


def changed(before: tuple[Edge, ...], after: tuple[Edge, ...]) -> list[int]:
    """Places at which two tuples of the same length hold another value, which may be equal."""
    return list(compress(range(len(before)), map(is_not, before, after)))


def _ends(edge: Edge) -> tuple[str, str]:
    return edge.source, edge.target


def _drained(vertices: Iterable[Vertex]) -> Weights:
    return np.array([DRAINED * v.drained for v in vertices], dtype=np.float64)


def _weights(edges: Sequence[Edge], far: Weights) -> Weights:
    """Weights of edges, of which some lead to hosts that add to it."""
    weight = [
        max(1, edge.cost) + DRAINED * edge.drained if edge.usable else np.inf for edge in edges
    ]
    return np.array(weight, dtype=np.float64) + far
