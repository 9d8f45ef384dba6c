# SPDX-License-Identifier: Apache-2.0
"""Topologies become segments, NICs and addresses, or a refusal that names the field."""

from ipaddress import ip_interface
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vneter_sdn.errors import IntentError
from vneter_sdn.fleet.layout import Layout, port_name
from vneter_sdn.fleet.topology import Topology, read_topology, star, work_out
from vneter_sdn.fleet.underlay import socket_name, switch_name


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
        (
            Topology(
                hosts=("h1",),
                switches=("a", "b", "c"),
                links=(("h1", "a"), ("a", "b"), ("b", "c"), ("c", "a")),
            ),
            "loop of switches",
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
        ("hosts: [", "cannot be read"),
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
