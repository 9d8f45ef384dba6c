# SPDX-License-Identifier: Apache-2.0
"""Traffic engineering: the paths and integer weights that keep the fullest edge as empty as can be.

::

    demands ─► optimum over all routings ─► its paths, at most k per demand ─► best shares of these
            ─► integer weights ─► repair of what rounding cost

The optimum over all routings is also the bound that the result is held against.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vneter_sdn.graph.candidates import Routes, candidates, parts
from vneter_sdn.graph.generation import generated, is_large
from vneter_sdn.graph.multicommodity import divide, divide_again, optimum
from vneter_sdn.graph.topology import Edge, Topology
from vneter_sdn.graph.traffic import Arcs, Demand, Loads, shortest_path_loads

PATHS = 8
WEIGHTS = 256
"""Sum of the weights of a demand: Open vSwitch spreads by 256 hash values at most."""
_TRIES = 16_000


@dataclass(frozen=True, slots=True)
class PlannedPath:
    """One path of one demand, and its integer weight among them."""

    demand: Demand
    edges: tuple[Edge, ...]
    weight: int
    share: float
    """The weight over the sum of weights of the demand."""

    @property
    def nodes(self) -> tuple[str, ...]:
        """From source to target."""
        return (self.edges[0].source, *(edge.target for edge in self.edges))

    @property
    def mbps(self) -> float:
        """Traffic on it."""
        return self.demand.mbps * self.share


@dataclass(frozen=True, slots=True)
class Comparison:
    """Highest utilisation of any edge, 0 to 1 and above, by how traffic is routed."""

    shortest_path: float
    ecmp: float
    ours: float
    lp_bound: float


@dataclass(frozen=True, slots=True)
class Plan:
    """How all demands are to be routed."""

    paths: tuple[PlannedPath, ...]
    utilisation: Comparison
    loads: tuple[tuple[Edge, float], ...]
    """Mbit/s on every edge, the fullest first."""
    unrouted: tuple[Demand, ...]
    """Demands that have no way."""
    moved: int
    """Paths whose weight differs from the plan before; all of them when there was none."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a plan has to keep to."""

    paths: int = PATHS
    """Of each demand, at most."""
    weights: int = WEIGHTS
    """Sum of the weights of each demand."""
    moves: int | None = None
    """Paths whose weight may differ from the plan before; any number when None."""


def engineer(
    topology: Topology,
    demands: Iterable[Demand],
    limits: Limits = Limits(),
    before: Sequence[PlannedPath] = (),
    aside: Collection[str] = (),
) -> Plan:
    """Route demands for the least maximum utilisation.

    Polynomial: two linear programs of V E variables, two of k paths per demand. With a bound on
    moves a mixed-integer one takes the place of the last two, and its search is bounded in time.

    Args:
        topology: the graph; edges without a capacity count as `traffic.ASSUMED_CAPACITY`.
        demands: who sends how much to whom; those of one pair are summed.
        limits: what to keep to.
        before: the plan that is in force; paths that are gone from the graph do not count.
        aside: vertices that carry nobody else's traffic.

    Raises:
        VneterError: the solver failed.
    """
    arcs = Arcs(topology, aside)
    routed, unrouted = arcs.routable(demands)
    bound, every = _best(arcs, routed)
    paths = candidates(arcs, routed, every, bound, limits.paths)
    old = _known(arcs, before)
    if limits.moves is None or not old:
        shares = divide(arcs, routed, paths) if routed else []
        weights = [_rounded(share, limits.weights) for share in shares]
        _settle(arcs, routed, paths, weights, limits.weights)
    else:
        paths = [
            _joined(each, old.get(_pair(d), {})) for d, each in zip(routed, paths, strict=True)
        ]
        weights = _moved(arcs, routed, paths, old, limits)
    planned, loads, moved = _planned(arcs, routed, paths, weights, old)
    comparison = _compared(arcs, routed, loads, bound)
    order = sorted(range(len(arcs.edges)), key=lambda n: (-loads[n] / arcs.capacity[n], n))
    filled = tuple((arcs.edges[n], float(loads[n])) for n in order)
    return Plan(planned, comparison, filled, tuple(unrouted), moved)


def _best(arcs: Arcs, demands: Sequence[Demand]) -> tuple[float, list[Routes]]:
    """The least utilisation over all routings, and paths over which it can be had."""
    if is_large(arcs, demands):
        return generated(arcs, demands)
    best = optimum(arcs, demands)
    return best.utilisation, parts(arcs, demands, best)


def _compared(arcs: Arcs, demands: Sequence[Demand], ours: Loads, bound: float) -> Comparison:
    """The bound is exact to what a solver is; no routing that there is may be below it."""
    found = (
        arcs.utilisation(shortest_path_loads(arcs, demands, spread=False)),
        arcs.utilisation(shortest_path_loads(arcs, demands, spread=True)),
        arcs.utilisation(ours),
    )
    return Comparison(*found, min(bound, *found))


def _pair(demand: Demand) -> tuple[str, str]:
    return demand.source, demand.target


