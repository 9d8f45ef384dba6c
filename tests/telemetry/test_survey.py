# SPDX-License-Identifier: Apache-2.0
"""From ports, frames and counters to what the engine hears, with a clock of its own."""

from __future__ import annotations

from dataclasses import replace

import pytest

from vneter_sdn.southbound.openflow.discovery import Discovery, Pace, Purpose
from vneter_sdn.southbound.openflow.multipart import Port, PortCounters
from vneter_sdn.southbound.openflow.probes import Place
from vneter_sdn.telemetry.damping import HALF_LIFE, MAX_SUPPRESSED
from vneter_sdn.telemetry.links import HOLD
from vneter_sdn.telemetry.survey import (
    GRACE,
    End,
    LinksSeen,
    PortsSeen,
    Survey,
    WireFound,
    WireLost,
)
from vneter_sdn.telemetry.surveyed import TunnelEnd

ONE, OTHER = End("s1", "s1-eth1"), End("s2", "s2-eth1")
FORTH, BACK = "s1:s1-eth1>s2:s2-eth1", "s2:s2-eth1>s1:s1-eth1"


def port(host: int, number: int, **changes) -> Port:
    values = {"down": False, "link_down": False, "live": True, "speed": 10_000_000} | changes
    return Port(number, f"s{host}-eth{number}", 0x02_0000_0000 + number, **values)


class Lab:
    """Switches on paper, whose ports are cabled, in the words of hosts."""

    def __init__(self, database: bool = False) -> None:
        self.told: list = []
        self.survey = Survey(Discovery(Pace(), bytes(range(40)), lambda: 0.5), self.told.append)
        self.now = 100.0
        self.cables: dict[Place, Place] = {}
        self.cut = False
        self.flying: list[tuple[Place, bytes]] = []
        for number in (1, 2, 3):
            self.survey.manage(f"s{number}", number, database, self.now)
            self.survey.connected(number, [port(number, 1), port(number, 2)], self.now)

    def cable(self, one: Place, other: Place) -> None:
        self.cables |= {one: other, other: one}

    def send(self, place: Place, frame: bytes) -> bool:
        if place in self.cables and not self.cut:
            self.flying.append((self.cables[place], frame))
        return True

    def run(self, seconds: float, probing: bool = True) -> None:
        for _ in range(round(seconds * 4)):
            self.survey.tick(self.now, self.send if probing else None)
            for dpid in (1, 2, 3):
                self.survey.echoed(dpid, self.now, 0.0)
            self.now += 0.01
            for at, frame in self.flying:
                self.survey.arrived(at.dpid, at.port, frame, self.now)
            self.flying.clear()
            self.now += 0.24

    def heard(self, kind) -> list:
        return [event for event in self.told if isinstance(event, kind)]

    def last(self, edge: str):
        links = [seen.links[edge] for seen in self.heard(LinksSeen) if edge in seen.links]
        return links[-1] if links else None


@pytest.fixture
def lab() -> Lab:
    made = Lab()
    made.cable(Place(1, 1), Place(2, 1))
    return made


def test_ports_are_told_at_once_and_on_change_only(lab) -> None:
    [first] = [seen for seen in lab.heard(PortsSeen) if seen.host == "s1"]
    assert first.ports["s1-eth1"].ofport == 1
    assert first.ports["s1-eth1"].speed_mbps == 10_000
    lab.survey.port_changed(1, 2, port(1, 1), lab.now)
    assert len(lab.heard(PortsSeen)) == 3
    lab.survey.port_changed(1, 2, port(1, 1, link_down=True, live=False), lab.now)
    assert not lab.heard(PortsSeen)[-1].ports["s1-eth1"].up


def test_a_wire_is_of_interfaces_with_addresses(lab) -> None:
    lab.cable(Place(2, 2), Place(1, 2))
    moved = port(2, 2)
    lab.survey.port_changed(2, 2, replace(moved, mac=moved.mac + 7), lab.now)
    lab.run(3)
    found = {(one.one.port, one.other.port): one.macs for one in lab.heard(WireFound)}
    assert found["s1-eth2", "s2-eth2"] == (port(1, 2).mac, moved.mac + 7)


@pytest.mark.parametrize("database", [False, True])
def test_labs_that_come_and_go_are_no_wire_that_flaps(database) -> None:
    """Each has interfaces of its own; a database would say that they are the same."""
    lab = Lab(database)
    if database:
        for host in ("s1", "s2"):
            lab.survey.interfaces(host, {f"{host}-eth1": Purpose.WIRE}, lab.now)
    lab.cable(Place(1, 1), Place(2, 1))
    for count in range(5):
        for dpid in (1, 2):
            mac = 0x02_0000_0100 + 16 * count + dpid
            lab.survey.port_changed(dpid, 0, replace(port(dpid, 1), mac=mac), lab.now)
        lab.run(3)
        if count < 4:
            lab.survey.port_changed(1, 1, port(1, 1), lab.now)
            lab.run(1)
    seen = lab.last(FORTH)
    assert (seen.state, seen.flaps) == (("damped", 4) if database else ("up", 0))


