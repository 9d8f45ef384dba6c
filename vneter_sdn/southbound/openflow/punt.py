# SPDX-License-Identifier: Apache-2.0
"""Small total decoders of punted Ethernet frames, and the ICMP errors sent in answer.

Any tenant can make any frame, so nothing here loops on a length of the frame's choosing: the
only walk is over IPv6 extension headers, at most `MAX_EXTENSIONS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address, IPv6Address
from struct import Struct

from vneter_sdn.errors import DecodeError
from vneter_sdn.model.fields import (
    ETH_ARP,
    ETH_IP,
    ETH_IPV6,
    PROTO_ICMP,
    PROTO_ICMPV6,
    PROTO_SCTP,
    PROTO_TCP,
    PROTO_UDP,
)
from vneter_sdn.southbound.openflow import ip_header
from vneter_sdn.southbound.openflow.wire import U16, need

MAX_EXTENSIONS = 8
_VLAN = 0x8100
_ETHERNET = Struct("!6s6sH")
_ARP = Struct("!HHBBH6s4s6s4s")
_IPV4 = Struct("!BBHHHBBH4s4s")
_IPV6 = Struct("!IHBB16s16s")
_TYPED = Struct("!BBH")
_PORTS = Struct("!HH")
_NETWORK_CONTROL = 0xC0
"""Precedence of errors (RFC 1812 §4.3.2.5)."""
_HOP_BY_HOP, _ROUTING, _FRAGMENT, _DESTINATION = 0, 43, 44, 60
_EXTENSIONS = (_HOP_BY_HOP, _ROUTING, _FRAGMENT, _DESTINATION)


@dataclass(frozen=True, slots=True)
class Ethernet:
    """An Ethernet header with at most one VLAN tag (IEEE 802.3, 802.1Q)."""

    destination: int
    source: int
    ethertype: int
    vlan: int | None
    """The 12-bit VLAN id, or None without a tag."""
    payload: int
    """Offset of what follows."""


@dataclass(frozen=True, slots=True)
class Arp:
    """ARP for IPv4 over Ethernet (RFC 826)."""

    operation: int
    sender_mac: int
    sender: IPv4Address
    target_mac: int
    target: IPv4Address


@dataclass(frozen=True, slots=True)
class Ip:
    """An IPv4 (RFC 791) or IPv6 (RFC 8200) header."""

    source: IPv4Address | IPv6Address
    target: IPv4Address | IPv6Address
    protocol: int
    """What the payload is; for IPv6, after the extension headers."""
    ttl: int
    fragment: int
    """Offset of this fragment in bytes; 0 for whole packets and first fragments."""
    header: int
    """Offset of the header in the frame."""
    payload: int
    """Offset of the payload in the frame."""
    end: int
    """Where the packet ends in the frame: its own length, or the frame's if that is shorter."""


@dataclass(frozen=True, slots=True)
class Icmp:
    """ICMP (RFC 792) or ICMPv6 (RFC 4443): type and code."""

    type: int
    code: int


@dataclass(frozen=True, slots=True)
class Ports:
    """Source and destination port of TCP, UDP or SCTP."""

    source: int
    target: int


@dataclass(frozen=True, slots=True)
class Frame:
    """What a punted frame is, as far as it can be told."""

    ethernet: Ethernet
    network: Arp | Ip | None = None
    transport: Icmp | Ports | None = None


def _number(data: bytes) -> int:
    return int.from_bytes(data, "big")


def ethernet(frame: bytes) -> Ethernet:
    """The Ethernet header.

    Raises:
        DecodeError: the frame is too short.
    """
    need(len(frame) >= 14, "truncated Ethernet header")
    target, source, kind = _ETHERNET.unpack_from(frame)
    if kind != _VLAN:
        return Ethernet(_number(target), _number(source), kind, None, 14)
    need(len(frame) >= 18, "truncated VLAN tag", 14)
    tag, kind = _PORTS.unpack_from(frame, 14)
    return Ethernet(_number(target), _number(source), kind, tag & 0xFFF, 18)


