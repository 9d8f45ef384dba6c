# SPDX-License-Identifier: Apache-2.0
"""Messages between DHCPv6 clients and servers (RFC 8415 §8), and the options a server needs.

Decoders take any bytes: every walk is over options whose ends are known, at most `MAX_OPTIONS`, and
they nest three deep (association, address, status). A DUID is bytes that are sent back as they
came, never looked into (RFC 8415 §11), and bounded. Options of no known kind are left alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv6Address
from struct import Struct

from vneter_sdn.southbound.openflow.labels import read_labels, written_labels
from vneter_sdn.southbound.openflow.wire import TLV, U16, need

CLIENT_PORT, SERVER_PORT = 546, 547
"""UDP ports (RFC 8415 §7.2)."""
MAX_OPTIONS = 64
"""Options in one place that are read."""
LONGEST_DUID = 130
"""Octets (RFC 8415 §11.1)."""
FOREVER = 0xFFFFFFFF
"""A lifetime that does not end (RFC 8415 §7.7), in seconds."""


class Kind(IntEnum):
    """Types of messages (RFC 8415 §7.3)."""

    SOLICIT = 1
    ADVERTISE = 2
    REQUEST = 3
    CONFIRM = 4
    RENEW = 5
    REBIND = 6
    REPLY = 7
    RELEASE = 8
    DECLINE = 9
    RECONFIGURE = 10
    INFORMATION_REQUEST = 11


class Code(IntEnum):
    """Status codes (RFC 8415 §21.13)."""

    SUCCESS = 0
    UNSPECIFIED = 1
    NO_ADDRESSES = 2
    NO_BINDING = 3
    NOT_ON_LINK = 4
    USE_MULTICAST = 5
    NO_PREFIXES = 6


CLIENT, SERVER, ASSOCIATION, ADDRESS, WANTED, PREFERENCE, ELAPSED = 1, 2, 3, 5, 6, 7, 8
TEMPORARY, DELEGATION = 4, 25
STATUS, RAPID, DNS_SERVERS, DOMAIN_LIST, SNTP, REFRESH, NTP = 13, 14, 23, 24, 31, 32, 56
"""Types of options: RFC 8415 §21, RFC 3646, RFC 4075, RFC 5908."""
_HEADS = {TEMPORARY: 4, DELEGATION: 12}
"""Octets before the options of associations that are for something else than addresses to keep."""
_NTP_ADDRESS = 1
_ASSOCIATION = Struct("!III")
_ADDRESS = Struct("!16sII")


@dataclass(frozen=True, slots=True)
class Status:
    """How something went."""

    code: int
    message: str = ""


@dataclass(frozen=True, slots=True)
class Lease:
    """An address, for some seconds (RFC 8415 §21.6)."""

    address: IPv6Address
    preferred: int = 0
    valid: int = 0
    status: Status | None = None


@dataclass(frozen=True, slots=True)
class Association:
    """Addresses of one interface: IA_NA (RFC 8415 §21.4)."""

    number: int
    """The client's (IAID)."""
    renew: int = 0
    """Seconds until it should ask the same server (T1); 0 leaves it to the client."""
    rebind: int = 0
    """Seconds until it should ask any (T2)."""
    leases: tuple[Lease, ...] = ()
    status: Status | None = None


@dataclass(frozen=True, slots=True)
class Wish:
    """An association for what is given to nobody here: IA_TA, IA_PD (RFC 8415 §21.5, §21.21)."""

    kind: int
    """`TEMPORARY` or `DELEGATION`."""
    number: int
    """The client's (IAID)."""
    status: Status | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """One message, from a client or a server."""

    kind: int
    transaction: int
    """24 bits."""
    client: bytes | None = None
    """DUID."""
    server: bytes | None = None
    """DUID."""
    associations: tuple[Association, ...] = ()
    wishes: tuple[Wish, ...] = ()
    wanted: tuple[int, ...] = ()
    """Types of options asked for (ORO)."""
    preference: int | None = None
    elapsed: int | None = None
    """Hundredths of seconds that the client tries."""
    status: Status | None = None
    rapid: bool = False
    """Whether two messages are to do (RFC 8415 §21.14)."""
    dns: tuple[IPv6Address, ...] = ()
    domains: tuple[str, ...] = ()
    sntp: tuple[IPv6Address, ...] = ()
    ntp: tuple[IPv6Address, ...] = ()
    refresh: int | None = None
    """Seconds until a client without addresses should ask again (RFC 8415 §21.23)."""


_Found = dict[int, list[bytes]]


