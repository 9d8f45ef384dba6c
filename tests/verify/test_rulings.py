# SPDX-License-Identifier: Apache-2.0
"""What a change of policies makes of who reaches whom, gate by gate, is what it is pair by pair."""

from random import Random

import pytest
from change_world import change as changed
from change_world import labelled, manifest, policy, prover, rule, same, shop
from policy_faults import FAULTS, STATE_FAULTS
from policy_traffic import sound

from vneter_sdn.daemon.verifying import Prover
from vneter_sdn.model.flow import Conntrack, Flow, Output
from vneter_sdn.pipeline.tables import table
from vneter_sdn.verify import proof as proving
from vneter_sdn.verify.reach import change, reach

WEB, DB, OPS = labelled(app="web"), labelled(app="db"), labelled(app="ops")


@pytest.fixture(scope="module")
def sane():
    return Prover(sound())


@pytest.fixture
def weighed(monkeypatch):
    """What changes were weighed as, one after the other; None: they had to be followed."""
    found = []
    weigh = proving.weigh

    def noted(*arguments):
        found.append(weigh(*arguments))
        return found[-1]

    monkeypatch.setattr(proving, "weigh", noted)
    return found


def back(prover, fault):
    """What is there now at the places that a fault changes."""
    return {
        host: {key: prover.bench.compiler.bridge(host).flows.get(key) for key in held}
        for host, held in fault.items()
    }


@pytest.mark.parametrize("kind", [*FAULTS, *STATE_FAULTS], ids=lambda kind: kind.__name__)
def test_faults_in_policies_change_what_they_change(sane, weighed, kind):
    watch = sane.watch
    faults = kind(sane.bench)
    Random(kind.__name__).shuffle(faults)
    before = reach(watch.new, watch.known)
    for fault in faults[:3]:
        verdict = watch.update(fault, watch.known.meaning)
        assert same(verdict.change, change(before, reach(watch.new, watch.known)))
        undone = watch.update(back(sane, fault), watch.known.meaning)
        assert undone.findings == ()
        assert same(undone.change, verdict.change[::-1])
    assert weighed


CHANGES = (
    [policy("new", WEB, priority=9.0, ingress=[rule("drop", OPS, 80)])],
    [policy("new", WEB, priority=9.0, ingress=[rule("drop", OPS, 81)])],
    [policy("new", DB, priority=9.0, egress=[rule("drop", {"cidr": "10.0.1.0/24"}, 53, "udp")])],
    [policy("new", {"endpoints": {}}, tier="kubernetes", isolates=["ingress"])],
    [policy("new", OPS, tier="kubernetes", isolates=["egress"], egress=[rule("allow", DB)])],
    [manifest("Endpoint", "web2", {"network": "pods", "host": "h2"}, "shop", {"app": "ops"})],
    [manifest("Endpoint", "web2", {"network": "pods", "host": "h2"}, "shop", {"app": "new"})],
    [manifest("Endpoint", "web2", {"network": "pods", "host": "h2"}, "shop", {"app": "web"})],
)


def test_policies_and_labels_that_change_one_after_the_other(weighed):
    deny = policy("deny", DB, ingress=[rule("drop", OPS, 22)])
    proof = prover(shop(deny))
    watch = proof.watch
    moved = []
    for manifests in CHANGES:
        before = reach(watch.new, watch.known)
        verdict = changed(proof, manifests).verdict
        assert same(verdict.change, change(before, reach(watch.new, watch.known)))
        moved.append(bool(verdict.change.gained.allowed or verdict.change.lost.allowed))
    assert sum(moved) >= 6
    assert len(weighed) == len(CHANGES)
    assert None not in weighed
    assert not any(one.doubtful for one in weighed), "nobody's answers have to be followed"


def test_one_of_two_endpoints_with_one_identity_is_told_from_the_other(sane):
    """What is wrong with one endpoint alone is not taken for what is so of its likes."""
    watch = sane.watch
    known = watch.known.meaning.stations
    web1 = next(s for s in known.values() if s.key.name == "web1" and s.key.tenant == "shop")
    flows = sane.bench.compiler.bridge(web1.host).flows
    first = table("ingress").id
    mine = {
        key: None
        for key, flow in flows.items()
        if flow.table == first and any(t == ("reg3", web1.port, 0xFFFF) for t in flow.match)
    }
    assert mine
    verdict = watch.update({web1.host: mine}, watch.known.meaning)
    gained = {pair.target.name for pair in verdict.change.gained.allowed}
    watch.update(back(sane, {web1.host: mine}), watch.known.meaning)
    assert gained == {"web1"}


def test_flows_of_policies_that_do_more_than_that_are_followed(sane, weighed):
    """A rule that sends packets somewhere is not taken for one that lets them pass."""
    watch = sane.watch
    host, state = next(iter(sane.bench.states().items()))
    stage = table("ingress_verdict").id
    lets_pass = [
        one
        for one in state.flows.values()
        if one.table == stage and any(isinstance(a, Conntrack) for a in one.actions)
    ]
    flow = min((one for one in lets_pass if one.goto is not None), key=lambda one: one.key)
    other = next(p for p in range(1, 9) if flow.actions != (Output(p),))
    wild = Flow(flow.table, flow.priority, flow.match, (Output(other),), None)
    verdict = watch.update({host: {flow.key: wild}}, watch.known.meaning)
    watch.update({host: {flow.key: flow}}, watch.known.meaning)
    assert weighed[0] is None
    assert verdict.findings


def test_a_fault_in_forwarding_is_found_where_policies_hide_it():
    """Nothing passes there now; but once a policy lets it, forwarding is not looked at again."""
    closed = policy("closed", {"endpoints": {}}, tier="kubernetes", isolates=["ingress", "egress"])
    proof = prover(shop(closed))
    assert list(proof.watch.reach().allowed) == []
    host, state = next(iter(proof.bench.states().items()))
    deliver, onward = table("deliver").id, table("remember").id
    flow = next(f for f in state.flows.values() if f.table == deliver and f.goto == onward)
    verdict = proof.watch.update({host: {flow.key: None}}, proof.watch.known.meaning)
    assert {one.kind for one in verdict.findings} == {"black_hole"}
