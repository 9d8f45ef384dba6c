# SPDX-License-Identifier: Apache-2.0
"""The session state machine, without sockets: how it goes on, and how it ends."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest
from bridge_words import (
    TERMS,
    V,
    answer_read_back,
    at,
    error,
    features,
    flow,
    hello,
    msg,
    part,
    plan,
    role,
    sent,
    xid_of,
)

from vneter_sdn.model.flow import BridgeState, Flow, Group, Meter, Output
from vneter_sdn.pipeline import reserved
from vneter_sdn.pipeline.cookies import Cookie
from vneter_sdn.reconcile.diff import diff
from vneter_sdn.reconcile.plan import UNREADABLE, BridgePlan, Observed, Step, Verb
from vneter_sdn.southbound.openflow.events import (
    Answered,
    Closed,
    Confirmed,
    Identified,
    Opened,
    Reason,
    Rejected,
    Seen,
)
from vneter_sdn.southbound.openflow.readback import ReadBack
from vneter_sdn.southbound.openflow.session import CHUNK, Phase, Session, Terms

pytestmark = pytest.mark.filterwarnings("ignore")


def test_what_is_said_unasked_is_text() -> None:
    """Mininet's RemoteController reads what a telnet to us prints: UTF-8, with marks of its own."""
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
