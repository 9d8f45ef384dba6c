# SPDX-License-Identifier: Apache-2.0
"""Frames round messages of ICMPv6 that we send (RFC 8200, RFC 4443)."""

from __future__ import annotations

from ipaddress import IPv6Address
from struct import Struct
from typing import NamedTuple

from vneter_sdn.model.fields import ETH_IPV6, PROTO_ICMPV6
from vneter_sdn.southbound.openflow import ip_header

_ETHERNET = Struct("!6s6sH")
ALL_NODES, ALL_NODES_MAC = IPv6Address("ff02::1"), 0x3333_0000_0001
"""RFC 4291 §2.7.1, RFC 2464 §7."""
LINK_LOCAL_HOPS = 255
"""What neighbour discovery is sent with, so that routers let none pass (RFC 4861 §6.1)."""


class Ends6(NamedTuple):
    """Whom a frame is from and for."""

    eth_src: int
    eth_dst: int
    source: IPv6Address
    target: IPv6Address


def framed(ends: Ends6, message: bytes, hops: int = LINK_LOCAL_HOPS) -> bytes:
    """A frame round a message whose checksum is zero as yet."""
    addresses = ends.source.packed + ends.target.packed
    summed = ip_header.transport_checksum(addresses, PROTO_ICMPV6, message).to_bytes(2, "big")
    head = ip_header.packed(addresses, PROTO_ICMPV6, len(message), hops=hops)
    macs = ends.eth_dst.to_bytes(6, "big"), ends.eth_src.to_bytes(6, "big")
    return _ETHERNET.pack(*macs, ETH_IPV6) + head + message[:2] + summed + message[4:]
