# SPDX-License-Identifier: Apache-2.0
"""What policies cost on bridges, what one change of them changes, and numbers that collide."""

from __future__ import annotations

import pytest
from policy_worlds import manifest

from vneter_sdn.compile import books, bridges, classes
from vneter_sdn.compile.facts import everything
from vneter_sdn.compile.network import Compiler, compile_snapshot
from vneter_sdn.model.flow import Conjunction
from vneter_sdn.model.snapshot import Binding, Key, Status
from vneter_sdn.pipeline.registers import LOCAL, PEER, RULE
from vneter_sdn.pipeline.tables import BY_ID
from vneter_sdn.store.memory import MemoryStore
from vneter_sdn.store.port import Edit

HOSTS = ("h1", "h2", "h3")
SIDES = ("in", "out")


class Cluster:
    """A tenant with a network over three hosts, compiled as it grows."""

    def __init__(self):
        self.store, self.compiler, self.sequence = MemoryStore(clock=lambda: 0.0), Compiler(), 0
        self.snapshot = self.store.snapshot()
        self.compiler.take(self.snapshot, everything(self.snapshot))
        made = [manifest("Tenant", "red", {})]
        made.append(manifest("Network", "net", {"prefixes": ["10.0.0.0/16"]}, "red"))
        for number, name in enumerate(HOSTS, 1):
            spec = {"ovsdb": f"unix:/x/{name}", "tunnelAddresses": [f"192.0.2.{number}"]}
            made.append(manifest("Host", name, spec))
        self.apply(*made)

    def apply(self, *manifests):
        """The flows that change, by host: (table, what it was, what it is)."""
        edits = []
        for one in manifests:
            metadata = one["metadata"]
            key = Key(one["kind"], metadata.get("tenant", ""), metadata["name"])
            edits.append(Edit("apply", key, one))
        before = {host: self.compiler.bridge(host).flows for host in HOSTS}
        self.store.apply(edits, author="test")
        bindings = []
        for edit in edits:
            if edit.key.kind == "Endpoint" and edit.key not in self.store.snapshot().bindings:
                self.sequence += 1
                at = edit.manifest["spec"]["host"]
                bindings.append(
                    Binding(edit.key, at, f"p{self.sequence}", self.sequence, self.sequence)
                )
        self.store.bind(bindings)
        self.snapshot, delta = self.store.wait(self.snapshot, 0)
        changed = self.compiler.take(self.snapshot, delta)
        after = {host: self.compiler.bridge(host).flows for host in HOSTS}
        return {
            host: [(BY_ID[k.table].name, before[host].get(k), after[host].get(k)) for k in keys]
            for host, keys in changed.items()
        }

    def pods(self, count, labels, *, host=None, ports=(), first=0, namespace=None):
        spec = {"network": "net", "ports": list(ports)}
        spec |= {"namespace": namespace} if namespace else {}
        return [
            manifest("Endpoint", f"e{n}", spec | {"host": host or HOSTS[n % 3]}, "red", labels(n))
            for n in range(first, first + count)
        ]

    def policy(self, spec, name="p"):
        return manifest("Policy", name, spec, "red")

    def report(self):
        """What the engine reports of policies: where their rules stand."""
        policies = [key for key in self.snapshot.objects if key.kind == "Policy"]
        told = ((key, self.compiler.positions(key, ["red"])) for key in policies)
        self.store.report([Status(key, details={"positions": at}) for key, at in told])
        self.snapshot, delta = self.store.wait(self.snapshot, 0)
        assert not self.compiler.take(self.snapshot, delta), "a report changes nothing"

    def flows(self, host, *tables):
        held = self.compiler.bridge(host).flows.values()
        return [flow for flow in held if BY_ID[flow.table].name in tables]


def endpoints(**labels):
    return {"endpoints": {"matchLabels": labels}}


def values(flow):
    return {term.field: term.value for term in flow.match}