def _options(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    for _ in range(MAX_OPTIONS):
        if at == len(data):
            return
        need(len(data) - at >= 4, "truncated DHCPv6 option", at)
        kind, size = TLV.unpack_from(data, at)
        need(at + 4 + size <= len(data), "DHCPv6 option length", at)
        yield kind, data[at + 4 : at + 4 + size]
        at += 4 + size
    need(at == len(data), "too many DHCPv6 options", at)


def _found(data: bytes) -> _Found:
    found: _Found = {}
    for kind, value in _options(data):
        found.setdefault(kind, []).append(value)
    return found


def decode(data: bytes) -> Message:
    """Read a message between a client and a server: what UDP carries.

    Raises:
        DecodeError: a relay's message or one of no known type, or a length lies.
    """
    need(len(data) >= 4, "truncated DHCPv6 message")
    need(1 <= data[0] <= 11, "no message of a client or server")
    found = _found(data[4:])
    servers = [address for value in found.get(NTP, ()) for address in _ntp(value)]
    return Message(
        kind=data[0],
        transaction=int.from_bytes(data[1:4], "big"),
        client=_duid(found, CLIENT),
        server=_duid(found, SERVER),
        associations=tuple(_association(value) for value in found.get(ASSOCIATION, ())),
        wishes=tuple(_wish(kind, value) for kind in _HEADS for value in found.get(kind, ())),
        wanted=_codes(found),
        preference=_number(found, PREFERENCE, 1),
        elapsed=_number(found, ELAPSED, 2),
        status=_status(found),
        rapid=RAPID in found,
        dns=_addresses(found, DNS_SERVERS),
        domains=tuple(name for value in found.get(DOMAIN_LIST, ()) for name in read_labels(value)),
        sntp=_addresses(found, SNTP),
        ntp=tuple(servers),
        refresh=_number(found, REFRESH, 4),
    )


def _duid(found: _Found, kind: int) -> bytes | None:
    values = found.get(kind)
    if values is None:
        return None
    need(len(values) == 1 and 3 <= len(values[0]) <= LONGEST_DUID, "DUID length")
    return values[0]


def _codes(found: _Found) -> tuple[int, ...]:
    values = b"".join(found.get(WANTED, ()))
    need(len(values) % 2 == 0, "option request length")
    return tuple(U16.unpack_from(values, at)[0] for at in range(0, len(values), 2))


def _number(found: _Found, kind: int, octets: int) -> int | None:
    if kind not in found:
        return None
    value = found[kind][0]
    need(len(value) == octets, f"length of DHCPv6 option {kind}")
    return int.from_bytes(value, "big")


def _addresses(found: _Found, kind: int) -> tuple[IPv6Address, ...]:
    value = b"".join(found.get(kind, ()))
    need(len(value) % 16 == 0, f"length of DHCPv6 option {kind}")
    return tuple(IPv6Address(value[at : at + 16]) for at in range(0, len(value), 16))


def _ntp(value: bytes) -> Iterator[IPv6Address]:
    """Addresses of servers; groups and names are left alone (RFC 5908 §4)."""
    for kind, inside in _options(value):
        if kind == _NTP_ADDRESS:
            need(len(inside) == 16, "NTP server address length")
            yield IPv6Address(inside)


def _status(found: _Found) -> Status | None:
    if STATUS not in found:
        return None
    value = found[STATUS][0]
    need(len(value) >= 2, "status length")
    return Status(U16.unpack_from(value)[0], value[2:].decode("utf-8", "replace"))


def _association(value: bytes) -> Association:
    need(len(value) >= _ASSOCIATION.size, "association length")
    inside = _found(value[_ASSOCIATION.size :])
    leases = tuple(_lease(one) for one in inside.get(ADDRESS, ()))
    number, renew, rebind = _ASSOCIATION.unpack_from(value)
    return Association(number, renew, rebind, leases, _status(inside))


def _wish(kind: int, value: bytes) -> Wish:
    head = _HEADS[kind]
    need(len(value) >= head, "association length")
    return Wish(kind, int.from_bytes(value[:4], "big"), _status(_found(value[head:])))


def _lease(value: bytes) -> Lease:
    need(len(value) >= _ADDRESS.size, "address length")
    packed, preferred, valid = _ADDRESS.unpack_from(value)
    return Lease(IPv6Address(packed), preferred, valid, _status(_found(value[_ADDRESS.size :])))


def encode(said: Message) -> bytes:
    """The message.

    Raises:
        ValueError: something in it is too long or too large for its place.
    """
    parts = [bytes((said.kind,)), said.transaction.to_bytes(3, "big")]
    if said.client is not None:
        parts.append(_option(CLIENT, said.client))
    if said.server is not None:
        parts.append(_option(SERVER, said.server))
    parts += [_written_association(one) for one in said.associations]
    parts += [_written_wish(one) for one in said.wishes]
    if said.wanted:
        parts.append(_option(WANTED, b"".join(U16.pack(kind) for kind in said.wanted)))
    for kind, number, octets in (
        (PREFERENCE, said.preference, 1),
        (ELAPSED, said.elapsed, 2),
        (REFRESH, said.refresh, 4),
    ):
        if number is not None:
            parts.append(_option(kind, number.to_bytes(octets, "big")))
    parts.append(_written_status(said.status))
    if said.rapid:
        parts.append(_option(RAPID, b""))
    for kind, addresses in ((DNS_SERVERS, said.dns), (SNTP, said.sntp)):
        if addresses:
            parts.append(_option(kind, b"".join(address.packed for address in addresses)))
    if said.domains:
        parts.append(_option(DOMAIN_LIST, written_labels(said.domains)))
    parts += [_option(NTP, _option(_NTP_ADDRESS, address.packed)) for address in said.ntp]
    return b"".join(parts)


def _option(kind: int, value: bytes) -> bytes:
    if len(value) > 0xFFFF:
        raise ValueError(f"DHCPv6 option {kind} of {len(value)} octets")
    return TLV.pack(kind, len(value)) + value


def _written_status(status: Status | None) -> bytes:
    if status is None:
        return b""
    return _option(STATUS, U16.pack(status.code) + status.message.encode())


def _written_association(one: Association) -> bytes:
    leases = b"".join(_written_lease(lease) for lease in one.leases)
    head = _ASSOCIATION.pack(one.number, one.renew, one.rebind)
    return _option(ASSOCIATION, head + leases + _written_status(one.status))


def _written_wish(one: Wish) -> bytes:
    head = one.number.to_bytes(4, "big").ljust(_HEADS[one.kind], b"\0")
    return _option(one.kind, head + _written_status(one.status))


def _written_lease(one: Lease) -> bytes:
    head = _ADDRESS.pack(one.address.packed, one.preferred, one.valid)
    return _option(ADDRESS, head + _written_status(one.status))
