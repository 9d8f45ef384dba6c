# SPDX-License-Identifier: Apache-2.0
"""``scripts/bench policy``: a cluster under policies, and what one change of them costs.

One tenant, as a Kubernetes cluster is: namespaces with a handful of applications each, and policies
of theirs beside some of the operator's. As in ``bench compile``, the compiler alone; and then
proofs of what changes do.
"""

from __future__ import annotations

import argparse
import resource
from collections.abc import Callable, Iterator
from dataclasses import replace
from statistics import mean, median
from typing import Any

from vneter_sdn.compile.facts import everything
from vneter_sdn.compile.network import Compiler
from vneter_sdn.daemon.bench_compile import Bound, row, timed
from vneter_sdn.daemon.bench_proof import proofs
from vneter_sdn.daemon.breath import uncollected
from vneter_sdn.model.flow import Conjunction
from vneter_sdn.model.kinds import API_VERSION
from vneter_sdn.model.snapshot import Key, Status
from vneter_sdn.pipeline.tables import BY_ID
from vneter_sdn.southbound.openflow.bench import Row
from vneter_sdn.store.port import Edit

TENANT = "cluster"
APPS = ("front", "api", "cart", "search", "mail", "cache", "store", "batch")
PLAN, WORST, FULL, MEMORY = 100.0, 250.0, 60.0, 4000.0
"""Targets: ms from one change to the flows that change, the median and the most; seconds of a full
compilation; MB."""
HELD, CHANGED = 200_000.0, 20_000.0
"""Flows that a bridge may hold, and that one change may change on all of them."""
ROUNDS = 20


def measure(arguments: list[str]) -> list[Row]:
    """Run the bench.

    Args:
        arguments: ``--endpoints N --hosts N --policies N --namespaces N`` for another size.
    """
    parser = argparse.ArgumentParser(prog="bench policy", description=__doc__)
    parser.add_argument("--endpoints", type=int, default=10_000)
    parser.add_argument("--hosts", type=int, default=100)
    parser.add_argument("--policies", type=int, default=1_000)
    parser.add_argument("--namespaces", type=int, default=200)
    given = parser.parse_args(arguments)
    cluster = Cluster(given.endpoints, given.hosts, given.policies, given.namespaces)
    return [*cluster.measured(), *cluster.proven()]


def manifest(kind: str, name: str, spec: dict[str, Any], labels: dict[str, str]) -> Edit:
    """An edit that applies one object of the cluster."""
    tenant = "" if kind in ("Host", "Tenant", "ClusterPolicy") else TENANT
    metadata: dict[str, Any] = {"name": name, "labels": labels}
    metadata |= {"tenant": tenant} if tenant else {}
    value = {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}
    return Edit("apply", Key(kind, tenant, name), value)


def namespace(number: int, team: int | None = None) -> Edit:
    """A namespace of one of twenty teams; every tenth is of production."""
    labels = {"team": f"t{number % 20 if team is None else team}"}
    labels["env"] = "prod" if number % 10 == 0 else "test"
    return manifest("Namespace", f"n{number}", {}, labels)


