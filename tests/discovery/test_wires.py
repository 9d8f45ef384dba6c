# SPDX-License-Identifier: Apache-2.0
"""Finding wires: on paper cables, with every trick that hosts and cables can play."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vneter_sdn.southbound.openflow import lldp, probes
from vneter_sdn.southbound.openflow.discovery import (
    Delayed,
    Discovery,
    Judged,
    Pace,
    Purpose,
    WireDown,
    WireUp,
)
from vneter_sdn.southbound.openflow.probes import Place, Refusal

SECRET = bytes(range(40))
PACE = Pace()


class Lab:
    """Bridges on paper. ``cables`` says where a frame that leaves a place comes in."""

    def __init__(self, pace: Pace = PACE, bridges: int = 3, ports: int = 3) -> None:
        self.discovery = Discovery(pace, SECRET, lambda: 0.5)
        self.now = 0.0
        self.pace = pace
        self.cables: dict[Place, tuple[Place, ...]] = {}
        self.cut: set[Place] = set()
        self.silent: set[int] = set()
        self.delay = 0.0
        self.sent: list[tuple[Place, bytes]] = []
        self.flying: list[tuple[float, Place, bytes]] = []
        self.refused: list[Refusal] = []
        self.findings: list = []
        for dpid in range(1, bridges + 1):
            self.discovery.connected(dpid, True)
            self.ports(dpid, dict.fromkeys(range(1, ports + 1), Purpose.WIRE))

    def ports(self, dpid: int, purposes) -> None:
        self.findings += self.discovery.ports(dpid, purposes, self.now)

    def cable(self, one: Place, other: Place) -> None:
        self.cables[one], self.cables[other] = (other,), (one,)

    def send(self, place: Place, frame: bytes) -> bool:
        self.sent.append((place, frame))
        if place not in self.cut:
            for at in self.cables.get(place, ()):
                self.flying.append((self.now + self.delay, at, frame))
        return True

    def arrive(self, at: Place, frame: bytes) -> Refusal | None:
        refusal = self.discovery.arrived(at, frame, self.now)
        if refusal is not None:
            self.refused.append(refusal)
        return refusal

    def run(self, seconds: float, step: float | None = None) -> None:
        until = self.now + seconds
        while self.now < until - 1e-9:
            self.findings += self.discovery.tick(self.now, self.send)
            for dpid in (1, 2, 3):
                if dpid not in self.silent:
                    self.discovery.answered(dpid, self.now, 0.0)
            self.now += self.pace.fast if step is None else step
            landed = [f for f in self.flying if f[0] <= self.now]
            self.flying = [f for f in self.flying if f[0] > self.now]
            for _, at, frame in landed:
                self.arrive(at, frame)

    def of(self, kind) -> list:
        return [finding for finding in self.findings if isinstance(finding, kind)]

    @property
    def wires(self):
        return self.discovery.wires


A, B, C = Place(1, 1), Place(2, 1), Place(3, 1)


@pytest.fixture
def lab() -> Lab:
    made = Lab()
    made.cable(A, B)
    return made


def test_a_wire_is_what_both_ends_hear(lab) -> None:
    lab.cables[C] = (Place(1, 2),)
    lab.run(2)
    assert lab.wires == {(A, B)}
    assert lab.of(WireUp) == [WireUp(A, B)]
    assert not lab.of(WireDown)
    assert lab.refused == []


def test_it_takes_half_a_second_to_find_one(lab) -> None:
    lab.run(0.75)
    assert lab.wires == {(A, B)}


def test_three_lost_probes_take_it_down_and_it_comes_back(lab) -> None:
    lab.run(3)
    lab.cut = {A}
    lab.run(2)
    assert lab.wires == {(A, B)}, "one or two lost probes are nothing"
    lab.run(4)
    assert lab.of(WireDown) == [WireDown(A, B, "lost")]
    lab.cut = set()
    lab.run(3)
    assert lab.wires == {(A, B)}


def test_a_silent_channel_judges_nobody(lab) -> None:
    lab.run(3)
    for silent in (1, 2):
        lab.silent, lab.cut = {silent}, {A, B}
        lab.run(20)
        assert lab.wires == {(A, B)}
    lab.discovery.connected(2, False)
    lab.silent = set()
    lab.run(20)
    assert lab.wires == {(A, B)}


def test_a_loop_that_runs_late_judges_nobody(lab) -> None:
    lab.run(3)
    lab.cut = {A, B}
    lab.run(60, step=0.6)
    assert lab.wires == {(A, B)}
    lab.run(8)
    assert lab.wires == frozenset()


def test_a_port_that_goes_down_takes_its_wire_at_once(lab) -> None:
    lab.run(2)
    lab.ports(1, {2: Purpose.WIRE})
    assert lab.of(WireDown) == [WireDown(A, B, "port")]
    lab.ports(1, {1: Purpose.WIRE, 2: Purpose.WIRE})
    lab.run(2)
    assert lab.wires == {(A, B)}


def test_a_port_that_turns_out_to_be_an_endpoints_ends_no_wire(lab) -> None:
    lab.run(2)
    lab.ports(1, {1: Purpose.ENDPOINT})
    assert lab.of(WireDown) == [WireDown(A, B, "purpose")]
    lab.run(5)
    assert lab.wires == frozenset()
    assert set(lab.refused) == {Refusal.ENDPOINT}


def test_a_cable_that_is_moved_replaces_the_wire(lab) -> None:
    lab.run(3)
    del lab.cables[B]
    lab.cable(A, C)
    lab.run(8)
    assert lab.wires == {(A, C)}
    assert lab.of(WireDown) == [WireDown(A, B, "lost")]


def test_a_hub_of_three_is_no_wire(lab) -> None:
    ends = (A, B, C)
    for place in ends:
        lab.cables[place] = tuple(other for other in ends if other != place)
    lab.run(10)
    assert lab.wires == frozenset()
    assert Refusal.RELAYED in lab.refused


def test_a_cable_back_to_the_same_bridge_is_no_wire(lab) -> None:
    lab.cable(Place(3, 1), Place(3, 2))
    lab.run(3)
    assert lab.wires == {(A, B)}
    assert set(lab.refused) == {Refusal.LOOPED}


def captured(lab: Lab, place: Place) -> bytes:
    return next(frame for at, frame in reversed(lab.sent) if at == place)


def test_forged_frames_are_rejected(lab) -> None:
    lab.run(2)
    signed = lldp.decode(captured(lab, A))
    assert signed is not None
    mine = lldp.encode(signed.probe._replace(sequence=10**6), b"guess")
    assert lab.arrive(C, mine) is Refusal.FORGED
    stale = lldp.encode(signed.probe._replace(epoch=b"yestrday"), b"guess")
    assert lab.arrive(C, stale) is Refusal.EPOCH
    bent = bytearray(captured(lab, A))
    bent[40] ^= 1
    assert lab.arrive(C, bytes(bent)) in (Refusal.FORGED, Refusal.MALFORMED)
    assert lab.arrive(C, bytes(12) + b"\x88\xcc\x02\x00") is Refusal.MALFORMED
    assert lab.wires == {(A, B)}


def test_replayed_frames_are_rejected_and_the_wire_stays(lab) -> None:
    lab.run(2)
    frame = captured(lab, A)
    assert lab.arrive(B, frame) is Refusal.REPLAYED
    lab.run(4)
    assert lab.arrive(B, frame) is Refusal.REPLAYED, "long after, too"
    lab.run(2)
    assert lab.wires == {(A, B)}


@pytest.mark.parametrize("order", [(B, C), (C, B)])
@pytest.mark.parametrize("answers", [False, True])
def test_a_wire_that_stands_is_not_taken_down_by_copies(lab, order, answers) -> None:
    """Whether they come sooner or later than what was copied, and even if both ends are copied."""
    lab.run(2)
    lab.cables[A] = order
    if answers:
        lab.cables[C] = (A,)
    lab.run(20)
    assert set(lab.refused) == {Refusal.RELAYED}
    assert len(lab.refused) > 15
    assert lab.wires == {(A, B)}
    assert not lab.of(WireDown)
    assert not [found for found in lab.of(Judged) if not found.arrived]


@pytest.mark.parametrize("order", [(B, C), (C, B)])
def test_a_new_wire_is_found_though_copies_of_its_probes_come_elsewhere(lab, order) -> None:
    lab.cables[A] = order
    lab.run(1)
    assert lab.wires == {(A, B)}
    lab.run(20)
    assert lab.wires == {(A, B)}
    assert set(lab.refused) == {Refusal.RELAYED}


def test_two_wires_whose_probes_are_swapped_stay_what_they_are(lab) -> None:
    lab.cable(C, Place(2, 2))
    lab.run(3)
    both = {(A, B), (Place(2, 2), C)}
    lab.cables[A], lab.cables[C] = (B, Place(2, 2)), (Place(2, 2), B)
    lab.run(20)
    assert lab.wires == both
    assert not lab.of(WireDown)


def test_who_is_copied_both_ways_before_there_was_a_wire_is_undecided_until_it_ends(lab) -> None:
    lab.cables[A], lab.cables[C] = (B, C), (A,)
    lab.run(20)
    assert lab.wires == frozenset()
    lab.cables[A] = (B,)
    del lab.cables[C]
    lab.run(2 * PACE.memory * PACE.interval)
    assert lab.wires == {(A, B)}


def test_ports_of_two_workloads_that_relay_to_one_another_are_no_wire(lab) -> None:
    far = Place(2, 2)
    lab.discovery.workload(C)
    lab.cable(C, far)
    lab.run(20)
    assert lab.wires == {(A, B)}
    assert set(lab.refused) == {Refusal.ENDPOINT}
    lab.ports(3, {2: Purpose.WIRE, 3: Purpose.WIRE})
    lab.ports(3, {1: Purpose.WIRE, 2: Purpose.WIRE, 3: Purpose.WIRE})
    lab.run(5)
    assert lab.wires == {(A, B), (far, C)}, "its port went down: somebody else may be there now"


def test_a_workload_behind_a_port_that_has_a_wire_is_none(lab) -> None:
    lab.run(2)
    lab.discovery.workload(A)
    lab.run(5)
    lab.cut = {A}
    lab.run(8)
    lab.cut = set()
    lab.run(5)
    assert lab.wires == {(A, B)}


def test_a_probe_of_a_tunnel_that_is_relayed_measures_nothing(lab) -> None:
    for dpid in (1, 2, 3):
        lab.ports(dpid, {1: Purpose.TUNNEL})
    lab.cables[A] = (B, C)
    lab.run(5)
    assert {(f.source, f.target) for f in lab.of(Delayed)} == {(A, B), (B, A)}
    assert set(lab.refused) == {Refusal.RELAYED}


def test_a_probe_at_very_many_places_takes_no_more_memory() -> None:
    lab = Lab(ports=12)
    lab.cables[A] = tuple(Place(d, p) for d in (2, 3) for p in range(1, 13))
    lab.run(10)
    assert lab.wires == frozenset()
    assert all(len(port.heard_by) <= probes.PLACES for port in lab.discovery._ports.values())


def test_a_relayed_probe_does_not_unseat_a_wire_that_works(lab) -> None:
    """A captured probe that reaches another wired port first."""
    lab.cable(C, Place(2, 2))
    lab.run(3)
    both = {(A, B), (Place(2, 2), C)}
    assert lab.wires == both
    lab.cables[Place(1, 3)] = (C,)
    lab.run(5)
    assert set(lab.refused) == {Refusal.RELAYED}
    assert lab.wires == both


def test_an_endpoint_that_replays_a_probe_harms_nobody(lab) -> None:
    lab.ports(3, {1: Purpose.ENDPOINT, 2: Purpose.WIRE})
    lab.run(2)
    assert lab.arrive(C, captured(lab, A)) is Refusal.ENDPOINT
    lab.run(5)
    assert lab.wires == {(A, B)}


def test_ports_nobody_told_us_of_are_not_listened_to(lab) -> None:
    lab.run(2)
    assert lab.arrive(Place(9, 9), captured(lab, A)) is Refusal.UNKNOWN
    lab.ports(3, {1: Purpose.OTHER})
    assert lab.arrive(C, captured(lab, A)) is Refusal.UNKNOWN
    assert lab.wires == {(A, B)}


def test_a_flood_is_taken_at_the_rate_of_its_port_alone(lab) -> None:
    lab.run(2)
    frame = captured(lab, A)
    taken = [lab.arrive(C, b"x" + frame) for _ in range(1000)]
    assert taken.count(Refusal.FLOOD) == 1000 - PACE.burst
    lab.run(10)
    assert lab.wires == {(A, B)}


def test_tunnels_are_measured_and_are_no_wires(lab) -> None:
    for dpid in (1, 2):
        lab.ports(dpid, {1: Purpose.TUNNEL, 2: Purpose.WIRE})
    lab.delay = 0.1
    lab.run(10)
    assert lab.wires == frozenset()
    assert {(f.source, f.target) for f in lab.of(Delayed)} == {(A, B), (B, A)}
    lab.cable(A, Place(2, 2))
    lab.run(4)
    assert Refusal.CROSSED in lab.refused


def test_delays_are_those_of_the_wire_alone() -> None:
    lab = Lab(Pace(fast=0.01))
    lab.cable(A, B)
    lab.delay = 0.03
    for dpid, seconds in ((1, 0.02), (2, 0.01), (1, 0.5)):
        lab.discovery.answered(dpid, 0.0, seconds)
    lab.silent = {1, 2, 3}
    lab.run(0.2)
    delays = [found.seconds for found in lab.of(Delayed)]
    assert delays
    assert all(abs(seconds - 0.015) < 1e-6 for seconds in delays)


def test_what_is_sent_in_one_tick_is_bounded() -> None:
    lab = Lab(Pace(budget=5), bridges=3, ports=10)
    for _ in range(40):
        before = len(lab.sent)
        lab.run(PACE.fast)
        assert len(lab.sent) - before <= 5
    assert {place for place, _ in lab.sent} == {
        Place(d, p) for d in (1, 2, 3) for p in range(1, 11)
    }


def test_memory_is_bounded_by_what_is_out(lab) -> None:
    lab.run(60)
    assert lab.discovery._ledger.out <= 9 * 4 * 3 * 2


PLACES = [Place(d, p) for d in (1, 2, 3) for p in (1, 2)]


@settings(max_examples=40, deadline=None)
@given(st.permutations(PLACES), st.integers(0, 3), st.lists(st.integers(0, 5), max_size=3))
def test_the_wires_found_are_the_cables_there_are(order, count, cut) -> None:
    lab = Lab(ports=2)
    pairs = [(order[2 * n], order[2 * n + 1]) for n in range(count)]
    for one, other in pairs:
        lab.cable(one, other)
    lab.cut = {PLACES[n] for n in cut}
    lab.run(8)
    real = {
        (min(pair), max(pair))
        for pair in pairs
        if pair[0].dpid != pair[1].dpid and not lab.cut & set(pair)
    }
    assert lab.wires == real


def test_judgements_name_both_ends(lab) -> None:
    lab.run(3)
    lab.cut = {A}
    lab.run(2.5)
    judged = lab.of(Judged)
    assert Judged(A, B, True) in judged
    assert Judged(A, B, False) in judged
    assert Judged(B, A, False) not in judged
