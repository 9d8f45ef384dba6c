# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vneter_sdn.graph import distances
from vneter_sdn.graph.network import Graph
from vneter_sdn.graph.topology import Edge, Topology, Vertex
from vneter_sdn.graph.trees import Trees

HOSTS = "abcdefg"


def edge(source, target, rank=0, **more):
    tail = f"#{rank}" if rank else ""
    names = f"{source}{tail}>{target}{tail}", f"{target}{tail}>{source}{tail}"
    return Edge(name=names[0], reverse=names[1], source=source, target=target, **more)


def graph(*edges, hosts=HOSTS, drained=""):
    vertices = (Vertex(h, n, drained=h in drained) for n, h in enumerate(hosts, 1))
    return Graph(Topology(tuple(vertices), tuple(edges)))


def both(pair, *more, **attributes):
    one, other = pair
    return edge(one, other, *more, **attributes), edge(other, one, *more, **attributes)


def hops(trees, target):
    return {host: found.name for host, found in trees.next_hops(target).items()}


edges = st.builds(
    edge,
    st.sampled_from(HOSTS),
    st.sampled_from(HOSTS),
    st.integers(0, 1),
    cost=st.sampled_from([1, 1, 2, 3, 50]),
    disabled=st.sampled_from([False, False, False, True]),
    drained=st.sampled_from([False, False, False, True]),
)


@st.composite
def graphs(draw):
    found = draw(st.lists(edges, max_size=30, unique_by=lambda e: e.name))
    hosts = draw(st.sets(st.sampled_from(HOSTS), min_size=1))
    return graph(*found, hosts=sorted(hosts), drained=draw(st.sampled_from(["", "c", "bd"])))


def burden(found, target):
    """What passing this edge on the way to a target costs: drained things first."""
    return found.drained, found.cost


def ways(world, target):
    """The burden of the best way from every host, by Bellman-Ford on pairs."""
    best = {target: (0, 0)}
    for _ in world.vertices:
        for host in world.vertices:
            for found in world.out(host):
                if found.target in best and host != target:
                    passed = world.vertices[found.target].drained and found.target != target
                    drained, cost = best[found.target]
                    offer = (drained + found.drained + passed, cost + found.cost)
                    best[host] = min(best.get(host, offer), offer)
    return best


@given(graphs())
@settings(max_examples=150, deadline=None)
def test_following_next_hops_is_best_and_ends_at_the_target(world):
    trees = Trees(world)
    for target in world.vertices:
        best, found = ways(world, target), trees.next_hops(target)
        assert set(found) == set(best) - {target}
        for start in found:
            at, spent, drained = start, 0, 0
            while at != target:
                step = found[at]
                assert step.source == at
                assert step.usable
                at, spent, drained = step.target, spent + step.cost, drained + step.drained
                drained += world.vertices[at].drained and at != target
            assert (drained, spent) == best[start]


@given(graphs())
@settings(deadline=None)
def test_of_equally_good_edges_the_first_host_and_then_the_preferred_tunnel_is_taken(world):
    trees = Trees(world)
    for target in world.vertices:
        best = ways(world, target)
        for host, taken in trees.next_hops(target).items():
            for other in world.out(host):
                if other.target in best:
                    passed = world.vertices[other.target].drained and other.target != target
                    drained, cost = best[other.target]
                    if (drained + other.drained + passed, cost + other.cost) == best[host]:
                        key = other.target, "#" in other.name
                        assert (taken.target, "#" in taken.name) <= key


@given(graphs(), st.lists(graphs(), max_size=3))
@settings(max_examples=150, deadline=None)
def test_updated_is_as_from_nothing_and_says_what_changed(first, following):
    before, trees = first, Trees(first)
    for world in following:
        old = {target: hops(trees, target) for target in before.vertices}
        step = trees.updated(world)
        assert_step(step, world, old)
        assert {target: hops(trees, target) for target in before.vertices} == old
        before, trees = world, step.trees


def assert_step(step, world, old):
    fresh = Trees(world)
    for target in world.vertices:
        assert step.trees.next_hops(target) == fresh.next_hops(target)
        now, then = hops(fresh, target), old.get(target, {})
        differ = {host for host in world.vertices if now.get(host) != then.get(host)}
        assert step.changed.get(target, frozenset()) == differ


def repairs(trees):
    return {target: trees.redundant(target) for target in trees.graph.vertices}


@given(graphs(), graphs())
@settings(deadline=None)
def test_repairs_of_updated_trees_are_those_of_new_ones(first, second):
    trees = Trees(first)
    repairs(trees)
    assert repairs(trees.updated(second).trees) == repairs(Trees(second))
    assert repairs(trees) == repairs(Trees(first))


def test_repairs_stay_the_same_value_while_nothing_they_go_by_changes():
    mesh = [e for pair in itertools.combinations("abcd", 2) for e in both(pair)]
    trees = Trees(graph(*mesh, hosts="abcd"))
    before = repairs(trees)
    same = trees.updated(graph(*mesh, hosts="abcd")).trees
    assert all(same.redundant(target) is before[target] for target in "abcd")
    for change in ({"latency": 1.0}, {"cost": 9}):
        mesh = [replace(e, **change) if e.name == "a>b" else e for e in mesh]
        same = same.updated(graph(*mesh, hosts="abcd")).trees
        assert repairs(same) == repairs(Trees(graph(*mesh, hosts="abcd"))) != before
        before = repairs(same)


