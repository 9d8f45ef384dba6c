# SPDX-License-Identifier: Apache-2.0
"""Repairs that arrive though some edges have failed, for many hosts of one target."""

from __future__ import annotations

from collections.abc import Collection

from vneter_sdn.graph.redundant import Redundant
from vneter_sdn.graph.topology import Edge
from vneter_sdn.pipeline.locator import BLUE, RED

_STUCK = -1


class Lasting:
    """What `Redundant.repair` says, of the ways that reach the target though edges have failed.

    Paths of one target run together, and what is found out about one host holds for all behind it:
    all hosts of a target take O(V) and, for each, the edges to the far end of the one it repairs.

    Args:
        both: the trees towards the target.
        failed: names of edges.
    """

    def __init__(self, both: Redundant, failed: Collection[str]) -> None:
        self._both, self._failed = both, failed
        self._depths: dict[int, dict[str, int]] = {RED: {both.target: 0}, BLUE: {both.target: 0}}
        """By colour and host: how many edges it is to the target, `_STUCK` where one failed."""

    def repair(self, host: str, primary: Edge) -> tuple[int, Edge] | None:
        """The repair of a host's edge; one that keeps away from the edge's far end, if there is."""
        if not self._failed:
            return self._both.repair(host, primary)
        lesser = None
        for colour in (RED, BLUE):
            avoids = self._avoids(colour, host, primary)
            if avoids is None:
                continue
            found = colour, self._both.tree(colour)[host]
            if avoids:
                return found
            lesser = lesser or found
        return lesser

    def _avoids(self, colour: int, host: str, primary: Edge) -> bool | None:
        """Whether a way keeps away from the far end of an edge; None if it does not arrive."""
        depth = self._depth(colour, host)
        if depth == _STUCK:
            if colour == BLUE:
                return None
            way = self._both.way(colour, host, {*self._failed, primary.name, primary.reverse})
            return all(edge.target != primary.target for edge in way) if way else None
        if depth == 0 or self._both.tree(colour)[host].name == primary.name:
            return None
        return not self._passes(colour, host, primary.target)

    def _passes(self, colour: int, host: str, other: str) -> bool:
        """Whether the path of a host, which is known to arrive, leads over another host."""
        depths, tree = self._depths[colour], self._both.tree(colour)
        above = depths.get(other, _STUCK)
        if above == _STUCK:
            return False
        for _ in range(depths[host] - above):
            host = tree[host].target
        return host == other

    def _depth(self, colour: int, host: str) -> int:
        depths, tree = self._depths[colour], self._both.tree(colour)
        trail = []
        while (depth := depths.get(host)) is None:
            edge = tree.get(host)
            if edge is None or edge.name in self._failed:
                depth = depths[host] = _STUCK
                break
            trail.append(host)
            host = edge.target
        for passed in reversed(trail):
            depth = depths[passed] = depth if depth == _STUCK else depth + 1
        return depth
