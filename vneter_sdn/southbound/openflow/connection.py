# SPDX-License-Identifier: Apache-2.0
"""One connection on eventlet: a session between a stream and its owner.

Three greenthreads: a reader, a writer that takes the next chunk only when the last one left, and
a timer. A bridge that stops reading holds one chunk and its own writer, nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import eventlet
from eventlet.event import Event as Signal

from vneter_sdn.southbound.openflow.events import Closed, Event, Reason
from vneter_sdn.southbound.openflow.session import Session, Terms
from vneter_sdn.southbound.openflow.tally import Tally, guarded
from vneter_sdn.southbound.openflow.transport import Stream

_FAREWELL = 1.0
"""Seconds that last words (an ERROR, a TLS alert) may take."""


class Connection:
    """A session with its socket. ``deliver`` gets every event, in order, from any greenthread."""

    def __init__(
        self,
        stream: Stream,
        peer: str,
        terms: Terms,
        deliver: Callable[[Connection, Event], None],
        tally: Tally,
    ) -> None:
        self.peer = peer
        self.session = Session(terms, time.monotonic())
        self._stream, self._deliver, self._tally = stream, deliver, tally
        self._wake: Signal = Signal()
        self._over: Signal = Signal()
        self._closed = False
        self._sending_since: float | None = None
        self._threads: list[eventlet.greenthread.GreenThread] = []
        self._phase = self.session.phase.value
        tally.shift("connections", self._phase, 1)

    def run(self) -> None:
        """Serve the connection until it ends. Never raises."""
        self._threads = [eventlet.spawn(self._write), eventlet.spawn(self._time)]
        try:
            while not self._closed:
                data = self._stream.receive()
                if not data:
                    self._handle(self.session.ended("end of stream", time.monotonic()))
                    break
                self._handle(self.session.receive(data, time.monotonic()))
                eventlet.sleep(0)
        except OSError as lost:
            self._handle(self.session.ended(str(lost), time.monotonic()))
        finally:
            self._finish()

    def act(self, events: Iterable[Event] = ()) -> None:
        """Pass on what a call on the session gave, and send what it left to send."""
        self._handle(events)
        self.wake()

    def close(self, reason: Reason, message: str = "") -> None:
        """End it from this side."""
        self.act(self.session.close(reason, message, time.monotonic()))

    def wake(self) -> None:
        """Tell the writer that there may be something to send."""
        if not self._wake.ready():
            self._wake.send()

    def _write(self) -> None:
        try:
            while True:
                data = self.session.outgoing()
                if caused := self.session.pending_events():
                    self._handle(caused)
                if data:
                    self._send(data)
                    eventlet.sleep(0)
                elif self._closed:
                    break
                else:
                    self._wake.wait()
                    self._wake = Signal()
        except OSError as lost:
            self._handle(self.session.ended(str(lost), time.monotonic()))
        self._stream.close()

    def _send(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            self._sending_since = time.monotonic()
            left = left[self._stream.send(left) :]
        self._sending_since = None

    def _time(self) -> None:
        terms = self.session.terms
        patience = terms.echo_interval * terms.echo_misses
        while not self._closed:
            now = time.monotonic()
            since = self._sending_since
            if since is not None and now - since > patience:
                self.close(Reason.SLOW_READER, f"took nothing for {patience:g} s")
                break
            self.act(self.session.tick(now))
            wait = max(0.01, self.session.wakes_at() - time.monotonic())
            eventlet.sleep(min(wait, patience))

    def _handle(self, events: Iterable[Event]) -> None:
        self._count_phase()
        for event in events:
            if isinstance(event, Closed):
                self._closed = True
                self._tally.count("closed", event.reason)
            guarded(self._tally, "connection", self._deliver, self, event)
        if self._closed:
            self._farewell()
        self.wake()

    def _farewell(self) -> None:
        """Let the writer send the last words, but not for long."""
        if not self._over.ready():
            self._over.send()
            eventlet.spawn_after(_FAREWELL, self._stream.close)

    def _finish(self) -> None:
        self._count_phase()
        self._tally.shift("connections", self._phase, -1)
        self._phase = ""
        self.wake()
        with eventlet.Timeout(_FAREWELL, False):
            self._threads[0].wait()
        self._stream.close()
        for thread in self._threads:
            thread.kill()

    def _count_phase(self) -> None:
        phase = self.session.phase.value
        if self._phase and phase != self._phase:
            self._tally.shift("connections", self._phase, -1)
            self._tally.shift("connections", phase, 1)
            self._phase = phase
