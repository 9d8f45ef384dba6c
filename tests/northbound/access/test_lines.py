# SPDX-License-Identifier: Apache-2.0
"""Empty lines before requests, and ends of lines after chunked bodies (RFC 9112 §2.2, §7.1)."""

from __future__ import annotations

import json
import socket
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

GET = b"GET /1 HTTP/1.1\r\nHost: x\r\n\r\n"
LAST = b"GET /2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
CHUNKED = b"POST /1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
POST = b"POST /1 HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi"


def _told(environ, start_response):
    said = environ["wsgi.input"].read().decode("latin-1")
    body = json.dumps([environ["PATH_INFO"], said]).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


def ask(port, *pieces):
    """Statuses and bodies of all answers to what is sent; each piece is one segment."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as wire:
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            wire.sendall(piece)
        wire.shutdown(socket.SHUT_WR)
        answers = wire.makefile("rb").read().split(b"HTTP/1.1 ")[1:]
    return [(int(one[:3]), one.partition(b"\r\n\r\n")[2]) for one in answers]


def paths(port, *pieces):
    """Paths that were answered, or the status where it was a refusal."""
    return [json.loads(body)[0] if s == 200 else s for s, body in ask(port, *pieces)]


@pytest.mark.parametrize(
    "pieces",
    [
        (b"\r\n" + LAST,),
        (b"\r", b"\n", LAST),
        (b"\r\n", LAST[:3], LAST[3:]),
        (b"\r\n" + GET + b"\r\n" + LAST,),
        (GET, b"\r\n", LAST),
        (POST + b"\r\n" + LAST,),
        (POST, b"\r", b"\n" + LAST),
        (CHUNKED + b"2\r\nhi\r\n0\r\n\r\n\r\n" + LAST,),
        (POST + b"\r\n",),
        (POST + b"\r\n" + POST + b"\r\n" + LAST,),
    ],
)
def test_one_empty_line_before_a_request_is_nothing(serve, pieces):
    """Old clients send one after a body."""
    _, port = serve(_told)
    found = paths(port, *pieces)
    whole = b"".join(pieces)
    assert found == ["/1"] * whole.count(b" /1") + ["/2"] * whole.count(LAST)


@pytest.mark.parametrize(
    "start", [b"\r\n\r\n", b"\n", b"\r\n\n", b"\n\r\n", b"\r", b"\r\r\n", b" \r\n", b"\r\n "]
)
def test_anything_more_is_no_request(serve, start):
    _, port = serve(_told)
    assert paths(port, start + LAST) == [400]
    assert paths(port, POST + start + LAST) == ["/1", 400]


@pytest.mark.parametrize(
    "end",
    [
        b"0\r\n\n",
        b"0\r\nX: y\n\r\n",
        b"0\r\nX: y\r\n\n",
        b"0\r\nX: y\n\n",
        b"0\r\nX: y\nZ: z\r\n\r\n",
        b"0\r\nX: y\r\n z\r\n\r\n",
        b"0\n\r\n",
        b"0\n\n",
    ],
)
def test_trailers_end_lines_as_heads_do(serve, end):
    """What takes LF alone for an end, and what does not, would see different requests."""
    _, port = serve(_told)
    for pieces in ((CHUNKED + b"2\r\nhi\r\n" + end + LAST,), (CHUNKED + b"2\r\nhi\r\n", end, LAST)):
        assert paths(port, *pieces) == [400]


@pytest.fixture
def port(serve):
    return serve(_told)[1]


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(cuts=st.sets(st.integers(1, 160), max_size=6), trailers=st.sampled_from([b"", b"X: y\r\n"]))
def test_segments_say_nothing(port, cuts, trailers):
    """Wherever a request is cut, it is the same one."""
    whole = b"\r\n" + CHUNKED + b"2\r\nhi\r\n3\r\nyou\r\n0\r\n" + trailers + b"\r\n\r\n" + LAST
    at = [0, *sorted(cut for cut in cuts if cut < len(whole)), len(whole)]
    pieces = [whole[a:b] for a, b in pairwise(at)]
    found = [json.loads(body) for _, body in ask(port, *pieces)]
    assert found == [["/1", "hiyou"], ["/2", ""]]
