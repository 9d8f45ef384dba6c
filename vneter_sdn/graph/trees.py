# SPDX-License-Identifier: Apache-2.0
"""Forwarding trees: by which edge every host sends what is for a target.

Colour 0 is the tree of least cost towards each target. RED and BLUE are the two that repairs use,
see `redundant`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType

import numpy as np

from vneter_sdn.graph.arrays import Arrays, Numbers, arrays, changed, refreshed
from vneter_sdn.graph.distances import NOWHERE, Hops, Tables, carried, fresh, update
from vneter_sdn.graph.network import Graph
from vneter_sdn.graph.redundant import Blocks, Redundant, anything
from vneter_sdn.graph.topology import Edge

Allowed = Callable[[Edge], bool]
NextHops = Mapping[str, Edge]
"""By host: the edge it takes. Hosts without a way are absent, and so is the target."""
_NO_HOPS: NextHops = MappingProxyType({})
GONE = NOWHERE - 1
"""In place of an edge that is no more."""


@dataclass(frozen=True, slots=True)
class Step:
    """What a change of the graph did."""

    trees: Trees
    changed: Mapping[str, frozenset[str]]
    """By target: the hosts that take another edge now, or one where they had none, or none. Hosts
    that are no more are not spoken of."""


class Trees:
    """The forwarding trees of one graph; what was asked for once is kept.

    Next hops go by administrative cost; what is drained, an edge or a host on the way, is used only
    where there is no other way, and then as little of it as can be. Of edges that are equally good
    the first in `arrays.preference` is taken. So the answer depends on nothing but the graph, and
    following it never loops: every step makes the rest cheaper, for costs are at least 1.

    The first question takes O(V (E + V log V)), `updated` only what the change touched: see
    `distances`. Memory: 12 bytes for each pair of hosts.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._next: dict[str, NextHops] = {}
        self._redundant: dict[str, Redundant] = {}
        self._beside: tuple[Trees, tuple[Mapping[str, frozenset[str]], Set[str]]] | None = None

    def next_hops(self, target: str) -> NextHops:
        """The tree of least cost towards a target; empty for a host that is not there.

        The same value as before the last `updated`, if nothing in it changed.
        """
        found = self._next.get(target)
        if found is None:
            found = self._next[target] = self._gathered(target)
        return found

    def next_hop(self, host: str, target: str) -> Edge | None:
        """What `next_hops` says of one host."""
        if host not in self._number or target not in self._number:
            return None
        edge = int(self._hop[self._number[target], self._number[host]])
        return None if edge == NOWHERE else self._arrays.edges[edge]

    def beside(self, other: Trees) -> Mapping[str, frozenset[str]]:
        """By target: the hosts here that take another edge than in other trees. O(V²), in numpy."""
        return self._compared(other)[0]

    def lost(self, other: Trees) -> Set[str]:
        """Names of edges that are usable in the graph of other trees and not in this one."""
        return self._compared(other)[1]

    def _compared(self, other: Trees) -> tuple[Mapping[str, frozenset[str]], Set[str]]:
        if self._beside is None or self._beside[0] is not other:
            differ = _differences((other._arrays, other._hop), (self._arrays, self._hop))
            lost = other.graph.usable - self.graph.usable
            self._beside = other, ({} if other is self else differ, lost)
        return self._beside[1]

    def redundant(self, target: str) -> Redundant:
        """The RED and BLUE trees towards a target. O(V + E) each, after O(V + E) once."""
        found = self._redundant.get(target)
        if found is None:
            found = self._redundant[target] = self._blocks.towards(target)
        return found

    def repair(
        self, host: str, target: str, primary: Edge, allowed: Allowed = anything
    ) -> tuple[int, Edge] | None:
        """Which of RED and BLUE a host falls back on when its edge towards a target fails.

        One that keeps away from the host at the edge's end, which may be what failed; else one
        that keeps away from the edge at least. Of two such, RED, which has BLUE to fall back on.
        None when neither does, or leads over edges that are not allowed (those that RED may fall
        back on included).

        Returns:
            The colour and the first edge of that path.
        """
        return self.redundant(target).repair(host, primary, allowed)

    def updated(self, graph: Graph) -> Step:
        """The trees of a graph that differs a little, and which next hops did change.

        What is found is the same as from nothing. These trees stay as they are, but hand on the
        distances that make this quick: a second update of the same trees starts from nothing.
        """
        trees = Trees(graph)
        before, hop, tables = self._arrays, self._hop, self._tables
        after = trees._arrays = refreshed(before, graph)
        if tables is None:
            trees._tables = fresh(after)
        else:
            self._tables = None
            trees._tables = _followed(before, after, Tables(tables.distance, hop.copy()))
        trees._hop = trees._tables.hop
        differ = _differences((before, hop), (after, trees._hop))
        kept = self._next.keys() - differ.keys() - _affected(before, after, trees._hop)
        trees._next = {target: self._next[target] for target in kept}
        self._pass_on(trees)
        return Step(trees, differ)

    def _pass_on(self, trees: Trees) -> None:
        """Give to later trees what holds for their repairs too."""
        before, after = self._arrays, trees._arrays
        if "_blocks" not in self.__dict__ or not after.like(before):
            return
        if np.array_equal(after.weight, before.weight):
            trees._blocks = self._blocks.renewed(after)
            if after.edges == before.edges:
                trees._redundant = self._redundant

    @cached_property
    def _arrays(self) -> Arrays:
        return arrays(self.graph)

    @cached_property
    def _tables(self) -> Tables | None:
        """Distances of this graph; None once they have been handed on."""
        return fresh(self._arrays)

    @cached_property
    def _hop(self) -> Hops:
        assert self._tables is not None
        return self._tables.hop

    @cached_property
    def _blocks(self) -> Blocks:
        return Blocks(self._arrays)

    @cached_property
    def _number(self) -> Mapping[str, int]:
        return {host: number for number, host in enumerate(self._arrays.hosts)}

    def _gathered(self, target: str) -> NextHops:
        if target not in self._number:
            return _NO_HOPS
        row = self._hop[self._number[target]]
        hosts, edges = self._arrays.hosts, self._arrays.edges
        ways = np.flatnonzero(row != NOWHERE)
        pairs = zip(ways.tolist(), row[ways].tolist(), strict=True)
        return MappingProxyType({hosts[host]: edges[edge] for host, edge in pairs})


