# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import itertools
import random

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vneter_sdn.graph.blocks import blocks, st_order
from vneter_sdn.graph.lasting import Lasting
from vneter_sdn.graph.network import Graph
from vneter_sdn.graph.topology import Edge, Topology, Vertex
from vneter_sdn.graph.trees import Trees
from vneter_sdn.pipeline.locator import BLUE, RED

HOSTS = "abcdefg"


def joined(pairs, *, hosts=HOSTS, costs=None, **more):
    """A graph of links both ways; a pair that comes again is a parallel link."""
    edges, seen = [], {}
    for place, (one, other) in enumerate(pairs):
        rank = seen[one, other] = seen[other, one] = seen.get((one, other), -1) + 1
        tail = f"#{rank}" if rank else ""
        names = f"{one}{tail}>{other}{tail}", f"{other}{tail}>{one}{tail}"
        cost = costs[place] if costs else 1
        for near, far, name, back in ((one, other, *names), (other, one, *names[::-1])):
            edges.append(Edge(name=name, reverse=back, source=near, target=far, cost=cost, **more))
    vertices = tuple(Vertex(host, number) for number, host in enumerate(hosts, 1))
    return Graph(Topology(vertices, tuple(edges)))


def undirected(world):
    found = nx.MultiGraph()
    found.add_nodes_from(world.vertices)
    for edge in world.edges.values():
        if edge.name < edge.reverse and edge.source != edge.target:
            found.add_edge(edge.source, edge.target, key=link(edge))
    return found


def link(edge):
    return min(edge.name, edge.reverse)


pairs = st.lists(
    st.tuples(st.sampled_from(HOSTS), st.sampled_from(HOSTS)).filter(lambda p: p[0] != p[1]),
    max_size=18,
)


@st.composite
def graphs(draw):
    found = draw(pairs)
    costs = draw(st.lists(st.integers(1, 9), min_size=len(found), max_size=len(found)))
    return joined(found, costs=costs)


def unavoidable(whole, source, target):
    """Hosts and links without which there is no way."""
    hosts = set()
    for host in set(whole) - {source, target}:
        without = whole.copy()
        without.remove_node(host)
        if not nx.has_path(without, source, target):
            hosts.add(host)
    links = set()
    for edge in list(whole.edges(keys=True)):
        without = whole.copy()
        without.remove_edge(*edge)
        if not nx.has_path(without, source, target):
            links.add(edge[2])
    return hosts, links


def assert_redundant(world):
    whole, trees = undirected(world), Trees(world)
    for target in world.vertices:
        found = trees.redundant(target)
        reached = nx.node_connected_component(whole, target) - {target}
        assert set(found.red) == set(found.blue) == reached
        for source in reached:
            red, blue = (list(found.path(colour, source)) for colour in (RED, BLUE))
            for path in (red, blue):
                passed = [source, *(edge.target for edge in path)]
                assert passed[-1] == target
                assert len(set(passed)) == len(passed)
                for near, far in itertools.pairwise(path):
                    assert near.target == far.source
            hosts, links = unavoidable(whole, source, target)
            both = {e.target for e in red} & {e.target for e in blue} - {target}
            assert both == hosts
            assert {link(e) for e in red} & {link(e) for e in blue} == links


@given(graphs())
@settings(max_examples=60, deadline=None)
def test_red_and_blue_share_only_what_every_path_crosses(world):
    assert_redundant(world)


@pytest.mark.parametrize("size", [2, 3, 4, 5])
def test_in_every_small_graph(size):
    for known in nx.graph_atlas_g():
        if len(known) == size:
            assert_redundant(joined([(HOSTS[a], HOSTS[b]) for a, b in known.edges]))


def test_in_a_full_mesh_one_has_one_hop_and_the_other_two():
    trees = Trees(joined(list(itertools.combinations(HOSTS, 2))))
    for target in HOSTS:
        found = trees.redundant(target)
        for host in set(HOSTS) - {target}:
            assert {len(list(found.path(c, host))) for c in (RED, BLUE)} == {1, 2}


def test_parallel_links_are_told_apart():
    found = Trees(joined(["ab", "ab", "ab"], hosts="ab", costs=[5, 1, 3])).redundant("b")
    assert (found.red["a"].name, found.blue["a"].name) == ("a#1>b#1", "a#2>b#2")


def test_edges_usable_one_way_only_do_not_count():
    world = joined(["ab", "bc", "ca"], hosts="abc")
    one_way = [e for e in world.topology.edges if e.name != "a>b"]
    trees = Trees(Graph(Topology(world.topology.vertices, tuple(one_way))))
    assert {host: e.name for host, e in trees.redundant("a").red.items()} == {
        "b": "b>c",
        "c": "c>a",
    }
    assert trees.redundant("a").blue == trees.redundant("a").red


