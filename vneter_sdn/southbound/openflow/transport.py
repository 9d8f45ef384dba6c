# SPDX-License-Identifier: Apache-2.0
"""Byte streams on eventlet: plain sockets, and TLS over them.

TLS runs in memory (`ssl.SSLObject` between two `ssl.MemoryBIO`) over an ordinary green socket:
eventlet's own TLS sockets did not complete a handshake with Open vSwitch when tried.
"""

from __future__ import annotations

import ssl
from typing import Any, Protocol

from eventlet.green import socket
from eventlet.hubs import get_hub, notify_opened
from eventlet.semaphore import Semaphore

RECEIVE = 1 << 16
"""Bytes asked for at once."""


class Stream(Protocol):
    """What a connection reads from and writes to; both may be done by different greenthreads."""

    def receive(self) -> bytes:
        """Some bytes, or none at the end. Raises OSError."""
        ...

    def send(self, data: bytes) -> int:
        """Send some of it, and say how much was taken. Raises OSError."""
        ...

    def close(self) -> None:
        """Close at once, waking whoever waits. Never raises."""
        ...


def _shut(sock: Any) -> None:
    """Close, and wake greenthreads that wait on the socket.

    The hub hears nothing of what is closed. Whoever waited would go on until the descriptor's
    number is used again, and be in the way of who uses it.
    """
    number = sock.fileno()
    for step in (lambda: sock.shutdown(socket.SHUT_RDWR), sock.close):
        try:
            step()
        except OSError:
            continue
    if number >= 0:
        notify_opened(number)  # of what is opened it does hear: nobody waits on that yet
        get_hub().schedule_call_global(0, lambda: None)  # lest it sleep before it wakes them


def _receive(sock: Any) -> bytes:
    try:
        return sock.recv(RECEIVE)
    except EOFError:  # eventlet's word for: closed from this side while waiting
        return b""


class PlainStream:
    """A socket as it is."""

    def __init__(self, sock: Any) -> None:
        self._socket = sock

    def receive(self) -> bytes:
        """Some bytes, or none at the end. Raises OSError."""
        return _receive(self._socket)

    def send(self, data: bytes) -> int:
        """Send some of it, and say how much was taken. Raises OSError."""
        return self._socket.send(data)

    def close(self) -> None:
        """Close at once, waking whoever waits."""
        _shut(self._socket)


class TlsStream:
    """TLS, server side."""

    def __init__(self, sock: Any, context: ssl.SSLContext) -> None:
        self._socket = sock
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_side=True)
        self._sending = Semaphore(1)

    def handshake(self) -> dict[str, Any]:
        """Shake hands; the caller bounds the time.

        Returns:
            The peer's verified certificate, as `ssl` presents it.

        Raises:
            OSError: the peer has no certificate of our authority, or went away.
        """
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._flush()
                self._fill()
            except ssl.SSLError:
                self._flush()  # the alert says why to the peer
                raise
            else:
                self._flush()
                return self._tls.getpeercert() or {}

    def receive(self) -> bytes:
        """Some bytes, or none at the end. Raises OSError."""
        while True:
            try:
                return self._tls.read(RECEIVE)
            except ssl.SSLWantReadError:
                self._flush()
                if not self._fill():
                    return b""
            except ssl.SSLZeroReturnError:
                return b""

    def send(self, data: bytes) -> int:
        """Send all of ``data``. Raises OSError."""
        taken = self._tls.write(data)
        self._flush()
        return taken

    def close(self) -> None:
        """Close at once, waking whoever waits."""
        _shut(self._socket)

    def _flush(self) -> None:
        """Send what TLS produced, in the order it was produced."""
        with self._sending:
            while data := self._out.read(RECEIVE):
                self._socket.sendall(data)

    def _fill(self) -> bool:
        data = _receive(self._socket)
        if data:
            self._in.write(data)
            return True
        self._in.write_eof()
        return False