def test_a_wire_has_two_edges_with_all_that_is_measured(lab) -> None:
    lab.run(12)
    assert lab.heard(WireFound) == [WireFound(ONE, OTHER)]
    for edge in (FORTH, BACK):
        seen = lab.last(edge)
        assert seen.state == "up"
        assert seen.observation.capacity == 10_000
        assert seen.observation.latency == pytest.approx(10, abs=0.1)
    assert lab.last(FORTH).edge.target_port == "s2-eth1"


def test_little_is_told_of_what_stays_as_it_is(lab) -> None:
    lab.run(30)
    before = len(lab.told)
    lab.run(120)
    assert len(lab.told) == before


def test_a_port_that_goes_down_takes_its_wire_with_it(lab) -> None:
    lab.run(3)
    lab.survey.port_changed(2, 2, port(2, 1, link_down=True), lab.now)
    assert lab.heard(WireLost) == [WireLost(ONE, OTHER, "port")]
    lab.run(HOLD + 0.5)
    assert not lab.last(FORTH).observation.up
    assert not lab.last(BACK).observation.up


def test_a_wire_that_flaps_is_damped_and_then_taken_back(lab) -> None:
    lab.run(3)
    for _ in range(3):
        lab.survey.port_changed(2, 2, port(2, 1, link_down=True), lab.now)
        lab.run(HOLD + 0.5)
        lab.survey.port_changed(2, 2, port(2, 1), lab.now)
        lab.run(2)
    assert lab.last(FORTH).state == "damped"
    assert not lab.last(FORTH).observation.up
    assert lab.last(FORTH).flaps == 3
    lab.run(MAX_SUPPRESSED * HALF_LIFE)
    assert lab.last(FORTH).state == "up"
    assert lab.last(FORTH).observation.up


def test_what_is_cut_is_told_at_once_though_at_first_it_is_only_not_live(lab) -> None:
    """As Open vSwitch says it, in two port statuses."""
    lab.run(3)
    lab.survey.port_changed(2, 2, port(2, 1, live=False), lab.now)
    assert lab.last(FORTH).state == "up"
    lab.survey.port_changed(2, 2, port(2, 1, live=False, link_down=True), lab.now)
    assert lab.last(FORTH).state == lab.last(BACK).state == "down"
    lab.survey.port_changed(2, 2, port(2, 1, live=False, link_down=True, down=True), lab.now)
    assert lab.last(FORTH).flaps == lab.last(BACK).flaps == 1


def test_a_wire_that_is_late_for_a_moment_is_not_told_of(lab) -> None:
    lab.run(3)
    told = len(lab.heard(LinksSeen))
    for _ in range(5):
        lab.survey.port_changed(2, 2, port(2, 1, live=False), lab.now)
        lab.survey.port_changed(2, 2, port(2, 1), lab.now)
        lab.run(1)
    assert not [
        seen for seen in lab.heard(LinksSeen)[told:] if not seen.links[FORTH].observation.up
    ]
    assert lab.last(FORTH).flaps == 0


def test_a_port_that_gets_another_name_is_another_port(lab) -> None:
    lab.run(3)
    renamed = Port(1, "uplink", 2, False, False, live=True)
    lab.survey.port_changed(2, 2, renamed, lab.now)
    assert lab.heard(WireLost) == [WireLost(ONE, OTHER, "port")]
    lab.run(3)
    assert lab.heard(WireFound)[-1] == WireFound(ONE, End("s2", "uplink"))


def test_load_is_of_the_declared_capacity_else_of_the_ports_speed(lab) -> None:
    lab.run(3)
    for second in range(60):
        octets = second * 125_000_000  # 1 Gbit/s
        lab.survey.counted(1, lab.now + second, [PortCounters(1, 0, 0, 0, octets, 0, 0)])
    lab.run(0.5)
    assert lab.last(FORTH).observation.utilisation == pytest.approx(0.1, abs=0.01)
    lab.survey.declare({FORTH: 2000.0})
    lab.run(0.5)
    assert lab.last(FORTH).observation.utilisation == pytest.approx(0.5, abs=0.01)