def test_unknown_targets():
    assert not Trees(joined(["ab"])).redundant("z").red
    assert not Trees(joined(["ab"])).redundant("c").blue


@given(graphs())
@settings(max_examples=60, deadline=None)
def test_blocks_are_those_of_networkx_and_their_orders_have_no_dead_end(world):
    whole = undirected(world)
    near = [[HOSTS.index(to) for to in whole.adj[host]] for host in HOSTS]
    found = list(blocks(near))
    expected = {
        frozenset(map(HOSTS.index, part)) for part in nx.biconnected_components(nx.Graph(whole))
    }
    assert {frozenset(block.neighbours) for block in found} == expected
    for block in found:
        for root in block.neighbours:
            order = list(st_order(block, root))
            assert order[0] == root
            assert sorted(order) == sorted(block.neighbours)
            for place, host in enumerate(order[1:], 1):
                around = [order.index(to) for to in block.neighbours[host]]
                assert min(around) < place
                assert max(around) > place or (host == order[-1] and 0 in around)


class Walk:
    """A packet on its way while some links and hosts are down, as the data path does it."""

    def __init__(self, trees, links=(), hosts=(), allowed=None):
        self.trees, self.links, self.hosts = trees, set(links), set(hosts)
        self.more = () if allowed is None else (allowed,)

    def alive(self, edge):
        return link(edge) not in self.links and edge.target not in self.hosts

    def next(self, colour, at, target):
        if colour == 0:
            edge = self.trees.next_hops(target).get(at)
            if edge is None or self.alive(edge):
                return 0, edge
            repair = self.trees.repair(at, target, edge, *self.more)
            return repair if repair and self.alive(repair[1]) else (0, None)
        tree = self.trees.redundant(target)
        edge = (tree.red if colour == RED else tree.blue)[at]
        if self.alive(edge):
            return colour, edge
        return (BLUE, tree.blue[at]) if colour == RED and self.alive(tree.blue[at]) else (0, None)

    def follow(self, source, target):
        """The edges it passes; asserts that it comes to an end."""
        colour, at, passed = 0, source, []
        while at != target:
            colour, edge = self.next(colour, at, target)
            if edge is None:
                return passed, False
            passed.append(edge)
            at = edge.target
            assert len(passed) <= 3 * len(HOSTS), "a loop"
        return passed, True


def assert_repaired(world):
    """Whatever single thing fails, who is still joined is still reached."""
    whole, trees = undirected(world), Trees(world)
    for name in {link(edge) for edge in world.edges.values()}:
        without = whole.copy()
        without.remove_edges_from([e for e in whole.edges(keys=True) if e[2] == name])
        assert_reached(without, Walk(trees, links=[name]))
    for host in whole:
        without = whole.copy()
        without.remove_node(host)
        assert_reached(without, Walk(trees, hosts=[host]))


def assert_reached(without, walk):
    for source, target in itertools.permutations(without, 2):
        if nx.has_path(without, source, target):
            assert walk.follow(source, target)[1]


@given(graphs())
@settings(max_examples=60, deadline=None)
def test_any_single_failure_is_repaired(world):
    assert_repaired(world)


@pytest.mark.parametrize("size", [3, 4, 5])
def test_any_single_failure_is_repaired_in_every_small_graph(size):
    for known in nx.graph_atlas_g():
        if len(known) == size and nx.is_connected(known):
            assert_repaired(joined([(HOSTS[a], HOSTS[b]) for a, b in known.edges]))


@given(graphs())
@settings(max_examples=60, deadline=None)
def test_a_repair_keeps_away_from_the_far_end_where_one_tree_does(world):
    trees = Trees(world)
    for target in world.vertices:
        both = trees.redundant(target)
        for host, primary in trees.next_hops(target).items():
            found = trees.repair(host, target, primary)
            far = [
                colour
                for colour in (RED, BLUE)
                if all(edge.target != primary.target for edge in both.path(colour, host))
            ]
            near = [c for c in (RED, BLUE) if next(both.path(c, host)) != primary]
            assert (found and found[0]) == next(iter([*far, *near]), None)
            assert found is None or found[1] == next(both.path(found[0], host))


