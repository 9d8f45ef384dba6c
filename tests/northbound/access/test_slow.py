# SPDX-License-Identifier: Apache-2.0
"""Clients that are slow, stall, talk nonsense, or are too many: they cost only themselves."""

from __future__ import annotations

import http.client
import io
import json
import socket
import threading
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vneter_sdn.client import Client
from vneter_sdn.config import Settings
from vneter_sdn.northbound.wire import front
from vneter_sdn.northbound.wire.connection import Pace
from vneter_sdn.northbound.wire.doors import address_of, opened
from vneter_sdn.northbound.wire.front import Front
from vneter_sdn.northbound.wire.gateway import OVER, VALID, crowd_of

_ALMOST = (
    rb"(GET|POST) /[^\r\n]{0,9} HTTP/1.[01]\r\n([A-Za-z-]{1,9}:[^\n]{0,20}\r\n){0,5}\r\n.{0,20}"
)
HASTE = Pace(idle=60, head=0.3, silence=0.3, body=1.0, stall=0.3, handshake=0.3, drain=20)
"""With those whom a test means to be slow, and with nobody whom the machine makes slow."""


def wire_to(server):
    host, port = server.address.rpartition("/")[2].rsplit(":", 1)
    return socket.create_connection((host, int(port)), timeout=20)


class Octets(io.BytesIO):
    """What came on a connection, for several to read one after the other."""

    def makefile(self, _mode):
        return self

    def close(self):
        """The next one reads on."""


def answer_on(wire):
    found = http.client.HTTPResponse(wire)
    found.begin()
    return found.status, found.read(), found.getheader("Content-Type")


@pytest.fixture
def hasty(start):
    """A server that has little patience."""
    return start(Settings(api_listen="127.0.0.1:0"), HASTE)


def test_more_dawdlers_than_threads_disturb_nobody(hasty):
    wires = [wire_to(hasty) for _ in range(60)]
    for wire in wires:
        wire.sendall(b"GET / HTTP/1.1\r\nX: ")
    client = Client(hasty.address, timeout=20)
    assert all(client.ready() for _ in range(5))
    for wire in wires:
        assert answer_on(wire)[0] == 408
        assert wire.recv(1) == b""
        wire.close()


def test_headers_that_come_octet_by_octet_have_no_more_time_than_others(hasty):
    with wire_to(hasty) as wire:
        began = time.monotonic()
        gone = False
        while not gone:  # each octet is in time, and all of them are not
            assert time.monotonic() - began < 60
            try:
                wire.sendall(b"G")
                wire.settimeout(0.05)
                gone = bool(wire.recv(4096))
            except TimeoutError:
                continue
            except OSError:
                gone = True


@pytest.mark.parametrize(
    "head", [b"Content-Length: 100\r\n\r\nx", b"Transfer-Encoding: chunked\r\n\r\n5\r\nab"]
)
def test_a_body_that_does_not_come(hasty, head):
    with wire_to(hasty) as wire:
        wire.sendall(b"POST /v1/apply HTTP/1.1\r\nHost: localhost\r\n" + head)
        status, body, media = answer_on(wire)
    assert (status, media) == (408, "application/problem+json")
    assert json.loads(body)["type"] == "urn:vneter:problem:too-slow"


def test_who_says_nothing_is_hung_up_on(start):
    server = start(Settings(api_listen="127.0.0.1:0"), Pace(idle=3.0))
    with wire_to(server) as silent, wire_to(server) as done:
        done.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert answer_on(done)[0] == 200
        assert done.recv(1) == b""
        assert silent.recv(1) == b""


def test_a_handshake_that_does_not_come_to_an_end(start, secure, grant, trusting):
    grant("ci")
    server = start(secure(), HASTE)
    with wire_to(server) as wire:
        assert wire.recv(1) == b""
    with wire_to(server) as wire:
        wire.sendall(b"\x16\x03\x01\x02\x00\x01")
        assert wire.recv(100) == b""


# ---- a front with an application of the test's own


