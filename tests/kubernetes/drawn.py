# SPDX-License-Identifier: Apache-2.0
"""Directories of manifests by lot: three namespaces of three pods, and policies of all APIs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import ip_network
from random import Random
from typing import Any

Manifest = dict[str, Any]

OUTSIDE = ("198.51.100.7", "192.0.2.1", "203.0.113.9")
CONNECTIONS = ("tcp/80", "tcp/81", "udp/53", "sctp/80")
_API, _ANTREA = "policy.networking.k8s.io", "crd.antrea.io/v1beta1"
_NAMES = ("web", "dns", "adm")
_PROTOCOLS = ("TCP", "UDP", "SCTP")
_CIDRS = [
    "0.0.0.0/0",
    "10.0.0.0/8",
    "10.244.0.0/16",
    "10.244.0.0/23",
    "10.244.1.0/24",
    "10.244.1.77/24",
    "10.244.0.10/32",
    "10.244.2.8/29",
    "192.0.2.0/24",
    "198.51.100.0/24",
    "198.51.100.7/32",
]
_HOLES = ["10.244.1.0/24", "10.244.0.10/32", "10.244.1.8/29", "198.51.100.7/32", "192.0.2.1/32"]


def made(version: str, kind: str, name: str, namespace: str | None, **parts: Any) -> Manifest:
    """A manifest."""
    metadata: Manifest = {"name": name, **parts.pop("metadata", {})}
    if namespace is not None:
        metadata["namespace"] = namespace
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **parts}


class Draw:
    """Draws everything from one seed."""

    def __init__(self, seed: int) -> None:
        self.lot = Random(seed)
        self.groups: dict[str | None, list[str]] = {}

    def some(self, one: Callable[[], Any], *numbers: int) -> list[Any]:
        """As many as one of some numbers."""
        return [one() for _ in range(self.lot.choice(numbers))]

    def maybe(self, chance: float, **fields: Any) -> Manifest:
        """Fields, or none."""
        return fields if self.lot.random() < chance else {}

    def cluster(self) -> list[Manifest]:
        """Namespaces, some of them not declared; nodes and pods."""
        found = [self._node(name, number) for number, name in enumerate(("n1", "n2"), 1)]
        for number, name in enumerate("xyz"):
            labels = self.maybe(0.9, ns=name) | self.maybe(0.5, env=self.lot.choice(["prod", "x"]))
            if self.lot.random() < 0.85:
                found.append(made("v1", "Namespace", name, None, metadata={"labels": labels}))
            found += [
                self._pod(name, pod, f"10.244.{number}.{n}") for n, pod in enumerate("abc", 10)
            ]
        return found

    def _node(self, name: str, number: int) -> Manifest:
        address = {"type": "InternalIP", "address": f"192.0.2.{number}"}
        labels = {"ns": self.lot.choice("xy")}
        status = {"addresses": [address]}
        return made("v1", "Node", name, None, metadata={"labels": labels}, status=status)

    def _pod(self, namespace: str, name: str, address: str) -> Manifest:
        ports = [
            {"name": port, "protocol": protocol, "containerPort": self.lot.choice([80, 81, 53])}
            for port in _NAMES
            for protocol in self.lot.sample(_PROTOCOLS, self.lot.choice([0, 1, 1, 2]))
        ]
        labels = self.maybe(0.8, pod=name) | self.maybe(0.6, app=self.lot.choice("abc"))
        spec = {
            "serviceAccountName": self.lot.choice(["one", "two"]),
            "nodeName": self.lot.choice(["n1", "n2"]),
            "containers": [{"name": "c", "ports": ports}],
        }
        parts = {"spec": spec, "status": {"podIP": address}, "metadata": {"labels": labels}}
        return made("v1", "Pod", name, namespace, **parts)

    def pods(self) -> Manifest:
        """A selector of pods."""
        return self._selector(("pod", "app"), "abc")

    def spaces(self) -> Manifest:
        """A selector of namespaces."""
        return self._selector(("ns", "env", "kubernetes.io/metadata.name"), ("x", "y", "z", "prod"))

    def _selector(self, keys: Sequence[str], values: Sequence[str]) -> Manifest:
        empty = ({}, {"matchLabels": {}}, {"matchLabels": None, "matchExpressions": []})
        if self.lot.random() < 0.25:
            return dict(self.lot.choice(empty))
        wanted = {self.lot.choice(keys): self.lot.choice(values)}
        found = self.maybe(0.6, matchLabels=wanted)
        if not found or self.lot.random() < 0.4:
            found["matchExpressions"] = self.some(lambda: self._expression(keys, values), 1, 1, 2)
        return found

    def _expression(self, keys: Sequence[str], values: Sequence[str]) -> Manifest:
        word = self.lot.choice(["In", "NotIn", "Exists", "DoesNotExist"])
        found: Manifest = {"key": self.lot.choice(keys), "operator": word}
        if word in {"In", "NotIn"}:
            found["values"] = self.lot.sample(list(values), self.lot.choice([1, 2]))
        return found

    def block(self) -> Manifest:
        """An ipBlock."""
        cidr = self.lot.choice(_CIDRS)
        whole = ip_network(cidr, strict=False)
        holes = [one for one in _HOLES if ip_network(one) != whole]
        fit = [one for one in holes if ip_network(one).subnet_of(whole)]  # type: ignore[arg-type]
        return {"cidr": cidr} | self.maybe(0.5, **{"except": fit[: self.lot.choice([0, 1, 2])]})

    def _plain_port(self) -> Manifest:
        number = self.lot.choice([79, 80, 81, 53])
        last = {"endPort": number + self.lot.choice([0, 1, 30])}
        port = {"port": number} | (last if self.lot.random() < 0.3 else {})
        chosen = self.lot.choice([{}, {"port": self.lot.choice(_NAMES)}, port, port])
        return chosen | self.maybe(0.7, protocol=self.lot.choice(_PROTOCOLS))

    def _plain_peer(self) -> Manifest:
        chosen = self.lot.choice(["block", "pods", "spaces", "both"])
        if chosen == "block":
            return {"ipBlock": self.block()}
        found = {} if chosen == "spaces" else {"podSelector": self.pods()}
        return found if chosen == "pods" else found | {"namespaceSelector": self.spaces()}

    def network_policy(self, number: int) -> Manifest:
        """A NetworkPolicy of Kubernetes."""

        def rule(side: str) -> Manifest:
            peers = {side: self.some(self._plain_peer, 0, 1, 1, 2)}
            ports = self.maybe(0.5, ports=self.some(self._plain_port, 0, 1, 2))
            return (peers if self.lot.random() < 0.9 else {}) | ports

        types = [["Ingress"], ["Egress"], ["Egress", "Ingress"], [], None]
        spec = {"podSelector": self.pods()}
        spec |= self.maybe(0.6, ingress=self.some(lambda: rule("from"), 0, 1, 2))
        spec |= self.maybe(0.5, egress=self.some(lambda: rule("to"), 0, 1, 2))
        spec |= self.maybe(0.5, policyTypes=self.lot.choice(types))
        where = self.lot.choice("xyz")
        return made("networking.k8s.io/v1", "NetworkPolicy", f"p{number}", where, spec=spec)

    def _chosen(self) -> Manifest:
        pods = {"namespaceSelector": self.spaces(), "podSelector": self.pods()}
        return self.lot.choice([{"namespaces": self.spaces()}, {"pods": pods}])

    def _admin_peer(self, egress: bool, named: bool, early: bool) -> Manifest:
        labels = self.lot.sample(["env", "ns"], self.lot.choice([0, 1, 2]))
        then = (
            {"namespaceSelector": self.spaces()},
            {"sameLabels": labels},
            {"notSameLabels": labels},
        )
        if early and self.lot.random() < 0.3:
            return {"namespaces": self.lot.choice(then)}
        if egress and not named and self.lot.random() < 0.35:
            cidrs = sorted({self.lot.choice(_CIDRS), self.lot.choice(_CIDRS)})
            return self.lot.choice([{"nodes": self.spaces()}, {"networks": cidrs}])
        return self._chosen()

    def _admin_port(self) -> Manifest:
        first, protocol = self.lot.choice([79, 80, 53]), self.lot.choice(_PROTOCOLS)
        several = {"protocol": protocol, "start": first, "end": first + self.lot.choice([1, 28])}
        one = {"protocol": protocol, "port": self.lot.choice([80, 81, 53])}
        return self.lot.choice([{"portNumber": one}, {"portRange": several}])

    def _protocol(self) -> Manifest:
        first = self.lot.choice([79, 80, 53])
        several = {"range": {"start": first, "end": first + self.lot.choice([1, 28])}}
        port = self.lot.choice([{"number": self.lot.choice([80, 81, 53])}, several])
        return {self.lot.choice(["tcp", "udp", "sctp"]): {"destinationPort": port}}

    def admin(self, kind: str, number: int, priority: int) -> Manifest:
        """A policy of the Network Policy API."""
        cluster, baseline = kind == "ClusterNetworkPolicy", kind.startswith("Baseline")
        actions = ["Accept" if cluster else "Allow", "Deny", *([] if baseline else ["Pass"])]

        def rule(side: str) -> Manifest:
            named, egress = self.lot.random() < 0.15, side == "to"
            word, port = ("protocols", self._protocol) if cluster else ("ports", self._admin_port)
            name = {"destinationNamedPort" if cluster else "namedPort": self.lot.choice(_NAMES)}
            ports = {word: [name]} if named else self.maybe(0.5, **{word: self.some(port, 1, 1, 2)})
            peers = self.some(lambda: self._admin_peer(egress, named, not cluster), 1, 1, 2)
            return {"action": self.lot.choice(actions), side: peers, **ports}

        spec: Manifest = {"subject": self._chosen()}
        spec |= {} if baseline else {"priority": priority}
        spec |= {"tier": self.lot.choice(["Admin", "Baseline"])} if cluster else {}
        spec |= self.maybe(0.8, ingress=self.some(lambda: rule("from"), 0, 1, 2, 3))
        spec |= self.maybe(0.6, egress=self.some(lambda: rule("to"), 0, 1, 2, 3))
        name = "default" if baseline else f"p{number}"
        return made(f"{_API}/v1alpha{1 + cluster}", kind, name, None, spec=spec)

    def group(self, number: int, namespace: str | None) -> Manifest:
        """A Group or ClusterGroup, which later ones may contain; of namespaces only the latter."""
        below = self.groups.setdefault(namespace, [])
        spec: Manifest = self.lot.choice(
            [{"ipBlocks": self.some(self.block, 1, 2)}, {"podSelector": self.pods()}]
        )
        if below and self.lot.random() < 0.4:
            spec = {"childGroups": self.lot.sample(below, 1)}
        elif namespace is None and self.lot.random() < 0.3:
            spec = {"namespaceSelector": self.spaces()}
        below.append(f"g{number}")
        kind = "ClusterGroup" if namespace is None else "Group"
        return made(_ANTREA, kind, f"g{number}", namespace, spec=spec)

    def antrea(self, number: int, priority: int, tiers: Sequence[str]) -> Manifest:
        """A policy of Antrea's."""
        where = self.lot.choice(["x", "y", "z", None, None, None])
        tier = self.lot.choice([None, "emergency", "platform", "application", "baseline", *tiers])
        actions = ["Allow", "Drop", "Reject", *([] if tier == "baseline" else ["Pass"])]
        each = self.lot.random() < 0.3

        def rule(side: str) -> Manifest:
            found = {"action": self.lot.choice(actions)}
            found |= self.maybe(
                0.85, **{side: self.some(lambda: self._antrea_peer(where), 1, 1, 2)}
            )
            found |= self.maybe(0.5, ports=self.some(self._plain_port, 1, 2))
            return found | ({"appliedTo": [self._applied(where)]} if each else {})

        spec: Manifest = {"priority": priority, **({"tier": tier} if tier else {})}
        spec["ingress"] = self.some(lambda: rule("from"), 1, 2, 3)
        spec |= self.maybe(0.6, egress=self.some(lambda: rule("to"), 1, 2, 3))
        spec |= {} if each else {"appliedTo": self.some(lambda: self._applied(where), 1, 1, 2)}
        kind = "NetworkPolicy" if where else "ClusterNetworkPolicy"
        return made(_ANTREA, kind, f"p{number}", where, spec=spec)

    def _applied(self, where: str | None) -> Manifest:
        account = {
            "name": self.lot.choice(["one", "two"]),
            "namespace": where or self.lot.choice("xyz"),
        }
        found: list[Manifest] = [{"serviceAccount": account}, {"podSelector": self.pods()}]
        found += [{"group": name} for name in self.groups.get(where, ())]
        if where is None:
            found += [{"namespaceSelector": self.spaces(), "podSelector": self.pods()}]
        return self.lot.choice(found)

    def _antrea_peer(self, where: str | None) -> Manifest:
        found = [self._plain_peer(), self._plain_peer(), self._applied(where)]
        if where is None:
            alike = self.lot.choice([{"match": "Self"}, {"sameLabels": ["env"]}])
            found.append({"namespaces": alike} | self.maybe(0.5, podSelector=self.pods()))
        return self.lot.choice(found)


