# SPDX-License-Identifier: Apache-2.0
"""The session state machine, without sockets: every state against every input."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vneter_sdn.model.flow import BridgeState, Bucket, Flow, FlowKey, Group, Meter, Output, match
from vneter_sdn.pipeline import reserved
from vneter_sdn.pipeline.cookies import Cookie
from vneter_sdn.reconcile.diff import diff
from vneter_sdn.reconcile.plan import UNREADABLE, BridgePlan, Observed, Step, Verb
from vneter_sdn.southbound.openflow import encode
from vneter_sdn.southbound.openflow.events import (
    Answered,
    Closed,
    Confirmed,
    Counted,
    FlowsCounted,
    Identified,
    Opened,
    Reason,
    Rejected,
    Seen,
)
from vneter_sdn.southbound.openflow.framing import Framer
from vneter_sdn.southbound.openflow.multipart import FlowCounters, PortCounters
from vneter_sdn.southbound.openflow.readback import ReadBack
from vneter_sdn.southbound.openflow.session import CHUNK, Phase, Session, Terms

pytestmark = pytest.mark.filterwarnings("ignore")
V = 6
TERMS = Terms(echo_interval=2.0)


def msg(kind: int, xid: int = 0, body: bytes = b"", version: int = V) -> bytes:
    return struct.pack("!BBHI", version, kind, 8 + len(body), xid) + body


def hello(bits: int = 0x60, version: int = V) -> bytes:
    return msg(0, 1, struct.pack("!HHI", 1, 8, bits), version)


def features(xid: int, dpid: int = 7) -> bytes:
    return msg(6, xid, struct.pack("!QIBB2xII", dpid, 0, 254, 0, 0, 0))


def role(xid: int, which: int = 2) -> bytes:
    return msg(25, xid, struct.pack("!IIQ", which, 0, 0))


def part(xid: int, kind: int, body: bytes = b"", more: bool = False) -> bytes:
    return msg(19, xid, struct.pack("!HH4x", kind, int(more)) + body)


def error(xid: int, kind: int = 1, code: int = 0) -> bytes:
    return msg(1, xid, struct.pack("!HH", kind, code) + bytes(8))


def sent(session: Session) -> list[tuple[int, int, bytes]]:
    """(type, xid, body) of everything the session has to say now."""
    found = []
    while data := session.outgoing():
        framer = Framer(session.version or None)
        at = 0
        while at < len(data):
            _, kind, length, xid = struct.unpack_from("!BBHI", data, at)
            found.append((kind, xid, data[at + 8 : at + length]))
            at += length
        del framer
    return found


def xid_of(session: Session, kind: int) -> int:
    return next(xid for known, xid, _ in sent(session) if known == kind)


def answer_read_back(session: Session, now: float = 0.0, flows: bytes = b"") -> list:
    requests = [(xid, body) for kind, xid, body in sent(session) if kind == 18]
    events = []
    for xid, body in requests:
        which = struct.unpack_from("!H", body)[0]
        events += session.receive(part(xid, which, flows if which == 1 else b""), now)
    return events


def at(phase: Phase, terms: Terms = TERMS) -> Session:
    """A session that got as far as a phase."""
    session = Session(terms, 0.0)
    if phase is Phase.HELLO:
        return session
    session.receive(hello(), 0.0)
    if phase is Phase.FEATURES:
        return session
    session.receive(features(xid_of(session, 5)), 0.0)
    if phase is Phase.ADMISSION:
        return session
    session.admit(0.0)
    if phase is Phase.ROLE:
        return session
    session.receive(role(xid_of(session, 24)), 0.0)
    if phase is Phase.READING:
        return session
    answer_read_back(session)
    if phase is Phase.SENDING:
        assert session.send_plan(1, plan(), 0.0)
    if phase is Phase.CLOSED:
        session.close(Reason.SHUTDOWN, "", 0.0)
    return session


def flow(number: int, *actions) -> Flow:
    return Flow(0, 1, match(reg1=number), actions, None, Cookie(1, 1, 1).number)


def plan(count: int = 3) -> BridgePlan:
    group = Group(reserved.GROUPS.start, "all", (Bucket((Output(1),)),))
    meter = Meter(reserved.METERS.start, 10, 0)
    state = BridgeState.of([flow(n, Output(1)) for n in range(1, count + 1)], [group], [meter])
    return diff(state, Observed())


def test_what_is_said_unasked_is_text() -> None:
    """Mininet's RemoteController reads what telnet prints of us, as UTF-8 with marks of its own."""
    said = Session(TERMS, 0.0).outgoing().decode("utf-8")
    assert said
    assert not {"\x01", "\x7f"} & set(said)


