# SPDX-License-Identifier: Apache-2.0
"""Packets that the controller is to be told of: what cannot be forwarded, what the edge is asked.

Whatever an endpoint sends by the gateway and nobody takes is complained of (`pipeline.complaints`),
by the meter of its port; questions to the edge are asked in its name. Both are flows' doing: which
packets, and every word of what is said with them, follow from who is where. What policies drop is
not complained of, nor are packets that are dropped unsaid (link-local ones).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from vneter_sdn.model.addresses import IPAddress, IPNetwork
from vneter_sdn.model.fields import (
    ETH_IP,
    ETH_IPV6,
    LENGTH,
    PROTO_ICMP,
    PROTO_ICMPV6,
    PROTO_TCP,
    PROTO_UDP,
)
from vneter_sdn.model.flow import Punt
from vneter_sdn.pipeline.complaints import Complaint, Fault, of_endpoint
from vneter_sdn.pipeline.punts import ASKED_LENGTH, Asked, Service
from vneter_sdn.simulate.meaning import Gateway, Station
from vneter_sdn.verify.expected import (
    ETHERNET,
    Directory,
    Expected,
    fitting,
    one,
    ordinary,
    sent_by,
)
from vneter_sdn.verify.packets import ALL, Cube, Packets, overlap
from vneter_sdn.verify.values import Rest, Values, above, everything, less, masked

_EVERYBODY, _EVERYBODY4 = one(0xFFFF_FFFF_FFFF), one(0xFFFF_FFFF)
_ALL_ROUTERS, _ALL_ROUTERS_MAC = one(0xFF02 << 112 | 2), one(0x3333_0000_0002)
_ALL_SERVERS, _ALL_SERVERS_MAC = one(0xFF02 << 112 | 0x1_0002), one(0x3333_0001_0002)
_GONE = frozenset((0, 1))
"""Hops left of a packet that goes no further."""
_LEFT = Rest(8, _GONE)
_LINK_LOCAL = masked(128, 0xFE80 << 112, 0xFFC0 << 112)
_SERVED = frozenset((53, 67, 68, 546, 547))
"""Ports that the gateway may answer at."""
_FRAGMENT = 44
_UNHEARD: tuple[Cube, ...] = (
    {"ip_proto": Rest(8, frozenset((PROTO_TCP, PROTO_UDP, PROTO_ICMP, PROTO_ICMPV6, _FRAGMENT)))},
    {"ip_proto": one(PROTO_TCP), "tcp_dst": Rest(16, _SERVED)},
    {"ip_proto": one(PROTO_UDP), "udp_dst": Rest(16, _SERVED)},
)
"""What nobody listens for at a gateway: all but what flows and the edge may answer."""


class _Side(NamedTuple):
    """An endpoint and its gateway, of one family."""

    station: Station
    gateway: Gateway
    version: int
    sender: Cube
    """What it may send by the gateway."""

    @property
    def target(self) -> str:
        """The field that says whom packets are for."""
        return "ip_dst" if self.version == 4 else "ipv6_dst"

    def faces(self, gateway: Gateway) -> tuple[IPAddress, ...]:
        """Addresses of a gateway of this family."""
        return tuple(a for a in gateway.addresses if a.version == self.version)


class _Wrong(NamedTuple):
    """Packets by the gateway that cannot be forwarded."""

    fault: Fault
    packets: Cube
    gateway: Gateway
    """Of the network that they fail in."""
    mtu: int = 0


def punted(station: Station, known: Directory, within: Packets = ALL) -> Iterator[Expected]:
    """What of an endpoint's packets the controller is to be told of, before any policy.

    Args:
        station: whose packets.
        known: who is where.
        within: packets that matter; what has none of them may be left out.
    """
    gateway = known.meaning.gateways.get(station.network)
    if gateway is None:
        return
    for version in (4, 6):
        sender = sent_by(station, station.addresses, version)
        if sender is not None:
            side = _Side(station, gateway, version, {**sender, "eth_dst": one(gateway.mac)})
            near = [cube for cube in within.cubes if overlap(side.sender, cube) is not None]
            for wrong in _wrongs(side, known) if near and side.faces(gateway) else ():
                if any(overlap(wrong.packets, cube) is not None for cube in near):
                    yield _complaint(side, wrong)
    yield from _questions(station, gateway)


# ---- what cannot be forwarded


def _wrongs(side: _Side, known: Directory) -> Iterator[_Wrong]:
    """What is for nobody, for the gateway itself, too long, or at an end."""
    own, target = side.gateway, side.target
    faces = frozenset(int(a) for a in own.in_network if a.version == side.version)
    there = known.unforwarded[own.network.tenant, side.version]
    routed = _unsaid(side, there | faces)
    routers = known.routers[own.network.tenant]
    inside = tuple(prefix for router in routers for prefix in router.prefixes)
    yield _Wrong(Fault.EXPIRED, {target: routed, "ip_ttl": _GONE}, own)
    yield _Wrong(Fault.NO_ROUTE, {target: _outside(routed, inside), "ip_ttl": _LEFT}, own)
    yield from (_Wrong(Fault.GATEWAY, {target: faces, **kind}, own) for kind in _UNHEARD)
    owned = known.owned[own.network.tenant, side.version]
    for other in routers:
        narrow = other.mtu < own.mtu
        for prefix in other.prefixes:
            if prefix.version != side.version:
                continue
            if narrow:
                long = above(LENGTH.bits, other.mtu + ETHERNET)
                routable = _vacant(prefix, there)
                over: Cube = {target: routable, "ip_ttl": _LEFT, LENGTH.name: long}
                yield _Wrong(Fault.TOO_LONG, over, own, other.mtu)
            if side.faces(other):
                free = _vacant(prefix, owned | there)
                fits: Cube = fitting(other.mtu) if narrow else {}
                yield _Wrong(Fault.NOBODY, {target: free, "ip_ttl": _LEFT, **fits}, other)
        if other is not own and side.faces(other):
            face = frozenset(int(a) for a in side.faces(other))
            yield _Wrong(Fault.NOBODY, {target: face}, other)


def _complaint(side: _Side, wrong: _Wrong) -> Expected:
    """Packets to complain of, and the words for it."""
    of = wrong.gateway
    said = (
        Complaint(wrong.fault, face, of.mac, of.number, of.vni, wrong.mtu)
        for face in side.faces(of)
    )
    told = frozenset(Punt(each.encode(), each.meter, each.length) for each in said)
    cubes = tuple(ordinary([{**side.sender, **wrong.packets}]))
    limit = of_endpoint(side.station.port).meter
    return Expected(_WORDS[wrong.fault], Packets(cubes), told=told, limit=limit)


_WORDS = {
    Fault.EXPIRED: "what has no hop left",
    Fault.NO_ROUTE: "what no network has the address of",
    Fault.NOBODY: "what is for nobody",
    Fault.GATEWAY: "what is for the gateway",
    Fault.TOO_LONG: "what is too long where it goes",
}


def _unsaid(side: _Side, faces: frozenset[int]) -> Values:
    """All addresses but gateways' own, and those of which nothing is said."""
    if side.version == 4:
        return Rest(32, faces)
    return less(less(everything(128), _LINK_LOCAL), faces)


