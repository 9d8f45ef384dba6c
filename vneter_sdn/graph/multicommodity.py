# SPDX-License-Identifier: Apache-2.0
"""Linear programs of traffic engineering: least maximum utilisation, over any paths or given ones.

The multi-commodity flow problem (Ahuja, Magnanti, Orlin, "Network Flows", 1993, §17), solved by
HiGHS through scipy. Commodities are grouped by source, which leaves V² balance constraints
instead of V³ and changes no optimum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, OptimizeResult, linprog, milp
from scipy.sparse import block_diag, coo_array, csr_array, diags_array, eye_array, hstack

from vneter_sdn.errors import VneterError
from vneter_sdn.graph.traffic import Arcs, Demand, shortest_path_loads

SLACK = 1e-4
"""How much of the optimum is given up to leave out detours that do not lower it."""
LARGE = 20_000
"""Variables from which on the interior-point method is quicker than the simplex (measured)."""
MOVE_SECONDS = 10.0
"""How long the search for the best bounded change may take; the best found so far counts."""


@dataclass(frozen=True, slots=True)
class Optimum:
    """The least maximum utilisation that any routing can have, and a routing that has it."""

    utilisation: float
    flow: NDArray[np.float64]
    """Mbit/s, by index of the source among `sources`, and of the edge."""
    sources: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Division:
    """The best shares of given paths."""

    utilisation: float
    shares: list[NDArray[np.float64]]
    """Of each demand, by path; they sum to 1."""
    prices: NDArray[np.float64]
    """By edge: how much the utilisation rises with a unit of traffic there."""


def optimum(arcs: Arcs, demands: Sequence[Demand]) -> Optimum:
    """Solve over all routings; among the best ones take one of least total cost.

    What a source sends is counted in its largest demand, and how full an edge is in what ECMP makes
    of the fullest: numbers near 1, whatever the units, for solvers are exact to 1e-7 only.

    Args:
        arcs: the graph.
        demands: routable ones, one for each pair.

    Raises:
        VneterError: the solver failed.
    """
    if not demands:
        return Optimum(0.0, np.zeros((0, len(arcs.edges))), ())
    sources = tuple(sorted({arcs.start[demand.source] for demand in demands}))
    balance, sent, volume = _balance(arcs, demands, sources)
    edges, kinds = len(arcs.edges), len(sources)
    likely = arcs.utilisation(shortest_path_loads(arcs, demands, spread=True))
    room = arcs.capacity * likely
    total = csr_array(hstack([diags_array(one / room, format="csr") for one in volume]))
    equal = hstack([balance, csr_array((balance.shape[0], 1))])
    full = csr_array(-np.ones((edges, 1)))
    wish = np.append(np.zeros(edges * kinds), 1.0)
    least = _solve(wish, hstack([total, full]), np.zeros(edges), equal, sent).x
    best = max(float(least[-1]), 0.0)
    cost = np.tile(arcs.cost, kinds) * np.repeat(np.maximum(volume / volume.max(), 1e-4), edges)
    flow = _solve(cost, total, np.full(edges, best * (1 + SLACK) + 1e-9), balance, sent).x
    return Optimum(best * likely, flow.reshape(kinds, edges) * volume[:, None], sources)


def _balance(
    arcs: Arcs, demands: Sequence[Demand], sources: tuple[int, ...]
) -> tuple[csr_array, NDArray[np.float64], NDArray[np.float64]]:
    """By source, at every other node: what comes in less what goes out is what that is sent.

    The latter in the largest demand of the source, which comes last, in Mbit/s.
    """
    nodes, edges = arcs.size, len(arcs.edges)
    numbers = np.arange(edges)
    one = coo_array(
        (
            np.concatenate([np.ones(edges), -np.ones(edges)]),
            (np.concatenate([arcs.head, arcs.tail]), np.concatenate([numbers, numbers])),
        ),
        shape=(nodes, edges),
    ).tocsr()
    wanted = np.zeros((len(sources), nodes))
    at = {source: n for n, source in enumerate(sources)}
    for demand in demands:
        wanted[at[arcs.start[demand.source]], arcs.end[demand.target]] += demand.mbps
    volume = wanted.max(axis=1)
    keep = [np.arange(nodes) != source for source in sources]
    right = [wanted[n][kept] / volume[n] for n, kept in enumerate(keep)]
    return block_diag([one[kept] for kept in keep], "csr"), np.concatenate(right), volume


def _solve(
    cost: NDArray[np.float64],
    at_most: csr_array,
    room: NDArray[np.float64],
    equal: csr_array,
    right: NDArray[np.float64],
) -> OptimizeResult:
    """By one method, and by the other where that gets stuck."""
    methods = ("highs-ipm", "highs-ds") if len(cost) > LARGE else ("highs", "highs-ipm")
    for method in methods:
        done = linprog(cost, A_ub=at_most, b_ub=room, A_eq=equal, b_eq=right, method=method)
        if done.x is not None:
            return done
    raise VneterError(f"the linear program was not solved: {done.message}")


def balanced(
    arcs: Arcs, demands: Sequence[Demand], paths: Sequence[Sequence[Sequence[int]]]
) -> Division:
    """The least maximum utilisation over given paths; in few shares, at most E more than demands.

    Args:
        arcs: the graph.
        demands: routable ones.
        paths: for each demand its paths, as indices of edges; at least one each.

    Raises:
        VneterError: the solver failed.
    """
    uses, equal, likely = _program(arcs, demands, paths)
    full = csr_array(-np.ones((len(arcs.edges), 1)))
    done = _solve(
        np.append(np.zeros(uses.shape[1]), 1.0),
        hstack([uses, full]),
        np.zeros(len(arcs.edges)),
        hstack([equal, csr_array((len(demands), 1))]),
        np.ones(len(demands)),
    )
    prices = np.maximum(0.0, -np.asarray(done.ineqlin.marginals)) / arcs.capacity
    return Division(max(float(done.x[-1]), 0.0) * likely, _parted(done.x[:-1], paths), prices)


def divide(
    arcs: Arcs, demands: Sequence[Demand], paths: Sequence[Sequence[Sequence[int]]]
) -> list[NDArray[np.float64]]:
    """The best shares of given paths: least maximum utilisation, then least cost.

    Takes and raises what `balanced` does.

    Returns:
        For each demand the shares of its paths; they sum to 1.
    """
    least = balanced(arcs, demands, paths).utilisation
    uses, equal, likely = _program(arcs, demands, paths)
    room = np.full(len(arcs.edges), least / likely * (1 + SLACK) + 1e-9)
    owner = [n for n, each in enumerate(paths) for _ in each]
    volume = np.array([d.mbps for d in demands])
    weight = np.maximum(volume / volume.max(), 1e-4)[owner]
    length = np.array([arcs.cost[list(path)].sum() for each in paths for path in each])
    return _parted(_solve(weight * length, uses, room, equal, np.ones(len(demands))).x, paths)


def _parted(
    shares: NDArray[np.float64], paths: Sequence[Sequence[Sequence[int]]]
) -> list[NDArray[np.float64]]:
    ends = np.cumsum([len(each) for each in paths])[:-1]
    return [np.clip(part, 0.0, 1.0) for part in np.split(shares, ends)]


def _program(
    arcs: Arcs, demands: Sequence[Demand], paths: Sequence[Sequence[Sequence[int]]]
) -> tuple[csr_array, csr_array, float]:
    """How full each share makes each edge, what sums to 1, and the unit of the former.

    That is how full the fullest edge is when every demand takes its first path.
    """
    uses, owner = _incidence(arcs, demands, paths)
    count = len(owner)
    equal = coo_array((np.ones(count), (owner, np.arange(count))), shape=(len(demands), count))
    first = np.concatenate([[1.0] + [0.0] * (len(each) - 1) for each in paths])
    likely = float((uses @ first).max())
    return csr_array(uses / likely), equal.tocsr(), likely


def _incidence(
    arcs: Arcs, demands: Sequence[Demand], paths: Sequence[Sequence[Sequence[int]]]
) -> tuple[csr_array, NDArray[np.int64]]:
    """Utilisation of every edge per share of every path; and whose path it is."""
    rows: list[int] = []
    columns: list[int] = []
    values: list[float] = []
    owner: list[int] = []
    for number, (demand, each) in enumerate(zip(demands, paths, strict=True)):
        for path in each:
            for edge in path:
                rows.append(edge)
                columns.append(len(owner))
                values.append(demand.mbps / arcs.capacity[edge])
            owner.append(number)
    shape = (len(arcs.edges), len(owner))
    return coo_array((values, (rows, columns)), shape=shape).tocsr(), np.array(owner, dtype=int)


def divide_again(
    arcs: Arcs,
    demands: Sequence[Demand],
    paths: Sequence[Sequence[Sequence[int]]],
    before: Sequence[Sequence[float]],
    moves: int,
) -> list[NDArray[np.float64]]:
    """`divide`, with at most so many shares that differ from those before.

    A mixed-integer program with one switch per path; when it takes longer than `MOVE_SECONDS`, the
    best answer found until then counts, and standing still is always one.

    Args:
        arcs: the graph.
        demands: routable ones.
        paths: for each demand its paths, as indices of edges; at least one each.
        before: the shares now, for each path; each demand's sum to 1.
        moves: how many shares may change.
    """
    uses, equal, _ = _program(arcs, demands, paths)
    count = uses.shape[1]
    old = np.concatenate([np.asarray(each, dtype=float) for each in before])
    eye, zero = eye_array(count, format="csr"), csr_array((count, 1))
    column = csr_array(-np.ones((len(arcs.edges), 1)))
    none = csr_array((len(demands), count + 1))
    may = csr_array(np.concatenate([np.zeros(count), np.ones(count), [0.0]]).reshape(1, -1))
    limits = [
        LinearConstraint(hstack([uses, csr_array((len(arcs.edges), count)), column]), -np.inf, 0.0),
        LinearConstraint(hstack([equal, none]), 1.0, 1.0),
        LinearConstraint(hstack([eye, -eye, zero]), -np.inf, old),
        LinearConstraint(hstack([eye, eye, zero]), old, np.inf),
        LinearConstraint(may, 0, moves),
    ]
    top = np.concatenate([np.ones(2 * count), [np.inf]])
    done = milp(
        np.append(np.zeros(2 * count), 1.0),
        integrality=np.concatenate([np.zeros(count), np.ones(count), [0]]),
        bounds=Bounds(np.zeros(2 * count + 1), top),
        constraints=limits,
        options={"time_limit": MOVE_SECONDS, "mip_rel_gap": 1e-3},
    )
    shares = (
        old if done.x is None else np.where(done.x[count : 2 * count] > 0.5, done.x[:count], old)
    )
    return _parted(shares, paths)