def test_the_whole_way() -> None:
    session = Session(TERMS, 0.0)
    assert [kind for kind, _, _ in sent(session)] == [0]
    assert session.receive(hello(), 0.0) == []
    [identified] = session.receive(features(xid_of(session, 5)), 0.0)
    assert identified == Identified(7, V)
    assert session.admit(0.0) == []
    [opened] = session.receive(role(xid_of(session, 24)), 0.0)
    assert opened == Opened(7, V)
    [seen] = answer_read_back(session)
    assert seen == Seen(Observed(), ())
    assert session.phase is Phase.IDLE


def deliver(session: Session, errors: dict[int, tuple[int, int]]) -> tuple[list, list]:
    """Play a bridge that refuses the message kinds given; events, and the kinds it got."""
    events: list = []
    kinds: list[int] = []
    while session.phase is Phase.SENDING:
        messages = sent(session)
        assert messages
        for kind, xid, body in messages:
            kinds.append(kind)
            if kind == 33 and struct.unpack_from("!IH", body)[1] == 4 and 334 in errors:
                events += session.receive(error(xid, *errors[334]), 0.0)
            elif kind in errors:
                events += session.receive(error(xid, *errors[kind]), 0.0)
            elif kind == 20:
                events += session.receive(msg(21, xid), 0.0)
    kinds += [kind for kind, _, _ in sent(session)]
    return events, kinds


def test_a_plan_is_meters_then_an_atomic_bundle_with_barriers_between() -> None:
    session = at(Phase.SENDING)
    events, kinds = deliver(session, {})
    assert events == [Confirmed(1)]
    assert kinds == [29, 20, 33, 34, 34, 34, 34, 20, 33, 20]


@pytest.mark.parametrize(
    ("refused", "index", "kinds"),
    [
        (29, 0, [29, 20]),
        (34, 1, [29, 20, 33, 34, 34, 34, 34, 20, 33]),
        (334, None, [29, 20, 33, 34, 34, 34, 34, 20, 33, 20]),
    ],
)
def test_a_refusal_stops_the_plan_and_names_the_step(refused, index, kinds) -> None:
    session = at(Phase.SENDING)
    events, got = deliver(session, {refused: (5, 2)})
    [rejected] = events
    assert isinstance(rejected, Rejected)
    assert (rejected.kind, rejected.code, rejected.index) == (5, 2, index)
    assert (rejected.step is None) == (index is None)
    assert got == kinds
    assert session.phase is Phase.IDLE


def test_deletions_name_the_cookie_that_is_there() -> None:
    session = at(Phase.IDLE)
    gone = flow(1, Output(1))
    steps = (Step(Verb.DELETE, gone), Step(Verb.DELETE, Group(reserved.GROUPS.start, "x", ())))
    session.send_plan(1, BridgePlan(bundle=steps), 0.0)
    bodies = [body for kind, _, body in sent(session) if kind == 34]
    cookie, mask = struct.unpack_from("!QQ", bodies[0], 8 + 8)
    assert (cookie, mask) == (gone.cookie, 0xFFFF_FFFF_FFFF_FFFF)


