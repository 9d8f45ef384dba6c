# SPDX-License-Identifier: Apache-2.0
"""Whole messages of DNS (RFC 1035 §4), for who answers questions; with EDNS (RFC 6891).

Decoders take any bytes: at most one question (RFC 9619) and `MAX_RECORDS` records; pointers lead
back, and are at most `MAX_JUMPS` in one name. Labels are bytes, in the case that they came in:
who asks may want them back that way. Names in what records hold are not looked into.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from struct import Struct

from vneter_sdn.errors import DecodeError
from vneter_sdn.southbound.openflow.wire import U16, need

MAX_RECORDS, MAX_JUMPS = 64, 16
LONGEST_NAME, LONGEST_LABEL = 255, 63
"""Octets of a name on the wire, and of one label."""
SHORTEST_LIMIT = 512
"""Octets of an answer that everybody takes (RFC 1035 §2.3.4)."""
IN, ANY_FAMILY = 1, 255
_HEADER, _QUESTION, _RECORD = Struct("!HHHHHH"), Struct("!HH"), Struct("!HHIH")
_POINTER, _LABEL = 0xC0, 0xC0
_FIRST = 12
"""Where the question's name is."""
Name = tuple[bytes, ...]
"""Labels, without the empty one of the root."""


class Kind(IntEnum):
    """Types of records (RFC 1035 §3.2.2, RFC 3596, RFC 6891, RFC 8482)."""

    A = 1
    NS = 2
    CNAME = 5
    SOA = 6
    PTR = 12
    AAAA = 28
    OPT = 41
    ANY = 255


class Result(IntEnum):
    """How it went (RFC 1035 §4.1.1; 16: RFC 6891 §6.1.3)."""

    FINE = 0
    MALFORMED = 1
    FAILED = 2
    NO_SUCH_NAME = 3
    NOT_IMPLEMENTED = 4
    REFUSED = 5
    BAD_VERSION = 16


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked for."""

    name: Name
    kind: int
    family: int = IN


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of a name."""

    name: Name
    kind: int
    data: bytes
    seconds: int = 0
    """32 bits, for `Kind.OPT` flags of EDNS."""
    family: int = IN
    """16 bits, for `Kind.OPT` the octets that the sender takes."""


@dataclass(frozen=True, slots=True)
class Message:
    """A question, or an answer."""

    number: int
    """16 bits."""
    answer: bool = False
    operation: int = 0
    authoritative: bool = False
    truncated: bool = False
    wanted: bool = False
    """Whether somebody else may be asked (RD)."""
    offered: bool = False
    """Whether somebody else would be (RA)."""
    unchecked: bool = False
    """CD; AD is not read (RFC 4035 §3.2)."""
    result: int = 0
    """4 bits; the others are in `Kind.OPT`."""
    question: Question | None = None
    answers: tuple[Record, ...] = ()
    authorities: tuple[Record, ...] = ()
    others: tuple[Record, ...] = ()

    @property
    def edns(self) -> Record | None:
        """The record that EDNS is told with."""
        return next((one for one in self.others if one.kind == Kind.OPT), None)

    @property
    def limit(self) -> int:
        """Octets of an answer that who asks takes."""
        edns = self.edns
        return SHORTEST_LIMIT if edns is None else max(SHORTEST_LIMIT, edns.family)


_FLAGS = (
    ("answer", 15),
    ("authoritative", 10),
    ("truncated", 9),
    ("wanted", 8),
    ("offered", 7),
    ("unchecked", 4),
)


def decode(message: bytes) -> Message:
    """Read a message.

    Raises:
        DecodeError: a length or pointer lies, there are several questions, or too many records.
    """
    need(len(message) >= _HEADER.size, "truncated DNS header")
    number, flags, questions, *counts = _HEADER.unpack_from(message)
    need(questions <= 1, "several DNS questions", 4)
    need(sum(counts) <= MAX_RECORDS, "too many DNS records", 6)
    at, question = _FIRST, None
    if questions:
        question, at = _question(message, at)
    sections: list[tuple[Record, ...]] = []
    for count in counts:
        found: list[Record] = []
        for _ in range(count):
            record, at = _record(message, at)
            found.append(record)
        sections.append(tuple(found))
    need(sum(one.kind == Kind.OPT for one in sections[2]) <= 1, "several records of EDNS")
    said = {name: bool(flags >> bit & 1) for name, bit in _FLAGS}
    operation, result = flags >> 11 & 0xF, flags & 0xF
    named = dict(zip(("answers", "authorities", "others"), sections, strict=True))
    return Message(number, operation=operation, result=result, question=question, **said, **named)  # type: ignore[arg-type]


