# SPDX-License-Identifier: Apache-2.0
"""An endpoint speaks only for itself: with its MAC and addresses, in Ethernet, ARP and ND.

Rules of one bridge (refusals that hold for every endpoint) and of one endpoint (what it may say)
share the table; priorities put them in this order::

    TAGGED     tagged frames
    FINAL      LLDP and 802.1 control frames; questions about one's own address, which nobody may
               answer (gratuitous ARP, duplicate address detection)
    UNREADABLE neighbour solicitations whose options Open vSwitch cannot read
    OVERRIDE   neighbour solicitations and advertisements that claim only what is one's own; an
               advertisement has to come from the address that it is about; solicitations that
               claim nothing, of who looks for an address before taking it (RFC 4862 §5.4)
    EXCEPTION  all others, router advertisements and redirects, also in fragments; what only DHCP
               servers say, by whichever port they say it
    HIGH       ARP, IPv4 and IPv6 from one's own addresses
    NAMELESS   what is from no address at all, as hosts send before they have one
    NORMAL     all other ARP, IPv4 and IPv6
    LOW        other ethertypes from one's own MAC

What would deceive somebody goes to ``refused``, where it is counted by endpoint and kind
(`pipeline.refusals`); what does no harm is dropped here.
"""

from __future__ import annotations

from collections.abc import Iterator

from vneter_sdn.compile.features.unit import Feature, Matched, Part, Writer, on
from vneter_sdn.compile.queries import Station, bridge_of, place, segment, station
from vneter_sdn.compile.query import View
from vneter_sdn.model.addresses import IPAddress
from vneter_sdn.model.fields import ETH_ARP, ETH_IP, ETH_IPV6, ETH_LLDP, PROTO_ICMPV6, PROTO_UDP
from vneter_sdn.model.flow import Flow
from vneter_sdn.model.snapshot import Key
from vneter_sdn.pipeline.priorities import (
    EXCEPTION,
    FINAL,
    HIGH,
    LOW,
    NAMELESS,
    NORMAL,
    OVERRIDE,
    TAGGED,
    UNREADABLE,
)
from vneter_sdn.pipeline.refusals import Refusal
from vneter_sdn.pipeline.registers import REFUSED

VLAN_PRESENT = 0x1000
CONTROL_FRAMES = (0x0180C2_000000, 0xFFFFFF_000000)
"""IEEE 802.1Q §8.6.3: destinations that bridges keep to one link, and their neighbours."""
ICMPV6: Matched = {"eth_type": ETH_IPV6, "ip_proto": PROTO_ICMPV6}
SOLICIT: Matched = {**ICMPV6, "icmpv6_type": 135, "icmpv6_code": 0}
ADVERTISE: Matched = {**ICMPV6, "icmpv6_type": 136, "icmpv6_code": 0}
ROUTER_ADVERTISEMENT, REDIRECT = 134, 137
NO_OPTION = 0
"""Open vSwitch reads an absent link-layer option as this address."""
UNREAD, NEIGHBOURLY = 0, 255
"""ICMPv6 type that Open vSwitch shows of a fragment, target of a solicitation whose options it
cannot read (as with two link-layer addresses), and protocol behind headers that are cut off; hops
that are left of neighbour discovery, and of nothing else that need be in fragments (RFC 6980)."""
CLIENTS = ((ETH_IP, 68), (ETH_IPV6, 546))
"""UDP ports that clients of DHCP listen at. They look at no source port, so neither is it here."""


def bridge(view: View, host: Key, write: Writer) -> Iterator[Part]:
    """What no endpoint may send."""
    if view.ask(bridge_of, host.name) is None:
        return
    harmless: list[tuple[int, Matched]] = [
        (FINAL, {"eth_type": ETH_LLDP}),
        (FINAL, {"eth_dst": CONTROL_FRAMES}),
        (NAMELESS, {"eth_type": ETH_IP, "ip_src": 0}),
        (NAMELESS, {"eth_type": ETH_IPV6, "ipv6_src": 0}),
    ]
    flows = [write("spoof_guard", priority, matched) for priority, matched in harmless]
    for priority, kind, matched in _refusals():
        flows.append(write("spoof_guard", priority, matched, REFUSED.load(kind), goto="refused"))
    yield on(host.name, *flows)


