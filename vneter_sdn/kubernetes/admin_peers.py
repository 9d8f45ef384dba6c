# SPDX-License-Identifier: Apache-2.0
"""Subjects and peers of the Network Policy API, as v1alpha2 has them, and v1alpha1 early and late.

Until v0.1.1 of the API a peer of v1alpha1 said ``namespaces: {namespaceSelector: …}``, or had
``sameLabels`` and ``notSameLabels`` there, and wrote ``pods: {namespaces: …, podSelector: …}``.
Both ways are taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vneter_sdn.kubernetes import syntax
from vneter_sdn.kubernetes.meta import LabelSelector, selector
from vneter_sdn.kubernetes.ports import cidr
from vneter_sdn.kubernetes.reading import Strict
from vneter_sdn.policy import domains
from vneter_sdn.policy.findings import Findings

MOST_NETWORKS = 25


class NamespacedPod(Strict, frozen=True, kw_only=True):
    """NamespacedPod."""

    namespace_selector: LabelSelector | None = None
    pod_selector: LabelSelector | None = None


class Chosen(Strict, frozen=True, kw_only=True):
    """AdminNetworkPolicySubject and ClusterNetworkPolicySubject."""

    namespaces: LabelSelector | None = None
    pods: NamespacedPod | None = None


class PeerNamespaces(LabelSelector, frozen=True, kw_only=True):
    """A selector; or NamespacedPeer, as it was: exactly one of its fields."""

    namespace_selector: LabelSelector | None = None
    same_labels: tuple[str, ...] | None = None
    not_same_labels: tuple[str, ...] | None = None


class PeerPods(NamespacedPod, frozen=True, kw_only=True):
    """NamespacedPod; or NamespacedPodPeer, as it was."""

    namespaces: PeerNamespaces | None = None


class Peer(Strict, frozen=True, kw_only=True):
    """Ingress peers."""

    namespaces: PeerNamespaces | None = None
    pods: PeerPods | None = None


class Target(Peer, frozen=True, kw_only=True):
    """Egress peers."""

    nodes: LabelSelector | None = None
    networks: tuple[str, ...] | None = None
    domain_names: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Naming:
    """Which rules domain names may be in."""

    allowing: tuple[str, ...]
    """Actions; none for policies that have no domain names."""
    others: tuple[str, ...]


def subject_of(given: Chosen, findings: Findings) -> list[dict[str, Any]]:
    """Whom a policy is about: pods by namespace, or by both."""
    path = "spec.subject"
    _one({"namespaces": given.namespaces, "pods": given.pods}, path, findings)
    if given.namespaces is not None:
        return [{"namespaces": selector(given.namespaces, f"{path}.namespaces", findings)}]
    if given.pods is None:
        return [{}]
    return [_pods(given.pods, f"{path}.pods", findings)]


def peers_of(
    given: Sequence[Peer], path: str, action: str, naming: Naming, findings: Findings
) -> list[dict[str, Any]]:
    """Who begins connections, or whom they are to."""
    return [
        who
        for number, peer in enumerate(given)
        for who in _peer(peer, f"{path}[{number}]", action, naming, findings)
    ]


def _peer(
    peer: Peer, path: str, action: str, naming: Naming, findings: Findings
) -> list[dict[str, Any]]:
    fields: dict[str, Any] = {"namespaces": peer.namespaces, "pods": peer.pods}
    if isinstance(peer, Target):
        fields |= {
            "nodes": peer.nodes,
            "networks": peer.networks,
            "domainNames": peer.domain_names,
        }
    _one(fields, path, findings)
    if peer.namespaces is not None:
        return _spaces(peer.namespaces, f"{path}.namespaces", findings)
    if peer.pods is not None:
        return _peer_pods(peer.pods, f"{path}.pods", findings)
    if not isinstance(peer, Target):
        return []
    if peer.nodes is not None:
        return [{"hosts": selector(peer.nodes, f"{path}.nodes", findings)}]
    if peer.networks is not None:
        _count(peer.networks, f"{path}.networks", findings)
        return [
            {"cidr": cidr(text, f"{path}.networks[{number}]", findings)}
            for number, text in enumerate(peer.networks)
        ]
    return _names(peer.domain_names or (), f"{path}.domainNames", action, naming, findings)


def _one(fields: dict[str, Any], path: str, findings: Findings) -> None:
    """Note it unless exactly one field is given."""
    given = [name for name, value in fields.items() if value is not None]
    if not given:
        findings.add(path, "Missing", f"says nobody; give {' or '.join(list(fields)[:2])}")
    elif len(given) > 1:
        text = f"{' and '.join(given)} do not go together; write each as an entry of its own"
        findings.add(path, "TooMany", text)


def _count(texts: Sequence[str], path: str, findings: Findings) -> None:
    if not 1 <= len(texts) <= MOST_NETWORKS:
        text = f"has {len(texts)} entries; 1 to {MOST_NETWORKS} are taken"
        findings.add(path, "TooMany" if texts else "Missing", text)


def _spaces(given: PeerNamespaces, path: str, findings: Findings) -> list[dict[str, Any]]:
    """Namespaces by their labels, or by how these compare to those of whom the policy is about."""
    fields = {
        "a selector": given.match_labels or given.match_expressions,
        "namespaceSelector": given.namespace_selector,
        "sameLabels": given.same_labels,
        "notSameLabels": given.not_same_labels,
    }
    named = [name for name, value in fields.items() if value is not None]
    if len(named) > 1:
        text = f"{' and '.join(named)} do not go together; write each as an entry of its own"
        findings.add(path, "TooMany", text)
    for field, labels in (
        ("sameLabels", given.same_labels),
        ("notSameLabels", given.not_same_labels),
    ):
        if labels is not None:
            for number, key in enumerate(labels):
                at = f"{path}.{field}[{number}]"
                findings.reading(at, "BadLabel", syntax.label_key, key)
            return [{field: list(labels)}] if labels else []
    if given.namespace_selector is not None:
        inner = selector(given.namespace_selector, f"{path}.namespaceSelector", findings)
        return [{"namespaces": inner}]
    return [{"namespaces": selector(given, path, findings)}]


def _peer_pods(given: PeerPods, path: str, findings: Findings) -> list[dict[str, Any]]:
    if given.namespaces is None:
        return [_pods(given, path, findings)]
    if given.namespace_selector is not None:
        text = "is said twice; write namespaceSelector"
        findings.add(f"{path}.namespaces", "TooMany", text)
    chosen = selector(given.pod_selector or LabelSelector(), f"{path}.podSelector", findings)
    among = _spaces(given.namespaces, f"{path}.namespaces", findings)
    return [{**who, **({"endpoints": chosen} if chosen else {})} for who in among]


def _pods(given: NamespacedPod, path: str, findings: Findings) -> dict[str, Any]:
    if given.namespace_selector is None and given.pod_selector is None:
        text = "give namespaceSelector and podSelector; {} selects all"
        findings.add(path, "Missing", text)
    spaces = given.namespace_selector or LabelSelector()
    pods = given.pod_selector or LabelSelector()
    return {
        "namespaces": selector(spaces, f"{path}.namespaceSelector", findings),
        "endpoints": selector(pods, f"{path}.podSelector", findings),
    }


def _names(
    texts: Sequence[str], path: str, action: str, naming: Naming, findings: Findings
) -> list[dict[str, Any]]:
    if not texts:
        return []
    _count(texts, path, findings)
    if not naming.allowing:
        findings.add(path, "NotHere", "domain names are not for baseline policies")
    elif action in naming.others:
        text = f"domain names are for rules that allow, and this is {action}"
        findings.add(path, "NotHere", text)
    return [
        {"domain": _domain(text, f"{path}[{number}]", findings)}
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
