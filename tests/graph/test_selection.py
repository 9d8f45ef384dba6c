# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multigraphs import (
    arc,
    both,
    disjoint_pairs,
    every_path,
    graph,
    graphs,
    in_order,
    passes,
    rank,
    shared,
    vertex,
)
from test_disjoint import exempting
from test_kshortest import constraints, objectives

from vneter_sdn.graph.explain import faults, runners_up, steps
from vneter_sdn.graph.network import Graph
from vneter_sdn.graph.refusal import refuse
from vneter_sdn.graph.selection import select, value
from vneter_sdn.graph.sharing import portions
from vneter_sdn.graph.topology import Topology
from vneter_sdn.model.path_kinds import PathConstraints, PathPolicySpec

ANYTHING = PathConstraints()


def asking(objective="cost", paths=1, sharing="equal", disjoint="none", **limits):
    return PathPolicySpec(
        objective=objective,
        paths=paths,
        sharing=sharing,
        disjoint=disjoint,
        constraints=PathConstraints(**limits),
    )


def shares(found, source, target, spec):
    return [(str(s.path), s.weight) for s in select(found, source, target, spec).shares]


def sane(asked, *ends):
    """Way points that a brute force without our rules for ends understands."""
    return not {*asked.waypoints} & {*ends}


diamond = graph(
    *(both(*ends, latency=1.0, cost=1) for ends in ("ab", "bd")),
    *(both(*ends, latency=2.0, cost=1) for ends in ("ac", "cd")),
    both("a", "d", latency=9.0, cost=8),
)


@settings(max_examples=60, deadline=None)
@given(
    found=graphs(),
    objective=objectives,
    asked=constraints(),
    count=st.integers(1, 4),
    sharing=st.sampled_from(("best", "equal", "unequal")),
)
def test_shares_go_to_the_best_paths(found, objective, asked, count, sharing):
    spec = PathPolicySpec(objective=objective, constraints=asked, paths=count, sharing=sharing)
    if not sane(asked, "h0", "h1"):
        return
    every = in_order(found, "h0", "h1", objective, asked)
    got = select(found, "h0", "h1", spec)
    ranks = [rank(found, path, objective) for path in every]
    kept = [p for p, r in zip(every, ranks, strict=True) if r[0] == ranks[0][0]]
    expected = [path for path in every[:count] if path in kept]
    if sharing == "best":
        expected = [p for p in expected if rank(found, p, objective)[:2] == ranks[0][:2]]
    assert [share.path for share in got.shares] == expected
    assert (got.refusal is None) == bool(expected)
    assert all(share.weight >= 1 for share in got.shares)
    assert got.backup is None


@settings(max_examples=60, deadline=None)
@given(
    found=graphs(most_hosts=5, most_links=9),
    objective=objectives,
    asked=constraints(most_hosts=5),
    kind=st.sampled_from(("link", "node", "risk")),
)
def test_a_disjoint_backup_exists_whenever_one_does(found, objective, asked, kind):
    if not sane(asked, "h0", "h1"):
        return
    spec = PathPolicySpec(objective=objective, constraints=asked, disjoint=kind)
    got = select(found, "h0", "h1", spec)
    pairs = exempting(found, objective, asked, kind)
    assert (got.backup is not None) == bool(pairs)
    if pairs:
        best = got.shares[0].path
        assert {frozenset((best, got.backup))} <= {frozenset(pair) for _, pair in pairs}
        sums = [rank(found, path, objective)[:3] for path in (best, got.backup)]
        assert tuple(map(sum, zip(*sums, strict=True))) == pairs[0][0]
        assert rank(found, best, objective) < rank(found, got.backup, objective)
        assert not got.shortfall
    elif got.shares:
        assert got.shares[0].path == in_order(found, "h0", "h1", objective, asked)[0]
        assert got.shortfall.startswith(f"no {kind}-disjoint backup")


@settings(max_examples=40, deadline=None)
@given(found=graphs(), asked=constraints(), kind=st.sampled_from(("link", "node", "risk")))
def test_further_paths_are_disjoint(found, asked, kind):
    spec = PathPolicySpec(constraints=asked, paths=3, disjoint=kind)
    got = select(found, "h0", "h1", spec)
    paths = [share.path for share in got.shares]
    for two in combinations(paths, 2):
        assert not {u for u in shared(*two, kind) if u not in asked.waypoints}
    assert all(passes(found, path, asked) for path in paths) or not sane(asked, "h0", "h1")


@settings(max_examples=60, deadline=None)
@given(found=graphs(), asked=constraints())
def test_a_refusal_names_what_would_do(found, asked):
    got = select(found, "h0", "h1", PathPolicySpec(constraints=asked))
    if got.refusal is None or not sane(asked, "h0", "h1"):
        return
    refusal = got.refusal
    anyhow = list(every_path(found, "h0", "h1"))
    assert bool(refusal.nearest) == bool(anyhow)
    if refusal.nearest:
        relaxed = asked
        for change in refusal.nearest:
            relaxed = changed(relaxed, change.constraint, change.value)
        good = select(found, "h0", "h1", PathPolicySpec(constraints=relaxed))
        assert good.refusal is None, (refusal.message, good.refusal.message)
        assert passes(found, refusal.nearest[0].path, relaxed)
        assert set(refusal.edges) <= {edge.name for edge in found.topology.edges}


