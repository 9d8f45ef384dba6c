# SPDX-License-Identifier: Apache-2.0
"""What one bridge does, where it is not easily drawn at random."""

from ipaddress import ip_address
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vneter_sdn.model.flow import (
    IN_PORT,
    BridgeState,
    Bucket,
    Conntrack,
    DecTtl,
    Flow,
    Group,
    GroupAction,
    Meter,
    MeterAction,
    Output,
    OutputField,
    Punt,
    Resubmit,
    SetField,
    match,
)
from vneter_sdn.simulate.bridge import Surroundings, by_weight, run
from vneter_sdn.simulate.lookup import Datapath
from vneter_sdn.simulate.packet import Ends, Packet, echo, raw

PING = echo(Ends(1, 2, ip_address("10.0.0.1"), ip_address("10.0.0.2"))).at(1)
WHOLE_48 = (1 << 48) - 1


def bridge(*flows, groups=(), meters=()):
    return BridgeState.of(flows, groups, meters)


def ports(result):
    return [port for port, _ in result.outputs]


def reasons(result):
    return [drop.reason for drop in result.drops]


def test_the_highest_priority_wins_and_a_miss_drops():
    state = bridge(
        Flow(0, 1, (), (Output(2),)),
        Flow(0, 9, match(in_port=1), (Output(3),)),
        Flow(0, 5, match(eth_src=1), (Output(4),)),
    )
    assert ports(run(state, PING)) == [3]
    assert ports(run(state, PING.at(7))) == [4]
    assert reasons(run(bridge(), PING)) == ["miss"]


def test_two_flows_of_one_priority_are_ambiguous():
    one, other = Flow(0, 5, match(in_port=1), (Output(2),)), Flow(0, 5, match(eth_src=1))
    (found,) = run(bridge(one, other), PING).ambiguities
    assert found.table == 0
    assert set(found.flows) == {one, other}
    higher = Flow(0, 6, (), (Output(3),))
    assert not run(bridge(one, other, higher), PING).ambiguities


def test_a_packet_never_leaves_where_it_came_in_unless_by_in_port():
    assert reasons(run(bridge(Flow(0, 1, (), (Output(1),))), PING)) == ["in_port"]
    assert ports(run(bridge(Flow(0, 1, (), (Output(IN_PORT),))), PING)) == [1]
    set_port = SetField("reg3", 1, 0xFFFF)
    state = bridge(Flow(0, 1, (), (set_port, OutputField("reg3", 0, 16))))
    assert reasons(run(state, PING)) == ["in_port"]
    back = SetField("reg3", 0xFFF8, 0xFFFF)
    assert ports(run(bridge(Flow(0, 1, (), (back, OutputField("reg3")))), PING)) == [1]


def test_actions_apply_in_order_and_goto_carries_on():
    rewrite = SetField("eth_dst", 9, WHOLE_48)
    state = bridge(
        Flow(0, 1, (), (Output(2), rewrite, Output(3)), goto=10),
        Flow(10, 1, match(eth_dst=9), (Output(4),)),
    )
    result = run(state, PING)
    assert [(port, packet["eth_dst"]) for port, packet in result.outputs] == [
        (2, 2),
        (3, 9),
        (4, 9),
    ]
    assert [table for table, _ in result.trail] == [0, 10]


def test_a_dying_ttl_stops_its_table_but_not_the_caller():
    dying = PING.with_(ip_ttl=1)
    state = bridge(Flow(0, 1, (), (DecTtl(), Output(2)), goto=10), Flow(10, 1, (), (Output(3),)))
    assert ports(run(state, PING)) == [2, 3]
    assert run(state, PING).last["ip_ttl"] == 63
    assert (ports(run(state, dying)), reasons(run(state, dying))) == ([], ["ttl"])
    outer = bridge(Flow(0, 1, (), (Resubmit(10), Output(2))), Flow(10, 1, (), (DecTtl(),)))
    assert ports(run(outer, dying)) == [2]
    assert ports(run(state, raw(1, 2, 0x88CC))) == [2, 3]


def test_sets_only_fields_that_the_packet_has():
    arp_only = Flow(0, 1, (), (SetField("arp_tpa", 9, 0xFFFFFFFF), Output(2)))
    ((_, packet),) = run(bridge(arp_only), PING).outputs
    assert packet == PING


def test_punts_carry_the_packet_and_the_reason():
    punt = Punt(b"why")
    (punted,) = run(bridge(Flow(0, 1, (), (punt,))), PING).punts
    assert punted == (PING, punt)


def test_a_loop_of_resubmits_ends():
    assert reasons(run(bridge(Flow(0, 1, (), (Resubmit(0),))), PING))[0] == "limit"
    assert reasons(run(bridge(Flow(0, 1, (), (), goto=0)), PING)) == ["limit"]


def in_group(kind, *buckets, surroundings=None):
    flow = Flow(0, 1, (), (GroupAction(1), Output(9)))
    state = bridge(flow, groups=(Group(1, kind, buckets),))
    return run(state, PING, surroundings or Surroundings())


def test_a_bucket_changes_only_its_own_copy():
    mark = SetField("eth_dst", 7, WHOLE_48)
    result = in_group("all", Bucket((Output(2), mark)), Bucket((Output(3),)))
    assert [(p, packet["eth_dst"]) for p, packet in result.outputs] == [(2, 7), (3, 2), (9, 2)]


