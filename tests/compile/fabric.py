# SPDX-License-Identifier: Apache-2.0
"""A compiled fleet to send packets through: one tenant with an endpoint on every host."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address
from itertools import permutations

from intent import Intent

from vneter_sdn.compile.network import Compiler, compile_alone
from vneter_sdn.graph.topology import Edge
from vneter_sdn.model.addresses import mac_number
from vneter_sdn.model.snapshot import Key, Pools
from vneter_sdn.simulate.bridge import Surroundings, by_weight
from vneter_sdn.simulate.fleet import Fleet, PortOf, deliver, join
from vneter_sdn.simulate.packet import Ends, Packet, tcp

NETWORK = Key("Network", "red", "web")
SYN, ACK = 2, 16


def intent_of(hosts, wires=(), *, tunnels=(), vni=5000):
    """Hosts h1, h2…, with tunnels only where said, and an endpoint each at port 1."""
    intent = Intent()
    for number in range(1, hosts + 1):
        addresses = (f"192.0.2.{number}",) if f"h{number}" in tunnels else ()
        intent.host(f"h{number}", number, tunnel_addresses=addresses)
    ports = dict.fromkeys(range(1, hosts + 1), 10)
    for one, other in wires:
        intent.wire(f"h{one}", ports[one], f"h{other}", ports[other])
        ports[one] += 1
        ports[other] += 1
    intent.tenant("red", 7)
    intent.network("red", "web", vni, "10.1.0.0/24")
    for number in range(1, hosts + 1):
        address = f"10.1.0.{number + 1}"
        intent.endpoint("red", f"e{number}", "web", address, host=f"h{number}", port=1)
    return intent


@dataclass
class Fabric:
    """A fleet, and the connections that its bridges remember."""

    compiler: Compiler
    snapshot: object
    fleet: Fleet = field(init=False)
    connections: dict = field(default_factory=dict)
    dead: frozenset[PortOf] = frozenset()

    def __post_init__(self):
        self.take(self.compiler)

    @classmethod
    def of(cls, intent):
        snapshot = intent.snapshot()
        return cls(compile_alone(snapshot), snapshot)

    def take(self, compiler):
        """Hold another state, and keep the connections."""
        self.compiler = compiler
        hosts = compiler.hosts()
        rows = {host: compiler.rows(host) for host in hosts}
        wires = [(self.near(e), self.far(e)) for e in self.wires()]
        self.fleet = join({host: compiler.bridge(host) for host in hosts}, rows, wires)

    def edges(self) -> list[Edge]:
        return [e for host in self.compiler.hosts() for e in self.compiler.links(host)]

    def wires(self):
        return [e for e in self.edges() if e.medium == "wire"]

    def far(self, edge):
        back = next(e for e in self.edges() if e.name == edge.reverse)
        return self.near(back)

    def near(self, edge):
        return PortOf(edge.source, self.compiler.ports(edge.source)[edge.name])

    def kill(self, *edges):
        """Links go down, as both their ends see."""
        self.dead = frozenset(
            PortOf(e.source, self.compiler.ports(e.source)[e.name])
            for e in self.edges()
            if e.name in edges or e.reverse in edges
        )

    def packet(self, source, target, sport=1000, dport=80, *, flags=SYN):
        """TCP from the endpoint of one host to that of another, addressed as L2."""
        one, other = f"Endpoint red/e{source}", f"Endpoint red/e{target}"
        mac = {
            a.owner: mac_number(a.value)
            for (pool, _), a in self.snapshot.allocations.items()
            if pool == Pools.mac(NETWORK)
        }
        near, far = IPv4Address(0x0A01_0001 + source), IPv4Address(0x0A01_0001 + target)
        return tcp(Ends(mac[one], mac[other], near, far), sport, dport, flags=flags)

    def send(self, source, packet: Packet, choice=0):
        """From a host's endpoint; connections are remembered."""
        around = Surroundings(choose=by_weight(lambda _: choice))
        found = deliver(
            self.fleet,
            f"h{source}",
            packet.at(1),
            around,
            connections=self.connections,
            dead=self.dead,
        )
        self.connections = dict(found.connections)
        assert not found.ambiguities
        assert not found.loop
        return found

    def way(self, source, target, sport=1000, dport=80, *, flags=SYN, choice=0):
        """The hosts that a packet passes, when it gets there; else nothing."""
        found = self.send(source, self.packet(source, target, sport, dport, flags=flags), choice)
        there = [(a.host, a.port) for a in found.reached]
        assert there in ([], [(f"h{target}", 1)])
        return found.hops if there else ()

    def cut_off(self):
        """Pairs of endpoints between which nothing passes."""
        hosts = [int(host[1:]) for host in self.compiler.hosts()]
        return [(a, b) for a, b in permutations(hosts, 2) if not self.way(a, b)]