def endpoint(number: int, namespaces: int, host: str, later: int = 0, app: str = "") -> Edit:
    """A workload of one of the applications of a namespace, or of a later one."""
    where, which = number % namespaces, (number // namespaces + later) % len(APPS)
    labels = {"app": app or APPS[which], "tier": "web" if which < 2 else "back"}
    ports = [{"name": "http", "port": 8080 if which % 2 else 80}]
    spec = {"network": "pods", "host": host, "namespace": f"n{where}", "ports": ports}
    return manifest("Endpoint", f"n{where}.e{number}", spec, labels)


def own(where: int, app: str = "") -> dict[str, Any]:
    """Whoever is in a namespace; those of an application there."""
    name = {"kubernetes.io/metadata.name": f"n{where}"}
    found: dict[str, Any] = {"namespaces": {"matchLabels": name}}
    return found | ({"endpoints": {"matchLabels": {"app": app}}} if app else {})


def policy(number: int, namespaces: int, port: int = 8443) -> Edit:
    """One of a namespace's, as people write them for Kubernetes; one in fifty is the operator's."""
    if number % 50 == 49:
        return _of_operator(number)
    where, turn = number % namespaces, number // namespaces
    one, other = APPS[turn % len(APPS)], APPS[(turn + 1) % len(APPS)]
    spec: dict[str, Any] = {"tier": "kubernetes", "isolates": ["ingress"]}
    match turn % 5:
        case 0:  # nobody, but from the same namespace
            spec |= {"appliesTo": [own(where)], "ingress": [{"peers": [own(where)]}]}
        case 1:  # an application to another, on its ports
            ports = [{"port": "http"}, {"port": port, "endPort": port + 10}]
            spec |= {"appliesTo": [own(where, one)]}
            spec["ingress"] = [{"peers": [own(where, other)], "ports": ports}]
        case 2:  # everybody of a team, and of production
            teams = {"namespaces": {"matchLabels": {"team": f"t{where % 20}"}}}
            live = {"namespaces": {"matchLabels": {"env": "prod"}}}
            spec |= {"appliesTo": [own(where, one)]}
            spec["ingress"] = [
                {"peers": [teams], "ports": [{"port": 80}, {"port": port}]},
                {"peers": [live], "ports": [{"port": 9090}]},
            ]
        case 3:  # out to names, to the namespace, to the world without the inside
            spec |= {"appliesTo": [own(where, one)], "isolates": ["egress"]}
            outside = {"cidr": "0.0.0.0/0", "excluded": ["10.0.0.0/8", "172.16.0.0/12"]}
            spec["egress"] = [
                {"ports": [{"protocol": "udp", "port": 53}, {"port": 53}]},
                {"peers": [own(where)]},
                {"peers": [outside], "ports": [{"port": 443}, {"port": port}]},
            ]
        case _:  # from a load balancer's addresses
            spec |= {"appliesTo": [own(where, one)]}
            balancers = [{"cidr": "192.0.2.0/24"}, {"cidr": "198.51.100.0/24"}]
            spec["ingress"] = [{"peers": balancers, "ports": [{"port": "http"}]}]
    return manifest("Policy", f"n{where}.p{number}", spec, {})


def _of_operator(number: int) -> Edit:
    """Monitoring gets in everywhere; one team is kept from production."""
    monitoring = {"endpoints": {"matchLabels": {"app": "batch"}}, "namespaces": {}}
    team = {"namespaces": {"matchLabels": {"team": f"t{number // 50 % 20}"}}}
    spec = {
        "tier": "admin",
        "priority": number % 1000,
        "tenants": [TENANT],
        "appliesTo": [{"namespaces": {"matchLabels": {"env": "prod"}}}],
        "ingress": [
            {"action": "allow", "peers": [monitoring], "ports": [{"port": 9100 + number % 50}]},
            {"action": "drop", "peers": [team], "ports": [{"port": 22}]},
        ],
    }
    return manifest("ClusterPolicy", f"operator{number}", spec, {})


def _in_between(number: int) -> Edit:
    """One more of the operator's, about a namespace, that is asked between two others."""
    rule = {"action": "drop", "peers": [own(number + 1)], "ports": [{"port": 22}]}
    spec = {"tier": "admin", "priority": 50 * number + 60.5, "tenants": [TENANT]}
    spec |= {"appliesTo": [own(number)], "ingress": [rule]}
    return manifest("ClusterPolicy", f"between{number}", spec, {})


class Cluster:
    """The cluster, compiled, and changed."""

    def __init__(self, endpoints: int, hosts: int, policies: int, namespaces: int) -> None:
        self.sizes = endpoints, hosts, policies, namespaces
        self.bound = Bound()
        self.compiler = Compiler()

    def intent(self) -> Iterator[Edit]:
        """All of it."""
        endpoints, hosts, policies, namespaces = self.sizes
        for number in range(hosts):
            spec = {
                "ovsdb": f"unix:/run/h{number}/db.sock",
                "tunnelAddresses": [f"192.0.{2 + number // 250}.{number % 250 + 1}"],
            }
            yield manifest("Host", f"h{number}", spec, {})
        yield manifest("Tenant", TENANT, {}, {})
        yield manifest("Network", "pods", {"prefixes": ["10.0.0.0/16"]}, {})
        yield from map(namespace, range(namespaces))
        for number in range(endpoints):
            yield endpoint(number, namespaces, self.host(number))
        for number in range(policies):
            yield policy(number, namespaces)

    def host(self, number: int) -> str:
        """Where a workload is: scattered, the same in every run."""
        return f"h{(number * 2_654_435_761 >> 13) % self.sizes[1]}"

    def measured(self) -> Iterator[Row]:
        """Compile it, then change it."""
        endpoints, hosts, policies, namespaces = self.sizes
        name = f"policy/{policies}/{endpoints}/{hosts}"
        self.bound.apply(list(self.intent()))
        self.known = self.bound.store.snapshot()
        with uncollected():
            full = timed(lambda: self.compiler.take(self.known, everything(self.known)))
        yield row(f"{name}/full", "s", full, FULL, fewer=True)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        yield row(f"{name}/peak-memory", "MB", memory, MEMORY, fewer=True)
        yield from self._sizes(name)
        self._report()
        changes: dict[str, Callable[[int], Edit]] = {
            "policy": lambda n: policy(namespaces * (1 + n % 2), namespaces, 9000 + 16 * n),
            "rules-of-operator": self._operators,
            "rule-in-between": _in_between,
            "pod-label": lambda n: endpoint(n, namespaces, self.host(n), later=1),
            "pod-new-label": lambda n: endpoint(n, namespaces, self.host(n), app=f"odd{n}"),
            "namespace-label": lambda n: namespace(n + 1, (n + 3) % 20),
        }
        for what, change in changes.items():
            times, flows = zip(*(self._change(change(n)) for n in range(ROUNDS)), strict=True)
            yield row(f"{name}/{what}", "ms", 1000 * median(times), PLAN, fewer=True)
            yield row(f"{name}/{what}-worst", "ms", 1000 * max(times), WORST, fewer=True)
            yield row(f"{name}/{what}-flows", "flows", median(flows), CHANGED, fewer=True)

    def proven(self) -> Iterator[Row]:
        """Change it, and prove what changed."""
        endpoints, hosts, policies, namespaces = self.sizes
        name = f"policy/{policies}/{endpoints}/{hosts}"
        changes: dict[str, Callable[[int], Edit]] = {
            "policy": lambda n: policy(2 * namespaces + n, namespaces, 20_000 + 16 * n),
            "pod-label": lambda n: endpoint(40 + n, namespaces, self.host(40 + n), later=1 + n % 5),
        }
        yield from proofs(name, self.bound.store, self.known, self.compiler, changes)

    def _report(self) -> None:
        """Report where rules stand, as a controller does; nothing follows from it."""
        keys = [key for key in self.known.objects if key.kind == "ClusterPolicy"]
        told = ((key, self.compiler.positions(key, [TENANT])) for key in keys)
        self.bound.store.report([Status(key, details={"positions": at}) for key, at in told])
        if keys:
            self._taken()

    def _operators(self, number: int) -> Edit:
        """A policy of the operator's, with another port."""
        made = _of_operator(49)
        spec = dict((made.manifest or {})["spec"])
        rules = [dict(one) for one in spec["ingress"]]
        rules[1]["ports"] = [{"port": 2000 + number}]
        return replace(made, manifest={**(made.manifest or {}), "spec": {**spec, "ingress": rules}})

    def _change(self, edit: Edit) -> tuple[float, int]:
        """Seconds from a change in the store to bridges as they should be; flows that changed."""
        self.bound.store.apply([edit], author="bench")
        return self._taken()

    def _taken(self) -> tuple[float, int]:
        news = self.bound.store.wait(self.known, 0)
        assert news is not None
        self.known, delta = news
        found: list[int] = []

        def take() -> None:
            changed = self.compiler.take(self.known, delta)
            for host in changed:
                self.compiler.bridge(host)
            found.append(sum(map(len, changed.values())))

        return timed(take), found[0]

    def _sizes(self, name: str) -> Iterator[Row]:
        """Flows of bridges: all, those of rules, and what those would be as products."""
        hosts = self.compiler.hosts()
        states = [self.compiler.bridge(host) for host in hosts]
        every = [len(state.flows) for state in states]
        rules = [0] * len(states)
        products = [0] * len(states)
        for place, state in enumerate(states):
            sets: dict[int, dict[int, int]] = {}
            for flow in state.flows.values():
                table = BY_ID[flow.table].name
                if table.partition("_")[2] not in ("tiers", "isolation", "baseline"):
                    continue
                rules[place] += 1
                products[place] += 1
                for action in flow.actions:
                    if isinstance(action, Conjunction):
                        products[place] -= action.clause == 1
                        clauses = sets.setdefault(action.id, {})
                        clauses[action.clause] = clauses.get(action.clause, 0) + 1
            for clauses in sets.values():
                product = 1
                for size in clauses.values():
                    product *= size
                products[place] += product
        yield row(f"{name}/flows-per-bridge", "flows", mean(every), HELD, fewer=True)
        # The peer is what the same rules would be with a flow for each combination.
        yield Row(
            measure=f"{name}/of-rules-per-bridge",
            unit="flows",
            ours=round(mean(rules)),
            peer=round(mean(products)),
            ratio=round(mean(products) / (mean(rules) or 1), 1),
            target=1.0,
            met=mean(products) >= mean(rules),
        )
