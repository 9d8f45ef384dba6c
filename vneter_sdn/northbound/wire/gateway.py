# SPDX-License-Identifier: Apache-2.0
"""From a request on the wire to a WSGI application (PEP 3333), and back."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

Environ = dict[str, Any]
Headers = list[tuple[str, str]]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

OVER = "vneter.over"
"""In the environment, a function without arguments: whether the answer is of no use any more, for
the client is gone or the server ends. Whoever streams asks it once a second or so."""
VALID = "vneter.valid"
"""In the environment, a function without arguments: whether whoever asked may still be answered.
Asked before each piece of an answer, so that a watch ends with the token it was begun with."""
TRUSTED = "vneter.trusted"
"""Whether whoever comes without a credential is this machine's administrator: a bool."""
CERTIFICATE = "vneter.certificate"
"""The client's verified certificate as `ssl` gives it, or None."""

_HALF = re.compile("%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end, as far as sockets know."""

    address: str
    """Empty on unix sockets."""
    trusted: bool
    secured: bool
    certificate: dict[str, Any] | None = None
    server: tuple[str, int] = ("localhost", 0)


@dataclass(frozen=True, slots=True)
class Head:
    """A request's first line and headers."""

    method: str
    target: str
    version: str
    headers: tuple[tuple[str, str], ...]

    def get(self, name: str) -> str | None:
        """The first header of a lower-case name."""
        return next((value for key, value in self.headers if key == name), None)

    def count(self, name: str) -> int:
        """How often a header of a lower-case name is there."""
        return sum(key == name for key, _ in self.headers)

    @property
    def path(self) -> str:
        """The path alone, still percent-encoded."""
        return self.target.partition("?")[0]


def crowd_of(address: str) -> str:
    """Who counts as one: an IPv4 address, or the /64 of an IPv6 one; nobody is everybody local."""
    if ":" not in address:
        return address
    parsed = ip_address(address.partition("%")[0])
    if parsed.version == 6 and parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ip_address(int(parsed) >> 64 << 64))


def environ_of(head: Head, peer: Peer) -> Environ:
    """What the application is told of a request, all but its body.

    Names with an underscore are left out, for `X_A` would be taken for `X-A`.

    Raises:
        ValueError: the target is none that is served.
    """
    path, query = _target(head.target)
    environ: Environ = {
        "REQUEST_METHOD": head.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "SERVER_NAME": peer.server[0],
        "SERVER_PORT": str(peer.server[1]),
        "SERVER_PROTOCOL": f"HTTP/{head.version}",
        "REMOTE_ADDR": peer.address,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "https" if peer.secured else "http",
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
        TRUSTED: peer.trusted,
        CERTIFICATE: peer.certificate,
    }
    for name, value in head.headers:
        if "_" in name:
            continue
        field_name = name.upper().replace("-", "_")
        if field_name not in {"CONTENT_TYPE", "CONTENT_LENGTH"}:
            field_name = f"HTTP_{field_name}"
        before = environ.get(field_name)
        environ[field_name] = value if before is None else f"{before}, {value}"
    return environ


def _target(target: str) -> tuple[str, str]:
    """Path and query of a request target (RFC 9112 §3.2)."""
    if not target.startswith("/"):
        parts = urlsplit(target)
        if parts.scheme not in {"http", "https"} or not parts.netloc:
            raise ValueError("the request's target is not a path")
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    path, _, query = target.partition("?")
    if _HALF.search(target):
        raise ValueError("the request's target has a % that two hexadecimal digits do not follow")
    try:
        unquote_to_bytes(target).decode()
    except UnicodeDecodeError:
        raise ValueError("the request's target is not UTF-8, percent-encoded") from None
    return path, query


def with_body(environ: Environ, body: bytes) -> Environ:
    """The same, with the body that was read; it says its length however it was sent."""
    environ.pop("HTTP_TRANSFER_ENCODING", None)
    environ["wsgi.input"] = io.BytesIO(body)
    environ["CONTENT_LENGTH"] = str(len(body))
    return environ


@dataclass(slots=True)
class Answer:
    """Status and headers of an answer, as the application says them."""

    status: int = 500
    headers: Headers = field(default_factory=list)
    told: bool = False

    def start(self, status: str, headers: Headers, exc_info: Any = None) -> Callable[[bytes], None]:
        """PEP 3333's ``start_response``."""
        if self.told and exc_info is None:
            raise AssertionError("the answer was begun twice")
        self.status, self.headers, self.told = int(status.split(" ", 1)[0]), headers, True
        return _no_write


def _no_write(_data: bytes) -> None:
    raise NotImplementedError("applications of this server yield what they write")