def test_a_plan_that_cannot_be_encoded_is_rejected_and_its_bundle_dropped() -> None:
    session = at(Phase.IDLE)
    bad = BridgePlan(bundle=(Step(Verb.ADD, Group(reserved.GROUPS.start, "no such kind", ())),))
    session.send_plan(4, bad, 0.0)
    kinds = [kind for kind, _, _ in sent(session)]
    assert kinds == [33, 33]
    [rejected] = session.pending_events()
    assert (rejected.plan_id, rejected.kind) == (4, -1)
    assert session.phase is Phase.IDLE


def test_a_large_plan_is_made_in_chunks_and_echoes_pass_in_between() -> None:
    session = at(Phase.IDLE)
    session.send_plan(1, BridgePlan(bundle=plan(5000).bundle), 0.0)
    first = session.outgoing()
    assert CHUNK <= len(first) < CHUNK + 1000
    session.receive(msg(2, 99, b"ping"), 0.0)
    assert session.outgoing() == msg(3, 99, b"ping")


def test_a_barrier_that_was_not_asked_for_yet_confirms_nothing() -> None:
    session = at(Phase.IDLE)
    session.send_plan(1, BridgePlan(bundle=plan(5000).bundle), 0.0)
    session.outgoing()
    for xid in range(1, 6000):
        events = session.receive(msg(21, xid), 0.0)
        assert not any(isinstance(event, Confirmed | Rejected) for event in events)
    assert session.phase is Phase.SENDING
    assert [kind for kind, _, _ in sent(session)].count(34) > 1000


@pytest.mark.parametrize("bits", [0x10, 0x02, 0x1E, 0x80, 0])
def test_other_versions_are_told_and_reported(bits: int) -> None:
    session = Session(TERMS, 0.0)
    session.outgoing()
    [closed] = session.receive(hello(bits, 4), 0.0)
    assert closed.reason is Reason.OPENFLOW_VERSION
    [(kind, _, body)] = sent(session)
    assert kind == 1
    assert body[:4] == bytes(4)


@pytest.mark.parametrize(("bits", "agreed"), [(0x60, 6), (0x20, 5), (0x70, 6), (0x30, 5)])
def test_the_highest_common_version_is_agreed(bits: int, agreed: int) -> None:
    session = Session(TERMS, 0.0)
    session.receive(hello(bits, 4 if bits < 0x40 else 6), 0.0)
    assert session.version == agreed


def test_only_expected_datapaths_are_let_in() -> None:
    session = Session(Terms(expected=frozenset({8})), 0.0)
    session.receive(hello(), 0.0)
    [closed] = session.receive(features(xid_of(session, 5)), 0.0)
    assert closed.reason is Reason.UNEXPECTED_DATAPATH


@pytest.mark.parametrize("reply", [lambda x: role(x, 3), lambda x: error(x, 11, 0)])
def test_a_stale_generation_is_not_master(reply: Callable[[int], bytes]) -> None:
    session = at(Phase.ROLE)
    [closed] = session.receive(reply(xid_of(session, 24)), 0.0)
    assert closed.reason is Reason.NOT_MASTER


def test_losing_the_role_later_ends_the_session() -> None:
    session = at(Phase.IDLE)
    [closed] = session.receive(msg(30, 0, struct.pack("!IB3xQ", 3, 0, 9)), 0.0)
    assert closed.reason is Reason.NOT_MASTER


@pytest.mark.parametrize(
    ("phase", "after", "reason"),
    [
        (Phase.HELLO, 3.0, Reason.HANDSHAKE_TIMEOUT),
        (Phase.FEATURES, 3.0, Reason.HANDSHAKE_TIMEOUT),
        (Phase.ADMISSION, 3.0, Reason.HANDSHAKE_TIMEOUT),
        (Phase.ROLE, 3.0, Reason.HANDSHAKE_TIMEOUT),
        (Phase.READING, 15.0, Reason.READ_BACK_TIMEOUT),
    ],
)
def test_every_wait_has_an_end(phase: Phase, after: float, reason: Reason) -> None:
    session = at(phase)
    assert session.wakes_at() <= after
    assert not [e for e in session.tick(after - 0.1) if isinstance(e, Closed)]
    [closed] = session.tick(after)
    assert closed.reason is reason