def test_a_rule_costs_the_sum_of_its_sets_and_not_their_product():
    cluster = Cluster()
    pods = cluster.pods(20, lambda n: {"side": SIDES[n % 2], "odd": f"v{n}"}, host="h1")
    ports = [{"port": 1000 * n} for n in range(1, 8)]
    rule = {"peers": [endpoints(side="in"), {"cidr": "198.51.100.0/24"}], "ports": ports}
    cluster.apply(*pods, cluster.policy({"appliesTo": [endpoints(side="out")], "ingress": [rule]}))
    held = cluster.flows("h1", "ingress_tiers")
    conjunctive = [f for f in held if any(isinstance(a, Conjunction) for a in f.actions)]
    # Whom it is about, with whom, and ports by both families.
    assert len(conjunctive) == 10 + (10 + 1) + 7 * 2
    # Besides those: what follows from the conjunction, the host itself, and the miss.
    assert len(held) == len(conjunctive) + 3
    assert not cluster.flows("h2", "ingress_tiers")[1:] or all(
        "conj_id" not in values(flow) for flow in cluster.flows("h2", "ingress_tiers")
    )


def test_a_hundred_endpoints_with_equal_labels_cost_one_identity():
    cluster = Cluster()
    cluster.apply(
        *cluster.pods(100, lambda n: {"app": "web"}),
        *cluster.pods(1, lambda n: {"app": "db"}, first=100),
        cluster.policy(
            {"appliesTo": [endpoints(app="db")], "ingress": [{"peers": [endpoints(app="web")]}]}
        ),
    )
    at = cluster.snapshot.objects[Key("Endpoint", "red", "e100")].spec.host
    peers = [f for f in cluster.flows(at, "ingress_tiers") if PEER.field in values(f)]
    assert len([f for f in peers if values(f)[PEER.field]]) == 1
    known = [f for f in cluster.flows(at, "ingress_peer") if "ip_src" in values(f)]
    loads = {
        action.value for flow in known for action in flow.actions if action.field == PEER.field
    }
    assert (len(known), len(loads)) == (101, 2)


def test_one_label_changes_one_flow_a_bridge_each_way():
    """Into a class that exists, from one that goes on: rules do not change."""
    cluster = Cluster()
    cluster.apply(
        *cluster.pods(12, lambda n: {"app": "web" if n < 6 else "db"}),
        cluster.policy({"ingress": [{"peers": [endpoints(app="web")]}]}),
    )
    (moved,) = cluster.pods(1, lambda n: {"app": "db"})
    changed = cluster.apply(moved)
    ours = cluster.snapshot.objects[Key("Endpoint", "red", "e0")].spec.host
    for host, found in changed.items():
        asked = ["egress", "egress", "ingress", "ingress"] if host == ours else []
        assert sorted(name for name, _, _ in found) == sorted(
            [*asked, "egress_peer", "ingress_peer"]
        )
        assert all(old and new for _, old, new in found)
    assert changed.keys() == set(HOSTS)


def test_a_policy_that_goes_leaves_nothing():
    cluster = Cluster()
    cluster.apply(*cluster.pods(6, lambda n: {"app": SIDES[n % 2]}))
    before = {host: cluster.compiler.bridge(host) for host in HOSTS}
    cluster.apply(cluster.policy({"ingress": [{"ports": [{"port": 80}]}]}))
    assert {host: cluster.compiler.bridge(host) for host in HOSTS} != before
    cluster.store.apply([Edit("delete", Key("Policy", "red", "p"))], author="test")
    cluster.snapshot, delta = cluster.store.wait(cluster.snapshot, 0)
    cluster.compiler.take(cluster.snapshot, delta)
    assert {host: cluster.compiler.bridge(host) for host in HOSTS} == before


@pytest.fixture
def colliding(monkeypatch):
    """Hashes of few values."""
    few = classes.hashed.__wrapped__
    monkeypatch.setattr(classes, "hashed", lambda one, salt=0: few(one, salt) % 7 + 1)
    spread = books._hash.__wrapped__
    monkeypatch.setattr(books, "_hash", lambda text: spread(text) % 3)


