# SPDX-License-Identifier: Apache-2.0
"""networking.k8s.io/v1 NetworkPolicy.

Source: the API reference of the kind, and https://kubernetes.io/docs/concepts/services-networking/
network-policies. Its subtleties: no ``policyTypes`` means Ingress, and Egress if there are egress
rules; an empty or absent ``from``, ``to`` or ``ports`` means any; a podSelector without a
namespaceSelector is about the policy's own namespace; both in one entry must hold, in two entries
either may.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import field

from vneter_sdn.kubernetes import ports
from vneter_sdn.kubernetes.meta import LabelSelector, own, selector
from vneter_sdn.kubernetes.naming import Cluster, Subject, joined, manifest
from vneter_sdn.kubernetes.reading import Strict, read
from vneter_sdn.policy.findings import Findings
from vneter_sdn.policy.tiers import KUBERNETES

_TYPES = {"Ingress": "ingress", "Egress": "egress"}


class Peer(Strict, frozen=True, kw_only=True):
    """NetworkPolicyPeer."""

    pod_selector: LabelSelector | None = None
    namespace_selector: LabelSelector | None = None
    ip_block: ports.IpBlock | None = None


class IngressRule(Strict, frozen=True, kw_only=True):
    """NetworkPolicyIngressRule."""

    from_: tuple[Peer, ...] | None = field(default=None, name="from")
    ports: tuple[ports.PolicyPort, ...] | None = None


class EgressRule(Strict, frozen=True, kw_only=True):
    """NetworkPolicyEgressRule."""

    to: tuple[Peer, ...] | None = None
    ports: tuple[ports.PolicyPort, ...] | None = None


class NetworkPolicySpec(Strict, frozen=True, kw_only=True):
    """NetworkPolicySpec."""

    pod_selector: LabelSelector | None = None
    policy_types: tuple[str, ...] | None = None
    ingress: tuple[IngressRule, ...] | None = None
    egress: tuple[EgressRule, ...] | None = None


def network_policy(
    subject: Subject, spec: Any, cluster: Cluster, findings: Findings
) -> list[dict[str, Any]]:
    """The Policy that a NetworkPolicy becomes."""
    given = read({} if spec is None else spec, NetworkPolicySpec, "spec", findings)
    if given is None:
        return []
    chosen = selector(given.pod_selector or LabelSelector(), "spec.podSelector", findings)
    types = _types(given, findings)
    result: dict[str, Any] = {
        "tier": KUBERNETES,
        "appliesTo": [_who(own(subject.namespace), chosen)],
        "isolates": types,
    }
    entries: tuple[tuple[str, str, Sequence[IngressRule | EgressRule] | None], ...] = (
        ("ingress", "from", given.ingress),
        ("egress", "to", given.egress),
    )
    for direction, side, rules in entries:
        written = [
            _rule(rule, side, f"spec.{direction}[{number}]", subject.namespace, findings)
            for number, rule in enumerate(rules or ())
        ]
        if written and direction not in types:
            cluster.notes.append(
                f"{findings.subject}: its {direction} rules have no effect, for policyTypes does "
                f"not name {direction.capitalize()}"
            )
        elif written:
            result[direction] = written
    name = joined(subject.namespace, subject.name)
    tenant = cluster.tenant_of(subject.namespace)
    return [manifest(subject, "Policy", name, result, tenant=tenant)]


def _types(given: NetworkPolicySpec, findings: Findings) -> list[str]:
    if not given.policy_types:
        return ["ingress", "egress"] if given.egress else ["ingress"]
    if len(given.policy_types) > len(_TYPES):
        text = "has more than the two there are, Ingress and Egress; name each at most once"
        findings.add("spec.policyTypes", "TooMany", text)
    for number, word in enumerate(given.policy_types):
        if word not in _TYPES:
            text = f"{word[:64]!r} is none of Ingress, Egress"
            findings.add(f"spec.policyTypes[{number}]", "UnknownPolicyType", text)
    return [ours for theirs, ours in _TYPES.items() if theirs in given.policy_types]


def _rule(
    rule: IngressRule | EgressRule, side: str, path: str, namespace: str, findings: Findings
) -> dict[str, Any]:
    peers = rule.from_ if isinstance(rule, IngressRule) else rule.to
    result: dict[str, Any] = {}
    if peers:
        result["peers"] = [
            _peer(peer, f"{path}.{side}[{number}]", namespace, findings)
            for number, peer in enumerate(peers)
        ]
    if rule.ports:
        result["ports"] = [
            ports.port(port, f"{path}.ports[{number}]", findings)
            for number, port in enumerate(rule.ports)
        ]
    return result


def _peer(peer: Peer, path: str, namespace: str, findings: Findings) -> dict[str, Any]:
    pods, spaces = peer.pod_selector, peer.namespace_selector
    if peer.ip_block is not None:
        if pods is not None or spaces is not None:
            text = "ipBlock stands alone; write pods and namespaces as an entry of their own"
            findings.add(path, "TooMany", text)
        return ports.block(peer.ip_block, f"{path}.ipBlock", findings)
    if pods is None and spaces is None:
        text = "says nobody; give podSelector, namespaceSelector, both of them, or ipBlock"
        findings.add(path, "Missing", text)
        return {}
    among = own(namespace)
    if spaces is not None:
        among = selector(spaces, f"{path}.namespaceSelector", findings)
    if pods is None:
        return {"namespaces": among}
    return _who(among, selector(pods, f"{path}.podSelector", findings))


def _who(namespaces: dict[str, Any], endpoints: dict[str, Any]) -> dict[str, Any]:
    return {"namespaces": namespaces, **({"endpoints": endpoints} if endpoints else {})}
