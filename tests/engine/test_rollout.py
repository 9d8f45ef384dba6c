# SPDX-License-Identifier: Apache-2.0
"""Changes of trees reach bridges downstream first: no loop and no gap at any moment."""

from __future__ import annotations

from itertools import permutations

import networkx as nx
from hypothesis import given, settings
from hypothesis import strategies as st

from vneter_sdn.engine.rollout import LAST, PATIENCE, Rollout, advanced, waves
from vneter_sdn.model.flow import BridgeState, Bucket, Flow, Group, GroupAction, Output, match
from vneter_sdn.reconcile.plan import Changed

TREE, INGRESS, ARRIVAL = 90, 10, 70
HOSTS = "abcdef"


def flow(table, out, target=0):
    return Flow(table, 1, match(eth_dst=target), (Output(out),))


def state(*flows, groups=()):
    return BridgeState.of(flows, groups)


def flat(_host, place):
    return {INGRESS: LAST, ARRIVAL: 0, TREE: 1}[place.table]


def changed(one, other):
    keys = one.flows.keys() | other.flows.keys()
    return frozenset(k for k in keys if one.flows.get(k) != other.flows.get(k))


def hops_of(tree):
    """By host the state that sends a tree's packets on; a port's number says the next host."""
    return {h: state(flow(TREE, HOSTS.index(n))) for h, n in tree.items()}


@st.composite
def trees(draw):
    """Two in-trees of one connected graph towards ``a``, and distances in the second."""
    graph = nx.Graph()
    graph.add_nodes_from(HOSTS)
    for n, host in enumerate(HOSTS[1:], 1):
        graph.add_edge(host, HOSTS[draw(st.integers(0, n - 1))])
    pairs = st.tuples(st.sampled_from(HOSTS), st.sampled_from(HOSTS))
    graph.add_edges_from(p for p in draw(st.lists(pairs, max_size=8)) if p[0] != p[1])
    found = []
    for _ in range(2):
        for _, _, data in graph.edges(data=True):
            data["cost"] = draw(st.integers(1, 9))
        paths = nx.single_source_dijkstra_path(graph, "a", weight="cost")
        found.append({h: path[-2] for h, path in paths.items() if h != "a"})
    return found[0], found[1], {h: len(path) - 1 for h, path in paths.items()}


def reaches(states, host):
    """Whether a packet sent from a host gets to ``a``."""
    for _ in HOSTS:
        if host == "a":
            return True
        (only,) = states[host].flows.values()
        host = HOSTS[only.actions[0].port]
    return host == "a"


@settings(max_examples=200, deadline=None)
@given(trees(), st.randoms(use_true_random=False))
def test_at_no_moment_is_there_a_loop_or_a_gap(case, random):
    old, new, distance = case
    told, wanted = hops_of(old), hops_of(new)
    differ = {h: Changed(changed(told[h], wanted[h])) for h in told}
    differ = {h: places for h, places in differ.items() if places.flows}
    for wave in waves(told, wanted, differ, lambda host, _place: distance[host]):
        order = list(wave)
        random.shuffle(order)
        for host in order:
            told[host] = advanced(told[host], wanted[host], wave[host])
            assert all(reaches(told, h) for h in HOSTS)
    assert told == wanted


def test_upstream_first_would_loop():
    """The law above can fail: this is what it guards against."""
    told = hops_of({"b": "a", "c": "b"})
    wanted = hops_of({"b": "c", "c": "a"})
    orders = {order: [] for order in permutations("bc")}
    for order, seen in orders.items():
        now = dict(told)
        for host in order:
            now[host] = wanted[host]
            seen.append(all(reaches(now, h) for h in "bc"))
    assert orders == {("b", "c"): [False, True], ("c", "b"): [True, True]}


def test_without_trees_all_goes_at_once():
    told = {"a": state(flow(INGRESS, 1)), "b": state()}
    wanted = {"a": state(flow(INGRESS, 2)), "b": state(flow(ARRIVAL, 2))}
    differ = {h: Changed(changed(told[h], wanted[h])) for h in told}
    assert waves(told, wanted, differ, flat) == (differ,)


def test_trees_come_before_what_leads_onto_them_and_go_after_it():
    old, new = flow(TREE, 1, 1), flow(TREE, 2, 2)
    before, after = flow(INGRESS, 1, 1), flow(INGRESS, 2, 2)
    told, wanted = state(old, before), state(new, after)
    found = waves({"a": told}, {"a": wanted}, {"a": Changed(changed(told, wanted))}, flat)
    assert [wave["a"].flows for wave in found] == [
        {new.key}, {after.key}, {before.key}, {old.key},
    ]  # fmt: skip


