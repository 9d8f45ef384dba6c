# SPDX-License-Identifier: Apache-2.0
"""Faults put into compiled policies are found; without one, all is as the evaluator says."""

import itertools
import random
from dataclasses import replace

import pytest
from change_world import bench, labelled, manifest, policy, rule, shop

from vneter_sdn.daemon.verifying import Prover
from vneter_sdn.model.flow import Conntrack, SetField
from vneter_sdn.pipeline.registers import LOCAL, PEER, RULE, TENANT
from vneter_sdn.pipeline.tables import BY_ID, table
from vneter_sdn.policy.evaluate import Connection, evaluate
from vneter_sdn.policy.worlds import world_of
from vneter_sdn.simulate.packet import Packet
from vneter_sdn.verify.replies import unanswered
from vneter_sdn.verify.written import is_clause, tenant_of

WEB, DB, OPS = labelled(app="web"), labelled(app="db"), labelled(app="ops")
RULES = [
    policy("first", DB, priority=1.0, ingress=[rule("allow", OPS, 22), rule("drop", OPS)]),
    policy("web", WEB, priority=2.0, egress=[rule("drop", OPS), rule("allow", DB, 5432)]),
    policy("k", DB, tier="kubernetes", isolates=["ingress"], ingress=[rule("allow", WEB, 5432)]),
    policy("blocks", WEB, priority=3.0, ingress=[rule("drop", {"cidr": "10.0.2.0/24"}, 81)]),
    policy("base", OPS, tier="baseline", ingress=[rule("allow", DB, 80), rule("drop", DB)]),
]
WANTED = [
    *(Connection(6, port) for port in (22, 80, 81, 5432, 9999)),
    *(Connection(17, 53), Connection(1, icmp_type=8)),
]
BLUE = [
    manifest("Tenant", "blue", {}),
    manifest("Network", "pods", {"prefixes": ["10.0.1.0/24"]}, "blue"),
    manifest("Endpoint", "b1", {"network": "pods", "host": "h1"}, "blue", {"app": "web"}),
    manifest("Endpoint", "b2", {"network": "pods", "host": "h2"}, "blue", {"app": "db"}),
    manifest("Policy", "p", {"tier": "application", "appliesTo": [DB],
             "ingress": [rule("drop", WEB, 80)]}, "blue"),
]  # fmt: skip


def manifests():
    return [*shop(*RULES, defaults={"defaultEgress": "drop"}), *BLUE, *EGRESS]


EGRESS = [policy("out", {"endpoints": {}}, tier="baseline", egress=[rule("allow", None)])]


@pytest.fixture(scope="module")
def prover():
    return Prover(bench(manifests()))


def packet(connection):
    name = {6: "tcp_dst", 17: "udp_dst"}.get(connection.protocol)
    held = {name: connection.port} if name else {"icmp_type": connection.icmp_type}
    return Packet(eth_type=0x800, ip_proto=connection.protocol, **held)


def test_what_is_proven_is_what_the_evaluator_says(prover):
    snapshot, known = prover.bench.snapshot, prover.watch.known
    addresses = {s.key: [str(a) for a in s.addresses] for s in known.stations}
    world = world_of(snapshot.objects.values(), addresses=addresses)
    reach = prover.watch.reach()
    for source in known.stations:
        for target in known.stations:
            if source.key == target.key:
                continue
            for connection in WANTED:
                said = evaluate(world, source.key, target.key, connection).allowed
                proven = packet(connection) in reach[source.key, target.key]
                assert proven == said, (source.key, target.key, connection)


def test_nothing_is_wrong_without_a_fault(prover):
    assert [str(one) for one in prover.full()] == []


# ---- faults


def flows(prover, *names, wanted=lambda flow: True):
    numbers = {table(name).id for name in names}
    return [
        (host, flow)
        for host, state in sorted(prover.bench.states().items())
        for flow in sorted(state.flows.values(), key=lambda f: (f.table, -f.priority, f.match))
        if flow.table in numbers and flow.priority > 1 and wanted(flow)
    ]


