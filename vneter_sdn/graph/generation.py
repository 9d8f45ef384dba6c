# SPDX-License-Identifier: Apache-2.0
"""The least maximum utilisation of a large network, by column generation.

A program over all edges and sources grows with their product. This one starts from one path per
demand and takes in, round by round, those that are cheaper by the prices of full edges than any
that it has; when there are none it has the optimum over all paths. Any prices at all give a bound
from below (Lagrange's), so that it may also end once that is near enough.

Source: Ford and Fulkerson, "A Suggested Computation for Maximal Multi-Commodity Network Flows",
1958; the bound as in Ahuja, Magnanti, Orlin, "Network Flows", 1993, §16 and §17.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np

from vneter_sdn.graph.candidates import Routes
from vneter_sdn.graph.multicommodity import balanced
from vneter_sdn.graph.traffic import Arcs, Demand, Loads

FROM = 20_000
"""Sources times edges from which on this is the quicker way (measured)."""
DEMANDS = 10
"""Unless there are more demands than one for so many of them (measured)."""
_ROUNDS = 500
_CLOSE = 1e-5
"""How far above the bound the optimum may be to be taken for it."""
_CHEAPER = 1e-7
"""By how much of its price a path has to be cheaper to join."""


def is_large(arcs: Arcs, demands: Sequence[Demand]) -> bool:
    """Whether a program over all edges and sources would be slower.

    Its size does not depend on the number of demands: where all send to all, as in a gravity model,
    it is the quicker one again.
    """
    size = len({demand.source for demand in demands}) * len(arcs.edges)
    return size > max(FROM, DEMANDS * len(demands))


def generated(arcs: Arcs, demands: Sequence[Demand]) -> tuple[float, list[Routes]]:
    """The least maximum utilisation over all routings, and paths over which it can be had.

    A round is a linear program of E + D rows and a Dijkstra from every vertex; there are some tens.

    Args:
        arcs: the graph.
        demands: routable ones, one for each pair; at least one.

    Returns:
        The utilisation, which no routing is below but by what solvers round, and for each demand
        paths, the one of least cost first.

    Raises:
        VneterError: the solver failed.
    """
    start = np.array([arcs.start[demand.source] for demand in demands])
    end = np.array([arcs.end[demand.target] for demand in demands])
    volume = np.array([demand.mbps for demand in demands])
    rest = arcs.distances(arcs.cost)
    paths: list[Routes] = [
        [arcs.shortest(arcs.cost, rest[:, there], int(here))]
        for here, there in zip(start, end, strict=True)
    ]
    bound = 0.0
    for _ in range(_ROUNDS):
        least = balanced(arcs, demands, paths)
        tiny = 1e-9 * float(least.prices.max() or 1.0) / float(arcs.cost.max())
        weight = least.prices + tiny * arcs.cost
        rest = arcs.distances(weight)
        near = rest[start, end]
        bound = max(bound, float(near @ volume) / float(weight @ arcs.capacity))
        dear = near < _cheapest(weight, paths) * (1 - _CHEAPER)
        if not dear.any():
            return least.utilisation, paths
        if least.utilisation <= bound * (1 + _CLOSE):
            break
        for n in np.flatnonzero(dear):
            path = arcs.shortest(weight, rest[:, end[n]], int(start[n]))
            paths[n] += [path] if path not in paths[n] else []
    return bound, paths


def _cheapest(weight: Loads, paths: Sequence[Routes]) -> Loads:
    """For each demand the least weight of its paths."""
    every = list(chain.from_iterable(paths))
    lengths = np.array([len(path) for path in every])
    edges = np.fromiter(chain.from_iterable(every), dtype=np.int64, count=int(lengths.sum()))
    weights = np.add.reduceat(weight[edges], np.append(0, np.cumsum(lengths)[:-1]))
    return np.minimum.reduceat(weights, np.append(0, np.cumsum([len(e) for e in paths])[:-1]))
