# SPDX-License-Identifier: Apache-2.0
"""RED and BLUE: two trees towards each target whose paths have as little in common as can be.

From every host the two paths share only what every path must cross: hosts without which the graph
falls apart, and edges (bridges). They are Itai and Rodeh's independent trees, "The multi-tree
approach to reliability in distributed networks" (1988), extended from biconnected graphs to all, as
maximally redundant trees (compare RFC 7811): the graph is taken apart into its blocks (Hopcroft and
Tarjan 1973); in each, hosts are put in an st-order (Tarjan, "Two streamlined depth-first search
algorithms", 1986) that begins with the host nearest the target and in which every host has a
neighbour before it and one after it, the last one's being the first again. RED goes to ever lower
places, BLUE to ever higher ones, so they meet nowhere in between. Among neighbours that are allowed
the cheapest way is taken, so in a full mesh RED has one hop and BLUE two, or the other way round.

Only edges count that are usable both ways.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from math import inf, isfinite

from vneter_sdn.graph.arrays import Arrays
from vneter_sdn.graph.blocks import Block, Neighbours, blocks, st_order
from vneter_sdn.graph.topology import Edge
from vneter_sdn.pipeline.locator import BLUE, RED


def anything(edge: Edge) -> bool:
    """Every edge is allowed."""
    return True


@dataclass(frozen=True, slots=True)
class Redundant:
    """The two trees towards one target. Hosts with no way both ways are in neither."""

    target: str
    red: Mapping[str, Edge]
    """By host: the edge it takes."""
    blue: Mapping[str, Edge]
    _known: dict[tuple[str, str], tuple[int, Edge] | None] = field(
        default_factory=dict, compare=False, repr=False
    )
    """By host and name of the edge that fails: the repair when everything is allowed."""

    def tree(self, colour: int) -> Mapping[str, Edge]:
        """That of a colour, RED or BLUE."""
        return self.red if colour == RED else self.blue

    def path(self, colour: int, host: str) -> Iterator[Edge]:
        """The edges from a host to the target; none when it has no way. Colour is RED or BLUE."""
        tree = self.tree(colour)
        while (edge := tree.get(host)) is not None:
            yield edge
            host = edge.target

    def repair(
        self, host: str, primary: Edge, allowed: Callable[[Edge], bool] = anything
    ) -> tuple[int, Edge] | None:
        """See `trees.Trees.repair`. O(length of the paths), squared where not all is allowed."""
        if allowed is not anything:
            return self._repair(host, primary, allowed)
        asked = host, primary.name
        if asked not in self._known:
            self._known[asked] = self._repair(host, primary, allowed)
        return self._known[asked]

    def way(self, colour: int, host: str, failed: Collection[str]) -> list[Edge]:
        """The edges that a packet takes which is moved to a colour; none if it gets stuck.

        Where RED meets an edge that has failed, it leads on to BLUE; at its beginning it may not.
        """
        found: list[Edge] = []
        tree = self.tree(colour)
        while host != self.target:
            edge = tree.get(host)
            if found and tree is self.red and edge is not None and edge.name in failed:
                tree = self.blue
                edge = tree.get(host)
            if edge is None or edge.name in failed:
                return []
            found.append(edge)
            host = edge.target
        return found

    def _repair(
        self, host: str, primary: Edge, allowed: Callable[[Edge], bool]
    ) -> tuple[int, Edge] | None:
        lesser = None
        for colour, tree in ((RED, self.red), (BLUE, self.blue)):
            first = tree.get(host)
            if first is None or first.name == primary.name:
                continue
            if not (allowed is anything or self._allowed(colour, host, allowed)):
                continue
            if self._avoids(colour, host, primary.target):
                return colour, first
            lesser = lesser or (colour, first)
        return lesser

    def _avoids(self, colour: int, host: str, other: str) -> bool:
        return all(edge.target != other for edge in self.path(colour, host))

    def _allowed(self, colour: int, host: str, allowed: Callable[[Edge], bool]) -> bool:
        """Whether a path may be used, and wherever it is RED those that it may fall back on."""
        for edge in self.path(colour, host):
            if not allowed(edge):
                return False
            if colour == RED and not all(map(allowed, self.path(BLUE, edge.source))):
                return False
        return True


NOWHERE = -1
"""In place of an edge."""
Ways = dict[int, list[tuple[float, int, int]]]
"""By host: the weight of the best edge to each neighbour, the edge, and the neighbour."""
Choice = tuple[int, int, int]
"""A host, and the edges it takes in RED and in BLUE."""


@dataclass(slots=True, eq=False)
class Blocks:
    """A graph taken apart once, for trees towards one target after the other."""

    arrays: Arrays
    between: Mapping[tuple[int, int], list[int]] = field(init=False)
    """Edges from one host to another, the best first."""
    weight: list[float] = field(init=False)
    _number: dict[str, int] = field(init=False)
    _of: list[list[Block]] = field(init=False)
    """The blocks of each host."""
    _chosen: dict[tuple[int, int], list[Choice]] = field(init=False, default_factory=dict)
    """By block and root."""
    _known: dict[int, tuple[float, Ways]] = field(init=False, default_factory=dict)
    """By block: see `_ways`."""

    def __post_init__(self) -> None:
        self._number = {host: place for place, host in enumerate(self.arrays.hosts)}
        self.between = _between(self.arrays)
        self.weight = self.arrays.weight.tolist()
        neighbours: Neighbours = [[] for _ in self.arrays.hosts]
        for near, far in self.between:
            neighbours[near].append(far)
        self._of = [[] for _ in self.arrays.hosts]
        for block in blocks(neighbours):
            for member in block.neighbours:
                self._of[member].append(block)

    def renewed(self, arrays: Arrays) -> Blocks:
        """The same parts of a graph with the same hosts, names of edges and weights."""
        found = copy(self)
        found.arrays = arrays
        return found

    def towards(self, target: str) -> Redundant:
        """The trees towards a host; empty for one that is not there."""
        red: dict[str, Edge] = {}
        blue: dict[str, Edge] = {}
        hosts, edges = self.arrays.hosts, self.arrays.edges
        for host, lower, higher in self._choices(target):
            red[hosts[host]], blue[hosts[host]] = edges[lower], edges[higher]
        return Redundant(target, red, blue)

    def _choices(self, target: str) -> Iterator[Choice]:
        """Those of every host, block after block, away from the target."""
        front: list[tuple[int, Block | None]] = []
        if target in self._number:
            front.append((self._number[target], None))
        while front:
            root, behind = front.pop()
            for block in self._of[root]:
                if block is not behind:
                    found = self._within(block, root)
                    yield from found
                    front += [(host, block) for host, _, _ in found if len(self._of[host]) > 1]

    def _within(self, block: Block, root: int) -> list[Choice]:
        """Those of the hosts of a block, all ways leading to one of them."""
        found = self._chosen.get((block.number, root))
        if found is None:
            order = st_order(block, root)
            red = self._red(block, order)
            blue = self._blue(block, order, red)
            found = [(host, red[host], blue[host]) for host in order[1:]]
            self._chosen[block.number, root] = found
        return found

    def _red(self, block: Block, order: Sequence[int]) -> dict[int, int]:
        """The cheapest way to the root over ever lower places, for every host of a block.

        The last host may not take its only edge to the root, for BLUE has no other there.
        """
        edges: dict[int, int] = {}
        costs: dict[int, float] = {}
        for host in order[1:]:
            home = self._home(host, order[0])
            if host == order[-1] and len(home) == 1 and len(order) > 2:
                home = []
            costs[host], edges[host] = self._cheapest(block, host, costs, home)
        return edges

    def _blue(self, block: Block, order: Sequence[int], red: dict[int, int]) -> dict[int, int]:
        """The same over ever higher places; straight to the root by what RED does not take."""
        edges: dict[int, int] = {}
        costs: dict[int, float] = {}
        for host in reversed(order[1:]):
            home = self._home(host, order[0])
            free = [edge for edge in home if edge != red[host]]
            costs[host], edges[host] = self._cheapest(block, host, costs, free)
            if edges[host] == NOWHERE:  # two hosts and a single edge
                costs[host], edges[host] = self._cheapest(block, host, costs, home)
        return edges

    def _home(self, host: int, root: int) -> list[int]:
        """Edges that lead straight to the root, the best first."""
        return self.between.get((host, root), [])

    def _cheapest(
        self, block: Block, host: int, costs: Mapping[int, float], home: list[int]
    ) -> tuple[float, int]:
        """The cheapest way over neighbours whose own costs are known, or straight home.

        Those costs are no less than the lightest edge, so not every neighbour need be looked at.
        """
        best, taken = (self.weight[home[0]], home[0]) if home else (inf, NOWHERE)
        least, ways = self._ways(block)
        for weight, edge, to in ways[host]:
            if weight + least > best:
                break
            beyond = costs.get(to)
            if beyond is not None:
                cost = weight + beyond
                if cost < best or (cost == best and edge < taken):
                    best, taken = cost, edge
        return best, taken

    def _ways(self, block: Block) -> tuple[float, Ways]:
        """The lightest weight in a block, and the ways on from each host, the lightest first."""
        known = self._known.get(block.number)
        if known is None:
            ways = {
                host: sorted(
                    (self.weight[edge], edge, to)
                    for to in others
                    for edge in self.between[host, to][:1]
                )
                for host, others in block.neighbours.items()
            }
            lightest = min(found[0][0] for found in ways.values())
            known = self._known[block.number] = lightest, ways
        return known


def _between(arrays: Arrays) -> dict[tuple[int, int], list[int]]:
    """Edges between hosts that are usable both ways, the best first."""
    usable = {
        edge.name: number
        for number, edge in enumerate(arrays.edges)
        if isfinite(arrays.weight[number])
    }
    found: dict[tuple[int, int], list[int]] = {}
    source, target = arrays.source.tolist(), arrays.target.tolist()
    for number in usable.values():
        if arrays.edges[number].reverse in usable:
            found.setdefault((source[number], target[number]), []).append(number)
    for edges in found.values():
        edges.sort(key=lambda number: (arrays.weight[number], number))
    return found
