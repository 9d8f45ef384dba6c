# SPDX-License-Identifier: Apache-2.0
"""What every kind of bridges promises: in memory, and on real Open vSwitch."""

from __future__ import annotations

import pytest
from kinds_of_bridges import DPID, G, M, flow, state

from vneter_sdn.model.flow import BridgeState, Bucket, Group, GroupAction, Meter, Output
from vneter_sdn.reconcile.plan import Changed
from vneter_sdn.southbound.openflow.bridges import BridgeConnected, BridgeDisconnected
from vneter_sdn.southbound.openflow.measurements import Echoed, FlowsCounted, PortsCounted
from vneter_sdn.southbound.openflow.upkeep import (
    Blocked,
    DesiredBridge,
    Drifted,
    Held,
    InSync,
    Refused,
)

pytestmark = pytest.mark.filterwarnings("ignore")


def test_a_bridge_gets_what_it_should_hold_and_nothing_twice(world) -> None:
    one = world()
    one.bridges.desire(DPID, DesiredBridge(state(), 1, epoch=9))
    one.connect()
    done = one.until(InSync)
    assert (done.dpid, done.revision, done.epoch) == (DPID, 1, 9)
    assert one.held() == 6
    assert [type(e) for e in one.seen] == [BridgeConnected, InSync]
    one.bridges.desire(DPID, DesiredBridge(state(), 2))
    assert not one.until(InSync, 2).plan


def test_nothing_is_done_to_a_bridge_nobody_wants_anything_of(world) -> None:
    one = world()
    one.foreign(1)
    one.connect()
    one.until(BridgeConnected)
    assert one.held() == 0
    assert len(one.seen) == 1


def test_a_delta_is_sent_alone_and_groups_and_meters_follow(world) -> None:
    one = world()
    first = state()
    one.bridges.desire(DPID, DesiredBridge(first, 1))
    one.connect()
    one.until(InSync)
    extra, gone = flow(50, Output(1)), flow(100, GroupAction(G))
    flows = [f for f in first.flows.values() if f != gone]
    second = BridgeState.of([*flows, extra], [], first.meters.values())
    changed = Changed(flows=frozenset({extra.key, gone.key}))
    one.bridges.desire(DPID, DesiredBridge(second, 2, changed))
    plan = one.until(InSync, 2).plan
    assert plan.tally() == {"add flow": 1, "delete flow": 1, "delete group": 2}
    assert one.held() == 6


def test_a_changed_action_a_changed_group_and_a_changed_meter(world) -> None:
    one = world()
    one.bridges.desire(DPID, DesiredBridge(state(), 1))
    one.connect()
    one.until(InSync)
    was = state()
    flows = {**was.flows, flow(1).key: flow(1)}
    groups = {**was.groups, G: Group(G, "all", (Bucket((Output(1),)),))}
    meters = {M: Meter(M, 60, 5), M + 1: Meter(M + 1, 1, 1, "kbps")}
    one.bridges.desire(DPID, DesiredBridge(BridgeState(flows, groups, meters), 2))
    assert one.until(InSync, 2).plan.tally() == {
        "modify flow": 1, "modify group": 1, "modify meter": 1, "add meter": 1,
    }  # fmt: skip
    one.bridges.desire(DPID, DesiredBridge(BridgeState(), 3))
    one.until(InSync, 3)
    assert one.held() == 0


def test_a_restarted_bridge_is_filled_again(world) -> None:
    one = world()
    one.bridges.desire(DPID, DesiredBridge(state(), 1))
    one.connect()
    one.until(InSync)
    one.restart()
    one.until(BridgeDisconnected)
    one.until(InSync, 2)
    assert one.held() == 6


def test_a_foreign_flow_keeps_its_place(world) -> None:
    one = world()
    one.foreign(1)
    one.foreign(77)
    one.bridges.desire(DPID, DesiredBridge(state(), 1))
    one.connect()
    one.until(InSync)
    assert [f.key for f in one.until(Blocked).flows] == [flow(1).key]
    assert one.held() == 5


