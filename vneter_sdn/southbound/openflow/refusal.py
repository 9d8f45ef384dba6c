# SPDX-License-Identifier: Apache-2.0
"""What a sender is told whose packet a policy rejects: as if from whom it was for.

TCP is reset (RFC 9293 §3.5.2); others are told that the host is administratively prohibited (ICMP
3/10, RFC 1122 §3.2.2.1; ICMPv6 1/1, RFC 4443 §3.1). Frames are tenants' bytes: every field that is
read is bounded by `punt`.
"""

from __future__ import annotations

from ipaddress import IPv4Address
from struct import Struct

from vneter_sdn.errors import DecodeError
from vneter_sdn.model.fields import PROTO_TCP
from vneter_sdn.southbound.openflow import ip_header, punt
from vneter_sdn.southbound.openflow.wire import U16

_TCP = Struct("!HHIIBBHHH")
_FIN, _SYN, _RST, _ACK = 1, 2, 4, 16
_WORD = 1 << 32


def refusal(frame: bytes) -> bytes | None:
    """The answer to a rejected frame, addressed to its sender; None where none may be sent.

    Args:
        frame: an Ethernet frame, perhaps cut short after its headers.
    """
    try:
        seen = punt.decode(frame)
    except DecodeError:
        return None
    packet = seen.network
    if not isinstance(packet, punt.Ip) or seen.ethernet.vlan is not None:
        return None
    if packet.protocol != PROTO_TCP:
        return punt.prohibited(frame)
    if packet.fragment or not punt.answerable(frame):
        return None
    segment = _reset(frame, packet)
    if segment is None:
        return None
    ends = seen.ethernet.source.to_bytes(6, "big") + seen.ethernet.destination.to_bytes(6, "big")
    return ends + _packet(packet, segment)


def _reset(frame: bytes, packet: punt.Ip) -> bytes | None:
    """The segment that resets a connection, with no checksum yet; None in answer to a reset."""
    at = packet.payload
    if len(frame) - at < _TCP.size:
        return None
    source, target, sequence, acknowledged, offset, flags, *_ = _TCP.unpack_from(frame, at)
    header = (offset >> 4) * 4
    if flags & _RST or header < _TCP.size:
        return None
    if flags & _ACK:
        return _TCP.pack(target, source, acknowledged, 0, 0x50, _RST, 0, 0, 0)
    octets = max(0, _length(frame, packet) - header) + bool(flags & _SYN) + bool(flags & _FIN)
    answered = (sequence + octets) % _WORD
    return _TCP.pack(target, source, 0, answered, 0x50, _RST | _ACK, 0, 0, 0)


def _length(frame: bytes, packet: punt.Ip) -> int:
    """Octets of the segment as the IP header has it, whatever is left of the frame."""
    at = packet.header
    if isinstance(packet.source, IPv4Address):
        return int.from_bytes(frame[at + 2 : at + 4], "big") - (packet.payload - at)
    return int.from_bytes(frame[at + 4 : at + 6], "big") - (packet.payload - at - 40)


def _packet(packet: punt.Ip, segment: bytes) -> bytes:
    """Type, header and segment of the answer, from whom the packet was for."""
    ends = packet.target.packed + packet.source.packed
    head = ip_header.packed(ends, PROTO_TCP, len(segment), dont_fragment=True)
    summed = U16.pack(ip_header.transport_checksum(ends, PROTO_TCP, segment))
    kind = U16.pack(ip_header.ethertype(ends))
    return kind + head + segment[:16] + summed + segment[18:]
