# SPDX-License-Identifier: Apache-2.0
"""Labs that come one after the other by the same datapath ids, with frames at any time in between.

Whatever was heard, asked, found or half written before: when nothing changes any more, and every
host has spoken again, each is known where it is, and nobody anywhere else.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from itertools import pairwise
from unittest.mock import patch

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lab_world import World, arp

from vneter_sdn.engine.links import Links, write
from vneter_sdn.model.addresses import mac_text
from vneter_sdn.southbound.openflow.bridges import BridgeDisconnected
from vneter_sdn.southbound.openflow.events import Reason
from vneter_sdn.telemetry.survey import End, WireFound

Place = tuple[int, int]
NAMES = (("s1", "s2", "s3"), ("leaf1", "leaf2", "spine"), ("s3", "s1", "s2"), ("s2", "leaf1", "s1"))
"""Of the bridges by the datapath ids 1, 2 and 3."""


@dataclass
class Plan:
    """A lab as Mininet makes it."""

    names: Mapping[int, str]
    hosts: Mapping[Place, tuple[int, IPv4Address]]
    """MAC and address, by datapath id and port."""
    wires: Mapping[Place, Place]
    """Both ways."""

    def ports(self, dpid: int) -> list[int]:
        return sorted(port for at, port in (*self.hosts, *self.wires) if at == dpid)


@st.composite
def labs(draw) -> Plan:
    """Bridges in a row, in any order, with hosts; ports are numbered in any order."""
    names = draw(st.sampled_from(NAMES))
    dpids = draw(st.permutations([1, 2, 3]))[: draw(st.integers(1, 3))]
    free = {dpid: iter(draw(st.permutations(range(1, 5)))) for dpid in dpids}
    own = draw(st.sampled_from((0xA0, 0xB0)))  # MACs as of the lab before, or others
    hosts = {}
    for number in range(1, draw(st.integers(2, 4)) + 1):
        dpid = draw(st.sampled_from(dpids))
        place = (dpid, next(free[dpid], 5))
        hosts[place] = (0x02_0000_000000 + own + number, IPv4Address(f"10.0.0.{number}"))
    wires = {}
    for one, other in pairwise(dpids):
        ends = (one, next(free[one], 6)), (other, next(free[other], 7))
        wires |= {ends[0]: ends[1], ends[1]: ends[0]}
    named = {dpid: names[dpid - 1] for dpid in dpids}
    return Plan(named, hosts, wires)


@dataclass
class Row:
    """A world in which labs follow each other."""

    world: World = field(default_factory=World)
    plan: Plan | None = None
    count: int = 0
    """Of labs: the Ethernet addresses of interfaces are others in each."""
    there: set[int] = field(default_factory=set)

    def tick(self) -> None:
        """The lab writes what it has to; what was written it may hear of later."""
        self.world.lab.step(self.world.known, self.world.now)

    def tell(self) -> None:
        self.world.tell()

    def settle(self) -> None:
        self.world.settle()

    def leave(self) -> None:
        for dpid in sorted(self.there):
            self.world.lab._bridge_event(BridgeDisconnected(dpid, Reason.PEER_CLOSED, ""))
        self.there.clear()

    def come(self, dpid: int) -> None:
        assert self.plan is not None
        name, ports = self.plan.names[dpid], self.plan.ports(dpid)
        self.world.appear(dpid, name, *ports, base=self.mac((dpid, 0)))
        self.there.add(dpid)

    def mac(self, place: Place) -> int:
        """The Ethernet address of an interface in this lab."""
        return (self.count << 8) + 16 * place[0] + place[1]

    def reconnect(self, dpid: int) -> None:
        self.world.lab._bridge_event(BridgeDisconnected(dpid, Reason.REPLACED, ""))
        self.come(dpid)

    # -- hosts ----------------------------------------------------------------------------------

    def end(self, place: Place) -> End | None:
        """What an interface is called, as far as the lab was told."""
        assert self.plan is not None
        for key, stored in self.world.known.objects.items():
            if key.kind == "Host" and int(stored.spec.datapath_id, 16) == place[0]:
                return End(key.name, f"{self.plan.names[place[0]]}-eth{place[1]}")
        return None

    def known(self) -> dict[str, tuple[str, str]]:
        """Learned endpoints, by interface id."""
        return {
            stored.spec.interface_id: (stored.spec.mac, *stored.spec.addresses)
            for key, stored in self.world.store.snapshot().objects.items()
            if key.kind == "Endpoint"
        }

    def ask(self, place: Place, target: IPv4Address) -> None:
        """A host looks for an address; who has it, answers."""
        assert self.plan is not None
        mac, address = self.plan.hosts[place]
        self.emit(place, arp(mac, address, target), asks=target)

    def emit(self, place: Place, frame: bytes, asks: IPv4Address | None = None) -> None:
        """A frame of a host enters its bridge, which punts it or answers it itself."""
        assert self.plan is not None
        mac, address = self.plan.hosts[place]
        end = self.end(place)
        if place[0] not in self.there or end is None:
            return
        known = self.known()
        mine = known.get(f"{end.host}/{end.port}") == (mac_text(mac), str(address))
        answered = asks is None or any(str(asks) in one for one in known.values())
        if not (mine and answered):
            self.world.overhear(*place, frame)
            self.carry()

    def carry(self) -> None:
        """What the lab sent arrives: at hosts, and over wires at bridges."""
        assert self.plan is not None
        while self.world.asked:
            dpid, frame, outputs = self.world.asked.pop(0)
            for place in ((dpid, output.port) for output in outputs):
                if place in self.plan.hosts:
                    self.answer(place, frame)
                elif self.plan.wires[place][0] in self.there:
                    self.world.overhear(*self.plan.wires[place], frame)

    def answer(self, place: Place, frame: bytes) -> None:
        assert self.plan is not None
        mac, address = self.plan.hosts[place]
        asker, target = IPv4Address(frame[28:32]), IPv4Address(frame[38:42])
        if target == address:
            to = int.from_bytes(frame[6:12], "big")
            self.emit(place, arp(mac, address, asker, operation=2, to=to))

    # -- wires ----------------------------------------------------------------------------------

    def discover(self) -> None:
        """Every wire between bridges that are there is found, and written if that is possible.

        Its ends are told by the names that hosts have as far as the lab was told, too.
        """
        assert self.plan is not None
        snapshot = self.world.known
        links = Links()
        links.index(snapshot, snapshot.objects)
        for pair in self.plan.wires.items():
            ends = {end: self.mac(place) for place in pair if (end := self.end(place))}
            if {dpid for dpid, _ in pair} <= self.there and len(ends) == 2:
                (one, mac), (other, far) = sorted(ends.items())
                links.found(WireFound(one, other, (mac, far)))
        write(links, self.world.store, snapshot)


STEPS = ("tick", "tell", "settle", "ask", "ask", "discover", "reconnect", "wait")


def change(row: Row, plan: Plan, draw) -> None:
    """Another lab takes over, its bridges in any order, with anything in between."""
    row.leave()
    row.plan, row.count = plan, row.count + 1
    for dpid in draw(st.permutations(sorted(plan.names))):
        row.come(dpid)
        for step in draw(st.lists(st.sampled_from(STEPS), max_size=5)):
            match step:
                case "ask":
                    place = draw(st.sampled_from(sorted(plan.hosts)))
                    row.ask(place, draw(st.sampled_from([a for _, a in plan.hosts.values()])))
                case "reconnect":
                    row.reconnect(draw(st.sampled_from(sorted(row.there))))
                case "wait":
                    row.world.now += draw(st.sampled_from((0.1, 0.5, 1.0, 6.0)))
                case _:
                    getattr(row, step)()


def finish(row: Row, *, one: bool) -> None:
    """All there is to find is found, and everybody asks for everybody, again and again; or one."""
    assert row.plan is not None
    for _ in range(3):
        row.settle()
        row.discover()
    for _ in range(4):
        for place in list(row.plan.hosts)[: 1 if one else None]:
            for _, target in row.plan.hosts.values():
                row.ask(place, target)
            row.settle()
        row.world.now += 1


@given(st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_everybody_is_known_where_they_are_and_nowhere_else(data):
    row = Row()
    with patch("vneter_sdn.daemon.lab.time.monotonic", lambda: row.world.now):
        row.settle()
        for plan in data.draw(st.lists(labs(), min_size=2, max_size=4)):
            change(row, plan, data.draw)
        finish(row, one=data.draw(st.booleans()))
    places = {row.end(place): who for place, who in row.plan.hosts.items()}
    assert row.known() == {
        f"{end.host}/{end.port}": (mac_text(mac), str(address))
        for end, (mac, address) in places.items()
    }
