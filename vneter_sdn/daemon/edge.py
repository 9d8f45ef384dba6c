# SPDX-License-Identifier: Apache-2.0
"""Has what endpoints ask the edge of their network answered, by one responder for each service.

A responder is given who asks, as the store knows them, and the frame; it says in a word what became
of it, and sends its answers, at once or later, to the port that the question came by and to no
other. Each endpoint's questions are limited on its bridge; all of a service together here, so that
many endpoints that ask at once cost answers of that service, and neither others nor control.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial

from vneter_sdn.edge.fairness import Allowance
from vneter_sdn.edge.ledger import Asker, Ledger
from vneter_sdn.errors import DecodeError
from vneter_sdn.model.flow import Output
from vneter_sdn.pipeline.punts import Asked, Service
from vneter_sdn.southbound.openflow.bridges import Bridges

Send = Callable[[bytes], None]
Responder = Callable[[Asker, bytes, Send], str]
Pure = Callable[[Asker, bytes], bytes | None]
Telling = Callable[[Asker, bytes], tuple[str, bytes | None]]


def telling(pure: Telling) -> Responder:
    """A responder as `answering` makes it, which says itself what became of questions."""

    def respond(asker: Asker, frame: bytes, send: Send) -> str:
        became, answer = pure(asker, frame)
        if answer is not None:
            send(answer)
        return became

    return respond


def answering(pure: Pure) -> Responder:
    """A responder that answers at once or not at all: who asks and the frame → a frame or None."""

    def respond(asker: Asker, frame: bytes, send: Send) -> str:
        answer = pure(asker, frame)
        if answer is None:
            return "ignored"
        send(answer)
        return "answered"

    return respond


class Edge:
    """Takes questions, for one process.

    Args:
        bridges: OpenFlow.
        ledger: who asks.
        responders: by what is asked for; what they raise but `DecodeError` is the caller's.
        now: seconds, of a clock that only goes forward.
        traced: whether a frame is one that we sent ourselves, to follow it.
    """

    def __init__(
        self,
        bridges: Bridges,
        ledger: Ledger,
        responders: Mapping[Service, Responder],
        now: Callable[[], float],
        traced: Callable[[bytes], bool] = lambda frame: False,
    ) -> None:
        self._bridges, self._ledger, self._responders = bridges, ledger, dict(responders)
        self._allowed = {service: Allowance(now) for service in Service}
        self._traced = traced
        self.counts: Counter[tuple[str, str]] = Counter()
        """Questions by service and what became of them, in a word each."""

    def asked(self, dpid: int, reason: Asked, frame: bytes, total: int) -> None:
        """An endpoint asks for something. ``total``: length of the frame."""
        became = self._answered(dpid, reason, frame, total)
        self.counts[reason.service.name.lower(), became] += 1

    def _answered(self, dpid: int, reason: Asked, frame: bytes, total: int) -> str:
        responder = self._responders.get(reason.service)
        if responder is None or len(frame) < total:
            return "ignored"
        if self._traced(frame):
            return "traced"
        if not self._allowed[reason.service].may((reason.vni, reason.mac)):
            return "too many"
        asker = self._ledger.asker(reason.vni, reason.mac)
        if asker is None:
            return "unknown"
        try:
            return responder(asker, frame, partial(self._send, dpid, reason))
        except DecodeError:
            return "malformed"

    def _send(self, dpid: int, reason: Asked, frame: bytes) -> None:
        if not self._bridges.packet_out(dpid, frame, (Output(reason.port),)):
            self.counts[reason.service.name.lower(), "lost"] += 1
