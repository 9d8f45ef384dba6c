# SPDX-License-Identifier: Apache-2.0
"""Heads of requests, each read in one way or not at all; and what is answered when it is not."""

from __future__ import annotations

import re

import h11

from vneter_sdn.northbound.wire.gateway import Head, Headers

MAX_HEADER = 16 * 1024
"""Octets of a request's first line and headers."""
_MAX_FIELDS = 100
_LONGEST_WHY = 200
_END = re.compile(rb"\n\r?\n")
_LOOSE = re.compile(rb"(?<!\r)\n|\n[ \t]")
"""A line that ends with LF alone, or goes on on the next: some take it for one, some for two."""


class Refusal(Exception):
    """The server itself answers, with a problem, and closes the connection."""

    def __init__(self, status: int, detail: str, headers: Headers | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, headers or []


def head_of(event: h11.Request) -> Head:
    """A request's head, if it is one that can be read in one way only.

    Raises:
        Refusal: it is too long, or its length is given in two ways.
    """
    headers = tuple((k.decode("latin-1"), v.decode("latin-1")) for k, v in event.headers)
    size = len(event.target) + sum(len(name) + len(value) + 4 for name, value in headers)
    if size > MAX_HEADER or len(headers) > _MAX_FIELDS:
        raise _too_much_head()
    head = Head(
        event.method.decode("latin-1"),
        event.target.decode("latin-1"),
        event.http_version.decode("latin-1"),
        headers,
    )
    if head.version not in {"1.0", "1.1"}:
        raise Refusal(505, "this server speaks HTTP/1.1")
    if head.count("transfer-encoding") and (head.count("content-length") or head.version < "1.1"):
        raise Refusal(400, "the request's length is given in two ways")
    return head


def _too_much_head() -> Refusal:
    what = f"request headers are at most {MAX_HEADER} bytes long, and {_MAX_FIELDS} in number"
    return Refusal(431, what)


def require_strict(held: bytes) -> None:
    """Refuse a head with line ends that two parties could read differently (RFC 9112 §2.2, §5.2).

    Raises:
        Refusal: so.
    """
    end = _END.search(held)
    if end is not None and _LOOSE.search(held, 0, end.end()):
        raise Refusal(400, "header lines end with CR and LF, and none goes on on the next")


def require_strict_end(read: bytes) -> None:
    """The same of the end of a chunked body: the line of its last chunk, and trailers (§7.1).

    Args:
        read: what was taken for the end; nothing of a body of a known length. Where it begins with
            LF and goes on, CR came before, at the end of the chunk that is over.

    Raises:
        Refusal: so.
    """
    begun = int(len(read) > 1 and read.startswith(b"\n"))
    if _LOOSE.search(read, begun):
        raise Refusal(400, "lines after a chunked body end with CR and LF, and none goes on")


def not_http(error: h11.RemoteProtocolError) -> Refusal:
    """What is answered to octets that h11 does not take for a request."""
    if error.error_status_hint == 431:
        return _too_much_head()
    if error.error_status_hint == 501:
        return Refusal(501, "the only Transfer-Encoding that is read is chunked, once")
    why = "".join(one for one in str(error)[:_LONGEST_WHY] if one.isprintable())
    return Refusal(error.error_status_hint, f"this is not a request of HTTP/1.1: {why}")
