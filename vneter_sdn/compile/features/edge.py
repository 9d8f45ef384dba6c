# SPDX-License-Identifier: Apache-2.0
"""What endpoints ask the edge of their network for goes to the controller, and nowhere else.

Only what is addressed to the service itself does: to everybody or to the gateway, by the ports of
DHCP; to the gateway's MAC and address, by the port of DNS, UDP or TCP. The user data says who asks,
by the port it came by, and a meter of each port limits how often: a flood starves nobody but who
sends it.

Configuration is asked about before policies, as neighbours are; who has no address yet has none
that a policy could name. DHCP is asked from any address, as it may have been the asker's own until
lately: that it is not is what the answer says. Names are asked after policies, in `switch`: whom
these keep from speaking to anybody does not speak to the world by way of a resolver either.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from vneter_sdn.compile.features.unit import Feature, Matched, Part, Writer
from vneter_sdn.compile.queries import Place, Segment, Station, place, segment, station
from vneter_sdn.compile.query import View, query
from vneter_sdn.model.addresses import IPAddress
from vneter_sdn.model.fields import ETH_IP, ETH_IPV6, PROTO_TCP, PROTO_UDP
from vneter_sdn.model.flow import Flow, Punt
from vneter_sdn.model.kinds import NetworkSpec
from vneter_sdn.model.snapshot import Key
from vneter_sdn.pipeline.priorities import HIGH, NORMAL, OVERRIDE
from vneter_sdn.pipeline.punts import ASKED_LENGTH, Asked, Service

EVERYBODY, EVERYBODY4 = 0xFFFF_FFFF_FFFF, 0xFFFF_FFFF
CLIENT, SERVER = 68, 67
DNS = 53


class Services(NamedTuple):
    """What the edge of a network answers."""

    dhcp: bool
    dns: bool


class Client(NamedTuple):
    """An endpoint that is somewhere, of a network that answers something."""

    here: Station
    at: Place
    network: Segment

    def punt(self, service: Service) -> Punt:
        """What has the controller asked."""
        asked = Asked(service, self.at.ofport, self.network.vni, self.here.mac)
        return Punt(asked.encode(), asked.meter.meter, ASKED_LENGTH)


@query
def services(view: View, network: Key) -> Services:
    """What the edge of a network answers; apart from its other options, which change nothing."""
    spec: NetworkSpec | None = view.get("Network", network)
    if spec is None:
        return Services(dhcp=False, dns=False)
    four = any(":" not in prefix for prefix in spec.prefixes)
    dhcp = spec.dhcp is not None and spec.dhcp.enabled and four
    return Services(dhcp, spec.dns is not None and spec.dns.enabled)


def endpoint(view: View, key: Key, write: Writer) -> Iterator[Part]:
    """What an endpoint may ask."""
    here = view.ask(station, key)
    answered = here and view.ask(services, here.network)
    if not here or not answered or not any(answered):
        return
    at, network = view.ask(place, key), view.ask(segment, here.network)
    if not at or not network:
        return
    client = Client(here, at, network)
    if answered.dhcp:
        yield from _asking(client, Service.DHCP, _dhcp(client, write))
    if answered.dns:
        yield from _asking(client, Service.DNS, _names(client, write))


def _asking(client: Client, service: Service, flows: Iterator[Flow]) -> Iterator[Part]:
    """Flows that ask for a service, with their meter."""
    meter = Asked(service, client.at.ofport, client.network.vni, client.here.mac).meter
    yield Part(frozenset([client.at.host]), tuple(flows), (), (meter,))


def _dhcp(client: Client, write: Writer) -> Iterator[Flow]:
    """Of everybody; and of the gateway, to renew a lease. Also by who has no such address."""
    asking: Matched = {"in_port": client.at.ofport, "eth_type": ETH_IP, "ip_proto": PROTO_UDP}
    asking |= {"udp_src": CLIENT, "udp_dst": SERVER}
    asked: list[Matched] = [{**asking, "eth_dst": EVERYBODY, "ip_dst": EVERYBODY4}]
    four = (gateway for gateway in client.network.gateways if gateway.version == 4)
    asked += ({**asking, **_to(client.network, gateway)} for gateway in four)
    for matched in asked:
        whoever: Matched = {**matched, "eth_src": client.here.mac}
        yield write("spoof_guard", OVERRIDE, whoever, goto="edge")
        yield write("edge", NORMAL, matched, client.punt(Service.DHCP))


def _names(client: Client, write: Writer) -> Iterator[Flow]:
    for gateway in client.network.gateways:
        to: Matched = {"in_port": client.at.ofport, **_to(client.network, gateway)}
        for protocol, port in ((PROTO_UDP, "udp_dst"), (PROTO_TCP, "tcp_dst")):
            asking: Matched = {**to, "ip_proto": protocol, port: DNS}
            yield write("switch", HIGH, asking, client.punt(Service.DNS))


def _to(network: Segment, gateway: IPAddress) -> Matched:
    """What is for a gateway itself."""
    ip, ethertype = ("ip_dst", ETH_IP) if gateway.version == 4 else ("ipv6_dst", ETH_IPV6)
    return {"eth_dst": network.gateway_mac, "eth_type": ethertype, ip: int(gateway)}


FEATURE = Feature(
    "edge", 22, "what endpoints ask the edge of their network for", {"Endpoint": endpoint}
)
