# SPDX-License-Identifier: Apache-2.0
"""Traffic engineering: never above the limits, never below the bound, near it on real networks."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from unittest.mock import patch

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from vneter_sdn.graph.engineering import Limits, engineer
from vneter_sdn.graph.generation import generated, is_large
from vneter_sdn.graph.multicommodity import optimum
from vneter_sdn.graph.topology import Edge, Topology, Vertex
from vneter_sdn.graph.traffic import Arcs, Demand, gravity, shortest_path_loads

NODES = "abcde"


def edge(source, target, number=0, **more):
    name, back = f"{source}>{target}#{number}", f"{target}>{source}#{number}"
    return Edge(name=name, reverse=back, source=source, target=target, **more)


def graph(edges, nodes=NODES):
    ordered = tuple(sorted(edges, key=lambda e: (e.source, e.target, e.name)))
    return Topology(tuple(Vertex(n, i) for i, n in enumerate(nodes, 1)), ordered)


@st.composite
def cases(draw):
    ends = st.tuples(st.sampled_from(NODES), st.sampled_from(NODES))
    capacity = st.one_of(st.none(), st.integers(1, 50).map(float))
    edges = [
        edge(a, b, n, cost=draw(st.integers(1, 4)), capacity=draw(capacity))
        for n, (a, b) in enumerate(draw(st.lists(ends, max_size=12)))
    ]
    demand = st.builds(
        Demand, st.sampled_from(NODES), st.sampled_from(NODES), st.floats(0, 100, width=32)
    )
    return graph(edges), draw(st.lists(demand, max_size=8))


ways = st.sampled_from([0, 10**9])
"""Sizes from which on columns are generated: always, and never."""


def all_paths(topology):
    found = nx.MultiDiGraph()
    found.add_nodes_from(v.host for v in topology.vertices)
    for e in topology.edges:
        if e.source != e.target:
            found.add_edge(e.source, e.target, key=e.name, edge=e)

    def between(source, target):
        return [
            [key for _, _, key in path] for path in nx.all_simple_edge_paths(found, source, target)
        ]

    return between


def brute_force_bound(topology, demands):
    """The linear program over every simple path there is."""
    between, rows, owner = all_paths(topology), [], []
    capacity = {e.name: 1000.0 if e.capacity is None else e.capacity for e in topology.edges}
    names = list(capacity)
    for n, demand in enumerate(demands):
        for path in between(demand.source, demand.target):
            owner.append(n)
            rows.append([demand.mbps / capacity[e] if e in path else 0.0 for e in names])
    if not owner:
        return 0.0
    uses = np.array(rows).T
    equal = np.array([[float(o == n) for o in owner] for n in range(len(demands))])
    found = linprog(
        np.append(np.zeros(len(owner)), 1.0),
        A_ub=np.hstack([uses, -np.ones((len(names), 1))]),
        b_ub=np.zeros(len(names)),
        A_eq=np.hstack([equal, np.zeros((len(demands), 1))]),
        b_eq=np.ones(len(demands)),
    )
    return found.fun


@settings(max_examples=100, deadline=None)
@given(cases(), ways)
def test_the_bound_is_that_of_all_paths(case, from_size):
    topology, demands = case
    with patch.multiple("vneter_sdn.graph.generation", FROM=from_size, DEMANDS=0):
        plan = engineer(topology, demands)
    routed, _ = Arcs(topology).routable(demands)
    assert plan.utilisation.lp_bound == pytest.approx(brute_force_bound(topology, routed), abs=1e-6)


@settings(max_examples=100, deadline=None)
@given(cases(), st.integers(1, 4), st.integers(1, 64), ways)
def test_a_plan_keeps_to_its_limits(case, paths, weights, from_size):
    topology, demands = case
    with patch.multiple("vneter_sdn.graph.generation", FROM=from_size, DEMANDS=0):
        plan = engineer(topology, demands, Limits(paths, weights))
    routed, unrouted = Arcs(topology).routable(demands)
    assert plan.unrouted == tuple(unrouted)
    by_pair = {}
    for path in plan.paths:
        by_pair.setdefault((path.demand.source, path.demand.target), []).append(path)
        assert path.nodes[0] == path.demand.source
        assert path.nodes[-1] == path.demand.target
        assert len(set(path.nodes)) == len(path.nodes)
        assert all(a.target == b.source for a, b in zip(path.edges, path.edges[1:], strict=False))
    assert by_pair.keys() == {(d.source, d.target) for d in routed}
    for found in by_pair.values():
        assert len(found) <= paths
        assert len({p.edges for p in found}) == len(found)
        assert sum(p.weight for p in found) == weights
        assert all(p.weight > 0 for p in found)
    use = plan.utilisation
    assert min(use.ours, use.shortest_path, use.ecmp) >= use.lp_bound


@settings(max_examples=40, deadline=None)
@given(cases(), st.integers(0, 6), st.randoms(use_true_random=False))
def test_a_plan_moves_no_more_than_it_may(case, moves, random):
    topology, demands = case
    before = engineer(topology, demands)
    now = [Demand(d.source, d.target, d.mbps * random.uniform(0.2, 5)) for d in demands]
    plan = engineer(topology, now, Limits(moves=moves), before.paths)
    assert plan.moved <= moves
    assert plan.utilisation.ours >= plan.utilisation.lp_bound - 1e-6


def test_what_does_not_change_moves_nothing():
    topology = graph([edge(a, b, capacity=10.0) for a in NODES for b in NODES if a != b])
    demands = [Demand("a", "b", 25.0), Demand("c", "b", 3.0)]
    before = engineer(topology, demands)
    assert engineer(topology, demands, before=before.paths).moved == 0


def test_a_path_that_is_gone_is_replaced():
    edges = [edge("a", "b"), edge("a", "c"), edge("c", "b")]
    before = engineer(graph(edges), [Demand("a", "b", 1.0)])
    after = engineer(graph(edges[1:]), [Demand("a", "b", 1.0)], Limits(moves=5), before.paths)
    assert [p.nodes for p in after.paths] == [("a", "c", "b")]


def test_traffic_that_fits_on_one_path_is_not_sent_on_a_detour():
    square = [edge(a, b, capacity=100.0) for a, b in ("ab", "ba", "bc", "cb", "ac", "ca")]
    plan = engineer(graph(square), [Demand("a", "b", 1.0), Demand("b", "c", 99.0)])
    assert [p.nodes for p in plan.paths if p.demand.source == "a"] == [("a", "b")]


def test_ecmp_splits_evenly_at_every_node():
    diamond = [edge(a, b) for a, b in ("ab", "ac", "bd", "cd", "de")]
    arcs = Arcs(graph(diamond))
    even = shortest_path_loads(arcs, [Demand("a", "e", 8.0)], spread=True)
    assert dict(zip((e.source + e.target for e in arcs.edges), even, strict=True)) == {
        "ab": 4.0, "ac": 4.0, "bd": 4.0, "cd": 4.0, "de": 8.0,
    }  # fmt: skip
    one = shortest_path_loads(arcs, [Demand("a", "e", 8.0)], spread=False)
    assert sorted(one) == [0.0, 0.0, 8.0, 8.0, 8.0]


def test_nothing_to_route_is_no_traffic():
    plan = engineer(graph([]), [Demand("a", "b", 5.0), Demand("a", "a", 5.0)])
    assert (plan.paths, plan.unrouted) == ((), (Demand("a", "b", 5.0),))
    assert plan.utilisation.ours == 0.0


def test_gravity_fills_the_fullest_edge_of_shortest_paths():
    topology = graph([edge(a, b, capacity=10.0) for a, b in ("ab", "ba", "bc", "cb", "de")])
    plan = engineer(topology, gravity(Arcs(topology), peak=0.5))
    assert plan.utilisation.shortest_path == pytest.approx(0.5)


def test_gravity_is_among_those_it_is_asked_for():
    topology = graph([edge(a, b, capacity=10.0) for a, b in ("ab", "ba", "bc", "cb", "de")])
    assert {(d.source, d.target) for d in gravity(Arcs(topology), "ac")} == {("a", "c"), ("c", "a")}


@pytest.mark.parametrize(("seed", "paths"), [(3, 3), (3, 4), (4, 4)])
def test_few_paths_suffice_where_the_optimum_happens_to_take_many(seed, paths):
    random, nodes = Random(seed), "abcdefghij"
    pairs = [(a, b) for a in nodes for b in nodes if a != b]
    mesh = graph([edge(a, b, capacity=100.0) for a, b in pairs], nodes)
    demands = [Demand(a, b, random.expovariate(1)) for a, b in pairs]
    use = engineer(mesh, demands, Limits(paths=paths, weights=256)).utilisation
    assert use.ours <= use.lp_bound * 1.03


@settings(max_examples=40, deadline=None)
@given(cases(), st.sampled_from([1e-9, 1e-4, 1e4, 1e9]), st.sampled_from([1e-6, 1.0, 1e6]), ways)
def test_units_do_not_matter(case, traffic, room, from_size):
    topology, demands = case
    scaled = [Demand(d.source, d.target, d.mbps * traffic) for d in demands]
    edges = [replace(e, capacity=(e.capacity or 1000.0) * room) for e in topology.edges]
    with patch.multiple("vneter_sdn.graph.generation", FROM=from_size, DEMANDS=0):
        here = engineer(topology, demands).utilisation
        there = engineer(Topology(topology.vertices, tuple(edges)), scaled).utilisation
    factor = traffic / room
    assert there.lp_bound == pytest.approx(here.lp_bound * factor, rel=1e-5)
    assert there.shortest_path == pytest.approx(here.shortest_path * factor, rel=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_columns_lead_to_the_optimum_of_the_program_over_all_edges(seed):
    random, nodes = Random(seed), [f"n{n}" for n in range(30)]
    ends = [(nodes[random.randrange(n)], nodes[n]) for n in range(1, 30)]
    ends += [tuple(random.sample(nodes, 2)) for _ in range(30)]
    rooms = [random.choice([10.0, 40.0, 100.0]) for _ in ends]
    edges = [
        edge(*way, n, capacity=room, cost=random.randint(1, 9))
        for n, (pair, room) in enumerate(zip(ends, rooms, strict=True))
        for way in (pair, pair[::-1])
    ]
    arcs = Arcs(graph(edges, nodes))
    pairs = sorted({tuple(random.sample(nodes, 2)) for _ in range(80)})
    demands, _ = arcs.routable([Demand(a, b, random.uniform(0.1, 9)) for a, b in pairs])
    least, paths = generated(arcs, demands)
    assert least == pytest.approx(optimum(arcs, demands).utilisation, rel=1e-4)
    assert [arcs.edges[one[0][0]].source for one in paths] == [d.source for d in demands]


def test_a_network_of_two_hundred_nodes_comes_within_three_percent():
    random, nodes = Random(1), [f"n{n}" for n in range(200)]
    ends = [(nodes[random.randrange(max(0, n - 9), n)], nodes[n]) for n in range(1, 200)]
    ends += [tuple(random.sample(nodes, 2)) for _ in range(100)]
    edges = [edge(*way, n) for n, pair in enumerate(ends) for way in (pair, pair[::-1])]
    pairs = {tuple(random.sample(nodes, 2)) for _ in range(400)}
    demands = [Demand(a, b, random.uniform(1, 99)) for a, b in sorted(pairs)]
    topology = graph(edges, nodes)
    assert is_large(Arcs(topology), demands)
    assert not is_large(Arcs(topology), [Demand(a, b, 1.0) for a in nodes for b in nodes])
    use = engineer(topology, demands).utilisation
    assert use.lp_bound <= use.ours <= use.lp_bound * 1.03
    assert use.lp_bound < use.shortest_path


def test_a_small_demand_among_huge_ones_still_fills_its_link():
    edges = [edge("a", "b", capacity=1e9), edge("c", "d", capacity=1e-3)]
    plan = engineer(graph(edges), [Demand("a", "b", 1e9), Demand("c", "d", 0.01)])
    assert plan.utilisation.lp_bound == pytest.approx(10)
    assert plan.utilisation.ours == pytest.approx(10)


def test_what_is_aside_carries_only_its_own():
    edges = [edge(x, y, capacity=10.0) for x, y in ("ab", "bc", "ad", "de", "ec", "cb", "ba")]
    demands = [Demand("a", "c", 8.0), Demand("a", "b", 1.0), Demand("b", "c", 1.0)]
    plan = engineer(graph(edges), demands, aside={"b"})
    assert [p.nodes for p in plan.paths] == [("a", "b"), ("a", "d", "e", "c"), ("b", "c")]
    assert plan.utilisation.shortest_path == pytest.approx(0.8)
    assert plan.utilisation.ecmp == pytest.approx(0.8)
    assert plan.utilisation.lp_bound == pytest.approx(0.8)
    alone = engineer(graph(edges[:2]), [Demand("a", "c", 1.0)], aside={"b"})
    assert [d.target for d in alone.unrouted] == ["c"]


def test_edges_of_which_reservations_leave_nothing_carry_nothing():
    edges = [edge("a", "b", capacity=10.0, reserved=10.0), edge("a", "c"), edge("c", "b")]
    plan = engineer(graph(edges), [Demand("a", "b", 5.0)])
    assert [p.nodes for p in plan.paths] == [("a", "c", "b")]
    assert plan.utilisation.shortest_path == pytest.approx(0.005)
