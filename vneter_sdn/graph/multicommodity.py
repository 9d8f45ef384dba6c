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
from scipy.optimize import Bounds, LinearConstraint, linprog, milp
from scipy.sparse import coo_array, csr_array, eye_array, hstack, vstack

from vneter_sdn.errors import VneterError
from vneter_sdn.graph.traffic import Arcs, Demand

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


def optimum(arcs: Arcs, demands: Sequence[Demand]) -> Optimum:
    """Solve over all routings; among the best ones take one of least total cost.

    Args:
        arcs: the graph.
        demands: routable ones, one for each pair.

    Raises:
        VneterError: the solver failed.
    """
    if not demands:
        return Optimum(0.0, np.zeros((0, len(arcs.edges))), ())
    sources = tuple(sorted({arcs.index[demand.source] for demand in demands}))
    balance, sent = _balance(arcs, demands, sources)
    edges, kinds = len(arcs.edges), len(sources)
    scale = float(arcs.capacity.max())
    total = csr_array(hstack([eye_array(edges, format="csr")] * kinds))
    limit = csr_array(-(arcs.capacity / scale).reshape(-1, 1))
    equal = hstack([balance, csr_array((balance.shape[0], 1))])
    least = _solve(
        np.append(np.zeros(edges * kinds), 1.0), hstack([total, limit]), None, equal, sent / scale
    )
    best = float(least[-1])
    cost = np.tile(arcs.cost, kinds)
    room = arcs.capacity / scale * best * (1 + SLACK)
    flow = _solve(cost, total, room, balance, sent / scale)
    return Optimum(best, flow.reshape(kinds, edges) * scale, sources)


def _balance(
    arcs: Arcs, demands: Sequence[Demand], sources: tuple[int, ...]
) -> tuple[csr_array, NDArray[np.float64]]:
    """By source, at every other node: what comes in less what goes out is what that is sent."""
    nodes, edges = len(arcs.nodes), len(arcs.edges)
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
        wanted[at[arcs.index[demand.source]], arcs.index[demand.target]] += demand.mbps
    rows, right = [], []
    for number, source in enumerate(sources):
        keep = np.arange(nodes) != source
        blocks = [csr_array((nodes - 1, edges))] * len(sources)
        blocks[number] = one[keep]
        rows.append(hstack(blocks))
        right.append(wanted[number][keep])
    return csr_array(vstack(rows)), np.concatenate(right)


def _solve(
    cost: NDArray[np.float64],
    at_most: csr_array,
    room: NDArray[np.float64] | None,
    equal: csr_array,
    right: NDArray[np.float64],
) -> NDArray[np.float64]:
    room = np.zeros(at_most.shape[0]) if room is None else room
    method = "highs-ipm" if len(cost) > LARGE else "highs"
    done = linprog(cost, A_ub=at_most, b_ub=room, A_eq=equal, b_eq=right, method=method)
    if done.x is None:
        raise VneterError(f"the linear program was not solved: {done.message}")
    return np.asarray(done.x)


def divide(
    arcs: Arcs, demands: Sequence[Demand], paths: Sequence[Sequence[Sequence[int]]]
) -> list[NDArray[np.float64]]:
    """The best shares of given paths: least maximum utilisation, then least cost.

    Args:
        arcs: the graph.
        demands: routable ones.
        paths: for each demand its paths, as indices of edges; at least one each.

    Returns:
        For each demand the shares of its paths; they sum to 1.
    """
    uses, owner = _incidence(arcs, demands, paths)
    equal = coo_array(
        (np.ones(len(owner)), (owner, np.arange(len(owner)))), shape=(len(demands), len(owner))
    ).tocsr()
    ones = np.ones(len(demands))
    least = _solve(
        np.append(np.zeros(len(owner)), 1.0),
        hstack([uses, csr_array(-np.ones((len(arcs.edges), 1)))]),
        None,
        hstack([equal, csr_array((len(demands), 1))]),
        ones,
    )
    room = np.full(len(arcs.edges), float(least[-1]) * (1 + SLACK) + 1e-12)
    volume = np.array([d.mbps for d in demands])[owner]
    length = np.array([arcs.cost[list(path)].sum() for each in paths for path in each])
    shares = _solve(volume * length / volume.sum(), uses, room, equal, ones)
    ends = np.cumsum([len(each) for each in paths])[:-1]
    return [np.clip(part, 0.0, 1.0) for part in np.split(shares, ends)]


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
    uses, owner = _incidence(arcs, demands, paths)
    count, old = len(owner), np.concatenate([np.asarray(each, dtype=float) for each in before])
    equal = coo_array((np.ones(count), (owner, np.arange(count))), shape=(len(demands), count))
    eye, zero = eye_array(count, format="csr"), csr_array((count, 1))
    column = csr_array(-np.ones((len(arcs.edges), 1)))
    none = csr_array((len(demands), count + 1))
    may = csr_array(np.concatenate([np.zeros(count), np.ones(count), [0.0]]).reshape(1, -1))
    limits = [
        LinearConstraint(hstack([uses, csr_array((len(arcs.edges), count)), column]), -np.inf, 0.0),
        LinearConstraint(hstack([equal.tocsr(), none]), 1.0, 1.0),
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
    ends = np.cumsum([len(each) for each in paths])[:-1]
    return [np.clip(part, 0.0, 1.0) for part in np.split(shares, ends)]
