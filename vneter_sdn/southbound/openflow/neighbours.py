# SPDX-License-Identifier: Apache-2.0
"""Neighbour solicitations and advertisements (RFC 4861 §4.3, §4.4), as ICMPv6 messages."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv6Address
from struct import Struct

from vneter_sdn.southbound.openflow.router import (
    SOURCE_MAC,
    TARGET_MAC,
    mac_of,
    mac_option,
    options,
)
from vneter_sdn.southbound.openflow.wire import need

SOLICITATION, ADVERTISEMENT = 135, 136
"""ICMPv6 types."""
_HEAD = Struct("!BBHI16s")
_ROUTER, _SOLICITED, _OVERRIDE = 1 << 31, 1 << 30, 1 << 29


@dataclass(frozen=True, slots=True)
class Solicitation:
    """Who has an address?"""

    target: IPv6Address
    source_mac: int | None = None
    """Absent when it comes from ``::`` (RFC 4861 §4.3)."""


@dataclass(frozen=True, slots=True)
class Advertisement:
    """Who has one."""

    target: IPv6Address
    router: bool = False
    solicited: bool = False
    override: bool = False
    target_mac: int | None = None


def solicitation(message: bytes) -> Solicitation:
    """Read one, from its type on; the checksum is not looked at.

    Raises:
        DecodeError: it is none, or a length lies.
    """
    target, _, mac = _read(message, SOLICITATION, SOURCE_MAC)
    return Solicitation(target, mac)


def advertisement(message: bytes) -> Advertisement:
    """Read one, as `solicitation` does."""
    target, flags, mac = _read(message, ADVERTISEMENT, TARGET_MAC)
    told = (bool(flags & bit) for bit in (_ROUTER, _SOLICITED, _OVERRIDE))
    return Advertisement(target, *told, target_mac=mac)


def _read(message: bytes, kind: int, option: int) -> tuple[IPv6Address, int, int | None]:
    need(len(message) >= _HEAD.size, "truncated message of neighbour discovery")
    type_, code, _, flags, packed = _HEAD.unpack_from(message)
    need((type_, code) == (kind, 0), "another message of neighbour discovery")
    target = IPv6Address(packed)
    need(not target.is_multicast, "a group for a target", 8)
    macs = [mac_of(one) for found, one in options(message, _HEAD.size) if found == option]
    return target, flags, macs[0] if macs else None


def written_solicitation(said: Solicitation) -> bytes:
    """The message, with no checksum yet."""
    head = _HEAD.pack(SOLICITATION, 0, 0, 0, said.target.packed)
    return head + mac_option(SOURCE_MAC, said.source_mac)


def written_advertisement(said: Advertisement) -> bytes:
    """The message, with no checksum yet."""
    flags = said.router << 31 | said.solicited << 30 | said.override << 29
    head = _HEAD.pack(ADVERTISEMENT, 0, 0, flags, said.target.packed)
    return head + mac_option(TARGET_MAC, said.target_mac)
