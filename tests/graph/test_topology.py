# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import itertools
from ipaddress import ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vneter_sdn.graph.network import Graph
from vneter_sdn.graph.route import ends, reverse
from vneter_sdn.graph.topology import Observation, Vertex, observed, topology, vertex
from vneter_sdn.model.kinds import HostSpec, LinkSpec


def host(name, *addresses, **more):
    return Vertex(name, 1 + "abcdef".index(name), addresses, **more)


def hosts(names, **more):
    return [host(name, f"192.0.2.{ord(name)}", **more) for name in names]


def link(source, target, **more):
    return LinkSpec(source=source, target=target, **more)


def wire(source, target, ports=("p1", "p2"), **more):
    one, other = ports
    return link(source, target, medium="wire", source_port=one, target_port=other, **more)


def edges(vertices, links=(), observations=None):
    named = {f"l{number:03}": one for number, one in enumerate(links)}
    found = topology(vertices, named, observations or {})
    return {edge.name: edge for edge in found.edges}


def test_everybody_is_joined_by_a_tunnel():
    found = topology(hosts("bca"), {})
    assert [v.host for v in found.vertices] == ["a", "b", "c"]
    assert [(e.source, e.target) for e in found.edges] == list(itertools.permutations("abc", 2))
    assert found.edges[0].name == "a>b"
    assert (found.edges[0].local_ip, found.edges[0].remote_ip) == ("192.0.2.97", "192.0.2.98")


def test_a_vertex_is_what_its_host_says():
    spec = HostSpec(
        tunnel_addresses=("192.0.2.1",),
        encapsulation="gre",
        site="s",
        region="r",
        tags=("t",),
        drained=True,
    )
    assert vertex("a", 7, spec) == Vertex(
        "a", 7, ("192.0.2.1",), "gre", "s", "r", frozenset({"t"}), True
    )


def test_hosts_without_addresses_have_no_tunnels():
    assert not edges([host("a"), *hosts("b")], [link("a", "b")])


def test_hosts_of_different_families_are_not_joined():
    four, six = host("a", "192.0.2.1"), host("b", "2001:db8::2")
    both = host("c", "2001:db8::3", "192.0.2.3")
    found = edges([four, six, both], [link("a", "b")])
    assert set(found) == {"a>c", "c>a", "b>c", "c>b"}
    assert found["a>c"].remote_ip == "192.0.2.3"
    assert found["b>c"].remote_ip == "2001:db8::3"


def test_several_addresses_are_joined_rank_by_rank():
    one, other = host("a", "192.0.2.1", "198.51.100.1"), host("b", "192.0.2.2", "198.51.100.2")
    found = edges([one, other])
    assert set(found) == {"a>b", "b>a", "a#1>b#1", "b#1>a#1"}
    assert (found["b#1>a#1"].local_ip, found["b#1>a#1"].remote_ip) == (
        "198.51.100.2",
        "198.51.100.1",
    )
    assert len({edge.port for edge in found.values() if edge.source == "a"}) == 2
    more = host("c", "192.0.2.3")
    assert set(edges([one, more])) == {"a>c", "c>a"}


def test_ranks_are_those_of_one_family():
    one, other = host("a", "2001:db8::1", "192.0.2.1"), host("b", "192.0.2.2", "2001:db8::2")
    found = edges([one, other])
    assert set(found) == {"a>b", "b>a", "a#1>b#0", "b#0>a#1"}
    assert found["a>b"].remote_ip == "2001:db8::2"
    assert found["a#1>b#0"].remote_ip == "192.0.2.2"