STAGES = [f"{w}_{s}" for w in ("egress", "ingress") for s in ("tiers", "isolation", "baseline")]


def matches(flow, name):
    return any(term.field == name for term in flow.match)


def loads(flow, name):
    return any(isinstance(a, SetField) and a.field == name for a in flow.actions)


def deciding(flow):
    return loads(flow, RULE.field) and not is_clause(flow)


def removed(found):
    return [{found[0]: {found[1].key: None}}]


def with_actions(found, change):
    host, flow = found
    actions = tuple(change(action) for action in flow.actions)
    return [{host: {flow.key: replace(flow, actions=actions)}}]


def rewritten(register, value):
    def change(action):
        mine = isinstance(action, SetField) and action.field == register
        return replace(action, value=value) if mine else action

    return change


def swapped(prover, host, one, other):
    """Two rules change places."""
    places = {one.priority: other.priority, other.priority: one.priority}
    held = prover.bench.compiler.bridge(host).flows.values()
    mine = [f for f in held if f.table == one.table and f.priority in places]
    turned = [replace(f, priority=places[f.priority]) for f in mine]
    gone = {f.key: None for f in mine}
    return {host: gone | {f.key: f for f in turned}}


def remove_rule(p):
    return [c for f in flows(p, *STAGES, wanted=deciding) for c in removed(f)]


def remove_clause(p):
    return [c for f in flows(p, *STAGES, wanted=is_clause) for c in removed(f)]


def swap_rules(p):
    """Of two rules in a row, on one bridge."""
    found = []
    for host in p.bench.compiler.hosts():
        rules = flows(p, "ingress_tiers", "ingress_baseline", "egress_tiers", wanted=deciding)
        mine = [flow for at, flow in rules if at == host]
        found += [
            swapped(p, host, one, other)
            for one, other in itertools.pairwise(mine)
            if one.table == other.table and tenant_of(one) == tenant_of(other)
        ]
    return found


def refusing(flow):
    return not flow.actions and flow.goto is None and matches(flow, RULE.field)


def let_through(p):
    then = {"egress_verdict": table("switch").id, "ingress_verdict": table("output").id}
    return [
        {host: {flow.key: replace(flow, goto=then[BY_ID[flow.table].name])}}
        for host, flow in flows(p, *then, wanted=refusing)
    ]


def refuse_what_is_allowed(p):
    def allows(flow):
        return (
            matches(flow, TENANT.field) and flow.goto is not None and not matches(flow, "ct_label")
        )

    wanted = flows(
        p,
        "egress_verdict",
        "ingress_verdict",
        wanted=lambda f: allows(f) and any(isinstance(a, Conntrack) for a in f.actions),
    )
    return [
        {host: {flow.key: replace(flow, actions=(), goto=None)}}
        for host, flow in wanted
        if not any(term.field == "eth_type" and term.value == 0x86DD for term in flow.match)
    ]


def wrong_number(p):
    found = flows(p, *STAGES, wanted=deciding)
    return [c for f in found for c in with_actions(f, rewritten(RULE.field, 2 if f[1].table else 1))
            if not any(isinstance(a, SetField) and a.value == 2 for a in f[1].actions)]  # fmt: skip


def four(flow):
    return not any(term.field.startswith("ipv6") for term in flow.match)


def wrong_peer(p):
    found = flows(p, "egress_peer", "ingress_peer", wanted=four)
    return [c for f in found for c in with_actions(f, rewritten(PEER.field, 7))]


def remove_peer(p):
    return [c for f in flows(p, "egress_peer", "ingress_peer", wanted=four) for c in removed(f)]


def wrong_local(p):
    def asked(flow):
        return loads(flow, LOCAL.field) and any(
            t.field == "eth_type" and t.value == 0x800 for t in flow.match
        )

    found = flows(p, "egress", "ingress", wanted=asked)
    return [c for f in found for c in with_actions(f, rewritten(LOCAL.field, 9))]