def arp(frame: bytes, at: int) -> Arp:
    """An ARP packet at an offset.

    Raises:
        DecodeError: too short, or not IPv4 over Ethernet.
    """
    need(len(frame) - at >= _ARP.size, "truncated ARP", at)
    hardware, protocol, hlen, plen, operation, sha, spa, tha, tpa = _ARP.unpack_from(frame, at)
    need((hardware, protocol, hlen, plen) == (1, ETH_IP, 6, 4), "ARP of another family", at)
    return Arp(operation, _number(sha), IPv4Address(spa), _number(tha), IPv4Address(tpa))


def ipv4(frame: bytes, at: int) -> Ip:
    """An IPv4 header at an offset (RFC 791 §3.1).

    Raises:
        DecodeError: too short, another version, or a length that lies.
    """
    need(len(frame) - at >= 20, "truncated IPv4 header", at)
    first, _, total, _, part, ttl, protocol, _, source, target = _IPV4.unpack_from(frame, at)
    size = (first & 0xF) * 4
    need(first >> 4 == 4 and 20 <= size <= len(frame) - at, "IPv4 header length", at)
    need(total >= size, "IPv4 total length", at)
    end = min(at + total, len(frame))
    offset = (part & 0x1FFF) * 8
    addresses = (IPv4Address(source), IPv4Address(target))
    return Ip(*addresses, protocol, ttl, offset, at, at + size, end)


def ipv6(frame: bytes, at: int) -> Ip:
    """An IPv6 header and the extension headers after it (RFC 8200 §3, §4).

    Raises:
        DecodeError: too short, another version, or more than `MAX_EXTENSIONS` extensions.
    """
    need(len(frame) - at >= 40, "truncated IPv6 header", at)
    first, length, kind, ttl, source, target = _IPV6.unpack_from(frame, at)
    need(first >> 28 == 6, "IPv6 version", at)
    end = min(at + 40 + length, len(frame))
    cursor, fragment = at + 40, 0
    for _ in range(MAX_EXTENSIONS):
        if kind not in _EXTENSIONS or fragment:
            break
        need(end - cursor >= 8, "truncated extension header", cursor)
        size = 8 if kind == _FRAGMENT else 8 + frame[cursor + 1] * 8
        if kind == _FRAGMENT:
            fragment = U16.unpack_from(frame, cursor + 2)[0] & 0xFFF8
        need(end - cursor >= size, "extension header length", cursor)
        kind, cursor = frame[cursor], cursor + size
    else:
        need(kind not in _EXTENSIONS, "too many extension headers", cursor)
    addresses = (IPv6Address(source), IPv6Address(target))
    return Ip(*addresses, kind, ttl, fragment, at, cursor, end)


def transport(frame: bytes, packet: Ip) -> Icmp | Ports | None:
    """ICMP type and code, or ports; None for other protocols and later fragments.

    Raises:
        DecodeError: the header is cut off.
    """
    at = packet.payload
    if packet.fragment:
        return None
    if packet.protocol in (PROTO_TCP, PROTO_UDP, PROTO_SCTP):
        need(packet.end - at >= 4, "truncated ports", at)
        return Ports(*_PORTS.unpack_from(frame, at))
    icmp = PROTO_ICMP if isinstance(packet.source, IPv4Address) else PROTO_ICMPV6
    if packet.protocol != icmp:
        return None
    need(packet.end - at >= 4, "truncated ICMP", at)
    return Icmp(frame[at], frame[at + 1])


def decode(frame: bytes) -> Frame:
    """Everything known of a frame.

    Raises:
        DecodeError: a header that its predecessor announces is cut off or lies.
    """
    link = ethernet(frame)
    if link.ethertype == ETH_ARP:
        return Frame(link, arp(frame, link.payload))
    if link.ethertype not in (ETH_IP, ETH_IPV6):
        return Frame(link)
    packet = (ipv4 if link.ethertype == ETH_IP else ipv6)(frame, link.payload)
    return Frame(link, packet, transport(frame, packet))


def carried(frame: bytes, protocol: int) -> tuple[Ethernet, Ip]:
    """What carries a whole message of a transport: the untagged packet that it is in.

    Raises:
        DecodeError: it is of another protocol, tagged or a fragment, or a header is as in `decode`.
    """
    seen = decode(frame)
    packet = seen.network
    if not isinstance(packet, Ip) or packet.protocol != protocol or packet.fragment:
        raise DecodeError(f"no packet of protocol {protocol}")
    need(seen.ethernet.vlan is None, "a tagged packet")
    return seen.ethernet, packet


