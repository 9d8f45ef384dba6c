# SPDX-License-Identifier: Apache-2.0
"""Bridges joined by tunnels."""

from ipaddress import ip_address

from vneter_sdn.model.flow import (
    IN_PORT,
    BridgeState,
    Bucket,
    Conntrack,
    Flow,
    Group,
    GroupAction,
    Output,
    Punt,
    SetField,
    match,
)
from vneter_sdn.model.rows import HostRows, TunnelPort
from vneter_sdn.simulate.bridge import Punted
from vneter_sdn.simulate.fleet import Arrival, PortOf, deliver, join
from vneter_sdn.simulate.packet import Ends, raw, udp

WHOLE_64 = (1 << 64) - 1
FRAME = raw(1, 2, 0x88CC)


def rows(host, *peers, encapsulation="geneve"):
    tunnels = tuple(
        TunnelPort(f"t{p}", encapsulation, f"192.0.2.{host}", f"192.0.2.{p}", 100 + p, f"h{p}")
        for p in peers
    )
    return HostRows("br-int", "dummy", host, "", tunnels)


def flow(port, *actions, table=0, **fields):
    return Flow(table, 5, match(in_port=port, **fields), actions)


def to(peer, key):
    return SetField("tun_id", key, WHOLE_64), Output(100 + peer)


def test_a_packet_crosses_a_tunnel_with_its_key_and_without_registers():
    one = BridgeState.of([flow(1, SetField("reg0", 7, 0xFFFFFFFF), *to(2, 55))])
    two = BridgeState.of([flow(101, Output(4), tun_id=55, reg0=0)])
    fleet = join({"h1": one, "h2": two}, {"h1": rows(1, 2), "h2": rows(2, 1)})
    delivery = deliver(fleet, "h1", FRAME.at(1))
    assert delivery.reached == (Arrival("h2", 4, FRAME),)
    assert delivery.hops == ("h1", "h2")
    assert not any((delivery.drops, delivery.lost, delivery.loop, delivery.replies))


def test_replies_and_punts_are_told_apart():
    one = BridgeState.of([flow(1, Punt(b"x"), Output(IN_PORT), Output(3))])
    fleet = join({"h1": one}, {"h1": rows(1)})
    delivery = deliver(fleet, "h1", FRAME.at(1))
    assert delivery.replies == (FRAME,)
    assert delivery.reached == (Arrival("h1", 3, FRAME),)
    assert delivery.punts == (("h1", Punted(FRAME.at(1), Punt(b"x"))),)


def test_circles_are_found():
    one = BridgeState.of([flow(1, *to(2, 1)), flow(102, *to(3, 1))])
    two = BridgeState.of([flow(101, *to(3, 1))])
    three = BridgeState.of([flow(102, *to(1, 1)), flow(101, *to(2, 1))])
    back = BridgeState.of([flow(101, Output(IN_PORT))])
    bounce = BridgeState.of([flow(1, *to(2, 1)), flow(102, Output(IN_PORT))])
    fleet = join(
        {"h1": one, "h2": two, "h3": three},
        {"h1": rows(1, 2, 3), "h2": rows(2, 1, 3), "h3": rows(3, 1, 2)},
    )
    assert not deliver(fleet, "h1", FRAME.at(1)).loop
    pair = join({"h1": bounce, "h2": back}, {"h1": rows(1, 2), "h2": rows(2, 1)})
    assert set(deliver(pair, "h1", FRAME.at(1)).loop) == {"h1", "h2"}


def test_a_tunnel_without_another_end_loses_packets():
    one = BridgeState.of([flow(1, *to(2, 1))])
    alone = join({"h1": one}, {"h1": rows(1, 2)})
    assert deliver(alone, "h1", FRAME.at(1)).lost == (PortOf("h1", 102),)
    mixed = {"h1": rows(1, 2), "h2": rows(2, 1, encapsulation="vxlan")}
    fleet = join({"h1": one, "h2": one}, mixed)
    assert deliver(fleet, "h1", FRAME.at(1)).lost == (PortOf("h1", 102),)