def test_a_stage_that_is_never_confirmed_ends_the_session() -> None:
    session = at(Phase.SENDING)
    sent(session)
    [closed] = session.tick(31.0)
    assert closed.reason is Reason.BUNDLE_TIMEOUT


def test_three_echoes_without_a_word_end_the_session() -> None:
    session = at(Phase.IDLE)
    for now in (2.0, 4.0, 6.0):
        assert session.tick(now) == []
    [closed] = session.tick(8.0)
    assert closed.reason is Reason.ECHO_TIMEOUT
    alive = at(Phase.IDLE)
    for now in range(2, 60, 2):
        assert alive.tick(float(now)) == []
        [echo] = [body for kind, _, body in sent(alive) if kind == 2]
        assert alive.receive(msg(3, 0, b"another's"), now + 0.4) == []
        assert alive.receive(msg(3, 0, echo), now + 0.5) == [Answered(0.5, float(now))]
        assert alive.receive(msg(3, 0, echo), now + 0.6) == [], "once"


def test_ports_are_counted_when_asked_and_the_parts_come_as_one() -> None:
    session = at(Phase.IDLE)
    sent(session)
    session.count_ports(1.0)
    session.count_ports(1.0)
    [(_, xid, body)] = [found for found in sent(session) if found[0] == 18]
    assert body == struct.pack("!HH4xI4x", 4, 0, 0xFFFFFFFF)
    entry = struct.pack("!H2xIIIQQQQQQQQ", 80, 3, 1, 0, 10, 20, 1000, 2000, 1, 2, 0, 0)
    other = struct.pack("!H2xIIIQQQQQQQQ", 80, 4, 1, 0, *range(8))
    assert session.receive(part(xid, 4, entry, more=True), 1.1) == []
    [counted] = session.receive(part(xid, 4, other), 1.2)
    assert counted == Counted(
        (PortCounters(3, 10, 20, 1000, 2000, 1, 2), PortCounters(4, 0, 1, 2, 3, 4, 5))
    )
    session.count_ports(2.0)
    [again] = [found[1] for found in sent(session) if found[0] == 18]
    assert again != xid
    assert session.receive(error(again), 2.1) == []
    session.count_ports(3.0)
    assert [found for found in sent(session) if found[0] == 18], "a refusal ends the question"


MATCHED = struct.pack("!HHHBBI", 1, 12, 0x8000, 0, 4, 7) + bytes(4)
"""in_port=7, as a match."""


def described(octets: int, *, lying: int = 0) -> bytes:
    """A flow description of 1.5 with its statistics."""
    fields = struct.pack("!HBBII", 0x8002, 0, 8, 3, 500_000_000)
    fields += struct.pack("!HBBQ", 0x8002, 3 << 1, 4, 0)[:8]
    fields += struct.pack("!HBBQ", 0x8002, 4 << 1, 8, 6)
    fields += struct.pack("!HBBQ", 0x8002, 5 << 1, 8, octets)
    statistics = struct.pack("!HH", 0, 4 + len(fields) + lying) + fields
    statistics += bytes(-len(statistics) % 8)
    head = struct.pack("!H2xBxHHHHHQ", 24 + len(MATCHED + statistics), 75, 200, 0, 0, 0, 0, 9)
    return head + MATCHED + statistics


