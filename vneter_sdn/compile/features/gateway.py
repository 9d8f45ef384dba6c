# SPDX-License-Identifier: Apache-2.0
"""Answers echo requests to a network's gateway (RFC 792, RFC 4443 §4.2), on every bridge alike.

Any size: of a fragmented request, the first fragment becomes a reply and the later ones, which Open
vSwitch sees as ICMP of type 0 and code 0, are turned round as they are. So is an
echo reply sent to the gateway, back to who sent it; it can reach nobody else.
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
LATER_FRAGMENT = 0
ECHO_REQUEST, ECHO_REPLY = 8, 0
ECHO_REQUEST6, ECHO_REPLY6 = 128, 129


def gateway(view: View, key: Key, write: Writer) -> Iterator[Part]:
    """Echo replies of one network's gateway."""
    network = view.ask(segment, key)
    if network:
        for address in network.gateways:
            yield on(view.ask(presence, key), *_replies(network, address, write))


def _replies(network: Segment, address: IPAddress, write: Writer) -> Iterator[Flow]:
    own, mac = int(address), network.gateway_mac
    if address.version == 4:
        ip, icmp, request, reply = "ip", "icmp", ECHO_REQUEST, ECHO_REPLY
        family: Matched = {"eth_type": ETH_IP, "ip_proto": PROTO_ICMP}
    else:
        ip, icmp, request, reply = "ipv6", "icmpv6", ECHO_REQUEST6, ECHO_REPLY6
        family = {"eth_type": ETH_IPV6, "ip_proto": PROTO_ICMPV6}
    to_gateway: Matched = {
        "reg1": NETWORK.match(network.vni),
        "eth_dst": mac,
        **family,
        f"{ip}_dst": own,
    }
    turned: tuple[Action, ...] = (
        copying("eth_src", "eth_dst"),
        setting("eth_src", mac),
        copying(f"{ip}_src", f"{ip}_dst"),
        setting(f"{ip}_src", own),
        setting("ip_ttl", TTL),
    )
    for kind in (request, LATER_FRAGMENT):
        matched = {**to_gateway, f"{icmp}_type": kind, f"{icmp}_code": 0}
        answer = (setting(f"{icmp}_type", reply),) if kind == request else ()
        yield write("gateway", NORMAL, matched, *turned, *answer, Output(IN_PORT))


FEATURE = Feature("gateway", 5, "answers echo requests to gateways", {"Network": gateway})
