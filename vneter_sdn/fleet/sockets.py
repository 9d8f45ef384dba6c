# SPDX-License-Identifier: Apache-2.0
"""Sockets opened in a workload's namespace, and the ICMP echo messages that cross them."""

from __future__ import annotations

import socket
import struct
from typing import NamedTuple

from vneter_sdn.fleet.system import inside

_ICMP6_FILTER, _ECHO_REQUEST, _ECHO_REPLY = 1, {4: 8, 6: 128}, {4: 0, 6: 129}
_FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}
_HEADER = struct.Struct("!BBHHH")


class Echo(NamedTuple):
    """An ICMP or ICMPv6 echo message."""

    is_request: bool
    number: int
    """Its sequence number, 16 bits."""
    payload: bytes


def open_icmp(netns: str, family: int) -> socket.socket:
    """A raw socket, non-blocking, that sends and hears echo messages of IPv4 or IPv6.

    Raises:
        SouthboundError: there is no such namespace.
    """

    def work() -> socket.socket:
        protocol = socket.IPPROTO_ICMP if family == 4 else socket.IPPROTO_ICMPV6
        opened = socket.socket(_FAMILY[family], socket.SOCK_RAW, protocol)
        opened.setblocking(False)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        if family == 6:
            # RFC 3542 section 3.2: a set bit blocks its type; echo messages are 128 and 129.
            blocked = [0xFFFFFFFF] * 8
            blocked[4] = 0xFFFFFFFC
            opened.setsockopt(socket.IPPROTO_ICMPV6, _ICMP6_FILTER, struct.pack("=8I", *blocked))
        return opened

    return inside(netns, work)


def open_udp(netns: str, family: int, port: int = 0) -> socket.socket:
    """A UDP socket, non-blocking, bound to a port of every address, or to some free port.

    Raises:
        SouthboundError: there is no such namespace.
        OSError: the port is taken.
    """
    return inside(netns, lambda: _bound(family, socket.SOCK_DGRAM, port))


def open_listener(netns: str, family: int, port: int) -> socket.socket:
    """A listening TCP socket, non-blocking, on a port of every address.

    Raises:
        SouthboundError: there is no such namespace.
        OSError: the port is taken.
    """

    def work() -> socket.socket:
        opened = _bound(family, socket.SOCK_STREAM, port)
        opened.listen(1024)
        return opened

    return inside(netns, work)


def open_tcp(netns: str, family: int) -> socket.socket:
    """A TCP socket, non-blocking, not connected.

    Raises:
        SouthboundError: there is no such namespace.
    """

    def work() -> socket.socket:
        opened = socket.socket(_FAMILY[family], socket.SOCK_STREAM)
        opened.setblocking(False)
        return opened

    return inside(netns, work)


def _bound(family: int, kind: socket.SocketKind, port: int) -> socket.socket:
    opened = socket.socket(_FAMILY[family], kind)
    try:
        opened.setblocking(False)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == 6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.bind(("", port))
    except OSError:
        opened.close()
        raise
    return opened


def echo_request(family: int, identifier: int, number: int, payload: bytes) -> bytes:
    """An echo request. The kernel fills in the checksum of ICMPv6, not that of ICMP.

    Source: RFC 792 and RFC 4443 section 4.1.
    """
    header = _HEADER.pack(_ECHO_REQUEST[family], 0, 0, identifier, number & 0xFFFF)
    if family == 6:
        return header + payload
    checksum = internet_checksum(header + payload)
    return header[:2] + checksum.to_bytes(2, "big") + header[4:] + payload


def read_echo(family: int, packet: bytes) -> Echo | None:
    """The echo message in what a raw socket received; None when it is something else.

    A raw socket hands over the IP header with IPv4, and without it with IPv6.
    """
    start = (packet[0] & 0x0F) * 4 if family == 4 and packet else 0
    if len(packet) < start + _HEADER.size:
        return None
    kind, code, _, _, number = _HEADER.unpack_from(packet, start)
    if code or kind not in (_ECHO_REQUEST[family], _ECHO_REPLY[family]):
        return None
    return Echo(kind == _ECHO_REQUEST[family], number, packet[start + _HEADER.size :])


def internet_checksum(data: bytes) -> int:
    """The ones' complement sum of RFC 1071."""
    padded = data + b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