def _get(port, path="/", method="GET", **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request(method, path, headers=headers)
    return connection, connection.getresponse()


def test_a_reader_that_stalls_is_cut_off_and_its_thread_comes_free(serve):
    ended = threading.Event()

    def app(environ, start_response):
        start_response("200 OK", [])
        try:
            while environ["PATH_INFO"] == "/for-ever":
                yield b"x" * 100_000
            yield b"done"
        finally:
            ended.set()

    _, port = serve(app, threads=1, pace=HASTE)
    with socket.create_connection(("127.0.0.1", port), timeout=20) as wire:
        wire.sendall(b"GET /for-ever HTTP/1.1\r\nHost: x\r\n\r\n")
        assert ended.wait(30)
        connection, answer = _get(port)
        assert answer.read() == b"done"
        connection.close()


def test_a_slow_reader_that_reads_gets_everything(serve):
    whole = bytes(range(256)) * 20_000

    def app(_environ, start_response):
        start_response("200 OK", [("Content-Length", str(len(whole)))])
        return [whole]

    _, port = serve(app, pace=Pace(stall=10.0))
    connection, answer = _get(port)
    found = b""
    while part := answer.read(70_000):
        found += part
    assert found == whole
    connection.close()


def test_a_stream_ends_when_its_client_is_gone_and_when_the_server_ends(serve):
    over, begun = threading.Semaphore(0), threading.Semaphore(0)

    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        yield b"event: one\n\n"
        begun.release()
        while not environ[OVER]():
            time.sleep(0.01)
        over.release()
        yield b"event: last\n\n"

    served, port = serve(app, pace=HASTE)
    gone, answer = _get(port)
    assert answer.readline() == b"event: one\n"
    stays, other = _get(port)
    assert begun.acquire(timeout=30)
    assert begun.acquire(timeout=30)
    answer.close()
    gone.close()
    assert over.acquire(timeout=30)
    served.stop()
    assert over.acquire(timeout=30)
    assert other.read() == b"event: one\n\nevent: last\n\n"  # whole, and not cut off
    stays.close()


def test_a_stream_ends_when_whoever_asked_may_not_read_on(serve):
    valid = threading.Event()
    valid.set()

    def gate(environ):
        environ[VALID] = valid.is_set

    def app(_environ, start_response):
        start_response("200 OK", [])
        yield b"one"
        valid.clear()
        yield b"two"

    _, port = serve(app, pace=HASTE, gate=gate)
    connection, answer = _get(port)
    with pytest.raises(http.client.IncompleteRead) as cut:
        answer.read()
    assert cut.value.partial == b"one"
    connection.close()


def test_an_application_that_fails_is_cut_off(serve, caplog):
    def app(environ, start_response):
        if environ["PATH_INFO"] == "/late":
            start_response("200 OK", [("Content-Length", "10")])
            yield b"half"
        raise RuntimeError("no")

    _, port = serve(app, pace=HASTE)
    connection, answer = _get(port, "/late")
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        answer.read()
    connection.close()
    with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
        _get(port, "/early")
    assert "failed" in caplog.text


def _echo(environ, start_response):
    found = {
        name: value for name, value in environ.items() if name.startswith(("HTTP_", "CONTENT"))
    }
    found["body"] = environ["wsgi.input"].read().decode("latin-1")
    found |= {name: environ[name] for name in ("PATH_INFO", "QUERY_STRING", "REQUEST_METHOD")}
    body = json.dumps(found).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


def test_what_the_application_is_told(serve):
    _, port = serve(_echo)
    with socket.create_connection(("127.0.0.1", port), timeout=20) as wire:
        wire.sendall(
            b"POST http://x/a%20b%2Fc?d=%20 HTTP/1.1\r\nHost: x\r\nX-A: 1\r\nX_A: forged\r\n"
            b"X-A: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"
            b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n"
            b"GET /2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        answers = Octets(wire.makefile("rb").read())
    told = json.loads(answer_on(answers)[1])
    assert told["PATH_INFO"] == "/a b/c"
    assert (told["QUERY_STRING"], told["body"], told["CONTENT_LENGTH"]) == ("d=%20", "hi", "2")
    assert told["HTTP_X_A"] == "1, 2"
    assert "HTTP_TRANSFER_ENCODING" not in told
    head = http.client.HTTPResponse(answers, method="HEAD")
    head.begin()
    assert (head.status, head.read()) == (200, b"")
    assert json.loads(answer_on(answers)[1])["PATH_INFO"] == "/2"


def test_a_client_that_waits_for_leave_gets_it(serve):
    _, port = serve(_echo)
    with socket.create_connection(("127.0.0.1", port), timeout=20) as wire:
        wire.sendall(
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
        )
        assert wire.recv(25).startswith(b"HTTP/1.1 100 ")
        wire.sendall(b"ok")
        assert json.loads(answer_on(wire)[1])["body"] == "ok"


@pytest.mark.parametrize(
    "request_",
    [
        b"PUT / HTTP/1.1\r\nHost:x\r\nTransfer-Encoding:chunked\r\nContent-Length:9\r\n\r\n0\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +3\r\n\r\nabc",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n folded\r\n y: \x00\r\n\r\n",
        b"GET / HTTP/2.0\r\nHost: x\r\n\r\n",
        b"GET ftp://x/ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET  / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\nHost: x\n\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: a\nContent-Length: 9\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: y\r\n\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: a\r\n Content-Length: 9\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: a\r\n\t b\r\n\r\n",
        b"GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /% HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /%ff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /?a=%c3 HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
def test_what_two_could_read_differently_is_refused(serve, request_):
    _, port = serve(_echo)
    with socket.create_connection(("127.0.0.1", port), timeout=20) as wire:
        wire.sendall(request_)
        status, body, media = answer_on(wire)
        assert status in {400, 501, 505}, body
        assert media == "application/problem+json"
        assert wire.recv(1) == b""


def test_a_body_may_have_any_line_ends(serve):
    _, port = serve(_echo)
    body = b"a\n\nb\n c"
    with socket.create_connection(("127.0.0.1", port), timeout=20) as wire:
        head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n" % len(body)
        for part in (head[:30], head[30:-1], head[-1:], b"\r", b"\n" + body[:2], body[2:]):
            wire.sendall(part)
        assert json.loads(answer_on(wire)[1])["body"] == body.decode()
        wire.sendall(head + b"\r\n" + body + head + b"\r\n" + body)  # two at once
        answers = Octets(wire.recv(65536))
        while answers.getvalue().count(b"HTTP/1.1 200 OK\r\n") < 2:
            answers = Octets(answers.getvalue() + wire.recv(65536))
    assert json.loads(answer_on(answers)[1])["body"] == body.decode()


@pytest.mark.parametrize(
    ("request_", "line"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"HTTP/1.1 200 OK\r\n"),
        (b"GET / HTTP/1.1\r\n\r\n", b"HTTP/1.1 400 Bad Request\r\n"),
        (b"GET / HTTP/3.0\r\nHost: x\r\n\r\n", b"HTTP/1.1 505 HTTP Version Not Supported\r\n"),
    ],
)
def test_the_status_line_has_a_phrase(serve, request_, line):
    _, port = serve(_echo)
    with socket.create_connection(("127.0.0.1", port), timeout=20) as wire:
        wire.sendall(request_)
        assert wire.makefile("rb").readline() == line


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(noise=st.binary(max_size=300) | st.from_regex(_ALMOST))
def test_any_octets_are_answered_or_hung_up_on(serve_echo, noise):
    with socket.create_connection(("127.0.0.1", serve_echo), timeout=20) as wire:
        wire.sendall(noise)
        wire.shutdown(socket.SHUT_WR)
        found = b""
        while part := wire.recv(65536):
            found += part
    assert not found or found.startswith(b"HTTP/1.1 ")
    connection, answer = _get(serve_echo, "/after")
    assert answer.status == 200
    connection.close()


@pytest.fixture
def serve_echo(serve):
    return serve(_echo, pace=Pace(idle=2.0, head=2.0))[1]


def test_too_many_connections_are_closed_and_others_go_on(serve, monkeypatch):
    monkeypatch.setattr(front, "CONNECTIONS", 3)
    _, port = serve(_echo)
    first, answer = _get(port)
    answer.read()
    more = [socket.create_connection(("127.0.0.1", port), timeout=20) for _ in range(2)]
    for wire in more:  # accepted for sure before the next one comes
        wire.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert answer_on(wire)[0] == 200
    with socket.create_connection(("127.0.0.1", port), timeout=20) as late:
        assert late.recv(1) == b""
    for wire in more:
        wire.close()
    first.request("GET", "/")
    assert first.getresponse().status == 200
    first.close()


def test_an_address_has_no_more_connections_than_others(monkeypatch):
    monkeypatch.setattr(front, "PER_ADDRESS", 2)
    door = opened(address_of("127.0.0.1:0"), trusted=False, secured=False)
    served = Front(_echo, [door], threads=1)
    try:
        assert [served._admitted(door, "192.0.2.1") for _ in range(3)] == [True, True, False]
        assert served._admitted(door, "192.0.2.2")
    finally:
        door.close()
        served._loop.close()


def test_who_counts_as_one():
    assert crowd_of("192.0.2.1") == "192.0.2.1"
    assert crowd_of("2001:db8:0:1::5") == crowd_of("2001:db8:0:1:9::1") == "2001:db8:0:1::"
    assert crowd_of("::ffff:192.0.2.1") == "192.0.2.1"
    assert crowd_of("fe80::1%eth0") == "fe80::"
    assert crowd_of("") == ""


def test_bodies_that_are_kept_are_bounded(serve, monkeypatch):
    monkeypatch.setattr(front, "BODIES", 100)
    _, port = serve(_echo)
    with socket.create_connection(("127.0.0.1", port), timeout=20) as wire:
        wire.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 101\r\n\r\n" + b"x" * 101)
        assert answer_on(wire)[0] == 503
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    for _ in range(3):  # what was kept is given back
        connection.request("POST", "/", b"x" * 100)
        assert connection.getresponse().read()
    connection.close()


def test_a_dead_servers_socket_is_taken_over_and_a_live_ones_is_not(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    address = address_of("unix:x.sock")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind("x.sock")
    door = opened(address, trusted=True, secured=False)
    with pytest.raises(OSError, match="in use"):
        opened(address, trusted=True, secured=False)
    door.close()