_FIELDS = {
    "maxLatencyMs": "max_latency_ms",
    "maxHops": "max_hops",
    "maxPricePerGb": "max_price_per_gb",
    "maxLoss": "max_loss",
    "minBandwidthMbps": "min_bandwidth_mbps",
    "minMtu": "min_mtu",
    "encrypted": "encrypted",
    "avoidTags": "avoid_tags",
    "requireTags": "require_tags",
    "regions": "regions",
    "waypoints": "waypoints",
}


def changed(asked, field, text):
    name = _FIELDS[field]
    if text == "unset":
        content = getattr(ANYTHING, name)
    elif text.startswith("["):
        content = tuple(filter(None, text[1:-1].split(",")))
    else:
        content = False if text == "false" else float(text)
    values = {each: getattr(asked, each) for each in PathConstraints.__struct_fields__}
    return PathConstraints(**{**values, name: content})


@settings(max_examples=40, deadline=None)
@given(
    found=graphs(),
    asked=constraints(),
    kind=st.sampled_from(("none", "link", "node", "risk")),
    objective=objectives,
)
def test_runners_up_have_a_reason(found, asked, kind, objective):
    spec = PathPolicySpec(objective=objective, constraints=asked, paths=2, disjoint=kind)
    got = select(found, "h0", "h1", spec)
    lost = runners_up(found, ("h0", "h1"), spec, got)
    chosen = [share.path for share in got.shares] + [got.backup]
    assert all(one.reason and one.path not in chosen for one in lost)
    for share in got.shares:
        total = sum(sum(step.adds.values()) for step in steps(share.path, spec))
        assert total == pytest.approx(value(share.path, objective))
        if sane(asked, "h0", "h1"):
            assert faults(found, share.path, asked) == []


@pytest.mark.parametrize(
    ("values", "weights"),
    [
        ((1, 2), (2, 1)),
        ((10, 15, 30), (3, 2, 1)),
        ((3, 3, 3), (1, 1, 1)),
        ((0, 0), (1, 1)),
        ((), ()),
        ((7.2,), (1,)),
    ],
)
def test_portions_are_small_where_they_can_be(values, weights):
    assert portions(values) == weights


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=16))
def test_portions_are_near_what_is_asked(values):
    weights = portions(values)
    assert min(weights) >= 1
    assert sum(weights) <= 100
    counted = [max(value, max(values) / 100) for value in values]
    for (one, a), (other, b) in combinations(zip(counted, weights, strict=True), 2):
        assert (one - other) * (a - b) <= 0


def test_best_shares_among_equals_only():
    assert shares(diamond, "a", "d", asking("hops", 4, "best")) == [("a>d", 1)]
    assert shares(diamond, "a", "d", asking("cost", 4, "best")) == [("a>b>d", 1), ("a>c>d", 1)]


def test_unequal_shares_are_in_inverse_proportion():
    got = shares(diamond, "a", "d", asking("latency", 2, "unequal"))
    assert got == [("a>b>d", 2), ("a>c>d", 1)]


def test_what_is_drained_carries_only_what_has_no_other_way():
    drained = graph(both("a", "b", drained=True), both("a", "c"), both("c", "b"))
    assert shares(drained, "a", "b", asking(paths=4)) == [("a>c>b", 1)]
    alone = graph(both("a", "b", drained=True))
    assert shares(alone, "a", "b", asking()) == [("a>b", 1)]
    host = graph(
        *(both(*ends) for ends in ("ab", "bd")),
        *(both(*ends, cost=5) for ends in ("ac", "cd")),
        hosts=[vertex("b", drained=True), vertex("d", drained=True)],
    )
    assert shares(host, "a", "d", asking(paths=4)) == [("a>c>d", 1)]
    assert shares(host, "a", "b", asking()) == [("a>b", 1)]


def test_a_bridge_has_no_backup_and_is_named():
    found = graph(both("a", "b"), both("a", "b", 1), both("b", "c"))
    got = select(found, "a", "c", asking(disjoint="link"))
    assert [str(share.path) for share in got.shares] == ["a>b>c"]
    assert got.backup is None
    assert got.shortfall == "no link-disjoint backup: every way crosses link b>c"


