# SPDX-License-Identifier: Apache-2.0
"""Any sequence of edits gives what a fresh compile gives, and says exactly what it changed."""

from __future__ import annotations

import contextlib

from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from policy_worlds import (
    GROUPS,
    NAMESPACES,
    TIER,
    blocks,
    cluster_specs,
    label_sets,
    named,
    policy_specs,
    scopes,
    some,
)

from vneter_sdn.compile.bridges import digest
from vneter_sdn.compile.facts import RESOLVED, everything
from vneter_sdn.compile.features import FEATURES
from vneter_sdn.compile.network import Compiler, Observed, compile_snapshot
from vneter_sdn.compile.query import Fact
from vneter_sdn.compile.standing import shard_of
from vneter_sdn.errors import IntentError, NotFound
from vneter_sdn.graph.colours import assign
from vneter_sdn.graph.route import parse, text
from vneter_sdn.graph.topology import Observation
from vneter_sdn.graph.topology import tunnel_port as tunnel_name
from vneter_sdn.model.colours import colour_of
from vneter_sdn.model.kinds import API_VERSION
from vneter_sdn.model.snapshot import Binding, Condition, Key, Pools, Status
from vneter_sdn.store.memory import MemoryStore
from vneter_sdn.store.port import Edit

HOSTS, TENANTS, NETWORKS = ("h1", "h2", "h3"), ("red", "blue"), ("web", "db")
ENDPOINTS = ("a", "b", "c")
PREFIXES = (["10.0.0.0/24"], ["10.0.1.0/24", "fd00:1::/64"], ["fd00::/64"])


def edit(kind, name, spec, tenant=None, labels=None):
    key = Key(kind, tenant or "", name)
    metadata = {"name": name, "labels": labels or {}} | ({"tenant": tenant} if tenant else {})
    manifest = {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}
    return ("edit", Edit("apply", key, manifest))


def host(name, addressed, encapsulation):
    number = HOSTS.index(name) + 1
    spec = {"ovsdb": f"unix:/run/{name}/db.sock", "encapsulation": encapsulation}
    return edit("Host", name, spec | {"tunnelAddresses": [f"192.0.2.{number}"] * addressed})


def link(source, target, cost, disabled):
    spec = {"source": source, "target": target, "cost": cost, "disabled": disabled}
    return edit("Link", f"{source}-{target}", spec)


def network(tenant, name, prefixes):
    spec = {"prefixes": prefixes, "blockLength4": 28, "reuseDelaySeconds": 0}
    return edit("Network", name, spec, tenant)


def endpoint(tenant, name, of, at):
    labels = {"role": "client" if name == "a" else "server"} if at != "h3" else {}
    return edit("Endpoint", name, {"network": of} | ({"host": at} if at else {}), tenant, labels)


def workload(key, of, labels, namespace, held):
    """An endpoint that policies have something to tell by."""
    spec = {"network": of, "ports": named[held]} | ({"namespace": namespace} if namespace else {})
    return edit("Endpoint", key[1], spec, key[0], labels)


def tenant(name, ingress, egress):
    return edit("Tenant", name, {"defaultIngress": ingress, "defaultEgress": egress})


def wire(source, target, number, encrypted):
    spec = {"medium": "wire", "sourcePort": f"eth{number}", "targetPort": f"eth{number + 2}"}
    ends = {"source": source, "target": target, "encrypted": encrypted, "capacityMbps": 10}
    ends |= {"drained": number == 2}
    return edit("Link", f"wire-{source}-{target}", spec | ends)


def policy(name, tenants, paths, constraints, more):
    spec = {"tenants": tenants, "paths": paths, "constraints": constraints} | more
    return edit("PathPolicy", name, spec)


def reservation(name, ends, rate, more):
    spec = {"tenant": "red", "source": ends[0], "target": ends[1], "rateMbps": rate}
    return edit("Reservation", name, spec | ({"between": "hosts"} if "h1" in ends else {}) | more)


def demand(source, target, mbps):
    spec = {"source": source, "target": target, "mbps": mbps}
    return edit("Demand", f"{source}-{target}", spec)


