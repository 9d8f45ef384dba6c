# SPDX-License-Identifier: Apache-2.0
"""crd.antrea.io/v1beta1 ClusterNetworkPolicy, NetworkPolicy and Tier.

Source: the API types and Antrea's documentation of its policies. What needs an engine for layer 7,
multicast groups or a firewall of nodes themselves is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import field

from vneter_sdn.kubernetes.antrea_peers import (
    AppliedTo,
    Peer,
    Side,
    applied_to,
    peers_of,
    refuse,
)
from vneter_sdn.kubernetes.antrea_ports import AntreaPort, AntreaProtocol, connections
from vneter_sdn.kubernetes.naming import (
    EGRESS_RULES,
    Cluster,
    Subject,
    joined,
    manifest,
    shortened,
)
from vneter_sdn.kubernetes.reading import Strict, read
from vneter_sdn.kubernetes.services import PeerService, listening
from vneter_sdn.policy.findings import Findings
from vneter_sdn.policy.tiers import BUILT_IN

ANTREA_TIERS = ("emergency", "securityops", "networkops", "platform", "application", "baseline")
_ACTIONS = {"Allow": "allow", "Drop": "drop", "Reject": "reject", "Pass": "pass"}
_LIKE_DROP = "Deny"
"""What Antrea's documentation writes for Drop in places."""


class Rule(Strict, frozen=True, kw_only=True):
    """Rule."""

    action: str
    ports: tuple[AntreaPort, ...] | None = None
    protocols: tuple[AntreaProtocol, ...] | None = None
    l7_protocols: Any = field(default=None, name="l7Protocols")
    from_: tuple[Peer, ...] | None = field(default=None, name="from")
    to: tuple[Peer, ...] | None = None
    to_services: tuple[PeerService, ...] | None = None
    name: str | None = None
    enable_logging: bool | None = None
    log_label: str | None = None
    applied_to: tuple[AppliedTo, ...] | None = None


class AntreaPolicySpec(Strict, frozen=True, kw_only=True):
    """NetworkPolicySpec and ClusterNetworkPolicySpec, which are the same."""

    tier: str | None = None
    priority: float
    applied_to: tuple[AppliedTo, ...] | None = None
    ingress: tuple[Rule, ...] | None = None
    egress: tuple[Rule, ...] | None = None


class AntreaTierSpec(Strict, frozen=True, kw_only=True):
    """TierSpec."""

    priority: int
    description: str | None = None


def cluster_policy(
    subject: Subject, spec: Any, cluster: Cluster, findings: Findings
) -> list[dict[str, Any]]:
    """The ClusterPolicy that a ClusterNetworkPolicy of Antrea becomes."""
    body, places = _body(spec, Side("", findings, cluster))
    name = shortened(f"{subject.name}.acnp")
    made = manifest(subject, "ClusterPolicy", name, {"tenants": cluster.everyone(), **body})
    return [_placed(made, places)]


def namespaced_policy(
    subject: Subject, spec: Any, cluster: Cluster, findings: Findings
) -> list[dict[str, Any]]:
    """The Policy that a NetworkPolicy of Antrea becomes."""
    body, places = _body(spec, Side(subject.namespace, findings, cluster))
    name = joined(subject.namespace, subject.name, ".antrea")
    tenant = cluster.tenant_of(subject.namespace)
    return [_placed(manifest(subject, "Policy", name, body, tenant=tenant), places)]


def _placed(made: dict[str, Any], places: Sequence[int]) -> dict[str, Any]:
    """A policy, and which rule that was written each of its egress rules is, if not the same."""
    if list(places) != list(range(len(places))):
        made["metadata"]["annotations"][EGRESS_RULES] = ",".join(map(str, places))
    return made


def tier(subject: Subject, spec: Any, cluster: Cluster, findings: Findings) -> list[dict[str, Any]]:
    """The Tier that a Tier of Antrea's becomes; none for those that are always there."""
    given = read(spec, AntreaTierSpec, "spec", findings)
    if given is None:
        return []
    if subject.name in ANTREA_TIERS:
        if given.priority != BUILT_IN[subject.name]:
            text = f"the built-in tier {subject.name} has {BUILT_IN[subject.name]}, for good"
            findings.add("spec.priority", "BuiltIn", text)
        else:
            cluster.notes.append(f"{findings.subject}: left out, it is built in")
        return []
    if not 0 <= given.priority <= 249:
        text = f"{str(given.priority)[:24]} is not 0 to 249; from 250 on are the built-in tiers"
        findings.add("spec.priority", "BadPriority", text)
    body: dict[str, Any] = {"priority": given.priority}
    if given.description:
        body["description"] = given.description[:1024]
    return [manifest(subject, "Tier", tier_name(subject.name), body)]


def tier_name(name: str) -> str:
    """What a tier of Antrea's is called here: ours that Antrea does not have are kept apart."""
    if name.lower() in ANTREA_TIERS:
        return name.lower()
    return shortened(f"{name}.antrea") if name in BUILT_IN else shortened(name)


