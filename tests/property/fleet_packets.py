# SPDX-License-Identifier: Apache-2.0
"""Random packets made of what a snapshot knows: mostly right, at times wrong in a way or more."""

from ipaddress import ip_address

from vneter_sdn.model.addresses import link_local
from vneter_sdn.model.snapshot import Pools
from vneter_sdn.pipeline.locator import TUNNEL_PORT_BASE, Locator
from vneter_sdn.simulate.meaning import meaning_of
from vneter_sdn.simulate.packet import (
    BROADCAST,
    Ends,
    arp_request,
    echo,
    neighbour_solicitation,
    raw,
    tcp,
    udp,
)


class Vocabulary:
    """Everything of a snapshot that a packet can be made of, right or wrong."""

    def __init__(self, snapshot, rng):
        meaning = meaning_of(snapshot)
        self.rng = rng
        self.stations = list(meaning.stations.values())
        self.gateways = list(meaning.gateways.values())
        numbers = {Pools.VNI: [], Pools.SLOT: [], Pools.BRIDGE: []}
        for held in snapshot.allocations.values():
            if held.pool in numbers:
                numbers[held.pool].append(int(held.value))
        self.vnis = [0, *numbers[Pools.VNI]]
        self.locators = [
            Locator(0, bridge, slot).mac
            for bridge in numbers[Pools.BRIDGE]
            for slot in numbers[Pools.SLOT]
        ]
        self.macs = [s.mac for s in (*self.stations, *self.gateways)]
        held = {a for s in self.stations for a in s.in_network}
        held |= {a for g in self.gateways for a in g.addresses}
        held |= {ip_address("203.0.113.1"), ip_address("2001:db8::1"), link_local(1)}
        self.addresses = {
            version: sorted((a for a in held if a.version == version), key=int)
            for version in (4, 6)
        }

    def mostly(self, usual, others):
        return usual if self.rng.random() < 0.8 else self.rng.choice(others)

    def packet(self, host, ports):
        """In by a port of a host: of a station, as that station mostly, or of a tunnel."""
        tunnels = [port for port in ports if port >= TUNNEL_PORT_BASE]
        if tunnels and self.rng.random() < 0.3:
            made = self.made(self.rng.choice(self.stations), self.rng.choice(self.locators), 0.2)
            return made.at(self.rng.choice(tunnels)).with_(tun_id=self.rng.choice(self.vnis))
        station = self.rng.choice([s for s in self.stations if s.host == host])
        return self.sent_by(station).at(self.mostly(station.port, ports))

    def sent_by(self, station):
        """By a station, mostly as itself."""
        gateway = next(g for g in self.gateways if g.network == station.network)
        others = [*self.macs, BROADCAST, self.rng.choice(self.locators)]
        eth_dst = self.rng.choice((gateway.mac, self.rng.choice(others)))
        tag = 0 if self.rng.random() < 0.95 else 0x1007
        return self.made(station, eth_dst, 0.4).with_(vlan_vid=tag)

    def made(self, station, eth_dst, resolving):
        source = self.rng.choice(sorted(station.in_network, key=str))
        version = source.version
        source = self.mostly(source, self.addresses[version])
        target = self.rng.choice(self.addresses[version])
        ends = Ends(self.mostly(station.mac, self.macs), eth_dst, source, target)
        if self.rng.random() < resolving:
            return self.asked(ends)
        ttl = self.rng.choice((0, 1, 2, 64))
        return self.rng.choice(
            [
                echo(ends, ttl=ttl),
                echo(ends, ttl=ttl, reply=True),
                tcp(ends, 1, 2, ttl=ttl),
                udp(ends, 1, 2, ttl=ttl),
                raw(ends.eth_src, eth_dst, self.rng.choice((0x88CC, 0x8847, 0x1234))),
            ]
        )

    def asked(self, ends):
        option = self.mostly(ends.eth_src, [0, *self.macs])
        if ends.target.version == 4:
            request = arp_request(ends.eth_src, int(ends.source), int(ends.target))
            return request.with_(arp_sha=option, arp_op=self.mostly(1, [2]))
        asked = neighbour_solicitation(ends.eth_src, ends.source, ends.target, link_address=option)
        if self.rng.random() < 0.8:
            return asked
        told = {"icmpv6_type": 136, "nd_sll": 0, "nd_tll": option, "nd_options_type": 2}
        return asked.with_(**told)
