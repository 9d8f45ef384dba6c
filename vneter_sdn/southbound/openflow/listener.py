# SPDX-License-Identifier: Apache-2.0
"""Doors through which bridges connect; `target.Target` says which kinds there are."""

from __future__ import annotations

import errno
import logging
import os
import stat
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import eventlet
from eventlet.green import socket

from vneter_sdn.errors import SouthboundError
from vneter_sdn.southbound.openflow.connection import Connection
from vneter_sdn.southbound.openflow.events import Event, Reason
from vneter_sdn.southbound.openflow.session import Terms
from vneter_sdn.southbound.openflow.tally import Complaints, Tally, guarded
from vneter_sdn.southbound.openflow.target import Target
from vneter_sdn.southbound.openflow.tls import Credentials, datapaths, server_context
from vneter_sdn.southbound.openflow.transport import PlainStream, Stream, TlsStream

_LOG = logging.getLogger(__name__)
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
HALF_OPEN = 64
"""Connections of one listener that may be between accept and identification; the oldest goes."""
_BACKLOG = 512


class Listener:
    """One listening socket and the connections it accepted."""

    def __init__(
        self,
        target: Target,
        terms: Terms,
        deliver: Callable[[Connection, Event], None],
        tally: Tally,
        credentials: Credentials | None = None,
        refused: Callable[[str, str], None] = lambda peer, why: None,
    ) -> None:
        """Listen at once.

        Args:
            target: where.
            terms: of every session.
            deliver: takes the events of sessions.
            tally: counts.
            credentials: for ``pssl``.
            refused: takes (peer, why) of those who failed before there was a session.

        Raises:
            OSError: the address is taken, or a certificate cannot be read.
            SouthboundError: ``pssl`` without credentials.
        """
        self.target = target
        self._terms, self._deliver, self._tally = terms, deliver, tally
        self._refused = refused
        self._context = None
        if target.kind == "pssl":
            if credentials is None:
                raise SouthboundError("pssl needs a private key, a certificate and an authority")
            self._context = server_context(credentials)
        self._complaints = Complaints(_LOG)
        self._half_open: dict[int, Stream] = {}
        self._connections: set[Connection] = set()
        self._serial = 0
        self._socket = _listening(target)
        self._reserve = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        self._thread = eventlet.spawn(self._accept)

    @property
    def address(self) -> Any:
        """Where it listens: a path, or an address with the port that was chosen."""
        return self._socket.getsockname()

    def close(self) -> None:
        """Stop listening and end every connection of this listener."""
        self._thread.kill()
        self._socket.close()
        os.close(self._reserve)
        if self.target.kind == "unix":
            _unlink(self.target.place)
        for stream in tuple(self._half_open.values()):
            stream.close()
        for connection in tuple(self._connections):
            connection.close(Reason.SHUTDOWN)

    def _accept(self) -> None:
        while True:
            try:
                sock, address = self._socket.accept()
            except OSError as failed:
                if failed.errno not in _EXHAUSTED:
                    self._complaints.say(str(self.target), "accept", str(failed))
                    eventlet.sleep(0.1)
                    continue
                guarded(self._tally, "listener", self._shed)
                eventlet.sleep(0.01)
                continue
            self._serial += 1
            eventlet.spawn(self._serve, sock, self._name(address), self._serial)

    def _shed(self) -> None:
        """Out of descriptors: give up the reserved one to take a peer off the queue and drop it."""
        self._tally.count("fd_exhausted")
        self._complaints.say(str(self.target), "descriptors", "out of file descriptors")
        if self._half_open:
            self._half_open[next(iter(self._half_open))].close()
        os.close(self._reserve)
        try:
            self._socket.settimeout(0)
            self._socket.accept()[0].close()
        except OSError:
            pass
        finally:
            self._socket.settimeout(None)
            self._reserve = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    def _serve(self, sock: Any, peer: str, serial: int) -> None:
        try:
            guarded(self._tally, "listener", self._serve_stream, sock, peer, serial)
        finally:
            self._half_open.pop(serial, None)
            sock.close()

    def _serve_stream(self, sock: Any, peer: str, serial: int) -> None:
        stream: Stream = PlainStream(sock)
        self._half_open[serial] = stream
        if len(self._half_open) > HALF_OPEN:
            oldest = next(iter(self._half_open))
            self._half_open.pop(oldest).close()
            self._tally.count("refused", Reason.OVERLOADED)
        if self.target.kind != "unix":
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        terms = self._terms
        if self._context is not None:
            tls = TlsStream(sock, self._context)
            allowed = self._shake(tls, peer)
            if allowed is None:
                return
            wanted = allowed if terms.expected is None else allowed & terms.expected
            stream, terms = tls, replace(terms, expected=wanted)
        connection = Connection(stream, peer, terms, self._identified(serial), self._tally)
        self._connections.add(connection)
        try:
            connection.run()
        finally:
            self._connections.discard(connection)

    def _shake(self, stream: TlsStream, peer: str) -> frozenset[int] | None:
        """The datapath ids of the peer's certificate; None when it is refused."""
        try:
            with eventlet.Timeout(self._terms.handshake, TimeoutError("no TLS handshake in time")):
                allowed = datapaths(stream.handshake())
        except OSError as failed:
            reason = str(failed)
        else:
            if allowed:
                return allowed
            reason = "certificate names no datapath (urn:vneter:dpid:…)"
        self._tally.count("refused", Reason.TLS_REFUSED)
        self._complaints.say(peer, Reason.TLS_REFUSED, reason)
        self._refused(peer, reason)
        stream.close()
        return None

    def _identified(self, serial: int) -> Callable[[Connection, Event], None]:
        """Deliver, and note when the peer is no longer half open."""

        def deliver(connection: Connection, event: Event) -> None:
            if connection.session.dpid:
                self._half_open.pop(serial, None)
            self._deliver(connection, event)

        return deliver

    def _name(self, address: Any) -> str:
        """The peer without its port: a hostile one may have many."""
        if self.target.kind == "unix":
            return f"unix:{self.target.place}"
        return f"{self.target.kind[1:]}:{address[0]}"


def _listening(target: Target) -> Any:
    if target.kind == "unix":
        _unlink(target.place)
        sock, address = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM), target.place
    else:
        family = socket.AF_INET6 if ":" in target.place else socket.AF_INET
        sock, address = socket.socket(family, socket.SOCK_STREAM), (target.place, target.port)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind(address)
        if target.kind == "unix":
            os.chmod(target.place, 0o600)  # before listen: nobody can have connected yet
        sock.listen(_BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def _unlink(path: str) -> None:
    """Remove a socket that a killed process left; anything else there is not ours to remove."""
    try:
        if stat.S_ISSOCK(os.lstat(path).st_mode):
            os.unlink(path)
    except FileNotFoundError:
        pass
