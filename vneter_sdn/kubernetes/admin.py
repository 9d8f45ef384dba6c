# SPDX-License-Identifier: Apache-2.0
"""policy.networking.k8s.io: AdminNetworkPolicy, BaselineAdminNetworkPolicy, ClusterNetworkPolicy.

Source: the API types of v1alpha1 and v1alpha2, with the validation that is written in them. The
three have the same subjects and peers and differ in tiers, actions and how ports are written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from msgspec import field

from vneter_sdn.kubernetes import admin_ports
from vneter_sdn.kubernetes.admin_ports import AdminPort, ClusterProtocol
from vneter_sdn.kubernetes.meta import LabelSelector, selector
from vneter_sdn.kubernetes.naming import Cluster, Subject, manifest, shortened
from vneter_sdn.kubernetes.ports import cidr
from vneter_sdn.kubernetes.reading import Strict, read
from vneter_sdn.policy import domains
from vneter_sdn.policy.findings import Findings

MOST_NETWORKS = 25
MOST_NAME = 100


class NamespacedPod(Strict, frozen=True, kw_only=True):
    """NamespacedPod."""

    namespace_selector: LabelSelector | None = None
    pod_selector: LabelSelector | None = None


class Chosen(Strict, frozen=True, kw_only=True):
    """AdminNetworkPolicySubject, ClusterNetworkPolicySubject, and all ingress peers."""

    namespaces: LabelSelector | None = None
    pods: NamespacedPod | None = None


class Target(Chosen, frozen=True, kw_only=True):
    """Egress peers."""

    nodes: LabelSelector | None = None
    networks: tuple[str, ...] | None = None
    domain_names: tuple[str, ...] | None = None


class _Rule(Strict, frozen=True, kw_only=True):
    name: str | None = None
    action: str
    from_: tuple[Chosen, ...] | None = field(default=None, name="from")
    to: tuple[Target, ...] | None = None


class AdminRule(_Rule, frozen=True, kw_only=True):
    """Rules of v1alpha1, either direction."""

    ports: tuple[AdminPort, ...] | None = None


class ClusterRule(_Rule, frozen=True, kw_only=True):
    """Rules of v1alpha2, either direction."""

    protocols: tuple[ClusterProtocol, ...] | None = None


class BaselineAdminSpec(Strict, frozen=True, kw_only=True):
    """BaselineAdminNetworkPolicySpec."""

    subject: Chosen
    ingress: tuple[AdminRule, ...] | None = None
    egress: tuple[AdminRule, ...] | None = None


class AdminSpec(BaselineAdminSpec, frozen=True, kw_only=True):
    """AdminNetworkPolicySpec."""

    priority: int


class ClusterSpec(Strict, frozen=True, kw_only=True):
    """ClusterNetworkPolicySpec."""

    tier: str
    priority: int
    subject: Chosen
    ingress: tuple[ClusterRule, ...] | None = None
    egress: tuple[ClusterRule, ...] | None = None


@dataclass(frozen=True, slots=True)
class _Dialect:
    """How the three kinds differ."""

    actions: dict[str, str]
    most: int
    """Rules, peers and ports, at most."""
    naming: tuple[str, ...]
    """Actions that domain names may have."""
    field: str
    ports: Callable[[Any, str, Findings], list[dict[str, Any]]]


_ADMIN = _Dialect(
    {"Allow": "allow", "Deny": "drop", "Pass": "pass"}, 100, ("Allow",), "ports", admin_ports.admin
)
_BASELINE = _Dialect({"Allow": "allow", "Deny": "drop"}, 100, (), "ports", admin_ports.admin)
_CLUSTER = _Dialect(
    {"Accept": "allow", "Deny": "drop", "Pass": "pass"},
    25,
    ("Accept",),
    "protocols",
    admin_ports.cluster,
)
_TIERS = {"Admin": "cluster-admin", "Baseline": "baseline-admin"}
_AFTER = 1001
"""Priority of the BaselineAdminNetworkPolicy: after Baseline ClusterNetworkPolicies."""


def admin_network_policy(
    subject: Subject, spec: Any, cluster: Cluster, findings: Findings
) -> list[dict[str, Any]]:
    """The ClusterPolicy of tier ``admin`` that an AdminNetworkPolicy becomes."""
    given = read(spec, AdminSpec, "spec", findings)
    if given is None:
        return []
    _check_priority(given.priority, findings)
    body = _body(given, _ADMIN, findings)
    return _policy(subject, ".anp", "admin", given.priority, body, cluster)


def baseline_admin_network_policy(
    subject: Subject, spec: Any, cluster: Cluster, findings: Findings
) -> list[dict[str, Any]]:
    """The ClusterPolicy of tier ``baseline-admin`` that a BaselineAdminNetworkPolicy becomes."""
    if subject.name != "default":
        text = "there is one BaselineAdminNetworkPolicy at most, and it is called 'default'"
        findings.add("metadata.name", "BadName", text)
    given = read(spec, BaselineAdminSpec, "spec", findings)
    if given is None:
        return []
    body = _body(given, _BASELINE, findings)
    return _policy(subject, ".banp", "baseline-admin", _AFTER, body, cluster)


def cluster_network_policy(
    subject: Subject, spec: Any, cluster: Cluster, findings: Findings
) -> list[dict[str, Any]]:
    """The ClusterPolicy that a ClusterNetworkPolicy of the Network Policy API becomes."""
    given = read(spec, ClusterSpec, "spec", findings)
    if given is None:
        return []
    if given.tier not in _TIERS:
        text = f"{given.tier[:64]!r} is none of {', '.join(_TIERS)}"
        findings.add("spec.tier", "UnknownTier", text)
    _check_priority(given.priority, findings)
    body = _body(given, _CLUSTER, findings)
    tier = _TIERS.get(given.tier, "admin")
    return _policy(subject, ".cnp", tier, given.priority, body, cluster)


def _check_priority(priority: int, findings: Findings) -> None:
    if not 0 <= priority <= 1000:
        text = f"{str(priority)[:24]} is not 0 to 1000; the lowest is asked first"
        findings.add("spec.priority", "BadPriority", text)


def _policy(
    subject: Subject,
    suffix: str,
    tier: str,
    priority: int,
    body: dict[str, Any],
    cluster: Cluster,
) -> list[dict[str, Any]]:
    spec = {"tenants": cluster.everyone(), "tier": tier, "priority": priority, **body}
    return [manifest(subject, "ClusterPolicy", shortened(subject.name + suffix), spec)]


def _body(
    given: BaselineAdminSpec | ClusterSpec, dialect: _Dialect, findings: Findings
) -> dict[str, Any]:
    body: dict[str, Any] = {"appliesTo": [_chosen(given.subject, "spec.subject", findings)]}
    sides: tuple[tuple[str, Sequence[_Rule] | None], ...] = (
        ("ingress", given.ingress),
        ("egress", given.egress),
    )
    for direction, rules in sides:
        _count(rules, f"spec.{direction}", dialect, findings, least=0)
        written = [
            _rule(rule, f"spec.{direction}[{number}]", direction, dialect, findings)
            for number, rule in enumerate(rules or ())
        ]
        if written:
            body[direction] = written
    return body


def _count(
    given: Sequence[Any] | None, path: str, dialect: _Dialect, findings: Findings, least: int = 1
) -> None:
    number = len(given or ())
    if number > dialect.most:
        text = f"has {number} entries, of which at most {dialect.most} are taken; split it"
        findings.add(path, "TooMany", text)
    elif number < least:
        findings.add(path, "Missing", "needs at least one entry")


def _rule(
    rule: _Rule, path: str, direction: str, dialect: _Dialect, findings: Findings
) -> dict[str, Any]:
    if rule.action not in dialect.actions:
        text = f"{rule.action[:64]!r} is none of {', '.join(dialect.actions)}"
        findings.add(f"{path}.action", "UnknownAction", text)
    result: dict[str, Any] = {"action": dialect.actions.get(rule.action, "drop")}
    if rule.name:
        if len(rule.name) > MOST_NAME:
            text = f"has {len(rule.name)} characters, of which at most {MOST_NAME} are taken"
            findings.add(f"{path}.name", "TooLong", text)
        result["name"] = rule.name
    side, other = ("from", "to") if direction == "ingress" else ("to", "from")
    peers = rule.from_ if direction == "ingress" else rule.to
    if (rule.to if direction == "ingress" else rule.from_) is not None:
        text = f"is not a field of {direction} rules; write {side!r}"
        findings.add(f"{path}.{other}", "UnknownField", text)
    _count(peers, f"{path}.{side}", dialect, findings)
    result["peers"] = [
        who
        for number, peer in enumerate(peers or ())
        for who in _peer(peer, f"{path}.{side}[{number}]", rule.action, dialect, findings)
    ]
    ports = _ports(rule)
    if ports is not None:
        _count(ports, f"{path}.{dialect.field}", dialect, findings)
        result["ports"] = dialect.ports(ports, f"{path}.{dialect.field}", findings)
        _check_named(result, peers or (), path, findings)
    return result


def _ports(rule: _Rule) -> Sequence[Any] | None:
    if isinstance(rule, AdminRule):
        return rule.ports
    return rule.protocols if isinstance(rule, ClusterRule) else None


def _check_named(
    rule: dict[str, Any], peers: Sequence[Chosen], path: str, findings: Findings
) -> None:
    """What is no pod has no named ports."""
    named = any(isinstance(port.get("port"), str) for port in rule["ports"])
    for number, peer in enumerate(peers):
        if (
            named
            and isinstance(peer, Target)
            and (peer.nodes or peer.networks or peer.domain_names)
        ):
            text = "nodes, networks and domainNames have no named ports; write numbers"
            findings.add(f"{path}.to[{number}]", "NamedPort", text)


def _peer(
    peer: Chosen, path: str, action: str, dialect: _Dialect, findings: Findings
) -> list[dict[str, Any]]:
    if not isinstance(peer, Target):
        return [_chosen(peer, path, findings)]
    given = [
        name
        for name, value in (
            ("namespaces", peer.namespaces),
            ("pods", peer.pods),
            ("nodes", peer.nodes),
            ("networks", peer.networks),
            ("domainNames", peer.domain_names),
        )
        if value is not None
    ]
    if len(given) != 1 or given[0] in {"namespaces", "pods"}:
        return [_chosen(peer, path, findings, given)]
    if peer.nodes is not None:
        return [{"hosts": selector(peer.nodes, f"{path}.nodes", findings)}]
    texts = peer.networks if peer.networks is not None else peer.domain_names or ()
    if not 1 <= len(texts) <= MOST_NETWORKS:
        text = f"has {len(texts)} entries; 1 to {MOST_NETWORKS} are taken"
        findings.add(f"{path}.{given[0]}", "TooMany" if texts else "Missing", text)
    if peer.networks is not None:
        return [
            {"cidr": cidr(text, f"{path}.networks[{number}]", findings)}
            for number, text in enumerate(texts)
        ]
    if action in dialect.actions and action not in dialect.naming:
        text = f"domain names are for rules that allow, and this is {action}"
        if not dialect.naming:
            text = "domain names are not for baseline policies"
        findings.add(f"{path}.domainNames", "NotHere", text)
    return [
        {"domain": _domain(text, f"{path}.domainNames[{number}]", findings)}
        for number, text in enumerate(texts)
    ]


def _domain(text: str, path: str, findings: Findings) -> str:
    """A name, or ``*.`` and a name: here a wildcard stands for whole labels only."""
    name = findings.reading(path, "BadDomain", domains.canonical, text)
    if name is None:
        return text
    if "*" in name.removeprefix("*.") or "." not in name.removeprefix("*."):
        message = f"{text[:64]!r} is not taken; write www.example.com, or *.example.com"
        findings.add(path, "BadDomain", message)
    return name


def _chosen(
    given: Chosen, path: str, findings: Findings, fields: Sequence[str] | None = None
) -> dict[str, Any]:
    """Pods by namespace, or by both: exactly one of the two ways."""
    named = fields
    if named is None:
        both = (("namespaces", given.namespaces), ("pods", given.pods))
        named = [name for name, value in both if value is not None]
    if not named:
        findings.add(path, "Missing", "says nobody; give namespaces or pods")
        return {}
    if len(named) > 1:
        text = f"{' and '.join(named)} do not go together; write each as an entry of its own"
        findings.add(path, "TooMany", text)
    if given.namespaces is not None:
        return {"namespaces": selector(given.namespaces, f"{path}.namespaces", findings)}
    pods = given.pods or NamespacedPod()
    at = f"{path}.pods"
    if pods.namespace_selector is None and pods.pod_selector is None:
        findings.add(at, "Missing", "give namespaceSelector and podSelector; {} selects all")
    spaces = selector(
        pods.namespace_selector or LabelSelector(), f"{at}.namespaceSelector", findings
    )
    return {
        "namespaces": spaces,
        "endpoints": selector(pods.pod_selector or LabelSelector(), f"{at}.podSelector", findings),
    }