def _question(message: bytes, at: int) -> tuple[Question, int]:
    name, at = read_name(message, at)
    need(len(message) - at >= _QUESTION.size, "truncated DNS question", at)
    kind, family = _QUESTION.unpack_from(message, at)
    return Question(name, kind, family), at + _QUESTION.size


def _record(message: bytes, at: int) -> tuple[Record, int]:
    name, at = read_name(message, at)
    need(len(message) - at >= _RECORD.size, "truncated DNS record", at)
    kind, family, seconds, size = _RECORD.unpack_from(message, at)
    at += _RECORD.size
    need(len(message) - at >= size, "DNS record length", at)
    return Record(name, kind, message[at : at + size], seconds, family), at + size


def read_name(message: bytes, at: int) -> tuple[Name, int]:
    """A name, and the offset of what follows it.

    Raises:
        DecodeError: it is cut off, too long, or its pointers do not lead back.
    """
    labels: list[bytes] = []
    after, length = 0, 1
    for _ in range(MAX_JUMPS + 1):
        start = at
        while True:
            need(at < len(message), "truncated DNS name", at)
            size = message[at]
            if size & _LABEL or not size:
                break
            label = message[at + 1 : at + 1 + size]
            length += size + 1
            need(len(label) == size and length <= LONGEST_NAME, "DNS name too long", at)
            labels.append(label)
            at += 1 + size
        if not size:
            return tuple(labels), after or at + 1
        need(size & _LABEL == _POINTER and at + 2 <= len(message), "DNS label of no kind", at)
        after = after or at + 2
        target = U16.unpack_from(message, at)[0] & 0x3FFF
        need(target < start, "DNS pointer that does not lead back", at)
        at = target
    raise DecodeError("DNS name of too many pointers", at)


def encode(said: Message) -> bytes:
    """The message. Names that are the question's are pointers to it; no others are shortened.

    Raises:
        ValueError: a name, or something in a record, is too long.
    """
    flags = said.operation << 11 | said.result
    for name, bit in _FLAGS:
        flags |= getattr(said, name) << bit
    sections = (said.answers, said.authorities, said.others)
    counts = (int(said.question is not None), *map(len, sections))
    parts = [_HEADER.pack(said.number, flags, *counts)]
    asked = said.question
    if asked is not None:
        parts += [written_name(asked.name), _QUESTION.pack(asked.kind, asked.family)]
    for record in (one for section in sections for one in section):
        same = asked is not None and asked.name and record.name == asked.name
        owner = U16.pack(_POINTER << 8 | _FIRST) if same else written_name(record.name)
        fields = (record.kind, record.family, record.seconds, len(record.data))
        parts += [owner, _RECORD.pack(*fields), record.data]
    return b"".join(parts)


def written_name(name: Name) -> bytes:
    """A name on the wire.

    Raises:
        ValueError: it, or one of its labels, is too long, or a label is empty.
    """
    if any(not 0 < len(label) <= LONGEST_LABEL for label in name):
        raise ValueError(f"a label of DNS in {name!r}")
    written = b"".join(bytes((len(label),)) + label for label in name) + b"\0"
    if len(written) > LONGEST_NAME:
        raise ValueError(f"a name of {len(written)} octets")
    return written


def name_of(text: str) -> Name:
    """``www.example.com``, without a dot at its end, as labels."""
    return tuple(label.encode("ascii") for label in text.split(".")) if text else ()


def lowered(name: Iterable[bytes]) -> Name:
    """A name in lower case, to be compared (RFC 4343)."""
    return tuple(label.lower() for label in name)