@dataclass(frozen=True, slots=True)
class Sender:
    """What a frame says of who sent it, and whom it looks for."""

    mac: int
    address: IPv4Address | None
    """None when it says none, as an ARP probe does (RFC 5227 §1.1)."""
    destination: int
    """Ethernet address it is sent to."""
    asks: IPv4Address | None = None
    """Address that an ARP request is for."""
    answers: bool = False
    """Whether it is an ARP reply: said because somebody asked, perhaps by another interface."""


def sender(frame: bytes) -> Sender | None:
    """Who sent an ARP or IPv4 frame; None when it is neither, is tagged, or contradicts itself.

    Only an address that one interface can have is a sender's: no group, no zero, no broadcast.
    """
    try:
        link = ethernet(frame)
        if link.vlan is not None or link.ethertype not in (ETH_ARP, ETH_IP):
            return None
        told = (arp if link.ethertype == ETH_ARP else ipv4)(frame, link.payload)
    except DecodeError:
        return None
    if link.source >> 40 & 1 or not link.source:
        return None
    if isinstance(told, Ip):
        return Sender(link.source, _single(told.source), link.destination)
    if told.operation not in (_REQUEST, _REPLY) or told.sender_mac != link.source:
        return None
    asked = told.target if told.operation == _REQUEST else None
    answers = told.operation == _REPLY
    return Sender(link.source, _single(told.sender), link.destination, asked, answers)


def _single(address: IPv4Address | IPv6Address) -> IPv4Address | None:
    """An address that one interface can have."""
    if isinstance(address, IPv6Address) or not address.packed[0] or address.packed[0] >= 224:
        return None
    return None if address.is_loopback else address


_REQUEST, _REPLY = 1, 2
_V4_ERRORS = frozenset({3, 4, 5, 11, 12})
_IPV6_MINIMUM = 1280


def time_exceeded(
    frame: bytes, source_ip: IPv4Address | IPv6Address, source_mac: int
) -> bytes | None:
    """ICMP Time Exceeded in transit, in answer to a frame (RFC 792, RFC 4443 §3.3).

    Args:
        frame: the punted frame, perhaps cut short.
        source_ip: the router's address, of the frame's family.
        source_mac: the router's 48-bit Ethernet address.

    Returns:
        A frame back to where it came from, or None where RFC 1812 §4.3.2.7 or RFC 4443 §2.4(e)
        forbid an answer: to ICMP errors, multicast, broadcast, later fragments, and frames that
        are not IP of the source's family.
    """
    return _answer(frame, source_ip, source_mac, (11, 0), (3, 0), 0)


def packet_too_big(
    frame: bytes, source_ip: IPv4Address | IPv6Address, source_mac: int, mtu: int
) -> bytes | None:
    """Fragmentation Needed (RFC 1191 §4) or Packet Too Big (RFC 4443 §3.2) with the next MTU.

    Arguments and result are those of `time_exceeded`, but a multicast IPv6 packet is answered
    too (RFC 4443 §2.4(e)(3)).
    """
    return _answer(frame, source_ip, source_mac, (3, 4), (2, 0), mtu)


def prohibited(frame: bytes) -> bytes | None:
    """Destination Unreachable, administratively prohibited, from whom a frame was for.

    ICMP 3/10 (RFC 1122 §3.2.2.1) or ICMPv6 1/1 (RFC 4443 §3.1). Result as of `time_exceeded`.
    """
    try:
        seen = decode(frame)
    except DecodeError:
        return None
    if not isinstance(seen.network, Ip):
        return None
    target, mac = seen.network.target, seen.ethernet.destination
    return _answer(frame, target, mac, (3, 10), (1, 1), 0)


def unreachable(
    frame: bytes, source_ip: IPv4Address | IPv6Address, source_mac: int, why: Unreachable
) -> bytes | None:
    """Destination Unreachable (RFC 792, RFC 1122 §3.2.2.1, RFC 4443 §3.1, §3.4).

    Arguments and result are those of `time_exceeded`.
    """
    four, six, pointer = why.value
    return _answer(frame, source_ip, source_mac, four, six, pointer)