def _body(spec: Any, side: Side) -> tuple[dict[str, Any], list[int]]:
    """A policy of ours; and which egress rule that was written each of its own is."""
    findings = side.findings
    given = read(spec, AntreaPolicySpec, "spec", findings)
    if given is None:
        return {}, []
    if not 1 <= given.priority <= 10000:
        text = f"{str(given.priority)[:24]} is not 1 to 10000; the lowest is asked first"
        findings.add("spec.priority", "BadPriority", text)
    _check_applied(given, findings)
    body: dict[str, Any] = {
        "tier": tier_name(given.tier or "application"),
        "priority": given.priority,
    }
    if given.applied_to:
        body["appliesTo"] = applied_to(given.applied_to, "spec.appliedTo", side)
    names: set[str] = set()
    places: list[int] = []
    sides: tuple[tuple[str, Sequence[Rule] | None], ...] = (
        ("ingress", given.ingress),
        ("egress", given.egress),
    )
    for direction, rules in sides:
        _check_names(rules or (), direction, names, findings)
        written: list[dict[str, Any]] = []
        for number, rule in enumerate(rules or ()):
            at = f"spec.{direction}[{number}]"
            one = _rule(rule, at, direction, side)
            parts = [{**one, **to} for to in _to_services(rule, at, direction, side)]
            _check_pass(rule, at, body["tier"], findings)
            written += parts
            places += [number] * len(parts) if direction == "egress" else ()
        if written:
            body[direction] = written
    return body, places


def _check_names(
    rules: Sequence[Rule], direction: str, names: set[str], findings: Findings
) -> None:
    """Names of rules are unique in a policy; ``names`` are those above, and then these too."""
    for number, rule in enumerate(rules):
        if rule.name and rule.name in names:
            text = f"{rule.name[:64]!r} is the name of a rule above; names are unique"
            findings.add(f"spec.{direction}[{number}].name", "Repeated", text)
        names.add(rule.name or "")


def _check_pass(rule: Rule, path: str, tier: str, findings: Findings) -> None:
    if rule.action == "Pass" and tier == "baseline":
        text = "after the baseline tier there is nothing to pass on to; write Allow"
        findings.add(f"{path}.action", "NotHere", text)


def _check_applied(given: AntreaPolicySpec, findings: Findings) -> None:
    """``appliedTo`` is in the spec, or in every rule."""
    rules = (*(given.ingress or ()), *(given.egress or ()))
    count = sum(bool(rule.applied_to) for rule in rules)
    if given.applied_to and count:
        text = "is given in rules as well; give it in the spec, or in every rule"
        findings.add("spec.appliedTo", "TooMany", text)
    elif not given.applied_to and count < max(len(rules), 1):
        text = "is required, here or in every rule: it says whom the policy is about"
        findings.add("spec.appliedTo", "Missing", text)


def _rule(rule: Rule, path: str, direction: str, side: Side) -> dict[str, Any]:
    findings = side.findings
    result: dict[str, Any] = {"action": _action(rule.action, path, side)}
    here, there = ("from", "to") if direction == "ingress" else ("to", "from")
    peers, others = (rule.from_, rule.to) if direction == "ingress" else (rule.to, rule.from_)
    if others:
        text = f"is not for {direction} rules; write {here!r}"
        findings.add(f"{path}.{there}", "NotHere", text)
    if rule.l7_protocols:
        refuse(f"{path}.l7Protocols", "requests are not looked into; write ports", findings)
    label = f"{rule.name or ''} ({rule.log_label})" if rule.log_label else rule.name
    if label:
        result["name"] = label.strip()[:1024]
    if rule.enable_logging:
        result["log"] = True
    if peers:
        result["peers"] = peers_of(peers, f"{path}.{here}", direction, side)
    ports = connections(rule.ports or (), rule.protocols or (), path, findings)
    if ports is not None:
        result["ports"] = ports
    if rule.applied_to:
        result["appliesTo"] = applied_to(rule.applied_to, f"{path}.appliedTo", side)
    return result


def _to_services(rule: Rule, path: str, direction: str, side: Side) -> list[dict[str, Any]]:
    """What the rules of one have in place of its peers and ports: one each, most often nothing."""
    at = f"{path}.toServices"
    if not rule.to_services:
        return [{}]
    if direction == "ingress":
        side.findings.add(at, "NotHere", "is not for ingress rules; write 'from'")
    if rule.to or rule.ports or rule.protocols:
        text = "does not go together with to, ports and protocols; make a rule of each"
        side.findings.add(at, "TooMany", text)
    return listening(rule.to_services, at, side.namespace, side.cluster, side.findings)


def _action(word: str, path: str, side: Side) -> str:
    if word == _LIKE_DROP:
        note = f"{side.findings.subject}: {path}.action: Deny is taken as Drop"
        side.cluster.notes.append(note)
        return "drop"
    if word not in _ACTIONS:
        text = f"{word[:64]!r} is none of {', '.join(_ACTIONS)}"
        side.findings.add(f"{path}.action", "UnknownAction", text)
    return _ACTIONS.get(word, "drop")