@pytest.mark.usefixtures("colliding")
def test_identities_that_collide_are_told_apart():
    cluster = Cluster()
    cluster.apply(
        *cluster.pods(6, lambda n: {"app": f"a{n}"}, host="h1"),
        cluster.policy({"ingress": [{"peers": [endpoints(app="a1")]}]}),
    )
    about = {
        values(f)[LOCAL.field]
        for f in cluster.flows("h1", "ingress_tiers")
        if LOCAL.field in values(f)
    }
    assert len(about) == 6
    cluster.apply(*cluster.pods(1, lambda n: {"app": "a0"}, host="h1", first=1))
    fresh = compile_snapshot(cluster.snapshot)
    assert all(fresh.digest(host) == cluster.compiler.digest(host) for host in HOSTS)


@pytest.mark.usefixtures("colliding")
def test_rules_whose_numbers_and_priorities_collide_are_told_apart():
    cluster = Cluster()
    rules = [{"ports": [{"port": port}]} for port in range(1, 9)]
    spec = {"tier": "kubernetes", "isolates": ["ingress"], "ingress": rules}
    cluster.apply(*cluster.pods(3, lambda n: {}), cluster.policy(spec), cluster.policy(spec, "q"))
    decided = [f for f in cluster.flows("h1", "ingress_isolation") if RULE.field in str(f.actions)]
    assert len({f.priority for f in decided}) == 16 + 1  # and who is isolated
    numbers = cluster.compiler.rules("red")
    assert len(numbers) == 16
    assert not cluster.compiler.clashes
    cluster.apply(cluster.policy(spec | {"ingress": rules[1:]}))
    fresh = compile_snapshot(cluster.snapshot)
    assert fresh.rules("red") == cluster.compiler.rules("red")
    assert all(fresh.digest(host) == cluster.compiler.digest(host) for host in HOSTS)


def ordered(number, *rules):
    """A policy of a tier, among others of it."""
    rules = rules or ({"peers": [endpoints(app=f"a{1 + number % 2}")], "ports": [{"port": 80}]},)
    spec = {"tier": "application", "priority": number, "ingress": list(rules)}
    return spec | {"appliesTo": [endpoints(app="db")]}


@pytest.fixture
def tiered():
    """Forty policies, one after the other, whose places were reported."""
    cluster = Cluster()
    cluster.apply(*cluster.pods(9, lambda n: {"app": ("db", "a1", "a2")[n % 3]}))
    cluster.apply(*(cluster.policy(ordered(n), f"p{n}") for n in range(0, 400, 10)))
    cluster.report()
    return cluster


def of_rule(changed):
    return [(name, old, new) for found in changed.values() for name, old, new in found]


def rules_by_title(cluster):
    return {rule.title: number for number, rule in cluster.compiler.rules("red").items()}


def test_a_rule_put_in_between_changes_no_flow_of_others(tiered):
    before = rules_by_title(tiered)
    changed = of_rule(tiered.apply(tiered.policy(ordered(195), "between")))
    assert changed
    assert not [name for name, old, _ in changed if old is not None]
    after = rules_by_title(tiered)
    assert before.items() <= after.items()
    (number,) = (after[title] for title in after.keys() - before.keys())
    actions = [action for _, _, new in changed for action in new.actions]
    assert {a.id >> 12 for a in actions if isinstance(a, Conjunction)} == {number}


def test_it_stands_where_it_was_put(tiered):
    tiered.apply(tiered.policy(ordered(195), "between"))
    rules = sorted(tiered.compiler.rules("red").items(), key=lambda one: one[1].rank)
    asked = [
        [f.priority for f in tiered.flows("h1", "ingress_tiers") if said(f) == number]
        for number, _ in rules
    ]
    firsts = [priorities[0] for priorities in asked if priorities]
    assert len(firsts) == 41
    assert firsts == sorted(firsts, reverse=True)


def said(flow):
    return next((a.value for a in flow.actions if getattr(a, "field", "") == RULE.field), None)