def _rounded(shares: NDArray[np.float64], total: int) -> list[int]:
    """Integers in proportion to shares, that sum to ``total``: the largest remainder."""
    exact = shares / shares.sum() * total
    floor = np.floor(exact + 1e-9).astype(int)
    for n in np.argsort(floor - exact, kind="stable")[: total - int(floor.sum())]:
        floor[n] += 1
    return [int(weight) for weight in floor]


def _settle(
    arcs: Arcs,
    demands: Sequence[Demand],
    paths: Sequence[Routes],
    weights: list[list[int]],
    total: int,
) -> None:
    """Move single units of weight off the fullest edge while that makes it less full."""
    loads = _loads(arcs, demands, paths, weights, total)
    users: dict[int, list[tuple[int, int]]] = {}
    for n, routes in enumerate(paths):
        for one, route in enumerate(routes if len(routes) > 1 else ()):
            for edge in route:
                users.setdefault(edge, []).append((n, one))
    for _ in range(_TRIES):
        if not users:
            return
        fullest = int((loads / arcs.capacity).argmax())
        moves = (
            (_peak(arcs, loads, demands[n].mbps / total, paths[n][one], instead), n, one, other)
            for n, one in users.get(fullest, ())
            if weights[n][one]
            for other, instead in enumerate(paths[n])
            if fullest not in instead
        )
        peak, n, one, other = min(moves, default=(np.inf, 0, 0, 0))
        if peak >= loads[fullest] / arcs.capacity[fullest] - 1e-12:
            return
        unit = demands[n].mbps / total
        weights[n][one] -= 1
        weights[n][other] += 1
        loads[list(paths[n][one])] -= unit
        loads[list(paths[n][other])] += unit


def _peak(
    arcs: Arcs, loads: Loads, unit: float, route: tuple[int, ...], instead: tuple[int, ...]
) -> float:
    """How full the fullest edge of a path gets that takes over a unit of traffic from another."""
    rising = [edge for edge in instead if edge not in route]
    return max((float((loads[e] + unit) / arcs.capacity[e]) for e in rising), default=0.0)


def _loads(
    arcs: Arcs,
    demands: Sequence[Demand],
    paths: Sequence[Routes],
    weights: Sequence[Sequence[int]],
    total: int,
) -> Loads:
    loads = np.zeros(len(arcs.edges))
    for demand, routes, each in zip(demands, paths, weights, strict=True):
        for route, weight in zip(routes, each, strict=True):
            loads[list(route)] += demand.mbps * weight / total
    return loads


_Known = dict[tuple[str, str], dict[tuple[int, ...], int]]


def _known(arcs: Arcs, before: Sequence[PlannedPath]) -> _Known:
    """Weights of the plan before, of those paths that are still there."""
    old: _Known = {}
    for path in before:
        route = tuple(arcs.number.get(edge.name, -1) for edge in path.edges)
        if path.weight and -1 not in route:
            old.setdefault(_pair(path.demand), {})[route] = path.weight
    return old


def _joined(new: Routes, old: dict[tuple[int, ...], int]) -> Routes:
    return [*old, *(route for route in new if route not in old)]


def _moved(
    arcs: Arcs, demands: Sequence[Demand], paths: Sequence[Routes], old: _Known, limits: Limits
) -> list[list[int]]:
    """Weights with at most so many changes. A demand that has lost all its paths is a new one."""
    before = []
    for demand, routes in zip(demands, paths, strict=True):
        held = old.get(_pair(demand), {})
        shares = np.array([float(held.get(route, 0)) for route in routes])
        if not shares.sum():
            shares[0] = 1.0
        before.append(_rounded(shares, limits.weights))
    fractions = [[weight / limits.weights for weight in each] for each in before]
    again = divide_again(arcs, demands, paths, fractions, limits.moves or 0)
    after = []
    for shares, each in zip(again, before, strict=True):
        changed = np.abs(shares * limits.weights - each) > 0.5
        after.append(_rounded_where(shares, each, changed, limits.weights))
    return after


def _rounded_where(
    shares: NDArray[np.float64], before: Sequence[int], changed: NDArray[np.bool_], total: int
) -> list[int]:
    """Round those shares that changed, so that the others keep their weights to the unit."""
    if changed.sum() < 2:
        return list(before)
    kept = sum(weight for weight, moved in zip(before, changed, strict=True) if not moved)
    new = iter(_rounded(shares[changed], total - kept))
    return [next(new) if moved else weight for weight, moved in zip(before, changed, strict=True)]


def _planned(
    arcs: Arcs,
    demands: Sequence[Demand],
    paths: Sequence[Routes],
    weights: Sequence[Sequence[int]],
    old: _Known,
) -> tuple[tuple[PlannedPath, ...], Loads, int]:
    """The paths that carry something, what is on every edge, and how many differ from before."""
    planned, moved = [], 0
    loads = np.zeros(len(arcs.edges))
    for demand, routes, each in zip(demands, paths, weights, strict=True):
        held, total = old.get(_pair(demand), {}), sum(each)
        was = sum(held.values()) or 1
        for route, weight in zip(routes, each, strict=True):
            moved += weight * was != held.get(route, 0) * total
            if weight:
                edges = tuple(arcs.edges[n] for n in route)
                planned.append(PlannedPath(demand, edges, weight, weight / total))
                loads[list(route)] += demand.mbps * weight / total
    return tuple(planned), loads, moved