def test_a_packet_for_several_is_followed_to_each():
    one = BridgeState.of([flow(1, Output(5), *to(2, 1), *to(3, 2))])
    end = BridgeState.of([flow(101, Output(6))])
    fleet = join(
        {"h1": one, "h2": end, "h3": end},
        {"h1": rows(1, 2, 3), "h2": rows(2, 1), "h3": rows(3, 1)},
    )
    reached = deliver(fleet, "h1", FRAME.at(1)).reached
    assert [(arrival.host, arrival.port) for arrival in reached] == [
        ("h1", 5),
        ("h2", 6),
        ("h3", 6),
    ]


def tracking(port, *actions, table, goto):
    track = Conntrack(commit=True, zone=1, table=goto)
    known = match(in_port=port, eth_type=0x800)
    return [Flow(table, 5, known, (track,)), Flow(goto, 5, match(ct_state=(0x20, 0x20)), actions)]


ENDS = Ends(1, 2, ip_address("10.0.0.1"), ip_address("10.0.0.2"))


def test_every_bridge_remembers_what_passed_it():
    back = Flow(1, 9, match(ct_state=(0x28, 0x28)), (Output(1),))
    replies = Flow(0, 5, match(in_port=102, eth_type=0x800), (Conntrack(zone=1, table=1),))
    one = BridgeState.of([*tracking(1, *to(2, 5), table=0, goto=1), back, replies])
    two = BridgeState.of([flow(101, Output(4)), flow(4, *to(1, 5))])
    fleet = join({"h1": one, "h2": two}, {"h1": rows(1, 2), "h2": rows(2, 1)})
    first = deliver(fleet, "h1", udp(ENDS, 5, 6).at(1))
    assert [(a.host, a.port) for a in first.reached] == [("h2", 4)]
    assert set(first.connections) == {"h1", "h2"}
    assert len(first.connections["h1"].held) == 1
    assert not first.connections["h2"].held
    reply = udp(ENDS.back, 6, 5).at(4)
    second = deliver(fleet, "h2", reply, connections=first.connections)
    assert [(a.host, a.port) for a in second.reached] == [("h1", 1)]
    stranger = deliver(fleet, "h2", reply)
    assert [(a.host, a.port) for a in stranger.reached] == []


def test_a_dead_port_loses_packets_until_its_own_bridge_sees_it():
    near, far = PortOf("h1", 102), PortOf("h2", 101)
    spare = Bucket((Output(3),), watch_port=3)
    group = Group(1, "ff", (Bucket((Output(102),), watch_port=102), spare))
    one = BridgeState.of([flow(1, GroupAction(1))], [group])
    two = BridgeState.of([flow(101, Output(4))])
    fleet = join({"h1": one, "h2": two}, {"h1": rows(1, 2), "h2": rows(2, 1)})

    def outcome(*dead):
        delivery = deliver(fleet, "h1", FRAME.at(1), dead=dead)
        return [(a.host, a.port) for a in delivery.reached], delivery.lost

    assert outcome() == ([("h2", 4)], ())
    assert outcome(far) == ([], (near,))
    assert outcome(near) == outcome(near, far) == ([("h1", 3)], ())
    assert outcome(near, PortOf("h1", 3)) == ([], ())
    assert outcome(PortOf("h2", 4))[1] == (PortOf("h2", 4),)


def test_a_wire_carries_no_tunnel_key():
    one = BridgeState.of([flow(1, *to(2, 55))])
    two = BridgeState.of([flow(7, Output(4), tun_id=0)])
    wires = [(PortOf("h1", 102), PortOf("h2", 7))]
    fleet = join({"h1": one, "h2": two}, {"h1": rows(1), "h2": rows(2)}, wires)
    assert deliver(fleet, "h1", FRAME.at(1)).reached == (Arrival("h2", 4, FRAME),)
    assert fleet.other_end(PortOf("h2", 7)) == PortOf("h1", 102)
    assert fleet.other_end(PortOf("h2", 4)) is None
