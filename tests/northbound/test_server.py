# SPDX-License-Identifier: Apache-2.0
"""The listening server and the client, over real sockets."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from vneter_sdn.config import Settings
from vneter_sdn.errors import Conflict, IntentError, NotFound, StoreUnavailable
from vneter_sdn.model.snapshot import Condition, Key, Status
from vneter_sdn.northbound.client import Client
from vneter_sdn.northbound.rest.app import THREADS
from vneter_sdn.northbound.server import Server, listen_options
from vneter_sdn.telemetry import logs

_KEY = Key("Network", "red", "web")


def test_a_client_writes_reads_and_deletes(client, red):
    done = client.apply(red, "hello")
    assert (done["revision"], len(done["created"])) == (1, 4)
    assert client.get("Network", "red", "web")["spec"]["prefixes"] == ["10.0.0.0/24"]
    assert len(client.list("ep", "red")) == 2
    assert [one["metadata"]["name"] for one in client.list("ep", selector="app")] == ["a"]
    assert client.delete("ep", "red", "a")["revision"] == 2
    assert client.apply([], delete=[Key("Endpoint", "red", "b"), _KEY])["revision"] == 3
    assert [one["author"] for one in client.revisions()] == ["tester"] * 3
    assert client.status()["kinds"]["Tenant"]["total"] == 1
    assert client.apply(red, dry_run=True)["revision"] == 3
    assert client.ready()


def test_the_servers_errors_arrive_as_themselves(client, red):
    client.apply(red)
    with pytest.raises(NotFound, match="Network red/x"):
        client.get("Network", "red", "x")
    with pytest.raises(IntentError) as refused:
        client.apply([{**red[1], "spec": {"prefixes": 1, "mtu": "x"}}])
    assert [(one.object, one.field, one.reason) for one in refused.value.problems] == [
        ("Network red/web", "spec.prefixes", "WrongType"),
        ("Network red/web", "spec.mtu", "WrongType"),
    ]
    with pytest.raises(Conflict):
        client.apply([{**red[0], "metadata": {"name": "red", "revision": 77}}])
    with pytest.raises(IntentError, match="labelSelector"):
        client.list("ep", selector="a b")


def test_a_database_out_of_reach(client, store):
    store.close()
    with pytest.raises(StoreUnavailable):
        client.status()
    assert not client.ready()


def test_nobody_listens():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(StoreUnavailable, match="cannot reach"):
            Client(f"http://127.0.0.1:{port}").status()


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"\xff", b""])
def test_somebody_else_listens(body):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer():
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                length = str(len(body)).encode()
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: " + length + b"\r\n\r\n")
                connection.sendall(body)

        other = threading.Thread(target=answer)
        other.start()
        with pytest.raises(StoreUnavailable, match="does not speak"):
            Client(f"http://127.0.0.1:{listener.getsockname()[1]}").status()
        other.join()


@pytest.mark.parametrize("server", ["", "127.0.0.1", "https://a", "http://", "http://a:x/"])
def test_no_such_server_address(server):
    with pytest.raises(IntentError, match="is not http"):
        Client(server)


def test_waiting_sees_the_report(client, store, red):
    client.apply(red)
    with pytest.raises(TimeoutError) as late:
        client.wait(*_KEY, timeout=0)
    assert late.value.args[1]["metadata"]["name"] == "web"
    ready = Status(_KEY, observed_revision=1, conditions=(Condition("Ready", "True", "Done"),))
    timer = threading.Timer(0.1, store.report, [[ready]])
    timer.start()
    assert client.wait(*_KEY, timeout=30)["status"]["observedRevision"] == 1
    timer.join()


def test_an_old_report_does_not_count(client, store, red):
    client.apply(red)
    ready = Status(_KEY, observed_revision=1, conditions=(Condition("Ready", "True", "Done"),))
    store.report([ready])
    red[1]["spec"]["mtu"] = 1300
    client.apply(red)
    with pytest.raises(TimeoutError):
        client.wait(*_KEY, timeout=0.3)


def test_more_waiters_than_threads_leave_others_served(client, server, store, red):
    client.apply(red)
    waiters = [
        threading.Thread(target=client.wait, args=_KEY, kwargs={"timeout": 60}) for _ in range(12)
    ]
    for waiter in waiters:
        waiter.start()
    hasty = Client(server.address, timeout=8)  # less than the server lets a request wait
    for _ in range(20):
        assert hasty.status()["revision"] == 1
    assert all(waiter.is_alive() for waiter in waiters)
    condition = Condition("Ready", "True", "Done")
    store.report([Status(_KEY, observed_revision=1, conditions=(condition,))])
    for waiter in waiters:
        waiter.join()


@pytest.fixture
def log():
    before = logging.root.handlers[:], logging.root.level
    stream = io.StringIO()
    logs.set_up(stream=stream)
    yield stream
    logging.root.handlers, logging.root.level = before


def test_how_long_requests_wait_for_a_thread_is_a_metric_and_no_warning(
    server, client, store, monkeypatch, log
):
    held, proceed, revisions = threading.Semaphore(0), threading.Event(), store.revisions

    def slow(*args, **named):
        held.release()
        assert proceed.wait(60)
        return revisions(*args, **named)

    def waiting():
        while not server._server.task_dispatcher.queue:
            time.sleep(0.001)

    monkeypatch.setattr(store, "revisions", slow)
    asking = [threading.Thread(target=client.revisions) for _ in range(THREADS + 1)]
    for one in asking:
        one.start()
    for _ in range(THREADS):
        assert held.acquire(timeout=60)
    waiting()
    since = time.monotonic()
    time.sleep(0.01)
    waited = time.monotonic() - since
    proceed.set()
    for one in asking:
        one.join()
    connection = http.client.HTTPConnection(server.address.removeprefix("http://"), timeout=20)
    connection.request("GET", "/metrics")
    found = re.findall(r"wait_seconds_(count|sum) (\S+)", connection.getresponse().read().decode())
    connection.close()
    told = {name: float(value) for name, value in found}
    assert told["count"] == THREADS + 2
    assert told["sum"] >= waited
    assert "warning" not in log.getvalue()


def test_waiting_for_deletion(client, red):
    client.apply(red)
    with pytest.raises(TimeoutError):
        client.wait_deleted(*_KEY, timeout=0)
    client.apply([], delete=[Key("Endpoint", "red", "a"), Key("Endpoint", "red", "b"), _KEY])
    client.wait_deleted(*_KEY, timeout=0)


def test_a_body_too_large_is_refused_before_it_is_read(server, store):
    host, port = server.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        head = "POST /v1/apply HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        connection.sendall(f"{head}Content-Length: 10000000\r\n\r\n".encode())
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        body = json.loads(answer.read())
    assert answer.status == 413
    assert answer.getheader("Content-Type") == "application/problem+json"
    assert (body["type"], body["instance"]) == ("urn:vneter:problem:too-large", "/v1/apply")
    assert store.snapshot().revision == 0


def test_a_chunked_body_too_large_is_refused(server):
    host, port = server.address.removeprefix("http://").split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=30)
    chunks = (b" " * 65536 for _ in range(160))
    headers = {"Content-Type": "application/json"}
    with contextlib.suppress(ConnectionError):
        connection.request("POST", "/v1/apply", chunks, headers, encode_chunked=True)
    assert connection.getresponse().status == 413
    connection.close()


def test_ten_megabytes_through_the_client(client, red):
    red[0]["spec"]["description"] = "x" * 10_000_000
    with pytest.raises(IntentError, match="8388608") as refused:
        client.apply(red)
    assert refused.value.problems[0].reason == "TooLarge"


def test_headers_too_large(server):
    host, port = server.address.removeprefix("http://").split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=20)
    connection.request("GET", "/healthz", headers={"X-Long": "x" * 20_000})
    answer = connection.getresponse()
    assert (answer.status, answer.getheader("Content-Type")) == (431, "application/problem+json")
    connection.close()


@pytest.mark.parametrize("noise", [b"\x16\x03\x01\x02\x00\x01\x00", b"hello\r\n\r\n", b"\r\n" * 9])
def test_noise_closes_only_its_own_connection(server, client, noise):
    host, port = server.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(noise)
        assert client.ready()


@pytest.mark.parametrize(
    "address",
    ["0.0.0.0:8181", "192.0.2.1:80", "[::]:80", "example.org:80", "8181", "127.0.0.1:x", "::1:9x"],
)
def test_only_loopback_is_listened_on(address):
    with pytest.raises(IntentError, match="loopback"):
        listen_options(address)


def test_loopback_addresses():
    assert listen_options("localhost:80") == {"host": "127.0.0.1", "port": 80}
    assert listen_options("[::1]:80") == {"host": "::1", "port": 80}


def test_a_unix_socket(store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # its path would be too long otherwise
    server = Server(store, Settings(api_listen="unix:api.sock"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        assert Client("unix:api.sock").status()["revision"] == 0
        assert os.stat("api.sock").st_mode & 0o777 == 0o600
    finally:
        server.stop()
        thread.join()
    assert not os.path.exists("api.sock")


def test_a_stopping_server_finishes_what_it_began(store, red, monkeypatch):
    server = Server(store, Settings(api_listen="127.0.0.1:0"))
    thread = threading.Thread(target=server.run)
    thread.start()
    began, proceed, seen = threading.Event(), threading.Event(), []
    apply = store.apply

    def slow(*args, **named):
        began.set()
        assert proceed.wait(30)
        return apply(*args, **named)

    monkeypatch.setattr(store, "apply", slow)
    asking = threading.Thread(target=lambda: seen.append(Client(server.address).apply(red)))
    asking.start()
    assert began.wait(30)
    server.stop()
    thread.join(timeout=1.5)  # it stays for the request, for a while
    proceed.set()
    asking.join()
    thread.join()
    assert seen[0]["revision"] == 1
    with pytest.raises(StoreUnavailable):
        Client(server.address).status()


def test_sigterm_ends_serve(tmp_path):
    program = (
        "from vneter_sdn.config import Settings\n"
        "from vneter_sdn.northbound.server import serve\n"
        "from vneter_sdn.store.memory import MemoryStore\n"
        "import logging; logging.basicConfig(level=logging.INFO)\n"
        "serve(MemoryStore(), Settings(api_listen='127.0.0.1:0'))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True)
    line = process.stderr.readline()
    address = line.split()[-1]
    assert Client(address).ready()
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 0
    process.stderr.close()
