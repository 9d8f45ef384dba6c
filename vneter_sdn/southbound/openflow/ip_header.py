# SPDX-License-Identifier: Apache-2.0
"""IP headers and Internet checksums of what the controller sends (RFC 791, 8200, 1071).

``ends`` are the addresses of a packet, its source's octets before its target's: 8 of IPv4, or 32.
"""

from __future__ import annotations

from struct import Struct

from vneter_sdn.model.fields import ETH_IP, ETH_IPV6
from vneter_sdn.southbound.openflow.wire import U16

HOPS = 64
"""That are left to what is sent, where nothing else is said (RFC 1700)."""
_IPV4 = Struct("!BBHHHBBH4s4s")
_IPV6 = Struct("!IHBB16s16s")
_DONT_FRAGMENT = 0x4000


def ethertype(ends: bytes) -> int:
    """Of a frame between two addresses."""
    return ETH_IP if len(ends) == 8 else ETH_IPV6


def ethernet(source: int, target: int, ends: bytes) -> bytes:
    """The header of the frame round it, from one MAC to another."""
    return target.to_bytes(6, "big") + source.to_bytes(6, "big") + U16.pack(ethertype(ends))


def packed(
    ends: bytes,
    protocol: int,
    size: int,
    *,
    hops: int = HOPS,
    service: int = 0,
    dont_fragment: bool = False,
) -> bytes:
    """A header without options.

    Args:
        ends: addresses.
        protocol: of what follows.
        size: octets that follow.
        hops: time to live.
        service: octet of the differentiated service (RFC 2474).
        dont_fragment: of IPv4; routers fragment no packet of IPv6.
    """
    if len(ends) == 32:
        return _IPV6.pack(6 << 28 | service << 20, size, protocol, hops, ends[:16], ends[16:])
    whole = _DONT_FRAGMENT if dont_fragment else 0
    fields = (0x45, service, _IPV4.size + size, 0, whole, hops, protocol)
    blank = _IPV4.pack(*fields, 0, ends[:4], ends[4:])
    return _IPV4.pack(*fields, checksum(blank), ends[:4], ends[4:])


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071).

    A sum with end-around carry is the number that the octets make, modulo 65,535, where nothing but
    zeros is 0: one division, however many octets there are.
    """
    number = int.from_bytes(data, "big") << 8 * (len(data) & 1)
    return 0xFFFF - ((number - 1) % 0xFFFF + 1 if number else 0)


def transport_checksum(ends: bytes, protocol: int, segment: bytes) -> int:
    """Over the pseudo header, too (RFC 9293 §3.1, RFC 8200 §8.1; in both the sum is the same)."""
    return checksum(ends + len(segment).to_bytes(4, "big") + protocol.to_bytes(4, "big") + segment)
