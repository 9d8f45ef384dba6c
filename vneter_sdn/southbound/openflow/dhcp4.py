# SPDX-License-Identifier: Apache-2.0
"""Messages between DHCP clients and servers for IPv4 (RFC 2131 §2), and their options (RFC 2132).

Decoders take any bytes. Options that are split are put together again (RFC 3396), also those that
went on in the fields for the names of a file and a server (RFC 2132 §9.3); what is in them is not
looked at here, but for a few that have readers of their own. A message is written no longer than
its receiver takes: what does not fit goes to those two fields, what does not fit there is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from ipaddress import IPv4Address, IPv4Network
from struct import Struct

from vneter_sdn.errors import DecodeError
from vneter_sdn.southbound.openflow.wire import need

CLIENT_PORT, SERVER_PORT = 68, 67
"""UDP ports (RFC 2131 §4.1)."""
SHORTEST, LEAST_ACCEPTED = 300, 548
"""Octets: messages are padded to the first, as BOOTP's have at least so many (RFC 1542 §2.1);
everybody takes the second, which with IP and UDP makes 576 (RFC 2131 §2)."""


class Kind(IntEnum):
    """Types of messages (RFC 2132 §9.6)."""

    DISCOVER = 1
    OFFER = 2
    REQUEST = 3
    DECLINE = 4
    ACK = 5
    NAK = 6
    RELEASE = 7
    INFORM = 8


class Code(IntEnum):
    """Options (RFC 2132; 80: RFC 4039; 119: RFC 3397; 121: RFC 3442, which is 249 to some)."""

    MASK = 1
    ROUTERS = 3
    DNS_SERVERS = 6
    HOST_NAME = 12
    DOMAIN = 15
    MTU = 26
    BROADCAST = 28
    NTP_SERVERS = 42
    REQUESTED = 50
    LEASE = 51
    OVERLOAD = 52
    KIND = 53
    SERVER = 54
    WANTED = 55
    MESSAGE = 56
    LONGEST = 57
    RENEWAL = 58
    REBINDING = 59
    CLIENT = 61
    RAPID = 80
    SEARCH = 119
    ROUTES = 121
    MICROSOFT_ROUTES = 249


_HEAD = Struct("!BBBBIHH4s4s4s4s6s10s64s128s4s")
_COOKIE = bytes((99, 130, 83, 99))
_PAD, _END = 0, 255
_REQUEST, _REPLY, _ETHERNET = 1, 2, 1
_BROADCAST = 0x8000
_IN_FILE, _IN_NAME = 1, 2
_FILE, _NAME = 128, 64
_NONE = IPv4Address(0)
Options = Mapping[int, bytes]
"""By code, in their order."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message, from a client or a server."""

    transaction: int
    """32 bits."""
    mac: int
    """The client's."""
    reply: bool = False
    seconds: int = 0
    """Since the client began."""
    broadcast: bool = False
    """Whether the client takes answers only that are for everybody."""
    client: IPv4Address = _NONE
    """The address that it has."""
    yours: IPv4Address = _NONE
    """The address that it gets."""
    relay: IPv4Address = _NONE
    options: Options = field(default_factory=dict)

    @property
    def kind(self) -> int | None:
        """The type of the message; None of BOOTP's."""
        value = self.options.get(Code.KIND, b"")
        return value[0] if len(value) == 1 else None

    def address(self, code: int) -> IPv4Address | None:
        """What an option with one address says.

        Raises:
            DecodeError: it has another length.
        """
        value = self.options.get(code)
        if value is None:
            return None
        need(len(value) == 4, f"length of DHCP option {code}")
        return IPv4Address(value)


def decode(data: bytes) -> Message:
    """Read a message: what UDP carries.

    Raises:
        DecodeError: it is no message of DHCP about Ethernet, or a length lies.
    """
    need(len(data) >= _HEAD.size, "truncated DHCP message")
    op, hardware, size, _, xid, seconds, flags, *rest = _HEAD.unpack_from(data)
    client, yours, _, relay, mac, _, name, file, cookie = rest
    need(op in (_REQUEST, _REPLY), "no request and no reply")
    need((hardware, size) == (_ETHERNET, 6), "DHCP for other than Ethernet", 1)
    need(cookie == _COOKIE, "no options of DHCP", 236)
    return Message(
        transaction=xid,
        mac=int.from_bytes(mac, "big"),
        reply=op == _REPLY,
        seconds=seconds,
        broadcast=bool(flags & _BROADCAST),
        client=IPv4Address(client),
        yours=IPv4Address(yours),
        relay=IPv4Address(relay),
        options=_options(data[_HEAD.size :], file, name),
    )


