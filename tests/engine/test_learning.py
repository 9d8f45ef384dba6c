# SPDX-License-Identifier: Apache-2.0
"""A lab from frame to flow: plain hosts on bridges in memory, with nothing declared.

The engine, the lab, the fabric and the store are the real ones, in this process; the bridges are
`MemoryBridges`, and the simulator passes packets through what they hold. What they punt is heard,
what is sent out by them reaches the hosts there.
"""

from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from struct import pack
from types import SimpleNamespace

import pytest

from vneter_sdn.compile.network import Compiler
from vneter_sdn.config import Settings
from vneter_sdn.daemon.fabric import Fabric
from vneter_sdn.daemon.lab import LOCAL, Lab
from vneter_sdn.daemon.sessions import Absent
from vneter_sdn.daemon.watch import Watch
from vneter_sdn.engine.controller import Controller
from vneter_sdn.engine.port import Stored
from vneter_sdn.model.addresses import mac_text
from vneter_sdn.model.fields import ETH_ARP, ETH_IP, PROTO_UDP
from vneter_sdn.model.flow import BridgeState
from vneter_sdn.model.snapshot import Delta, Key
from vneter_sdn.pipeline.punts import Learning
from vneter_sdn.simulate.fleet import PortOf, deliver, join
from vneter_sdn.simulate.packet import BROADCAST, Packet
from vneter_sdn.southbound.openflow import punt
from vneter_sdn.southbound.openflow.bridges import BridgeConnected
from vneter_sdn.southbound.openflow.memory import MemoryBridges
from vneter_sdn.southbound.openflow.multipart import Port
from vneter_sdn.store.memory import MemoryStore
from vneter_sdn.store.port import Edit

BRIDGES = {"s1": 1, "s2": 2}
WIRE = PortOf("s1", 9), PortOf("s2", 9)
REQUEST, REPLY = 1, 2


class LocalBridges(MemoryBridges):
    """Bridges that connect over loopback, as Mininet's do."""

    def _announce(self, event):
        if isinstance(event, BridgeConnected):
            event = replace(event, peer="tcp:127.0.0.1")
        super()._announce(event)


@dataclass
class Machine:
    """A plain host: what Mininet has behind a port."""

    at: PortOf
    mac: int
    address: IPv4Address

    def arp(self, target, operation=REQUEST, to=BROADCAST):
        """An ARP packet of it."""
        return Packet(
            in_port=self.at.port,
            eth_src=self.mac,
            eth_dst=to,
            eth_type=ETH_ARP,
            arp_op=operation,
            arp_spa=int(self.address),
            arp_tpa=int(target),
            arp_sha=self.mac,
            arp_tha=0 if to == BROADCAST else to,
        )

    def datagram(self, target, to):
        """An IPv4 packet of it, to an Ethernet address."""
        return Packet(
            in_port=self.at.port,
            eth_src=self.mac,
            eth_dst=to,
            eth_type=ETH_IP,
            ip_src=int(self.address),
            ip_dst=int(target),
            ip_proto=PROTO_UDP,
            ip_ttl=64,
            udp_src=1,
            udp_dst=2,
        )


def octets(packet):
    """A packet as a frame."""
    field = lambda name: packet.get(name, 0)  # noqa: E731
    head = field("eth_dst").to_bytes(6, "big") + field("eth_src").to_bytes(6, "big")
    head += pack("!H", field("eth_type"))
    if field("eth_type") == ETH_IP:
        fields = pack("!BBHHHBBH", 0x45, 0, 20, 0, 0, field("ip_ttl"), field("ip_proto"), 0)
        return head + fields + pack("!II", field("ip_src"), field("ip_dst"))
    sender = field("arp_sha").to_bytes(6, "big") + pack("!I", field("arp_spa"))
    target = field("arp_tha").to_bytes(6, "big") + pack("!I", field("arp_tpa"))
    return head + pack("!HHBBH", 1, 0x800, 6, 4, field("arp_op")) + sender + target


