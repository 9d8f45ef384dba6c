# SPDX-License-Identifier: Apache-2.0
"""Router solicitations and advertisements (RFC 4861 §4.1, §4.2), as ICMPv6 messages.

Decoders take any bytes. An option of no known kind is left alone, as hosts have to; one whose
length is 0, or that does not fit, makes the whole message void (RFC 4861 §4.6, §6.1).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv6Address, IPv6Network
from struct import Struct
from typing import Literal

from vneter_sdn.southbound.openflow.labels import read_labels, written_labels
from vneter_sdn.southbound.openflow.wire import need, pad8

SOLICITATION, ADVERTISEMENT = 133, 134
"""ICMPv6 types."""
MAX_OPTIONS = 64
"""Options of one message that are read."""
FOREVER = 0xFFFFFFFF
"""A lifetime that does not end (RFC 4861 §4.6.2), in seconds."""
SOURCE_MAC, TARGET_MAC, PREFIX, MTU, ROUTE, SERVERS, DOMAINS = 1, 2, 3, 5, 24, 25, 31
"""Types of options: RFC 4861 §4.6, RFC 4191 §2.3, RFC 8106 §5."""
Preference = Literal["medium", "high", "low"]
_PREFERENCES: dict[int, Preference] = {0: "medium", 1: "high", 3: "low"}
_BITS = {word: bits for bits, word in _PREFERENCES.items()}

_HEAD = Struct("!BBH")
_ADVERTISED = Struct("!BBHII")
_PREFIX = Struct("!BBBBIII16s")
_ROUTE = Struct("!BBBBI")
_MTU = Struct("!BBHI")
_LIFETIME = Struct("!BBHI")


@dataclass(frozen=True, slots=True)
class Prefix:
    """Prefix information (RFC 4861 §4.6.2)."""

    prefix: IPv6Network
    on_link: bool
    """Whether its addresses are reached without a router."""
    autonomous: bool
    """Whether hosts may make themselves addresses of it (RFC 4862 §5.5.3)."""
    valid: int
    """Seconds; `FOREVER` for no end."""
    preferred: int


@dataclass(frozen=True, slots=True)
class Route:
    """Route information (RFC 4191 §2.3)."""

    prefix: IPv6Network
    lifetime: int
    preference: Preference = "medium"


@dataclass(frozen=True, slots=True)
class Servers:
    """Recursive DNS servers (RFC 8106 §5.1)."""

    lifetime: int
    addresses: tuple[IPv6Address, ...]
    """At least one."""


@dataclass(frozen=True, slots=True)
class Domains:
    """A DNS search list (RFC 8106 §5.2)."""

    lifetime: int
    names: tuple[str, ...]
    """In lower case, without the last dot; at least one."""


@dataclass(frozen=True, slots=True)
class Solicitation:
    """Who asks for routers."""

    source_mac: int | None = None


@dataclass(frozen=True, slots=True)
class Advertisement:
    """What a router says; times are seconds unless said."""

    hop_limit: int = 0
    """That hosts are to send with; 0 says nothing of it."""
    managed: bool = False
    """Whether DHCPv6 gives addresses."""
    other: bool = False
    """Whether DHCPv6 says more."""
    preference: Preference = "medium"
    lifetime: int = 0
    """That it is a default router for; 0: it is none."""
    reachable: int = 0
    """Milliseconds."""
    retransmit: int = 0
    """Milliseconds."""
    source_mac: int | None = None
    mtu: int | None = None
    prefixes: tuple[Prefix, ...] = ()
    routes: tuple[Route, ...] = ()
    servers: tuple[Servers, ...] = ()
    domains: tuple[Domains, ...] = ()


def options(message: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    """Options of a message of neighbour discovery: type, and all of it with its two first octets.

    Raises:
        DecodeError: a length that is 0 or leads beyond the end, or more than `MAX_OPTIONS`.
    """
    for _ in range(MAX_OPTIONS):
        if at == len(message):
            return
        need(len(message) - at >= 8, "truncated option", at)
        size = message[at + 1] * 8
        need(size and at + size <= len(message), "option length", at)
        yield message[at], message[at : at + size]
        at += size
    need(at == len(message), "too many options", at)


def mac_option(kind: int, mac: int | None) -> bytes:
    """A link-layer address option for Ethernet (RFC 2464 §6); nothing for None."""
    return b"" if mac is None else bytes((kind, 1)) + mac.to_bytes(6, "big")


def mac_of(option: bytes) -> int:
    """The address of one.

    Raises:
        DecodeError: it is longer than Ethernet's.
    """
    need(len(option) == 8, "link-layer address of another length")
    return int.from_bytes(option[2:], "big")


def solicitation(message: bytes) -> Solicitation:
    """Read one, from its type on; the checksum is not looked at.

    Raises:
        DecodeError: it is none, or a length lies.
    """
    need(len(message) >= 8 and message[:2] == bytes((SOLICITATION, 0)), "no router solicitation")
    found = [mac_of(option) for kind, option in options(message, 8) if kind == SOURCE_MAC]
    return Solicitation(found[0] if found else None)


def written_solicitation(said: Solicitation) -> bytes:
    """The message, with no checksum yet."""
    return _HEAD.pack(SOLICITATION, 0, 0) + bytes(4) + mac_option(SOURCE_MAC, said.source_mac)


def advertisement(message: bytes) -> Advertisement:
    """Read one, from its type on; the checksum is not looked at.

    Raises:
        DecodeError: it is none, or a length lies.
    """
    need(len(message) >= 16, "truncated router advertisement")
    need(message[:2] == bytes((ADVERTISEMENT, 0)), "no router advertisement")
    hops, flags, lifetime, reachable, retransmit = _ADVERTISED.unpack_from(message, 4)
    found: dict[int, list[bytes]] = {}
    for kind, option in options(message, 16):
        found.setdefault(kind, []).append(option)
    macs = [mac_of(option) for option in found.get(SOURCE_MAC, ())]
    sizes = [_mtu(option) for option in found.get(MTU, ())]
    return Advertisement(
        hops,
        bool(flags & 0x80),
        bool(flags & 0x40),
        _preference(flags),
        lifetime,
        reachable,
        retransmit,
        macs[0] if macs else None,
        sizes[0] if sizes else None,
        tuple(_prefix(option) for option in found.get(PREFIX, ())),
        tuple(_route(option) for option in found.get(ROUTE, ())),
        tuple(_servers(option) for option in found.get(SERVERS, ())),
        tuple(_domains(option) for option in found.get(DOMAINS, ())),
    )


def _preference(octet: int) -> Preference:
    """Two bits; the reserved value is taken for medium (RFC 4191 §2.2)."""
    return _PREFERENCES.get(octet >> 3 & 3, "medium")


def _mtu(option: bytes) -> int:
    need(len(option) == _MTU.size, "MTU option length")
    return int(_MTU.unpack(option)[3])


def _network(address: bytes, length: int) -> IPv6Network:
    """A prefix; bits beyond its length count for nothing (RFC 4861 §4.6.2)."""
    need(length <= 128, "prefix length")
    return IPv6Network((int.from_bytes(address.ljust(16, b"\0"), "big"), length), strict=False)


def _prefix(option: bytes) -> Prefix:
    need(len(option) == _PREFIX.size, "prefix option length")
    _, _, length, flags, valid, preferred, _, address = _PREFIX.unpack(option)
    network = _network(address, length)
    return Prefix(network, bool(flags & 0x80), bool(flags & 0x40), valid, preferred)


def _route(option: bytes) -> Route:
    need(len(option) in (8, 16, 24), "route option length")
    _, _, length, flags, lifetime = _ROUTE.unpack_from(option)
    need(length <= (len(option) - 8) * 8, "route prefix length")
    return Route(_network(option[8:], length), lifetime, _preference(flags))


def _servers(option: bytes) -> Servers:
    need(len(option) >= 24 and len(option) % 16 == 8, "DNS server option length")
    starts = range(8, len(option), 16)
    addresses = tuple(IPv6Address(option[at : at + 16]) for at in starts)
    return Servers(_LIFETIME.unpack_from(option)[3], addresses)


def _domains(option: bytes) -> Domains:
    need(len(option) >= 16, "DNS search option length")
    names = read_labels(option[8:], padded=True)
    need(names, "DNS search option without a name")
    return Domains(_LIFETIME.unpack_from(option)[3], names)


def written_advertisement(said: Advertisement) -> bytes:
    """The message, with no checksum yet."""
    flags = said.managed << 7 | said.other << 6 | _BITS[said.preference] << 3
    head = _HEAD.pack(ADVERTISEMENT, 0, 0) + _ADVERTISED.pack(
        said.hop_limit, flags, said.lifetime, said.reachable, said.retransmit
    )
    mtu = b"" if said.mtu is None else _MTU.pack(MTU, 1, 0, said.mtu)
    parts = [head, mac_option(SOURCE_MAC, said.source_mac), mtu]
    parts += [_written_prefix(one) for one in said.prefixes]
    parts += [_written_route(one) for one in said.routes]
    parts += [_written_servers(one) for one in said.servers]
    parts += [_written_domains(one) for one in said.domains]
    return b"".join(parts)


def _written_prefix(one: Prefix) -> bytes:
    flags = one.on_link << 7 | one.autonomous << 6
    address = one.prefix.network_address.packed
    times = (one.valid, one.preferred, 0)
    return _PREFIX.pack(PREFIX, 4, one.prefix.prefixlen, flags, *times, address)


def _written_route(one: Route) -> bytes:
    length = one.prefix.prefixlen
    octets = 0 if not length else 8 if length <= 64 else 16
    flags = _BITS[one.preference] << 3
    head = _ROUTE.pack(ROUTE, 1 + octets // 8, length, flags, one.lifetime)
    return head + one.prefix.network_address.packed[:octets]


def _written_servers(one: Servers) -> bytes:
    size = 1 + 2 * len(one.addresses)
    head = _LIFETIME.pack(SERVERS, size, 0, one.lifetime)
    return head + b"".join(address.packed for address in one.addresses)


def _written_domains(one: Domains) -> bytes:
    names = pad8(written_labels(one.names))
    return _LIFETIME.pack(DOMAINS, 1 + len(names) // 8, 0, one.lifetime) + names