def test_a_group_comes_with_the_flow_that_needs_it():
    group = Group(7, "ff", (Bucket((Output(1),), watch_port=1),))
    sends = Flow(TREE, 1, (), (GroupAction(7),))
    rollout = Rollout()
    rollout.want({"a": (state(flow(INGRESS, 1)), None)}, flat)
    assert [push.changed for push in rollout.due(lambda _: True)] == [None]

    def rank(_host, place):
        return 1 if place == ("group", 7) or place[0] == TREE else LAST

    wanted = state(sends, flow(INGRESS, 2), groups=[group])
    rollout.want({"a": (wanted, frozenset({sends.key, flow(INGRESS, 2).key}))}, rank)
    (first,) = rollout.due(lambda _: True)
    assert first.state == state(sends, flow(INGRESS, 1), groups=[group])
    assert first.changed == Changed(frozenset({sends.key}), frozenset({7}))
    rollout.settled("a", first.epoch)
    (second,) = rollout.due(lambda _: True)
    assert second.state is wanted
    assert not rollout.busy


def told(hosts="abc"):
    rollout = Rollout()
    rollout.want({h: (state(flow(TREE, 0)), None) for h in hosts}, flat)
    assert {push.host for push in rollout.due(lambda _: True)} == set(hosts)
    return rollout


def want(rollout, out, hosts="abc"):
    one = flow(TREE, out)
    ranks = {h: n for n, h in enumerate(hosts, 1)}
    return rollout.want(
        {h: (state(one), frozenset({one.key})) for h in hosts}, lambda host, _place: ranks[host]
    )


def test_the_next_wave_waits_for_the_one_before():
    rollout = told()
    epochs = want(rollout, 1)
    assert sorted(epochs.values()) == [epochs["a"], epochs["a"] + 1, epochs["a"] + 2]
    for host in "abc":
        (push,) = rollout.due(lambda _: True)
        assert (push.host, push.epoch) == (host, epochs[host])
        rollout.settled(host, push.epoch - 1)
        assert not list(rollout.due(lambda _: True))
        rollout.settled(host, push.epoch)
    assert not rollout.busy


def test_who_is_away_is_told_and_not_waited_for():
    rollout = told()
    want(rollout, 1)
    assert [p.host for p in rollout.due(lambda host: host == "c")] == ["a", "b", "c"]


def test_nobody_is_waited_for_for_ever():
    rollout = told()
    want(rollout, 1)
    assert [p.host for p in rollout.due(lambda _: True)] == ["a"]
    rollout.tick(100.0)
    assert not list(rollout.due(lambda _: True))
    rollout.tick(100.0 + PATIENCE)
    assert [p.host for p in rollout.due(lambda _: True)] == ["b"]


def test_a_change_in_the_middle_replans_what_is_left():
    rollout = told()
    want(rollout, 1)
    (first,) = rollout.due(lambda _: True)
    want(rollout, 2, "cb")
    rollout.settled("a", first.epoch)
    found = []
    while rollout.busy:
        for push in rollout.due(lambda _: True):
            found.append((push.host, push.state))
            rollout.settled(push.host, push.epoch)
    assert found == [("c", state(flow(TREE, 2))), ("b", state(flow(TREE, 2)))]


def test_who_is_gone_is_forgotten():
    rollout = told()
    want(rollout, 1)
    assert [p.host for p in rollout.due(lambda _: True)] == ["a"]
    rollout.forget("a")
    rollout.forget("b")
    assert [p.host for p in rollout.due(lambda _: True)] == ["c"]


def test_nothing_new_plans_nothing_anew():
    rollout = told()
    want(rollout, 1)
    epoch = rollout.epoch
    assert rollout.want({}, flat) == {}
    assert rollout.epoch == epoch


def test_who_knows_nothing_is_told_at_once():
    rollout = told()
    want(rollout, 1)
    assert [p.host for p in rollout.due(lambda _: True)] == ["a"]
    rollout.want({"z": (state(flow(TREE, 0)), None)}, flat)
    assert [(p.host, p.changed) for p in rollout.due(lambda _: True)] == [("z", None)]
    rollout.tick(1.0)
    rollout.tick(1.0 + PATIENCE)
    assert [p.host for p in rollout.due(lambda _: True)] == ["b", "c"]
