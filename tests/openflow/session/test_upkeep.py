# SPDX-License-Identifier: Apache-2.0
"""Whatever happens to a bridge, it ends up as it should be; and counting and complaining."""

from __future__ import annotations

import io
import json
import logging
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest

from vneter_sdn.model.flow import BridgeState, Bucket, Flow, Group, GroupAction, Output, match
from vneter_sdn.pipeline import reserved
from vneter_sdn.pipeline.cookies import Cookie
from vneter_sdn.reconcile.plan import Changed, Observed
from vneter_sdn.southbound.openflow.memory import MemoryBridges
from vneter_sdn.southbound.openflow.tally import Complaints, Tally, guarded
from vneter_sdn.southbound.openflow.upkeep import DesiredBridge, InSync, Refused
from vneter_sdn.telemetry import logs
from vneter_sdn.telemetry.metrics import OpenFlowCollector

pytestmark = pytest.mark.filterwarnings("ignore")
DPID, G = 1, reserved.GROUPS.start


def state(bits: int) -> BridgeState:
    """Flow ``n`` for each bit set; bit 7 hangs them all on a group."""
    grouped = bits >> 7 & 1
    action = GroupAction(G) if grouped else Output(1)
    flows = [
        Flow(0, 1, match(reg1=n), (action,), None, Cookie(1, 1, n).number)
        for n in range(7)
        if bits >> n & 1
    ]
    return BridgeState.of(flows, [Group(G, "all", (Bucket((Output(1),)),))] if grouped else [])


@pytest.mark.parametrize("on", [lambda b: b.pause(DPID, 0), lambda b: b.advance(3)])
def test_a_bridge_that_is_paused_is_left_as_it_is_until_it_goes_on(on) -> None:
    bridges = MemoryBridges()
    bridges.desire(DPID, DesiredBridge(state(1), 1))
    bridges.pause(DPID, 3)
    bridge = bridges.connect(DPID)
    bridges.desire(DPID, DesiredBridge(state(2), 2))
    bridges.advance(2.9)
    assert not bridge.observed.flows
    on(bridges)
    assert bridge.observed.flows == state(2).flows
    assert len(bridge.plans) == 1, "what was desired before is none of it"
    bridges.desire(DPID, DesiredBridge(state(4), 3))
    assert bridge.observed.flows == state(4).flows


steps = st.one_of(
    st.tuples(st.just("desire"), st.integers(0, 255)),
    st.tuples(st.just("delta"), st.integers(0, 255)),
    st.tuples(st.sampled_from(["connect", "disconnect", "restart", "run", "fault", "heal"]),
              st.just(0)),
    st.tuples(st.just("advance"), st.integers(1, 100)),
)  # fmt: skip


@given(st.lists(steps, max_size=25))
@settings(max_examples=150, deadline=None)
def test_after_any_history_the_bridge_is_as_it_should_be(history: list) -> None:
    bridges = MemoryBridges(immediate=False)
    bridge = bridges.connect(DPID)
    wanted = BridgeState()
    for revision, (word, number) in enumerate(history, 1):
        if word == "desire":
            wanted = state(number)
            bridges.desire(DPID, DesiredBridge(wanted, revision))
        elif word == "delta":
            after = state(number)
            keys = {k for k in wanted.flows.keys() | after.flows.keys()
                    if wanted.flows.get(k) != after.flows.get(k)}  # fmt: skip
            wanted = after
            bridges.desire(DPID, DesiredBridge(wanted, revision, Changed(frozenset(keys))))
        elif word == "connect" and bridge.upkeep is None:
            bridges.connect(DPID)
        elif word in ("disconnect", "restart") and bridge.upkeep is not None:
            getattr(bridges, word)(DPID)
        elif word == "run":
            bridges.run()
        elif word == "advance":
            bridges.advance(number)
        elif word in ("fault", "heal"):
            bridge.refuse = (lambda step: (5, 1)) if word == "fault" else (lambda step: None)
    bridge.refuse = lambda step: None
    if bridge.upkeep is None:
        bridges.connect(DPID)
    bridges.run()
    bridges.advance(61)
    bridges.advance(61)
    assert bridge.observed.flows == wanted.flows
    assert bridge.observed.groups == wanted.groups


def test_refusals_are_tried_again_ever_more_rarely_and_never_in_a_storm() -> None:
    bridges = MemoryBridges()
    seen: list = []
    bridges.subscribe(seen.append)
    bridge = bridges.connect(DPID)
    tries = []
    bridge.refuse = lambda step: tries.append(bridges.now) or (5, 1)
    bridges.desire(DPID, DesiredBridge(state(1), 1))
    for _ in range(4000):
        bridges.advance(0.1)
    gaps = [round(b - a) for a, b in pairwise(tries)]
    assert gaps[:7] == [1, 2, 4, 8, 16, 32, 60]
    assert set(gaps[6:]) == {60}
    assert [e.retry_in for e in seen if isinstance(e, Refused)][:3] == [1.0, 2.0, 4.0]
    before = len(tries)
    for revision in range(50):  # remedies that are none, 20 ms apart
        bridges.desire(DPID, DesiredBridge(state(1 + revision % 3), 2 + revision))
        bridges.advance(0.02)
    assert len(tries) - before <= 2