def _followed(before: Arrays, after: Arrays, tables: Tables) -> Tables:
    """The tables brought, in place or not, from one graph to the next."""
    if after.like(before):
        update(before, after, tables)
        return tables
    hosts, edges = _renumbered(before, after)
    left = np.append(after.weight, np.inf)[edges]
    update(before, replace(before, weight=left), tables)
    new = np.setdiff1d(np.arange(len(after.edges)), edges)
    known = after.weight.copy()
    known[new] = np.inf
    tables = carried(tables, hosts, edges)
    update(replace(after, weight=known), after, tables)
    return tables


def _renumbered(before: Arrays, after: Arrays) -> tuple[Numbers, Numbers]:
    """The old number of each new host, and the new one of each old edge; else `NOWHERE`.

    An edge between other hosts than before is another edge, whatever its name.
    """
    old = {host: number for number, host in enumerate(before.hosts)}
    hosts = np.array([old.get(host, NOWHERE) for host in after.hosts], dtype=np.int64)
    new = {(e.name, e.source, e.target): number for number, e in enumerate(after.edges)}
    edges = [new.get((e.name, e.source, e.target), NOWHERE) for e in before.edges]
    return hosts, np.array(edges, dtype=np.int64)


def _differences(
    before: tuple[Arrays, Hops], after: tuple[Arrays, Hops]
) -> Mapping[str, frozenset[str]]:
    """`Step.changed`."""
    (old, hop), (new, following) = before, after
    if not new.like(old):
        hosts, edges = _renumbered(old, new)
        edges[edges == NOWHERE] = GONE
        hop = carried(Tables(np.zeros(hop.shape), hop), hosts, edges).hop
    targets, sources = np.nonzero(hop != following)
    found: dict[str, list[str]] = {}
    for target, source in zip(targets.tolist(), sources.tolist(), strict=True):
        found.setdefault(new.hosts[target], []).append(new.hosts[source])
    return {target: frozenset(sources) for target, sources in found.items()}


def _affected(before: Arrays, after: Arrays, hop: Hops) -> set[str]:
    """Targets whose trees have an edge that is another value now; all, if hosts came or went."""
    if not after.like(before):
        return set(before.hosts)
    pairs = ((n, before.edges[n], after.edges[n]) for n in changed(before.edges, after.edges))
    other = [number for number, old, new in pairs if old != new]
    found: set[int] = set()
    for number in other:
        found.update(np.flatnonzero(hop[:, after.source[number]] == number).tolist())
    return {after.hosts[target] for target in found}