def test_paths_by_way_of_hosts_may_share_those():
    found = graph(*(both(*ends, n) for ends in ("ab", "bc") for n in range(2)))
    got = select(found, "a", "c", asking(disjoint="node", waypoints=("b",)))
    assert got.backup is not None


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (
            {"max_latency_ms": 1.5},
            (
                "no path from a to d: maxLatencyMs 1.5: the quickest path a>b>d takes 2 ms; "
                "maxLatencyMs 2 would do"
            ),
        ),
        (
            {"max_latency_ms": 3, "max_hops": 1},
            (
                "no path from a to d: maxHops 1: the shortest path a>b>d has 2 hops; "
                "maxLatencyMs 3: the quickest path a>d takes 9 ms; maxHops 2 would do"
            ),
        ),
        (
            {"max_latency_ms": 1, "encrypted": True},
            (
                "no path from a to d: maxLatencyMs 1: a>d has 9; encrypted: the nearest path a>d "
                "passes a>d, not encrypted; maxLatencyMs 9 and encrypted false would do"
            ),
        ),
        (
            {"waypoints": ("x",)},
            "no path from a to d: waypoints: there is no host x; waypoints [] would do",
        ),
        (
            {"min_bandwidth_mbps": 5},
            (
                "no path from a to d: minBandwidthMbps 5: what a>d has is not known; "
                "minBandwidthMbps unset would do"
            ),
        ),
    ],
)
def test_refusals_read_well(limits, message):
    assert select(diamond, "a", "d", asking(**limits)).refusal.message == message


def test_the_widest_path_says_how_wide():
    found = graph(both("a", "b", capacity=40.0), both("a", "c", capacity=90), both("c", "b"))
    refusal = select(found, "a", "b", asking(min_bandwidth_mbps=60)).refusal
    assert refusal.edges == ("a>b",)
    assert [str(change) for change in refusal.nearest] == ["minBandwidthMbps 40 would do"]


@pytest.mark.parametrize("tagged", ["b", "c"])
def test_tags_of_hosts_beside_the_ends_are_told(tagged):
    found = graph(both("a", "b"), both("b", "c"), both("c", "d")).topology
    vertices = (replace(v, tags=frozenset("x" * (v.host == tagged))) for v in found.vertices)
    network = Graph(Topology(tuple(vertices), found.edges))
    (nearest,) = select(network, "a", "d", asking(avoid_tags=("x", "y"))).refusal.nearest
    assert (nearest.constraint, nearest.value) == ("avoidTags", "[y]")


def test_a_link_that_is_down_is_named():
    found = graph(both("a", "b"), both("b", "c", up=False), both("b", "c", 1, disabled=True))
    refusal = select(found, "a", "c", asking()).refusal
    assert refusal.message == ("no usable way from a to c: b#1>c#1 is disabled and b>c is down")
    assert refusal.edges == ("b#1>c#1", "b>c")


@pytest.mark.parametrize(
    "odd",
    [
        {"capacity": 0.0},
        {"capacity": -10.0},
        {"latency": float("nan")},
        {"latency": -3.0},
        {"latency": float("inf")},
        {"loss": 1.0},
        {"loss": float("nan")},
        {"cost": 0},
        {"cost": -5},
        {"price": -1.0},
    ],
)
@pytest.mark.parametrize("objective", ["cost", "latency", "price", "utilisation", "loss"])
def test_odd_values_are_survived(odd, objective):
    found = graph(arc("a", "a", 1), both("a", "b", **odd), both("b", "c"), both("a", "c", cost=9))
    spec = asking(objective, 3, "unequal", "link", max_latency_ms=50, min_bandwidth_mbps=1)
    assert select(found, "a", "c", spec).refusal is not None
    spec = asking(objective, 3, "unequal", "link")
    got = select(found, "a", "c", spec)
    assert {str(share.path) for share in got.shares} == {"a>b>c", "a>c"}
    assert runners_up(found, ("a", "c"), spec, got) == ()


def test_nowhere_and_nobody():
    empty = Graph(Topology())
    assert "there is no host a and b" in refuse(empty, "a", "b", asking()).message
    assert "needs no path" in select(diamond, "a", "a", asking()).refusal.message
    assert select(diamond, "a", "x", asking()).refusal.message == "there is no host x"


def test_why_runners_up_lost():
    spec = asking("latency", encrypted=False, max_hops=2)
    lost = runners_up(diamond, ("a", "d"), spec, select(diamond, "a", "d", spec))
    assert [(str(one.path), one.reason) for one in lost] == [
        ("a>c>d", "latency 4, 2 more than the best"),
        ("a>d", "latency 9, 7 more than the best"),
    ]
    spec = asking("latency", avoid_tags=("radio",))
    tagged = graph(
        both("a", "b", latency=1.0, tags=frozenset({"radio"})),
        both("b", "d", latency=1.0),
        both("a", "d", latency=4.0),
    )
    lost = runners_up(tagged, ("a", "d"), spec, select(tagged, "a", "d", spec))
    assert [(str(one.path), one.reason) for one in lost] == [("a>b>d", "avoidTags on a>b")]


def test_parallel_pairs_are_what_brute_force_says():
    found = graph(both("a", "b"), both("a", "b", 1, cost=3), both("a", "b", 2, cost=2))
    got = select(found, "a", "b", asking(disjoint="node"))
    expected = disjoint_pairs(found, "a", "b", "cost", ANYTHING, "node")[0][1]
    assert (got.shares[0].path, got.backup) == expected
