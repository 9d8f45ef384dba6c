# SPDX-License-Identifier: Apache-2.0
"""policy.networking.k8s.io: AdminNetworkPolicy, BaselineAdminNetworkPolicy, ClusterNetworkPolicy.

Source: the API types of v1alpha1 and v1alpha2, with the validation that is written in them. The
three have the same subjects and peers and differ in tiers, actions and how ports are written.
ClusterNetworkPolicies are also taken as they were first proposed, with ``ports`` and ``Allow``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from msgspec import field

from vneter_sdn.kubernetes import admin_ports
from vneter_sdn.kubernetes.admin_peers import Chosen, Naming, Peer, Target, peers_of, subject_of
from vneter_sdn.kubernetes.admin_ports import AdminPort, ClusterProtocol
from vneter_sdn.kubernetes.naming import Cluster, Subject, manifest, shortened
from vneter_sdn.kubernetes.reading import Strict, read
from vneter_sdn.policy.findings import Findings

MOST_NAME = 100


class _Rule(Strict, frozen=True, kw_only=True):
    name: str | None = None
    action: str
    from_: tuple[Peer, ...] | None = field(default=None, name="from")
    to: tuple[Target, ...] | None = None


class AdminRule(_Rule, frozen=True, kw_only=True):
    """Rules of v1alpha1, either direction."""

    ports: tuple[AdminPort, ...] | None = None


class ClusterRule(_Rule, frozen=True, kw_only=True):
    """Rules of v1alpha2, either direction; ``ports`` is how protocols were written first."""

    ports: tuple[AdminPort, ...] | None = None
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
    naming: Naming


_ADMIN = _Dialect(
    {"Allow": "allow", "Deny": "drop", "Pass": "pass"}, 100, Naming(("Allow",), ("Deny", "Pass"))
)
_BASELINE = _Dialect({"Allow": "allow", "Deny": "drop"}, 100, Naming((), ()))
_CLUSTER = _Dialect(
    {"Accept": "allow", "Deny": "drop", "Pass": "pass", "Allow": "allow"},
    25,
    Naming(("Accept", "Allow"), ("Deny", "Pass")),
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
    body: dict[str, Any] = {"appliesTo": subject_of(given.subject, findings)}
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
    result["peers"] = peers_of(peers or (), f"{path}.{side}", rule.action, dialect.naming, findings)
    ports = _ports(rule, path, dialect, findings)
    if ports is not None:
        result["ports"] = ports
        _check_named(ports, peers or (), path, findings)
    return result


def _ports(
    rule: _Rule, path: str, dialect: _Dialect, findings: Findings
) -> list[dict[str, Any]] | None:
    """The ports of a rule, as ours; None when it is about all."""
    if isinstance(rule, ClusterRule) and rule.protocols is not None:
        if rule.ports is not None:
            text = "does not go together with protocols; write it as one of them"
            findings.add(f"{path}.ports", "TooMany", text)
        _count(rule.protocols, f"{path}.protocols", dialect, findings)
        return admin_ports.cluster(rule.protocols, f"{path}.protocols", findings)
    if not isinstance(rule, AdminRule | ClusterRule) or rule.ports is None:
        return None
    _count(rule.ports, f"{path}.ports", dialect, findings)
    return admin_ports.admin(rule.ports, f"{path}.ports", findings)


def _check_named(
    ports: Sequence[dict[str, Any]], peers: Sequence[Peer], path: str, findings: Findings
) -> None:
    """What is no pod has no named ports."""
    named = any(isinstance(port.get("port"), str) for port in ports)
    for number, peer in enumerate(peers):
        if (
            named
            and isinstance(peer, Target)
            and (peer.nodes or peer.networks or peer.domain_names)
        ):
            text = "nodes, networks and domainNames have no named ports; write numbers"
            findings.add(f"{path}.to[{number}]", "NamedPort", text)