def test_flows_are_counted_when_asked_beside_ports() -> None:
    session = at(Phase.IDLE)
    sent(session)
    session.count_ports(1.0)
    session.count_flows(75, 9, 0xFF, 1.0)
    session.count_flows(75, 9, 0xFF, 1.0)
    [_, (_, xid, body)] = [found for found in sent(session) if found[0] == 18]
    assert body[8:] == struct.pack("!B3xII4xQQHH4x", 75, 2**32 - 1, 2**32 - 1, 9, 255, 1, 4)
    assert session.receive(part(xid, 1, described(1000), more=True), 1.1) == []
    [counted] = session.receive(part(xid, 1, described(5)), 1.2)
    key = FlowKey(75, 200, match(in_port=7))
    assert counted == FlowsCounted(tuple(FlowCounters(key, 9, 3.5, 6, n) for n in (1000, 5)))
    session.count_flows(75, 9, 0xFF, 2.0)
    [(_, again, _)] = [found for found in sent(session) if found[0] == 18]
    assert session.receive(error(again), 2.1) == []
    session.count_flows(75, 9, 0xFF, 3.0)
    assert [found for found in sent(session) if found[0] == 18], "a refusal ends the question"


def test_statistics_that_lie_end_the_session() -> None:
    for lying in (-40, -2, 1000):
        session = at(Phase.IDLE)
        sent(session)
        session.count_flows(75, 9, 0xFF, 1.0)
        [(_, xid, _)] = [found for found in sent(session) if found[0] == 18]
        [closed] = session.receive(part(xid, 1, described(1, lying=lying)), 1.1)
        assert closed.reason is Reason.MALFORMED


def test_a_stall_of_ours_costs_one_echo_and_not_the_session() -> None:
    session = at(Phase.IDLE)
    assert session.tick(1000.0) == []


def test_what_waits_for_a_slow_reader_is_bounded() -> None:
    session = at(Phase.IDLE, Terms(backlog=1000))
    sent(session)
    assert not session.packet_out(bytes(600), (Output(1),))
    events: list = []
    for _ in range(20):
        events += session.receive(msg(2, 1, bytes(100)), 0.0)
    [closed] = events
    assert closed.reason is Reason.SLOW_READER


def test_a_bridge_without_meters_is_read_back_all_the_same() -> None:
    session = at(Phase.READING)
    requests = {
        struct.unpack_from("!H", body)[0]: xid for kind, xid, body in sent(session) if kind == 18
    }
    assert session.receive(error(requests[10]), 0.0) == []
    assert session.receive(error(requests[7]), 0.0) == []
    assert session.receive(part(requests[1], 1, more=True), 0.0) == []
    assert session.receive(part(requests[1], 1), 0.0) == []
    [seen] = session.receive(part(requests[13], 13), 0.0)
    assert isinstance(seen, Seen)
    failed = at(Phase.READING)
    requests = {
        struct.unpack_from("!H", body)[0]: xid for kind, xid, body in sent(failed) if kind == 18
    }
    [closed] = failed.receive(error(requests[1]), 0.0)
    assert closed.reason is Reason.READ_BACK_FAILED


def test_flows_of_ours_that_another_release_wrote_are_replaced() -> None:
    from vneter_sdn.southbound.openflow.multipart import ForeignFlow, ForeignGroup, ForeignMeter

    cookie, group = Cookie(9, 1, 1).number, reserved.GROUPS.start
    reading = ReadBack(V, 1)
    for item in (ForeignFlow(0, 1, cookie, b""), ForeignFlow(0, 2, 5, b""),
                 ForeignFlow(0, 3, cookie, b"\x12\x34\x02\x01\x00"), ForeignGroup(group),
                 ForeignGroup(1), ForeignMeter(reserved.METERS.start)):  # fmt: skip
        reading._keep(item)
    seen = reading.seen()
    [odd] = seen.observed.flows.values()
    assert odd.goto == UNREADABLE
    assert seen.observed.foreign == {Flow(0, 2, ()).key}
    assert seen.unreadable == 1
    assert seen.observed.groups.keys() == {group}
    want = BridgeState.of([Flow(0, 1, (), (), None, cookie)], [Group(group, "all", ())])
    verbs = [(s.verb, type(s.thing)) for s in diff(want, seen.observed)]
    assert verbs == [(Verb.MODIFY, Group), (Verb.ADD, Flow), (Verb.DELETE, Meter)]


