# SPDX-License-Identifier: Apache-2.0
"""Faults of every kind, put into compiled policies: what becomes of flows, and of connections.

A fault is a change of flows, by host and place; None: nothing is there any more. `behaviour` is the
simulator's word on which of them packets meet.
"""

import itertools
from dataclasses import dataclass, field, replace

from change_world import bench, labelled, manifest, policy, rule, shop

from vneter_sdn.daemon.changing import Bench, BridgeChange, Step
from vneter_sdn.daemon.verifying import Prover
from vneter_sdn.model.flow import BridgeState, Conntrack, SetField
from vneter_sdn.model.snapshot import Delta
from vneter_sdn.pipeline.registers import DENIED, ISOLATED, LOCAL, PEER, RULE, TENANT
from vneter_sdn.pipeline.tables import BY_ID, table
from vneter_sdn.simulate.attempts import Wanted, first_packet
from vneter_sdn.simulate.fleet import deliver, join
from vneter_sdn.verify.written import is_clause, tenant_of

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
STAGES = [f"{w}_{s}" for w in ("egress", "ingress") for s in ("tiers", "isolation", "baseline")]
WAYS = ("egress", "ingress")


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


# ---- faults


def flows(place, *names, wanted=lambda flow: True):
    numbers = {table(name).id for name in names}
    return [
        (host, flow)
        for host, state in sorted(place.states().items())
        for flow in sorted(state.flows.values(), key=lambda f: (f.table, -f.priority, f.match))
        if flow.table in numbers and flow.priority > 1 and wanted(flow) and not six(flow)
    ]


def six(flow):
    """Nobody of this network has an address of IPv6, but that of a link."""
    return any(term == ("eth_type", 0x86DD, 0xFFFF) for term in flow.match)


def matches(flow, name):
    return any(term.field == name for term in flow.match)


def loads(flow, name):
    return any(isinstance(a, SetField) and a.field == name for a in flow.actions)


def loaded(flow, name):
    return next(
        (a.value for a in flow.actions if isinstance(a, SetField) and a.field == name), None
    )


def deciding(flow):
    return loads(flow, RULE.field) and not is_clause(flow)


def of_rule(flow):
    return deciding(flow) and loaded(flow, RULE.field) not in (ISOLATED, DENIED)


def gone(host, flow):
    return {host: {flow.key: None}}


def instead(host, flow, **changes):
    changed = replace(flow, **changes)
    return {host: {flow.key: None, changed.key: changed}}


def writing(host, flow, register, value):
    actions = tuple(
        replace(a, value=value) if isinstance(a, SetField) and a.field == register else a
        for a in flow.actions
    )
    return instead(host, flow, actions=actions)


def terms(flow, name, value=None, mask=None):
    """A match with another term, or without it."""
    return tuple(
        t._replace(value=value & (t.mask if mask is None else mask), mask=mask or t.mask)
        if t.field == name
        else t
        for t in flow.match
        if t.field != name or value is not None
    )


def _whole_rule(place, host, flow):
    held = place.states()[host].flows.values()
    mine = [f for f in held if (f.table, f.priority, tenant_of(f)) == _rank(flow)]
    return {host: {f.key: None for f in mine}}


def _rank(flow):
    return flow.table, flow.priority, tenant_of(flow)


def deleted_rule(place):
    return [_whole_rule(place, h, f) for h, f in flows(place, *STAGES, wanted=of_rule)]


def swapped_rules(place):
    found = []
    for host in sorted(place.states()):
        rules = [f for h, f in flows(place, *STAGES, wanted=of_rule) if h == host]
        for one, other in itertools.combinations(rules, 2):
            if _rank(one)[::2] == _rank(other)[::2] and one.priority != other.priority:
                found.append(_swapped(place, host, one, other))
    return found


def _swapped(place, host, one, other):
    places = {one.priority: other.priority, other.priority: one.priority}
    held = place.states()[host].flows.values()
    mine = [f for f in held if f.table == one.table and f.priority in places]
    turned = [replace(f, priority=places[f.priority]) for f in mine]
    return {host: {f.key: None for f in mine} | {f.key: f for f in turned}}


def lowered_rule(place):
    """A rule below the table's miss."""
    found = flows(place, *STAGES, wanted=lambda f: of_rule(f) and not matches(f, "conj_id"))
    return [instead(h, f, priority=0) for h, f in found]


