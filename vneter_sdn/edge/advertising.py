# SPDX-License-Identifier: Apache-2.0
"""What gateways say of themselves: router advertisements, asked for or not (RFC 4861 §6.2)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import IPv6Address, IPv6Network, ip_network
from itertools import accumulate

from vneter_sdn.edge.ledger import Asker, is_domain
from vneter_sdn.model.addresses import IPAddress, link_local
from vneter_sdn.model.kinds import NetworkSpec
from vneter_sdn.model.router_kinds import RaSpec
from vneter_sdn.model.snapshot import Key
from vneter_sdn.southbound.openflow import punt, router
from vneter_sdn.southbound.openflow.icmp6 import (
    ALL_NODES,
    ALL_NODES_MAC,
    LINK_LOCAL_HOPS,
    Ends6,
    framed,
)
from vneter_sdn.southbound.openflow.wire import need

SEARCH_OCTETS = 600
"""Of domains that are told: with all else that a network may tell, 1,280 are not exceeded."""
_UNEXTENDED = 40
"""Octets of an IPv6 header that nothing is between and what it is about."""


@dataclass(frozen=True, slots=True)
class Face:
    """A gateway in one network."""

    network: Key
    spec: NetworkSpec
    domain: str
    """What names of the tenant's endpoints end in."""
    gateway_mac: int
    gateways: tuple[IPAddress, ...]

    @classmethod
    def of(cls, asker: Asker) -> Face:
        """The one that an endpoint sees."""
        told = (asker.network, asker.spec, asker.domain, asker.gateway_mac, asker.gateways)
        return cls(*told)


def advertises(face: Face) -> RaSpec | None:
    """What a gateway is to say of IPv6; None for nothing."""
    ra = face.spec.ra
    six = any(address.version == 6 for address in face.gateways)
    return ra if ra is not None and ra.enabled and six else None


def respond(asker: Asker, frame: bytes) -> tuple[str, bytes | None]:
    """What became of a router solicitation, in a word, and the answer.

    Raises:
        DecodeError: a length lies.
    """
    answer = solicited(asker, frame)
    return ("ignored" if answer is None else "advertised"), answer


def name_servers(face: Face) -> tuple[IPv6Address, ...]:
    """Whom endpoints ask for names, by IPv6."""
    ra, dns = face.spec.ra, face.spec.dns
    if ra is not None and ra.dns_servers:
        return tuple(IPv6Address(text) for text in ra.dns_servers)
    if dns is None or not dns.enabled:
        return ()
    return tuple(address for address in face.gateways if isinstance(address, IPv6Address))


def search_list(face: Face) -> tuple[str, ...]:
    """Domains that short names are looked for in; those that go into one packet of any network."""
    ra, dns = face.spec.ra, face.spec.dns
    found: tuple[str, ...] = ()
    if ra is not None and ra.search:
        found = ra.search
    elif dns is not None and dns.enabled:
        found = (f"{face.network.name}.{face.domain}", face.domain)
    sizes = accumulate(len(one) + 2 for one in found)
    fitting = zip(found, sizes, strict=True)
    return tuple(one for one, size in fitting if is_domain(one) and size <= SEARCH_OCTETS)


def advertisement(face: Face, ra: RaSpec) -> router.Advertisement:
    """What a gateway says."""
    lifetime = ra.lifetime_seconds
    remembered = max(lifetime, 3 * ra.interval_seconds)
    servers, names = name_servers(face), search_list(face)
    return router.Advertisement(
        hop_limit=ra.hop_limit,
        managed=ra.mode == "stateful",
        other=ra.mode in ("stateful", "stateless"),
        preference=ra.preference if lifetime else "medium",
        lifetime=lifetime,
        source_mac=face.gateway_mac,
        mtu=face.spec.mtu,
        prefixes=tuple(_prefix(text, ra) for text in face.spec.prefixes if ":" in text),
        routes=tuple(
            router.Route(IPv6Network(text), remembered, ra.preference) for text in ra.routes
        ),
        servers=(router.Servers(remembered, servers),) if servers else (),
        domains=(router.Domains(remembered, names),) if names else (),
    )


def _prefix(text: str, ra: RaSpec) -> router.Prefix:
    prefix = ip_network(text)
    assert isinstance(prefix, IPv6Network)
    times = ra.valid_seconds, ra.preferred_seconds
    return router.Prefix(prefix, True, ra.autoconfigured, *times)


def solicited(asker: Asker, frame: bytes) -> bytes | None:
    """The answer to a router solicitation; None to one that is not valid (RFC 4861 §6.1.1).

    Raises:
        DecodeError: a length lies.
    """
    face = Face.of(asker)
    ra, packet = advertises(face), punt.decode(frame).network
    if ra is None or not isinstance(packet, punt.Ip) or packet.ttl != LINK_LOCAL_HOPS:
        return None
    if packet.payload - packet.header != _UNEXTENDED:
        return None  # perhaps a fragment (RFC 6980 §5); nobody needs to put anything there
    if not isinstance(packet.source, IPv6Address):
        return None
    asked = router.solicitation(frame[packet.payload : packet.end])
    nameless = packet.source.is_unspecified
    need(not (nameless and asked.source_mac is not None), "a link-layer address of nobody")
    target = (ALL_NODES_MAC, ALL_NODES) if nameless else (asker.mac, packet.source)
    return _framed(face, target, advertisement(face, ra))


def unsolicited(face: Face) -> bytes | None:
    """What a gateway says to everybody in its network, asked or not; None for nothing."""
    ra = advertises(face)
    if ra is None:
        return None
    return _framed(face, (ALL_NODES_MAC, ALL_NODES), advertisement(face, ra))


def last(face: Face, ra: RaSpec) -> bytes:
    """What a gateway says when it ceases to be a router (RFC 4861 §6.2.5)."""
    said = advertisement(face, ra)
    gone = router.Advertisement(
        hop_limit=said.hop_limit,
        lifetime=0,
        source_mac=said.source_mac,
        routes=tuple(replace(one, lifetime=0) for one in said.routes),
        servers=tuple(replace(one, lifetime=0) for one in said.servers),
        domains=tuple(replace(one, lifetime=0) for one in said.domains),
    )
    return _framed(face, (ALL_NODES_MAC, ALL_NODES), gone)


def _framed(face: Face, target: tuple[int, IPv6Address], said: router.Advertisement) -> bytes:
    mac, address = target
    ends = Ends6(face.gateway_mac, mac, link_local(face.gateway_mac), address)
    return framed(ends, router.written_advertisement(said))
