# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vneter_sdn.errors import NoPath
from vneter_sdn.graph.paths import Paths, next_hops
from vneter_sdn.graph.topology import Vertex, topology
from vneter_sdn.model.kinds import LinkSpec


def hosts(*names, **more):
    return [
        Vertex(name, number, (f"192.0.2.{number}",), **more)
        for number, name in enumerate(names, start=1)
    ]


def link(source, target, **more):
    return LinkSpec(source=source, target=target, **more)


def test_everybody_is_one_hop_away_by_default():
    graph = topology(hosts("a", "b", "c"), {})
    assert next_hops(graph, "a") == {"b": "a", "c": "a"}
    assert [(e.source, e.target) for e in graph.edges] == list(itertools.permutations("abc", 2))


def test_a_disabled_link_is_gone_round_in_both_directions():
    graph = topology(hosts("a", "b", "c"), {"l": link("b", "a", disabled=True)})
    assert next_hops(graph, "a") == {"b": "c", "c": "a"}
    assert next_hops(graph, "b") == {"a": "c", "c": "b"}


def test_a_link_back_counts_for_itself():
    links = {"l": link("b", "a", disabled=True), "m": link("a", "b", cost=7)}
    graph = topology(hosts("a", "b"), links)
    assert next_hops(graph, "a") == {}
    assert next_hops(graph, "b") == {"a": "b"}


def test_cost_decides_and_the_lower_name_breaks_ties():
    links = {"l": link("a", "d", cost=3)}
    graph = topology(hosts("a", "b", "c", "d"), links)
    assert next_hops(graph, "d")["a"] == "b"
    assert next_hops(graph, "a")["d"] == "b"


def test_hosts_of_different_families_are_not_joined():
    four, six = Vertex("a", 1, ("192.0.2.1",)), Vertex("b", 2, ("2001:db8::2",))
    both = Vertex("c", 3, ("2001:db8::3", "192.0.2.3"))
    graph = topology([four, six, both], {})
    assert next_hops(graph, "a") == {"b": "c", "c": "a"}
    assert {e.remote_ip for e in graph.edges if e.target == "c"} == {"192.0.2.3", "2001:db8::3"}


def test_encapsulation_agrees_at_both_ends():
    one, other = hosts("a", encapsulation="vxlan")[0], Vertex("b", 2, ("192.0.2.9",), "gre")
    assert {e.encapsulation for e in topology([other, one], {}).edges} == {"vxlan"}
    links = {"l": link("b", "a", encapsulation="geneve")}
    assert {e.encapsulation for e in topology([one, other], links).edges} == {"geneve"}


def test_unknown_targets_and_colours():
    graph = topology(hosts("a", "b"), {})
    assert next_hops(graph, "z") == {}
    with pytest.raises(NoPath):
        next_hops(graph, "a", colour=1)


names = st.sampled_from("abcdef")
links = st.dictionaries(
    st.text("xyz", min_size=1, max_size=3),
    st.builds(
        lambda s, t, cost, off: link(s, t, cost=cost, disabled=off),
        names,
        names,
        st.integers(1, 5),
        st.booleans(),
    ),
    max_size=20,
)


@given(links, names)
def test_following_next_hops_is_cheapest_and_never_loops(declared, target):
    graph = topology(hosts(*"abcdef"), declared)
    cost = {(e.source, e.target): e.cost for e in graph.edges if not e.disabled}
    best = {name: 0 if name == target else float("inf") for name in "abcdef"}
    for _ in best:  # Bellman-Ford
        for (source, to), price in cost.items():
            best[source] = min(best[source], price + best[to])
    found = next_hops(graph, target)
    assert set(found) == {n for n, b in best.items() if b < float("inf") and n != target}
    for start in found:
        spent, at = 0, start
        while at != target:
            spent, at = spent + cost[at, found[at]], found[at]
        assert spent == best[start]


dear = st.lists(st.integers(3, 9), min_size=6, max_size=6)


@given(dear, st.sampled_from("abc"))
def test_no_edge_need_be_cheap(costs, target):
    pairs = itertools.permutations("abc", 2)
    declared = {f"{s}{t}": link(s, t, cost=c) for (s, t), c in zip(pairs, costs, strict=True)}
    cost = {pair: declared["".join(pair)].cost for pair in itertools.permutations("abc", 2)}
    found = next_hops(topology(hosts(*"abc"), declared), target)
    for start in set("abc") - {target}:
        (other,) = set("abc") - {target, start}
        round_, straight = cost[start, other] + cost[other, target], cost[start, target]
        best = {straight: target} | ({round_: min(other, target)} if round_ == straight else {})
        assert found[start] == (other if round_ < straight else best[straight])


def test_what_cannot_be_beaten_is_not_searched_for(monkeypatch):
    searched = []
    monkeypatch.setattr(Paths, "_searched", lambda *asked: searched.append(asked) or {})
    paths = Paths(topology(hosts(*"abcdef"), {"l": link("a", "b", cost=2)}))
    assert [len(paths.next_hops(target)) for target in "cdef"] == [5] * 4
    assert searched == []
    paths.next_hops("b")
    assert [others for _, _, _, others in searched] == [["a"]]
