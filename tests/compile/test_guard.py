# SPDX-License-Identifier: Apache-2.0
"""What would deceive others is refused, however it is wrapped up."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from pair import Bridge

from vneter_sdn.model.addresses import link_local
from vneter_sdn.model.fields import PROTO_ICMPV6
from vneter_sdn.pipeline.refusals import Refusal
from vneter_sdn.simulate.packet import Ends, ip_packet, neighbour_solicitation, udp

PAIR = Bridge()
OWN = link_local(PAIR.mac)
TO_PEER = Ends(PAIR.mac, PAIR.peer, OWN, ip_address("ff02::1"))
FOUR = Ends(PAIR.mac, PAIR.peer, PAIR.own, PAIR.peers)
SIX = Ends(PAIR.mac, PAIR.peer, PAIR.own6, link_local(PAIR.peer))
LATER, NO_PROTOCOL = 44, 0
"""Protocols that Open vSwitch shows of later fragments, and of headers that are cut off."""


def icmp(kind, hops=255, ends=TO_PEER):
    return ip_packet(ends, PROTO_ICMPV6, ttl=hops).with_(icmpv6_type=kind)


@pytest.mark.parametrize(
    ("packet", "kind"),
    [
        (icmp(134), Refusal.ROUTER),
        (icmp(137), Refusal.ROUTER),
        # Of a fragment the type is not shown. Only neighbour discovery has 255 hops left.
        (icmp(0), Refusal.NEIGHBOUR),
        (icmp(0, ends=SIX), Refusal.NEIGHBOUR),
        (ip_packet(TO_PEER, NO_PROTOCOL, ttl=0), Refusal.FRAME),
        (ip_packet(SIX, NO_PROTOCOL, ttl=64), Refusal.FRAME),
        # Two link-layer options: Open vSwitch shows neither them nor the target.
        (
            neighbour_solicitation(PAIR.mac, OWN, ip_address("::"), link_address=0),
            Refusal.NEIGHBOUR,
        ),
        (udp(FOUR, 67, 68), Refusal.DHCP),
        (udp(FOUR, 4711, 68), Refusal.DHCP),
        (udp(SIX, 547, 546), Refusal.DHCP),
        (udp(SIX, 4711, 546), Refusal.DHCP),
    ],
)
def test_what_deceives(packet, kind):
    assert PAIR.refused(packet) == kind


@pytest.mark.parametrize(
    "packet",
    [
        icmp(0, 64, SIX),
        icmp(128, 255, SIX),
        ip_packet(SIX, LATER, ttl=255),
        udp(FOUR, 67, 4711),
        udp(SIX, 547, 4711),
    ],
)
def test_what_is_none_of_it_arrives(packet):
    assert PAIR.refused(packet) is None
    assert PAIR.asked(packet) == ([], [2])
