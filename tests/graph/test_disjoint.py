# SPDX-License-Identifier: Apache-2.0
from itertools import combinations, product

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multigraphs import arc, both, disjoint_pairs, graph, graphs, in_order, rank, shared
from test_kshortest import ANYTHING, constraints, objectives, trip

from vneter_sdn.graph.constrained import Effort, Trip
from vneter_sdn.graph.disjoint import disjoint
from vneter_sdn.graph.pairing import Units, beside, pair
from vneter_sdn.graph.terrain import terrain
from vneter_sdn.model.path_kinds import PathConstraints

kinds = st.sampled_from(("link", "node", "risk"))


def total(found, paths, objective):
    ranks = [rank(found, path, objective)[:3] for path in paths]
    return tuple(map(sum, zip(*ranks, strict=True)))


def flow(land, source, target, count, **more):
    found = disjoint(land, land.number[source], land.number[target], count, **more)
    return [land.path(edges) for _, edges in found]


def most(every, kind, count):
    """Sets of mutually disjoint paths, of the largest size there is up to a count."""
    for size in range(min(count, len(every)), 0, -1):
        sets = [
            chosen
            for chosen in combinations(every, size)
            if all(not shared(*two, kind) for two in combinations(chosen, 2))
        ]
        if sets:
            return sets
    return []


@settings(max_examples=60, deadline=None)
@given(found=graphs(most_hosts=5, most_links=9), objective=objectives, hosts=st.booleans())
def test_flow_gives_the_most_disjoint_paths_of_least_sum(found, objective, hosts):
    kind = "node" if hosts else "link"
    every = in_order(found, "h0", "h1", objective, ANYTHING)
    for count in (1, 2, 3):
        paths = flow(terrain(found, objective, ANYTHING), "h0", "h1", count, hosts=hosts)
        sets = most(every, kind, count) if len(every) < 40 else []
        if len(every) < 40:
            assert len(paths) == (len(sets[0]) if sets else 0)
        assert all(path in every for path in paths)
        assert not any(shared(*two, kind) for two in combinations(paths, 2))
        assert paths == sorted(paths, key=lambda path: rank(found, path, objective))
        if sets:
            assert total(found, paths, objective) == min(
                total(found, chosen, objective) for chosen in sets
            )


@settings(max_examples=60, deadline=None)
@given(found=graphs(most_hosts=5, most_links=9), kind=kinds, objective=objectives, data=st.data())
def test_branching_gives_the_pair_of_least_sum(found, kind, objective, data):
    asked = data.draw(constraints(most_hosts=5))
    land = terrain(found, objective, asked)
    journey = trip(land, "h0", "h1", asked)
    if journey is None:
        return
    expected = exempting(found, objective, asked, kind)
    got = pair(land, journey, Units(land, kind), Effort())
    assert (got is None) == (not expected)
    if got is not None:
        paths = [land.path(edges) for _, edges in got]
        assert (paths[0], paths[1]) in [two for _, two in expected] or (
            paths[1],
            paths[0],
        ) in [two for _, two in expected]
        assert total(found, paths, objective) == expected[0][0]


def exempting(found, objective, asked, kind):
    """Pairs as in brute force; way points may be shared."""
    if kind != "node" or not asked.waypoints:
        return disjoint_pairs(found, "h0", "h1", objective, asked, kind)
    every = in_order(found, "h0", "h1", objective, asked)
    pairs = [
        two
        for two in combinations(every, 2)
        if not {u for u in shared(*two, "node") if u not in asked.waypoints}
    ]
    return sorted((total(found, two, objective), two) for two in pairs)


@settings(max_examples=40, deadline=None)
@given(found=graphs(), kind=kinds)
def test_what_is_beside_a_path_is_the_best_that_shares_nothing(found, kind):
    land = terrain(found, "cost", ANYTHING)
    every = in_order(found, "h0", "h1", "cost", ANYTHING)
    journey = trip(land, "h0", "h1")
    numbers = {edge.name: number for number, edge in enumerate(land.edges)}
    for path in every[:5]:
        edges = tuple(numbers[name] for name in path.route)
        got = beside(land, journey, [(0, edges)], Units(land, kind), Effort())
        free = [other for other in every if not shared(path, other, kind)]
        assert (land.path(got[1]) if got else None) == (free[0] if free else None)