edits = st.lists(
    st.tuples(
        st.integers(0, 200),
        st.sampled_from(
            [
                {"up": False},
                {"up": True},
                {"cost": 1},
                {"cost": 5},
                {"drained": True},
                {"latency": 3.0},
            ]
        ),
    ),
    min_size=1,
    max_size=4,
)


@given(graphs(), st.lists(edits, max_size=8))
@settings(max_examples=200, deadline=None)
def test_edits_one_after_the_other_are_as_from_nothing(world, waves):
    trees, topology = Trees(world), world.topology
    for wave in waves:
        old = {target: hops(trees, target) for target in world.vertices}
        known = list(topology.edges)
        for place, change in wave if known else ():
            known[place % len(known)] = replace(known[place % len(known)], **change)
        topology = replace(topology, edges=tuple(known))
        step = trees.updated(Graph(topology))
        assert_step(step, Graph(topology), old)
        assert_step(trees.updated(world), world, old)  # its distances are not its own any more
        trees = step.trees


@given(graphs(), st.lists(edits, max_size=4))
@settings(deadline=None)
def test_settling_a_few_pairs_is_what_starting_from_nothing_would_be(world, waves):
    """The same with small graphs held to the way of large ones."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(distances, "_MOST", 1)
        test_edits_one_after_the_other_are_as_from_nothing.hypothesis.inner_test(world, waves)


def test_what_did_not_change_is_the_same_value():
    line = [*both("ab"), *both("bc"), *both("cd"), *both("ad", cost=9)]
    trees = Trees(graph(*line, hosts="abcd"))
    before = {target: trees.next_hops(target) for target in "abcd"}
    changed = [replace(e, cost=8) if e.name == "a>d" else e for e in line]
    after = trees.updated(graph(*changed, hosts="abcd"))
    assert not after.changed
    assert all(after.trees.next_hops(target) is before[target] for target in "abcd")
    changed = [replace(e, latency=8.0) if e.name == "c>d" else e for e in changed]
    again = after.trees.updated(graph(*changed, hosts="abcd"))
    assert not again.changed
    assert again.trees.next_hops("d")["c"].latency == 8.0
    assert again.trees.next_hops("a") is before["a"]


@pytest.mark.parametrize("cheaper", [{"a>b"}, {"b>d"}, {"b>x"}, {"x>d"}])
def test_a_way_that_becomes_as_good_and_is_preferred_is_taken(cheaper):
    """Beside the edge that changed, behind it and far behind it."""
    ways = [*both("ab"), *both("bx"), *both("xd"), *both("ac"), *both("cd", cost=2)]
    ways += both("bd", cost=2 if cheaper == {"b>d"} else 9)
    dear = cheaper | ({"b>x"} if cheaper == {"b>d"} else set())
    before = [replace(e, cost=e.cost + 1) if e.name in dear else e for e in ways]
    after = [replace(e, cost=e.cost + 1) if e.name in dear - cheaper else e for e in ways]
    trees = Trees(graph(*before, hosts="abcdx"))
    assert hops(trees, "d")["a"] == "a>c"
    assert hops(trees.updated(graph(*after, hosts="abcdx")).trees, "d")["a"] == "a>b"


def test_what_is_drained_is_used_where_there_is_no_other_way():
    ring = [*both("ab"), *both("bc"), *both("cd", cost=90), *both("ad", cost=90)]
    assert hops(Trees(graph(*ring, hosts="abcd")), "c") == {"a": "a>b", "b": "b>c", "d": "d>c"}
    trees = Trees(graph(*ring, hosts="abcd", drained="b"))
    assert hops(trees, "c") == {"a": "a>d", "b": "b>c", "d": "d>c"}
    assert hops(trees, "b") == {"a": "a>b", "c": "c>b", "d": "d>a"}
    trees = Trees(graph(*ring[:4], hosts="abcd", drained="b"))
    assert hops(trees, "c") == {"a": "a>b", "b": "b>c"}


def test_wires_are_preferred_to_tunnels_and_first_addresses_to_others():
    wire = Edge(name="a:p1>b:p2", reverse="b:p2>a:p1", source="a", target="b", medium="wire")
    tunnels = [edge("a", "b"), edge("a", "b", 1)]
    assert hops(Trees(graph(*tunnels, hosts="ab")), "b") == {"a": "a>b"}
    assert hops(Trees(graph(*tunnels, wire, hosts="ab")), "b") == {"a": "a:p1>b:p2"}


def test_odd_graphs():
    assert Trees(graph(hosts="")).next_hops("a") == {}
    assert Trees(graph(hosts="ab")).next_hops("a") == {}
    assert Trees(graph(edge("a", "a"), edge("a", "z"), hosts="ab")).next_hops("a") == {}
    free = Trees(graph(*both("ab", cost=0), *both("bc", cost=-5), hosts="abc"))
    assert hops(free, "a") == {"b": "b>a", "c": "c>b"}


@given(st.lists(st.sampled_from([3, 3, 4, 6, 6, 7, 9]), min_size=12, max_size=12))
@settings(deadline=None)
def test_a_full_mesh_comes_out_the_same_searched_or_not(costs):
    pairs = list(itertools.permutations("abcd", 2))
    mesh = [edge(*pair, cost=cost) for pair, cost in zip(pairs, costs, strict=True)]
    found = []
    for patch in ({"_MOST": 1, "_searched": None}, {"_DENSE": 1000, "_direct": None}):
        with pytest.MonkeyPatch.context() as patched:
            for name, value in patch.items():
                patched.setattr(distances, name, value)
            trees = Trees(graph(*mesh, hosts="abcd"))
            found.append({target: hops(trees, target) for target in "abcd"})
    assert found[0] == found[1]
