# SPDX-License-Identifier: Apache-2.0
"""What a Link may say, alone and beside others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest


@pytest.fixture
def hosts(world: Any) -> Any:
    """Three hosts; h1 and h2 have two addresses each, the first of h2 is IPv6."""
    world.apply(
        world.host("h1", tunnelAddresses=["192.0.2.1", "198.51.100.1"]),
        world.host("h2", tunnelAddresses=["2001:db8::2", "192.0.2.2"]),
        world.host("h3"),
    )
    return world


def link(world: Any, name: str = "l", **spec: Any) -> Any:
    return world.edit("Link", name, **{"source": "h1", "target": "h2", **spec})


def wire(world: Any, name: str = "w", **spec: Any) -> Any:
    ports = {"sourcePort": "eth1", "targetPort": "eth1"}
    return link(world, name, **{"medium": "wire", **ports, **spec})


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({"medium": "wire", "sourcePort": "eth1"}, ("spec.targetPort", "Missing")),
        ({"medium": "wire", "targetPort": "eth1"}, ("spec.sourcePort", "Missing")),
        ({"sourcePort": "eth1"}, ("spec.sourcePort", "NotOfTunnels")),
        ({"targetPort": "eth1"}, ("spec.targetPort", "NotOfTunnels")),
        ({"target": "h1"}, ("spec.target", "SameEnds")),
        ({"target": "h9"}, ("spec.target", "UnknownReference")),
        ({"sourceAddress": "nonsense"}, ("spec.sourceAddress", "BadAddress")),
        ({"sourceAddress": "192.0.2.9"}, ("spec.sourceAddress", "UnknownAddress")),
        (
            {"sourceAddress": "192.0.2.1", "targetAddress": "2001:db8::2"},
            ("spec.targetAddress", "MixedFamilies"),
        ),
        ({"mtu": 1300}, ("spec.mtu", "MtuTooLarge")),
        ({"mtu": 1500}, ("spec.mtu", "MtuTooLarge")),
        ({"capacityMbps": 0}, ("spec.capacityMbps", "InvalidValue")),
        ({"capacityMbps": -1.5}, ("spec.capacityMbps", "InvalidValue")),
        ({"loss": 1.5}, ("spec.loss", "InvalidValue")),
        ({"latencyMs": float("nan")}, ("spec.latencyMs", "BadNumber")),
        ({"cost": 0}, ("spec.cost", "InvalidValue")),
    ],
)
def test_link_faults(hosts: Any, spec: dict[str, Any], problem: tuple[str, str]) -> None:
    assert hosts.refused(link(hosts, **spec)) == {problem}


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"sourceAddress": "192.0.2.1"}, "spec.sourceAddress"),
        ({"targetAddress": "192.0.2.2"}, "spec.targetAddress"),
        ({"encapsulation": "vxlan"}, "spec.encapsulation"),
    ],
)
def test_wires_have_nothing_of_tunnels(hosts: Any, spec: dict[str, Any], field: str) -> None:
    assert hosts.refused(wire(hosts, **spec)) == {(field, "NotOfWires")}


def test_each_direction_may_have_its_own_link(hosts: Any) -> None:
    hosts.apply(link(hosts, "forth", cost=3), link(hosts, "back", source="h2", target="h1"))
    assert hosts.refused(link(hosts, "again")) == {("", "LinkExists")}


def test_the_first_address_of_one_family_is_meant(hosts: Any) -> None:
    hosts.apply(link(hosts, "first"))
    named = link(hosts, "named", sourceAddress="192.0.2.1", targetAddress="192.0.2.2")
    assert hosts.refused(named) == {("", "LinkExists")}
    hosts.apply(link(hosts, "second", sourceAddress="198.51.100.1"))
    hosts.apply(wire(hosts))


def test_a_port_has_one_wire(hosts: Any) -> None:
    hosts.apply(wire(hosts, "w"))
    hosts.apply(wire(hosts, "back", source="h2", target="h1"))
    assert hosts.refused(wire(hosts, "twin")) == {("", "LinkExists")}
    other = wire(hosts, "other", target="h3")
    assert hosts.refused(other) == {("spec.sourcePort", "PortInUse")}
    third = wire(hosts, "third", source="h3", sourcePort="eth7")
    assert hosts.refused(third) == {("spec.targetPort", "PortInUse")}
    hosts.apply(wire(hosts, "other", sourcePort="eth2", target="h3"))


@pytest.mark.parametrize("ends", [{}, {"source": "h2", "target": "h1"}])
def test_what_is_declared_takes_the_place_of_what_was_found(hosts: Any, ends: Any) -> None:
    found = {**wire(hosts, "found").manifest}
    found["metadata"] = {**found["metadata"], "annotations": {"vneter.io/origin": "lldp"}}
    hosts.apply(replace(wire(hosts, "found"), manifest=found))
    hosts.apply(wire(hosts, "other", sourcePort="eth2", targetPort="eth2"))
    hosts.apply(wire(hosts, "mine", cost=7, **ends))
    links = {key.name for key in hosts.snapshot.objects if key.kind == "Link"}
    assert links == {"mine", "other"}


def test_the_ends_of_a_tunnel_agree_on_its_encapsulation(hosts: Any) -> None:
    hosts.apply(link(hosts, "forth", encapsulation="vxlan"))
    back = {"source": "h2", "target": "h1"}
    refused = hosts.refused(link(hosts, "back", **back, encapsulation="geneve"))
    assert refused == {("spec.encapsulation", "EncapsulationDiffers")}
    hosts.apply(link(hosts, "back", **back, encapsulation="vxlan"))


def test_a_host_keeps_the_addresses_that_links_name(hosts: Any) -> None:
    hosts.apply(link(hosts, sourceAddress="198.51.100.1"))
    fewer = hosts.host("h1", tunnelAddresses=["192.0.2.1"])
    assert hosts.refused(fewer) == {("spec.tunnelAddresses", "InUse")}
    hosts.apply(fewer, link(hosts))


def test_no_network_is_larger_than_a_link(hosts: Any) -> None:
    hosts.apply(wire(hosts, mtu=1400))
    assert hosts.refused(hosts.network(mtu=1420)) == {("spec.mtu", "MtuTooLarge")}
    hosts.apply(hosts.delete("Link", "w"), hosts.network(mtu=1420))
