# SPDX-License-Identifier: Apache-2.0
"""Real packets between all pairs of workloads, at once.

One process asks and answers for every workload: its sockets are opened in the workloads'
namespaces (`vneter_sdn.fleet.sockets`) and served by one loop, so a probe of a fleet starts no
process at all. Every question carries a token. A TCP or UDP answer names the workload that gives
it; for ICMP, which the kernels answer, the workloads listen in to learn who was asked.
"""

from __future__ import annotations

import asyncio
import resource
import secrets
import socket
import struct
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import count

from vneter_sdn.fleet.expectation import (
    Finding,
    Peer,
    Question,
    Seen,
    expected,
    findings,
    questions,
)
from vneter_sdn.fleet.records import WorkloadRecord
from vneter_sdn.fleet.sockets import (
    echo_request,
    open_icmp,
    open_listener,
    open_tcp,
    open_udp,
    read_echo,
)

_TOKEN = struct.Struct("!8sI")
_PAUSES = (0.1, 0.2, 0.4, 0.8)
"""Seconds between repeats of a question by ICMP or UDP; the last one goes on."""


_STEP = 0.05
"""Seconds between two looks at who asked for too long."""
_TcpServer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Method:
    """How to ask."""

    icmp: bool = True
    tcp: tuple[int, ...] = ()
    udp: tuple[int, ...] = ()
    families: tuple[int, ...] = (4, 6)
    seconds: float = 3.0
    """How long an answer may take, not counting what keeps the asking process itself busy."""
    concurrency: int = 512
    """How many questions may be open at once."""

    @property
    def protocols(self) -> list[tuple[str, int]]:
        """Protocols with their ports, ICMP first."""
        found = [("icmp", 0)] if self.icmp else []
        return found + [("tcp", port) for port in self.tcp] + [("udp", port) for port in self.udp]


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """What was asked, what had to come of it, and what did."""

    peers: tuple[Peer, ...]
    wanted: dict[Question, str | None]
    seen: dict[Question, Seen]
    findings: dict[Question, Finding]
    seconds: float

    @property
    def good(self) -> bool:
        """Whether all that was seen agrees with what was expected, and something was asked."""
        return bool(self.findings) and all(finding.good for finding in self.findings.values())

    @property
    def differences(self) -> list[Question]:
        """Questions whose outcome is not the expected one."""
        return [one for one, finding in self.findings.items() if not finding.good]


def peer_of(record: WorkloadRecord) -> Peer:
    """A workload, as far as who may reach whom goes."""
    addresses = tuple(address.partition("/")[0] for address in record.addresses)
    return Peer(record.tenant, record.name, addresses)


def probe(records: Sequence[WorkloadRecord], method: Method) -> ProbeReport:
    """Ask every question of `vneter_sdn.fleet.expectation.questions` with real packets.

    Raises:
        SouthboundError: a workload's namespace is gone.
        OSError: a port to listen on is taken in a workload.
    """
    peers = tuple(peer_of(record) for record in records)
    asked = questions(peers, method.protocols, method.families)
    started = time.monotonic()
    with ExitStack() as stack:
        exchange = _Exchange(asked)
        for record in records:
            station = stack.enter_context(_Station(record.identity, record.netns))
            exchange.stations[record.identity] = station
        _allow_descriptors(len(records) * 12 + method.concurrency * 3 + 256)
        seen = asyncio.run(exchange.run(method))
    wanted = expected(peers, asked)
    passed = time.monotonic() - started
    return ProbeReport(peers, wanted, seen, findings(wanted, seen), passed)


def _allow_descriptors(count: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(count, hard), hard))