def _refusals() -> Iterator[tuple[int, Refusal, Matched]]:
    yield TAGGED, Refusal.FRAME, {"vlan_vid": (VLAN_PRESENT, VLAN_PRESENT)}
    for kind in (ROUTER_ADVERTISEMENT, REDIRECT):
        yield EXCEPTION, Refusal.ROUTER, {**ICMPV6, "icmpv6_type": kind}
    for kind in (135, 136):
        yield EXCEPTION, Refusal.NEIGHBOUR, {**ICMPV6, "icmpv6_type": kind}
    yield UNREADABLE, Refusal.NEIGHBOUR, {**SOLICIT, "nd_target": UNREAD}
    fragment: Matched = {**ICMPV6, "icmpv6_type": UNREAD, "ip_ttl": NEIGHBOURLY}
    yield EXCEPTION, Refusal.NEIGHBOUR, fragment
    yield EXCEPTION, Refusal.FRAME, {"eth_type": ETH_IPV6, "ip_proto": UNREAD}
    for ethertype, client in CLIENTS:
        udp: Matched = {"eth_type": ethertype, "ip_proto": PROTO_UDP, "udp_dst": client}
        yield EXCEPTION, Refusal.DHCP, udp
    yield NORMAL, Refusal.NEIGHBOUR, {"eth_type": ETH_ARP}
    for ethertype in (ETH_IP, ETH_IPV6):
        yield NORMAL, Refusal.ADDRESS, {"eth_type": ethertype}


def endpoint(view: View, key: Key, write: Writer) -> Iterator[Part]:
    """What one endpoint may send."""
    here, at = view.ask(station, key), view.ask(place, key)
    if not here or not at or not view.ask(segment, here.network):
        return
    port: Matched = {"in_port": at.ofport}
    sender: Matched = {**port, "eth_src": here.mac}
    flows = [write("spoof_guard", LOW, sender, goto="edge")]
    for address in here.all_addresses:
        if address.version == 4:
            flows += _ipv4(address, here, sender, write)
        else:
            flows += _ipv6(address, here, sender, write)
    if any(address.version == 4 for address in here.addresses):
        flows.append(_arp(0, here, sender, write))
    if any(address.version == 6 for address in here.addresses):
        nameless: Matched = {**sender, **SOLICIT, "ipv6_src": 0, "nd_sll": NO_OPTION}
        flows.append(write("spoof_guard", OVERRIDE, nameless, goto="edge"))
    yield on(at.host, *flows)


def _arp(spa: int, here: Station, sender: Matched, write: Writer) -> Flow:
    matched = {**sender, "eth_type": ETH_ARP, "arp_sha": here.mac, "arp_spa": spa}
    return write("spoof_guard", HIGH, matched, goto="edge")


def _ipv4(address: IPAddress, here: Station, sender: Matched, write: Writer) -> Iterator[Flow]:
    own = int(address)
    about_itself: Matched = {"in_port": sender["in_port"], "eth_type": ETH_ARP, "arp_tpa": own}
    yield write("spoof_guard", FINAL, about_itself)
    yield _arp(own, here, sender, write)
    matched = {**sender, "eth_type": ETH_IP, "ip_src": own}
    yield write("spoof_guard", HIGH, matched, goto="edge")


def _ipv6(address: IPAddress, here: Station, sender: Matched, write: Writer) -> Iterator[Flow]:
    own = int(address)
    about_itself: Matched = {"in_port": sender["in_port"], **SOLICIT, "nd_target": own}
    yield write("spoof_guard", FINAL, about_itself)
    matched = {**sender, "eth_type": ETH_IPV6, "ipv6_src": own}
    yield write("spoof_guard", HIGH, matched, goto="edge")
    for option in (here.mac, NO_OPTION):
        asked = {**sender, **SOLICIT, "ipv6_src": own, "nd_sll": option}
        yield write("spoof_guard", OVERRIDE, asked, goto="edge")
        told = {**sender, **ADVERTISE, "ipv6_src": own, "nd_target": own, "nd_tll": option}
        yield write("spoof_guard", OVERRIDE, told, goto="edge")


FEATURE = Feature(
    "spoof_guard",
    3,
    "an endpoint speaks only with its own MAC and addresses",
    {"Host": bridge, "Endpoint": endpoint},
)
