# SPDX-License-Identifier: Apache-2.0
"""Ethernet and IP addresses as numbers and text."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network

_LINK_LOCAL = IPv6Network("fe80::/64")
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}\Z", re.ASCII)


def mac_number(text: str) -> int:
    """``02:00:00:00:00:01`` as a 48-bit number.

    Raises:
        ValueError: not six lower-case hexadecimal octets joined by colons.
    """
    if not _MAC.match(text.lower()):
        raise ValueError(f"not an Ethernet address: {text!r}")
    return int(text.replace(":", ""), 16)


def mac_text(number: int) -> str:
    """The usual form of a 48-bit number: ``02:00:00:00:00:01``."""
    return ":".join(f"{octet:02x}" for octet in number.to_bytes(6, "big"))


def link_local(mac: int) -> IPv6Address:
    """The address an interface with this MAC forms by modified EUI-64 (RFC 4291 appendix A)."""
    return formed(_LINK_LOCAL, mac)


def formed(prefix: IPv6Network, mac: int) -> IPv6Address:
    """The address of a /64 that an interface with this MAC forms (RFC 4862 §5.5.3, RFC 2464 §4)."""
    upper, lower = mac >> 24, mac & 0xFFFFFF
    identifier = (upper ^ 0x020000) << 40 | 0xFFFE << 24 | lower
    return IPv6Address(int(prefix.network_address) | identifier)


def solicited_node(address: IPv6Address) -> IPv6Address:
    """The multicast group that hears neighbour solicitations for an address (RFC 4291 §2.7.1)."""
    return IPv6Address(0xFF02_0000_0000_0000_0000_0001_FF00_0000 | int(address) & 0xFFFFFF)