def _of(prefix: IPNetwork) -> Values:
    bits = prefix.max_prefixlen
    return masked(bits, int(prefix.network_address), int(prefix.netmask))


@lru_cache(maxsize=4096)
def _outside(values: Values, prefixes: tuple[IPNetwork, ...]) -> Values:
    bits = 32 if isinstance(values, Rest) and values.bits == 32 else 128
    for prefix in prefixes:
        if prefix.max_prefixlen == bits:
            values = less(values, _of(prefix))
    return values


@lru_cache(maxsize=4096)
def _vacant(prefix: IPNetwork, owned: frozenset[int]) -> Values:
    """Addresses of a prefix but for these."""
    return less(_of(prefix), owned)


# ---- what the edge is asked


def _questions(station: Station, gateway: Gateway) -> Iterator[Expected]:
    base: Cube = {
        "in_port": one(station.port),
        "tun_id": one(0),
        "vlan_vid": one(0),
        "eth_src": one(station.mac),
    }
    four, six = (
        frozenset(int(a) for a in station.in_network if a.version == version) for version in (4, 6)
    )
    asked: dict[Service, Iterator[Cube]] = {
        Service.DHCP: _dhcp(gateway),
        Service.DNS: _names(gateway, four, six),
        Service.ROUTER: _solicitations(six),
        Service.DHCPV6: _dhcp6(gateway, six),
    }
    for service in sorted(gateway.services):
        said = Asked(service, station.port, gateway.vni, station.mac)
        told = Punt(said.encode(), said.meter.meter, ASKED_LENGTH)
        cubes = tuple({**base, **cube} for cube in asked[service] if all(cube.values()))
        if cubes:
            what = f"a question of {service.name}"
            yield Expected(what, Packets(cubes), told=frozenset((told,)))


def _dhcp(gateway: Gateway) -> Iterator[Cube]:
    """From whatever address."""
    asking: Cube = {
        "eth_type": one(ETH_IP),
        "ip_proto": one(PROTO_UDP),
        "udp_src": one(68),
        "udp_dst": one(67),
    }
    yield {**asking, "eth_dst": _EVERYBODY, "ip_dst": _EVERYBODY4}
    faces = frozenset(int(a) for a in gateway.addresses if a.version == 4)
    yield {**asking, "eth_dst": one(gateway.mac), "ip_dst": faces}


def _names(gateway: Gateway, four: frozenset[int], six: frozenset[int]) -> Iterator[Cube]:
    for version, kind, ip, own in ((4, ETH_IP, "ip", four), (6, ETH_IPV6, "ipv6", six)):
        faces = frozenset(int(a) for a in gateway.addresses if a.version == version)
        for protocol, port in ((PROTO_UDP, "udp_dst"), (PROTO_TCP, "tcp_dst")):
            yield {
                "eth_type": one(kind),
                "eth_dst": one(gateway.mac),
                "ip_proto": one(protocol),
                port: one(53),
                f"{ip}_src": own,
                f"{ip}_dst": faces,
            }


def _solicitations(own: frozenset[int]) -> Iterator[Cube]:
    yield {
        "eth_type": one(ETH_IPV6),
        "eth_dst": _ALL_ROUTERS_MAC,
        "ip_proto": one(PROTO_ICMPV6),
        "icmpv6_type": one(133),
        "icmpv6_code": one(0),
        "ipv6_dst": _ALL_ROUTERS,
        "ipv6_src": own | {0},
    }


def _dhcp6(gateway: Gateway, own: frozenset[int]) -> Iterator[Cube]:
    asking: Cube = {
        "eth_type": one(ETH_IPV6),
        "ip_proto": one(PROTO_UDP),
        "udp_src": one(546),
        "udp_dst": one(547),
        "ipv6_src": own,
    }
    yield {**asking, "eth_dst": _ALL_SERVERS_MAC, "ipv6_dst": _ALL_SERVERS}
    faces = frozenset(int(a) for a in gateway.in_network if a.version == 6)
    yield {**asking, "eth_dst": one(gateway.mac), "ipv6_dst": faces}
