# SPDX-License-Identifier: Apache-2.0
"""A server that lies costs its own connection, within a bound, and nothing else."""

import json
import select
import socket

import pytest

from vneter_sdn.errors import DecodeError, OvsdbError, SessionClosed
from vneter_sdn.ovsdb.client import Client, Limits

LIMITS = Limits(message=100_000)
SHORT = Limits(deadline=0.3, probe=0.2)
"""Where nothing but silence is expected, so that a slow machine changes nothing."""
SCHEMA = {
    "name": "db",
    "version": "1.0.0",
    "tables": {"T": {"columns": {"n": {"type": "integer"}, "s": {"type": {"key": "string"}}}}},
}
ROW = "00000000-0000-0000-0000-000000000001"


def request(peer: socket.socket) -> dict:
    """The next request of the client; it writes them whole."""
    data = b""
    while True:
        data += peer.recv(65536)
        try:
            return json.loads(data)
        except ValueError:
            continue


def answers(*results: object):
    """A handler that answers requests in order, then waits for the end of the connection."""

    def handle(peer: socket.socket) -> None:
        for result in results:
            asked = request(peer)
            reply = {"id": asked["id"], "result": result, "error": None}
            peer.sendall(json.dumps(reply).encode())
        while peer.recv(65536):
            pass

    return handle


def says(data: bytes):
    """A handler that writes bytes after the first request, then waits."""

    def handle(peer: socket.socket) -> None:
        request(peer)
        peer.sendall(data)
        while peer.recv(65536):
            pass

    return handle


GARBAGE = {
    "no JSON": b"\x16\x03\x01\x02\x00",
    "an array": b"[]",
    "bad UTF-8": b'{"id":1,"result":"\xff","error":null}',
    "lone surrogate": b'{"id":1,"result":"\\ud800","error":null}',
    "not a number": b'{"id":1,"result":NaN,"error":null}',
    "mismatched": b'{"id":1,"result":[},"error":null]',
    "deep": b'{"id":1,"result":' + b"[" * 65,
    "deep and whole": b'{"id":' + b"[" * 70 + b"]" * 70 + b"}",
    "huge string": b'{"id":1,"result":"' + b"x" * 100_001,
    "huge whole": b'{"id":1,"error":null,"result":"' + b"x" * 100_001 + b'"}',
    "huge number": b'{"id":1,"error":null,"result":' + b"9" * 9_999 + b"}",
    "no such shape": b'{"id":1,"method":"echo","result":[]}',
    "unknown member": b'{"id":1,"result":[],"error":null,"more":1}',
    "null id": b'{"id":null,"result":[],"error":null}',
    "id of a wrong type": b'{"id":[1],"result":[],"error":null}',
    "boolean id": b'{"id":true,"result":[],"error":null}',
    "params no array": b'{"id":null,"method":"update3","params":{}}',
    "update of nothing": b'{"id":null,"method":"update3","params":["x","y",{}]}',
    "update without params": b'{"id":null,"method":"update2","params":[]}',
}


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_closes_this_connection(fake, name):
    with Client(fake(says(GARBAGE[name])), limits=LIMITS) as client:
        with pytest.raises(DecodeError, match="unix:"):
            client.list_dbs()
        assert client.closed


@pytest.mark.parametrize("result", [None, 1, {}, [1], ["a", None]])
def test_lying_list(fake, result):
    with Client(fake(answers(result)), limits=LIMITS) as client:
        with pytest.raises(DecodeError):
            client.list_dbs()
        assert client.closed


@pytest.mark.parametrize(
    "result",
    [
        None,
        [],
        {"name": "db"},
        {"name": 1, "tables": {}},
        {"name": "db", "tables": {"T": []}},
        {"name": "db", "tables": {"T": {"columns": {"c": 1}}}},
        {"name": "db", "tables": {"T": {"columns": {"c": {"type": "list"}}}}},
        {"name": "db", "tables": {"T": {"columns": {"c": {"type": {"key": "uuid", "max": 0}}}}}},
    ],
)
def test_lying_schema(fake, result):
    with Client(fake(answers(result)), limits=LIMITS) as client:
        with pytest.raises(DecodeError):
            client.get_schema("db")
        assert client.closed


@pytest.mark.parametrize(
    "result",
    [
        None,
        {},
        [],
        [{}, {}, {}],
        [1],
        [{"count": "1"}],
        [{"uuid": "x"}],
        [{"uuid": ["uuid", "x"]}],
        [{"rows": {}}],
        [{"rows": [{"c": ["set", 1]}]}],
        [{"rows": [{"c": ["map", [[1]]]}]}],
        [{"error": 1}],
        [{"error": "e", "details": []}],
    ],
)
def test_lying_results(fake, result):
    with Client(fake(answers(result)), limits=LIMITS) as client:
        with pytest.raises(DecodeError):
            client.transact("db", [{"op": "comment", "comment": ""}])
        assert client.closed