def _options(data: bytes, file: bytes, name: bytes) -> Options:
    """All options, parts of one put together in the order of RFC 3396 §5."""
    found: dict[int, bytes] = {}
    _gather(data, found)
    overload = found.pop(Code.OVERLOAD, b"\0")
    need(len(overload) == 1 and overload[0] <= (_IN_FILE | _IN_NAME), "overload option")
    for bit, area in ((_IN_FILE, file), (_IN_NAME, name)):
        if overload[0] & bit:
            _gather(area, found)
            need(Code.OVERLOAD not in found, "overload option in a field")
    return found


def _gather(area: bytes, found: dict[int, bytes]) -> None:
    at = 0
    while at < len(area) and area[at] != _END:
        code = area[at]
        at += 1
        if code == _PAD:
            continue
        need(at < len(area), "truncated DHCP option", at)
        size = area[at]
        value = area[at + 1 : at + 1 + size]
        need(len(value) == size, "DHCP option length", at)
        found[code] = found.get(code, b"") + value
        at += 1 + size


def encode(said: Message, longest: int = LEAST_ACCEPTED) -> bytes:
    """The message.

    Args:
        said: what to write; of options that do not fit, the last are left out.
        longest: octets that the receiver takes.

    Raises:
        ValueError: something in it is too large for its place.
    """
    room = max(longest, LEAST_ACCEPTED) - _HEAD.size - 1
    parts = [(code, _parts(code, value)) for code, value in said.options.items()]
    plain = b"".join(part for _, part in parts)
    file, name = b"", b""
    if len(plain) > room:
        plain, file, name = _overloaded([part for _, part in parts], room - 3)
    head = _HEAD.pack(
        _REPLY if said.reply else _REQUEST,
        _ETHERNET,
        6,
        0,
        said.transaction,
        said.seconds,
        _BROADCAST if said.broadcast else 0,
        said.client.packed,
        said.yours.packed,
        bytes(4),
        said.relay.packed,
        said.mac.to_bytes(6, "big"),
        bytes(10),
        name,
        file,
        _COOKIE,
    )
    return (head + plain + bytes((_END,))).ljust(SHORTEST, b"\0")


def _parts(code: int, value: bytes) -> bytes:
    """An option, in several parts when it is long (RFC 3396 §6)."""
    if code in (_PAD, _END, Code.OVERLOAD):
        raise ValueError(f"{code} is no option of its own")
    pieces = [value[at : at + 255] for at in range(0, len(value), 255)] or [b""]
    return b"".join(bytes((code, len(piece))) + piece for piece in pieces)


def _overloaded(parts: Iterable[bytes], room: int) -> tuple[bytes, bytes, bytes]:
    """Options that go where they should, and those in the fields for a file and a name."""
    areas = [(bytearray(), room), (bytearray(), _FILE - 1), (bytearray(), _NAME - 1)]
    for part in parts:
        fitting = next((area for area, most in areas if len(area) + len(part) <= most), None)
        if fitting is not None:
            fitting += part
    plain, file, name = (bytes(area) for area, _ in areas)
    used = (_IN_FILE if file else 0) | (_IN_NAME if name else 0)
    if used:
        plain = bytes((Code.OVERLOAD, 1, used)) + plain
    return plain, file and file + bytes((_END,)), name and name + bytes((_END,))


# ---- values of options


def addresses(listed: Iterable[IPv4Address]) -> bytes:
    """One address after the other."""
    return b"".join(one.packed for one in listed)


def written_routes(routes: Iterable[tuple[IPv4Network, IPv4Address]]) -> bytes:
    """Classless static routes: where to, and by whom (RFC 3442)."""
    return b"".join(
        bytes((prefix.prefixlen,))
        + prefix.network_address.packed[: (prefix.prefixlen + 7) // 8]
        + via.packed
        for prefix, via in routes
    )


def read_routes(data: bytes) -> Iterator[tuple[IPv4Network, IPv4Address]]:
    """Classless static routes.

    Raises:
        DecodeError: a length lies, or a prefix has bits beyond its length.
    """
    at = 0
    while at < len(data):
        length = data[at]
        need(length <= 32, "route prefix length", at)
        octets = (length + 7) // 8
        need(len(data) - at >= 1 + octets + 4, "truncated route", at)
        address = data[at + 1 : at + 1 + octets].ljust(4, b"\0")
        try:
            prefix = IPv4Network((address, length))
        except ValueError as error:
            raise DecodeError("route prefix", at) from error
        at += 1 + octets + 4
        yield prefix, IPv4Address(data[at - 4 : at])