def test_a_wish_during_a_plan_waits_and_is_not_lost() -> None:
    bridges = MemoryBridges(immediate=False)
    seen: list = []
    bridges.subscribe(seen.append)
    bridge = bridges.connect(DPID)
    bridges.desire(DPID, DesiredBridge(state(3), 1))
    bridges._queue.popleft()()
    bridges._queue.popleft()()
    for number, bits in enumerate((7, 15, 12), 2):
        bridges.desire(DPID, DesiredBridge(state(bits), number))
    bridges.run()
    assert [e.revision for e in seen if isinstance(e, InSync)] == [1, 4]
    assert bridge.observed.flows == state(12).flows
    assert bridge.observed != Observed()


def test_deltas_that_wait_for_a_plan_are_gathered() -> None:
    bridges = MemoryBridges(immediate=False)
    bridge = bridges.connect(DPID)
    bridges.run()
    bridges.desire(DPID, DesiredBridge(state(1), 1))
    was = state(1)
    for revision, bits in enumerate((3, 7, 15), 2):
        after = state(bits)
        keys = frozenset(after.flows.keys() - was.flows.keys())
        bridges.desire(DPID, DesiredBridge(after, revision, Changed(keys)))
        was = after
    bridges.run()
    assert bridge.observed.flows == state(15).flows
    assert len(bridge.plans) == 2


def test_counts_come_out_as_prometheus_reads_them() -> None:
    tally = Tally()
    tally.count("malformed", "hello")
    tally.count("drift", amount=2)
    tally.shift("connections", "idle", 3)
    tally.rtt(0.003)
    tally.rtt(9)
    registry = CollectorRegistry()
    registry.register(OpenFlowCollector(tally))
    text = generate_latest(registry).decode()
    assert 'vneter_openflow_malformed_total{kind="hello"} 1.0' in text
    assert "vneter_openflow_drift_total 2.0" in text
    assert 'vneter_openflow_connections{state="idle"} 3.0' in text
    assert 'vneter_openflow_echo_seconds_bucket{le="0.005"} 1.0' in text
    assert "vneter_openflow_echo_seconds_count 2.0" in text


def test_complaints_are_made_once_per_peer_and_class(caplog) -> None:
    now = [0.0]
    complaints = Complaints(logging.getLogger("t"), 60, kept=2, clock=lambda: now[0])
    assert complaints.say("a", "x", "line\nend" + "y" * 1000)
    assert not complaints.say("a", "x", "again")
    assert complaints.say("a", "y", "other")
    now[0] = 61
    assert complaints.say("a", "x", "later")
    assert "(1 more since)" in caplog.records[-1].getMessage()
    assert "\n" not in caplog.records[0].getMessage()
    assert len(caplog.records[0].getMessage()) < 400
    for peer in "bcdefg":
        complaints.say(peer, "x", "")
    assert len(complaints._last) == 2


def test_an_exception_ends_one_call_only(caplog) -> None:
    tally = Tally()
    guarded(tally, "here", lambda: 1 / 0)
    assert tally.of("exceptions", "here") == 1
    assert "ZeroDivisionError" in caplog.text


def test_logs_are_json_lines_off_a_terminal() -> None:
    stream = io.StringIO()
    root = logging.getLogger()
    kept, level = root.handlers[:], root.level
    try:
        logs.set_up("INFO", stream)
        logging.getLogger("a.b").warning("x %s", "é\n" * 3000, extra={"peer": "p", "n": 3})
    finally:
        root.handlers[:], root.level = kept, level
    [line] = stream.getvalue().splitlines()
    read = json.loads(line)
    assert (read["level"], read["logger"], read["peer"], read["n"]) == ("warning", "a.b", "p", 3)
    assert len(read["message"]) == logs.MAX_FIELD
    assert read["time"].endswith("+00:00")


@given(
    st.lists(st.tuples(st.integers(0, 127), st.integers(0, 90)), min_size=1, max_size=12),
    st.integers(0, 127),
)
@settings(max_examples=100, deadline=None)
def test_whoever_is_refused_everybody_else_is_as_they_should_be(wishes: list, bad: int) -> None:
    bridges = MemoryBridges()
    bridge = bridges.connect(DPID)

    def refuse(step) -> tuple[int, int] | None:
        owner = Cookie.of(step.thing.cookie).object
        return (5, 1) if step.verb != "delete" and bad >> owner & 1 else None

    bridge.refuse = refuse
    was = state(0)
    for revision, (bits, seconds) in enumerate(wishes, 1):
        after = state(bits)
        keys = frozenset(after.flows.keys() ^ was.flows.keys())
        bridges.desire(DPID, DesiredBridge(after, revision, Changed(keys)))
        bridges.advance(seconds / 10)
        was = after
        for key, flow in {**after.flows, **bridge.observed.flows}.items():
            if not bad >> Cookie.of(flow.cookie).object & 1:
                assert bridge.observed.flows.get(key) == after.flows.get(key)
    bridge.refuse = lambda step: None
    bridges.advance(61)
    assert bridge.observed.flows == was.flows
