# SPDX-License-Identifier: Apache-2.0
"""Traces of all packets of an endpoint say of each one what the simulator says of it."""

import pytest
from verify_world import SCENARIOS, talk, world

from vneter_sdn.simulate.fleet import PortOf
from vneter_sdn.verify.checks import entering
from vneter_sdn.verify.findings import example_of
from vneter_sdn.verify.fleet import Looped, Lost, Reached, Replied
from vneter_sdn.verify.state import Dropped, Punted, resolved


def told(delivery):
    return (
        sorted((a.host, a.port, a.packet.get("eth_dst", 0)) for a in delivery.reached),
        len(delivery.replies),
        sorted((host, drop.table, drop.reason) for host, drop in delivery.drops),
        sorted(host for host, _ in delivery.punts),
        sorted(delivery.lost),
    )


def said(traces, packet):
    ends = [trace.end for trace in traces]
    assert not any(isinstance(end, Looped) for end in ends)
    reached = [end for end in ends if isinstance(end, Reached)]
    drops = [end for end in ends if isinstance(end, Dropped) and end.reason != "nothing"]
    return (
        sorted((e.at.host, e.at.port, resolved(e.held, "eth_dst", packet)) for e in reached),
        sum(isinstance(end, Replied) for end in ends),
        sorted((end.host, end.table, end.reason) for end in drops),
        sorted(end.host for end in ends if isinstance(end, Punted)),
        sorted(end.at for end in ends if isinstance(end, Lost)),
    )


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_trace_is_what_the_simulator_sees(name):
    place = world(name)
    fabric = place.fabric()
    stations = list(place.meaning.stations.values())
    for a in stations:
        traces = list(fabric.traces(a.host, entering(a)))
        packets = [p.at(a.port) for b in stations if b is not a for p in talk(place.meaning, a, b)]
        shown = [(trace, example_of(a.host, trace.packets.cubes)) for trace in traces]
        packets += [example.packet for _, example in shown]
        for packet in packets:
            mine = [trace for trace in traces if packet in trace.packets]
            assert mine
            for choices in {trace.choices for trace in mine}:
                same = [trace for trace in mine if trace.choices == choices]
                example = example_of(a.host, same[0].packets.cubes, choices)
                delivery = place.send(type(example)(a.host, packet, choices=choices))
                assert said(same, packet) == told(delivery), packet
                assert all(PortOf(*lost) for lost in delivery.lost)
