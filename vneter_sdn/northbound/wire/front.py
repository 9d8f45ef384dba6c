# SPDX-License-Identifier: Apache-2.0
"""The loop that accepts connections, bounds them, and ends them when the server ends."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import threading
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from vneter_sdn.northbound.wire.connection import Connection, Gate, Pace
from vneter_sdn.northbound.wire.doors import Door
from vneter_sdn.northbound.wire.gateway import Application, Peer, crowd_of
from vneter_sdn.northbound.wire.tls import Context
from vneter_sdn.northbound.wire.workers import Workers

_LOG = logging.getLogger("vneter.api")
CONNECTIONS = 400
"""Of each door: who crowds the network's does not shut the administrator's."""
PER_ADDRESS = 100
"""Connections of one address of the network, handshakes included; a /64 is one address."""
BODIES = 64 * 1024 * 1024
"""Octets of request bodies that are kept at once."""
_BREATH = 0.5
"""Seconds without accepting when there are no descriptors left."""


class Front:
    """A `connection.House`: everything between the sockets and the application."""

    def __init__(
        self,
        app: Application,
        doors: Sequence[Door],
        *,
        threads: int,
        gate: Gate = lambda _environ: None,
        context: Context | None = None,
        pace: Pace | None = None,
    ) -> None:
        """Take over doors.

        Args:
            app: what answers.
            doors: bound sockets, which this closes.
            threads: requests answered at once.
            gate: judges requests before their bodies are read.
            context: for doors that speak TLS.
            pace: of clients.
        """
        self.app, self.gate, self.pace = app, gate, pace or Pace()
        self.workers, self.draining = Workers(threads), False
        self._doors, self._context = doors, context
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(_quietly)
        self._stop = asyncio.Event()
        self._closing = threading.RLock()  # re-entrant: stop may run in a handler above itself
        self._connections: set[Connection] = set()
        self._counts: dict[str, Counter[str]] = {door.url: Counter() for door in doors}
        self._kept = 0

    def run(self) -> None:
        """Serve until stopped."""
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self.workers.end()
            with self._closing:
                self._loop.close()

    def stop(self) -> None:
        """Ask `run` to return; from any thread or signal handler, any number of times."""
        with self._closing:
            if not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._stop.set)

    def reserve(self, octets: int) -> bool:
        """See `connection.House`."""
        if self._kept + octets > BODIES:
            return False
        self._kept += octets
        return True

    def release(self, octets: int) -> None:
        """See `connection.House`."""
        self._kept -= octets

    async def _serve(self) -> None:
        accepting = [asyncio.create_task(self._accept(door)) for door in self._doors]
        await self._stop.wait()
        self.draining = True
        for task in accepting:
            task.cancel()
        await asyncio.gather(*accepting, return_exceptions=True)
        for door in self._doors:
            door.close()
        await self._drain()

    async def _drain(self) -> None:
        for connection in tuple(self._connections):
            if connection.idle:
                connection.cut()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:
            await asyncio.wait(others, timeout=self.pace.drain)
        for connection in tuple(self._connections):
            connection.cut()
        late = asyncio.all_tasks() - {asyncio.current_task()}
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    async def _accept(self, door: Door) -> None:
        tasks: set[asyncio.Task[None]] = set()
        while True:
            try:
                wire, peer = await self._loop.sock_accept(door.socket)
            except OSError as error:
                _LOG.warning("cannot accept at %s: %s", door.url, error.strerror or error)
                await asyncio.sleep(_BREATH)
                continue
            address = "" if door.address.path else str(peer[0])
            if not self._admitted(door, address):
                wire.close()
                continue
            task = asyncio.create_task(self._welcome(door, wire, address))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    def _admitted(self, door: Door, address: str) -> bool:
        counts = self._counts[door.url]
        crowd = not door.trusted and counts[crowd_of(address)] >= PER_ADDRESS
        if crowd or counts.total() >= CONNECTIONS:
            return False
        counts[crowd_of(address)] += 1
        return True

    async def _welcome(self, door: Door, wire: socket.socket, address: str) -> None:
        try:
            if not door.address.path:
                wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            streams = await self._streams(door, wire)
            if streams is not None:
                await self._converse(door, address, *streams)
        finally:
            crowd, counts = crowd_of(address), self._counts[door.url]
            counts[crowd] -= 1
            if not counts[crowd]:
                del counts[crowd]

    async def _streams(
        self, door: Door, wire: socket.socket
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        reader = asyncio.StreamReader(loop=self._loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=self._loop)
        secured: dict[str, Any] = {}
        if door.secured and self._context is not None:
            secured = {
                "ssl": self._context.current(),
                "ssl_handshake_timeout": self.pace.handshake,
                "ssl_shutdown_timeout": 1.0,
            }
        try:
            transport, _ = await self._loop.connect_accepted_socket(
                lambda: protocol, wire, **secured
            )
        except OSError as error:  # of which ssl.SSLError is one
            if self._context is not None and door.secured and not self.draining:
                self._context.failed()
            _LOG.debug("no connection at %s: %s", door.url, error)
            wire.close()
            return None
        return reader, asyncio.StreamWriter(transport, protocol, reader, self._loop)

    async def _converse(
        self, door: Door, address: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        tls: ssl.SSLObject | None = writer.get_extra_info("ssl_object")
        certificate: Any = tls.getpeercert() if tls is not None else None
        server = (door.address.host or "localhost", door.address.port)
        peer = Peer(address, door.trusted, tls is not None, certificate or None, server)
        connection = Connection(reader, writer, peer, self)
        self._connections.add(connection)
        try:
            if not self.draining:
                await connection.run()
        finally:
            self._connections.discard(connection)


def _quietly(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    error = context.get("exception")
    if isinstance(error, OSError):  # a client that went away
        _LOG.debug("%s: %s", context.get("message"), error)
        return
    with suppress(KeyError):
        _LOG.error("%s", context["message"], exc_info=error)
