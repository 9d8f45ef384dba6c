# SPDX-License-Identifier: Apache-2.0
"""Requests over HTTP, HTTPS or a unix socket, on the standard library."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import urlsplit

from vneter_sdn.errors import IntentError, Problem, StoreUnavailable

DEFAULT_SERVER = "http://127.0.0.1:8181"
_PORT = 8181


@dataclass(frozen=True, slots=True)
class Tls:
    """How to know the server, and how it knows us."""

    ca: str = ""
    """PEM file of whom to trust instead of the system's authorities."""
    certificate: str = ""
    """PEM file of our own certificate, for mutual TLS."""
    key: str = ""
    """PEM file of its private key."""

    def context(self) -> ssl.SSLContext:
        """What `ssl` makes connections with: TLS 1.2 at least, names and chains checked.

        Raises:
            IntentError: a file cannot be read, or is no such thing.
        """
        file = self.ca
        try:
            made = ssl.create_default_context(cafile=self.ca or None)
            made.minimum_version = ssl.TLSVersion.TLSv1_2
            if self.certificate:
                file = f"{self.certificate} {self.key}".strip()
                made.load_cert_chain(self.certificate, self.key or None)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            message = f"cannot be used: {getattr(error, 'strerror', '') or error}"
            raise IntentError(Problem("client", file, "InvalidCertificate", message)) from None
        return made


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens."""

    scheme: str
    """``http``, ``https`` or ``unix``."""
    host: str
    """Its name or address; the path of a unix socket."""
    port: int = 0

    @property
    def private(self) -> bool:
        """Whether nobody in between can read what is said: TLS, loopback or a unix socket."""
        if self.scheme != "http" or self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False


def address_of(server: str) -> Address:
    """Read ``https://HOST:PORT``, ``http://HOST:PORT`` or ``unix:PATH``.

    Raises:
        IntentError: it is none of them.
    """
    if server.startswith("unix:") and len(server) > len("unix:"):
        return Address("unix", server.removeprefix("unix:"))
    try:
        parts = urlsplit(server)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    good = host and host.isascii() and parts.scheme in {"http", "https"}
    if not good or parts.path not in {"", "/"} or parts.query or parts.fragment or parts.username:
        message = f"{server!r} is not http://HOST:PORT, https://HOST:PORT or unix:PATH"
        raise IntentError(Problem("client", "server", "InvalidAddress", message))
    return Address(parts.scheme, host, port or _PORT)


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer, whole."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    """By name in lower case."""
    data: bytes = b""


class Dropped(StoreUnavailable):
    """The connection broke after the request was sent: nobody knows whether it was done."""


class Silent(StoreUnavailable):
    """The server did not answer in time."""


class Transport:
    """Requests to one server, each on a connection of its own, so that threads may share it."""

    def __init__(self, server: str, *, timeout: float = 60.0, tls: Tls | None = None) -> None:
        """Talk to a server.

        Args:
            server: as `address_of` reads it.
            timeout: seconds to wait for anything to arrive.
            tls: for ``https``.

        Raises:
            IntentError: ``server`` is no such address.
        """
        self.server, self.timeout = server, timeout
        self.address = address_of(server)
        self._tls = tls or Tls()
        self._context: ssl.SSLContext | None = None

    def patient(self, timeout: float) -> Transport:
        """To the same server, with another timeout."""
        return Transport(self.server, timeout=timeout, tls=self._tls)

    def exchange(
        self, method: str, target: str, data: bytes | None, headers: Mapping[str, str]
    ) -> Reply:
        """Ask, and wait for the whole answer.

        Raises:
            Dropped: the connection broke when the server may have heard us.
            StoreUnavailable: the server cannot be reached.
        """
        with self._connected() as connection, self._told(Dropped):
            _send(connection, method, target, data, headers)
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Reply(answer.status, found, answer.read())

    @contextmanager
    def stream(
        self, target: str, headers: Mapping[str, str]
    ) -> Iterator[tuple[Reply, Iterator[bytes]]]:
        """Ask, and read the answer line by line as it comes, without its line ends.

        An answer that is no success comes whole, as a Reply with data, and has no lines.
        """
        with self._connected() as connection:
            with self._told(Dropped):
                _send(connection, "GET", target, None, headers)
                answer = connection.getresponse()
                found = {name.lower(): value for name, value in answer.getheaders()}
                data = b"" if answer.status == 200 else answer.read()
            yield Reply(answer.status, found, data), self._lines(answer)

    def _lines(self, answer: http.client.HTTPResponse) -> Iterator[bytes]:
        while True:
            with self._told(Dropped):
                line = answer.readline(_MAX_LINE)
                if len(line) == _MAX_LINE:
                    raise http.client.LineTooLong("event")
            if not line:
                return
            yield line.rstrip(b"\r\n")

    @contextmanager
    def _connected(self) -> Iterator[http.client.HTTPConnection]:
        connection = self._connection()
        try:
            with self._told(StoreUnavailable):
                connection.connect()
            yield connection
        finally:
            connection.close()

    @contextmanager
    def _told(self, failure: type[StoreUnavailable]) -> Iterator[None]:
        try:
            yield
        except (OSError, http.client.HTTPException) as error:
            cause = Silent if isinstance(error, TimeoutError) else failure
            raise cause(f"cannot reach {self.server}: {_reason(error)}") from error

    def _connection(self) -> http.client.HTTPConnection:
        at = self.address
        if at.scheme == "unix":
            return _UnixConnection(at.host, self.timeout)
        if at.scheme == "http":
            return http.client.HTTPConnection(at.host, at.port, timeout=self.timeout)
        self._context = self._context or self._tls.context()
        return http.client.HTTPSConnection(
            at.host, at.port, timeout=self.timeout, context=self._context
        )


_MAX_LINE = 16 * 1024 * 1024


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path, self._seconds = path, timeout

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self._seconds)
        self.sock.connect(self._path)


def _send(
    connection: http.client.HTTPConnection,
    method: str,
    target: str,
    data: bytes | None,
    headers: Mapping[str, str],
) -> None:
    try:
        connection.request(method, target, data, dict(headers))
    except (BrokenPipeError, ConnectionResetError):
        # A server that refuses a body by its length answers and closes before it is all sent; the
        # answer is there to read.
        if data is None:
            raise


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason or error}"
    return getattr(error, "strerror", "") or str(error) or type(error).__name__