class World:
    """A controller with `--lab`, two bridges joined by a wire, and machines."""

    def __init__(self, clock):
        self.clock, self.bridges, self.store = clock, LocalBridges(), MemoryStore()
        self.machines = {}
        self.start()
        for name, dpid in BRIDGES.items():
            ports = tuple(self.port(name, number) for number in (1, 2, 3, 9))
            self.bridges.connect(dpid, (Port(LOCAL, name, dpid, False, False), *ports))
        self.settle()
        wire = {"medium": "wire", "source": "s1", "sourcePort": "s1-eth9",
                "target": "s2", "targetPort": "s2-eth9"}  # fmt: skip
        manifest = {"apiVersion": "vneter.io/v1", "kind": "Link", "spec": wire}
        key = Key("Link", "", "wire")
        edit = Edit("apply", key, manifest | {"metadata": {"name": "wire"}})
        self.store.apply([edit], author="somebody")
        self.settle()

    @staticmethod
    def port(bridge, number):
        return Port(number, f"{bridge}-eth{number}", BRIDGES[bridge] << 8 | number, False, False)

    def start(self):
        """A new controller: of all that was there, the store and the bridges are left."""
        self.bridges._subscribers.clear()
        self.bridges._measuring.clear()
        self.known, self.events = None, []
        settings, tell = Settings(lab=True), self.events.append
        mark = SimpleNamespace(revision=0, suspect=False)
        highwater = SimpleNamespace(mark=mark, confirmed=lambda revision: None)
        watch = Watch(self.bridges, settings, tell)
        fabric = Fabric(self.bridges, lambda *_: Absent(), tell, lambda *_: None, highwater, watch)
        self.lab = Lab(self.bridges, self.store, settings)
        self.controller = Controller(self.store, fabric, Compiler(), lambda: "now")

    def settle(self):
        """Let everybody act until nothing changes."""
        if self.known is not None:
            self.lab.step(self.known, self.clock.now)
        for _ in range(200):
            events, changed = [*self.events], None
            self.events.clear()
            if self.known is None:
                changed = self.known, _ = self.store.snapshot(), Delta()
                self.lab.stored(self.known, None)
            elif changed := self.store.wait(self.known, 0):
                self.known = changed[0]
                self.lab.stored(self.known, changed[1].objects)
            if not events and changed is None:
                return
            self.controller.handle([*([Stored(*changed)] if changed else []), *events])
            self.lab.step(self.known, self.clock.now)
        raise AssertionError("it never settles")

    def machine(self, name, bridge, port):
        """A new one."""
        number = len(self.machines) + 1
        made = Machine(
            PortOf(bridge, port), 0x02_0000_0000A0 + number, IPv4Address(0x0A000000 + number)
        )
        self.machines[name] = made
        return made

    def send(self, machine, packet):
        """Send a packet, and see to what is punted; the machines that got it, and the replies."""
        states = {}
        for name, dpid in BRIDGES.items():
            held = self.bridges.observed(dpid)
            states[name] = BridgeState(held.flows, held.groups, held.meters)
        found = deliver(join(states, {}, [WIRE]), machine.at.host, packet)
        assert not found.ambiguities
        for host, punted in found.punts:
            frame = octets(punted.packet)
            assert punted.action.userdata == Learning().encode()
            sender, port = punt.sender(frame), punted.packet["in_port"]
            self.lab.heard(BRIDGES[host], port, sender, frame)
        self.settle()
        self.hand_out(packet)
        places = {PortOf(one.host, one.port) for one in found.reached}
        return {n for n, one in self.machines.items() if one.at in places}, found.replies

    def hand_out(self, packet):
        """What the controller sent out of ports reaches machines; who is asked answers."""
        for name, dpid in BRIDGES.items():
            sent, self.bridges.bridges[dpid].sent = self.bridges.bridges[dpid].sent, []
            places = {PortOf(name, out.port) for _, actions, _ in sent for out in actions}
            for one in self.machines.values():
                if one.at in places and int(one.address) == packet.get("arp_tpa"):
                    reply = one.arp(packet["arp_spa"], REPLY, packet["eth_src"])
                    self.send(one, reply)

    def endpoints(self):
        """Where each learned endpoint is: name, MAC and address."""
        return {
            (key.path, stored.spec.mac, *stored.spec.addresses)
            for key, stored in self.store.snapshot().objects.items()
            if key.kind == "Endpoint"
        }

    def asks(self, one, other):
        """The MAC that one machine is told of another; None when nobody answers."""
        _, replies = self.send(one, one.arp(other.address))
        return replies[0]["arp_sha"] if replies else None

    def plans(self):
        """How many plans each bridge carried out."""
        return {name: len(self.bridges.bridges[dpid].plans) for name, dpid in BRIDGES.items()}