def test_a_link_joins_any_other_pair_of_addresses():
    one, other = host("a", "192.0.2.1", "198.51.100.1"), host("b", "192.0.2.2", "198.51.100.2")
    cross = link("b", "a", source_address="192.0.2.2", target_address="198.51.100.1", cost=3)
    found = edges([one, other], [cross])
    assert {name for name, edge in found.items() if edge.cost == 3} == {"a#1>b#0", "b#0>a#1"}
    assert len(found) == 6


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ({}, "a>b"),
        ({"source_address": "198.51.100.1"}, "a#1>b#1"),
        ({"target_address": "198.51.100.2"}, "a#1>b#1"),
        ({"source_address": "192.0.2.9"}, None),
    ],
)
def test_which_tunnel_a_link_is_about(said, meant):
    one, other = host("a", "192.0.2.1", "198.51.100.1"), host("b", "192.0.2.2", "198.51.100.2")
    found = edges([one, other], [link("a", "b", cost=3, **said)])
    ways = {meant, *reverse((meant,))} if meant else set()
    assert {name for name, edge in found.items() if edge.cost == 3} == ways


def test_encapsulation_agrees_at_both_ends():
    one, other = hosts("a", encapsulation="vxlan")[0], hosts("b", encapsulation="gre")[0]
    assert {e.encapsulation for e in edges([other, one]).values()} == {"vxlan"}
    named = [link("b", "a", encapsulation="geneve"), link("a", "b", cost=2)]
    assert {e.encapsulation for e in edges([one, other], named).values()} == {"geneve"}


def test_a_link_says_all_about_its_edges_both_ways():
    said = {
        "cost": 4,
        "latency_ms": 2.5,
        "loss": 0.0,
        "capacity_mbps": 100.0,
        "price_per_gb": 0.5,
        "mtu": 1400,
        "encrypted": True,
        "tags": ("t",),
        "risk_groups": ("duct",),
        "disabled": True,
        "drained": True,
    }
    for edge in edges(hosts("ab"), [link("a", "b", **said)]).values():
        assert (edge.cost, edge.latency, edge.loss, edge.capacity) == (4, 2.5, 0.0, 100.0)
        assert (edge.price, edge.mtu, edge.encrypted, edge.drained) == (0.5, 1400, True, True)
        assert (edge.tags, edge.risks) == (frozenset({"t"}), frozenset({"duct"}))
        assert edge.disabled
        assert edge.loss_declared


def test_a_link_back_counts_for_itself_and_of_several_the_first():
    links = [link("b", "a", disabled=True), link("a", "b", cost=7), link("a", "b", cost=8)]
    found = edges(hosts("ab"), links)
    assert (found["a>b"].cost, found["a>b"].disabled) == (7, False)
    assert (found["b>a"].cost, found["b>a"].disabled) == (1, True)


def test_wires_are_edges_both_ways():
    found = edges([host("a"), host("b")], [wire("b", "a", cost=3), wire("a", "b", ("p3", "p4"))])
    assert set(found) == {"b:p1>a:p2", "a:p2>b:p1", "a:p3>b:p4", "b:p4>a:p3"}
    edge = found["a:p2>b:p1"]
    assert (edge.source, edge.target, edge.port, edge.medium) == ("a", "b", "p2", "wire")
    assert (edge.reverse, edge.cost, edge.local_ip) == ("b:p1>a:p2", 3, "")


def test_a_wire_declared_both_ways_has_two_costs():
    found = edges([host("a"), host("b")], [wire("a", "b"), wire("b", "a", ("p2", "p1"), cost=9)])
    assert {name: edge.cost for name, edge in found.items()} == {"a:p1>b:p2": 1, "b:p2>a:p1": 9}


@pytest.mark.parametrize(
    "odd",
    [
        link("a", "a"),
        link("a", "z"),
        link("z", "a"),
        wire("a", "a"),
        wire("a", "z"),
        wire("z", "a"),
        link("a", "b", medium="wire", source_port="p1"),
        link("a", "b", medium="wire"),
        link("a", "b", source_address="2001:db8::1"),
    ],
)
def test_links_that_make_no_sense_are_passed_over(odd):
    assert edges(hosts("ab"), [odd]) == edges(hosts("ab"))


