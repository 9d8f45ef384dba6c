# SPDX-License-Identifier: Apache-2.0
"""Networks to prove, and to try changes on."""

from pathlib import Path

import yaml

from vneter_sdn.daemon.changing import Bench
from vneter_sdn.daemon.offline import compile_manifests
from vneter_sdn.daemon.verifying import Prover
from vneter_sdn.model.kinds import API_VERSION
from vneter_sdn.simulate.bridge import Surroundings
from vneter_sdn.simulate.fleet import PortOf, deliver, join

SCENARIO_DIRECTORY = Path(__file__).parents[2] / "flows" / "scenarios"


def documents(text):
    return [document for document in yaml.safe_load_all(text) if document]


def scenario(name):
    files = (SCENARIO_DIRECTORY / name / file for file in ("topology.yaml", "intent.yaml"))
    return [one for file in files for one in documents(file.read_text("utf-8"))]


def bench(manifests):
    result = compile_manifests(manifests)
    return Bench(result.snapshot, result.compiler, alone=True)


def prover(manifests):
    return Prover(bench(manifests))


def change(prover, manifests, checks=None):
    """What becomes of manifests that come to others."""
    edits, _ = prover.bench.edits(manifests)
    step = prover.bench.take(edits)
    return prover.take(step, checks) if checks else prover.take(step)


def manifest(kind, name, spec, tenant="", labels=None):
    metadata = {"name": name, "labels": labels or {}} | ({"tenant": tenant} if tenant else {})
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}


def assertion(name, source, target, **spec):
    return manifest("Assertion", name, {"source": source, "target": target, **spec})


def labelled(**labels):
    return {"endpoints": {"matchLabels": labels}}


def shop(*more, defaults=None, hosts=("h1", "h2")):
    """One tenant: two of app=web, two of app=db, one of app=ops, over some hosts."""
    found = [
        manifest("Host", name, {"ovsdb": f"unix:/run/{name}.sock", "tunnelAddresses": [address]})
        for name, address in ((h, f"192.0.2.{n}") for n, h in enumerate(hosts, 1))
    ]
    found += [
        manifest("Tenant", "shop", defaults or {}),
        manifest("Network", "pods", {"prefixes": ["10.0.1.0/24"]}, "shop"),
        manifest("Network", "back", {"prefixes": ["10.0.2.0/24"]}, "shop"),
    ]
    members = (("web1", "web"), ("web2", "web"), ("db1", "db"), ("db2", "db"), ("ops1", "ops"))
    for n, (name, app) in enumerate(members):
        network = "back" if app == "db" else "pods"
        spec = {"network": network, "host": hosts[n % len(hosts)]}
        found.append(manifest("Endpoint", name, spec, "shop", {"app": app}))
    return [*found, *more]


def policy(name, about, *, tier="application", priority=5.0, ingress=(), egress=(), isolates=()):
    spec = {"tier": tier, "appliesTo": [about], "ingress": list(ingress), "egress": list(egress)}
    if tier == "kubernetes":
        spec["isolates"] = list(isolates)
    else:
        spec["priority"] = priority
    return manifest("Policy", name, spec, "shop")


def rule(action, peers=None, port=None, protocol="tcp"):
    found = {"action": action}
    if peers is not None:
        found["peers"] = [peers]
    if port is not None:
        found["ports"] = [{"protocol": protocol, "port": port}]
    return found


def same(ours, theirs):
    """Whether two changes of reachability, gained and lost, are one."""
    return all(
        one.allowed.keys() == other.allowed.keys()
        and not one.less(other).allowed
        and not other.less(one).allowed
        for one, other in zip(ours, theirs, strict=True)
    )


def confirmed(prover, finding):
    """What the simulator says of a finding's packet: whom it reaches, and which bridges it came to.

    Buckets are those that the finding took.
    """
    example, bench = finding.example, prover.bench
    hosts = bench.compiler.hosts()
    rows = {host: bench.compiler.rows(host) for host in hosts}
    wiring = bench.wiring()
    fleet = join(bench.states(), rows, wiring.wires.items())
    chosen = {c.group: c.bucket for c in example.choices}
    around = Surroundings(choose=lambda group, some, _: chosen.get(group.group, some[0]))
    delivery = deliver(fleet, example.host, example.packet, around)
    whose = prover.watch.known.whose
    reached = {whose[PortOf(a.host, a.port)].key.name for a in delivery.reached}
    return reached, set(delivery.hops)
