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

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite

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

    def path(self, colour: int, host: str) -> Iterator[Edge]:
        """The edges from a host to the target; none when it has no way. Colour is RED or BLUE."""
        tree = self.red if colour == RED else self.blue
        while (edge := tree.get(host)) is not None:
            yield edge
            host = edge.target

    def repair(
        self, host: str, primary: Edge, allowed: Callable[[Edge], bool] = anything
    ) -> tuple[int, Edge] | None:
        """See `trees.Trees.repair`. O(length of the paths), squared where not all is allowed."""
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
            orientation = _Orientation(self, block, st_order(block, root))
            found = self._chosen[block.number, root] = orientation.choices()
        return found


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


class _Orientation:
    """A block in st-order: who may go where, and what is the cheapest of that."""

    def __init__(self, blocks: Blocks, block: Block, order: Sequence[int]) -> None:
        self._weight = blocks.weight
        self._between = blocks.between
        self._root, *self._others = order
        place = {host: number for number, host in enumerate(order)}
        self._lower: dict[int, list[int]] = {host: [] for host in self._others}
        self._higher: dict[int, list[int]] = {host: [] for host in self._others}
        for host in self._others:
            for to in block.neighbours[host]:
                if to != self._root:
                    side = self._lower if place[to] < place[host] else self._higher
                    side[host].append(to)

    def choices(self) -> list[Choice]:
        """The edges of every host but the root. O(V + E)."""
        red: dict[int, int] = {}
        costs: dict[int, float] = {}
        for host in self._others:
            home = self._home(host)
            if len(home) == 1 and not self._higher[host] and self._lower[host]:
                home = []  # its only way straight to the root is BLUE's only way
            red[host], costs[host] = self._cheapest(host, self._lower[host], home, costs)
        blue: dict[int, int] = {}
        costs = {}
        for host in reversed(self._others):
            home = self._home(host)
            if home != [red[host]] or self._higher[host]:
                home = [edge for edge in home if edge != red[host]]
            blue[host], costs[host] = self._cheapest(host, self._higher[host], home, costs)
        return [(host, red[host], blue[host]) for host in self._others]

    def _home(self, host: int) -> list[int]:
        """Edges that lead straight to the root; both colours may, if not by the same one."""
        return self._between.get((host, self._root), [])

    def _cheapest(
        self, host: int, onward: list[int], home: list[int], costs: Mapping[int, float]
    ) -> tuple[int, float]:
        """The edge of the cheapest way on, and what that costs."""
        ways = [(self._weight[edge], edge) for edge in home[:1]]
        for to in onward:
            edge = self._between[host, to][0]
            ways.append((self._weight[edge] + costs[to], edge))
        cost, edge = min(ways)
        return edge, cost
