# SPDX-License-Identifier: Apache-2.0
"""What happened, in order and from any position: nothing is missing, nothing is told twice."""

from __future__ import annotations

import json
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vneter_sdn.errors import Conflict, Gone, IntentError, NotFound
from vneter_sdn.model.kinds import KINDS
from vneter_sdn.model.snapshot import Binding, Condition, Key, Status
from vneter_sdn.northbound import listed
from vneter_sdn.northbound.feed import Feed, Position
from vneter_sdn.northbound.resources import edit_of
from vneter_sdn.store.memory import MemoryStore
from vneter_sdn.store.port import Edit


def _manifest(kind, name, spec=None, tenant=None, **metadata):
    metadata |= {"name": name} | ({"tenant": tenant} if tenant else {})
    return {"apiVersion": "vneter.io/v1", "kind": kind, "metadata": metadata, "spec": spec or {}}


def _host(name, *addresses):
    return {"tunnelAddresses": list(addresses), "ovsdb": f"unix:/nowhere/{name}"}


_PREFIXES = st.sampled_from([["10.0.0.0/29"], ["10.0.0.0/30"], ["10.0.0.0/29", "fd00::/64"]])
_HOSTS = st.sampled_from(["h1", "h2", "h3"])


@st.composite
def _applies(draw):
    sort = draw(st.sampled_from(["tenant", "network", "endpoint", "endpoint", "host", "link"]))
    tenant = draw(st.sampled_from(["red", "blue"]))
    labels = draw(st.sampled_from([{}, {"app": "x"}]))
    if sort == "tenant":
        return [_manifest("Tenant", tenant, labels=labels)]
    if sort == "network":
        spec = {"prefixes": draw(_PREFIXES), "mtu": draw(st.sampled_from([1300, 1400]))}
        return [_manifest("Tenant", tenant), _manifest("Network", "web", spec, tenant)]
    if sort == "endpoint":
        name = draw(st.sampled_from("abcdefgh"))
        return [
            _manifest("Tenant", tenant),
            _manifest("Network", "web", {"prefixes": ["10.0.0.0/30"]}, tenant),
            _manifest("Endpoint", name, {"network": "web"}, tenant, labels=labels),
        ]
    if sort == "host":
        name = draw(_HOSTS)
        octets = draw(st.lists(st.integers(1, 2), max_size=2, unique=True))
        addresses = [f"192.0.{name[1]}.{octet}" for octet in octets]
        return [_manifest("Host", name, _host(name, *addresses))]
    source, target = draw(st.permutations(["h1", "h2", "h3"]))[:2]
    spec = {"source": source, "target": target, "medium": "tunnel"}
    return [_manifest("Link", draw(st.sampled_from(["x", "h1-h2", "h2-h3"])), spec)]


_KEYS = st.sampled_from(
    [Key("Tenant", "", "red"), Key("Network", "red", "web"), Key("Link", "", "x")]
    + [Key("Endpoint", tenant, name) for tenant in ("red", "blue") for name in "abcd"]
    + [Key("Host", "", name) for name in ("h1", "h2", "h3")]
)


@st.composite
def _reports(draw):
    status = draw(st.sampled_from(["True", "False"]))
    conditions = (Condition("Ready", status, "Told", "", "2026-01-01T00:00:00Z"),)
    if draw(st.booleans()):
        one, two = draw(st.sampled_from([("h1", "h2"), ("h2", "h3")]))
        details = {"source": one, "target": two, "medium": "tunnel", "edge": f"{one}>{two}",
                   "latencyMs": draw(st.integers(1, 2))}  # fmt: skip
        return Status(Key("Link", "", f"{one}-{two}"), 0, conditions, details)
    return Status(draw(_KEYS), 1, conditions, {"flows": draw(st.integers(0, 2))})


_STEPS = st.one_of(
    st.tuples(st.just("apply"), _applies()),
    st.tuples(st.just("apply"), _applies()),
    st.tuples(st.just("delete"), _KEYS),
    st.tuples(st.just("report"), _reports()),
    st.tuples(st.just("bind"), st.sampled_from("abcd")),
    st.tuples(st.just("rest"), st.just(None)),
)