def test_a_refused_plan_changes_nothing_and_is_tried_again(world) -> None:
    one = world()
    bad = flow(9, GroupAction(G + 9))
    one.bridges.desire(DPID, DesiredBridge(BridgeState.of([flow(1, Output(1)), bad]), 1))
    one.connect()
    refused = one.until(Refused)
    assert (refused.kind, refused.code) == (2, 9)
    assert refused.step is not None
    assert refused.step.thing == bad
    assert refused.retry_in == 1.0
    assert one.held() == 0
    assert one.until(Refused, 2).retry_in == 2.0
    one.bridges.desire(DPID, DesiredBridge(BridgeState.of([flow(1, Output(1))]), 2))
    assert one.until(InSync).revision == 2
    assert one.held() == 1


def test_an_audit_finds_and_repairs_what_others_removed(world) -> None:
    one = world(audit=0.3)
    one.bridges.desire(DPID, DesiredBridge(state(), 1))
    one.connect()
    one.until(InSync)
    one.remove_all()
    drift = one.until(Drifted)
    assert drift.plan.tally() == {"add flow": 6}
    one.until(InSync, 2)
    assert one.held() == 6


def test_an_old_intent_that_shrank_is_held_until_it_is_forced(world) -> None:
    one = world()
    one.bridges.desire(DPID, DesiredBridge(state(100), 5))
    one.connect()
    one.until(InSync)
    one.bridges.desire(DPID, DesiredBridge(state(2), 4))
    assert one.until(Held).reason.deletes == 98
    assert one.held() == 101
    one.bridges.desire(DPID, DesiredBridge(state(2), 4, forced=True))
    one.until(InSync, 2)
    assert one.held() == 3


def test_what_an_earlier_life_confirmed_holds_a_suspect_intent_whatever_its_revision(world) -> None:
    one = world()
    one.bridges.desire(DPID, DesiredBridge(state(100), 5))
    one.connect()
    one.until(InSync)
    one.bridges.confirmed(DPID, 9, suspect=True)
    one.bridges.desire(DPID, DesiredBridge(state(2), 12))
    assert "revision 9" in str(one.until(Held).reason)
    one.bridges.desire(DPID, DesiredBridge(state(3), 13))
    assert one.until(Held, 2).reason.compiled == 13
    assert one.held() == 101
    one.bridges.desire(DPID, DesiredBridge(state(99), 14))
    one.until(InSync, 2)
    assert one.held() == 100
    one.bridges.desire(DPID, DesiredBridge(state(2), 15))
    one.until(InSync, 3)
    assert one.held() == 3


def test_edits_do_not_make_a_held_intent_good(world) -> None:
    one = world()
    one.bridges.desire(DPID, DesiredBridge(state(100), 5))
    one.connect()
    one.until(InSync)
    for number, revision in enumerate((4, 5, 6, 7), 1):
        one.bridges.desire(DPID, DesiredBridge(state(2 + number), revision))
        assert one.until(Held, number).reason.compiled == revision
    assert one.held() == 101


def test_bridges_are_measured_when_asked(world) -> None:
    one = world()
    measured: list = []
    one.bridges.measure(measured.append)
    one.bridges.ping(DPID)
    one.bridges.count_ports(DPID)
    one.connect()
    one.until(BridgeConnected)
    assert not [m for m in measured if isinstance(m, PortsCounted)], "nobody was there to ask"
    one.bridges.ping(DPID)
    one.bridges.count_ports(DPID)
    one.wait(lambda: {type(m) for m in measured} == {Echoed, PortsCounted})
    for measurement in measured:
        assert measurement.dpid == DPID
    assert all(m.seconds >= 0 for m in measured if isinstance(m, Echoed))


def test_flows_are_counted_by_their_cookie(world) -> None:
    one = world()
    measured: list = []
    one.bridges.measure(measured.append)
    flows = [flow(1, Output(1)), flow(2, Output(1)), flow(3, Output(1), owner=7)]
    one.bridges.desire(DPID, DesiredBridge(BridgeState.of(flows), 1))
    one.connect()
    one.until(InSync)
    one.bridges.count_flows(DPID, 0, flows[0].cookie, 2**64 - 1)
    one.wait(lambda: any(isinstance(m, FlowsCounted) for m in measured))
    [counted] = [m for m in measured if isinstance(m, FlowsCounted)]
    assert {c.key for c in counted.counters} == {flows[0].key, flows[1].key}
    assert all((c.cookie, c.packets, c.octets) == (flows[0].cookie, 0, 0) for c in counted.counters)
    assert all(c.seconds >= 0 for c in counted.counters)
