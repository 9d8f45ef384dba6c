# SPDX-License-Identifier: Apache-2.0
"""A small total decoder of DNS answers (RFC 1035 §4): which names stand for which addresses.

Anybody may be asked by an endpoint and answer anything, so every walk is bounded: records by
`MAX_RECORDS`, pointers by `MAX_JUMPS` and by leading back only, aliases by the records there are.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address
from struct import Struct
from typing import NamedTuple

from vneter_sdn.errors import DecodeError
from vneter_sdn.model.fields import PROTO_TCP, PROTO_UDP
from vneter_sdn.southbound.openflow import punt
from vneter_sdn.southbound.openflow.wire import U16, need

MAX_RECORDS = 64
"""Records of an answer that are read; further ones are left alone."""
MAX_JUMPS = 16
"""Pointers that one name may follow."""
_HEADER = Struct("!HHHHHH")
_RECORD = Struct("!HHIH")
_RESPONSE, _OPCODE, _RCODE, _TRUNCATED = 0x8000, 0x7800, 0x000F, 0x0200
_IN, _A, _CNAME, _AAAA = 1, 1, 5, 28
_LONGEST = 253
_LETTERS = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789-_")
Resolved = Mapping[str, Mapping[str, int]]
"""By name in lower case, without the last dot: addresses, and for how many seconds."""


class _Record(NamedTuple):
    owner: str
    seconds: int
    address: str
    alias: str


def resolved(message: bytes) -> Resolved:
    """What an answer says of the name it was asked for, and of the names that one is an alias of.

    Nothing for questions, refusals, and answers about other names.

    Raises:
        DecodeError: a length or pointer lies, or a name has characters that no host's name has.
    """
    need(len(message) >= _HEADER.size, "truncated DNS header")
    _, flags, questions, answers, *_ = _HEADER.unpack_from(message)
    if not flags & _RESPONSE or flags & (_OPCODE | _RCODE | _TRUNCATED) or questions != 1:
        return {}
    asked, at = _name(message, _HEADER.size)
    need(len(message) - at >= 4, "truncated DNS question", at)
    records: list[_Record] = []
    at += 4
    for _ in range(min(answers, MAX_RECORDS)):
        record, at = _record(message, at)
        if record is not None:
            records.append(record)
    return _followed(asked, records)


def _name(message: bytes, at: int) -> tuple[str, int]:
    """A name in lower case, and the offset of what follows it."""
    labels: list[str] = []
    after, length = 0, 0
    for _ in range(MAX_JUMPS + 1):
        start = at
        while True:
            need(at < len(message), "truncated DNS name", at)
            size = message[at]
            if size & 0xC0 or not size:
                break
            label = message[at + 1 : at + 1 + size].lower()
            length += size + 1
            need(len(label) == size and length <= _LONGEST + 1, "DNS name too long", at)
            need(_LETTERS.issuperset(label), "DNS name of other characters", at)
            labels.append(label.decode("ascii"))
            at += 1 + size
        if not size:
            return ".".join(labels), after or at + 1
        need(size & 0xC0 == 0xC0 and at + 2 <= len(message), "DNS label of no known kind", at)
        after = after or at + 2
        target = U16.unpack_from(message, at)[0] & 0x3FFF
        need(target < start, "DNS pointer that does not lead back", at)
        at = target
    raise DecodeError("DNS name of too many pointers", at)


def _record(message: bytes, at: int) -> tuple[_Record | None, int]:
    """A record, None when it is of no kind that is wanted, and the offset of the next one."""
    owner, at = _name(message, at)
    need(len(message) - at >= _RECORD.size, "truncated DNS record", at)
    kind, family, seconds, size = _RECORD.unpack_from(message, at)
    at += _RECORD.size
    need(len(message) - at >= size, "DNS record length", at)
    data, after = message[at : at + size], at + size
    if family != _IN or seconds >> 31:
        return None, after
    if kind == _A and size == 4:
        return _Record(owner, seconds, str(IPv4Address(data)), ""), after
    if kind == _AAAA and size == 16:
        return _Record(owner, seconds, str(IPv6Address(data)), ""), after
    if kind == _CNAME:
        alias, end = _name(message, at)
        need(end == after, "DNS alias length", at)
        return _Record(owner, seconds, "", alias), after
    return None, after


def _followed(asked: str, records: list[_Record]) -> Resolved:
    """The addresses of the name asked for; every name on the way has those of its end."""
    way: dict[str, int] = {asked: 1 << 31}
    current = asked
    for _ in range(len(records)):
        alias = next((r for r in records if r.owner == current and r.alias), None)
        if alias is None or alias.alias in way:
            break
        way[alias.alias] = min(way[current], alias.seconds)
        current = alias.alias
    ends = {r.address: min(r.seconds, way[current]) for r in records if r.owner == current}
    ends.pop("", None)
    return {name: dict(ends) for name in way} if ends else {}


def message_of(frame: bytes) -> bytes | None:
    """The DNS message of a frame over UDP, or over TCP where one segment holds all of it.

    Raises:
        DecodeError: a header lies.
    """
    packet = punt.decode(frame).network
    if not isinstance(packet, punt.Ip) or packet.fragment:
        return None
    at, end = packet.payload, packet.end
    if packet.protocol == PROTO_UDP:
        need(end - at >= 8, "truncated UDP", at)
        return frame[at + 8 : end]
    if packet.protocol != PROTO_TCP:
        return None
    need(end - at >= 20, "truncated TCP", at)
    data = frame[at + (frame[at + 12] >> 4) * 4 : end]
    if len(data) < 2 or len(data) - 2 < U16.unpack_from(data)[0]:
        return None
    return data[2 : 2 + U16.unpack_from(data)[0]]
