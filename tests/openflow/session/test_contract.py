# SPDX-License-Identifier: Apache-2.0
"""What every kind of bridges promises: in memory, and on real Open vSwitch."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import pytest

from vneter_sdn.model.flow import (
    BridgeState,
    Bucket,
    Flow,
    Group,
    GroupAction,
    Meter,
    MeterAction,
    Output,
    match,
)
from vneter_sdn.pipeline import reserved
from vneter_sdn.pipeline.cookies import Cookie
from vneter_sdn.reconcile.plan import Changed
from vneter_sdn.southbound.openflow import encode
from vneter_sdn.southbound.openflow.bridges import BridgeConnected, BridgeDisconnected
from vneter_sdn.southbound.openflow.measurements import Echoed, FlowsCounted, PortsCounted
from vneter_sdn.southbound.openflow.memory import MemoryBridges
from vneter_sdn.southbound.openflow.quarantine import OUT_OF_METERS, ROOM
from vneter_sdn.southbound.openflow.sandbox import Link
from vneter_sdn.southbound.openflow.upkeep import (
    Blocked,
    DesiredBridge,
    Drifted,
    Held,
    InSync,
    Quarantined,
    Refused,
)
from vneter_sdn.southbound.openflow.wire import V15

pytestmark = pytest.mark.filterwarnings("ignore")
DPID = 0x42
G, M = reserved.GROUPS.start, reserved.METERS.start


def flow(number: int, *actions, owner: int = 1) -> Flow:
    return Flow(0, 10, match(reg1=number), actions, None, Cookie(1, 1, owner).number)


def state(count: int = 5) -> BridgeState:
    flows = [flow(n, Output(1)) for n in range(1, count)]
    flows += [flow(100, GroupAction(G)), flow(101, MeterAction(M), Output(1))]
    group = Group(G, "select", (Bucket((Output(1),), 1), Bucket((GroupAction(G + 1),), 2)))
    return BridgeState.of(
        flows, [group, Group(G + 1, "all", (Bucket((Output(1),)),))], [Meter(M, 50, 5)]
    )


class Memory:
    """The twin, driven by its own clock."""

    def __init__(self, audit: float) -> None:
        self.bridges = MemoryBridges(audit)
        self.seen: list = []
        self.bridges.subscribe(self.seen.append)

    def connect(self) -> None:
        self.bridges.connect(DPID)

    def restart(self) -> None:
        self.bridges.restart(DPID)

    def foreign(self, number: int) -> None:
        bridge = self.bridges.add(DPID)
        key = flow(number).key
        bridge.observed = replace(bridge.observed, foreign=bridge.observed.foreign | {key})

    def crowd(self, room: int) -> None:
        self.bridges.add(DPID).room = room

    def remove_all(self) -> None:
        bridge = self.bridges.bridges[DPID]
        bridge.observed = replace(bridge.observed, flows={})

    def until(self, kind, count: int = 1):
        for _ in range(200):
            found = [event for event in self.seen if isinstance(event, kind)]
            if len(found) >= count:
                return found[-1]
            self.bridges.advance(0.1)
        raise AssertionError(f"no {kind.__name__}: {self.seen}")

    def wait(self, condition) -> None:
        self.bridges.run()
        assert condition()

    def held(self) -> int:
        return len(self.bridges.bridges[DPID].observed.flows)


class Real:
    """Open vSwitch, asked with ovs-ofctl."""

    def __init__(self, ovs, bridges, eventually) -> None:
        self.ovs, self.bridges, self.eventually = ovs, bridges, eventually
        self.seen = bridges.seen
        ovs.bridge("br0", DPID)
        # Open vSwitch flushes a bridge when it gets its first controller; have that over with.
        ovs.controller("br0", f"unix:{ovs.directory}/nobody")
        self.target = f"unix:{ovs.directory}/c"
        bridges.listen(self.target, frozenset({DPID}))

    def connect(self) -> None:
        self.ovs.controller("br0", self.target)

    def restart(self) -> None:
        self.ovs.restart_switch()

    def foreign(self, number: int) -> None:
        self.ovs.ofctl("add-flow", "br0", f"priority=10,reg1={number},actions=drop")

    def crowd(self, room: int) -> None:
        """Have another bridge of the datapath, on which they depend, hold all other meters."""
        self.ovs.bridge("others", DPID + 1)
        features = self.ovs.ofctl("meter-features", "others")
        most = int(features.split("max_meter:")[1].split()[0])
        meters = (Meter(number, 1, 1) for number in range(1, most - room + 1))
        added = (encode.meter_mod(meter, encode.ADD, V15, 1) for meter in meters)
        with Link(self.ovs.directory / "others.mgmt") as link:
            while some := b"".join(islice(added, 2000)):
                link.send(some)
            link.barrier(2)

    def remove_all(self) -> None:
        self.ovs.ofctl("del-flows", "br0")

    def until(self, kind, count: int = 1):
        self.eventually(lambda: sum(isinstance(e, kind) for e in self.seen) >= count)
        return [event for event in self.seen if isinstance(event, kind)][-1]

    def wait(self, condition) -> None:
        self.eventually(condition)

    def held(self) -> int:
        return sum("cookie=0x76" in line for line in self.ovs.flows("br0"))


@pytest.fixture(params=["memory", pytest.param("real", marks=pytest.mark.ovs)])
def world(request):
    def make(audit: float = 0.0):
        if request.param == "memory":
            return Memory(audit)
        make_bridges = request.getfixturevalue("make_bridges")
        return Real(
            request.getfixturevalue("ovs"),
            make_bridges(audit=audit),
            request.getfixturevalue("eventually"),
        )

    return make


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


def owned(number: int, owner: int, *actions):
    return flow(number, *(actions or (Output(1),)), owner=owner)


def test_who_asks_for_a_flow_that_is_refused_keeps_nobody_else_from_theirs(world) -> None:
    one = world()
    good = [owned(n, owner) for owner in (1, 2) for n in range(owner * 10, owner * 10 + 3)]
    bad = owned(50, 3, GroupAction(G + 9))
    wanted = [good[0], bad, owned(51, 3), *good[1:]]
    one.bridges.desire(DPID, DesiredBridge(BridgeState.of(wanted), 1, epoch=7))
    one.connect()
    left = one.until(Quarantined)
    assert [(c.flow, c.kind, c.code) for c in left.culprits] == [(bad, 2, 9)]
    assert (left.epoch, left.revision) == (7, 1)
    assert one.held() == len(good)
    assert not [e for e in one.seen if isinstance(e, InSync)]
    extra = owned(13, 1)  # what others ask for meanwhile is not delayed
    changed = Changed(frozenset({extra.key}))
    one.bridges.desire(DPID, DesiredBridge(BridgeState.of([*wanted, extra]), 2, changed, epoch=8))
    assert one.until(Quarantined, 2).epoch == 8
    assert one.held() == len(good) + 1
    assert one.until(Refused, 2).retry_in == 2.0
    mended = owned(50, 3)
    state_now = BridgeState.of([*(f for f in wanted if f != bad), extra, mended])
    one.bridges.desire(DPID, DesiredBridge(state_now, 3, Changed(frozenset({mended.key}))))
    assert one.until(InSync).revision == 3
    assert one.held() == len(good) + 3


def test_an_object_that_is_left_out_stays_as_it_was_in_one_piece(world) -> None:
    one = world()
    one.bridges.desire(DPID, DesiredBridge(BridgeState.of([owned(1, 1), owned(2, 1)]), 1))
    one.connect()
    one.until(InSync)
    wanted = [owned(1, 1, Output(2)), owned(3, 1, GroupAction(G + 9)), owned(4, 2)]
    one.bridges.desire(DPID, DesiredBridge(BridgeState.of(wanted), 2))
    one.until(Quarantined)
    assert set(one.bridges.observed(DPID).flows.values()) == {
        owned(1, 1), owned(2, 1), owned(4, 2)
    }  # fmt: skip
    one.bridges.desire(DPID, DesiredBridge(BridgeState.of([owned(4, 2)]), 3))
    one.until(InSync, 2)
    assert one.held() == 1


def test_more_culprits_than_there_is_room_for_are_a_plain_refusal(world) -> None:
    one = world()
    many = [owned(n, n, GroupAction(G + 9)) for n in range(1, ROOM + 3)]
    one.bridges.desire(DPID, DesiredBridge(BridgeState.of([*many, owned(100, 100)]), 1))
    one.connect()
    one.until(Refused, ROOM + 1)
    assert not [e for e in one.seen if isinstance(e, Quarantined)]
    one.bridges.desire(DPID, DesiredBridge(BridgeState.of([*many[:ROOM], owned(100, 100)]), 2))
    assert len(one.until(Quarantined).culprits) == ROOM
    assert one.held() == 1


def failover(number: int, *buckets: Bucket) -> Group:
    return Group(number, "ff", buckets or (Bucket((Output(1),), watch_port=1),))


def test_who_needs_a_group_that_is_refused_keeps_nobody_else_from_theirs(world) -> None:
    one = world()
    unwatched = failover(G, Bucket((Output(1),)))
    leads_to_it = failover(G + 1, Bucket((GroupAction(G),), watch_port=1))
    good = failover(G + 2)
    flows = [
        owned(1, 1, GroupAction(G)), owned(2, 1), owned(3, 2, GroupAction(G + 1)),
        owned(4, 3, GroupAction(G + 2)), owned(5, 4),
    ]  # fmt: skip
    wanted = BridgeState.of(flows, [unwatched, leads_to_it, good])
    one.bridges.desire(DPID, DesiredBridge(wanted, 1))
    one.connect()
    left = one.until(Quarantined)
    assert [(c.flow, c.through, c.kind, c.code) for c in left.culprits] == [
        (flows[0], unwatched, 6, 1), (flows[2], unwatched, 6, 1)
    ]  # fmt: skip
    held = one.bridges.observed(DPID)
    assert set(held.flows.values()) == {flows[3], flows[4]}
    assert held.groups == {good.group: good}
    mended = BridgeState.of(flows, [failover(G), leads_to_it, good])
    one.bridges.desire(DPID, DesiredBridge(mended, 2, Changed()))
    assert one.until(InSync).revision == 2
    assert one.held() == 5
    assert set(one.bridges.observed(DPID).groups) == {G, G + 1, G + 2}


def test_a_group_under_flows_that_are_left_out_stays(world) -> None:
    """Deleting it would delete the flows that use it, and they are to stay as they were."""
    one = world()
    before = BridgeState.of([owned(1, 1, GroupAction(G)), owned(2, 2)], [failover(G)])
    one.bridges.desire(DPID, DesiredBridge(before, 1))
    one.connect()
    one.until(InSync)
    refused = owned(1, 1, GroupAction(G + 9))
    one.bridges.desire(DPID, DesiredBridge(BridgeState.of([refused, owned(3, 2)]), 2))
    one.until(Quarantined)
    held = one.bridges.observed(DPID)
    assert set(held.flows.values()) == {owned(1, 1, GroupAction(G)), owned(3, 2)}
    assert set(held.groups) == {G}
    assert one.held() == 2
    one.bridges.desire(DPID, DesiredBridge(BridgeState.of([owned(3, 2)]), 3))
    one.until(InSync, 2)
    assert one.held() == 1
    assert not one.bridges.observed(DPID).groups


def test_a_group_that_cannot_change_stays_with_those_who_use_it(world) -> None:
    one = world()
    flows = [owned(1, 1, GroupAction(G)), owned(2, 2)]
    one.bridges.desire(DPID, DesiredBridge(BridgeState.of(flows, [failover(G)]), 1))
    one.connect()
    one.until(InSync)
    changed = [*flows, owned(3, 1), owned(4, 2)]
    bad = Group(G, "all", (Bucket((Output(1),), watch_port=1),))
    one.bridges.desire(DPID, DesiredBridge(BridgeState.of(changed, [bad]), 2))
    left = one.until(Quarantined)
    assert [(c.through, c.kind, c.code) for c in left.culprits] == [(bad, 6, 6)]
    held = one.bridges.observed(DPID)
    assert set(held.flows.values()) == {*flows, owned(4, 2)}
    assert held.groups == {G: failover(G)}


def test_who_needs_a_meter_that_is_refused_keeps_nobody_else_from_theirs(world) -> None:
    one = world()
    flows = [owned(1, 1, MeterAction(M), Output(1)), owned(2, 2, MeterAction(M + 1)), owned(3, 3)]
    meters = [Meter(M, 0, 5), Meter(M + 1, 50, 5)]
    one.bridges.desire(DPID, DesiredBridge(BridgeState.of(flows, [], meters), 1))
    one.connect()
    left = one.until(Quarantined)
    assert [(c.flow, c.through, c.kind, c.code) for c in left.culprits] == [
        (flows[0], meters[0], 12, 6)
    ]
    assert one.held() == 2
    assert set(one.bridges.observed(DPID).meters) == {M + 1}
    mended = BridgeState.of(flows, [], [Meter(M, 10, 5), meters[1]])
    one.bridges.desire(DPID, DesiredBridge(mended, 2, Changed()))
    one.until(InSync)
    assert one.held() == 3


def metered(count: int) -> BridgeState:
    """As many objects as there are meters, with two flows each of which one needs a meter."""
    flows = [owned(n, n, MeterAction(M + n), Output(1)) for n in range(1, count + 1)]
    flows += [owned(1000 + n, 1000 + n) for n in range(1, count + 1)]
    return BridgeState.of(flows, [], [Meter(M + n, 50, 5) for n in range(1, count + 1)])


def test_who_finds_no_meter_left_is_told_and_keeps_nobody_else_from_theirs(world) -> None:
    one = world()
    room, many = 5, 5 + 2 * ROOM
    one.crowd(room)
    one.bridges.desire(DPID, DesiredBridge(metered(many), 1))
    one.connect()
    left = one.until(Quarantined)
    assert {(c.kind, c.code) for c in left.culprits} == {OUT_OF_METERS}
    assert [c.through for c in left.culprits] == [
        Meter(M + n, 50, 5) for n in range(room + 1, many + 1)
    ], "each is told of its own"
    assert one.held() == room + many
    assert set(one.bridges.observed(DPID).meters) == {M + n for n in range(1, room + 1)}
    assert sum(isinstance(event, Refused) for event in one.seen) == 1, "they are left out at once"
    bad = owned(2000, 2000, GroupAction(G + 9))
    wanted = BridgeState.of([*metered(many).flows.values(), bad], [], metered(many).meters.values())
    one.bridges.desire(DPID, DesiredBridge(wanted, 2, Changed(frozenset({bad.key}))))
    one.wait(lambda: any(bad in {c.flow for c in e.culprits} for e in one.seen
                         if isinstance(e, Quarantined)))  # fmt: skip
    one.bridges.desire(DPID, DesiredBridge(metered(room), 3))
    assert one.until(InSync).revision == 3
    assert one.held() == 2 * room


def test_a_refused_group_that_nobody_needs_is_a_plain_refusal(world) -> None:
    one = world()
    orphan = failover(G, Bucket((Output(1),)))
    one.bridges.desire(DPID, DesiredBridge(BridgeState.of([owned(1, 1)], [orphan]), 1))
    one.connect()
    refusal = one.until(Refused)
    assert (refusal.kind, refusal.code, refusal.going_on) == (6, 1, False)
    assert one.held() == 0


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
