# SPDX-License-Identifier: Apache-2.0
"""Any sequence of edits gives what a fresh compile gives, and says exactly what it changed."""

from __future__ import annotations

import contextlib

from hypothesis import given, settings
from hypothesis import strategies as st

from vneter_sdn.compile.bridges import digest
from vneter_sdn.compile.facts import everything
from vneter_sdn.compile.network import Compiler, compile_snapshot
from vneter_sdn.errors import IntentError, NotFound
from vneter_sdn.graph.topology import tunnel_port as tunnel_name
from vneter_sdn.model.kinds import API_VERSION
from vneter_sdn.model.snapshot import Binding, Key
from vneter_sdn.store.memory import MemoryStore
from vneter_sdn.store.port import Edit

HOSTS, TENANTS, NETWORKS = ("h1", "h2", "h3"), ("red", "blue"), ("web", "db")
ENDPOINTS = ("a", "b", "c")
PREFIXES = (["10.0.0.0/24"], ["10.0.1.0/24", "fd00:1::/64"], ["fd00::/64"])


def edit(kind, name, spec, tenant=None):
    key = Key(kind, tenant or "", name)
    metadata = {"name": name} | ({"tenant": tenant} if tenant else {})
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
    return edit("Endpoint", name, {"network": of} | ({"host": at} if at else {}), tenant)


def delete(kind, tenant, name):
    return ("edit", Edit("delete", Key(kind, tenant, name)))


one = st.sampled_from
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
    st.builds(delete, st.just("Endpoint"), one(TENANTS), one(ENDPOINTS)),
    st.builds(delete, st.just("Network"), one(TENANTS), one(NETWORKS)),
    st.builds(delete, st.just("Tenant"), st.just(""), one(TENANTS)),
    st.builds(delete, st.just("Host"), st.just(""), one(HOSTS)),
    st.builds(delete, st.just("Link"), st.just(""), one(("h1-h2", "h2-h1", "h1-h3"))),
)
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
]


class Play:
    """A store, and a compiler that follows it."""

    def __init__(self):
        self.now = 1000.0
        self.store = MemoryStore(lambda: self.now)
        self.compiler = Compiler("ssl:192.0.2.99:6653")
        self.snapshot = self.store.snapshot()
        self.compiler.take(self.snapshot, everything(self.snapshot))
        self.sequence = 0
        self.ofports = {}

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
            case ("ofports", at, ports):
                self.ofports[at] = {tunnel_name(peer): port for peer, port in ports.items()}
                return self.compiler.observe_tunnels(at, self.ofports[at])
        return {}

    def check(self):
        fresh = compile_snapshot(self.snapshot, self.ofports, "ssl:192.0.2.99:6653")
        assert self.compiler.hosts() == fresh.hosts()
        for name in fresh.hosts():
            assert self.compiler.bridge(name) == fresh.bridge(name)
            assert self.compiler.digest(name) == digest(fresh.bridge(name))
            assert self.compiler.rows(name) == fresh.rows(name)
        for key in (k for k in self.snapshot.objects if k.kind == "Endpoint"):
            assert self.compiler.holders(key) == fresh.holders(key)
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


def test_nothing_is_left_when_everything_is_deleted():
    play = Play()
    empty = play.compiler.size
    for step in START:
        play.step(step)
    first = ("Endpoint", "Network")
    for key in sorted(play.snapshot.objects, key=lambda k: (k.kind not in first, k)):
        play.step(("edit", Edit("delete", key)))
    play.now += 1000
    play.store.sweep()
    play.step(("unbind", "red", "a"))
    play.check()
    assert play.compiler.hosts() == ()
    assert play.compiler.size == empty


def test_an_endpoint_more_runs_its_own_units_only():
    play = Play()
    for step in START:
        play.step(step)
    units = 8
    play.step(endpoint("red", "d", "web", "h1"))
    runs = play.compiler.runs
    play.step(("bind", "red", "d", "h1", 2))
    assert play.compiler.runs - runs <= units + 3
    assert play.compiler.touched() == {Key("Endpoint", "red", "d")}
