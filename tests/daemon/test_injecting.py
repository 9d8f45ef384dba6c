# SPDX-License-Identifier: Apache-2.0
"""Injecting: what goes to which bridge, what is waited for, and what is taken back."""

from __future__ import annotations

import struct

import pytest

from vneter_sdn.daemon import injecting
from vneter_sdn.daemon.injecting import Injector
from vneter_sdn.daemon.offline import compile_manifests
from vneter_sdn.errors import Conflict, IntentError, NotFound
from vneter_sdn.model.flow import Output
from vneter_sdn.northbound.schemas import Injection
from vneter_sdn.pipeline import traced
from vneter_sdn.pipeline.tables import TABLES, table
from vneter_sdn.southbound.openflow import oxm
from vneter_sdn.southbound.openflow.bridges import PacketArrived
from vneter_sdn.southbound.openflow.decode import PacketIn
from vneter_sdn.southbound.openflow.wire import HEADER, Type


def manifest(kind, name, tenant=None, **spec):
    metadata = {"name": name} | ({"tenant": tenant} if tenant else {})
    return {"apiVersion": "vneter.io/v1", "kind": kind, "metadata": metadata, "spec": spec}


@pytest.fixture(scope="module")
def snapshot():
    hosts = [
        manifest("Host", f"h{n}", ovsdb=f"unix:/h{n}", tunnelAddresses=[f"192.0.2.{n}"])
        for n in (1, 2)
    ]
    return compile_manifests([
        *hosts,
        manifest("Tenant", "red"),
        manifest("Network", "net", "red", prefixes=["10.0.0.0/24"]),
        manifest("Endpoint", "a", "red", network="net", host="h1"),
        manifest("Endpoint", "b", "red", network="net", host="h2"),
        manifest("Endpoint", "nowhere", "red", network="net"),
    ]).snapshot  # fmt: skip


class Bridges:
    """Bridges that take everything, and see the packet in the tables given."""

    def __init__(self, *dpids):
        self.there, self.silent, self.refusing = set(dpids), set(), set()
        self.messages, self.frames = [], []
        self.sees = ("classify",)
        self.heard = self.tapped = None

    def subscribe(self, deliver):
        self.heard = deliver

    def tap(self, deliver):
        self.tapped = deliver

    def observed(self, dpid):
        return object() if dpid in self.there else None

    def version(self, dpid):
        return 6

    def send_message(self, dpid, data):
        while data:
            _, kind, length, xid = HEADER.unpack_from(data)
            self.messages.append((dpid, kind, data[:length]))
            if kind == Type.FLOW_MOD and dpid in self.refusing:
                self.tapped(dpid, 6, HEADER.pack(6, Type.ERROR, 12, xid) + struct.pack("!HH", 5, 1))
            if kind == Type.BARRIER_REQUEST and dpid not in self.silent:
                self.tapped(dpid, 6, HEADER.pack(6, Type.BARRIER_REPLY, 8, xid))
            data = data[length:]
        return True

    def packet_out(self, dpid, frame, actions, in_port):
        self.frames.append((dpid, frame, actions, in_port))
        number = int.from_bytes(
            next(d for _, k, d in self.messages if k == Type.FLOW_MOD)[12:16], "big"
        )
        for name in self.sees:
            told = traced.userdata(number, table(name).id)
            meta = oxm.encode_term("metadata", 1, (1 << 64) - 1)
            self.heard(PacketArrived(dpid, PacketIn(1, in_port, 0, 1, 0, told, frame, 90, meta)))
            other = PacketIn(1, in_port, 0, 1, 0, told, b"somebody else's", 90, meta)
            self.heard(PacketArrived(dpid, other))
        return True

    def of(self, kind, command=None):
        return [
            dpid
            for dpid, one, data in self.messages
            if one == kind and (command is None or data[25] == command)
        ]


def test_all_that_is_waited_for_is_over_before_flows_go():
    longest = injecting.PREPARING + injecting.LONGEST + injecting.TIDYING
    assert longest < traced.HOLD


@pytest.fixture
def ready(snapshot, monkeypatch):
    for name in ("QUIET", "DELIVERED", "PREPARING", "TIDYING"):
        monkeypatch.setattr(injecting, name, 0.05)
    bridges = Bridges(1, 2)
    injector = Injector(bridges)
    injector.stored(snapshot, {1: "h1", 2: "h2", 3: "h3"})
    return injector, bridges


def asked(source="a", target="b", **more):
    return Injection(tenant="red", source=source, target=target, protocol="tcp", port=80, **more)


