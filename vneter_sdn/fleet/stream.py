# SPDX-License-Identifier: Apache-2.0
"""A steady stream of numbered packets between two workloads, to count what an event loses.

Runs in a thread of its own for as long as wanted::

    with Stream(source, target, rate=100) as stream:
        ...                    # kill the controller, move a workload
    assert stream.report().lost == 0
"""

from __future__ import annotations

import secrets
import select
import socket
import struct
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from itertools import pairwise
from types import TracebackType

from vneter_sdn.errors import NotFound
from vneter_sdn.fleet.records import WorkloadRecord
from vneter_sdn.fleet.sockets import echo_request, open_icmp, open_udp, read_echo

_TOKEN = struct.Struct("!8sI")
_LINGER = 2.0
"""Seconds in which late answers still count."""
_HURRY = 4.0
"""By how much it may be quicker when this thread is late: more would be lost in full sockets."""
_AT_ONCE = 8.0
"""Packets that it may send together then."""


@dataclass(frozen=True, slots=True)
class StreamReport:
    """What became of a stream."""

    sent: int
    received: int
    """Different numbers that came back."""
    duplicates: int
    out_of_order: int
    refused: int
    """Numbers the source's own kernel would not send: counted in `sent`, and lost."""
    longest_gap: float
    """Longest time without an arrival between the start and the end of sending, in seconds."""

    @property
    def lost(self) -> int:
        """Numbers that did not come back."""
        return self.sent - self.received


class Stream:
    """Numbered echo requests, or UDP datagrams that are echoed, at a rate."""

    def __init__(
        self,
        source: WorkloadRecord,
        target: WorkloadRecord,
        *,
        rate: float = 100,
        protocol: str = "icmp",
        family: int = 4,
        port: int = 5353,
    ) -> None:
        """Prepare; `start` sends.

        Args:
            source: Sends and counts.
            target: Answers.
            rate: Packets per second.
            protocol: ``icmp`` or ``udp``.
            family: 4 or 6.
            port: Where the target echoes UDP.

        Raises:
            NotFound: the target has no address of the family.
        """
        plain = [address.partition("/")[0] for address in target.addresses]
        fitting = [address for address in plain if ip_address(address).version == family]
        if not fitting:
            raise NotFound(f"workload {target.identity} has no IPv{family} address")
        self._address = (fitting[0], port if protocol == "udp" else 0)
        self._family, self._protocol, self._rate = family, protocol, rate
        self._source, self._target = source, target
        self._nonce = secrets.token_bytes(8)
        self._stop, self._first = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work, name="stream", daemon=True)
        self._server: socket.socket | None = None
        self._arrivals: list[tuple[int, float]] = []
        self._sent = self._refused = 0
        self._started = self._ended = 0.0

    def start(self) -> Stream:
        """Begin to send.

        Raises:
            SouthboundError: a namespace is gone.
            OSError: the port is taken in the target.
        """
        if self._protocol == "udp":
            self._server = open_udp(self._target.netns, self._family, self._address[1])
            self._client = open_udp(self._source.netns, self._family)
        else:
            self._client = open_icmp(self._source.netns, self._family)
        self._started = time.monotonic()
        self._thread.start()
        return self

    def stop(self) -> StreamReport:
        """Send no more, wait for what is on its way, and report."""
        self._stop.set()
        self._thread.join()
        for opened in (self._client, self._server):
            if opened:
                opened.close()
        return self.report()

    def await_flow(self, seconds: float = 10) -> bool:
        """Wait for the first answer; says whether it came."""
        return self._first.wait(seconds)

    def __enter__(self) -> Stream:
        """Begin to send."""
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop."""
        self.stop()

    def report(self) -> StreamReport:
        """What became of the stream so far."""
        arrivals = list(self._arrivals)
        numbers = [number for number, _ in arrivals]
        times = [self._started, *(at for _, at in arrivals)]
        times.append(max(times[-1], self._ended or time.monotonic()))
        different = len(set(numbers))
        return StreamReport(
            sent=self._sent,
            received=different,
            duplicates=len(numbers) - different,
            out_of_order=sum(b < a for a, b in pairwise(numbers)),
            refused=self._refused,
            longest_gap=max((b - a for a, b in pairwise(times)), default=0.0),
        )

    def lost(self, first: int, end: int) -> int:
        """How many of the numbers from one on, and before another, did not come back (so far)."""
        return len(set(range(first, end)) - {number for number, _ in list(self._arrivals)})

    def _work(self) -> None:
        poll = select.poll()
        for opened in (self._client, self._server):
            if opened:
                poll.register(opened, select.POLLIN)
        due = last = self._started
        credit = _AT_ONCE
        while not self._stop.is_set():
            now = time.monotonic()
            credit = min(_AT_ONCE, credit + (now - last) * self._rate * _HURRY)
            last = now
            if now >= due and credit >= 1:
                self._send()
                due += 1 / self._rate
                credit -= 1
                continue
            poll.poll(max(due - now, 0.001) * 1000)
            self._receive()
        self._ended = time.monotonic()
        deadline = self._ended + _LINGER
        while len(self._arrivals) < self._sent and (rest := deadline - time.monotonic()) > 0:
            poll.poll(rest * 1000)
            self._receive()

    def _send(self) -> None:
        token = _TOKEN.pack(self._nonce, self._sent)
        self._sent += 1
        message = token
        if self._protocol == "icmp":
            message = echo_request(self._family, self._nonce[0], self._sent, token)
        try:
            self._client.sendto(message, self._address)
        except OSError:
            self._refused += 1

    def _receive(self) -> None:
        if self._server:
            with suppress(OSError):
                while True:
                    message, sender = self._server.recvfrom(2048)
                    self._server.sendto(message, sender)
        with suppress(OSError):
            while True:
                message = self._client.recvfrom(2048)[0]
                self._arrived(message)

    def _arrived(self, message: bytes) -> None:
        if self._protocol == "icmp":
            echo = read_echo(self._family, message)
            if echo is None or echo.is_request:
                return
            message = echo.payload
        if len(message) >= _TOKEN.size:
            nonce, number = _TOKEN.unpack_from(message)
            if nonce == self._nonce:
                self._arrivals.append((number, time.monotonic()))
                self._first.set()
