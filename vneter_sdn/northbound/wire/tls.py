# SPDX-License-Identifier: Apache-2.0
"""TLS of the REST server: one context, made anew when its files change."""

from __future__ import annotations

import logging
import os
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass

_LOG = logging.getLogger("vneter.api")
LOOK = 1.0
"""Seconds between two looks at the files, at least."""
_Stamp = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Paths of PEM files."""

    certificate: str
    """The server's, with those that lead to its authority after it."""
    key: str
    client_ca: str = ""
    """Authorities of clients' certificates; empty when none is asked for."""
    required: bool = False
    """Whether clients without a certificate are not spoken to."""


def server_context(files: TlsFiles) -> ssl.SSLContext:
    """A context of TLS 1.2 at least, 1.3 where the client can.

    A session is never resumed, so a client's certificate is judged on every connection.

    Raises:
        OSError: a file cannot be read (`ssl.SSLError` when it is not what it should be).
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_TICKET
    context.num_tickets = 0
    context.set_alpn_protocols(["http/1.1"])
    context.load_cert_chain(files.certificate, files.key, password=_no_passphrase)
    if files.client_ca:
        context.verify_mode = ssl.CERT_REQUIRED if files.required else ssl.CERT_OPTIONAL
        context.load_verify_locations(files.client_ca)
    return context


def open_to_all(path: str) -> bool:
    """Whether everybody on this machine may do something with a file."""
    try:
        return bool(os.stat(path).st_mode & 0o007)
    except OSError:  # whoever reads it says why that fails
        return False


def not_private(path: str) -> str:
    """What to say of such a key."""
    return f"{path} is a private key that everybody on this machine can read; chmod 600 it"


def _no_passphrase() -> str:
    """Nobody is there to be asked for one."""
    raise ssl.SSLError("the private key has a passphrase; give one that has none, mode 0600")


class Context:
    """The newest context that could be made of some files.

    Files that are replaced one after the other do not fit for a moment: then the context before
    them goes on, and whether the new ones do is looked at again.
    """

    def __init__(
        self,
        files: TlsFiles,
        clock: Callable[[], float] = time.monotonic,
        failed: Callable[[], None] = lambda: None,
    ) -> None:
        """Read the files; ``failed`` is told of each handshake that comes to nothing.

        Raises:
            OSError: see `server_context`.
        """
        self._files, self._clock, self.failed = files, clock, failed
        self._stamp = self._look()
        self._refused: _Stamp | None = None
        self._context, self._looked = server_context(files), clock()

    def current(self) -> ssl.SSLContext:
        """The context for a new connection."""
        now = self._clock()
        if now - self._looked >= LOOK:
            self._looked = now
            self._renew()
        return self._context

    def _renew(self) -> None:
        stamp = self._look()
        if stamp == self._stamp:
            return
        try:
            if open_to_all(self._files.key):
                raise PermissionError(not_private(self._files.key))
            self._context = server_context(self._files)
        except OSError as error:  # of which ssl.SSLError is one
            if stamp != self._refused:
                _LOG.error("TLS files changed and cannot be used, the old ones go on: %s", error)
            self._refused = stamp
            return
        self._stamp, self._refused = stamp, None
        _LOG.info("TLS files changed; new connections use the new ones")

    def _look(self) -> _Stamp:
        files = (self._files.certificate, self._files.key, self._files.client_ca)
        return tuple(_stamp(path) for path in files if path)


def _stamp(path: str) -> tuple[int, int, int]:
    try:
        found = os.stat(path)
    except OSError:
        return (0, 0, 0)
    return (found.st_ino, found.st_size, found.st_mtime_ns)
