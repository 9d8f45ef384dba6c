# SPDX-License-Identifier: Apache-2.0
"""One non-blocking byte stream to a database server: unix, TCP or TLS.

All waiting goes through one injected `Network`, so the same code runs on plain threads and on
eventlet (``Network(eventlet.green.socket, eventlet.green.select.select)``), unpatched.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import select
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from vneter_sdn.errors import SessionClosed

CHUNK = 256 << 10
"""Bytes read at once."""
EARLY = 256 << 20
"""Bytes that are put by, at most, while a message is sent."""
_REMOTE = re.compile(r"(unix):(.+)|(tcp|ssl):(?:\[([^\]]+)\]|([^:\[\]]+)):([0-9]{1,5})")
_Sockets = Sequence[Any]


def poll_select(
    readers: _Sockets, writers: _Sockets, _errors: _Sockets = (), timeout: float | None = None
) -> tuple[list[Any], list[Any], list[Any]]:
    """`select.select` without its limit of 1,024 descriptors."""
    poll = select.poll()
    events: dict[int, int] = {}
    for group, event in ((readers, select.POLLIN), (writers, select.POLLOUT)):
        for sock in group:
            events[sock.fileno()] = events.get(sock.fileno(), 0) | event
    for descriptor, event in events.items():
        poll.register(descriptor, event)
    ready = {fd for fd, _ in poll.poll(None if timeout is None else max(0, timeout) * 1000)}
    return (
        [sock for sock in readers if sock.fileno() in ready],
        [sock for sock in writers if sock.fileno() in ready],
        [],
    )


@dataclass(frozen=True, slots=True)
class Network:
    """How to reach others and how to wait for them."""

    sockets: Any = socket
    """Module-like, with ``socket``, ``socketpair`` and ``getaddrinfo``."""
    select: Callable[..., Any] = poll_select
    """Like `select.select`; gives way to other greenthreads under eventlet."""
    clock: Callable[[], float] = time.monotonic
    """Seconds that never go back."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files for ``ssl:`` remotes. All three are needed: both ends show a certificate."""

    private_key: str
    certificate: str
    ca_certificate: str

    def context(self) -> ssl.SSLContext:
        """TLS 1.2 or newer. The name is not checked, as in OVS: the CA is the fleet's own."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.check_hostname = False
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(self.ca_certificate)
        context.load_cert_chain(self.certificate, self.private_key)
        return context


@dataclass(frozen=True, slots=True)
class Remote:
    """Where a server listens."""

    scheme: str
    """``unix``, ``tcp`` or ``ssl``."""
    host: str
    """Address or name; the path when the scheme is ``unix``."""
    port: int = 0

    @classmethod
    def parse(cls, text: str) -> Remote:
        """``unix:PATH``, ``tcp:HOST:PORT``, ``ssl:HOST:PORT``; IPv6 addresses in brackets.

        Raises:
            ValueError: anything else.
        """
        found = _REMOTE.fullmatch(text)
        if found is None:
            raise ValueError(f"not an OVSDB remote: {text[:80]!r}")
        if found[1]:
            return cls("unix", found[2])
        if not 0 < int(found[6]) < 65536:
            raise ValueError(f"no such port: {text[:80]!r}")
        return cls(found[3], found[4] or found[5], int(found[6]))


class Stream:
    """A connected stream. Not for two threads at once, save `interrupt`.

    Args:
        remote: ``unix:PATH``, ``tcp:HOST:PORT`` or ``ssl:HOST:PORT``.
        network: sockets, select and clock.
        deadline: seconds for connecting, TLS handshake included.
        tls: needed for ``ssl:``.

    Raises:
        SessionClosed: it cannot be reached; the message says where and why.
        ValueError: no such remote, or ``ssl:`` without `TlsFiles`.
    """

    def __init__(
        self, remote: str, network: Network, deadline: float, tls: TlsFiles | None = None
    ) -> None:
        self.remote, self._network = remote, network
        self.closed = False
        self.woken = False
        """Set when `interrupt` was noticed; the caller clears it."""
        self._ssl: ssl.SSLObject | None = None
        self._early: deque[bytes] = deque()
        self._early_size = 0
        self._open = False
        target = Remote.parse(remote)
        if target.scheme == "ssl" and tls is None:
            raise ValueError(f"{remote} needs a key, a certificate and a CA certificate")
        until = network.clock() + deadline
        self._waker, self._wakee = network.sockets.socketpair()
        self._socket: Any = None
        try:
            self._connect(target, until)
            if tls is not None and target.scheme == "ssl":
                self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
                self._ssl = tls.context().wrap_bio(self._incoming, self._outgoing)
                self._handshake(until)
            self._open = True
        except OSError as error:
            raise self._lost(f"cannot connect: {error.strerror or error}") from error
        except BaseException:
            self.close()
            raise

    def _connect(self, target: Remote, until: float) -> None:
        net = self._network.sockets
        if target.scheme == "unix":
            self._attempt(socket.AF_UNIX, target.host, until)
            return
        found = net.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
        for index, (family, _, _, _, address) in enumerate(found):
            try:
                self._attempt(family, address, until)
            except OSError:
                if index == len(found) - 1:
                    raise
            else:
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return

    def _attempt(self, family: int, address: Any, until: float) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = self._network.sockets.socket(family, socket.SOCK_STREAM)
        self._socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            self._socket.connect(address)
            return
        self._wait_io(until, writing=True)
        error = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise OSError(error, os.strerror(error))

    def _handshake(self, until: float) -> None:
        assert self._ssl is not None
        while True:
            try:
                self._ssl.do_handshake()
            except ssl.SSLWantReadError:
                self._flush(until)
                self._wait_io(until)
                self._pull()
                continue
            self._flush(until)
            return

    def send(self, data: bytes, deadline: float) -> None:
        """Send all of it within ``deadline`` seconds, or close and raise `SessionClosed`."""
        until = self._network.clock() + deadline
        try:
            if self._ssl is None:
                self._send_plain(data, until)
            else:
                self._ssl.write(data)
                self._flush(until)
        except OSError as error:
            raise self._lost(f"cannot send: {error.strerror or error}") from error

    def receive(self, timeout: float | None) -> bytes | None:
        """The next bytes, or None after ``timeout`` seconds or an `interrupt`.

        Raises:
            SessionClosed: the peer closed, or the connection broke.
        """
        try:
            data = self._arrived()
            if data is None and self._wait_readable(timeout):
                data = self._receive_now()
        except OSError as error:
            raise self._lost(f"cannot receive: {error.strerror or error}") from error
        if data == b"":
            raise self._lost("closed by the peer")
        return data

    def interrupt(self) -> None:
        """Make `receive` return at once; the only method another thread may call."""
        with contextlib.suppress(OSError):
            self._waker.send(b"!")

    def close(self) -> None:
        """Give the descriptors back; again and again if you like."""
        self.closed = True
        for sock in (self._socket, self._waker, self._wakee):
            if sock is not None:
                sock.close()

    def _lost(self, why: str) -> SessionClosed:
        self.close()
        return SessionClosed(f"{self.remote}: {why}")

    def _receive_now(self) -> bytes | None:
        """What is there already; None for nothing, empty at the end."""
        if self._ssl is None:
            try:
                return bytes(self._socket.recv(CHUNK))
            except BlockingIOError:
                return None
        return self._decrypt() if self._pull() else None

    def _decrypt(self) -> bytes | None:
        """What the TLS engine holds; None when it needs more ciphertext."""
        assert self._ssl is not None
        try:
            return self._ssl.read(CHUNK)
        except ssl.SSLWantReadError:
            return None

    def _pull(self) -> bool:
        """Move ciphertext from the socket to the TLS engine; false when there is none."""
        try:
            data = self._socket.recv(CHUNK)
        except BlockingIOError:
            return False
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()
        return True

    def _flush(self, until: float) -> None:
        data = self._outgoing.read()
        if data:
            self._send_plain(data, until)

    def _send_plain(self, data: bytes, until: float) -> None:
        """Send, and read meanwhile: a server that waits to be read from reads no more itself."""
        view = memoryview(data)
        while view:
            try:
                view = view[self._socket.send(view) :]
            except BlockingIOError:
                self._wait_io(until, writing=True, reading=self._heeding)
                self._take_early()

    def _take_early(self) -> None:
        """Put by what can be read now, for `receive`."""
        if not self._heeding:
            return
        with contextlib.suppress(BlockingIOError):
            data = bytes(self._socket.recv(CHUNK))
            if not data:
                raise OSError(errno.EPIPE, "closed by the peer")
            if self._ssl is None:
                self._early.append(data)
            else:
                self._incoming.write(data)
            self._early_size += len(data)

    @property
    def _heeding(self) -> bool:
        """Whether to read while sending: not within a handshake, and within bounds."""
        return self._open and self._early_size < EARLY

    def _arrived(self) -> bytes | None:
        """What was read before it was asked for."""
        found = self._decrypt() if self._ssl else self._early.popleft() if self._early else None
        if found is None:
            self._early_size = 0
        return found

    def _wait_io(self, until: float, *, writing: bool = False, reading: bool | None = None) -> None:
        left = until - self._network.clock()
        reading = not writing if reading is None else reading
        pair = ([self._socket] * reading, [self._socket] * writing)
        if left <= 0 or not any(self._network.select(*pair, [], left)):
            raise OSError(None, "no answer within the deadline")

    def _wait_readable(self, timeout: float | None) -> bool:
        """Wait for the peer or for `interrupt`; true when the peer has something."""
        ready, _, _ = self._network.select([self._socket, self._wakee], [], [], timeout)
        if self._wakee in ready:
            self._wakee.recv(4096)
            self.woken = True
        return self._socket in ready
