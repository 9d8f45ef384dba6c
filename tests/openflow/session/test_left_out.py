# SPDX-License-Identifier: Apache-2.0
"""Who asks for what a bridge refuses keeps nobody else from theirs; in memory and on a real one."""

from __future__ import annotations

import pytest
from kinds_of_bridges import DPID, G, M, flow

from vneter_sdn.model.flow import (
    BridgeState,
    Bucket,
    Group,
    GroupAction,
    Meter,
    MeterAction,
    Output,
)
from vneter_sdn.reconcile.plan import Changed
from vneter_sdn.southbound.openflow.quarantine import OUT_OF_METERS, ROOM
from vneter_sdn.southbound.openflow.upkeep import DesiredBridge, InSync, Quarantined, Refused

pytestmark = pytest.mark.filterwarnings("ignore")


def owned(number: int, owner: int, *actions):
    return flow(number, *(actions or (Output(1),)), owner=owner)


def failover(number: int, *buckets: Bucket) -> Group:
    return Group(number, "ff", buckets or (Bucket((Output(1),), watch_port=1),))


def metered(count: int) -> BridgeState:
    """As many objects as there are meters, with two flows each of which one needs a meter."""
    flows = [owned(n, n, MeterAction(M + n), Output(1)) for n in range(1, count + 1)]
    flows += [owned(1000 + n, 1000 + n) for n in range(1, count + 1)]
    return BridgeState.of(flows, [], [Meter(M + n, 50, 5) for n in range(1, count + 1)])


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