def test_the_trap_is_not_walked_into():
    # the shortest path a-b-c-d blocks both others; Suurballe's own example of why greed fails
    found = graph(
        *(both(*ends, cost=1) for ends in ("ab", "bc", "cd")),
        *(both(*ends, cost=3) for ends in ("ac", "bd")),
    )
    for hosts in (False, True):
        paths = flow(terrain(found, "cost", ANYTHING), "a", "d", 2, hosts=hosts)
        assert [str(path) for path in paths] == ["a>b>d", "a>c>d"]


def test_the_two_directions_of_a_link_are_one_link():
    found = graph(
        both("a", "b"), both("a", "c"), both("b", "c", cost=9), arc("b", "d"), arc("c", "d")
    )
    land = terrain(found, "cost", ANYTHING)
    units = Units(land, "link")
    edges = [number for number, e in enumerate(land.edges) if {e.source, e.target} == {"b", "c"}]
    assert units.of(edges[:1], Trip(0, 3)) == units.of(edges[1:], Trip(0, 3))


@pytest.mark.parametrize("hosts", [False, True])
def test_every_graph_of_five_hosts_has_a_backup_where_one_exists(hosts):
    """All 1,024 graphs on five hosts, against the max-flow of networkx."""
    links = list(combinations("abcde", 2))
    for chosen in product((False, True), repeat=len(links)):
        wanted = [link for link, taken in zip(links, chosen, strict=True) if taken]
        found = graph(*(both(*ends) for ends in wanted), hosts=())
        land = terrain(found, "cost", ANYTHING)
        if not {"a", "e"} <= set(land.number):
            continue
        paths = flow(land, "a", "e", 2, hosts=hosts)
        assert (len(paths) == 2) == (_disjoint(wanted, hosts=hosts) >= 2)
        units = Units(land, "node" if hosts else "link")
        got = pair(land, trip(land, "a", "e"), units, Effort())
        assert (got is None) == (len(paths) < 2)
        if got:
            assert got[0][0] + got[1][0] == sum(land.length(numbers(land, p)) for p in paths)


def numbers(land, path):
    known = {edge.name: number for number, edge in enumerate(land.edges)}
    return [known[name] for name in path.route]


def _disjoint(links, *, hosts):
    graph_ = nx.Graph(links)
    if not nx.has_path(graph_, "a", "e"):
        return 0
    if hosts:
        return len(list(nx.node_disjoint_paths(graph_, "a", "e")))
    return nx.edge_connectivity(graph_, "a", "e")


def test_risk_disjoint_where_disjoint_links_share_a_duct():
    found = graph(
        both("a", "b", risks=frozenset({"duct"})),
        both("b", "d"),
        both("a", "c", risks=frozenset({"duct"})),
        both("c", "d"),
        both("a", "d", cost=50),
    )
    land = terrain(found, "cost", ANYTHING)
    got = pair(land, trip(land, "a", "d"), Units(land, "risk"), Effort())
    assert [str(land.path(edges)) for _, edges in got] == ["a>b>d", "a>d"]


def test_a_pair_within_limits_though_the_cheapest_pair_is_not():
    found = graph(
        both("a", "b", latency=1.0),
        both("b", "d", latency=1.0),
        both("a", "d", latency=9.0),
        both("a", "c", latency=3.0, cost=5),
        both("c", "d", latency=3.0, cost=5),
    )
    land = terrain(found, "cost", PathConstraints(max_latency_ms=8))
    got = pair(land, trip(land, "a", "d"), Units(land, "node"), Effort())
    assert [str(land.path(edges)) for _, edges in got] == ["a>b>d", "a>c>d"]
