# SPDX-License-Identifier: Apache-2.0
"""Watches: what is told, from where on, and what becomes of consumers that stall."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading

import pytest
from werkzeug.exceptions import ServiceUnavailable

from vneter_sdn.client import Client
from vneter_sdn.config import Settings
from vneter_sdn.errors import Throttled
from vneter_sdn.model.snapshot import Condition, Key, Status
from vneter_sdn.northbound.access.identity import LOCAL, Identity
from vneter_sdn.northbound.rest.app import create_app
from vneter_sdn.northbound.rest.watching import COME_AGAIN, Room
from vneter_sdn.northbound.server import Server
from vneter_sdn.northbound.wire.connection import Pace

_WEB = Key("Network", "red", "web")


def _events(text):
    for block in text.split("\n\n"):
        fields = [line.partition(": ") for line in block.splitlines()]
        found = {name: value for name, _, value in fields if name}
        if "event" in found:
            data = json.loads(found["data"])
            assert (found["event"], found.get("id", "")) == (data["type"], data["position"])
            yield data


def _watch(rest, path="/v1/watch", headers=None, **query):
    """Everything that there is to tell by now."""
    answer = rest.get(path, query_string={"timeout": 0} | query, headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.content_type == "text/event-stream; charset=utf-8"
    return list(_events(answer.text))


def _short(events):
    told = [(one["type"], one.get("object", {}).get("metadata", {}).get("name")) for one in events]
    return [one for one in told if one[0] != "bookmark"]


@pytest.fixture
def applied(rest, red):
    assert rest.post("/v1/apply", json={"objects": red}).status_code == 200


def _position(rest, path="/v1/tenants"):
    return rest.get(path).json["metadata"]["position"]


def test_what_there_is_comes_first(rest, applied):
    events = _watch(rest, kinds="networks,endpoints")
    assert _short(events) == [("added", "a"), ("added", "b"), ("added", "web")]
    assert [one["position"] for one in events[:3]] == [""] * 3
    assert (events[3]["type"], events[3]["revision"]) == ("bookmark", 1)
    assert events[2]["object"] == rest.get("/v1/tenants/red/networks/web").json
    assert _short(_watch(rest, since=events[3]["position"])) == []


def test_what_happens_is_told_once_and_in_order(rest, store, applied):
    since = _position(rest)
    rest.put("/v1/tenants/red/networks/db", json={"spec": {"prefixes": ["10.1.0.0/24"]}})
    rest.delete("/v1/tenants/red/endpoints/a")
    store.report([Status(_WEB, 1, (Condition("Ready", "True", "Done"),))])
    events = _watch(rest, since=since, kinds="networks,ep")
    assert _short(events) == [("deleted", "a"), ("added", "db"), ("modified", "web")]
    assert events[2]["object"]["status"]["conditions"][0]["status"] == "True"
    for number, event in enumerate(events[:3], 1):
        again = _watch(rest, headers={"Last-Event-ID": event["position"]}, kinds="networks,ep")
        assert _short(again) == _short(events)[number:]


def test_each_look_is_a_step(rest, store, applied):
    since = _position(rest)
    told = []
    for mtu in (1300, 1400, 1300):
        rest.put("/v1/tenants/red/networks/web",
                 json={"spec": {"prefixes": ["10.0.0.0/24"], "mtu": mtu}})  # fmt: skip
        _position(rest)
    for event in _watch(rest, since=since, kinds="networks"):
        told += [event["object"]["spec"]["mtu"]] if event["type"] == "modified" else []
    assert told == [1300, 1400, 1300]


def test_what_is_selected_no_more_was_deleted(rest, applied):
    since = _position(rest)

    def label(name, labels):
        body = {"metadata": {"labels": labels}, "spec": {"network": "web"}}
        assert rest.put(f"/v1/tenants/red/endpoints/{name}", json=body).status_code == 200
        _position(rest)

    label("a", {})
    label("b", {"app": "x"})
    label("b", {"app": "x", "more": "y"})
    events = _watch(rest, since=since, kinds="Endpoint", labelSelector="app=x")
    assert _short(events) == [("deleted", "a"), ("added", "b"), ("modified", "b")]
    events = _watch(rest, since=since, fieldSelector="metadata.labels[more]=y")
    assert _short(events) == [("added", "b")]


def test_a_tenants_watch_is_of_that_tenant(rest, applied):
    since = _position(rest)
    rest.put("/v1/tenants/blue", json={"spec": {}})
    rest.put("/v1/tenants/blue/networks/db", json={"spec": {"prefixes": ["10.1.0.0/24"]}})
    assert _short(_watch(rest, "/v1/tenants/red/watch", since=since)) == []
    assert _short(_watch(rest, "/v1/tenants/blue/watch", since=since)) == [("added", "db")]
    names = [name for _, name in _short(_watch(rest, "/v1/tenants/red/watch"))]
    assert names == ["a", "b", "web"]


def test_positions_that_nobody_can_go_on_from(rest, applied):
    epoch, step, _ = _position(rest).split("-")
    for gone in (f"00000000-{step}-0", f"{epoch}-0-0", f"{epoch}-999-0"):
        answer = rest.get("/v1/watch", query_string={"since": gone, "timeout": 0})
        assert (answer.status_code, answer.json["type"]) == (410, "urn:vneter:problem:gone")
    for noise in ("1", "x", f"{epoch}-{step}", "ÿ"):
        answer = rest.get("/v1/watch", query_string={"since": noise, "timeout": 0})
        assert (answer.status_code, answer.json["errors"][0]["field"]) == (400, "since")


@pytest.mark.parametrize(
    ("query", "field"),
    [("kinds=nothing", "kinds"), ("timeout=-1", "timeout"), ("timeout=NaN", "timeout"),
     ("fieldSelector=spec.nothing=x", "fieldSelector"), ("labelSelector=a%20b", "labelSelector")],
)  # fmt: skip
def test_bad_queries(rest, query, field):
    answer = rest.get(f"/v1/watch?{query}")
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (400, field)


def test_head_says_no_length_that_the_stream_has_not(rest):
    head = rest.head("/v1/watch")
    with rest.get("/v1/watch?timeout=0") as whole:
        assert head.headers == whole.headers
    assert "Content-Length" not in head.headers


def test_head_opens_no_stream(rest):
    assert rest.head("/v1/watch").data == b""


def test_there_is_room_for_so_many(store):
    app = create_app(store, Settings(api_watchers=2))
    rest = app.test_client()
    open_ones = [rest.get("/v1/watch", buffered=False) for _ in range(2)]
    refused = rest.get("/v1/watch")
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, str(COME_AGAIN))
    assert refused.json["type"] == "urn:vneter:problem:busy"
    open_ones.pop().close()
    assert _watch(rest)
    app.extensions["vneter.stop"]()
    assert b"bookmark" in b"".join(open_ones.pop().response)


def test_one_credential_leaves_room_for_others():
    room, ada, bob = Room(4), Identity("token:ada", "token"), Identity("token:bob", "token")
    leave = [room.enter(ada) for _ in range(2)]
    with pytest.raises(Throttled) as refused:
        room.enter(ada)
    assert refused.value.retry_after == COME_AGAIN
    leave[0]()
    room.enter(ada)
    room.enter(bob)
    room.enter(LOCAL)
    with pytest.raises(ServiceUnavailable):
        room.enter(LOCAL)


def test_who_fell_behind_is_told_so(store, monkeypatch):
    monkeypatch.setattr("vneter_sdn.northbound.feed.Feed.__init__.__defaults__", (4,))
    rest = create_app(store, Settings()).test_client()
    stream = iter(rest.get("/v1/watch", buffered=False).response)
    assert b"retry" in next(stream)
    assert b"bookmark" in next(stream)
    for number in range(6):
        rest.put(f"/v1/tenants/t{number}", json={"spec": {}})
        _position(rest)
    (gone,) = _events(b"".join(stream).decode())
    assert (gone["type"], gone["position"]) == ("gone", "")
    assert gone["detail"]


def test_silence_is_broken_by_bookmarks(rest, store, applied, monkeypatch):
    monkeypatch.setattr("vneter_sdn.northbound.rest.watching.HEARTBEAT", 0.0)
    since = _position(rest)
    stream = iter(rest.get(f"/v1/watch?kinds=hosts&since={since}", buffered=False).response)
    assert next(stream).startswith(b"retry")
    assert next(stream) == b": alive\n\n"
    rest.delete("/v1/tenants/red/endpoints/a")
    for chunk in stream:
        if chunk != b": alive\n\n":
            break
    (bookmark,) = _events(chunk.decode())
    assert (bookmark["type"], bookmark["revision"]) == ("bookmark", 2)
    assert bookmark["position"] != since


class _Live:
    """A watch on a listening server."""

    def __init__(self, server, query=""):
        host, port = server.address.removeprefix("http://").split(":")
        self.connection = http.client.HTTPConnection(host, int(port), timeout=60)
        self.connection.request("GET", f"/v1/watch{query}", headers={"Host": "localhost"})
        self.answer = self.connection.getresponse()
        assert self.answer.status == 200

    def until(self, wanted):
        block = b""
        while not (block.endswith(b"\n\n") and wanted in block):
            block = b"" if block.endswith(b"\n\n") else block
            line = self.answer.readline()
            assert line, "the stream ended"
            block += line
        return next(_events(block.decode()))


def test_over_a_socket_it_is_told_at_once(server, client, red):
    watch = _Live(server, "?kinds=networks")
    watch.until(b"event: bookmark")
    client.apply(red)
    told = watch.until(b"event: added")
    assert told["object"]["metadata"]["name"] == "web"
    watch.connection.close()
    again = _Live(server, f"?kinds=networks&since={told['position']}&timeout=0")
    assert b"event: added" not in again.answer.read()
    again.connection.close()


def _heavy(number):
    """Annotations of half a megabyte: 25 changes of them are more than any socket holds."""
    return {f"n{index}": f"{number:02}" * 30_000 for index in range(8)}


def test_a_stalled_consumer_harms_nobody(server, store, client, red):
    client.apply(red)
    host, port = server.address.removeprefix("http://").split(":")
    with socket.socket() as stalled:
        stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stalled.connect((host, int(port)))
        stalled.sendall(b"GET /v1/watch HTTP/1.1\r\nHost: localhost\r\n\r\n")
        stalled.recv(1)
        live = _Live(server, "?kinds=networks")
        live.until(b"event: bookmark")
        for number in range(25):
            red[1]["metadata"]["annotations"] = _heavy(number)
            client.apply(red[1:2])
            told = live.until(b"event: modified")
            assert told["object"]["metadata"]["annotations"]["n0"].startswith(f"{number:02}")
        assert client.status()["revision"] == 26
        live.connection.close()


@pytest.fixture
def narrow(store):
    """A server with room for two watches, that waits half a second for stalled clients."""
    running = Server(store, Settings(api_listen="127.0.0.1:0", api_watchers=2),
                     pace=Pace(stall=0.5))  # fmt: skip
    thread = threading.Thread(target=running.run)
    thread.start()
    yield running
    running.stop()
    thread.join()


def _entered(server):
    """A watch, as soon as there is room."""
    while True:
        with contextlib.suppress(AssertionError):
            return _Live(server)


def test_a_stalled_consumer_is_cut_off(narrow, store, red):
    keeping = _Live(narrow, "?kinds=hosts")
    host, port = narrow.address.removeprefix("http://").split(":")
    client = Client(narrow.address)
    with socket.socket() as stalled:
        stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stalled.connect((host, int(port)))
        stalled.sendall(b"GET /v1/watch HTTP/1.1\r\nHost: localhost\r\n\r\n")
        stalled.recv(1)
        with pytest.raises(AssertionError):
            _Live(narrow)
        for number in range(25):
            red[0]["metadata"]["annotations"] = _heavy(number)
            client.apply(red[:1])
        other = _entered(narrow)
        other.connection.close()
    keeping.connection.close()


def test_a_client_that_leaves_makes_room(narrow):
    lives = [_Live(narrow, "?kinds=hosts") for _ in range(2)]
    lives[0].connection.close()
    lives[0].answer.close()
    _entered(narrow).connection.close()
    lives[1].connection.close()


def test_many_watch_at_once_and_see_the_same_in_the_end(server, client, red):
    client.apply(red)
    lives = [_Live(server, "?kinds=tenants") for _ in range(6)]
    seen: list[list[str]] = [[] for _ in lives]

    def follow(live, told):
        while told[-1:] != ["19"]:
            told.append(live.until(b"event: modified")["object"]["spec"]["description"])

    for live in lives:
        live.until(b"event: bookmark")
    threads = [threading.Thread(target=follow, args=each) for each in zip(lives, seen, strict=True)]
    for thread in threads:
        thread.start()
    for number in range(20):
        red[0]["spec"]["description"] = str(number)
        client.apply(red[:1])
    for thread, live, told in zip(threads, lives, seen, strict=True):
        thread.join()
        live.connection.close()
        assert [int(one) for one in told] == sorted({int(one) for one in told})