INPUTS: dict[str, Callable[[Session], list]] = {
    "hello": lambda s: s.receive(hello(), 1.0),
    "features": lambda s: s.receive(features(1), 1.0),
    "role": lambda s: s.receive(role(1), 1.0),
    "barrier": lambda s: s.receive(msg(21, 5), 1.0),
    "bundle reply": lambda s: s.receive(msg(33, 5, struct.pack("!IHH", 1, 5, 3)), 1.0),
    "error": lambda s: s.receive(error(3), 1.0),
    "flows nobody asked for": lambda s: s.receive(part(77, 1), 1.0),
    "echo": lambda s: s.receive(msg(2, 5), 1.0),
    "echo reply": lambda s: s.receive(msg(3, 5), 1.0),
    "flow mod": lambda s: s.receive(msg(14, 5, bytes(48)), 1.0),
    "unknown": lambda s: s.receive(msg(200, 5), 1.0),
    "zero length": lambda s: s.receive(bytes(8), 1.0),
    "other version": lambda s: s.receive(msg(2, 5, version=4), 1.0),
    "half": lambda s: s.receive(hello()[:9], 1.0),
    "nothing": lambda s: s.receive(b"", 1.0),
    "tick": lambda s: s.tick(1.0),
    "late tick": lambda s: s.tick(99.0),
    "end": lambda s: s.ended("gone", 1.0),
    "close": lambda s: s.close(Reason.SHUTDOWN, "", 1.0),
    "admit": lambda s: s.admit(1.0),
    "read back": lambda s: [] if s.read_back(1.0) in (True, False) else ["?"],
    "plan": lambda s: [] if s.send_plan(2, plan(), 1.0) in (True, False) else ["?"],
    "probe": lambda s: s.probe(1.0) or [],
    "packet out": lambda s: [] if s.packet_out(b"x", ()) in (True, False) else ["?"],
}
FATAL = {"flow mod", "unknown", "zero length", "other version"}


@pytest.mark.parametrize("name", INPUTS)
@pytest.mark.parametrize("phase", Phase)
def test_every_input_in_every_phase_is_taken_or_ends_the_session(phase: Phase, name: str) -> None:
    session = at(phase)
    events = INPUTS[name](session)
    closings = [event for event in events if isinstance(event, Closed)]
    assert len(closings) == int(session.phase is Phase.CLOSED and phase is not Phase.CLOSED)
    if name in FATAL and phase is not Phase.CLOSED:
        # A first message of another kind is not read before it is complete.
        assert closings
        assert closings[0].reason in (Reason.MALFORMED, Reason.OPENFLOW_VERSION)
    if phase is Phase.CLOSED:
        assert events == []
    session.outgoing()
    assert session.tick(2.0) is not None


@given(st.lists(st.integers(1, 60), max_size=40), st.binary(max_size=40))
@settings(max_examples=100, deadline=None)
def test_how_bytes_are_cut_does_not_matter(cuts: list[int], tail: bytes) -> None:
    stream = hello() + msg(12, 0, bytes([2]) + bytes(7) + struct.pack(
        "!IH2x6s2x16sII", 5, 40, bytes(6), b"p", 0, 0)) + features(1) + tail  # fmt: skip
    whole = Session(TERMS, 0.0)
    expected = whole.receive(stream, 0.0)
    session, got, cursor = Session(TERMS, 0.0), [], 0
    for cut in [*cuts, len(stream)]:
        got += session.receive(stream[cursor : cursor + cut], 0.0)
        cursor += cut
    got += session.receive(stream[cursor:], 0.0)
    assert session.phase is whole.phase
    assert isinstance(got[-1], Closed) or [type(e) for e in got] == [type(e) for e in expected]


@given(st.sampled_from([p for p in Phase if p is not Phase.CLOSED]), st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_no_bytes_break_the_session(phase: Phase, data: bytes) -> None:
    session = at(phase)
    events = session.receive(data, 1.0)
    assert sum(isinstance(event, Closed) for event in events) <= 1
    assert encode.ADD == 0
