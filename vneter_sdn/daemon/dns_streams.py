# SPDX-License-Identifier: Apache-2.0
"""Answers questions of DNS that endpoints ask by TCP: the connections of `edge.streams`, in time.

Segments come as questions by UDP do, and by the same meter. A green thread looks after connections
while there are any.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from functools import partial

import eventlet

from vneter_sdn.daemon.edge import Send
from vneter_sdn.edge.ledger import Asker
from vneter_sdn.edge.streams import Ends, Streams
from vneter_sdn.errors import DecodeError
from vneter_sdn.model.addresses import IPAddress
from vneter_sdn.model.snapshot import Key
from vneter_sdn.southbound.openflow import segment

LOOK = 0.5
"""Seconds between two looks at what is to be sent again."""
_ANSWER = 0x80
"""Of the third octet of a message."""
Hold = Callable[[Key, str, bytes, Callable[[], None]], None]
Answer = Callable[[Asker, bytes, Send], str]


def serves(asker: Asker, target: IPAddress) -> bool:
    """Whether somebody answers DNS at an address."""
    options = asker.spec.dns
    return options is not None and options.enabled and target in asker.gateways


class ByTcp:
    """Questions by TCP, for one process.

    Args:
        answer: answers one question, at once or later; what became of it so far.
        hold: takes what endpoints are answered, and lets it go once rules know it.
        now: seconds, of a clock that only goes forward.
    """

    def __init__(
        self, answer: Answer, hold: Hold, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._answer, self._hold, self._now = answer, hold, now
        self._streams = Streams(partial(secrets.randbits, 32))
        self._ways: dict[Ends, Send] = {}
        self._looking = False

    def __call__(self, asker: Asker, frame: bytes, send: Send) -> str:
        """Take one segment; what became of it, or of the last question that it completes."""
        said = segment.read(frame)
        if not serves(asker, said.target):
            return "ignored"
        ends = Ends(asker.key, said.source, said.source_port, said.target)
        heard = self._streams.heard(ends, said, self._now())
        self._ways[ends] = send
        became = "segment"
        self._send(ends, heard.frames)
        for question in heard.questions:
            became = self._asked(asker, ends, question)
        self._look_later()
        return became

    def _asked(self, asker: Asker, ends: Ends, question: bytes) -> str:
        if question[2] & _ANSWER:
            self._send(ends, self._streams.dropped(ends))
            return "ignored"
        try:
            return self._answer(asker, question, partial(self._reply, asker, ends))
        except DecodeError:
            return "malformed"  # it was told so

    def _reply(self, asker: Asker, ends: Ends, message: bytes) -> None:
        """An answer, once the rules that are about it know it."""
        self._hold(asker.key, asker.host, message, partial(self._said, ends, message))

    def _said(self, ends: Ends, message: bytes) -> None:
        self._send(ends, self._streams.said(ends, message, self._now()))

    def _send(self, ends: Ends, frames: tuple[bytes, ...]) -> None:
        send = self._ways[ends] if frames else None
        for frame in frames:
            if send is not None:
                send(frame)
        if ends not in self._streams:
            self._ways.pop(ends, None)

    def _look_later(self) -> None:
        if len(self._streams) and not self._looking:
            self._looking = True
            eventlet.spawn_after(LOOK, self._look)

    def _look(self) -> None:
        self._looking = False
        for ends, frames in self._streams.due(self._now()):
            self._send(ends, frames)
        self._look_later()