class _World:
    def __init__(self):
        self.now = 1000.0
        self.store = MemoryStore(lambda: self.now)
        self.sequence = 0

    def do(self, sort, what):
        try:
            if sort == "apply":
                self.store.apply([edit_of(one) for one in what], author="t")
            elif sort == "delete":
                self.store.apply([Edit("delete", what)], author="t")
            elif sort == "report":
                self.store.report([what])
            elif sort == "bind":
                self.sequence += 1
                endpoint = Key("Endpoint", "red", what)
                self.store.bind([Binding(endpoint, "h1", "tap0", 7, self.sequence)])
            else:
                self.now += 400
                self.store.sweep()
        except (IntentError, NotFound, Conflict):
            return


def _whole(snapshot):
    keys = [key for kind in KINDS for key in listed.keys_of(snapshot, kind)]
    return {key: listed.manifest(snapshot, key) for key in keys}


def _take(state, events):
    for event in events:
        before, after = (one and json.loads(one) for one in (event.before, event.after))
        assert state.get(event.key) == before, "something was missed, or told twice"
        if after is None:
            del state[event.key]
        else:
            state[event.key] = after


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(_STEPS, st.booleans(), st.integers(0, 3)), min_size=1, max_size=25))
def test_a_list_and_what_happened_since_are_the_next_list(steps):
    world = _World()
    world.do("apply", [_manifest("Tenant", "red"),
                       _manifest("Network", "web", {"prefixes": ["10.0.0.0/30"]}, "red"),
                       _manifest("Host", "h1", _host("h1", "192.0.1.1")),
                       _manifest("Host", "h2", _host("h2", "192.0.2.1"))])  # fmt: skip
    feed = Feed(world.store)
    position, snapshot = feed.now()
    state = _whole(snapshot)
    for (sort, what), looks, take in steps:
        world.do(sort, what)
        if looks:
            events, then = feed.after(position)
            if take < len(events):  # the connection is lost in between
                events, then = events[:take], events[take - 1].then if take else position
            _take(state, events)
            position = then
    while True:
        events, then = feed.after(position)
        _take(state, events)
        if then == position:
            break
        position = then
    assert state == _whole(world.store.snapshot())


def _endpoint(name, **spec):
    return _manifest("Endpoint", name, {"network": "web", **spec}, "red")


_NARROW = [
    _manifest("Tenant", "red"),
    _manifest("Network", "web", {"prefixes": ["10.0.0.0/30"]}, "red"),
]


def _wide(**spec):
    return _manifest("Network", "web", {"prefixes": ["10.0.0.0/28"], **spec}, "red")


_LINK = Status(
    Key("Link", "", "h1-h2.1.0"),
    details={"source": "h1", "target": "h2", "medium": "tunnel", "edge": "h1#1>h2#0"},
)


def _hosts(*addresses):
    return [_manifest("Host", "h1", _host("h1", *addresses)),
            _manifest("Host", "h2", _host("h2", "192.0.2.1"))]  # fmt: skip