@given(graphs(), st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_several_failures_never_make_a_loop(world, dice):
    trees = Trees(world)
    links = sorted({link(edge) for edge in world.edges.values()})
    for _ in range(10):
        down = dice.sample(links, min(len(links), dice.randint(2, 3)))
        walk = Walk(trees, links=down, hosts=dice.sample(HOSTS, dice.randint(0, 1)))
        for source, target in itertools.permutations(HOSTS, 2):
            walk.follow(source, target)


@given(graphs(), st.integers(1, 9), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_a_repair_keeps_to_what_is_allowed_however_much_fails(world, most, dice):
    trees, links = Trees(world), sorted({link(edge) for edge in world.edges.values()})
    walk = Walk(trees, dice.sample(links, min(2, len(links))), allowed=lambda e: e.cost <= most)
    for source, target in itertools.permutations(HOSTS, 2):
        passed, _ = walk.follow(source, target)
        first = next((p for p, e in enumerate(passed) if off_the_tree(trees, e, target)), None)
        assert first is None or all(edge.cost <= most for edge in passed[first:])


def off_the_tree(trees, edge, target):
    return trees.next_hops(target)[edge.source] != edge


def test_a_large_graph_is_repaired_too():
    dice = random.Random(7)
    names = [f"n{number}" for number in range(120)]
    known = nx.connected_watts_strogatz_graph(120, 4, 0.2, seed=3)
    world = joined([(names[a], names[b]) for a, b in known.edges], hosts=names)
    trees, whole = Trees(world), undirected(world)
    for name in dice.sample(sorted({link(e) for e in world.edges.values()}), 5):
        without = whole.copy()
        without.remove_edges_from([e for e in whole.edges(keys=True) if e[2] == name])
        walk = Walk(trees, links=[name])
        for source, target in (dice.sample(names, 2) for _ in range(300)):
            if nx.has_path(without, source, target):
                assert reached(walk, source, target)


def reached(walk, source, target):
    colour, at, steps = 0, source, 0
    while at != target and steps < 400:
        colour, edge = walk.next(colour, at, target)
        if edge is None:
            return False
        at, steps = edge.target, steps + 1
    return at == target


def arrives(both, colour, host, failed):
    """Follow a tree; RED leads on to BLUE at an edge that failed, if BLUE leaves by another."""
    tree = both.red if colour == RED else both.blue
    for _ in range(3 * len(HOSTS)):
        if host == both.target:
            return True
        edge = tree.get(host)
        if edge is None:
            return False
        if edge.name in failed:
            other = both.blue.get(host)
            if tree is both.blue or other is None or other.name in failed | {edge.name}:
                return False
            tree, edge = both.blue, other
        host = edge.target
    raise AssertionError("it goes round")


@settings(max_examples=100, deadline=None)
@given(graphs(), st.data())
def test_a_lasting_repair_arrives_and_is_found_if_there_is_one(world, data):
    trees, links = Trees(world), sorted({link(edge) for edge in world.edges.values()})
    if not links:
        return
    gone = data.draw(st.sets(st.sampled_from(links), min_size=1, max_size=2))
    failed = {edge.name for edge in world.edges.values() if link(edge) in gone}
    for target in world.vertices:
        both = trees.redundant(target)
        lasting = Lasting(both, failed)
        for host, primary in trees.next_hops(target).items():
            if primary.name in failed:
                continue
            found = lasting.repair(host, primary)
            possible = [
                (colour, tree[host])
                for colour, tree in ((RED, both.red), (BLUE, both.blue))
                if host in tree and tree[host].name not in failed | {primary.name}
                if arrives(both, colour, host, failed | {primary.name, primary.reverse})
            ]
            assert found in possible or (found is None and not possible)
            assert Lasting(both, set()).repair(host, primary) == both.repair(host, primary)


@settings(max_examples=200, deadline=None)
@given(graphs(), st.data())
def test_lasting_repairs_are_those_that_following_each_way_finds(world, data):
    trees, links = Trees(world), sorted({link(edge) for edge in world.edges.values()})
    gone = data.draw(st.sets(st.sampled_from(links), max_size=3)) if links else ()
    failed = {edge.name for edge in world.edges.values() if link(edge) in gone} or {"none"}
    for target in world.vertices:
        both = trees.redundant(target)
        lasting = Lasting(both, failed)
        edges = [edge for host in world.vertices for edge in world.out(host)]
        for primary in data.draw(st.permutations(edges)):
            host = primary.source
            ways = {
                colour: both.way(colour, host, {*failed, primary.name, primary.reverse})
                for colour in (RED, BLUE)
            }
            arriving = [(colour, way[0]) for colour, way in ways.items() if way]
            away = [c for c, _ in arriving if all(e.target != primary.target for e in ways[c])]
            expected = [found for found in arriving if not away or found[0] in away]
            assert lasting.repair(host, primary) == next(iter(expected), None)
