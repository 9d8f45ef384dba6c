# SPDX-License-Identifier: Apache-2.0
"""Who reaches whom by manifests of Kubernetes, read as they are written and by nothing of ours.

A second opinion: it shares no line with the translation, the normal form or the evaluator, and is
written from the texts of the three APIs alone. One address per pod, no DNS names, no ICMP.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

Address = IPv4Address | IPv6Address
Manifest = Mapping[str, Any]
Traffic = tuple["Pod | Address", "Pod | Address", str, int]
"""From, to, ``TCP`` and the like, port."""

ANTREA = {
    "emergency": 50,
    "securityops": 100,
    "networkops": 150,
    "platform": 200,
    "application": 250,
    "baseline": 253,
}
_ADMIN, _ISOLATION, _BASELINE, _LAST = 251, 252, 254, 1001
_DENY = {"Deny", "Drop", "Reject"}
_ALLOW = {"Allow", "Accept"}


class Pod:
    """A pod, as much as matters."""

    def __init__(self, manifest: Manifest) -> None:
        meta, spec = manifest["metadata"], manifest["spec"]
        self.namespace: str = meta["namespace"]
        self.name: str = f"{self.namespace}/{meta['name']}"
        self.labels: Mapping[str, str] = meta.get("labels") or {}
        self.address = ip_address(manifest["status"]["podIP"])
        self.account: str = spec.get("serviceAccountName") or "default"
        self.node: str = spec.get("nodeName") or ""
        self.ports: dict[tuple[str, str], int] = {}
        for container in spec["containers"]:
            for port in container.get("ports") or ():
                key = (port["name"], port.get("protocol") or "TCP")
                self.ports.setdefault(key, port["containerPort"])


def selects(selector: Manifest, labels: Mapping[str, str]) -> bool:
    """metav1.LabelSelector."""
    wanted = selector.get("matchLabels") or {}
    if any(labels.get(key) != value for key, value in wanted.items()):
        return False
    for one in selector.get("matchExpressions") or ():
        there, values = one["key"] in labels, one.get("values") or ()
        holds = {
            "In": there and labels.get(one["key"]) in values,
            "NotIn": not there or labels.get(one["key"]) not in values,
            "Exists": there,
            "DoesNotExist": not there,
        }
        if not holds[one["operator"]]:
            return False
    return True


def within(end: Pod | Address, cidr: str, excluded: Sequence[str] = ()) -> bool:
    """ipBlock and networks, which are about pods too."""
    address = end.address if isinstance(end, Pod) else end
    whole = ip_network(cidr, strict=False)
    return (
        address.version == whole.version
        and address in whole
        and not any(address in ip_network(text, strict=False) for text in excluded)
    )


def _numbered(port: Manifest, protocol: str, number: int, first: str, last: str) -> bool:
    """Of v1alpha1: a number, or a range."""
    ends = port.get(last) or port[first]
    return (port.get("protocol") or "TCP") == protocol and port[first] <= number <= ends


def _named(name: str, traffic: Traffic) -> bool:
    _, target, protocol, number = traffic
    return isinstance(target, Pod) and target.ports.get((name, protocol)) == number


def plain_port(port: Manifest, traffic: Traffic) -> bool:
    """NetworkPolicyPort of Kubernetes and Antrea."""
    _, _, protocol, number = traffic
    if (port.get("protocol") or "TCP") != protocol:
        return False
    wanted = port.get("port")
    if isinstance(wanted, str):
        return _named(wanted, traffic)
    return wanted is None or wanted <= number <= (port.get("endPort") or wanted)


def admin_port(port: Manifest, traffic: Traffic) -> bool:
    """AdminNetworkPolicyPort."""
    _, _, protocol, number = traffic
    if "portNumber" in port:
        return _numbered(port["portNumber"], protocol, number, "port", "port")
    if "portRange" in port:
        return _numbered(port["portRange"], protocol, number, "start", "end")
    return _named(port["namedPort"], traffic)


def cluster_protocol(given: Manifest, traffic: Traffic) -> bool:
    """ClusterNetworkPolicyProtocol."""
    _, _, protocol, number = traffic
    if "destinationNamedPort" in given:
        return _named(given["destinationNamedPort"], traffic)
    if protocol.lower() not in given:
        return False
    port = given[protocol.lower()]["destinationPort"]
    several = port.get("range") or {"start": port.get("number"), "end": port.get("number")}
    return bool(several["start"] <= number <= several["end"])


class Cluster:
    """Everything that some manifests say."""

    def __init__(self, manifests: Sequence[Manifest]) -> None:
        self._by_kind: dict[str, list[Manifest]] = {}
        for one in manifests:
            group = one["apiVersion"].rpartition("/")[0]
            self._by_kind.setdefault(f"{group}/{one['kind']}", []).append(one)
        self.pods = [Pod(one) for one in self._of("/Pod")]
        self.labels = {pod.namespace: {} for pod in self.pods}
        self.labels |= {
            one["metadata"]["name"]: one["metadata"].get("labels") or {}
            for one in self._of("/Namespace")
        }
        for name, labels in self.labels.items():
            self.labels[name] = {**labels, "kubernetes.io/metadata.name": name}
        tiers = {one["metadata"]["name"]: one["spec"]["priority"] for one in self._antrea("Tier")}
        self.tiers = ANTREA | tiers
        self.groups = {
            (one["metadata"].get("namespace"), one["metadata"]["name"]): one["spec"]
            for kind in ("Group", "ClusterGroup")
            for one in self._antrea(kind)
        }

    def _of(self, kind: str) -> list[Manifest]:
        return self._by_kind.get(kind, [])

    def _antrea(self, kind: str) -> list[Manifest]:
        return self._of(f"crd.antrea.io/{kind}")

    def allows(
        self, source: Pod | Address, target: Pod | Address, protocol: str, port: int
    ) -> bool:
        """Whether a connection is let out of its source and into its target."""
        if source is target:
            return True
        traffic = (source, target, protocol, port)
        return self._way("egress", traffic) and self._way("ingress", traffic)

    def _way(self, way: str, traffic: Traffic) -> bool:
        source, target = traffic[:2]
        subject, peer = (source, target) if way == "egress" else (target, source)
        if not isinstance(subject, Pod):
            return True
        if way == "ingress" and peer in self._node(subject):
            return True
        rules = sorted(self._ordered(way), key=lambda one: one[0])
        said = self._first([r for r in rules if r[0][0] < _ISOLATION], subject, peer, traffic)
        if said in _DENY | _ALLOW:
            return said in _ALLOW
        isolating = [
            one for one in self._of("networking.k8s.io/NetworkPolicy") if _about(one, subject, way)
        ]
        if isolating:
            own = way == "egress" and peer in self._node(subject)
            return own or any(self._lets(one, way, peer, traffic) for one in isolating)
        said = self._first([r for r in rules if r[0][0] > _ISOLATION], subject, peer, traffic)
        return said not in _DENY

    def _node(self, pod: Pod) -> list[Address]:
        return [
            ip_address(address["address"])
            for node in self._of("/Node")
            if node["metadata"]["name"] == pod.node
            for address in node["status"]["addresses"]
        ]

    def _first(
        self, rules: Sequence[_Ordered], subject: Pod, peer: Pod | Address, traffic: Traffic
    ) -> str:
        for _, policy, rule in rules:
            if policy["apiVersion"].startswith("crd.antrea.io"):
                if self._antrea_rule(policy, rule, subject, peer, traffic):
                    return str(rule["action"])
            elif self._admin_rule(policy, rule, subject, peer, traffic):
                return str(rule["action"])
        return ""

    def _ordered(self, way: str) -> Iterator[_Ordered]:
        """Every rule that has a place, with its place."""
        api = "policy.networking.k8s.io"
        for one in self._of(f"{api}/AdminNetworkPolicy"):
            yield from _placed(one, way, _ADMIN, one["spec"]["priority"])
        for one in self._of(f"{api}/BaselineAdminNetworkPolicy"):
            yield from _placed(one, way, _BASELINE, _LAST)
        for one in self._of(f"{api}/ClusterNetworkPolicy"):
            tier = 220 if one["spec"]["tier"] == "Admin" else _BASELINE
            yield from _placed(one, way, tier, one["spec"]["priority"])
        for kind in ("ClusterNetworkPolicy", "NetworkPolicy"):
            for one in self._antrea(kind):
                tier = self.tiers[one["spec"].get("tier") or "application"]
                yield from _placed(one, way, tier, one["spec"]["priority"])

    def _pods(
        self,
        end: Pod | Address,
        spaces: Manifest | None,
        pods: Manifest | None,
        own: str | None = None,
    ) -> bool:
        if not isinstance(end, Pod):
            return False
        if spaces is not None and not selects(spaces, self.labels[end.namespace]):
            return False
        if spaces is None and own is not None and end.namespace != own:
            return False
        return pods is None or selects(pods, end.labels)

    def _lets(self, policy: Manifest, way: str, peer: Pod | Address, traffic: Traffic) -> bool:
        """Whether some rule of a NetworkPolicy allows it."""
        own = policy["metadata"]["namespace"]
        for rule in policy["spec"].get(way) or ():
            ports, peers = rule.get("ports"), rule.get("from" if way == "ingress" else "to")
            if ports and not any(plain_port(port, traffic) for port in ports):
                continue
            if not peers or any(self._plain_peer(one, peer, own) for one in peers):
                return True
        return False

    def _plain_peer(self, given: Manifest, peer: Pod | Address, own: str | None) -> bool:
        block = given.get("ipBlock")
        if block:
            return within(peer, block["cidr"], block.get("except") or ())
        spaces, pods = given.get("namespaceSelector"), given.get("podSelector")
        return (spaces, pods) != (None, None) and self._pods(peer, spaces, pods, own)

    def _chosen(self, given: Manifest, end: Pod | Address) -> bool:
        """A subject, or a peer that is pods."""
        pods = given.get("pods")
        if pods is None:
            spaces = given.get("namespaces")
            return spaces is not None and self._pods(end, spaces, None)
        return self._pods(end, pods["namespaceSelector"], pods["podSelector"])

    def _admin_rule(
        self, policy: Manifest, rule: Manifest, subject: Pod, peer: Pod | Address, traffic: Traffic
    ) -> bool:
        peers = rule.get("from") or rule.get("to") or ()
        if not self._chosen(policy["spec"]["subject"], subject):
            return False
        if not any(self._admin_peer(one, peer, subject) for one in peers):
            return False
        if "protocols" in rule:
            return any(cluster_protocol(one, traffic) for one in rule["protocols"])
        return "ports" not in rule or any(admin_port(one, traffic) for one in rule["ports"])

    def _admin_peer(self, given: Manifest, peer: Pod | Address, subject: Pod) -> bool:
        if "networks" in given:
            return any(within(peer, cidr) for cidr in given["networks"])
        if "nodes" in given:
            return any(
                peer == ip_address(address["address"])
                for node in self._of("/Node")
                if selects(given["nodes"], node["metadata"].get("labels") or {})
                for address in node["status"]["addresses"]
            )
        spaces = given.get("namespaces") or {}
        for word in ("sameLabels", "notSameLabels"):
            if word in spaces:
                return self._alike(spaces[word], peer, subject, differ=word != "sameLabels")
        if "namespaceSelector" in spaces:
            return self._pods(peer, spaces["namespaceSelector"], None)
        return self._chosen(given, peer)

    def _alike(
        self, labels: Sequence[str], peer: Pod | Address, subject: Pod, *, differ: bool
    ) -> bool:
        if not isinstance(peer, Pod):
            return False
        mine, theirs = self.labels[subject.namespace], self.labels[peer.namespace]
        if not labels or any(key not in mine or key not in theirs for key in labels):
            return False
        return differ == any(mine[key] != theirs[key] for key in labels)

    def _antrea_rule(
        self, policy: Manifest, rule: Manifest, subject: Pod, peer: Pod | Address, traffic: Traffic
    ) -> bool:
        own = policy["metadata"].get("namespace")
        applied = rule.get("appliedTo") or policy["spec"].get("appliedTo") or ()
        if not any(self._antrea_end(one, subject, own, subject, applied=True) for one in applied):
            return False
        peers = rule.get("from") or rule.get("to")
        if peers and not any(self._antrea_end(one, peer, own, subject) for one in peers):
            return False
        return not rule.get("ports") or any(plain_port(one, traffic) for one in rule["ports"])

    def _antrea_end(
        self,
        given: Manifest,
        end: Pod | Address,
        own: str | None,
        subject: Pod,
        *,
        applied: bool = False,
    ) -> bool:
        if "group" in given:
            return self._member(self.groups[own, given["group"]], end, own, applied=applied)
        if "serviceAccount" in given:
            account = given["serviceAccount"]
            wanted = (account["namespace"], account["name"])
            return isinstance(end, Pod) and (end.namespace, end.account) == wanted
        if "namespaces" not in given:
            return self._plain_peer(given, end, own)
        labels = given["namespaces"].get("sameLabels") or ["kubernetes.io/metadata.name"]
        pods = given.get("podSelector") or {}
        return self._alike(labels, end, subject, differ=False) and self._pods(end, {}, pods)

    def _member(
        self, group: Manifest, end: Pod | Address, own: str | None, *, applied: bool
    ) -> bool:
        """Whether an end is in a group; policies are not applied to addresses in it."""
        for block in () if applied else group.get("ipBlocks") or ():
            if within(end, block["cidr"], block.get("except") or ()):
                return True
        below = (self.groups[own, name] for name in group.get("childGroups") or ())
        if any(self._member(one, end, own, applied=applied) for one in below):
            return True
        return self._plain_peer(group, end, own)


_Ordered = tuple[tuple[int, float, str, int], Manifest, Manifest]


def _placed(policy: Manifest, way: str, tier: int, priority: float) -> Iterator[_Ordered]:
    name = policy["metadata"]["name"]
    for number, rule in enumerate(policy["spec"].get(way) or ()):
        yield (tier, priority, name, number), policy, rule


def _about(policy: Manifest, subject: Pod, way: str) -> bool:
    """Whether a NetworkPolicy isolates a pod."""
    spec = policy["spec"]
    types = spec.get("policyTypes") or ["Ingress", *(["Egress"] if spec.get("egress") else [])]
    return (
        policy["metadata"]["namespace"] == subject.namespace
        and selects(spec.get("podSelector") or {}, subject.labels)
        and way.capitalize() in types
    )
