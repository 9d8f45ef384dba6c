# SPDX-License-Identifier: Apache-2.0
"""Answers DNS for endpoints, and asks servers elsewhere about names that are nobody's here.

::

    question ──► read ──► a name of the tenant's? ── yes ─────────► answer ──► rules know ──► port
                                └─ no ──► upstream, UDP then TCP ─────┘

Each question that is asked elsewhere has a socket of its own, connected to the server (so another
port each time, and nobody else's answers), a number of its own, and has to come back with the same
question (RFC 5452). How many are out is bounded, in all and for each endpoint; nobody is asked for
longer than `PATIENCE`, and nothing is remembered: endpoints and servers have caches of their own.
All of it is in green threads of the core, which wait and do little else. Endpoints ask by UDP, or
by TCP where an answer is too long for that (`dns_streams`).
"""

from __future__ import annotations

import logging
import secrets
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

import eventlet
from eventlet.green import socket

from vneter_sdn.daemon.dns_streams import ByTcp, Hold, serves
from vneter_sdn.daemon.edge import Send
from vneter_sdn.edge import names
from vneter_sdn.edge.ledger import Asker, Ledger
from vneter_sdn.edge.servers import Server, server_of
from vneter_sdn.errors import DecodeError
from vneter_sdn.model.snapshot import Key
from vneter_sdn.southbound.openflow import datagram, segment
from vneter_sdn.southbound.openflow.datagram import Datagram
from vneter_sdn.southbound.openflow.dns_message import Message, Result, encode
from vneter_sdn.southbound.openflow.wire import U16

_log = logging.getLogger(__name__)
PATIENCE = 1.5
"""Seconds that a server has, each time; resolvers of endpoints ask again after 5."""
ROUNDS = 2
"""How often all servers are asked."""
MOST, MOST_OF_TENANT, MOST_OF_ONE = 256, 64, 16
"""Questions that are out at most, and those of them for one tenant, and for one endpoint: servers
that never answer, which tenants may name, cost nobody else's names."""
_LONGEST = 4096
_TRUNCATED = 0x02
"""Of the third octet of a message."""
_PASSES = (Result.FINE, Result.NO_SUCH_NAME)


class _Asking(NamedTuple):
    """A question that somebody waits for."""

    said: Message
    reply: Send
    passed_on: Callable[[bytes], bytes]
    """How somebody else's answer is told."""


