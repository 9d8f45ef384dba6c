# SPDX-License-Identifier: Apache-2.0
"""The published scenarios, compiled and wired up, for proofs and for faults."""

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import yaml

from vneter_sdn.daemon.offline import compile_manifests
from vneter_sdn.model.flow import BridgeState, MeterAction
from vneter_sdn.simulate.bridge import Surroundings, run
from vneter_sdn.simulate.fleet import PortOf, deliver, join
from vneter_sdn.simulate.lookup import Datapath
from vneter_sdn.simulate.meaning import Meaning, meaning_of
from vneter_sdn.simulate.packet import Ends, arp_request, echo, neighbour_solicitation, tcp
from vneter_sdn.verify.expected import Directory
from vneter_sdn.verify.fleet import CUTS, Fabric, Wiring
from vneter_sdn.verify.tracking import NEW
from vneter_sdn.verify.walk import Around, all_up

SCENARIOS = sorted(
    path.name
    for path in (Path(__file__).parents[2] / "flows" / "scenarios").iterdir()
    if path.is_dir()
)


@dataclass(frozen=True)
class World:
    """Bridges, how they are joined, and who is where."""

    name: str
    states: dict[str, BridgeState]
    rows: dict
    wires: tuple[tuple[PortOf, PortOf], ...]
    meaning: Meaning

    def fabric(self, tracking=NEW, live=all_up, cuts=CUTS):
        wiring = Wiring.of(self.rows, self.wires)
        return Fabric.of(self.states, wiring, Around(tracking, live, cuts))

    @property
    def directory(self):
        return Directory.of(self.meaning)

    def with_(self, host, *, remove=(), add=(), groups=()):
        """Other flows on one bridge."""
        held = self.states[host]
        gone = {flow.key for flow in remove}
        flows = {key: flow for key, flow in held.flows.items() if key not in gone}
        flows |= {flow.key: flow for flow in add}
        changed = BridgeState(flows, {**held.groups, **{g.group: g for g in groups}}, held.meters)
        return replace(self, states={**self.states, host: changed})

    def send(self, example):
        """The simulator's account of an example."""
        choices = {(c.host, c.group): c.bucket for c in example.choices}
        by_group = {group: bucket for (_, group), bucket in choices.items()}
        dead = [PortOf(*place) for place, up in example.up if not up]
        around = Surroundings(choose=lambda group, some, _: by_group.get(group.group, some[0]))
        fleet = join(self.states, self.rows, self.wires)
        return deliver(fleet, example.host, example.packet, around, dead=dead)

    def confirms(self, finding):
        """Whether the simulator sees the fault that a finding's example shows."""
        if finding.kind in ("shadowed", "conflict"):
            return self._confirms_rule(finding)
        delivery = self.send(finding.example)
        if finding.kind == "untold":
            return _told(delivery) != _told(world(self.name).send(finding.example))
        owner = {PortOf(s.host, s.port): s for s in self.meaning.stations.values()}
        sender = owner.get(PortOf(finding.example.host, finding.example.packet["in_port"]))
        reached = [owner.get(PortOf(a.host, a.port)) for a in delivery.reached]
        if finding.kind == "leak":
            strange = any(s is None or sender is None or s.tenant != sender.tenant for s in reached)
            return strange or (bool(reached) and _is_disguised(sender, finding.example.packet))
        if finding.kind == "loop":
            return bool(delivery.loop) or any(d.reason == "limit" for _, d in delivery.drops)
        meant = self._meant(sender, finding.example.packet)
        if meant is None:
            return delivery.replies != world(self.name).send(finding.example).replies
        return not any(
            PortOf(a.host, a.port) == PortOf(meant.host, meant.port)
            and a.packet.get("eth_dst") == meant.mac
            for a in delivery.reached
        )

    def _meant(self, sender, packet):
        if packet.get("eth_type") == 0x806 or packet.get("icmpv6_type") == 135:
            return None
        for s in self.meaning.stations.values():
            if s.network == sender.network and packet["eth_dst"] == s.mac:
                return s
        address = packet.get("ip_dst") or packet.get("ipv6_dst")
        for s in self.meaning.stations.values():
            if s.tenant == sender.tenant and any(int(a) == address for a in s.addresses):
                return s
        return None

    def _confirms_rule(self, finding):
        flow = finding.flows[0]
        found = Datapath.of(self.states[finding.example.host]).matching(
            flow.table, dict(finding.example.packet)
        )
        if finding.kind == "conflict":
            return set(finding.flows) <= set(found)
        return flow not in found