def seen(up, latency):
    return Observation(up=up, latency=latency)


def standing(target, deviations, observations):
    return ("standing", shard_of(target), deviations, observations)


def delete(kind, tenant, name):
    return ("edit", Edit("delete", Key(kind, tenant, name)))


one = st.sampled_from
# Edits under policies are long, and take long to make shorter.
UNSHRUNK = (Phase.explicit, Phase.reuse, Phase.generate)
EDGES = ("h1>h2", "h2>h1", "h2>h3", "h1:eth1>h2:eth3", "h2:eth1>h3:eth3")
POLICIES = ("p", "q")
LIMITS = ({}, {"encrypted": True}, {"maxHops": 1}, {"minBandwidthMbps": 5})
ABOUT = (
    {},
    {"networks": ["red/web"]},
    {"ports": ["tcp/80-90"], "priority": 7},
    {"sourceLabels": {"role": "client"}, "targetLabels": {"role": "server"}},
    {"objective": "latency"},
    {"sharing": "engineered"},
)
SEEN = st.dictionaries(
    one(EDGES), st.none() | st.builds(seen, st.booleans(), one((None, 1.0, 9.0)))
)
WINDOW = {"start": "1970-01-01T00:30:00Z", "end": "1970-01-01T00:45:00Z"}
steps = st.one_of(
    st.builds(host, one(HOSTS), st.integers(0, 1), one(("geneve", "vxlan"))),
    st.builds(link, one(HOSTS), one(HOSTS), st.integers(1, 3), st.booleans()),
    st.builds(network, one(TENANTS), one(NETWORKS), one(PREFIXES)),
    st.builds(endpoint, one(TENANTS), one(ENDPOINTS), one(NETWORKS), one((None, *HOSTS))),
    st.builds(endpoint, one(TENANTS), one(ENDPOINTS), one(NETWORKS), one((None, *HOSTS))),
    st.tuples(st.just("bind"), one(TENANTS), one(ENDPOINTS), one(HOSTS), st.integers(1, 3)),
    st.tuples(st.just("bind"), one(TENANTS), one(ENDPOINTS), one(HOSTS), st.integers(1, 3)),
    st.tuples(st.just("unbind"), one(TENANTS), one(ENDPOINTS)),
    st.tuples(st.just("ofports"), one(HOSTS), st.dictionaries(one(HOSTS), st.integers(1, 9))),
    st.builds(wire, one(HOSTS), one(HOSTS), st.integers(1, 2), st.booleans()),
    st.builds(
        policy, one(POLICIES), one(([], ["red"])), st.integers(1, 3), one(LIMITS), one(ABOUT)
    ),
    st.builds(
        policy, one(POLICIES), one(([], ["red"])), st.integers(1, 3), one(LIMITS), one(ABOUT)
    ),
    st.builds(
        reservation,
        one(("r", "s")),
        one((("a", "b"), ("b", "c"), ("h1", "h2"))),
        one((4, 7)),
        one(({}, {"policy": "p"}, WINDOW)),
    ),
    st.builds(demand, one(HOSTS), one(HOSTS), one((1, 12))),
    st.tuples(st.just("clock"), one((1000.0, 2000.0, 3000.0))),
    st.tuples(st.just("report")),
    st.tuples(st.just("colour")),
    st.tuples(st.just("colour")),
    st.builds(delete, one(("Reservation",)), st.just(""), one(("r", "s"))),
    st.tuples(st.just("sweep")),
    st.tuples(st.just("links"), SEEN),
    st.builds(standing, one(HOSTS), st.dictionaries(one(EDGES), st.booleans()), st.just({}) | SEEN),
    st.tuples(
        st.just("ports"),
        one(HOSTS),
        st.dictionaries(one(("eth1", "eth2", "eth3", "eth4")), st.integers(1, 9)),
    ),
    st.builds(delete, st.just("PathPolicy"), st.just(""), one(POLICIES)),
    st.builds(delete, st.just("Endpoint"), one(TENANTS), one(ENDPOINTS)),
    st.builds(delete, st.just("Network"), one(TENANTS), one(NETWORKS)),
    st.builds(delete, st.just("Tenant"), st.just(""), one(TENANTS)),
    st.builds(delete, st.just("Host"), st.just(""), one(HOSTS)),
    st.builds(delete, st.just("Link"), st.just(""), one(("h1-h2", "h2-h1", "wire-h1-h2"))),
)
DEFAULTS = ("allow", "drop")
RULED = ("red", "red", "blue")
policed_steps = st.one_of(
    st.builds(
        workload,
        st.tuples(one(RULED), one(ENDPOINTS)),
        one(NETWORKS),
        label_sets,
        one((None, *NAMESPACES)),
        one(tuple(named)),
    ),
    st.builds(
        lambda tenant, name, labels: edit("Namespace", name, {}, tenant, labels),
        one(RULED),
        one(NAMESPACES),
        label_sets,
    ),
    st.builds(
        lambda tenant, name, spec: edit("Policy", name, spec, tenant),
        one(RULED),
        one(POLICIES),
        policy_specs(),
    ),
    st.builds(lambda name, spec: edit("ClusterPolicy", name, spec), one(POLICIES), cluster_specs()),
    st.builds(
        lambda found: edit("Group", "g", {"members": found}, "red"),
        some(st.one_of(scopes, blocks)),
    ),
    st.builds(tenant, one(RULED), one(DEFAULTS), one(DEFAULTS)),
    st.builds(lambda priority: edit("Tier", TIER, {"priority": priority}), one((7, 120, 240))),
    st.builds(lambda rack: edit("Host", "h1", HOST_SPEC, labels={"rack": rack}), one(("1", "2"))),
    st.tuples(
        st.just("resolved"),
        one(("www.example.com", "example.org")),
        one((None, ("198.51.100.7",), ("198.51.100.7", "2001:db8::7"))),
    ),
    st.builds(delete, st.just("Policy"), one(RULED), one(POLICIES)),
    st.builds(delete, st.just("ClusterPolicy"), st.just(""), one(POLICIES)),
    st.builds(delete, st.just("Group"), st.just("red"), one(GROUPS)),
    st.builds(delete, st.just("Namespace"), one(RULED), one(NAMESPACES)),
    st.builds(delete, st.just("Endpoint"), one(RULED), one(ENDPOINTS)),
    st.tuples(st.just("bind"), one(RULED), one(ENDPOINTS), one(HOSTS), st.integers(1, 3)),
    st.tuples(st.just("unbind"), one(RULED), one(ENDPOINTS)),
    st.tuples(st.just("clock"), one((1000.0, 2e9))),
)
HOST_SPEC = {"ovsdb": "unix:/run/h1/db.sock", "tunnelAddresses": ["192.0.2.1"]}
NAMED = {"domain": "*.example.com"}
KUBERNETES = {"tier": "kubernetes", "isolates": ["ingress"]}
POLICED = [
    *(edit("Namespace", name, {}, t, {"env": "prod"}) for t in TENANTS for name in NAMESPACES),
    edit("Tier", TIER, {"priority": 7}),
    *(edit("Group", name, {"members": [{"endpoints": {}}]}, "red") for name in GROUPS),
    workload(("red", "a"), "web", {"app": "web"}, "x", "web"),
    workload(("red", "b"), "web", {"app": "db"}, "y", "high"),
    workload(("red", "c"), "web", {"app": "db"}, None, "web"),
    edit("Policy", "p", KUBERNETES | {"ingress": [{"ports": [{"port": "web"}]}]}, "red"),
    edit("Policy", "names", {"egress": [{"action": "drop", "peers": [NAMED]}]}, "red"),
]
START = [
    *(host(name, 1, "geneve") for name in HOSTS),
    *(edit("Tenant", tenant, {}) for tenant in TENANTS),
    *(
        network(tenant, name, p)
        for tenant in TENANTS
        for name, p in zip(NETWORKS, PREFIXES, strict=False)
    ),
    *(endpoint("red", name, "web", at) for name, at in zip(ENDPOINTS, HOSTS, strict=True)),
    *(("bind", "red", name, at, 1) for name, at in zip(ENDPOINTS, HOSTS, strict=True)),
    wire("h1", "h2", 1, True),
    ("ports", "h1", {"eth1": 5}),
    ("ports", "h2", {"eth3": 6}),
    policy("p", ["red"], 2, {}, {}),
    reservation("r", ("a", "b"), 4, {}),
    ("report",),
    ("colour",),
]


