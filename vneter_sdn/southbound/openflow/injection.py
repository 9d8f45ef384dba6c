# SPDX-License-Identifier: Apache-2.0
"""A packet that is injected to be followed, as bytes; the flows that follow it, and their reports.

At every table a bridge has one flow for the packet, above all others: it marks the table as seen in
`traced.SEEN`, sends a copy to the controller, and looks the packet up in the same table again. The
second time the mark is there, so the bridge does exactly what it does without tracing. In the table
of the last step nothing is looked up again: a workload is never handed a packet nobody sent it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from struct import Struct

from vneter_sdn.errors import DecodeError
from vneter_sdn.model.fields import (
    ETH_IP,
    PROTO_ICMP,
    PROTO_ICMPV6,
    PROTO_SCTP,
    PROTO_TCP,
    PROTO_UDP,
)
from vneter_sdn.model.flow import Action, Flow, Match, Punt, Resubmit, SetField, Term, match
from vneter_sdn.pipeline import traced
from vneter_sdn.pipeline.registers import TENANT
from vneter_sdn.pipeline.tables import TABLES, table
from vneter_sdn.southbound.openflow import oxm
from vneter_sdn.southbound.openflow.decode import PacketIn
from vneter_sdn.southbound.openflow.ip_header import checksum, packed, transport_checksum
from vneter_sdn.southbound.openflow.wire import NICIRA, TLV, U16, Type, message, pad8

LAST = "output"
"""Table that hands packets to endpoints."""
_PORTS = {PROTO_TCP: "tcp", PROTO_UDP: "udp", PROTO_SCTP: "sctp"}
_ICMP = {PROTO_ICMP: "icmp", PROTO_ICMPV6: "icmpv6"}
_SYN = 2
_NAMED = ("ip_src", "ip_dst", "ipv6_src", "ipv6_dst")


def pattern(packet: Mapping[str, int]) -> dict[str, int]:
    """What flows go by: family, mark, protocol, addresses, and ports or type."""
    protocol = packet["ip_proto"]
    names = ["eth_type", "ip_proto", "ip_dscp", *(n for n in _NAMED if n in packet)]
    if protocol in _PORTS:
        names += [f"{_PORTS[protocol]}_src", f"{_PORTS[protocol]}_dst"]
    if protocol in _ICMP:
        names += [f"{_ICMP[protocol]}_type", f"{_ICMP[protocol]}_code"]
    return {name: packet.get(name, 0) for name in names}


def flows(packet: Mapping[str, int], number: int) -> Iterator[Flow]:
    """The flows that follow a packet through one bridge, the same on each.

    Args:
        packet: its fields.
        number: of the trace.
    """
    told = pattern(packet)
    for position, one in enumerate(TABLES):
        bit = 1 << position
        matched: Match = match(**told, **{traced.SEEN: (0, bit)})
        actions: tuple[Action, ...] = (
            SetField(traced.SEEN, bit, bit),
            Punt(traced.userdata(number, one.id), traced.METER, traced.LENGTH),
        )
        if one.name != LAST:
            actions += (Resubmit(one.id),)
        yield Flow(one.id, traced.PRIORITY, matched, actions, None, traced.cookie(number))


@dataclass(frozen=True, slots=True)
class Sighting:
    """A copy of the packet: it came to a table."""

    number: int
    """Of the trace."""
    table: int
    port: int
    """OpenFlow port by which it came into the bridge."""
    seen: int
    """How many tables it had come to by then on this bridge, this one among them."""
    fields: Mapping[str, int]
    """Registers and tracking, those that are zero left out, and ``eth_dst``."""


def sighting(packet: PacketIn) -> Sighting | None:
    """What a copy reports; None when it is none."""
    told = traced.read_userdata(packet.userdata)
    if told is None:
        return None
    fields = {term.field: term.value for term in _terms(packet.metadata)}
    fields["eth_dst"] = int.from_bytes(packet.data[:6], "big")
    return Sighting(*told, packet.in_port, fields.get(traced.SEEN, 0).bit_count(), fields)


def _terms(data: bytes) -> Iterator[Term]:
    """The entries that this package has a word for."""
    cursor = 0
    while cursor < len(data):
        try:
            after = oxm.entry_end(data, cursor, len(data))
            found = oxm.decode_entry(data[cursor:after])
        except DecodeError:
            return
        except oxm.Unknown:
            found = ()
        yield from (found,) if isinstance(found, Term) else found
        cursor = after


_TCP = Struct("!HHIIBBHHH")
_UDP = Struct("!HHHH")
_ECHO = Struct("!BBHHH")
_SCTP = Struct("!HHII")
_INIT = Struct("!BBHIIHHI")
_PARAMETER = 0xBFFF
"""Of SCTP: one that nobody knows, to be skipped without a report (RFC 9260 §3.2.1)."""
_WINDOW = 65535


def frame(packet: Mapping[str, int], known_by: bytes) -> bytes:
    """The packet as bytes: the first of a connection, which carries what it is known by.

    Args:
        packet: fields of an IPv4 or IPv6 packet of TCP, UDP, SCTP or ICMP.
        known_by: at least 8 octets.

    Raises:
        KeyError: it is none of these.
    """
    four = packet["eth_type"] == ETH_IP
    size = 4 if four else 16
    ends = [packet.get(f"{'ip' if four else 'ipv6'}_{end}", 0) for end in ("src", "dst")]
    addresses = b"".join(end.to_bytes(size, "big") for end in ends)
    payload = _PAYLOADS[packet["ip_proto"]](packet, addresses, known_by)
    head = _head(packet, addresses, len(payload))
    ethernet = packet["eth_dst"].to_bytes(6, "big") + packet["eth_src"].to_bytes(6, "big")
    return ethernet + U16.pack(packet["eth_type"]) + head + payload


def _head(packet: Mapping[str, int], addresses: bytes, size: int) -> bytes:
    return packed(
        addresses,
        packet["ip_proto"],
        size,
        hops=packet["ip_ttl"],
        service=packet.get("ip_dscp", 0) << 2,
        dont_fragment=True,
    )


def _ports(packet: Mapping[str, int], name: str) -> tuple[int, int]:
    return packet[f"{name}_src"], packet[f"{name}_dst"]


def _tcp(packet: Mapping[str, int], addresses: bytes, known_by: bytes) -> bytes:
    sequence = int.from_bytes(known_by[:4], "big")
    head = (*_ports(packet, "tcp"), sequence, 0, 0x50, _SYN, _WINDOW)
    summed = transport_checksum(addresses, PROTO_TCP, _TCP.pack(*head, 0, 0) + known_by)
    return _TCP.pack(*head, summed, 0) + known_by


def _udp(packet: Mapping[str, int], addresses: bytes, known_by: bytes) -> bytes:
    head = (*_ports(packet, "udp"), _UDP.size + len(known_by))
    summed = transport_checksum(addresses, PROTO_UDP, _UDP.pack(*head, 0) + known_by)
    return _UDP.pack(*head, summed or 0xFFFF) + known_by


def _echo(packet: Mapping[str, int], addresses: bytes, known_by: bytes) -> bytes:
    protocol = packet["ip_proto"]
    name = _ICMP[protocol]
    head = (packet.get(f"{name}_type", 0), packet.get(f"{name}_code", 0))
    rest = (echo_number(known_by), 1)
    bare = _ECHO.pack(*head, 0, *rest) + known_by
    six = protocol == PROTO_ICMPV6
    summed = transport_checksum(addresses, protocol, bare) if six else checksum(bare)
    return _ECHO.pack(*head, summed, *rest) + known_by


def echo_number(known_by: bytes) -> int:
    """The identifier of an echo request."""
    return int.from_bytes(known_by[:2], "big")


def _sctp(packet: Mapping[str, int], _addresses: bytes, known_by: bytes) -> bytes:
    """An INIT (RFC 9260 §3.3.2)."""
    tag, first = (int.from_bytes(known_by[at : at + 4], "big") for at in (0, 4))
    parameter = TLV.pack(_PARAMETER, 4 + len(known_by)) + known_by
    chunk = _INIT.pack(1, 0, _INIT.size + len(parameter), tag or 1, _WINDOW, 1, 1, first)
    bare = _SCTP.pack(*_ports(packet, "sctp"), 0, 0) + chunk + parameter
    return bare[:8] + crc32c(bare).to_bytes(4, "little") + bare[12:]


def crc32c(data: bytes) -> int:
    """The checksum of SCTP (RFC 9260 appendix A)."""
    left = 0xFFFFFFFF
    for octet in data:
        left ^= octet
        for _ in range(8):
            left = left >> 1 ^ (0x82F63B78 if left & 1 else 0)
    return left ^ 0xFFFFFFFF


_PAYLOADS = {
    PROTO_TCP: _tcp,
    PROTO_UDP: _udp,
    PROTO_SCTP: _sctp,
    PROTO_ICMP: _echo,
    PROTO_ICMPV6: _echo,
}
_CT_FLUSH = 32
"""Subtype NXT_CT_FLUSH, of Open vSwitch 3.1 and later."""
_ORIGINAL, _ZONE = 0, 2
_SRC, _DST, _SRC_PORT, _DST_PORT, _ICMP_ID, _ICMP_TYPE, _ICMP_CODE = range(7)
_NUMBER = Struct("!H2x")


def forget(packet: Mapping[str, int], known_by: bytes, zone: int, version: int, xid: int) -> bytes:
    """Have a bridge forget the connection that the packet began (NXT_CT_FLUSH).

    Nothing of ICMPv6: ovs-vswitchd 3.1.0 aborts when it is to forget such a connection.
    """
    four, protocol = packet["eth_type"] == ETH_IP, packet["ip_proto"]
    if protocol == PROTO_ICMPV6:
        return b""
    parts: dict[int, bytes] = {}
    for part, end in ((_SRC, "src"), (_DST, "dst")):
        number = packet.get(f"{'ip' if four else 'ipv6'}_{end}", 0)
        mapped = b"\0" * 10 + b"\xff\xff" + IPv4Address(number).packed if four else b""
        parts[part] = mapped or number.to_bytes(16, "big")
    if name := _PORTS.get(protocol):
        source, target = _ports(packet, name)
        parts |= {_SRC_PORT: _NUMBER.pack(source), _DST_PORT: _NUMBER.pack(target)}
    else:
        parts |= {
            _ICMP_ID: _NUMBER.pack(echo_number(known_by)),
            _ICMP_TYPE: bytes([packet.get("icmp_type", 0)]),
            _ICMP_CODE: bytes([packet.get("icmp_code", 0)]),
        }
    original = bytes(4) + b"".join(_property(kind, value) for kind, value in parts.items())
    told = _property(_ORIGINAL, original) + _property(_ZONE, _NUMBER.pack(zone))
    head = NICIRA.to_bytes(4, "big") + _CT_FLUSH.to_bytes(4, "big")
    return message(Type.EXPERIMENTER, version, xid, head + bytes([protocol]) + bytes(7) + told)


def _property(kind: int, value: bytes) -> bytes:
    return pad8(TLV.pack(kind, 4 + len(value)) + value)


def zone_of(seen: Sighting) -> int:
    """The zone in which it was tracked; 0 where it was not."""
    tracked = seen.fields.get("ct_state", 0)
    return seen.fields.get(TENANT.field, 0) >> TENANT.first & 0xFFFF if tracked else 0


LAST_TABLE = table(LAST).id
"""Number of `LAST`."""