def _told(delivery):
    """What the controller is told, where, and by which meters; and who gets it instead."""
    actions = [action for _, _, flow in delivery.trail for action in flow.actions]
    meters = [action.meter for action in actions if isinstance(action, MeterAction)]
    return [(h, p.action) for h, p in delivery.punts], meters, delivery.reached, delivery.replies


def _is_disguised(sender, packet):
    """Whether somebody sends in another's name."""
    own = {0, *(int(address) for address in sender.in_network)}
    sources = packet.get("ip_src", 0), packet.get("ipv6_src", 0)
    return packet.get("eth_src") != sender.mac or not own.issuperset(sources)


def talk(meaning, a, b):
    """Packets of one endpoint that are for another: by its MAC, by the gateway, and before that."""
    gateway = meaning.gateways[a.network]
    for version in (4, 6):
        ours = sorted((x for x in a.addresses if x.version == version), key=int)
        theirs = sorted((x for x in b.addresses if x.version == version), key=int)
        faces = sorted((x for x in gateway.addresses if x.version == version), key=int)
        if not ours or not theirs:
            continue
        routed = Ends(a.mac, gateway.mac, ours[0], theirs[0])
        yield from (tcp(routed, 1000, 80, flags=2), echo(routed))
        yield echo(Ends(a.mac, gateway.mac, ours[0], faces[0]))
        asked = [faces[0]]
        if a.network == b.network:
            yield tcp(Ends(a.mac, b.mac, ours[0], theirs[0]), 1000, 80, flags=2)
            asked.append(theirs[0])
        for address in asked:
            if version == 4:
                yield arp_request(a.mac, int(ours[0]), int(address))
            else:
                yield neighbour_solicitation(a.mac, ours[0], address)


@cache
def met(name):
    """Flows, by host, that packets from somebody to somebody of a scenario meet."""
    place = world(name)
    fleet = join(place.states, place.rows, place.wires)
    found = set()
    stations = place.meaning.stations.values()
    for a in stations:
        for b in stations:
            if a.key != b.key and a.tenant == b.tenant:
                for packet in talk(place.meaning, a, b):
                    _follow(fleet, a.host, packet.at(a.port), found)
    return frozenset(found)


def _follow(fleet, host, packet, found):
    result = run(fleet.bridges[host], packet)
    found |= {(host, flow) for _, flow in result.trail}
    for sent in result.outputs:
        near = PortOf(host, sent.port)
        far = fleet.other_end(near)
        if far is not None:
            passed = sent.packet.frame if near in fleet.wires else sent.packet.wire
            _follow(fleet, far.host, passed.at(far.port), found)


@cache
def world(name):
    """A scenario."""
    directory = Path(__file__).parents[2] / "flows" / "scenarios" / name
    texts = [(directory / file).read_text() for file in ("topology.yaml", "intent.yaml")]
    documents = [document for text in texts for document in yaml.safe_load_all(text)]
    result = compile_manifests([document for document in documents if document])
    compiler = result.compiler
    hosts = compiler.hosts()
    edges = [edge for host in hosts for edge in compiler.links(host)]
    named = {edge.name: edge for edge in edges}

    def near(edge):
        return PortOf(edge.source, compiler.ports(edge.source)[edge.name])

    wires = [(near(e), near(named[e.reverse])) for e in edges if e.medium == "wire"]
    return World(
        name,
        {host: compiler.bridge(host) for host in hosts},
        {host: compiler.rows(host) for host in hosts},
        tuple(wires),
        meaning_of(result.snapshot),
    )


def edit(old, new):
    """What differs, as `Proof.update` takes it."""
    flows, groups = {}, {}
    for host in old.states:
        before, after = old.states[host], new.states[host]
        keys = before.flows.keys() | after.flows.keys()
        flows[host] = {
            key: after.flows.get(key)
            for key in keys
            if before.flows.get(key) != after.flows.get(key)
        }
        numbers = before.groups.keys() | after.groups.keys()
        groups[host] = {
            number: after.groups.get(number)
            for number in numbers
            if before.groups.get(number) != after.groups.get(number)
        }
    return {h: f for h, f in flows.items() if f}, {h: g for h, g in groups.items() if g}
