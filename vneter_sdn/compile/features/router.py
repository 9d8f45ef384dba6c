# SPDX-License-Identifier: Apache-2.0
"""Router solicitations and DHCPv6 go to the controller, and nowhere else.

Solicitations of whoever has no address yet pass the guard as well; they claim nothing. What is for
a DHCPv6 server goes to all servers, from the link-local address that every endpoint has, or to the
gateway. The meter is the one of `edge`: what an endpoint asks about its configuration.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from vneter_sdn.compile.features.edge import Client
from vneter_sdn.compile.features.spoof_guard import ICMPV6
from vneter_sdn.compile.features.unit import Feature, Matched, Part, Writer
from vneter_sdn.compile.queries import place, segment, station
from vneter_sdn.compile.query import View, query
from vneter_sdn.model.addresses import link_local
from vneter_sdn.model.fields import ETH_IPV6, PROTO_UDP
from vneter_sdn.model.flow import Flow
from vneter_sdn.model.kinds import NetworkSpec
from vneter_sdn.model.snapshot import Key
from vneter_sdn.pipeline.priorities import NORMAL, OVERRIDE
from vneter_sdn.pipeline.punts import Asked, Service

SOLICITATION: Matched = {**ICMPV6, "icmpv6_type": 133, "icmpv6_code": 0}
ALL_ROUTERS, ALL_ROUTERS_MAC = 0xFF02 << 112 | 2, 0x3333_0000_0002
ALL_SERVERS, ALL_SERVERS_MAC = 0xFF02 << 112 | 0x1_0002, 0x3333_0001_0002
"""RFC 4291 §2.7.1, RFC 8415 §7.1, RFC 2464 §7."""
CLIENT, SERVER = 546, 547


class Told(NamedTuple):
    """What a network's gateway tells of IPv6."""

    router: bool
    dhcp: bool


@query
def told(view: View, network: Key) -> Told:
    """What a network's gateway tells; apart from what exactly, which changes no flow."""
    spec: NetworkSpec | None = view.get("Network", network)
    if spec is None or spec.ra is None or not any(":" in prefix for prefix in spec.prefixes):
        return Told(router=False, dhcp=False)
    return Told(spec.ra.enabled, spec.ra.asked)


def endpoint(view: View, key: Key, write: Writer) -> Iterator[Part]:
    """What an endpoint may ask."""
    here = view.ask(station, key)
    answered = here and view.ask(told, here.network)
    if not here or not answered or not answered.router:
        return
    at, network = view.ask(place, key), view.ask(segment, here.network)
    if not at or not network:
        return
    client = Client(here, at, network)
    flows = [*_solicitations(client, write), *(_dhcp(client, write) if answered.dhcp else ())]
    meter = Asked(Service.ROUTER, at.ofport, network.vni, here.mac).meter
    yield Part(frozenset([at.host]), tuple(flows), (), (meter,))


def _solicitations(client: Client, write: Writer) -> Iterator[Flow]:
    port: Matched = {"in_port": client.at.ofport, **SOLICITATION}
    nameless: Matched = {**port, "eth_src": client.here.mac, "ipv6_src": 0}
    yield write("spoof_guard", OVERRIDE, nameless, goto="edge")
    asked: Matched = {**port, "eth_dst": ALL_ROUTERS_MAC, "ipv6_dst": ALL_ROUTERS}
    yield write("edge", NORMAL, asked, client.punt(Service.ROUTER))


def _dhcp(client: Client, write: Writer) -> Iterator[Flow]:
    asking: Matched = {"in_port": client.at.ofport, "eth_type": ETH_IPV6, "ip_proto": PROTO_UDP}
    asking |= {"udp_src": CLIENT, "udp_dst": SERVER}
    punt = client.punt(Service.DHCPV6)
    to_all: Matched = {**asking, "eth_dst": ALL_SERVERS_MAC, "ipv6_dst": ALL_SERVERS}
    yield write("edge", NORMAL, to_all, punt)
    mac = client.network.gateway_mac
    own = [address for address in client.network.gateways if address.version == 6]
    for address in (*own, link_local(mac)):
        yield write("edge", NORMAL, {**asking, "eth_dst": mac, "ipv6_dst": int(address)}, punt)


FEATURE = Feature(
    "router", 23, "router solicitations and DHCPv6 of endpoints", {"Endpoint": endpoint}
)
