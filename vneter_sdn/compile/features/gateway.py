# SPDX-License-Identifier: Apache-2.0
"""Answers echo requests to a network's gateway (RFC 792, RFC 4443 §4.2), on every bridge alike.

Requests of any size are answered. Of a fragment Open vSwitch shows no ICMP type (it pretends type 0
and code 0; of the later fragments of IPv6 it shows protocol 44), so it cannot be made a reply.
Fragments are turned round as they are: their sender gets its own request, from the gateway, answers
it, and that answer, turned round as well, is the reply it waits for. They can reach nobody else.
"""

from __future__ import annotations

from collections.abc import Iterator

from vneter_sdn.compile.features.neighbour import copying, setting
from vneter_sdn.compile.features.unit import Feature, Matched, Part, Writer, on
from vneter_sdn.compile.queries import Segment, presence, segment
from vneter_sdn.compile.query import View
from vneter_sdn.model.addresses import IPAddress
from vneter_sdn.model.fields import ETH_IP, ETH_IPV6, PROTO_ICMP, PROTO_ICMPV6
from vneter_sdn.model.flow import IN_PORT, Action, Flow, Output
from vneter_sdn.model.snapshot import Key
from vneter_sdn.pipeline.priorities import NORMAL
from vneter_sdn.pipeline.registers import NETWORK

TTL = 64
FRAGMENT = 0
PROTO_FRAGMENT = 44
ECHO_REQUEST, ECHO_REPLY = 8, 0
ECHO_REQUEST6, ECHO_REPLY6 = 128, 129


def gateway(view: View, key: Key, write: Writer) -> Iterator[Part]:
    """Echo replies of one network's gateway."""
    network = view.ask(segment, key)
    if network:
        for address in network.faces:
            yield on(view.ask(presence, key), *_replies(network, address, write))


def _replies(network: Segment, address: IPAddress, write: Writer) -> Iterator[Flow]:
    own, mac = int(address), network.gateway_mac
    if address.version == 4:
        ip, icmp, request, reply = "ip", "icmp", ECHO_REQUEST, ECHO_REPLY
        ethertype, protocol = ETH_IP, PROTO_ICMP
    else:
        ip, icmp, request, reply = "ipv6", "icmpv6", ECHO_REQUEST6, ECHO_REPLY6
        ethertype, protocol = ETH_IPV6, PROTO_ICMPV6
    to_gateway: Matched = {
        "reg1": NETWORK.match(network.vni),
        "eth_dst": mac,
        "eth_type": ethertype,
        f"{ip}_dst": own,
    }
    turned: tuple[Action, ...] = (
        copying("eth_src", "eth_dst"),
        setting("eth_src", mac),
        copying(f"{ip}_src", f"{ip}_dst"),
        setting(f"{ip}_src", own),
        setting("ip_ttl", TTL),
    )
    asked: Matched = {
        **to_gateway,
        "ip_proto": protocol,
        f"{icmp}_type": request,
        f"{icmp}_code": 0,
    }
    answer = setting(f"{icmp}_type", reply)
    yield write("gateway", NORMAL, asked, *turned, answer, Output(IN_PORT))
    fragment: Matched = {
        **to_gateway,
        "ip_proto": protocol,
        f"{icmp}_type": FRAGMENT,
        f"{icmp}_code": 0,
    }
    yield write("gateway", NORMAL, fragment, *turned, Output(IN_PORT))
    if address.version == 6:
        later: Matched = {**to_gateway, "ip_proto": PROTO_FRAGMENT}
        yield write("gateway", NORMAL, later, *turned, Output(IN_PORT))


FEATURE = Feature("gateway", 5, "answers echo requests to gateways", {"Network": gateway})
