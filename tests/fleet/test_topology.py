# SPDX-License-Identifier: Apache-2.0
"""Topologies become segments, NICs and addresses, or a refusal that names the field."""

from ipaddress import ip_interface
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vneter_sdn.errors import IntentError
from vneter_sdn.fleet.layout import Layout, port_name
from vneter_sdn.fleet.strands import socket_name, strands
from vneter_sdn.fleet.topology import (
    Impairment,
    Link,
    Topology,
    Wire,
    as_wires,
    read_topology,
    star,
    whole,
    work_out,
)
from vneter_sdn.fleet.underlay import switch_name


def test_a_star_has_one_segment_per_nic():
    underlay = work_out(star(3, nics=2))

    assert [str(segment.prefix) for segment in underlay.segments] == [
        "192.0.2.0/24",
        "198.18.1.0/24",
    ]
    assert [(n.interface, n.bridge, n.address) for n in underlay.nics_of("h2")] == [
        ("e0", "br-phy", "192.0.2.2/24"),
        ("e1", "br-phy1", "198.18.1.2/24"),
    ]


def test_linked_switches_are_one_segment_and_a_wire_is_its_own():
    underlay = work_out(
        Topology(
            hosts=("h1", "h2"),
            switches=("a", "b"),
            links=(("h1", "a"), ("a", "b"), ("h2", "b"), ("h1", "h2")),
        )
    )

    assert [segment.switches for segment in underlay.segments] == [("a", "b"), ("~3",)]
    assert underlay.segments[0].cables == (("a", "b"),)
    assert [(n.host, n.segment) for n in underlay.nics] == [
        ("h1", 0),
        ("h2", 0),
        ("h1", 1),
        ("h2", 1),
    ]


def test_a_link_that_closes_a_loop_of_switches_stays_unused():
    around = (("a", "b"), ("b", "c"), ("c", "a"), ("a", "b"))
    underlay = work_out(
        Topology(hosts=("h1",), switches=("a", "b", "c"), links=(("h1", "a"), *around))
    )

    assert [segment.cables for segment in underlay.segments] == [(("a", "b"), ("b", "c"))]


def test_where_a_file_has_no_hosts_its_switches_are(tmp_path):
    path = tmp_path / "wan.yaml"
    path.write_text("switches: [a, b, c]\nlinks: [[a, b], {ends: [b, c], capacity: 10}]")
    underlay = work_out(read_topology(path))

    assert underlay.hosts == ("a", "b", "c")
    assert [(nic.host, nic.segment, nic.impairment) for nic in underlay.nics] == [
        ("a", 0, None),
        ("b", 0, None),
        ("b", 1, Impairment(rate=10)),
        ("c", 1, None),
    ]
    turned = work_out(as_wires(read_topology(path)))
    assert turned.nics == ()
    assert turned.wires == (
        Wire(("a", "b"), ("w-b", "w-a")),
        Wire(("b", "c"), ("w-c", "w-b"), Impairment(rate=10)),
    )


@given(st.integers(1, 300), st.integers(1, 4))
def test_addresses_are_unique_and_never_the_routers(hosts, nics):
    underlay = work_out(star(hosts, nics))
    addresses = [ip_interface(nic.address).ip for nic in underlay.nics]
    routers = [ip_interface(segment.gateway).ip for segment in underlay.segments]

    assert len(set(addresses + routers)) == hosts * nics + nics
    for nic in underlay.nics:
        assert ip_interface(nic.address).network == underlay.segments[nic.segment].prefix
    assert len({socket_name(nic) for nic in underlay.nics}) == hosts * nics


@pytest.mark.parametrize(
    ("topology", "message"),
    [
        (Topology(hosts=("h1",)), "host h1 has no link"),
        (Topology(hosts=("H1",)), "is no name"),
        (Topology(hosts=("underlay",)), "is no name"),
        (Topology(hosts=("w-red-web",)), "is no name"),
        (Topology(hosts=("a/b",)), "is no name"),
        (Topology(hosts=("h1", "h1")), "the same name"),
        (Topology(hosts=("h1",), links=(("h1", "x"),)), "'x' is neither"),
        (Topology(hosts=("h1",), links=(("h1", "h1"),)), "linked to itself"),
        (Topology(hosts=("h1",), switches=("a",), links=(("h1", "a"),), mtu=100), "mtu"),
        (
            Topology(
                hosts=("h1",), switches=("a",), links=(("h1", "a"),), prefixes={"a": "10.0.0.1/8"}
            ),
            "host bits",
        ),
        (
            Topology(
                hosts=("h1", "h2"),
                switches=("a",),
                links=(("h1", "a"), ("h2", "a")),
                prefixes={"a": "10.0.0.0/30"},
            ),
            "too few addresses",
        ),
        (
            Topology(
                hosts=("h1",),
                switches=("a", "b"),
                links=(("h1", "a"), ("h1", "b")),
                prefixes={"a": "198.18.0.0/15"},
            ),
            "overlaps",
        ),
    ],
)
def test_an_impossible_topology_is_refused(topology, message):
    with pytest.raises(IntentError, match=message):
        work_out(topology)