def reported(key, found):
    routes = [{"route": text(r), "mbps": mbps} for r, mbps in found.decision.routes.items()]
    admitted = Condition("Admitted", str(found.decision.admitted), found.decision.reason)
    return Status(key, 1, (admitted,), {"routes": routes})


def turned(pair):
    """A plan with other weights."""
    routes = [{"route": text(r), "weight": w + n} for n, (r, w, _) in enumerate(pair.routes)]
    return f"{pair.source}>{pair.target}", routes


class Play:
    """A store, and a compiler that follows it."""

    def __init__(self):
        self.now = 1000.0
        self.store = MemoryStore(lambda: self.now)
        self.compiler = Compiler("ssl:192.0.2.99:6653")
        self.snapshot = self.store.snapshot()
        self.compiler.take(self.snapshot, everything(self.snapshot))
        self.sequence = 0
        self.clock = None
        self.ofports, self.ports, self.links, self.standing = {}, {}, {}, {}
        self.resolved = {}

    def step(self, step):
        self.now += 10
        before = {h: self.compiler.bridge(h) for h in (*HOSTS,)}
        changed = {}
        with contextlib.suppress(IntentError, NotFound):
            changed = self._do(step)
        found = self.store.wait(self.snapshot, 0)
        if found:
            self.snapshot, delta = found
            changed = self.compiler.take(self.snapshot, delta)
        for name in HOSTS:
            old, new = before[name].flows, self.compiler.bridge(name).flows
            differ = {k for k in {**old, **new} if old.get(k) != new.get(k)}
            assert changed.get(name, frozenset()) == differ

    def _do(self, step):
        match step:
            case ("edit", edit):
                self.store.apply([edit], author="test")
            case ("bind", tenant, name, at, port):
                self.sequence += 1
                key = Key("Endpoint", tenant, name)
                self.store.bind([Binding(key, at, f"if{port}", port, self.sequence)])
            case ("unbind", tenant, name):
                self.store.bind([], [Key("Endpoint", tenant, name)])
            case ("ofports" | "ports" as which, at, ports):
                return self._numbered(which, at, ports)
            case ("links", observations):
                self.links |= observations
                return self.compiler.observe_links(observations)
            case ("standing", shard, deviations, observations):
                self.links |= observations
                self.standing[shard] = deviations
                return self.compiler.observe_links(observations, {shard: deviations})
            case ("resolved", name, addresses):
                self.resolved[name] = addresses
                changed = self.compiler.update({Fact(RESOLVED, name): addresses})
                return {host: delta.flows for host, delta in changed.items()}
            case ("clock", now):
                self.clock = now
                return self.compiler.advance(now)
            case (word,):
                {"report": self._report, "colour": self._colour, "sweep": self._sweep}[word]()
        return {}

    def _numbered(self, which, at, ports):
        if which == "ports":
            self.ports[at] = ports
            return self.compiler.observe_ports(at, ports)
        self.ofports[at] = {tunnel_name(peer): port for peer, port in ports.items()}
        return self.compiler.observe_tunnels(at, self.ofports[at])

    def _sweep(self):
        self.now += 200
        self.store.sweep()

    def _report(self):
        """What the engine does: what was decided is told, and counts from then on."""
        told = []
        for key in self.snapshot.objects:
            if key.kind == "Reservation" and (found := self.compiler.admission(key)):
                told.append(reported(key, found))
            if key.kind == "PathPolicy":
                pairs = [p for p in self.compiler.outcome(key) if p.routes]
                told.append(Status(key, 1, (), {"plan": dict(map(turned, pairs))}))
        self.store.report(told)

    def _colour(self):
        """What the engine does: new paths get a colour, those not wanted any more are released."""
        wanted = self.compiler.wanted_paths()
        held = {
            parse(value): colour_of(allocation)
            for (pool, value), allocation in self.snapshot.allocations.items()
            if pool == Pools.PATH
        }
        given = {text(route): colour for route, colour in assign(held, wanted).items()}
        again = {text(route): colour for route, colour in held.items() if route in wanted}
        self.store.colour(given | again, [text(route) for route in held if route not in wanted])

    def check(self):
        seen = Observed(ports=self.ports, links=self.links, standing=self.standing)
        fresh = compile_snapshot(self.snapshot, self.ofports, "ssl:192.0.2.99:6653", seen)
        if self.clock is not None:
            fresh.advance(self.clock)
        fresh.update({Fact(RESOLVED, name): found for name, found in self.resolved.items()})
        assert self.compiler.wanted_paths() == fresh.wanted_paths()
        for key in self.snapshot.objects:
            assert self.compiler.admission(key) == fresh.admission(key)
            assert self.compiler.outcome(key) == fresh.outcome(key)
            assert self.compiler.usage(key) == fresh.usage(key)
            assert self.compiler.task(key) == fresh.task(key)
        assert self.compiler.hosts() == fresh.hosts()
        for name in fresh.hosts():
            assert self.compiler.bridge(name) == fresh.bridge(name)
            assert self.compiler.digest(name) == digest(fresh.bridge(name))
            assert self.compiler.rows(name) == fresh.rows(name)
        for key in (k for k in self.snapshot.objects if k.kind == "Endpoint"):
            assert self.compiler.holders(key) == fresh.holders(key)
        for name in TENANTS:
            assert self.compiler.rules(name) == fresh.rules(name)
        assert self.compiler.clashes == fresh.clashes
        assert self.compiler.size == fresh.size, "dead entries are kept"


