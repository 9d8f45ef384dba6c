# SPDX-License-Identifier: Apache-2.0
"""A lab over bridges and a store in memory, and the frames that are heard in it."""

from ipaddress import IPv4Address
from struct import pack

from vneter_sdn.config import Settings
from vneter_sdn.daemon.lab import LOCAL, Lab
from vneter_sdn.southbound.openflow import punt
from vneter_sdn.southbound.openflow.bridges import BridgeConnected, BridgeDisconnected
from vneter_sdn.southbound.openflow.events import Reason
from vneter_sdn.southbound.openflow.memory import MemoryBridges
from vneter_sdn.southbound.openflow.multipart import Port
from vneter_sdn.store.memory import MemoryStore

H1, H2, H3 = 0x02_0000_0000A1, 0x02_0000_0000A2, 0x02_0000_0000A3
A1, A2, A3 = (IPv4Address(f"10.0.0.{n}") for n in (1, 2, 3))
BROADCAST = 0xFFFF_FFFF_FFFF


def arp(mac, sender, target, operation=1, to=BROADCAST):
    """An ARP frame."""
    ends = mac.to_bytes(6, "big") + sender.packed + bytes(6) + target.packed
    head = to.to_bytes(6, "big") + mac.to_bytes(6, "big") + pack("!H", 0x806)
    return head + pack("!HHBBH", 1, 0x800, 6, 4, operation) + ends


def ip(mac, sender, to):
    """An IPv4 packet."""
    head = to.to_bytes(6, "big") + mac.to_bytes(6, "big") + pack("!H", 0x800)
    fields = pack("!BBHHHBBH", 0x45, 0, 20, 7, 0, 64, 17, 0)
    return head + fields + sender.packed + A2.packed


class World:
    """A lab, and time that tests move."""

    def __init__(self, **settings):
        self.bridges, self.store, self.now = MemoryBridges(), MemoryStore(), 100.0
        self.lab = Lab(self.bridges, self.store, Settings(**{"lab": True} | settings))
        self.paused = []
        self.bridges.pause = lambda *paused: self.paused.append(paused)
        self.bridges.packet_out = lambda *sent: self.asked.append(sent)
        self.asked = []
        self.known = self.store.snapshot()
        self.lab.stored(self.known, None)

    def settle(self):
        """Let the lab write, and hear of it, until nothing changes."""
        while True:
            self.lab.step(self.known, self.now)
            if not self.tell():
                return

    def tell(self):
        """Let the lab hear of what was written; whether there was anything."""
        changed = self.store.wait(self.known, 0)
        if changed is not None:
            self.known, delta = changed
            self.lab.stored(self.known, delta.objects)
        return changed is not None

    def connect(self, dpid, name, *ports, peer="tcp:127.0.0.1", base=0x1000):
        """A bridge, with interfaces ``NAME-ethN``."""
        self.appear(dpid, name, *ports, peer=peer, base=base)
        self.settle()

    def appear(self, dpid, name, *ports, peer="tcp:127.0.0.1", base=0x1000):
        """The same, before the lab has done anything about it."""
        self.bridges.add(dpid)
        local = Port(LOCAL, name, 1, False, False)
        found = tuple(Port(n, f"{name}-eth{n}", base + n, False, False) for n in ports)
        self.lab._bridge_event(BridgeConnected(dpid, 6, peer, (local, *found)))

    def another(self, *bridges):
        """Another lab's bridges connect by the same datapath ids: ``(dpid, name, *ports)``."""
        for dpid, *_ in bridges:
            self.lab._bridge_event(BridgeDisconnected(dpid, Reason.PEER_CLOSED, ""))
        for dpid, name, *ports in bridges:
            self.appear(dpid, name, *ports, base=0x3000 + 16 * dpid)

    def restarted(self, *bridges):
        """Another process goes on, and bridges connect: ``(dpid, name, base)``."""
        self.lab = Lab(self.bridges, self.store, Settings(lab=True))
        self.lab.stored(self.known, None)
        for dpid, name, base in bridges:
            self.connect(dpid, name, 1, 2, 3, base=base)
        return self

    def hear(self, dpid, port, frame):
        self.overhear(dpid, port, frame)
        self.settle()

    def overhear(self, dpid, port, frame):
        """A frame, before the lab has done anything about it."""
        self.lab.heard(dpid, port, punt.sender(frame), frame)

    def names(self, kind):
        return sorted(key.path for key in self.store.snapshot().objects if key.kind == kind)

    def endpoints(self):
        """Name: (MAC, address)."""
        return {
            key.name: (stored.spec.mac, *stored.spec.addresses)
            for key, stored in self.store.snapshot().objects.items()
            if key.kind == "Endpoint"
        }

    def owners(self, path):
        """Values of IPv4 and MAC that an endpoint has."""
        return {
            value
            for (pool, value), held in self.store.snapshot().allocations.items()
            if held.owner == f"Endpoint {path}" and held.released is None
            if pool.startswith("mac/") or "." in value
        }