@pytest.mark.parametrize(
    ("steps", "changed"),
    [
        (  # the address of one becomes the other's, which nobody wrote
            [("apply", [*_NARROW, _endpoint("a")]), ("apply", [_endpoint("b")]),
             ("delete", Key("Endpoint", "red", "a")), ("rest", None)],
            "Endpoint red/b",
        ),
        (  # a block of addresses is of no host any more
            [("apply", [*_NARROW, _endpoint("a")]), ("delete", Key("Endpoint", "red", "a")),
             ("rest", None)],
            "Network red/web",
        ),
        (  # the gateway gets the address that rested
            [("apply", [*_NARROW[:1], _wide(), _endpoint("a", addresses=["10.0.0.5"]),
                        _endpoint("b")]),
             ("delete", Key("Endpoint", "red", "a")),
             ("apply", [_wide(gateways=["10.0.0.5"])]), ("rest", None)],
            "Endpoint red/b",
        ),
        (  # what was found is between another address
            [("apply", _hosts("192.0.1.1", "192.0.1.2")), ("report", _LINK),
             ("apply", _hosts("192.0.1.1", "192.0.1.3"))],
            "Link h1-h2.1.0",
        ),
        (  # what was declared is no longer what was found
            [("apply", _hosts("192.0.1.1", "192.0.1.2")), ("report", _LINK),
             ("apply", [_manifest("Link", "x", {"source": "h1", "target": "h2",
                                               "sourceAddress": "192.0.1.2"})]),
             ("apply", _hosts("192.0.1.2", "192.0.1.1"))],
            "Link h1-h2.1.0",
        ),
        (  # endpoints are told the MTU of their network
            [("apply", [*_NARROW, _endpoint("a")]),
             ("apply", [_manifest("Network", "web", {"prefixes": ["10.0.0.0/30"], "mtu": 1300},
                                  "red")])],
            "Endpoint red/a",
        ),
    ],
)  # fmt: skip
def test_what_changed_by_the_way_is_told(steps, changed):
    world, feed = _World(), None
    for sort, what in steps:
        feed = feed or Feed(world.store)
        position, before = feed.now()
        revision = before.revision
        world.do(sort, what)
        assert (sort == "report") or world.store.snapshot().revision > revision, "refused"
    state = _whole(before)
    events, _ = feed.after(position)
    _take(state, events)
    assert state == _whole(world.store.snapshot())
    assert changed in [str(event.key) for event in events]


def _apply(store, *manifests):
    return store.apply([edit_of(one) for one in manifests], author="t")


def test_a_position_that_is_not_kept_is_gone():
    store = MemoryStore()
    feed = Feed(store, kept=4)
    first, _ = feed.now()
    for number in range(5):
        _apply(store, _manifest("Tenant", f"t{number}"))
        newest, _ = feed.now()
    with pytest.raises(Gone, match="not kept"):
        feed.after(first)
    assert feed.after(newest) == ([], newest)
    kept = Position(newest.step - 3)
    told = [event.key.name for _ in range(3) for event in feed.after(kept)[0]]
    assert told == ["t2"] * 3


def test_positions_are_read_as_written():
    feed = Feed(MemoryStore())
    position, _ = feed.now()
    text = feed.written(replace_offset(position, 7))
    assert feed.read(text) == (position.step, 7)
    for noise in ("", "1", "x-1-1", text + "0" * 16, text.upper() + "x", "-1-1-1"):
        with pytest.raises(ValueError, match=r".*"):
            feed.read(noise)
    with pytest.raises(Gone):
        Feed(MemoryStore()).read(text)
    with pytest.raises(Gone):
        feed.read(feed.written(Position(position.step + 1)))


def replace_offset(position, offset):
    return position._replace(offset=offset)


def test_what_many_want_to_know_is_worked_out_once(monkeypatch):
    store, worked = MemoryStore(), []
    feed, readers = Feed(store), 4
    position, _ = feed.now()
    _apply(store, _manifest("Tenant", "red"))
    touched, started = listed.touched, threading.Barrier(readers)
    monkeypatch.setattr(listed, "touched", lambda *two: worked.append(1) or touched(*two))
    told: list = []

    def read():
        started.wait()
        told.extend(event.key.name for event in feed.after(position)[0])

    threads = [threading.Thread(target=read) for _ in range(readers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (told, worked) == (["red"] * readers, [1])


def test_few_events_are_kept_ready(monkeypatch):
    monkeypatch.setattr("vneter_sdn.northbound.feed._WARM", 3)
    store = MemoryStore()
    feed = Feed(store)
    position, _ = feed.now()
    for number in range(8):
        _apply(store, _manifest("Tenant", f"t{number}"))
        _, position = feed.after(position)
    assert sum(map(len, feed._warm.values())) == 3
    _apply(store, *(_manifest("Tenant", f"u{number}") for number in range(9)))
    feed.after(position)
    assert [len(events) for events in feed._warm.values()] == [9]


def test_what_cancelled_out_is_not_told():
    store = MemoryStore()
    feed = Feed(store)
    position, _ = feed.now()
    _apply(store, _manifest("Tenant", "red"))
    store.apply([Edit("delete", Key("Tenant", "", "red"))], author="t")
    events, then = feed.after(position)
    assert events == []
    assert then.step == position.step + 1
