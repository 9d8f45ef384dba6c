# SPDX-License-Identifier: Apache-2.0
"""Packets cross the fleet at every moment: of a failure, of its repair, and of the way back.

The real compiler, the real order of rollout, the simulator between any two bridges that change.
"""

from __future__ import annotations

from itertools import combinations, permutations

import networkx as nx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vneter_sdn.compile.facts import everything
from vneter_sdn.compile.network import Compiler
from vneter_sdn.engine.colouring import Colours
from vneter_sdn.engine.rollout import Rollout
from vneter_sdn.engine.standing import Standing
from vneter_sdn.graph.topology import Observation
from vneter_sdn.model.addresses import mac_number
from vneter_sdn.model.snapshot import Binding, Key, Pools
from vneter_sdn.pipeline.locator import tunnel_ofport
from vneter_sdn.simulate.fleet import PortOf, deliver, join
from vneter_sdn.simulate.packet import Packet
from vneter_sdn.store.memory import MemoryStore
from vneter_sdn.store.port import Edit

HOSTS = ("h1", "h2", "h3", "h4", "h5")
PORT = 1


def edit(kind, name, spec, tenant=""):
    metadata = {"name": name} | ({"tenant": tenant} if tenant else {})
    manifest = {"apiVersion": "vneter.io/v1", "kind": kind, "metadata": metadata, "spec": spec}
    return Edit("apply", Key(kind, tenant, name), manifest)


def intent(costs, policy):
    """Hosts joined by some tunnels, with one endpoint each, as a store has them."""
    store = MemoryStore()
    edits = [
        edit("Host", h, {"ovsdb": f"unix:/run/{h}", "tunnelAddresses": [f"192.0.2.{n}"]})
        for n, h in enumerate(HOSTS, 1)
    ]
    for one, other in combinations(HOSTS, 2):
        spec = {"source": one, "target": other, "cost": costs.get((one, other), 1)}
        edits.append(edit("Link", f"{one}-{other}", spec | {"disabled": (one, other) not in costs}))
    edits += [
        edit("Tenant", "red", {}),
        edit("Network", "web", {"prefixes": ["10.0.0.0/24"]}, "red"),
        *(edit("Endpoint", f"e-{h}", {"network": "web"}, "red") for h in HOSTS),
    ]
    if policy:
        edits.append(edit("PathPolicy", "all", policy))
    store.apply(edits, author="test")
    store.bind([Binding(Key("Endpoint", "red", f"e-{h}"), h, "e", PORT, 1) for h in HOSTS])
    return store


class Net:
    """Bridges as they are told, and the packets between all pairs of endpoints."""

    def __init__(self, costs, policy):
        store = intent(costs, policy)
        self.compiler, self.colours = Compiler(), Colours()
        snapshot = store.snapshot()
        self.compiler.take(snapshot, everything(snapshot))
        self.colours.take(snapshot, everything(snapshot))
        chosen = self.colours.decide(self.compiler.wanted_paths())
        if chosen:
            store.colour(chosen.assigned, chosen.released)
            snapshot = store.snapshot()
            self.compiler.take(snapshot, everything(snapshot))
        held = snapshot.allocations.items()
        owned = {(pool, a.owner): value for (pool, value), a in held}
        web = Key("Network", "red", "web")
        self.bridge = {h: int(owned[Pools.BRIDGE, f"Host {h}"]) for h in HOSTS}
        self.macs = {h: owned[Pools.mac(web), f"Endpoint red/e-{h}"] for h in HOSTS}
        pool = Pools.address(web, "10.0.0.0/24")
        self.addresses = {h: owned[pool, f"Endpoint red/e-{h}"] for h in HOSTS}
        self.rows = {h: self.compiler.rows(h) for h in HOSTS}
        self.states = {h: self.compiler.bridge(h) for h in HOSTS}
        self.rollout = Rollout()
        self.rollout.want({h: (self.states[h], None) for h in HOSTS}, self.compiler.rank)
        list(self.rollout.due(lambda _: True))
        self.standing = Standing(self.compiler)
        self.connections, self.dead = {}, frozenset()

    def packet(self, source, target, number):
        octets = [int(o) for o in self.addresses[source].split(".")]
        return Packet(
            in_port=PORT,
            eth_src=mac_number(self.macs[source]),
            eth_dst=mac_number(self.macs[target]),
            eth_type=0x800,
            ip_src=int.from_bytes(octets, "big"),
            ip_dst=int.from_bytes([int(o) for o in self.addresses[target].split(".")], "big"),
            ip_proto=17,
            ip_ttl=64,
            udp_src=number,
            udp_dst=9,
        )

    def check(self, number=1000, *, lossy=False):
        """No packet goes round, and all arrive; not so of those that two failures may cost."""
        fleet = join(self.states, self.rows)
        for source, target in permutations(HOSTS, 2):
            found = deliver(
                fleet,
                source,
                self.packet(source, target, number),
                connections=self.connections,
                dead=self.dead,
            )
            self.connections = found.connections
            assert not found.loop, (source, target, found.loop)
            if not (lossy and not found.reached):
                reached = [(a.host, a.port) for a in found.reached]
                assert reached == [(target, PORT)], (source, target)

    def see(self, changes, random):
        """Tell the compiler what links are, and bridges what follows, one bridge at a time."""
        self.roll(self.standing.see(changes), random)

    def follow(self, random):
        """Time passes, until repairs go by what was seen."""
        now = 1000.0
        while self.standing.busy:
            now += 0.25
            if self.standing.due(now, self.rollout.busy):
                self.roll(self.standing.follow(), random)

    def hurry(self, random):
        """A moment passes, and repairs that lead nowhere now follow."""
        while self.standing.busy and self.standing.due(1000.0, self.rollout.busy):
            self.roll(self.standing.follow(), random)

    def fail_each(self, pairs):
        """One link more, whichever: that costs nothing as long as all hosts stay joined."""
        gone = self.dead
        for pair in pairs:
            self.dead = gone | self.ports(*pair)
            left = nx.Graph(other for other in pairs if other != pair)
            whole = len(left) == len(HOSTS) and nx.is_connected(left)
            self.check(lossy=not whole)
        self.dead = gone

    def roll(self, keys, random):
        wanted = {h: (self.compiler.bridge(h), found) for h, found in keys.items()}
        self.rollout.want(wanted, self.compiler.rank)
        while self.rollout.busy:
            wave = list(self.rollout.due(lambda _: True))
            random.shuffle(wave)
            for push in wave:
                self.states[push.host] = push.state
                self.check()
                self.rollout.settled(push.host, push.epoch)
        assert self.states == {h: self.compiler.bridge(h) for h in HOSTS}

    def ports(self, one, other):
        return {
            PortOf(one, tunnel_ofport(self.bridge[other])),
            PortOf(other, tunnel_ofport(self.bridge[one])),
        }


