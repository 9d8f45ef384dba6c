# SPDX-License-Identifier: Apache-2.0
"""UDP datagrams in Ethernet frames (RFC 768, over IPv4 and IPv6): read from tenants, and written.

Checksums are not checked: a virtual interface may leave them to hardware that there is none of.
What is written has them.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct

from vneter_sdn.model.addresses import IPAddress
from vneter_sdn.model.fields import PROTO_UDP
from vneter_sdn.southbound.openflow import ip_header, punt
from vneter_sdn.southbound.openflow.wire import need

_UDP = Struct("!HHHH")


@dataclass(frozen=True, slots=True)
class Datagram:
    """One datagram with its addresses."""

    source_mac: int
    target_mac: int
    source: IPAddress
    target: IPAddress
    source_port: int
    target_port: int
    payload: bytes


def read(frame: bytes) -> Datagram:
    """The datagram of a frame.

    Raises:
        DecodeError: it is no UDP, it is tagged or a fragment, or a length lies.
    """
    link, packet = punt.carried(frame, PROTO_UDP)
    at = packet.payload
    need(packet.end - at >= _UDP.size, "truncated UDP", at)
    source, target, length, _ = _UDP.unpack_from(frame, at)
    need(_UDP.size <= length <= packet.end - at, "UDP length", at)
    return Datagram(
        link.source,
        link.destination,
        packet.source,
        packet.target,
        source,
        target,
        frame[at + _UDP.size : at + length],
    )


def written(sent: Datagram) -> bytes:
    """The frame of a datagram.

    Raises:
        ValueError: its addresses are of two families, or it is too long.
    """
    if sent.source.version != sent.target.version:
        raise ValueError(f"from {sent.source} to {sent.target}")
    length = _UDP.size + len(sent.payload)
    if length > 0xFFFF - 20:
        raise ValueError(f"a datagram of {length} octets")
    ends = sent.source.packed + sent.target.packed
    head = ip_header.packed(ends, PROTO_UDP, length)
    link = ip_header.ethernet(sent.source_mac, sent.target_mac, ends)
    return link + head + _transport(sent, ends, length)


def _transport(sent: Datagram, ends: bytes, length: int) -> bytes:
    """UDP with its checksum, which is never 0: that would mean none (RFC 768)."""
    ports = (sent.source_port, sent.target_port, length)
    blank = _UDP.pack(*ports, 0) + sent.payload
    summed = ip_header.transport_checksum(ends, PROTO_UDP, blank)
    return _UDP.pack(*ports, summed or 0xFFFF) + sent.payload