@pytest.mark.parametrize(
    "update",
    [
        None,
        [True, ROW],
        [1, ROW, {}],
        [False, "x", {}],
        [False, ROW, []],
        [False, ROW, {"U": {}}],
        [False, ROW, {"T": {"x": {"initial": {}}}}],
        [False, ROW, {"T": {ROW: {}}}],
        [False, ROW, {"T": {ROW: {"became": {}}}}],
        [False, ROW, {"T": {ROW: {"initial": {}, "insert": {}}}}],
        [False, ROW, {"T": {ROW: {"initial": {"u": 1}}}}],
        [False, ROW, {"T": {ROW: {"initial": {"n": "1"}}}}],
        [False, ROW, {"T": {ROW: {"initial": {"n": True}}}}],
        [False, ROW, {"T": {ROW: {"initial": {"n": 1 << 63}}}}],
        [False, ROW, {"T": {ROW: {"initial": {"n": ["set", [1]]}}}}],
        [False, ROW, {"T": {ROW: {"initial": {"s": ["uuid", ROW]}}}}],
    ],
)
def test_lying_monitor(fake, update):
    with Client(fake(answers(SCHEMA, update)), limits=LIMITS) as client:
        with pytest.raises(DecodeError):
            client.monitor("db", {"T": None})
        assert client.closed


@pytest.mark.parametrize("data", [b"", b'{"id":1,"result":["half', b'{"id":1,"result":[[['])
def test_silence_ends_at_the_deadline(fake, data):
    with Client(fake(says(data)), limits=SHORT) as client:
        with pytest.raises(SessionClosed, match=r"no answer|half a message"):
            client.list_dbs()
        assert client.closed


def test_half_a_message_then_silence_while_idle(fake):
    def handle(peer):
        peer.sendall(b'{"id":null,"method":"up')
        while peer.recv(65536):
            pass

    client = Client(fake(handle), limits=Limits(deadline=0.2, probe=0))
    with pytest.raises(SessionClosed, match="half a message"):
        client.poll(20)


def test_a_dead_peer_is_noticed(fake):
    def handle(peer):
        while peer.recv(65536):
            pass

    client = Client(fake(handle), limits=SHORT)
    with pytest.raises(SessionClosed, match="no answer to echo"):
        client.poll(20)


def test_a_peer_that_does_not_read_is_given_up(fake):
    import threading

    over = threading.Event()
    with Client(fake(lambda _: over.wait(20)), limits=SHORT) as client:
        with pytest.raises(SessionClosed, match="cannot send"):
            client.transact("db", [{"op": "comment", "comment": "x" * 10_000_000}])
        over.set()
        assert client.closed


def test_strange_replies_are_counted_and_ignored(fake):
    noise = b'{"id":99,"result":1,"error":null} {"id":"x","result":1,"error":null}\n'
    noise += b'{"id":null,"method":"stolen","params":["l"]}{"id":1,"result":["a"],"error":null}'
    with Client(fake(says(noise)), limits=LIMITS) as client:
        assert client.list_dbs() == ["a"]
        assert client.counters.unknown_replies == 2
        assert client.counters.unknown_notifications == 1


def test_who_works_at_an_answer_need_not_answer_an_echo(fake):
    """A server of one thread, and a transaction that takes it longer than two probes."""

    def handle(peer):
        asked = request(peer)
        assert not select.select([peer], [], [], 1.0)[0], "asked again meanwhile"
        reply = {"id": asked["id"], "result": ["db"], "error": None}
        peer.sendall(json.dumps(reply).encode())
        while peer.recv(65536):
            pass

    with Client(fake(handle), limits=Limits(deadline=30.0, probe=0.2)) as client:
        assert client._call("list_dbs", []) == ["db"]


def test_echo_is_answered_and_other_requests_are_refused(fake):
    seen = []

    def handle(peer):
        asked = request(peer)
        peer.sendall(b'{"id":"e","method":"echo","params":["hi"]}')
        seen.append(request(peer))
        peer.sendall(b'{"id":"r","method":"rm","params":[]}')
        seen.append(request(peer))
        peer.sendall(json.dumps({"id": asked["id"], "result": [], "error": None}).encode())

    with Client(fake(handle), limits=LIMITS) as client:
        assert client.list_dbs() == []
    assert seen[0] == {"id": "e", "result": ["hi"], "error": None}
    assert (seen[1]["id"], seen[1]["error"]) == ("r", {"error": "unknown method"})


def test_error_texts_are_bounded(fake):
    lie = [{"error": "e" * 50_000, "details": "d" * 40_000}]
    client = Client(fake(answers(lie)), limits=LIMITS)
    with client, pytest.raises(OvsdbError) as refused:
        client.transact("db", [{"op": "comment", "comment": ""}])
    assert len(str(refused.value)) < 4000


def test_updates_that_nobody_fetches_are_bounded(fake):
    def handle(peer):
        answers_two = [SCHEMA, [False, ROW, {}]]
        for result in answers_two:
            asked = request(peer)
            peer.sendall(json.dumps({"id": asked["id"], "result": result, "error": None}).encode())
        name = asked["params"][1]
        update = {"id": None, "method": "update3", "params": [name, ROW, {}]}
        request(peer)
        peer.sendall(json.dumps(update).encode() * 20)
        while peer.recv(65536):
            pass

    with Client(fake(handle), limits=Limits(deadline=5, backlog=10)) as client:
        client.monitor("db", {"T": None})
        with pytest.raises(SessionClosed, match="nobody fetched"):
            client.list_dbs()