def test_what_is_seen_counts_where_nobody_declared_it():
    seen = {"a>b": Observation(latency=5.0, loss=0.1, utilisation=0.5, capacity=10.0)}
    edge = edges(hosts("ab"), [], seen)["a>b"]
    assert (edge.latency, edge.loss, edge.utilisation, edge.capacity) == (5.0, 0.1, 0.5, 10.0)
    assert edges(hosts("ab"), [], seen)["b>a"] == edges(hosts("ab"))["b>a"]
    said = link("a", "b", latency_ms=1.0, loss=0.0, capacity_mbps=99.0)
    edge = edges(hosts("ab"), [said], seen)["a>b"]
    assert (edge.latency, edge.loss, edge.utilisation, edge.capacity) == (1.0, 0.0, 0.5, 99.0)


@pytest.mark.parametrize("down", ["a>b", "b>a"])
def test_an_edge_is_up_only_if_both_ways_are(down):
    found = edges(hosts("abc"), [], {down: Observation(up=False), "a>c": Observation()})
    assert {name for name, edge in found.items() if not edge.up} == {"a>b", "b>a"}


def test_what_nobody_saw_stays_the_same_value():
    graph = topology(hosts("abc"), {})
    assert observed(graph, {}) is graph
    seen = observed(graph, {"a>b": Observation(latency=1.0)})
    same = [new is old for new, old in zip(seen.edges, graph.edges, strict=True)]
    assert same.count(False) == 1


names = st.sampled_from("abcz")
pool = ["192.0.2.{}", "198.51.100.{}", "2001:db8::{}", "2001:db8:1::{}"]
vertices = st.lists(
    st.builds(
        lambda name, kinds: host(name, *(pool[k].format(ord(name)) for k in kinds)),
        st.sampled_from("abc"),
        st.lists(st.integers(0, 3), unique=True, max_size=4),
    ),
    unique_by=lambda v: v.host,
)
addresses = st.none() | st.builds(
    lambda kind, name: pool[kind].format(ord(name)), st.integers(0, 3), names
)
links = st.lists(
    st.builds(
        link,
        names,
        names,
        source_address=addresses,
        target_address=addresses,
        cost=st.integers(1, 9),
        encapsulation=st.sampled_from([None, "geneve", "gre"]),
        medium=st.sampled_from(["tunnel", "tunnel", "wire"]),
        source_port=st.sampled_from([None, "p1", "p2"]),
        target_port=st.sampled_from([None, "p1", "p2"]),
        disabled=st.booleans(),
    ),
    max_size=8,
)


@given(vertices, links)
@settings(max_examples=200, deadline=None)
def test_every_edge_has_its_reverse_and_a_name_of_its_own(known, declared):
    named = {f"l{number}": one for number, one in enumerate(declared)}
    graph = topology(known, named)
    found = {edge.name: edge for edge in graph.edges}
    assert len(found) == len(graph.edges)
    assert list(graph.edges) == sorted(graph.edges, key=lambda e: (e.source, e.target, e.name))
    assert graph == topology(reversed(known), named)
    ports = [(edge.source, edge.port) for edge in graph.edges if edge.medium == "tunnel"]
    assert len(set(ports)) == len(ports)
    for edge in graph.edges:
        back = found[edge.reverse]
        assert (back.reverse, back.source, back.target) == (edge.name, edge.target, edge.source)
        assert reverse((edge.name,)) == (edge.reverse,)
        assert ends(edge.name) == (edge.source, edge.target)
        assert (back.local_ip, back.remote_ip) == (edge.remote_ip, edge.local_ip)
        assert back.encapsulation == edge.encapsulation
        assert len(edge.port) <= 15
    Graph(graph)


@given(vertices)
@settings(deadline=None)
def test_unasked_tunnels_share_no_address_and_leave_none_over_that_could_be_joined(known):
    graph = topology(known, {})
    for one, other in itertools.permutations(known, 2):
        joined = [e for e in graph.edges if (e.source, e.target) == (one.host, other.host)]
        near, far = [e.local_ip for e in joined], [e.remote_ip for e in joined]
        assert len(set(near)) == len(near)
        assert len(set(far)) == len(far)
        for version in (4, 6):
            counts = [
                sum(ip_address(a).version == version for a in v.addresses) for v in (one, other)
            ]
            assert sum(ip_address(a).version == version for a in near) == min(counts)
