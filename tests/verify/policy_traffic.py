# SPDX-License-Identifier: Apache-2.0
"""A network with policies, sound or with a fault; what proofs say of it, and what packets meet.

A fault is a change of flows, by host and place; None: nothing is there any more.
"""

import itertools
from dataclasses import dataclass, field

from change_world import bench, labelled, manifest, policy, rule, shop

from vneter_sdn.daemon.changing import Bench, BridgeChange, Step
from vneter_sdn.daemon.verifying import Prover
from vneter_sdn.model.flow import BridgeState
from vneter_sdn.model.snapshot import Delta
from vneter_sdn.simulate.attempts import Wanted, first_packet
from vneter_sdn.simulate.fleet import deliver, join

WEB, DB, OPS = labelled(app="web"), labelled(app="db"), labelled(app="ops")
LOW = [{"protocol": "udp", "port": 8000, "endPort": 8006}]
POLICIES = [
    policy("first", DB, priority=1.0, ingress=[rule("allow", OPS, 22), rule("drop", OPS)]),
    policy("web", WEB, priority=2.0, egress=[rule("drop", OPS), rule("allow", DB, 5432)]),
    policy("k", DB, tier="kubernetes", isolates=["ingress"], ingress=[rule("allow", WEB, 5432)]),
    policy("blocks", WEB, priority=3.0, ingress=[rule("drop", {"cidr": "10.0.2.0/24"}, 81)]),
    policy("range", WEB, priority=4.0, ingress=[{"action": "drop", "peers": [OPS], "ports": LOW}]),
    policy("base", OPS, tier="baseline", ingress=[rule("allow", DB, 80), rule("drop", DB)]),
    policy("out", WEB, tier="baseline", egress=[rule("allow", None)]),
    policy("ops", OPS, tier="baseline", egress=[rule("allow", None)]),
    policy("db", DB, tier="baseline", egress=[rule("allow", None, 80), rule("allow", WEB, 81)]),
]
BLUE = [
    manifest("Tenant", "blue", {}),
    manifest("Network", "pods", {"prefixes": ["10.0.1.0/24"]}, "blue"),
    manifest("Endpoint", "b1", {"network": "pods", "host": "h1"}, "blue", {"app": "web"}),
    manifest("Endpoint", "b2", {"network": "pods", "host": "h2"}, "blue", {"app": "db"}),
    manifest("Policy", "p", {"tier": "application", "appliesTo": [DB],
             "ingress": [rule("drop", WEB, 80)]}, "blue"),
    manifest("Policy", "q", {"tier": "application", "appliesTo": [WEB],
             "ingress": [rule("drop", DB)]}, "blue"),
]  # fmt: skip
"""With the addresses that others have in the other tenant."""
PROBES = [
    *(Wanted(6, port) for port in (22, 80, 81, 82, 5432, 5440)),
    *(Wanted(17, 8000), Wanted(17, 8007), Wanted(1)),
]
SYN_ACK, ACK = 0x12, 0x10


def sound():
    """The network without a fault."""
    return bench([*shop(*POLICIES, defaults={"defaultEgress": "drop"}), *BLUE])


class Faulty(Bench):
    """A network whose bridges hold something else than what was compiled."""

    def states(self):
        return {h: changed_state(s, self.fault.get(h, {})) for h, s in super().states().items()}


def changed_state(state, changed):
    flows = {key: flow for key, flow in (state.flows | changed).items() if flow is not None}
    return BridgeState(flows, state.groups, state.meters)


def with_fault(place, fault):
    made = Faulty(place.snapshot, place.compiler, alone=True)
    made.fault = fault
    return made


def whole(place, fault):
    """What the proof of everything says first; None for nothing."""
    return next(Prover(with_fault(place, fault)).full(), None)


def incremental(place, fault):
    """What the proof of what changed says: faults, and reachability gained and lost."""
    prover = Prover(place)
    held = place.states()
    flows = {h: {k: (held[h].flows.get(k), f) for k, f in c.items()} for h, c in fault.items()}
    prover.bench = with_fault(place, fault)
    bridges = {host: BridgeChange(flows=changed) for host, changed in flows.items()}
    return prover.take(Step(place.snapshot, place.snapshot, Delta(), bridges)).verdict


def moves(verdict):
    """Whether an incremental proof says anything: a fault, or a change in who reaches whom."""
    change = verdict.change
    return bool(verdict.findings or change.gained.allowed or change.lost.allowed)


# ---- what packets meet


@dataclass
class Traffic:
    """Connections that are tried: their first packets, answers, and what comes after."""

    place: Bench
    fault: dict = field(default_factory=dict)

    def __post_init__(self):
        states = with_fault(self.place, self.fault).states()
        rows = {host: self.place.compiler.rows(host) for host in states}
        self.fleet = join(states, rows)

    def sent(self, example):
        """What becomes of a packet that a proof shows."""
        return deliver(self.fleet, example.host, example.packet)

    def behaviour(self, meaning):
        """What becomes of each: who gets it, and whether its answers come back."""
        found = {}
        stations = sorted(meaning.stations.values(), key=lambda s: s.key)
        for source, target in itertools.permutations(stations, 2):
            if source.tenant == target.tenant:
                for wanted in PROBES:
                    said = self._conversation(meaning, source, target, wanted)
                    found[str(source.key), str(target.key), wanted] = said
        return found

    def _conversation(self, meaning, source, target, wanted):
        opening = first_packet(meaning, source, target, wanted)
        answer = first_packet(meaning, target, source, wanted)
        if opening is None or answer is None:
            return ()
        answer = _turned(opening, answer)
        first = deliver(self.fleet, source.host, opening)
        told = [_reached(first)]
        if (target.host, target.port) in told[0]:
            back = self._sent(target, answer, first.connections)
            later = self._sent(source, opening.with_(tcp_flags=ACK), back.connections)
            told += [_reached(back), _reached(later)]
        twins = _twin(meaning, source), _twin(meaning, target)
        if None not in twins:  # those of another tenant, who have the same addresses
            other = answer.with_(in_port=twins[1].port, eth_src=twins[1].mac, eth_dst=twins[0].mac)
            told.append(_reached(self._sent(twins[1], other, first.connections)))
        return tuple(told)

    def _sent(self, station, packet, connections):
        if packet.get("ip_proto") != 6:
            packet = packet.with_(tcp_flags=0)
        return deliver(self.fleet, station.host, packet, connections=connections)


def _turned(opening, answer):
    """An answer to a packet, of what its sender might open itself."""
    if opening.get("ip_proto") == 1:
        return answer.with_(icmp_type=0)
    name = "tcp" if opening["ip_proto"] == 6 else "udp"
    ports = {f"{name}_src": opening[f"{name}_dst"], f"{name}_dst": opening[f"{name}_src"]}
    return answer.with_(**ports, tcp_flags=SYN_ACK if name == "tcp" else 0)


def _twin(meaning, station):
    return next(
        (
            s
            for s in meaning.stations.values()
            if s.tenant != station.tenant
            and s.host == station.host
            and s.addresses & station.addresses
        ),
        None,
    )


def _reached(delivery):
    return tuple(sorted((a.host, a.port) for a in delivery.reached))
