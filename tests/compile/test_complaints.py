# SPDX-License-Identifier: Apache-2.0
"""What is complained of, by the simulator: nothing that is for everybody, and gateways answer."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from pair import Bridge, edit

from vneter_sdn.model.fields import ETH_IP
from vneter_sdn.pipeline import punts
from vneter_sdn.pipeline.complaints import Complaint, Fault
from vneter_sdn.simulate.bridge import Surroundings, run
from vneter_sdn.simulate.packet import Ends, echo, udp

BOTH = Bridge(edit("Network", "other", "red", prefixes=["10.1.0.0/24", "fd01::/64"], mtu=1280))
OWN, OWN6 = BOTH.own, BOTH.own6


def by_gateway(target, **more):
    source = OWN if ip_address(target).version == 4 else OWN6
    return udp(Ends(BOTH.mac, BOTH.gateway_mac, source, ip_address(target)), 1000, 2000, **more)


def said(packet):
    """What the controller is told; the packet goes nowhere."""
    found = run(BOTH.state, packet.at(1), Surroundings())
    assert not found.ambiguities
    assert not found.outputs
    return [punts.decode(one.action.userdata) for one in found.punts]


def faults(packet):
    told = said(packet)
    assert all(isinstance(one, Complaint) for one in told)
    return [one.fault for one in told]


@pytest.mark.parametrize("ttl", [64, 1])
@pytest.mark.parametrize("length", [100, 1400])
@pytest.mark.parametrize("target", ["10.0.0.255", "10.0.0.0", "10.1.0.255", "10.1.0.0"])
def test_nothing_is_said_of_what_is_for_everybody_of_a_network(target, length, ttl):
    """RFC 1122 §3.2.2, RFC 1812 §4.3.2.7; zeros mean the same to old hosts (§4.2.3.1)."""
    assert said(by_gateway(target, ttl=ttl).with_(length=length)) == []


@pytest.mark.parametrize("target", ["10.1.0.254", "10.1.0.9"])
def test_all_other_addresses_that_nobody_has_are_complained_of(target):
    assert faults(by_gateway(target)) == [Fault.NOBODY]
    assert faults(by_gateway(target, ttl=1)) == [Fault.EXPIRED]


@pytest.mark.parametrize("ttl", [0, 1, 2, 64])
@pytest.mark.parametrize("target", ["10.1.0.1", "fd01::1"])
def test_a_gateway_elsewhere_answers_whatever_hops_are_left(target, ttl):
    """RFC 1812 §5.3.1: what is for the router itself is not forwarded, so it cannot expire."""
    source = OWN if ip_address(target).version == 4 else OWN6
    ends = Ends(BOTH.mac, BOTH.gateway_mac, source, ip_address(target))
    for packet in (by_gateway(target, ttl=ttl), echo(ends, ttl=ttl)):
        (told,) = said(packet)
        assert (told.fault, told.gateway) == (Fault.NOBODY, ip_address(target))


def test_a_gateway_elsewhere_answers_what_its_network_would_not_take():
    """Nothing of it goes there."""
    for length in (1400, 1200):
        packet = by_gateway("10.1.0.1").with_(length=length)
        assert packet["eth_type"] == ETH_IP
        assert faults(packet) == [Fault.NOBODY]
    assert faults(by_gateway("10.1.0.9").with_(length=1400)) == [Fault.TOO_LONG]
