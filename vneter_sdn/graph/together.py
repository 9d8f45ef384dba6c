# SPDX-License-Identifier: Apache-2.0
"""What to make of links that are seen to be down: nothing, where there is no other way.

A link that was judged wrongly is worse to lose than a dead one is to try: a bridge that has only
one way to go loses nothing by going it. Between any two parts of the graph one link is tried, so
nothing that has another way is led over any of these, nor through a bridge that is gone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from vneter_sdn.graph.topology import Edge, Topology


def together(topology: Topology, impossible: Collection[str] = ()) -> Topology:
    """A topology in which links that are down count as up where only they join two parts of it.

    Of several the cheapest is taken, by name where they are equal. Nearly O(E), and quickest where
    all has another way, which is the rule; the same value when nothing of that kind is there.

    Args:
        topology: the graph, as observed.
        impossible: names of edges that cannot be used whatever is thought of them.
    """
    lost = [edge for edge in topology.edges if _is_lost(edge, impossible)]
    if not lost or _are_joined(topology, lost):
        return topology
    parts, tried = _Parts(topology), set[str]()
    for edge in sorted(lost, key=lambda e: (e.drained, e.cost, e.name)):
        if parts.join(edge.source, edge.target):
            tried |= {edge.name, edge.reverse}
    if not tried:
        return topology
    edges = (replace(e, up=True) if e.name in tried else e for e in topology.edges)
    return replace(topology, edges=tuple(edges))


def _are_joined(topology: Topology, lost: Iterable[Edge]) -> bool:
    """Whether usable edges join the ends of all that is lost, in one part of the graph."""
    beyond: dict[str, list[str]] = {}
    for edge in topology.edges:
        if edge.up and not edge.disabled:
            beyond.setdefault(edge.source, []).append(edge.target)
            beyond.setdefault(edge.target, []).append(edge.source)
    ends = {end for edge in lost for end in (edge.source, edge.target)}
    front = [next(iter(ends))]
    met = set(front)
    while front:
        new = set(beyond.get(front.pop(), ())) - met
        met |= new
        front += new
    return ends <= met


def _is_lost(edge: Edge, impossible: Collection[str]) -> bool:
    if edge.up or edge.disabled:
        return False
    return edge.name not in impossible and edge.reverse not in impossible


class _Parts:
    """Parts of a graph that usable edges hold together; each has one of its hosts as its root."""

    def __init__(self, topology: Topology) -> None:
        self._above = {vertex.host: vertex.host for vertex in topology.vertices}
        for edge in topology.edges:
            if edge.usable:
                self.join(edge.source, edge.target)

    def join(self, one: str, other: str) -> bool:
        """Make one part of two; False when they are one already."""
        apart = self.root(one) != self.root(other)
        self._above[self.root(one)] = self.root(other)
        return apart

    def root(self, host: str) -> str:
        above = self._above
        while above.setdefault(host, host) != host:
            above[host] = above[above[host]]
            host = above[host]
        return host