def test_nothing_is_probed_before_a_database_says_what_ports_are_for() -> None:
    lab = Lab(database=True)
    lab.cable(Place(1, 1), Place(2, 1))
    lab.run(5)
    assert not lab.heard(WireFound)
    for number in (1, 2):
        lab.survey.interfaces(f"s{number}", {f"s{number}-eth1": Purpose.WIRE}, lab.now)
    lab.run(3)
    assert lab.heard(WireFound) == [WireFound(ONE, OTHER)]
    lab.survey.interfaces("s2", {"s2-eth1": Purpose.ENDPOINT}, lab.now)
    assert lab.heard(WireLost) == [WireLost(ONE, OTHER, "purpose")]


def test_tunnels_are_as_bfd_says_and_measured_by_probes() -> None:
    lab = Lab(database=True)
    lab.cable(Place(1, 1), Place(2, 1))
    for here, there in ((1, 2), (2, 1)):
        end = TunnelEnd(f"s{here}>s{there}", f"s{there}", None)
        lab.survey.interfaces(f"s{here}", {}, lab.now)
        lab.survey.tunnels(f"s{here}", {f"s{here}-eth1": end}, lab.now)
    assert lab.last("s1>s2").state == "unknown"
    assert lab.last("s1>s2").observation.up, "who says nothing breaks nothing"
    lab.run(12)
    assert not lab.heard(WireFound)
    assert lab.last("s1>s2").observation.latency == pytest.approx(10, abs=0.1)
    for up in (True, False):
        lab.survey.tunnels("s1", {"s1-eth1": TunnelEnd("s1>s2", "s2", up)}, lab.now)
        lab.run(HOLD + 0.5)
        assert lab.last("s1>s2").observation.up is up
    lab.survey.tunnels("s1", {}, lab.now)
    assert lab.last("s1>s2") is None


def test_after_a_restart_a_wire_found_before_has_some_seconds_to_be_found_again(lab) -> None:
    lab.survey.expect({(ONE, OTHER): True})
    lab.cut = True
    lab.run(GRACE - 1)
    assert lab.last(FORTH).observation.up
    lab.run(2)
    assert not lab.last(FORTH).observation.up
    lab.cut = False
    lab.run(2)
    assert lab.last(FORTH).state == "up"


def test_a_busy_controller_does_not_use_up_those_seconds(lab) -> None:
    lab.survey.expect({(ONE, OTHER): True})
    lab.cut = True
    lab.run(1)
    lab.now += 60
    lab.run(1)
    assert lab.last(FORTH).observation.up


def test_a_declared_wire_is_down_only_with_its_ports(lab) -> None:
    lab.survey.expect({(ONE, OTHER): False})
    lab.cut = True
    lab.run(3 * GRACE)
    assert lab.last(FORTH).state == "unknown"
    lab.survey.port_changed(2, 1, port(2, 1), lab.now)
    lab.run(1)
    assert lab.last(FORTH).state == "down"
    lab.survey.port_changed(2, 0, port(2, 1), lab.now)
    lab.run(1)
    assert lab.last(FORTH).observation.up
    lab.survey.expect({})
    lab.run(1)
    assert lab.last(FORTH) is None


def test_without_probing_nothing_is_held_against_anybody(lab) -> None:
    lab.survey.expect({(ONE, OTHER): True})
    lab.run(3 * GRACE, probing=False)
    assert lab.last(FORTH).observation.up


def test_a_host_that_leaves_takes_its_links_along(lab) -> None:
    lab.run(3)
    lab.survey.release("s2", lab.now)
    lab.run(1)
    assert lab.last(FORTH) is None
    assert lab.last(BACK) is None
    lab.survey.manage("s2", 2, False, lab.now)
    lab.run(3)
    assert lab.last(FORTH).observation.up


def test_what_a_database_said_of_interfaces_outlives_a_change_of_datapath_id() -> None:
    lab = Lab(database=True)
    lab.cable(Place(1, 1), Place(2, 1))
    for number in (1, 2):
        host = f"s{number}"
        lab.survey.interfaces(host, {f"s{number}-eth1": Purpose.WIRE}, lab.now)
        lab.survey.manage(host, 100 + number, True, lab.now)
        lab.survey.manage(host, number, True, lab.now)
    lab.run(3)
    assert lab.heard(WireFound) == [WireFound(ONE, OTHER)]


def test_of_a_bridge_that_is_yet_to_connect_no_ports_are_told() -> None:
    lab = Lab(database=True)
    lab.survey.manage("s9", 9, True, lab.now)
    lab.survey.interfaces("s9", {"s9-eth1": Purpose.WIRE}, lab.now)
    lab.survey.tunnels("s9", {}, lab.now)
    assert "s9" not in {seen.host for seen in lab.heard(PortsSeen)}
    lab.survey.connected(9, [port(9, 1)], lab.now)
    assert [set(seen.ports) for seen in lab.heard(PortsSeen) if seen.host == "s9"] == [{"s9-eth1"}]
