# SPDX-License-Identifier: Apache-2.0
"""What a walk of sets says of small tables that are made for one question each."""

from itertools import permutations

import pytest

from vneter_sdn.model.fields import TRACKED
from vneter_sdn.model.flow import (
    BridgeState,
    Conjunction,
    Conntrack,
    Flow,
    Output,
    SetField,
    match,
)
from vneter_sdn.simulate.bridge import run
from vneter_sdn.simulate.packet import Packet
from vneter_sdn.verify.packets import ALL, Packets
from vneter_sdn.verify.state import Sent
from vneter_sdn.verify.tracking import ANYTHING, known
from vneter_sdn.verify.walk import Around, Walker

TCP = {"eth_type": 0x800, "ip_proto": 6}
TRACKING = [
    Flow(0, 1, match(eth_type=0x800), (Conntrack(commit=True, table=1),)),
    *(
        Flow(1, 9, match(ct_state=(TRACKED[name], TRACKED[name])), (Output(10 + n),))
        for n, name in enumerate(("new", "est", "inv"))
    ),
]


def ports(courses, packet):
    mine = [course for course in courses if packet in course.packets]
    return [sent.port for course in mine for sent in course.of(Sent)]


@pytest.mark.parametrize("flags", range(64))
def test_who_starts_a_connection_is_told_by_flags(flags):
    state = BridgeState.of(TRACKING)
    packet = Packet(**TCP, tcp_flags=flags, in_port=1)
    simulated = [sent.port for sent in run(state, packet).outputs]
    assert ports(Walker(state, Around()).courses(ALL), packet) == simulated


@pytest.mark.parametrize("icmp", [{"icmp_type": 8}, {"icmp_type": 0}, {"icmp_type": 3}])
def test_who_starts_a_connection_is_told_by_kind(icmp):
    state = BridgeState.of(TRACKING)
    packet = Packet(eth_type=0x800, ip_proto=1, in_port=1, **icmp)
    simulated = [sent.port for sent in run(state, packet).outputs]
    assert ports(Walker(state, Around()).courses(ALL), packet) == simulated


def test_the_tracker_says_what_was_asked_for():
    state = BridgeState.of(
        [
            Flow(0, 1, match(eth_type=0x800), (Conntrack(table=1),)),
            Flow(1, 9, match(ct_mark=(1, 1), ct_label=(2 << 32, 0xFF << 32)), (Output(7),)),
        ]
    )
    packet = Packet(**TCP, tcp_flags=16, in_port=1)
    assert ports(Walker(state, Around()).courses(ALL), packet) == []
    told = known(mark=3, label=2 << 32, reply=True)
    assert ports(Walker(state, Around(told)).courses(ALL), packet) == [7]
    (course,) = [c for c in Walker(state, Around(ANYTHING)).courses(ALL) if c.of(Sent)]
    (cube,) = course.packets.cubes
    assert cube["ct_mark@1"].without == frozenset()


CLAUSES = [
    Flow(0, 10, match(eth_type=0x800, ip_src=n), (Conjunction(5, 1, 2),)) for n in range(1, 101)
] + [Flow(0, 10, match(**TCP, tcp_dst=n), (Conjunction(5, 2, 2),)) for n in range(1, 101)]


@pytest.mark.parametrize("priority", [9, 10, 11])
def test_a_flow_of_equal_priority_goes_before_a_conjunction(priority):
    flows = [
        *CLAUSES,
        Flow(0, 10, match(conj_id=5), (Output(2),)),
        Flow(0, priority, match(eth_type=0x800, in_port=1), (Output(3),)),
    ]
    packet = Packet(**TCP, ip_src=8, tcp_dst=7, in_port=1)
    state = BridgeState.of(flows)
    # Of equal priority the simulator sees two flows; a conjunction is looked up after plain ones.
    assert ports(Walker(state, Around()).courses(ALL), packet) == [2 if priority == 9 else 3]


def test_a_conjunction_is_one_product_of_sets():
    flows = [*CLAUSES, Flow(0, 1, match(conj_id=5), (Output(2),))]
    courses = Walker(BridgeState.of(flows), Around()).courses(ALL)
    met = [course for course in courses if course.trail]
    assert len(met) == 2  # the other is what came by port 2
    assert max(len(course.packets.cubes) for course in met) == 1


def test_ten_thousand_addresses_with_one_meaning_are_two_courses():
    flows = [
        Flow(0, 9, match(eth_type=0x800, ip_src=n), (SetField("reg1", n % 2, 0xFF),), 1)
        for n in range(10_000)
    ]
    flows.append(Flow(1, 1, (), (Output(2),)))
    packets = Packets.matching(match(eth_type=0x800, in_port=1))
    courses = Walker(BridgeState.of(flows), Around()).courses(packets)
    assert sorted(len(course.of(Sent)) for course in courses) == [0, 1, 1]
    assert all(len(course.packets.cubes) == 1 for course in courses)


@pytest.mark.parametrize("wide", [5, 7, 9], ids=lambda number: f"and {number} in between")
def test_of_two_flows_of_one_priority_both_take_the_same_whatever_came_first(wide):
    """Open vSwitch takes any; an example of a proof is to be seen in the simulator, though."""
    one = Flow(0, 7, match(in_port=1, eth_type=0x800), (Output(2),))
    other = Flow(0, 7, match(in_port=1, ip_dst=5, eth_type=0x800), (Output(3),))
    beside = Flow(0, wide, match(in_port=1, ip_dst=6, eth_type=0x800), (Output(4),))
    taken = set()
    for flows in permutations((one, other, beside)):
        state = BridgeState.of(flows)
        packet = Packet(in_port=1, eth_type=0x800, ip_dst=5)
        (sent,) = run(state, packet).outputs
        (course,) = (c for c in Walker(state, Around()).courses(ALL) if packet in c.packets)
        taken |= {sent.port, *(event.port for event in course.of(Sent))}
    assert len(taken) == 1
