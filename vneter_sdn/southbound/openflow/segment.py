# SPDX-License-Identifier: Apache-2.0
"""TCP segments in Ethernet frames (RFC 9293 §3.1), read from tenants, and written.

Checksums are not checked, as of datagrams: a virtual interface may leave them to hardware that
there is none of. Of options only the longest segment is read and written.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct

from vneter_sdn.model.addresses import IPAddress
from vneter_sdn.model.fields import PROTO_TCP
from vneter_sdn.southbound.openflow import ip_header, punt
from vneter_sdn.southbound.openflow.wire import U16, need

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
WORD = 1 << 32
"""Sequence numbers are counted in rounds of so many."""
LEAST_MSS = {4: 536, 6: 1220}
"""Octets of a segment that everybody takes (RFC 9293 §3.7.1), by IP version."""
_TCP = Struct("!HHIIBBHHH")
_END, _NOTHING, _MSS = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment with its addresses."""

    source_mac: int
    target_mac: int
    source: IPAddress
    target: IPAddress
    source_port: int
    target_port: int
    sequence: int
    acknowledged: int
    flags: int
    window: int
    payload: bytes = b""
    mss: int | None = None
    """Octets of the longest segment that its sender takes."""

    @property
    def octets(self) -> int:
        """How far it leads in its sender's sequence numbers."""
        return len(self.payload) + bool(self.flags & SYN) + bool(self.flags & FIN)


def is_segment(frame: bytes) -> bool:
    """Whether a frame has TCP in it, as far as its headers say.

    Raises:
        DecodeError: a header that its predecessor announces is cut off or lies.
    """
    packet = punt.decode(frame).network
    return isinstance(packet, punt.Ip) and packet.protocol == PROTO_TCP


def read(frame: bytes) -> Segment:
    """The segment of a frame.

    Raises:
        DecodeError: it is no TCP, it is tagged or a fragment, or a length lies.
    """
    link, packet = punt.carried(frame, PROTO_TCP)
    at = packet.payload
    need(packet.end - at >= _TCP.size, "truncated TCP", at)
    source, target, sequence, answered, size, flags, window, *_ = _TCP.unpack_from(frame, at)
    begin = at + (size >> 4) * 4
    need(at + _TCP.size <= begin <= packet.end, "TCP header length", at)
    return Segment(
        link.source,
        link.destination,
        packet.source,
        packet.target,
        source,
        target,
        sequence,
        answered,
        flags & 0x3F,
        window,
        frame[begin : packet.end],
        _longest(frame[at + _TCP.size : begin]),
    )


def _longest(options: bytes) -> int | None:
    """What a sender says of the longest segment; None where it does not."""
    at = 0
    while at < len(options) and options[at] != _END:
        if options[at] == _NOTHING:
            at += 1
            continue
        need(len(options) - at >= 2, "truncated TCP option", at)
        size = options[at + 1]
        need(2 <= size <= len(options) - at, "TCP option length", at)
        if options[at] == _MSS and size == 4:
            return int(U16.unpack_from(options, at + 2)[0])
        at += size
    return None


def written(sent: Segment) -> bytes:
    """The frame of a segment.

    Raises:
        ValueError: its addresses are of two families, or it is too long.
    """
    if sent.source.version != sent.target.version:
        raise ValueError(f"from {sent.source} to {sent.target}")
    options = b"" if sent.mss is None else bytes((_MSS, 4)) + U16.pack(sent.mss)
    size = _TCP.size + len(options) + len(sent.payload)
    if size > 0xFFFF - 20:
        raise ValueError(f"a segment of {size} octets")
    ends = sent.source.packed + sent.target.packed
    head = ip_header.packed(ends, PROTO_TCP, size, dont_fragment=True)
    link = ip_header.ethernet(sent.source_mac, sent.target_mac, ends)
    return link + head + _transport(sent, options, ends)


def _transport(sent: Segment, options: bytes, ends: bytes) -> bytes:
    """TCP with its checksum."""
    fields = (sent.source_port, sent.target_port, sent.sequence, sent.acknowledged)
    rest = ((5 + len(options) // 4) << 4, sent.flags, sent.window)
    bare = _TCP.pack(*fields, *rest, 0, 0) + options + sent.payload
    summed = ip_header.transport_checksum(ends, PROTO_TCP, bare)
    return _TCP.pack(*fields, *rest, summed, 0) + bare[_TCP.size :]