def wider_ports(place):
    found = []
    for name in ("tcp_dst", "udp_dst"):
        for host, flow in flows(place, *STAGES, wanted=lambda f, n=name: matches(f, n)):
            value = next(t.value for t in flow.match if t.field == name)
            found += [
                instead(host, flow, match=terms(flow, name, value, mask))
                for mask in (0xFFFE, 0xFFFC, 0xFF00)
            ]
            found.append(instead(host, flow, match=terms(flow, name)))
    return found


def wider_addresses(place):
    found = []
    for host, flow in flows(place, *STAGES, wanted=lambda f: matches(f, "ip_src")):
        if is_clause(flow):
            value = next(t.value for t in flow.match if t.field == "ip_src")
            found += [
                instead(host, flow, match=terms(flow, "ip_src", value, mask))
                for mask in (0xFFFF0000, 0xFFFFFC00, 0xFFFFFF80)
            ]
    return found


def other_prefix(place):
    found = flows(place, *STAGES, wanted=lambda f: is_clause(f) and matches(f, "ip_src"))
    return [
        instead(
            h,
            f,
            match=tuple(
                t._replace(value=t.value ^ 1 << 8) if t.field == "ip_src" else t for t in f.match
            ),
        )
        for h, f in found
    ]


def deleted_clause(place):
    return [gone(*found) for found in flows(place, *STAGES, wanted=is_clause)]


def wider_clause(place):
    """Anybody, in place of the one that a clause is about."""
    return [
        instead(host, flow, match=terms(flow, register))
        for register in (LOCAL.field, PEER.field)
        for host, flow in flows(
            place, *STAGES, wanted=lambda f, r=register: is_clause(f) and matches(f, r)
        )
    ]


def other_tenants_rule(place):
    found = flows(place, *STAGES, wanted=deciding)
    return [instead(h, f, match=terms(f, TENANT.field, 99)) for h, f in found]


def other_number(place):
    """A rule decides as isolation does, and isolation as something that is allowed."""
    return [
        writing(h, f, RULE.field, 0 if loaded(f, RULE.field) == ISOLATED else ISOLATED)
        for h, f in flows(place, *STAGES, wanted=deciding)
    ]


def deleted_isolation(place):
    def isolates(flow):
        return loaded(flow, RULE.field) == ISOLATED

    return [gone(*found) for found in flows(place, *STAGES, wanted=isolates)]


def wrong_default(place):
    """What a tenant denies by default is let through, or never asked for."""
    found = flows(place, *STAGES, wanted=lambda f: loaded(f, RULE.field) == DENIED)
    return [gone(*one) for one in found] + [writing(*one, RULE.field, 0) for one in found]


def wrong_local(place):
    """An endpoint is taken for one of another kind."""
    found = flows(place, *WAYS, wanted=lambda f: loads(f, LOCAL.field))
    kinds = sorted({loaded(f, LOCAL.field) for _, f in found})
    return [
        writing(h, f, LOCAL.field, kind)
        for h, f in found
        for kind in (9, *kinds)
        if kind != loaded(f, LOCAL.field)
    ]


def wrong_peer(place):
    """An address is taken for that of an endpoint of another kind."""
    found = flows(place, *(f"{w}_peer" for w in WAYS), wanted=lambda f: loads(f, PEER.field))
    kinds = sorted({loaded(f, PEER.field) for _, f in found})
    return [
        writing(h, f, PEER.field, kind)
        for h, f in found
        for kind in (9, *kinds)
        if kind != loaded(f, PEER.field)
    ]


def deleted_peer(place):
    return [gone(*found) for found in flows(place, *(f"{w}_peer" for w in WAYS))]


def not_asked(place):
    """An endpoint comes under no policy."""
    return [gone(*found) for found in flows(place, *WAYS)]