class _Patience:
    """Time limits that let nobody pay for a loop that is late.

    Questions are asked and answered by one process. While that is busy, or the machine is, answers
    wait in its sockets: a silent network is something else. So of each round of the loop no more
    than two steps are counted, however long it took.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds, self._passed = seconds, 0.0
        self._limits: dict[asyncio.Timeout, float] = {}

    async def run(self) -> None:
        """Let time pass, until cancelled."""
        while True:
            before = time.monotonic()
            await asyncio.sleep(_STEP)
            self._passed += min(time.monotonic() - before, 2 * _STEP)
            for limit in [one for one, end in self._limits.items() if self._passed >= end]:
                del self._limits[limit]
                limit.reschedule(before)

    @asynccontextmanager
    async def limit(self) -> AsyncIterator[None]:
        """Raise TimeoutError of what takes longer than that."""
        async with asyncio.timeout(None) as limit:
            self._limits[limit] = self._passed + self._seconds
            try:
                yield
            finally:
                self._limits.pop(limit, None)


@dataclass(slots=True)
class _Station:
    """The sockets of one workload."""

    identity: str
    netns: str
    icmp: dict[int, socket.socket] = field(default_factory=dict)
    udp: dict[int, socket.socket] = field(default_factory=dict)
    """To ask by."""
    servers: list[tuple[int, socket.socket]] = field(default_factory=list)
    """UDP, to answer by."""
    listeners: list[socket.socket] = field(default_factory=list)

    def __enter__(self) -> _Station:
        return self

    def open(self, method: Method) -> None:
        for family in method.families:
            self.icmp[family] = open_icmp(self.netns, family)
            self.udp[family] = open_udp(self.netns, family)
            self.servers += [(family, open_udp(self.netns, family, port)) for port in method.udp]
            self.listeners += [open_listener(self.netns, family, port) for port in method.tcp]

    def __exit__(self, *_exc: object) -> None:
        served = [opened for _, opened in self.servers]
        for opened in (*self.icmp.values(), *self.udp.values(), *served, *self.listeners):
            opened.close()


class _Exchange:
    """All questions of one probe, and what has come of them so far."""

    def __init__(self, asked: Sequence[Question]) -> None:
        self.asked = asked
        self.stations: dict[str, _Station] = {}
        self._nonce = secrets.token_bytes(8)
        self._heard: dict[int, set[str]] = defaultdict(set)
        self._answers: dict[int, asyncio.Future[str]] = {}

    async def run(self, method: Method) -> dict[Question, Seen]:
        """Outcomes of all questions."""
        loop = asyncio.get_running_loop()
        servers = []
        for station in self.stations.values():
            station.open(method)
            serve = self._tcp_server(station)
            servers += [
                await asyncio.start_server(serve, sock=opened) for opened in station.listeners
            ]
            self._listen(loop, station)
        turn, patience = asyncio.Semaphore(method.concurrency), _Patience(method.seconds)
        passing = asyncio.create_task(patience.run())

        async def one(index: int) -> Seen:
            async with turn:
                return await self._ask(index, patience)

        seen = await asyncio.gather(*(one(index) for index in range(len(self.asked))))
        passing.cancel()
        for server in servers:
            server.close()
        return {
            question: self._with_hearers(index, outcome)
            for index, (question, outcome) in enumerate(zip(self.asked, seen, strict=True))
        }

    def _with_hearers(self, index: int, outcome: Seen) -> Seen:
        heard = frozenset(self._heard[index])
        answered = outcome.answered
        if answered == "":
            # ICMP does not say who answered: whoever heard it, or else nobody we know.
            answered = min(heard, default=f"?/{self.asked[index].address}")
        return Seen(answered, heard, outcome.error, outcome.milliseconds)

    def _listen(self, loop: asyncio.AbstractEventLoop, station: _Station) -> None:
        for family, opened in station.icmp.items():
            loop.add_reader(opened, self._on_icmp, station, family, opened)
        for opened in station.udp.values():
            loop.add_reader(opened, self._on_answer, opened)
        for _, opened in station.servers:
            loop.add_reader(opened, self._on_request, station, opened)

    async def _ask(self, index: int, patience: _Patience) -> Seen:
        question, started = self.asked[index], time.monotonic()
        ask = self._ask_by_tcp if question.protocol == "tcp" else self._ask_repeatedly
        try:
            async with patience.limit():
                answered = await ask(index, question)
        except TimeoutError:
            return Seen(None, error="no answer")
        except OSError as error:
            return Seen(None, error=error.strerror or str(error))
        return Seen(answered, milliseconds=round((time.monotonic() - started) * 1000, 3))

    async def _ask_repeatedly(self, index: int, question: Question) -> str:
        station = self.stations[question.source]
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._answers[index] = answer
        token = _TOKEN.pack(self._nonce, index)
        for attempt in count():
            if question.protocol == "icmp":
                message = echo_request(question.family, index & 0xFFFF, attempt, token)
                opened, port = station.icmp[question.family], 0
            else:
                message, opened, port = token, station.udp[question.family], question.port
            with suppress(BlockingIOError):
                opened.sendto(message, (question.address, port))
            pause = _PAUSES[min(attempt, len(_PAUSES) - 1)]
            done, _ = await asyncio.wait([answer], timeout=pause)
            if done:
                break
        return answer.result()

    async def _ask_by_tcp(self, index: int, question: Question) -> str:
        loop = asyncio.get_running_loop()
        opened = open_tcp(self.stations[question.source].netns, question.family)
        try:
            await loop.sock_connect(opened, (question.address, question.port))
            await loop.sock_sendall(opened, _TOKEN.pack(self._nonce, index))
            said = b""
            while part := await loop.sock_recv(opened, 1024):
                said += part
        finally:
            opened.close()
        if not said:
            raise OSError(0, "closed without an answer")
        return said.decode(errors="replace")

    def _tcp_server(self, station: _Station) -> _TcpServer:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(OSError, asyncio.IncompleteReadError):
                self._hear(await reader.readexactly(_TOKEN.size), station)
                writer.write(station.identity.encode())
                await writer.drain()
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

        return serve

    def _index(self, token: bytes) -> int | None:
        """Which question a token is of; None when it is none of this probe's."""
        if len(token) < _TOKEN.size:
            return None
        nonce, index = _TOKEN.unpack_from(token)
        return index if nonce == self._nonce and index < len(self.asked) else None

    def _hear(self, token: bytes, station: _Station) -> int | None:
        index = self._index(token)
        if index is not None:
            self._heard[index].add(station.identity)
        return index

    def _answer(self, index: int, identity: str) -> None:
        answer = self._answers.get(index)
        if answer and not answer.done():
            answer.set_result(identity)

    def _on_icmp(self, station: _Station, family: int, opened: socket.socket) -> None:
        for packet, _ in _received(opened):
            echo = read_echo(family, packet)
            if echo is None:
                continue
            if echo.is_request:
                self._hear(echo.payload, station)
                continue
            index = self._index(echo.payload)
            if index is not None and self.asked[index].source == station.identity:
                self._answer(index, "")

    def _on_request(self, station: _Station, opened: socket.socket) -> None:
        for token, sender in _received(opened):
            if self._hear(token, station) is not None:
                with suppress(OSError):
                    opened.sendto(token[: _TOKEN.size] + station.identity.encode(), sender)

    def _on_answer(self, opened: socket.socket) -> None:
        for message, _ in _received(opened):
            index = self._index(message)
            if index is not None:
                self._answer(index, message[_TOKEN.size :].decode(errors="replace"))


def _received(opened: socket.socket, most: int = 64) -> Iterable[tuple[bytes, tuple[str, int]]]:
    """Messages that wait in a socket, at most so many, so that others get their turn."""
    for _ in range(most):
        try:
            yield opened.recvfrom(2048)
        except OSError:
            return
