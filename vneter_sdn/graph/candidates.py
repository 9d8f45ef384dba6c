# SPDX-License-Identifier: Apache-2.0
"""At most so many paths for each demand, over which traffic fits nearly as well as over all.

How few paths suffice is NP-hard to say, so this is a heuristic, held against the bound: a vertex of
the linear program over paths has at most E more shares than demands, so few demands have more than
they may. Those keep their largest, the rest is solved again. Where that costs something, paths that
are cheap by the prices of full edges join (column generation: Ford and Fulkerson, "A Suggested
Computation for Maximal Multi-Commodity Network Flows", 1958), and it is done again.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vneter_sdn.graph.multicommodity import Division, Optimum, balanced
from vneter_sdn.graph.traffic import Arcs, Demand

Routes = list[tuple[int, ...]]
"""Paths of one demand, as indices of edges."""

_NOTHING = 1e-7
_GOOD = 1e-3
"""Over the bound: nothing is worth more search."""
_ROUNDS = 8


def candidates(
    arcs: Arcs, demands: Sequence[Demand], every: list[Routes], bound: float, count: int
) -> list[Routes]:
    """At most so many paths for each demand, found among given ones and around them.

    Args:
        arcs: the graph.
        demands: routable ones.
        every: for each demand paths, over all of which traffic fits as well as it can.
        bound: how full the fullest edge is then.
        count: paths of each demand, at most.
    """
    if max(map(len, every), default=0) <= count:
        return every
    kept, least = _fewer(arcs, demands, every, count)
    best, found = least.utilisation, kept
    for _ in range(_ROUNDS):
        if best <= bound * (1 + _GOOD):
            break
        pool = _cheaper(arcs, demands, kept, least.prices)
        if pool == kept:
            break
        kept, least = _fewer(arcs, demands, pool, count)
        if least.utilisation < best:
            best, found = least.utilisation, kept
    return found


def parts(arcs: Arcs, demands: Sequence[Demand], bound: Optimum) -> list[Routes]:
    """The paths that an optimum is made of, those that carry most first."""
    row = {source: n for n, source in enumerate(bound.sources)}
    left = bound.flow.copy()
    into: list[list[int]] = [[] for _ in range(arcs.size)]
    for number, head in enumerate(arcs.head):
        into[int(head)].append(number)
    rest = arcs.distances(arcs.cost)
    found = []
    for demand in demands:
        flow = left[row[arcs.start[demand.source]]]
        carried = _decomposed(arcs, demand, flow, into)
        if not carried:  # what rounding of the solver left of a tiny demand among huge ones
            start, end = arcs.start[demand.source], arcs.end[demand.target]
            carried[arcs.shortest(arcs.cost, rest[:, end], start)] = demand.mbps
        found.append(sorted(carried, key=lambda path: (-carried[path], path)))
    return found


def _fewer(
    arcs: Arcs, demands: Sequence[Demand], paths: Sequence[Routes], count: int
) -> tuple[list[Routes], Division]:
    """Those that carry something, at most so many of each demand, and the best shares of them."""
    kept = list(paths)
    while True:
        least = balanced(arcs, demands, kept)
        used = [int((shares > _NOTHING).sum()) for shares in least.shares]
        order = [np.argsort(-shares, kind="stable") for shares in least.shares]
        if max(used) <= count:
            most = [max(1, number) for number in used]
            chosen = zip(kept, order, most, strict=True)
            return [[each[n] for n in by[:many]] for each, by, many in chosen], least
        for place, number in enumerate(used):
            if number > count:
                kept[place] = [kept[place][n] for n in order[place][:count]]


def _cheaper(
    arcs: Arcs, demands: Sequence[Demand], paths: Sequence[Routes], prices: NDArray[np.float64]
) -> list[Routes]:
    """The same and, for each demand, the path over the least full edges, where that is another."""
    cheapest = 1e-6 * float(prices.max() or 1.0) / float(arcs.cost.max())
    weight = prices + cheapest * arcs.cost
    rest = arcs.distances(weight)
    found = []
    for demand, each in zip(demands, paths, strict=True):
        start, end = arcs.start[demand.source], arcs.end[demand.target]
        path = arcs.shortest(weight, rest[:, end], start)
        found.append(each if path in each else [*each, path])
    return found


def _decomposed(
    arcs: Arcs, demand: Demand, flow: NDArray[np.float64], into: list[list[int]]
) -> dict[tuple[int, ...], float]:
    """Paths of a flow that carry one demand, with what each carries; that is taken off the flow.

    From the target back to the source by the widest edge: a flow of least cost has no cycles.
    """
    source, target = arcs.start[demand.source], arcs.end[demand.target]
    left, parts = demand.mbps, dict[tuple[int, ...], float]()
    while left > _NOTHING * demand.mbps:
        path: list[int] = []
        node = target
        while node != source and into[node] and len(path) <= arcs.size:
            edge = max(into[node], key=lambda n: float(flow[n]))
            path.append(edge)
            node = int(arcs.tail[edge])
        width = min(left, *(float(flow[edge]) for edge in path)) if path else 0.0
        if node != source or width <= _NOTHING * demand.mbps:
            break
        flow[path] -= width
        left -= width
        route = tuple(reversed(path))
        parts[route] = parts.get(route, 0.0) + width
    return parts
