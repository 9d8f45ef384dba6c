# SPDX-License-Identifier: Apache-2.0
"""TCP to a gateway, as far as DNS needs it (RFC 9293, RFC 7766): frames in, questions out.

Whoever is told that an answer was cut short asks again by TCP. There is no host behind a gateway,
so the segments come here: connections are opened by the other side only, what comes out of order is
asked for again, what is not acknowledged is sent again, and a window is never scaled. All of it is
bounded: connections of one endpoint and in all, octets of a question, and the time in which nothing
is heard. Messages have two octets with their length before them (RFC 1035 §4.2.2).

Pure but for the numbers that connections begin with; times are the caller's, in seconds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from vneter_sdn.model.addresses import IPAddress
from vneter_sdn.model.snapshot import Key
from vneter_sdn.southbound.openflow.segment import (
    ACK,
    FIN,
    LEAST_MSS,
    PSH,
    RST,
    SYN,
    WORD,
    Segment,
    written,
)
from vneter_sdn.southbound.openflow.wire import U16

MOST, MOST_OF_TENANT, MOST_OF_ONE = 1024, 128, 8
"""Connections that are open at most, and those of them of one tenant, and of one endpoint."""
LONGEST = 4096
"""Octets of a question; also the window."""
AT_ONCE = 32_768
"""Octets that are under way at most."""
PENDING, QUESTIONS = 1 << 17, 16
"""Octets that wait for a client, and questions that one waits for, on one connection."""
IDLE = 15.0
"""Seconds after which a connection of which nothing is heard is closed."""
AGAIN, TRIES = 1.0, 5
"""Seconds until something is sent again, and how often it is."""
_SHORTEST, _HALF = 12, 1 << 31


class Ends(NamedTuple):
    """Whose connection, from where to where."""

    whose: Key
    source: IPAddress
    port: int
    target: IPAddress


class Heard(NamedTuple):
    """What follows from a segment: frames to send back, and questions to answer."""

    frames: tuple[bytes, ...] = ()
    questions: tuple[bytes, ...] = ()


@dataclass(slots=True)
class _Connection:
    first: Segment
    """What opened it."""
    wanted: int
    """The octet that comes next."""
    unheard: int
    """Our first octet that is not acknowledged."""
    heard: float
    moved: float
    """When something was sent or acknowledged last."""
    window: int
    mss: int
    open: bool = False
    asked: bytearray = field(default_factory=bytearray)
    out: bytearray = field(default_factory=bytearray)
    """From `unheard` on."""
    sent: int = 0
    """Octets of `out` that are under way."""
    waiting: int = 0
    """Questions that are not answered yet."""
    ended: bool = False
    """Whether the client says no more."""
    closing: bool = False
    """Whether our end is under way."""
    over: bool = False
    """Whether that came over, too."""
    tries: int = 0


class Streams:
    """Connections to gateways.

    Args:
        begin: a number that cannot be guessed, 32 bits (RFC 6528).
    """

    def __init__(self, begin: Callable[[], int]) -> None:
        self._begin = begin
        self._open: dict[Ends, _Connection] = {}
        self._of: Counter[Key | str] = Counter()
        """How many, by endpoint and by tenant."""

    def __len__(self) -> int:
        return len(self._open)

    def __contains__(self, ends: Ends) -> bool:
        return ends in self._open

    def heard(self, ends: Ends, said: Segment, now: float) -> Heard:
        """A client says something."""
        known = self._open.get(ends)
        if said.flags & RST:
            if known is not None and said.sequence == known.wanted:
                self._forget(ends)
            return Heard()
        if said.flags & SYN:
            return self._greeted(ends, known, said, now)
        if known is None:
            return Heard((_reset(said),))
        if not said.flags & ACK:
            return Heard()
        known.heard = now
        if not _acknowledged(known, said, now):
            return Heard()
        if known.over:
            self._forget(ends)
            return Heard()
        return self._read(ends, known, said, now)

    def _greeted(self, ends: Ends, known: _Connection | None, said: Segment, now: float) -> Heard:
        if said.flags & (ACK | FIN):
            return Heard() if known else Heard((_reset(said),))
        if known is not None:
            if not known.open and (said.sequence + 1) % WORD == known.wanted:
                return Heard((_greeting(known),))
            self._forget(ends)
        if not self._may(ends.whose):
            return Heard((_reset(said),))
        least = LEAST_MSS[said.source.version]
        mss = min(max(said.mss or least, 256), LEAST_MSS[6])
        wanted = (said.sequence + 1) % WORD
        made = _Connection(said, wanted, self._begin() % WORD, now, now, said.window, mss)
        self._open[ends] = made
        self._of.update((ends.whose, ends.whose.tenant))
        return Heard((_greeting(made),))

    def _read(self, ends: Ends, known: _Connection, said: Segment, now: float) -> Heard:
        skipped = (known.wanted - said.sequence) % WORD
        if skipped and skipped >= said.octets:
            return Heard((_bare(known),))  # nothing new, or a hole before it
        if said.octets and not known.ended:
            known.asked += said.payload[skipped:]
            known.wanted = (said.sequence + said.octets) % WORD
            known.ended |= bool(said.flags & FIN)
        questions = tuple(_questions(known.asked))
        known.waiting += len(questions)
        if _is_nonsense(known):
            self._forget(ends)
            return Heard((_reset(said),))
        frames = tuple(_pushed(known, now))
        if said.octets and not frames:
            frames = (_bare(known),)
        return Heard(frames, questions)

    def said(self, ends: Ends, message: bytes, now: float) -> tuple[bytes, ...]:
        """Frames that an answer goes in; none when who asked is gone."""
        known = self._open.get(ends)
        if known is None:
            return ()
        known.waiting = max(0, known.waiting - 1)
        if len(known.out) + len(message) > PENDING:
            return self.dropped(ends)
        known.out += U16.pack(len(message)) + message
        return tuple(_pushed(known, now))

    def dropped(self, ends: Ends) -> tuple[bytes, ...]:
        """What is said to a client that is not spoken with any more."""
        known = self._open.get(ends)
        if known is None:
            return ()
        self._forget(ends)
        at = (known.unheard + known.sent) % WORD
        return (written(_segment(known, at, RST | ACK)),)

    def due(self, now: float) -> Iterator[tuple[Ends, tuple[bytes, ...]]]:
        """What is to be sent again or closed by now. O(connections)."""
        for ends, known in list(self._open.items()):
            pending = known.out or known.closing or not known.open
            if now - known.heard >= IDLE or known.tries >= TRIES:
                yield ends, self.dropped(ends)
            elif pending and now - known.moved >= AGAIN * 2**known.tries:
                known.tries += 1
                yield ends, tuple(_again(known, now))

    def _may(self, whose: Key) -> bool:
        """Whether somebody may have one more."""
        of_tenant, own = self._of[whose.tenant], self._of[whose]
        return len(self._open) < MOST and of_tenant < MOST_OF_TENANT and own < MOST_OF_ONE

    def _forget(self, ends: Ends) -> None:
        del self._open[ends]
        for one in (ends.whose, ends.whose.tenant):
            self._of[one] -= 1
            if not self._of[one]:
                del self._of[one]


def _questions(asked: bytearray) -> Iterator[bytes]:
    """Messages that came whole, which are taken away."""
    while len(asked) >= 2:
        size = U16.unpack_from(asked)[0]
        if size < _SHORTEST or len(asked) < 2 + size:
            return
        yield bytes(asked[2 : 2 + size])
        del asked[: 2 + size]


def _is_nonsense(known: _Connection) -> bool:
    """Whether a client sends what no question can be made of, or asks and never listens."""
    size = U16.unpack_from(known.asked)[0] if len(known.asked) >= 2 else _SHORTEST
    return not _SHORTEST <= size <= LONGEST - 2 or known.waiting > QUESTIONS


def _acknowledged(known: _Connection, said: Segment, now: float) -> bool:
    """Takes note of what came over; false when it acknowledges what was never sent."""
    news = (said.acknowledged - known.unheard) % WORD
    if not known.open:
        if news != 1:
            return False
        known.open, known.unheard, news = True, said.acknowledged, 0
        known.tries = 0
    if news > len(known.out) + known.closing:
        return news >= _HALF  # an old one
    if news:
        known.over = known.closing and news == len(known.out) + 1
        gone = min(news, len(known.out))
        del known.out[:gone]
        known.sent = max(0, known.sent - gone)
        known.unheard = (known.unheard + gone) % WORD
        known.tries, known.moved = 0, now
    known.window = said.window
    return True


def _pushed(known: _Connection, now: float) -> Iterator[bytes]:
    """As much as the client takes now; and our end, once there is nothing more to say."""
    room = min(len(known.out), known.window, AT_ONCE)
    while known.sent < room:
        piece = bytes(known.out[known.sent : min(known.sent + known.mss, room)])
        at = (known.unheard + known.sent) % WORD
        known.sent += len(piece)
        known.moved = now
        yield written(_segment(known, at, ACK | PSH, piece))
    done = known.ended and not known.waiting and known.sent == len(known.out)
    if done and not known.closing:
        known.closing, known.moved = True, now
        yield written(_segment(known, (known.unheard + known.sent) % WORD, ACK | FIN))


def _again(known: _Connection, now: float) -> Iterator[bytes]:
    """What was not acknowledged; where nothing may be sent, one octet that asks whether it may."""
    known.moved = now
    if not known.open:
        yield _greeting(known)
        return
    known.sent, known.closing, known.window = 0, False, max(1, known.window)
    yield from _pushed(known, now)


def _greeting(known: _Connection) -> bytes:
    mss = LEAST_MSS[6]
    return written(_segment(known, known.unheard, SYN | ACK, mss=mss))


def _bare(known: _Connection) -> bytes:
    """What came, and nothing else; also whether our end was said already."""
    at = (known.unheard + known.sent + known.closing) % WORD
    return written(_segment(known, at, ACK))


def _segment(
    known: _Connection, at: int, flags: int, payload: bytes = b"", mss: int | None = None
) -> Segment:
    return _back(known.first, at, known.wanted, flags, payload, mss)


def _back(
    first: Segment,
    at: int,
    wanted: int,
    flags: int,
    payload: bytes = b"",
    mss: int | None = None,
) -> Segment:
    """A segment to whoever sent one."""
    return Segment(
        first.target_mac,
        first.source_mac,
        first.target,
        first.source,
        first.target_port,
        first.source_port,
        at,
        wanted,
        flags,
        LONGEST,
        payload,
        mss,
    )


def _reset(said: Segment) -> bytes:
    """What is said to a segment of no connection (RFC 9293 §3.5.2)."""
    if said.flags & ACK:
        return written(_back(said, said.acknowledged, 0, RST))
    return written(_back(said, 0, (said.sequence + said.octets) % WORD, RST | ACK))