def directory(seed: int) -> list[Manifest]:
    """The manifests of one seed: always the same."""
    draw = Draw(seed)
    lot = draw.lot
    found = draw.cluster()
    first, second = ("NetworkPolicy", "api", "antrea")[seed % 3], lot.choice(["", "api", "antrea"])
    order = lot.sample(range(60), 20)
    found += [
        draw.network_policy(n)
        for n in range(lot.choice([1, 2, 4] if first[0] == "N" else [0, 1, 2]))
    ]
    if "api" in {first, second}:
        kinds = ["AdminNetworkPolicy", "ClusterNetworkPolicy", "BaselineAdminNetworkPolicy"]
        some = [kind for kind in kinds[:2] for _ in range(lot.choice([0, 1, 2]))] + kinds[2:]
        found += [draw.admin(kind, n, order.pop()) for n, kind in enumerate(some)]
    if "antrea" in {first, second}:
        found.append(
            made(_ANTREA, "Tier", "own", None, spec={"priority": lot.choice([10, 120, 240])})
        )
        found += [draw.group(n, lot.choice([None, "x"])) for n in range(lot.choice([0, 2, 4]))]
        found += [draw.antrea(n, 1 + order.pop(), ["own"]) for n in range(lot.choice([1, 2, 4]))]
    lot.shuffle(found)
    return found