@st.composite
def graphs(draw):
    """Links with costs that join all hosts, and stay joined whichever one fails."""
    ring = [tuple(sorted(p)) for p in zip(HOSTS, HOSTS[1:] + HOSTS[:1], strict=True)]
    chords = draw(st.lists(st.sampled_from(list(combinations(HOSTS, 2))), max_size=5))
    return {pair: draw(st.integers(1, 5)) for pair in sorted({*ring, *chords})}


POLICIES = [None, {"paths": 2}, {"paths": 3, "sharing": "unequal", "disjoint": "link"}]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(graphs(), st.sampled_from(POLICIES), st.data(), st.randoms(use_true_random=False))
def test_no_packet_is_lost_from_failure_to_repair_and_back(costs, policy, data, random):
    net = Net(costs, policy)
    net.check()
    one, other = data.draw(st.sampled_from(sorted(costs)))
    net.dead = frozenset(net.ports(one, other))
    net.check()  # repaired by the bridges alone, before the controller knows
    down = {name: Observation(up=False) for name in (f"{one}>{other}", f"{other}>{one}")}
    net.see(down, random)
    net.check()
    net.check(2000)
    if data.draw(st.booleans(), "repairs follow before the link is back"):
        net.follow(random)
        net.check(2500)
    net.dead = frozenset()
    net.see(dict.fromkeys(down), random)
    net.check(3000)
    net.follow(random)
    net.check(4000)


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(graphs(), st.data(), st.randoms(use_true_random=False))
def test_a_second_failure_loops_nowhere_and_costs_nothing_a_moment_later(costs, data, random):
    net = Net(costs, None)
    first = data.draw(st.sampled_from(sorted(costs)))
    gone = net.dead = frozenset(net.ports(*first))
    down = {f"{a}>{b}": Observation(up=False) for a, b in (first, first[::-1])}
    net.see(down, random)
    others = [pair for pair in sorted(costs) if pair != first]
    for pair in others:
        net.dead = gone | net.ports(*pair)
        net.check(lossy=True)
    net.dead = gone
    net.hurry(random)
    net.fail_each(others)
    if data.draw(st.booleans(), "the rest of the repairs follow before the link is back"):
        net.follow(random)
        net.fail_each(others)
    net.dead = frozenset()
    net.see(dict.fromkeys(down), random)
    net.hurry(random)
    net.fail_each(sorted(costs))
    net.follow(random)
    net.fail_each(sorted(costs))


def test_the_graph_is_one_that_no_single_failure_parts():
    ring = nx.cycle_graph(len(HOSTS))
    assert nx.edge_connectivity(ring) == 2