@settings(max_examples=100, deadline=None)
@given(st.lists(steps, max_size=25))
def test_incremental_equals_recompute(edits):
    play = Play()
    for step in START:
        play.step(step)
    play.check()
    for step in edits:
        play.step(step)
    play.check()


@settings(max_examples=25, deadline=None)
@given(st.lists(steps, max_size=12))
def test_it_does_after_every_single_edit(edits):
    play = Play()
    for step in [*START, *edits]:
        play.step(step)
        play.check()


@settings(max_examples=60, deadline=None, phases=UNSHRUNK)
@given(st.lists(policed_steps, max_size=12))
def test_it_does_under_policies(edits):
    play = Play()
    for step in [*START, *POLICED]:
        play.step(step)
    play.check()
    for step in edits:
        play.step(step)
        play.check()


def test_nothing_is_left_when_everything_is_deleted():
    play = Play()
    empty = play.compiler.size
    for step in [*START, *POLICED]:
        play.step(step)
    first = ("Policy", "Group", "Tier", "Reservation", "Endpoint", "Namespace", "Link", "Network")
    first += ("PathPolicy", "Tenant", "Host")
    for key in sorted(play.snapshot.objects, key=lambda k: (first.index(k.kind), k)):
        play.step(("edit", Edit("delete", key)))
    play.now += 1000
    play.store.sweep()
    for step in (("colour",), ("sweep",), ("ports", "h1", {}), ("ports", "h2", {})):
        play.step(step)
    play.step(("unbind", "red", "a"))
    play.check()
    assert play.compiler.hosts() == ()
    assert play.compiler.size == empty


def test_an_endpoint_more_runs_its_own_units_only():
    play = Play()
    for step in START:
        play.step(step)
    units = sum("Endpoint" in feature.generators for feature in FEATURES)
    play.step(endpoint("red", "d", "web", "h1"))
    runs = play.compiler.runs
    play.step(("bind", "red", "d", "h1", 2))
    assert play.compiler.runs - runs <= units + 3
    assert play.compiler.touched() == {Key("Endpoint", "red", "d")}
