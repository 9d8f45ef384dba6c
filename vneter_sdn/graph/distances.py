# SPDX-License-Identifier: Apache-2.0
"""Distances and next hops between all pairs of hosts, as arrays that are kept up to date.

Two matrices, a row for each target: how far every host is from it, and by which edge it goes. From
nothing they take one Dijkstra a target (scipy's, O(V (E + V log V)) in all); where hosts are joined
directly, as in a full mesh of tunnels, most of that is spared: an edge that weighs less than two of
the lightest cannot be beaten.

A change of edges touches only pairs that can notice: those whose path led over an edge that became
heavier (the subtree behind it, per target), and those to which one that became lighter offers as
good a way. Their distances are settled anew from their surroundings, all targets at once, as in
Ramalingam and Reps, "On the computational complexity of dynamic graph problems" (1996), with rounds
of relaxation in place of a heap: O(pairs touched · degree) for each round, and as many rounds as
there are edges on the longest path that changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vneter_sdn.graph.arrays import Arrays, Numbers, Weights

Hops = NDArray[np.int32]
NOWHERE = -1
"""In place of an edge, where there is no way."""
_MOST = 8
"""When more than one pair in so many is touched, starting from nothing is quicker."""
_DENSE = 0.25
"""When more than this share of the pairs is joined by an edge, most may well go by their own."""
_BLOCK = 1 << 21
"""Numbers to be worked on at once, so that memory stays within some tens of megabytes."""
_CROWDED = 64
"""When more than one pair in so many is to be put in order, marking all of them is quicker."""
_NONE: Numbers = np.zeros(0, dtype=np.int64)


@dataclass(slots=True, eq=False)
class Tables:
    """Distances and next hops of one graph."""

    distance: Weights
    """[target, host]: the sum of weights, infinite where there is no way."""
    hop: Hops
    """[target, host]: number of the edge to take, or `NOWHERE`."""


def fresh(graph: Arrays) -> Tables:
    """The tables of a graph, from nothing."""
    size = len(graph.hosts)
    if graph.usable > size * size * _DENSE:
        tables = _direct(graph)
        open_ = np.flatnonzero(tables.hop == NOWHERE)
        open_ = open_[open_ // size != open_ % size]
        if len(open_) <= size * size // _MOST:
            _choose(graph, tables, _settle(graph, tables, open_, _NONE))
            return tables
    tables = Tables(_searched(graph), np.full((size, size), NOWHERE, dtype=np.int32))
    for first in range(0, size, step := max(1, _BLOCK // max(1, len(graph.edges)))):
        _choose_rows(graph, tables, slice(first, first + step))
    return tables


def _searched(graph: Arrays) -> Weights:
    """Dijkstra from every target along the edges turned round."""
    size = len(graph.hosts)
    usable = np.flatnonzero(np.isfinite(graph.weight))
    if not len(usable):
        return np.where(np.eye(size, dtype=bool), 0.0, np.inf)
    # A quarter of a second to import, and of no use where hosts are joined directly.
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import dijkstra

    order = usable[np.lexsort((graph.weight[usable], graph.source[usable], graph.target[usable]))]
    pair = graph.target[order] * size + graph.source[order]
    lightest = order[np.append(True, pair[1:] != pair[:-1])[: len(order)]]
    ends = (graph.target[lightest], graph.source[lightest])
    turned = csr_array((graph.weight[lightest], ends), shape=(size, size))
    return np.ascontiguousarray(dijkstra(turned))


def _direct(graph: Arrays) -> Tables:
    """Those pairs whose own edge cannot be beaten; all others as if there were no way."""
    size = len(graph.hosts)
    distance = np.full((size, size), np.inf)
    hop = np.full((size, size), NOWHERE, dtype=np.int32)
    beatable = 2 * graph.weight.min(initial=np.inf)
    clear = np.flatnonzero(graph.weight < beatable)
    order = clear[np.lexsort((-clear, -graph.weight[clear]))]  # the lightest last, which stays
    distance[graph.target[order], graph.source[order]] = graph.weight[order]
    hop[graph.target[order], graph.source[order]] = order
    np.fill_diagonal(distance, 0.0)
    return Tables(distance, hop)


def _choose_rows(graph: Arrays, tables: Tables, rows: slice) -> None:
    """For every host, the first edge that leads to the targets of these rows as fast as any."""
    distance = tables.distance[rows]
    if not len(graph.edges):
        return
    near, far = distance[:, graph.source], distance[:, graph.target]
    tight = (far + graph.weight == near) & np.isfinite(near)
    count = len(graph.edges)
    first = np.where(tight, np.arange(count, dtype=np.int32), np.int32(count))
    some = np.flatnonzero(np.diff(graph.leaving))
    found = np.minimum.reduceat(first, graph.leaving[some], axis=1)
    tables.hop[rows, some] = np.where(found < count, found, NOWHERE)


def update(old: Arrays, new: Arrays, tables: Tables) -> None:
    """Bring tables up to date with the weights of the same edges.

    Args:
        old: what the tables are of.
        new: the same hosts and edges, with other weights.
        tables: changed in place.
    """
    size, lighter = len(new.hosts), np.flatnonzero(new.weight < old.weight)
    behind = _behind(old, tables, np.flatnonzero(new.weight > old.weight))
    if len(behind) > size * size // _MOST or len(behind) * _degree(new) > 4 * _BLOCK:
        found = fresh(new)
        tables.distance, tables.hop = found.distance, found.hop
    else:
        touched = _settle(new, tables, behind, _offers(new, tables, lighter))
        _choose(new, tables, touched)


def carried(tables: Tables, hosts: Numbers, edges: Numbers) -> Tables:
    """The tables as another numbering has them.

    Args:
        tables: what is known.
        hosts: by new number of a host: the old one, `NOWHERE` for one that was not there.
        edges: by old number of an edge: the new one, `NOWHERE` for one that is no more, which no
            next hop may be.

    Returns:
        Tables in which nothing leads to a host that was not there, nor away from it.
    """
    size = len(hosts)
    distance = np.full((size, size), np.inf)
    hop = np.full((size, size), NOWHERE, dtype=np.int32)
    here = np.flatnonzero(hosts != NOWHERE)
    into, of = np.ix_(here, here), np.ix_(hosts[here], hosts[here])
    distance[into] = tables.distance[of]
    np.fill_diagonal(distance, 0.0)
    hop[into] = np.append(edges, NOWHERE)[tables.hop[of]]
    return Tables(distance, hop)


def _degree(graph: Arrays) -> int:
    return 1 + len(graph.edges) // max(1, len(graph.hosts))


def _behind(graph: Arrays, tables: Tables, edges: Numbers) -> Numbers:
    """The pairs whose path leads over any of these edges."""
    size, hop = len(graph.hosts), tables.hop
    found = []
    for edge in edges:
        at = graph.source[edge]
        front = np.flatnonzero(hop[:, at] == edge) * size + at
        while len(front):
            found.append(front)
            place, before = graph.into(front % size)
            pair = front[place] - front[place] % size + graph.source[before]
            front = pair[hop.ravel()[pair] == before]
    return _distinct(found, size)


def _offers(graph: Arrays, tables: Tables, edges: Numbers) -> Numbers:
    """The pairs for which one of these edges is as good a way as they have, or better."""
    size, distance = len(graph.hosts), tables.distance
    found = []
    for edge in edges:
        at, to = graph.source[edge], graph.target[edge]
        beyond = distance[:, to] + graph.weight[edge]
        good = np.isfinite(beyond) & (beyond <= distance[:, at])
        found.append(np.flatnonzero(good) * size + at)
    return _distinct(found, size)


def _distinct(pairs: Sequence[Numbers], size: int) -> Numbers:
    """The numbers of pairs in order, each once."""
    if not pairs:
        return _NONE
    every = np.concatenate(pairs) if len(pairs) > 1 else pairs[0]
    if len(every) * _CROWDED > size * size:
        there = np.zeros(size * size, dtype=np.bool_)
        there[every] = True
        return np.flatnonzero(there)
    ordered: Numbers = np.sort(every)
    once: Numbers = ordered[np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)]]
    return once


def _settle(graph: Arrays, tables: Tables, lost: Numbers, offered: Numbers) -> Numbers:
    """Find the distances of pairs that lost theirs, and whatever gets nearer by an offer.

    Returns:
        Every pair that may go another way now.
    """
    distance, size = tables.distance.ravel(), len(graph.hosts)
    distance[lost] = np.inf
    seeds = _distinct([lost, offered], size)
    best = _nearest(graph, distance, seeds)
    distance[seeds] = np.minimum(best, distance[seeds])
    touched, front = [seeds], seeds[np.isfinite(distance[seeds])]
    while len(front):
        pair, offer = _upstream(graph, distance, front)
        touched.append(pair[offer == distance[pair]])
        better = offer < distance[pair]
        np.minimum.at(distance, pair[better], offer[better])
        front = _distinct([pair[better]], size)
        touched.append(front)
    return _distinct(touched, size)


def _nearest(graph: Arrays, distance: Weights, pairs: Numbers) -> Weights:
    """How far each pair is, going by what is beyond the edges that leave it."""
    size = len(graph.hosts)
    best = np.full(len(pairs), np.inf)
    for first in range(0, len(pairs), step := max(1, _BLOCK // _degree(graph))):
        some = pairs[first : first + step]
        place, edge = graph.out(some % size)
        beyond = distance[some[place] - some[place] % size + graph.target[edge]]
        np.minimum.at(best[first : first + step], place, beyond + graph.weight[edge])
    return best


def _upstream(graph: Arrays, distance: Weights, pairs: Numbers) -> tuple[Numbers, Weights]:
    """The pairs one edge further from the targets, and how far they would be by that edge."""
    size = len(graph.hosts)
    place, edge = graph.into(pairs % size)
    here = pairs[place]
    offer = distance[here] + graph.weight[edge]
    real = np.isfinite(offer)
    pair = here[real] - here[real] % size + graph.source[edge[real]]
    return pair, offer[real]


def _choose(graph: Arrays, tables: Tables, pairs: Numbers) -> None:
    """The first edge that is as good as any, for each of the pairs."""
    size, distance = len(graph.hosts), tables.distance.ravel()
    hop = tables.hop.ravel()
    for first in range(0, len(pairs), step := max(1, _BLOCK // _degree(graph))):
        some = pairs[first : first + step]
        place, edge = graph.out(some % size)
        here = some[place]
        beyond = distance[here - here % size + graph.target[edge]] + graph.weight[edge]
        tight = np.flatnonzero((beyond == distance[here]) & np.isfinite(beyond))
        found = np.full(len(some), NOWHERE, dtype=np.int32)
        found[place[tight[::-1]]] = edge[tight[::-1]]  # the first of each place is written last
        hop[some] = found
