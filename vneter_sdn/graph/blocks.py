# SPDX-License-Identifier: Apache-2.0
"""Blocks of an undirected graph, and an order of each in which nobody is at a dead end.

Hosts are numbers here, and the graph says of each which others it is joined to.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

Neighbours = list[list[int]]
"""By host: the hosts it is joined to, each once."""


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """A largest part that the loss of no single host takes apart; two joined hosts at least."""

    number: int
    neighbours: dict[int, list[int]]
    """By host of the block: its neighbours within the block."""
    thinned: dict[int, list[int]]
    """The same with only so many edges that the loss of a host still does not take it apart."""


def blocks(neighbours: Neighbours) -> Iterator[Block]:
    """The blocks of a graph. O(V + E) (Hopcroft and Tarjan 1973)."""
    entered = [-1] * len(neighbours)
    number = 0
    for start in range(len(neighbours)):
        if entered[start] < 0:
            for members in _component(neighbours, start, entered):
                inside = set(members)
                within = {at: [to for to in neighbours[at] if to in inside] for at in members}
                yield Block(number, within, _thinned(within))
                number += 1


def _component(neighbours: Neighbours, start: int, entered: list[int]) -> Iterator[list[int]]:
    """The hosts of each block of one connected part, the block's entrance last.

    A child from whose subtree nothing leads above its parent ends a block there. ``low`` of a host
    is the earliest that its subtree is joined to.
    """
    entered[start] = clock = 0
    low = {start: 0}
    open_: list[int] = []
    place: dict[int, int] = {}
    way = [(start, iter(neighbours[start]))]
    while way:
        at, others = way[-1]
        parent = way[-2][0] if len(way) > 1 else -1
        for to in others:
            if entered[to] < 0:
                clock += 1
                entered[to] = low[to] = clock
                place[to] = len(open_)
                open_.append(to)
                way.append((to, iter(neighbours[to])))
                break
            if to != parent:
                low[at] = min(low[at], entered[to])
        else:
            way.pop()
            if parent >= 0:
                low[parent] = min(low[parent], low[at])
                if low[at] >= entered[parent]:
                    yield [*open_[place[at] :], parent]
                    del open_[place[at] :]


def _thinned(neighbours: dict[int, list[int]]) -> dict[int, list[int]]:
    """Twice as many edges as hosts at most, that hold a block together as all of them do.

    Those of a breadth-first forest, and of another one over what the first leaves (Cheriyan, Kao
    and Thurimella, "Scan-first search and sparse certificates", 1993). O(V + E).
    """
    if sum(map(len, neighbours.values())) <= 4 * len(neighbours):
        return neighbours
    kept: dict[int, set[int]] = {host: set() for host in neighbours}
    for _ in range(2):
        for near, far in _forest(neighbours, kept):
            kept[near].add(far)
            kept[far].add(near)
    return {host: [to for to in others if to in kept[host]] for host, others in neighbours.items()}


def _forest(
    neighbours: dict[int, list[int]], without: dict[int, set[int]]
) -> list[tuple[int, int]]:
    """A breadth-first forest of the edges that are not among some."""
    found, met = [], set()
    for start in neighbours:
        if start not in met:
            met.add(start)
            front = deque([start])
            while front:
                near = front.popleft()
                for far in neighbours[near]:
                    if far not in met and far not in without[near]:
                        met.add(far)
                        front.append(far)
                        found.append((near, far))
    return found


def st_order(block: Block, root: int) -> Sequence[int]:
    """The hosts of a block, from the root on, each with a neighbour before it and one after it.

    The root has none before it, the last has none after it but the root. O(V) (Tarjan 1986):
    hosts are met depth first; each is put beside its parent, on that side of it on which the
    earliest host is that the subtree is joined to.
    """
    parent, low, met = _explored(block, root)
    after: dict[int, int] = {root: met[1], met[1]: -1}
    before: dict[int, int] = {root: -1, met[1]: root}
    low_is_before = {root: True}
    for host in met[2:]:
        beside = parent[host]
        if low_is_before[low[host]]:
            near, far = before[beside], beside
        else:
            near, far = beside, after[beside]
        low_is_before[beside] = not low_is_before[low[host]]
        before[host], after[host] = near, far
        after[near] = host
        if far >= 0:
            before[far] = host
    order = [root]
    while (following := after[order[-1]]) >= 0:
        order.append(following)
    return order


def _explored(block: Block, root: int) -> tuple[dict[int, int], dict[int, int], list[int]]:
    """Depth first from the root: every host's parent and earliest reach, and the order met in."""
    parent, low, met = {root: -1}, {root: root}, [root]
    entered = {root: 0}
    way = [(root, iter(block.thinned[root]))]
    while way:
        at, others = way[-1]
        for to in others:
            if to not in entered:
                entered[to] = len(met)
                parent[to], low[to] = at, to
                met.append(to)
                way.append((to, iter(block.thinned[to])))
                break
            if to != parent[at] and entered[to] < entered[low[at]]:
                low[at] = to
        else:
            way.pop()
            above = parent[at]
            if above >= 0 and entered[low[at]] < entered[low[above]]:
                low[above] = low[at]
    return parent, low, met