def unasked(p):
    def asked(flow):
        return loads(flow, LOCAL.field) and any(
            t.field == "eth_type" and t.value == 0x800 for t in flow.match
        )

    return [c for f in flows(p, "egress", "ingress", wanted=asked) for c in removed(f)]


def wrong_tenant(p):
    found = []
    for host, flow in flows(p, *STAGES, wanted=deciding):
        match = tuple(t._replace(value=99) if t.field == TENANT.field else t for t in flow.match)
        found.append(
            {host: {flow.key: None, replace(flow, match=match).key: replace(flow, match=match)}}
        )
    return found


def wrong_prefix(p):
    found = []
    for host, flow in flows(
        p, "ingress_tiers", wanted=lambda f: is_clause(f) and matches(f, "ip_src")
    ):
        match = tuple(
            t._replace(value=t.value ^ 1 << 8) if t.field == "ip_src" else t for t in flow.match
        )
        found.append(
            {host: {flow.key: None, replace(flow, match=match).key: replace(flow, match=match)}}
        )
    return found


REACHING = [
    *(remove_rule, remove_clause, swap_rules, let_through, refuse_what_is_allowed, wrong_number),
    *(wrong_peer, remove_peer, wrong_local, unasked, wrong_tenant, wrong_prefix),
]


def holding(prover, changed):
    """What is there now at the places that a fault changes."""
    return {
        host: {key: prover.bench.compiler.bridge(host).flows.get(key) for key in held}
        for host, held in changed.items()
    }


def effect(prover, changed):
    """Whether any connection that is tried ends otherwise: by the plain walk of whole matrices."""
    before, proof = prover.watch.reach(), prover.watch
    verdict = proof.update(changed, proof.known.meaning)
    after = proof.reach()
    back = proof.update(holding(prover, changed), proof.known.meaning)
    moved = bool(after.less(before).allowed or before.less(after).allowed)
    found = bool(verdict.change.gained.allowed or verdict.change.lost.allowed)
    undone = bool(back.change.gained.allowed or back.change.lost.allowed)
    assert found == undone
    return moved, found or bool(verdict.findings)


@pytest.mark.parametrize("fault", REACHING, ids=lambda fault: fault.__name__)
def test_a_fault_in_policies_is_found(prover, fault):
    """Whatever changes who reaches whom is found by proving what is touched alone."""
    made = fault(prover)
    random.Random(4).shuffle(made)
    some = made[:12]
    told = [effect(prover, changed) for changed in some]
    assert told
    missed = [n for n, (moved, found) in enumerate(told) if moved and not found]
    assert missed == []
    assert sum(moved for moved, _ in told) >= min(len(told), 2), "faults that change nothing"


def no_replies(p):
    def replies(flow):
        return matches(flow, "ct_state") and not matches(flow, "ct_label") and flow.goto is not None

    return [
        c for f in flows(p, "egress_state", "ingress_state", wanted=replies) for c in removed(f)
    ]


def uncommitted(p):
    def commits(flow):
        return any(isinstance(a, Conntrack) and a.commit for a in flow.actions) and flow.goto

    return [
        {host: {flow.key: replace(flow, actions=())}}
        for host, flow in flows(p, "egress_verdict", "ingress_verdict", wanted=commits)
        if not any(t.field == "eth_type" and t.value == 0x86DD for t in flow.match)
    ]


@pytest.mark.parametrize("fault", [no_replies, uncommitted], ids=lambda fault: fault.__name__)
def test_state_that_nobody_remembers_is_found(prover, fault):
    proof = prover.watch
    assert list(unanswered(proof.new, proof.known)) == []
    made = fault(prover)
    random.Random(4).shuffle(made)
    found = 0
    for changed in made[:5]:
        proof.update(changed, proof.known.meaning)
        found += bool(list(unanswered(proof.new, proof.known)))
        proof.update(holding(prover, changed), proof.known.meaning)
    assert found >= 2
    assert list(unanswered(proof.new, proof.known)) == []