@pytest.mark.parametrize("numbers", [(0, 1), (1001, 1), (3, 0), (3, 17)])
def test_numbers_out_of_range_are_refused(numbers):
    with pytest.raises(IntentError, match="is not 1 to"):
        star(*numbers)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hosts: [", "line 1 column 9|line 2 column 1"),
        ("hosts: h1", "Expected `array`"),
        ("hosts: [h1]\nhost: h2", "unknown field `host`"),
        ("hosts: [h1]\nlinks: [[h1]]", r"links\[0\]"),
        ("", "Expected `object`"),
    ],
)
def test_a_malformed_file_is_refused(tmp_path, text, message):
    path = tmp_path / "topology.yaml"
    path.write_text(text)
    with pytest.raises(IntentError, match=message):
        read_topology(path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(IntentError, match="cannot be read"):
        read_topology(tmp_path / "none.yaml")


def wires(*links, hosts=("h1", "h2")):
    return work_out(Topology(hosts=hosts, links=links)).wires


def test_wires_have_names_of_their_own_however_many_and_however_long():
    between = Link(ends=("h1", "h2"))
    assert [wire.ports for wire in wires(between, between, Link(ends=("h2", "h1")))] == [
        ("w-h2", "w-h1"),
        ("w-h2.2", "w-h1.2"),
        ("w-h1.3", "w-h2.3"),
    ]
    long = ("a" * 31 + "x", "a" * 31 + "y")
    made = wires(Link(ends=long), Link(ends=long), hosts=long)
    assert len({port for wire in made for port in wire.ports}) == 4
    assert all(len(port) <= 15 for wire in made for port in wire.ports)
    assert wires(Link(ends=("h1", "h2"), ports=("p1", "p9")))[0].port_of("h2") == "p9"


@pytest.mark.parametrize(
    ("links", "message"),
    [
        ([Link(ends=("h1", "h2"), ports=("p", "q"))] * 2, "'p' of h1"),
        ([Link(ends=("h1", "h2"), ports=("p" * 16, "q"))], "no interface's name"),
        ([Link(ends=("h1", "h2"), loss=1.5)], "loss"),
        ([Link(ends=("h1", "h2"), latency=-1)], "latency"),
        ([Link(ends=("h1", "h2"), capacity=0)], "capacity"),
    ],
)
def test_impossible_wires_are_refused(links, message):
    with pytest.raises(IntentError, match=message):
        wires(*links)


def test_only_what_is_slower_than_this_machine_needs_a_relay():
    fast, slow = Link(ends=("h1", "h2"), capacity=10_000), Link(ends=("h1", "h2"), capacity=10)
    assert [wire.impairment for wire in wires(fast, slow)] == [None, Impairment(rate=10)]
    assert whole(("h1", "h2")).medium == "tunnel"


def test_every_link_is_two_interfaces_and_no_two_share_one():
    slow = {"latency": 5.0, "loss": 0.1}
    underlay = work_out(
        Topology(
            hosts=("h1", "h2"),
            switches=("a", "b"),
            links=(
                ("h1", "a"),
                Link(ends=("h2", "b"), **slow),
                Link(ends=("a", "b"), **slow),
                Link(ends=("h1", "h2"), medium="tunnel", **slow),
                Link(ends=("h1", "h2"), **slow),
            ),
        )
    )
    made = strands(Layout(), underlay)
    assert [(one.name, one.kind, bool(one.impairment)) for one in made] == [
        ("h1-h2", "wire", True),
        ("h1-a", "nic", False),
        ("h2-b", "nic", True),
        ("h1-h2.2", "nic", True),
        ("h2-h1", "nic", False),
        ("a-b", "cable", True),
    ]
    places = [place for one in made for place in one.places]
    inner = [name for one in made for name in one.inner]
    assert len(set(places)) == len(places)
    assert len(set(inner)) == len(inner)
    assert all(len(name) <= 15 for _, name in places)


def test_interface_names_fit():
    long = "a" * 32
    underlay = work_out(Topology(hosts=(long,), switches=("s" * 32,), links=((long, "s" * 32),)))
    assert len(socket_name(underlay.nics[0])) <= 15
    assert len(switch_name("s" * 32)) <= 15
    assert len(port_name("t" * 63, "n" * 63)) <= 15


def test_workload_namespaces_do_not_clash():
    layout = Layout()
    assert layout.workload_netns("red", "web1") == "vn-w-red-web1"
    assert layout.workload_netns("a-b", "c") != layout.workload_netns("a", "b-c")


def test_a_layout_comes_from_the_environment():
    assert Layout.from_environment({}) == Layout("vn", Path("/run/vneter"))
    said = {"VNETER_FLEET_PREFIX": "x1", "VNETER_RUN_DIR": "/run/x"}
    assert Layout.from_environment(said) == Layout("x1", Path("/run/x"))


@pytest.mark.parametrize("prefix", ["", "a-b", "1a", "abcdefghijk", "A"])
def test_a_prefix_that_could_meet_anothers_is_refused(prefix):
    with pytest.raises(IntentError):
        Layout(prefix)


def test_a_run_directory_too_long_for_sockets_is_refused():
    with pytest.raises(IntentError, match="too long for Unix sockets"):
        Layout("vn", Path("/run/" + "x" * 80)).host_dir("h1")
