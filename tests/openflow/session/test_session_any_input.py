# SPDX-License-Identifier: Apache-2.0
"""Whatever comes in, in whichever phase: it is taken, or it ends the session."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest
from bridge_words import TERMS, at, error, features, hello, msg, part, plan, role
from hypothesis import given, settings
from hypothesis import strategies as st

from vneter_sdn.southbound.openflow import encode
from vneter_sdn.southbound.openflow.events import Closed, Reason
from vneter_sdn.southbound.openflow.session import Phase, Session

pytestmark = pytest.mark.filterwarnings("ignore")
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