@pytest.mark.parametrize(("dead", "expected"), [((), 2), ((2,), 3), ((2, 3), None)])
def test_fast_failover_takes_the_first_live_bucket(dead, expected):
    surroundings = Surroundings(live=lambda port: port not in dead)
    buckets = (Bucket((Output(2),), watch_port=2), Bucket((Output(3),), watch_port=3))
    result = in_group("ff", *buckets, surroundings=surroundings)
    assert ports(result) == ([expected, 9] if expected else [9])
    assert reasons(result) == ([] if expected else ["group"])


def test_select_goes_by_weight_among_the_live():
    surroundings = Surroundings(
        live=lambda port: port != 4, choose=by_weight(lambda packet: packet["in_port"] + 1)
    )
    buckets = (
        Bucket((Output(2),), weight=2),
        Bucket((Output(3),), weight=1),
        Bucket((Output(4),), weight=9, watch_port=4),
        Bucket((Output(5),), weight=0),
    )
    assert ports(in_group("select", *buckets, surroundings=surroundings)) == [3, 9]
    assert ports(in_group("select", *buckets)) == [2, 9]


def test_meters_and_missing_groups_stop_what_they_should():
    state = bridge(Flow(0, 1, (), (MeterAction(1), Output(2))), meters=(Meter(1, 10, 10),))
    assert ports(run(state, PING)) == [2]
    assert reasons(run(state, PING, Surroundings(within=lambda _: False))) == ["meter"]
    assert reasons(run(bridge(Flow(0, 1, (), (GroupAction(5),))), PING)) == ["group"]


@given(st.integers(0, 1 << 32))
def test_lookup_agrees_with_reading_every_flow(seed):
    rng = Random(seed)

    def some_match():
        terms = {}
        for name in ("eth_dst", "reg0", "tun_id"):
            mask = rng.choice((0, 0b11, 0b1100, 0b1111))
            terms[name] = (rng.randint(0, 15) & mask, mask)
        return match(**terms)

    state = bridge(
        *{f.key: f for f in (Flow(0, rng.randint(1, 9), some_match()) for _ in range(30))}.values()
    )
    datapath = Datapath.of(state)
    for _ in range(20):
        fields = Packet(**{n: rng.randint(0, 15) for n in ("eth_dst", "reg0", "tun_id")})
        hits = [
            f for f in state.flows.values() if all(fields.get(n, 0) & m == v for n, v, m in f.match)
        ]
        top = max((f.priority for f in hits), default=0)
        found = datapath.matching(0, fields)
        assert set(found) == {f for f in hits if f.priority == top}


def test_fast_failover_sees_only_what_a_bucket_watches():
    """A bucket whose own port is down but not watched is taken, and its packet lost."""
    surroundings = Surroundings(live=lambda port: port != 2)
    buckets = (Bucket((Output(2),), watch_port=5), Bucket((Output(3),), watch_port=3))
    assert ports(in_group("ff", *buckets, surroundings=surroundings)) == [2, 9]


@pytest.mark.parametrize(("dead", "expected"), [((), 2), ((5,), 2), ((5, 6), 3), ((5, 6, 3), None)])
def test_fast_failover_watches_groups_through_their_buckets(dead, expected):
    inner = Group(2, "ff", (Bucket((Output(2),), watch_port=5), Bucket((Output(2),), watch_port=6)))
    outer = Group(
        1, "ff", (Bucket((GroupAction(2),), watch_group=2), Bucket((Output(3),), watch_port=3))
    )
    state = bridge(Flow(0, 1, (), (GroupAction(1),)), groups=(outer, inner))
    result = run(state, PING, Surroundings(live=lambda port: port not in dead))
    assert ports(result) == ([expected] if expected else [])
    assert reasons(result) == ([] if expected else ["group"])


def test_groups_that_watch_each_other_are_dead():
    groups = (
        Group(1, "ff", (Bucket((Output(2),), watch_group=2),)),
        Group(2, "ff", (Bucket((Output(3),), watch_group=1),)),
    )
    state = bridge(Flow(0, 1, (), (GroupAction(1),)), groups=groups)
    assert reasons(run(state, PING)) == ["group"]


def test_a_packet_goes_back_where_it_came_from_once_its_port_is_forgotten():
    port = PING["in_port"]
    zero = SetField("in_port", 0, 0xFFFFFFFF)
    assert reasons(run(bridge(Flow(0, 1, (), (Output(port),))), PING)) == ["in_port"]
    assert ports(run(bridge(Flow(0, 1, (), (zero, Output(port)))), PING)) == [port]
    assert reasons(run(bridge(Flow(0, 1, (), (zero, Output(IN_PORT)))), PING)) == ["no_port"]


def test_a_packet_that_is_tracked_for_ever_stops():
    again = Flow(0, 1, match(eth_type=0x800), (Conntrack(table=0),))
    result = run(bridge(again), PING)
    assert reasons(result) == ["limit"]
    assert len(result.trail) == 7


def test_tracking_shows_only_in_the_table_it_goes_on_in():
    track = Flow(0, 1, match(eth_type=0x800), (Conntrack(commit=True, zone=5, table=1), Output(2)))
    state = bridge(track, Flow(1, 1, match(ct_zone=5, ct_state=(0x21, 0x21)), (Output(3),)))
    result = run(state, PING)
    assert ports(result) == [3, 2]
    assert result.outputs[0].packet["ct_zone"] == 5
    assert not {"ct_zone", "ct_state"} & result.last.keys()
    assert result.connections.held
    assert not Surroundings().connections.held
