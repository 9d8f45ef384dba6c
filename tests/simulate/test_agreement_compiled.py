# SPDX-License-Identifier: Apache-2.0
"""On compiled bridges, `bridge.run` does what Open vSwitch does, whatever the packet."""

from ipaddress import ip_address
from random import Random

import pytest
from fleet_intents import FOURS, SIXES, TENANTS, EndpointPlan, Plan, compiled, snapshot_of

from vneter_sdn.model.addresses import link_local
from vneter_sdn.model.snapshot import Key, Pools
from vneter_sdn.pipeline.locator import Locator
from vneter_sdn.simulate.bridge import run
from vneter_sdn.simulate.lookup import Datapath
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

PACKETS = 400
NETWORKS = {Key("Network", t, f"n{n}"): (FOURS[n], SIXES[n]) for t in TENANTS for n in (0, 1)}


def endpoint(number, network):
    """Three of each network, over three hosts, one of them not where its block is."""
    expected, bound = (("h1", "h1"), ("h2", "h2"), ("h1", "h3"))[number]
    return EndpointPlan(network, expected, bound, None if number else 90, None)


PLANS = {
    "single host": Plan(
        {"h1": "geneve"},
        NETWORKS,
        tuple(EndpointPlan(n, "h1", "h1", None, None) for n in NETWORKS for _ in "ab"),
    ),
    "three hosts": Plan(
        dict.fromkeys(("h1", "h2", "h3"), "geneve"),
        NETWORKS,
        tuple(endpoint(number, network) for network in NETWORKS for number in range(3)),
    ),
    "a detour": Plan(
        dict.fromkeys(("h1", "h2", "h3"), "vxlan"),
        NETWORKS,
        tuple(endpoint(number, network) for network in NETWORKS for number in range(3)),
        gateways=True,
        apart=("h1", "h2"),
    ),
}


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
        """In by a station's port as that station, or by a tunnel, with some of it wrong."""
        here = [s for s in self.stations if s.host == host]
        station = self.rng.choice(here)
        gateway = next(g for g in self.gateways if g.network == station.network)
        tunnels = [port for port in ports if port >= 0x8000]
        if tunnels and self.rng.random() < 0.3:
            made = self.made(station, self.rng.choice(self.locators), 0.2)
            return made.at(self.rng.choice(tunnels)).with_(tun_id=self.rng.choice(self.vnis))
        eth_dst = self.rng.choice(
            [gateway.mac, *self.macs, BROADCAST, self.rng.choice(self.locators)]
        )
        tag = 0 if self.rng.random() < 0.95 else 0x1007
        made = self.made(station, self.mostly(gateway.mac, [eth_dst]), 0.5)
        return made.at(self.mostly(station.port, ports)).with_(vlan_vid=tag)

    def made(self, station, eth_dst, resolving):
        version = self.rng.choice((4, 6))
        own = [a for a in station.addresses if a.version == version]
        source = self.mostly(own[0], self.addresses[version])
        target = self.rng.choice(self.addresses[version])
        eth_src = self.mostly(station.mac, self.macs)
        ends = Ends(eth_src, eth_dst, source, target)
        if self.rng.random() < resolving / 2:
            return self.asked(ends)
        ttl = self.rng.choice((0, 1, 2, 64))
        return self.rng.choice(
            [
                echo(ends, ttl=ttl),
                echo(ends, ttl=ttl, reply=True),
                tcp(ends, 1, 2, ttl=ttl),
                udp(ends, 1, 2, ttl=ttl),
                raw(eth_src, eth_dst, self.rng.choice((0x88CC, 0x8847, 0x1234))),
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


@pytest.mark.ovs
@pytest.mark.parametrize("name", PLANS)
def test_agrees_on_compiled_bridges(sandbox, name):
    snapshot = snapshot_of(PLANS[name])
    vocabulary = Vocabulary(snapshot, Random(name))
    states, rows = compiled(snapshot)
    outcomes = set()
    for host, state in states.items():
        ports = [s.port for s in vocabulary.stations if s.host == host]
        ports += [tunnel.ofport for tunnel in rows[host].tunnels]
        bridge = sandbox.bridge(ports)
        bridge.load(state)
        datapath = Datapath.of(state)
        for _ in range(PACKETS):
            packet = vocabulary.packet(host, ports)
            result = run(datapath, packet)
            assert not bridge.disagreement(packet, result), packet
            outcomes.add(tuple(table for table, _ in result.trail))
    # Every way through the pipeline was taken at least once.
    assert len(outcomes) >= (10 if len(states) > 1 else 8), sorted(outcomes)