def shadowed_rule(place):
    """An earlier, wider rule: it decides otherwise, or the same."""
    found = []
    verdicts = [f for _, f in flows(place, *STAGES, wanted=of_rule)]
    for host, flow in flows(place, *STAGES, wanted=of_rule):
        number = table("egress_verdict" if "egress" in BY_ID[flow.table].name else
                       "ingress_verdict").id  # fmt: skip
        others = {loaded(f, RULE.field) for f in verdicts if f.goto == number}
        for other in sorted(others):
            match = tuple(t for t in flow.match if t.field == TENANT.field)
            actions = tuple(replace(a, value=other) for a in flow.actions)
            above = replace(flow, match=match, priority=flow.priority + 600, actions=actions)
            found.append({host: {above.key: above}})
    return found


def refused(flow):
    return not flow.actions and flow.goto is None and matches(flow, RULE.field)


def let_through(place):
    then = {"egress_verdict": table("switch").id, "ingress_verdict": table("output").id}
    return [
        instead(h, f, goto=then[BY_ID[f.table].name])
        for h, f in flows(place, *then, wanted=refused)
    ]


def commits(flow):
    return any(isinstance(a, Conntrack) and a.commit for a in flow.actions) and flow.goto


def refuses_what_is_allowed(place):
    found = flows(place, *(f"{w}_verdict" for w in WAYS), wanted=commits)
    return [instead(h, f, actions=(), goto=None) for h, f in found]


# ---- state of connections


def uncommitted(place):
    found = flows(place, *(f"{w}_verdict" for w in WAYS), wanted=commits)
    return [instead(h, f, actions=()) for h, f in found]


def untracked(place):
    """The connection tracker is not asked before the table that goes by what it says."""
    found = []
    for host, flow in flows(place, *WAYS):
        asks = [a for a in flow.actions if isinstance(a, Conntrack)]
        rest = tuple(a for a in flow.actions if a not in asks)
        found += [instead(host, flow, actions=rest, goto=a.table) for a in asks]
    return found


def past_the_state(place):
    """Straight to where packets of known connections go."""
    then = {"egress": table("switch").id, "ingress": table("output").id}
    return [
        instead(h, f, actions=(), goto=then[BY_ID[f.table].name]) for h, f in flows(place, *then)
    ]


def _replies(flow):
    return matches(flow, "ct_state") and not matches(flow, "ct_label") and flow.goto is not None


def not_established(place):
    """What lets answers pass lets any packet pass."""
    found = flows(place, *(f"{w}_state" for w in WAYS), wanted=_replies)
    return [instead(h, f, match=terms(f, "ct_state")) for h, f in found]


def new_as_known(place):
    """New connections count as answers."""
    found = flows(place, *(f"{w}_state" for w in WAYS), wanted=_replies)
    return [instead(h, f, match=terms(f, "ct_state", 0x20, 0x20)) for h, f in found]


def no_answers(place):
    found = flows(place, *(f"{w}_state" for w in WAYS), wanted=_replies)
    return [gone(*one) for one in found]


def _zoned(flow, zone):
    return tuple(
        replace(a, zone=zone, zone_field="", zone_offset=0) if isinstance(a, Conntrack) else a
        for a in flow.actions
    )


def other_zone_asked(place):
    return [instead(h, f, actions=_zoned(f, 77)) for h, f in flows(place, *WAYS)]


def other_zone_written(place):
    found = flows(place, *(f"{w}_verdict" for w in WAYS), wanted=commits)
    return [instead(h, f, actions=_zoned(f, 77)) for h, f in found]


def one_zone_for_all(place):
    """Tenants that have the same addresses share what a bridge remembers."""
    found = {}
    for host in sorted(place.states()):
        mine = [f for h, f in flows(place, *WAYS, "egress_verdict", "ingress_verdict") if h == host]
        changed = [replace(f, actions=_zoned(f, 7)) for f in mine]
        found[host] = {
            f.key: f for f in changed if any(isinstance(a, Conntrack) for a in f.actions)
        }
    return [found, *({host: held} for host, held in found.items())]


FAULTS = (
    *(deleted_rule, swapped_rules, lowered_rule, shadowed_rule, wider_ports, wider_addresses),
    *(other_prefix, deleted_clause, wider_clause, other_tenants_rule, other_number),
    *(deleted_isolation, wrong_default, wrong_local, wrong_peer, deleted_peer, not_asked),
    *(let_through, refuses_what_is_allowed),
)
STATE_FAULTS = (
    *(uncommitted, untracked, past_the_state, not_established, new_as_known, no_answers),
    *(other_zone_asked, other_zone_written, one_zone_for_all),
)