class Resolver:
    """Answers, for one process.

    Args:
        ledger: who has which name.
        upstreams: who is asked on behalf of networks that name nobody themselves.
        hold: takes what endpoints are answered, and lets it go once rules know it.
    """

    def __init__(self, ledger: Ledger, upstreams: Iterable[str], hold: Hold) -> None:
        self._ledger, self._hold = ledger, hold
        self._upstreams = tuple(server_of(text) for text in upstreams)
        self._out: Counter[Key] = Counter()
        self._by_tcp = ByTcp(partial(self._answered, by_tcp=True), hold)
        self.counts: Counter[str] = Counter()
        """What became of questions that were asked elsewhere, in a word each."""

    def __call__(self, asker: Asker, frame: bytes, send: Send) -> str:
        """Answer one question, at once or later; what became of it so far."""
        if segment.is_segment(frame):
            return self._by_tcp(asker, frame, send)
        asked = datagram.read(frame)
        if not serves(asker, asked.target):
            return "ignored"
        return self._answered(asker, asked.payload, partial(self._reply, asker, asked, send))

    def _answered(self, asker: Asker, payload: bytes, reply: Send, *, by_tcp: bool = False) -> str:
        try:
            said = names.read_question(payload)
        except DecodeError:
            complaint = names.complaint(payload)
            if complaint is not None:
                reply(complaint)
            raise
        if said is None:
            return "ignored"
        found = names.resolve(self._ledger, asker, said)
        if isinstance(found, Message):
            reply(names.written(found, said, by_tcp=by_tcp))
            return "answered"
        return self._elsewhere(asker, said, reply, by_tcp=by_tcp)

    def _reply(self, asker: Asker, asked: Datagram, send: Send, message: bytes) -> None:
        """An answer, once the rules that are about it know it."""
        answer = Datagram(
            asker.gateway_mac,
            asker.mac,
            asked.target,
            asked.source,
            asked.target_port,
            asked.source_port,
            message,
        )
        self._hold(asker.key, asker.host, message, partial(send, datagram.written(answer)))

    def _elsewhere(self, asker: Asker, said: Message, reply: Send, *, by_tcp: bool) -> str:
        options = asker.spec.dns
        named = options.upstreams if options is not None else ()
        servers = tuple(Server(text) for text in named) or self._upstreams
        if not servers:
            reply(encode(names.answer(said, Result.REFUSED)))
            return "refused"
        if not self._may(asker.key):
            reply(encode(names.answer(said, Result.FAILED)))
            return "too many"
        self._out[asker.key] += 1
        passed_on = partial(names.passed_on, question=said, by_tcp=by_tcp)
        answering = _Asking(said, reply, passed_on)
        eventlet.spawn(self._forward, asker.key, servers, answering)
        return "forwarded"

    def _may(self, whose: Key) -> bool:
        """Whether one more question may be out."""
        of_tenant = sum(n for key, n in self._out.items() if key.tenant == whose.tenant)
        most = self._out.total() < MOST and of_tenant < MOST_OF_TENANT
        return most and self._out[whose] < MOST_OF_ONE

    def _forward(self, whose: Key, servers: tuple[Server, ...], asking: _Asking) -> None:
        try:
            answer = self._asked(servers, asking.said)
            self.counts["failed" if answer is None else "answered"] += 1
            if answer is None:
                asking.reply(encode(names.answer(asking.said, Result.FAILED)))
            else:
                asking.reply(asking.passed_on(answer))
        finally:
            self._out[whose] -= 1
            if not self._out[whose]:
                del self._out[whose]

    def _asked(self, servers: tuple[Server, ...], said: Message) -> bytes | None:
        """What some server answers; None when none does. One that fails is asked last."""
        last = None
        for server in servers * ROUNDS:
            answer = self._by(socket.SOCK_DGRAM, server, said)
            if answer is not None and answer[2] & _TRUNCATED:
                answer = self._by(socket.SOCK_STREAM, server, said) or answer
            if answer is None:
                self.counts["silent"] += 1
            elif answer[3] & 0xF in _PASSES:
                return answer
            else:
                last = answer
        return last

    def _by(self, kind: int, server: Server, said: Message) -> bytes | None:
        """What a server answers to one try."""
        number = secrets.randbelow(1 << 16)
        family = socket.AF_INET6 if ":" in server.address else socket.AF_INET
        try:
            with socket.socket(family, kind) as asking, eventlet.Timeout(PATIENCE, False):
                asking.connect(server)
                exchange = _by_udp if kind == socket.SOCK_DGRAM else _by_tcp
                return exchange(asking, names.forwarded(said, number), said, number)
        except (OSError, ValueError) as failed:
            _log.debug("%s: %s", server.address, failed)
        return None


def _by_udp(asking: Any, sent: bytes, said: Message, number: int) -> bytes:
    """Whatever else comes, as from who guesses, is passed over."""
    asking.send(sent)
    while True:
        data: bytes = asking.recv(_LONGEST)
        if names.is_answer(data, said, number):
            return data


def _by_tcp(asking: Any, sent: bytes, said: Message, number: int) -> bytes | None:
    asking.sendall(U16.pack(len(sent)) + sent)
    size = U16.unpack(_exactly(asking, 2))[0]
    data = _exactly(asking, size)
    return data if names.is_answer(data, said, number) else None


def _exactly(asking: Any, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = asking.recv(size - len(data))
        if not part:
            raise ConnectionError("the server hung up")
        data += part
    return data
