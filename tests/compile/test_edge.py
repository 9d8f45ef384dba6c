# SPDX-License-Identifier: Apache-2.0
"""What reaches the controller as a question, by the simulator: only what is addressed to it."""

from __future__ import annotations

from collections import Counter
from ipaddress import ip_address

import pytest
from pair import Bridge, edit

from vneter_sdn.model.flow import Punt
from vneter_sdn.pipeline import punts
from vneter_sdn.pipeline.punts import Asked, Service
from vneter_sdn.simulate.packet import Ends, tcp, udp

BROADCAST, EVERYBODY, NOBODY = (
    0xFFFF_FFFF_FFFF,
    ip_address("255.255.255.255"),
    ip_address("0.0.0.0"),
)
STALE = ip_address("192.0.2.7")
"""An address that nobody has, of anywhere."""
GATEWAY, GATEWAY6 = ip_address("10.0.0.1"), ip_address("fd00::1")
DROP = {
    "appliesTo": [{"endpoints": {"matchLabels": {"name": "a"}}}],
    "egress": [{"action": "drop"}],
}


BOTH = Bridge(dhcp={}, dns={})


def ends(target_mac, target, source=BOTH.own, mac=BOTH.mac):
    return Ends(mac, target_mac, source, target)


@pytest.mark.parametrize(
    ("packet", "asked"),
    [
        (udp(ends(BROADCAST, EVERYBODY, NOBODY), 68, 67), [Service.DHCP]),
        (udp(ends(BROADCAST, EVERYBODY), 68, 67), [Service.DHCP]),
        (udp(ends(BOTH.gateway_mac, GATEWAY), 68, 67), [Service.DHCP]),
        (udp(ends(BOTH.gateway_mac, GATEWAY), 5000, 53), [Service.DNS]),
        (udp(ends(BOTH.gateway_mac, GATEWAY6, BOTH.own6), 5000, 53), [Service.DNS]),
        (tcp(ends(BOTH.gateway_mac, GATEWAY), 5000, 53), [Service.DNS]),
        (tcp(ends(BOTH.gateway_mac, GATEWAY6, BOTH.own6), 5000, 53), [Service.DNS]),
        # Whoever has no address asks for one, and says nothing else.
        (udp(ends(BROADCAST, EVERYBODY, NOBODY), 68, 53), []),
        (udp(ends(BOTH.peer, BOTH.peers, NOBODY), 68, 67), []),
        (udp(ends(BOTH.peer, EVERYBODY, NOBODY), 68, 67), []),
        (udp(ends(BOTH.gateway_mac, GATEWAY, NOBODY), 5000, 53), []),
        # With its own MAC and addresses.
        (udp(ends(BROADCAST, EVERYBODY, NOBODY, BOTH.peer), 68, 67), []),
        # DHCP alone may be asked with another one: it was its own, perhaps.
        (udp(ends(BROADCAST, EVERYBODY, STALE), 68, 67), [Service.DHCP]),
        (udp(ends(BROADCAST, EVERYBODY, BOTH.peers), 68, 67), [Service.DHCP]),
        (udp(ends(BOTH.gateway_mac, GATEWAY, STALE), 68, 67), [Service.DHCP]),
        (udp(ends(BOTH.gateway_mac, GATEWAY, NOBODY), 68, 67), [Service.DHCP]),
        (udp(ends(BROADCAST, EVERYBODY, STALE, BOTH.peer), 68, 67), []),
        (udp(ends(BOTH.gateway_mac, GATEWAY, STALE, BOTH.peer), 68, 67), []),
        (udp(ends(BROADCAST, EVERYBODY, STALE), 67, 68), []),
        (udp(ends(BROADCAST, EVERYBODY, STALE), 5000, 67), []),
        (udp(ends(BROADCAST, BOTH.peers, STALE), 68, 67), []),
        (udp(ends(BOTH.peer, BOTH.peers, STALE), 68, 67), []),
        (udp(ends(BOTH.gateway_mac, BOTH.peers, STALE), 68, 67), []),
        (udp(ends(BOTH.gateway_mac, EVERYBODY, STALE), 68, 67), []),
        (udp(ends(BOTH.gateway_mac, GATEWAY, STALE), 5000, 53), []),
        (udp(ends(BOTH.gateway_mac, GATEWAY, BOTH.peers), 5000, 53), []),
        # Of the service, at its address.
        (udp(ends(BOTH.gateway_mac, EVERYBODY, NOBODY), 68, 67), []),
        (udp(ends(BROADCAST, GATEWAY), 68, 67), []),
        (udp(ends(BROADCAST, GATEWAY), 5000, 53), []),
        (udp(ends(BOTH.gateway_mac, GATEWAY), 53, 5000), []),
        (udp(ends(BOTH.gateway_mac, GATEWAY), 5000, 67), []),
        (tcp(ends(BOTH.gateway_mac, GATEWAY), 53, 5000), []),
    ],
)
def test_what_is_asked_of_the_controller(packet, asked):
    assert BOTH.asked(packet) == (asked, [])