def test_a_restart_moves_nothing_that_was_reported(tiered):
    for number in (195, 197, 196, 5, 1000):
        tiered.apply(tiered.policy(ordered(number), f"n{number}"))
    tiered.report()
    tiered.store.apply([Edit("delete", Key("Policy", "red", "p200"))], author="test")
    tiered.snapshot, delta = tiered.store.wait(tiered.snapshot, 0)
    tiered.compiler.take(tiered.snapshot, delta)
    fresh = compile_snapshot(tiered.snapshot)
    assert all(fresh.digest(host) == tiered.compiler.digest(host) for host in HOSTS)
    assert fresh.rules("red") == tiered.compiler.rules("red")


def test_a_rule_put_before_others_of_its_policy_changes_none_of_them(tiered):
    rules = [{"peers": [endpoints(app="a1")], "ports": [{"port": p}]} for p in (80, 81, 82)]
    tiered.apply(tiered.policy(ordered(195, *rules[1:]), "between"))
    tiered.report()
    before = {number: rule.ports for number, rule in tiered.compiler.rules("red").items()}
    changed = of_rule(tiered.apply(tiered.policy(ordered(195, *rules), "between")))
    assert changed
    assert not [name for name, old, _ in changed if old is not None]
    after = {number: rule.ports for number, rule in tiered.compiler.rules("red").items()}
    assert before.items() <= after.items()


def test_another_port_changes_flows_of_ports_alone(tiered):
    rule = {"peers": [endpoints(app="a1")], "ports": [{"port": 8080}]}
    changed = of_rule(tiered.apply(tiered.policy(ordered(200, rule), "p200")))
    assert {name for name, _, _ in changed} == {"ingress_tiers"}
    assert all("tcp_dst" in values(old or new) for _, old, new in changed)


def test_bridges_begun_together_are_as_if_each_were_alone(monkeypatch):
    cluster = Cluster()
    rule = {"peers": [endpoints(side="in")], "ports": [{"port": 80}]}
    cluster.apply(
        *cluster.pods(12, lambda n: {"side": SIDES[n % 2]}),
        cluster.policy({"appliesTo": [endpoints(side="out")], "ingress": [rule]}),
    )
    monkeypatch.setattr(bridges, "_MANY", 99)
    alone = compile_snapshot(cluster.snapshot)
    monkeypatch.setattr(bridges, "_MANY", 2)
    monkeypatch.setattr(bridges, "_MOST", 3)  # all but one of three
    together = compile_snapshot(cluster.snapshot)
    assert not together.clashes
    for host in HOSTS:
        assert together.bridge(host) == alone.bridge(host)
        assert together.digest(host) == alone.digest(host) == bridges.digest(alone.bridge(host))
        for flow in together.bridge(host).flows:
            assert together.unit(host, flow) == alone.unit(host, flow)


@pytest.mark.parametrize("direction", ["ingress", "egress"])
def test_however_many_come_and_go_it_is_as_if_written_anew(direction):
    """At the other end of a rule: few, so many that they are written in sheaves, and few again."""
    cluster = Cluster()
    rule = {"peers": [endpoints(side="in")], "ports": [{"port": 80}]}
    cluster.apply(cluster.policy({"appliesTo": [endpoints(side="out")], direction: [rule]}))
    for inside, host in ((3, "h1"), (40, "h1"), (41, "h2"), (33, "h2"), (32, "h3"), (0, "h3")):

        def labels(number, inside=inside):
            return {"side": "in" if number < inside else "none", "odd": f"v{number}"}

        about = cluster.pods(1, lambda _: {"side": "out"}, host=host, first=100 + inside)
        cluster.apply(*cluster.pods(45, labels), *about)
        fresh = compile_snapshot(cluster.snapshot)
        for one in HOSTS:
            assert cluster.compiler.bridge(one) == fresh.bridge(one), (inside, one)
        met = [f for f in cluster.flows(host, f"{direction}_tiers") if "reg7" in values(f)]
        assert len([f for f in met if values(f)["reg7"]]) == inside