def test_flows_first_then_the_packet_then_nothing_is_left(ready):
    injector, bridges = ready
    found = injector.inject(asked())
    assert bridges.of(Type.FLOW_MOD, 0) == [1] * len(TABLES) + [2] * len(TABLES)
    assert bridges.of(Type.FLOW_MOD, 3) == [1, 2]  # deleted, by cookie
    ((dpid, frame, actions, port),) = bridges.frames
    assert (dpid, port) == (1, 1)
    assert actions == (Output(0xFFFFFFF9),)
    assert 61000 <= found["sourcePort"] <= 65535
    assert frame[34:36] == found["sourcePort"].to_bytes(2, "big")
    assert found["looked"] == ["h1", "h2"]
    assert found["unlooked"] == {"h3": "is not connected"}
    (seen,) = found["seen"]  # and not somebody else's
    assert (seen["host"], seen["table"], seen["place"]) == ("h1", "classify", 1)
    order = [kind for _, kind, _ in bridges.messages]
    assert order.index(Type.BARRIER_REQUEST) == len(TABLES)


def test_flows_have_an_end_of_their_own(ready):
    injector, bridges = ready
    injector.inject(asked())
    added = [data for _, kind, data in bridges.messages if kind == Type.FLOW_MOD and data[25] == 0]
    assert {int.from_bytes(data[28:30], "big") for data in added} == {traced.HOLD}
    assert {data[8] for data in added} == {traced.MAGIC}


def test_its_packet_is_known_while_it_is_under_way(ready):
    injector, bridges = ready
    known = []
    sent = bridges.packet_out

    def out(dpid, frame, actions, in_port):
        known.append((injector.concerns(frame), injector.concerns(b"x" * 90)))
        return sent(dpid, frame, actions, in_port)

    bridges.packet_out = out
    injector.inject(asked())
    assert known == [(True, False)]
    assert not injector.concerns(bridges.frames[0][1])


def test_one_a_second(ready):
    injector, _ = ready
    injector.inject(asked())
    with pytest.raises(Conflict, match="one a second"):
        injector.inject(asked())


@pytest.mark.parametrize(
    ("one", "error", "said"),
    [
        (asked("c"), NotFound, "there is no Endpoint red/c"),
        (asked("nowhere"), IntentError, "behind no port"),
        (asked(target="nowhere"), IntentError, "behind no port"),
        (asked(six=True), IntentError, "no address of one family"),
    ],
)
def test_what_cannot_be(ready, one, error, said):
    injector, bridges = ready
    with pytest.raises(error, match=said):
        injector.inject(one)
    assert not bridges.messages
    assert not bridges.frames


def test_the_senders_bridge_is_away_or_refuses(ready):
    injector, bridges = ready
    bridges.there = {2}
    with pytest.raises(IntentError, match="the bridge of h1 is away"):
        injector.inject(asked())
    assert not bridges.messages
    bridges.there, bridges.refusing = {1, 2}, {1}
    injector._last = -injecting.EVERY
    with pytest.raises(IntentError, match=r"refuses the flows: OpenFlow error \(5, 1\)"):
        injector.inject(asked())
    assert not bridges.frames
    assert bridges.of(Type.FLOW_MOD, 3) == [1, 2]  # what others took is taken back


def test_another_bridge_that_is_silent_is_named(ready):
    injector, bridges = ready
    bridges.silent = {2}
    found = injector.inject(asked())
    assert found["looked"] == ["h1"]
    assert found["unlooked"]["h2"] == "did not take the flows in time"


def test_bridges_that_are_looked_at(ready, monkeypatch):
    injector, bridges = ready
    monkeypatch.setattr(injecting, "MOST", 2)
    injector._hosts = {n: f"h{n}" for n in range(1, 9)}
    bridges.there = set(injector._hosts)
    assert list(injector._looked_at("h5", ["h5", "h7"]).values()) == ["h5", "h7"]
    assert list(injector._looked_at("h5", []).values()) == ["h5", "h1"]


def test_a_controller_that_is_held_up_injects_nothing(ready, monkeypatch):
    injector, bridges = ready
    clock = [0.0]
    monkeypatch.setattr(injecting.time, "monotonic", lambda: clock[0])
    send = bridges.send_message

    def slowly(dpid, data):
        clock[0] += traced.HOLD
        return send(dpid, data)

    bridges.send_message = slowly
    with pytest.raises(IntentError, match="too busy"):
        injector.inject(asked())
    assert not bridges.frames


def test_news_that_waited_while_the_controller_was_held_up_counts(ready, monkeypatch):
    """It is behind by seconds, and what bridges said meanwhile is only read then."""
    injector, bridges = ready
    naps, clock, late = [], [0.0], []
    monkeypatch.setattr(injecting.time, "monotonic", lambda: clock[0])

    def sleep(seconds):
        naps.append(seconds)
        clock[0] += 60 if len(naps) == 1 else seconds
        if len(naps) == 2:
            bridges.heard(late.pop())

    monkeypatch.setattr(injecting.eventlet, "sleep", sleep)
    heard = bridges.heard
    bridges.heard = late.append
    sent = bridges.packet_out

    def out(*words):
        bridges.sees = ("output",)
        done = sent(*words)
        late.pop()  # somebody else's
        bridges.heard = heard
        return done

    bridges.packet_out = out
    assert [one["table"] for one in injector.inject(asked())["seen"]] == ["output"]