@pytest.mark.parametrize(("source", "target"), [(68, 67), (5000, 53), (53, 5000), (5000, 67)])
def test_what_is_for_somebody_else_is_theirs(source, target):
    """Ports say nothing of who is meant: addresses do."""
    assert BOTH.asked(udp(ends(BOTH.peer, BOTH.peers), source, target)) == ([], [2])
    routed = udp(ends(BOTH.gateway_mac, BOTH.peers), source, target)
    assert BOTH.asked(routed) == ([], [2])


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        ({}, [[], []]),
        ({"dhcp": {}}, [[Service.DHCP], []]),
        ({"dns": {}}, [[], [Service.DNS]]),
        ({"dhcp": {"enabled": False}, "dns": {"enabled": False}}, [[], []]),
    ],
)
def test_a_network_says_what_it_answers(options, asked):
    bridge = Bridge(**options)
    dhcp = udp(Ends(bridge.mac, BROADCAST, NOBODY, EVERYBODY), 68, 67)
    dns = udp(Ends(bridge.mac, bridge.gateway_mac, bridge.own, GATEWAY), 5000, 53)
    assert [bridge.asked(packet)[0] for packet in (dhcp, dns)] == asked


def test_policies_are_asked_about_names_and_not_about_configuration():
    bridge = Bridge(edit("Policy", "none", "red", **DROP), dhcp={}, dns={})
    dhcp = udp(Ends(bridge.mac, BROADCAST, NOBODY, EVERYBODY), 68, 67)
    dns = udp(Ends(bridge.mac, bridge.gateway_mac, bridge.own, GATEWAY), 5000, 53)
    assert bridge.asked(dhcp) == ([Service.DHCP], [])
    assert bridge.asked(dns) == ([], [])


def test_a_crafted_port_gets_past_no_policy():
    """CVE-2025-0650 was that: UDP 53 towards anybody skipped what egress says."""
    bridge = Bridge(edit("Policy", "none", "red", **DROP), dhcp={}, dns={})
    for source, target in ((53, 53), (5000, 53), (53, 5000), (68, 67)):
        for mac in (bridge.peer, bridge.gateway_mac):
            packet = udp(Ends(bridge.mac, mac, bridge.own, bridge.peers), source, target)
            assert bridge.asked(packet) == ([], [])


def test_each_port_asks_in_its_own_name_by_its_own_meter():
    found = [
        (punts.decode(action.userdata), action.meter)
        for flow in BOTH.state.flows.values()
        for action in flow.actions
        if isinstance(action, Punt)
    ]
    asked = {(one, meter) for one, meter in found if isinstance(one, Asked)}
    assert {(one.port, one.mac) for one, _ in asked} == {(1, BOTH.mac), (2, BOTH.peer)}
    assert Counter(meter for _, meter in asked).most_common(1)[0][1] == 1
    assert {one.meter for one, _ in asked} <= set(BOTH.state.meters.values())