@pytest.fixture
def world(monkeypatch):
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr("vneter_sdn.daemon.lab.time.monotonic", lambda: clock.now)
    return World(clock)


@pytest.fixture
def pair(world):
    """Two machines on two bridges that know each other."""
    one, other = world.machine("one", "s1", 1), world.machine("other", "s2", 2)
    assert world.asks(one, other) is None, "the question that everybody is learned by"
    assert world.asks(one, other) == other.mac
    assert world.asks(other, one) == one.mac
    return one, other


def name_of(machine):
    """What a learned endpoint is called."""
    return f"default/{machine.at.host}.{machine.at.host}-eth{machine.at.port}"


def known(*machines):
    return {(name_of(one), mac_text(one.mac), str(one.address)) for one in machines}


def test_who_asks_and_who_answers_become_endpoints_and_reach_each_other(world, pair):
    one, other = pair
    assert world.endpoints() == known(one, other)
    assert world.send(one, one.datagram(other.address, other.mac)) == ({"other"}, ())
    assert world.send(other, other.datagram(one.address, one.mac)) == ({"one"}, ())


def test_with_nothing_learned_nothing_is_forwarded(world):
    one, other = world.machine("one", "s1", 1), world.machine("other", "s2", 2)
    assert world.send(one, one.datagram(other.address, other.mac)) == (set(), ())
    assert world.endpoints() == known(one), "but it was heard"


def test_a_machine_that_moves_takes_its_traffic_along(world, pair):
    one, other = pair
    old, other.at = other.at, PortOf("s1", 2)
    assert world.send(other, other.datagram(one.address, one.mac))[0] == set(), "it is heard first"
    assert world.endpoints() == known(one, other)
    assert world.send(other, other.datagram(one.address, one.mac))[0] == {"one"}
    assert world.send(one, one.datagram(other.address, other.mac))[0] == {"other"}
    world.machines["left behind"] = replace(other, at=old)
    assert world.send(one, one.datagram(other.address, other.mac))[0] == {"other"}


def test_another_machine_at_a_port_takes_the_place_of_the_one_before(world, pair):
    one, other = pair
    newcomer = world.machine("newcomer", *one.at)
    assert world.send(newcomer, newcomer.datagram(other.address, other.mac))[0] == set()
    assert world.endpoints() == known(newcomer, other)
    del world.machines["one"]
    assert world.send(newcomer, newcomer.datagram(other.address, other.mac))[0] == {"other"}
    assert world.asks(other, one) is None
    assert world.send(other, other.datagram(one.address, one.mac)) == (set(), ())
    assert world.send(other, other.datagram(newcomer.address, newcomer.mac))[0] == {"newcomer"}


def test_a_restart_changes_no_flow_and_forgets_nobody(world, pair):
    one, other = pair
    before, plans = world.endpoints(), world.plans()
    revision = world.store.snapshot().revision
    held = {name: world.bridges.observed(dpid) for name, dpid in BRIDGES.items()}
    for dpid in BRIDGES.values():
        world.bridges.disconnect(dpid)
    world.start()
    world.settle()
    for dpid in BRIDGES.values():
        world.bridges.connect(dpid)
    world.settle()
    assert world.endpoints() == before
    assert world.store.snapshot().revision == revision
    for name, dpid in BRIDGES.items():
        assert world.bridges.observed(dpid) == held[name]
        late = world.bridges.bridges[dpid].plans[plans[name] :]
        assert not any(list(plan) for plan in late)
    assert world.send(one, one.datagram(other.address, other.mac))[0] == {"other"}


def test_whoever_is_known_finds_somebody_who_never_said_a_word(world, pair):
    one, _ = pair
    silent = world.machine("silent", "s2", 3)
    assert world.asks(one, silent) is None
    assert world.asks(one, silent) == silent.mac
    assert known(silent) < world.endpoints()
