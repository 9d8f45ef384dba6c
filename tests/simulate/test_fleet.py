# SPDX-License-Identifier: Apache-2.0
"""Bridges joined by tunnels."""

from vneter_sdn.model.flow import IN_PORT, BridgeState, Flow, Output, Punt, SetField, match
from vneter_sdn.model.rows import HostRows, TunnelPort
from vneter_sdn.simulate.bridge import Punted
from vneter_sdn.simulate.fleet import Arrival, PortOf, deliver, join
from vneter_sdn.simulate.packet import raw

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