class Unreachable(Enum):
    """Why: type and code of ICMP, of ICMPv6, and what the latter points at in a packet."""

    NETWORK = (3, 0), (1, 0), 0
    HOST = (3, 1), (1, 3), 0
    PROTOCOL = (3, 2), (4, 1), 6
    PORT = (3, 3), (1, 4), 0


def answerable(frame: bytes) -> bool:
    """Whether anything may be answered to a frame (RFC 1812 §4.3.2.7, RFC 4443 §2.4)."""
    try:
        seen = decode(frame)
    except DecodeError:
        return False
    return isinstance(seen.network, Ip) and _answerable(seen, seen.network, multicast=False)


def _answer(
    frame: bytes,
    source_ip: IPv4Address | IPv6Address,
    source_mac: int,
    v4: tuple[int, int],
    v6: tuple[int, int],
    mtu: int,
) -> bytes | None:
    try:
        seen = decode(frame)
    except DecodeError:
        return None
    packet = seen.network
    if not isinstance(packet, Ip) or type(packet.source) is not type(source_ip):
        return None
    if not _answerable(seen, packet, multicast=v6 == (2, 0)):
        return None
    if isinstance(source_ip, IPv4Address):
        body = _icmp_v4(frame, packet, source_ip, v4, mtu)
    else:
        body = _icmp_v6(frame, packet, source_ip, v6, mtu)
    head = seen.ethernet.source.to_bytes(6, "big") + source_mac.to_bytes(6, "big")
    tag = b"" if seen.ethernet.vlan is None else _PORTS.pack(_VLAN, seen.ethernet.vlan)
    return head + tag + U16.pack(seen.ethernet.ethertype) + body


def _answerable(seen: Frame, packet: Ip, *, multicast: bool) -> bool:
    v6 = isinstance(packet.source, IPv6Address)
    group_allowed = multicast and v6
    if seen.ethernet.source >> 40 & 1 or (
        seen.ethernet.destination >> 40 & 1 and not group_allowed
    ):
        return False
    source, target = packet.source, packet.target
    if source.is_multicast or source.is_unspecified or source.is_loopback or packet.fragment:
        return False
    if not v6 and (int(source) >> 28 == 0xF or int(target) == 0xFFFFFFFF):
        return False
    if target.is_multicast and not group_allowed:
        return False
    icmp = seen.transport
    if not isinstance(icmp, Icmp):
        return True
    return icmp.type >= 128 and icmp.type != 137 if v6 else icmp.type not in _V4_ERRORS


def _icmp_v4(
    frame: bytes, packet: Ip, source: IPv4Address, kind: tuple[int, int], mtu: int
) -> bytes:
    """Header, and the offending packet as far as 576 bytes allow (RFC 1812 §4.3.2.3)."""
    quoted = frame[packet.header : packet.end][: 576 - 28]
    rest = _PORTS.pack(0, min(mtu, 0xFFFF) if kind == (3, 4) else 0) + quoted
    summed = ip_header.checksum(_TYPED.pack(*kind, 0) + rest)
    body = _TYPED.pack(*kind, summed) + rest
    ends = source.packed + packet.source.packed
    return ip_header.packed(ends, PROTO_ICMP, len(body), service=_NETWORK_CONTROL) + body


def _icmp_v6(
    frame: bytes, packet: Ip, source: IPv6Address, kind: tuple[int, int], mtu: int
) -> bytes:
    """Header, and the offending packet as far as 1280 bytes allow (RFC 4443 §3.3)."""
    quoted = frame[packet.header : packet.end][: _IPV6_MINIMUM - 48]
    rest = mtu.to_bytes(4, "big") + quoted
    ends = source.packed + packet.source.packed
    blank = _TYPED.pack(*kind, 0) + rest
    body = _TYPED.pack(*kind, ip_header.transport_checksum(ends, PROTO_ICMPV6, blank)) + rest
    return ip_header.packed(ends, PROTO_ICMPV6, len(body)) + body
