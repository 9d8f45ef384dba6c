# SPDX-License-Identifier: Apache-2.0
"""Whom Antrea's policies are about, and who speaks to them; its groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from msgspec import Struct

from vneter_sdn.kubernetes import syntax
from vneter_sdn.kubernetes.meta import LabelSelector, NamespacedName, own, selector
from vneter_sdn.kubernetes.naming import (
    SERVICE_ACCOUNT,
    Cluster,
    Subject,
    joined,
    manifest,
    shortened,
)
from vneter_sdn.kubernetes.ports import IpBlock, block
from vneter_sdn.kubernetes.reading import Strict, at_most, read
from vneter_sdn.kubernetes.services import backing
from vneter_sdn.policy import domains
from vneter_sdn.policy.findings import Findings
from vneter_sdn.policy.selectors import NAMESPACE_NAME

MOST_MEMBERS, MOST_ALIKE = 1024, 16
"""Entries of one group, labels of one ``sameLabels``."""
_SPLIT = "make groups of them, and one of those, by childGroups"


class PeerNamespaces(Strict, frozen=True, kw_only=True):
    """PeerNamespaces: exactly one of its fields."""

    match: str | None = None
    same_labels: tuple[str, ...] | None = None


class AppliedTo(Strict, frozen=True, kw_only=True):
    """AppliedTo."""

    pod_selector: LabelSelector | None = None
    namespace_selector: LabelSelector | None = None
    external_entity_selector: Any = None
    group: str | None = None
    service_account: NamespacedName | None = None
    service: Any = None
    node_selector: LabelSelector | None = None


class Peer(Strict, frozen=True, kw_only=True):
    """NetworkPolicyPeer."""

    ip_block: IpBlock | None = None
    pod_selector: LabelSelector | None = None
    namespace_selector: LabelSelector | None = None
    namespaces: PeerNamespaces | None = None
    external_entity_selector: Any = None
    group: str | None = None
    fqdn: str | None = None
    service_account: NamespacedName | None = None
    node_selector: LabelSelector | None = None
    scope: str | None = None


class GroupSpec(Strict, frozen=True, kw_only=True):
    """GroupSpec, of Group and ClusterGroup; ``ipBlock`` is what v1alpha2 had."""

    pod_selector: LabelSelector | None = None
    namespace_selector: LabelSelector | None = None
    node_selector: LabelSelector | None = None
    ip_block: IpBlock | None = None
    ip_blocks: tuple[IpBlock, ...] | None = None
    service_reference: NamespacedName | None = None
    external_entity_selector: Any = None
    child_groups: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Side:
    """Where a policy or group stands."""

    namespace: str
    """Of a NetworkPolicy or Group; empty for what is of the whole cluster."""
    findings: Findings
    cluster: Cluster

    def group(self, name: str) -> str:
        """What a group is called here that is named there."""
        return joined(self.namespace, name) if self.namespace else shortened(f"{name}.cg")

    def pods(self, spaces: dict[str, Any] | None, pods: dict[str, Any] | None) -> dict[str, Any]:
        """Pods of some namespaces; without them of the own one, or of all."""
        if spaces is None and self.namespace:
            spaces = own(self.namespace)
        result: dict[str, Any] = {}
        if spaces is not None:
            result["namespaces"] = spaces
        if pods or spaces is None:
            result["endpoints"] = pods or {}
        return result


def refuse(path: str, message: str, findings: Findings) -> None:
    """Note something that Antrea does and we do not."""
    findings.add(path, "NotSupported", message)


_NO_EXTERNAL = "external entities are not known; write an ipBlock of their addresses"
_NO_NODES = "policies are about pods, not about nodes themselves"


def _given(value: Struct, without: str = "") -> list[str]:
    """Names of the fields that are given."""
    names = zip(value.__struct_encode_fields__, value.__struct_fields__, strict=True)
    return [
        name
        for name, attribute in names
        if name != without and getattr(value, attribute) not in (None, "", ())
    ]


def applied_to(given: Sequence[AppliedTo], path: str, side: Side) -> list[dict[str, Any]]:
    """Whom a policy or rule is about."""
    return [_applied(one, f"{path}[{number}]", side) for number, one in enumerate(given)]


def _applied(one: AppliedTo, path: str, side: Side) -> dict[str, Any]:
    findings = side.findings
    fields = _given(one)
    for name, text in (
        ("externalEntitySelector", _NO_EXTERNAL),
        ("service", "Services are not known; apply it to the pods behind them"),
        ("nodeSelector", f"{_NO_NODES}; remove it"),
    ):
        if name in fields:
            refuse(f"{path}.{name}", text, findings)
            return {}
    if not _goes_together(fields, path, findings):
        return {}
    only = "a NetworkPolicy is about its own namespace"
    if one.namespace_selector is not None and side.namespace:
        text = f"{only}; remove it, or use ClusterNetworkPolicy"
        findings.add(f"{path}.namespaceSelector", "NotHere", text)
    if (side.namespace, one.group) in side.cluster.wide:
        text = f"{only}, and the Group {one.group} has pods of others; use another group"
        findings.add(f"{path}.group", "NotHere", text)
    if (side.namespace, one.group) in side.cluster.nodal:
        text = f"{_NO_NODES}, and the group {one.group} has some; use another group"
        refuse(f"{path}.group", text, findings)
    account = one.service_account
    if account is not None and side.namespace and account.namespace != side.namespace:
        text = f"{only}; write {side.namespace}, or use ClusterNetworkPolicy"
        findings.add(f"{path}.serviceAccount.namespace", "NotHere", text)
    return _selected(one, path, side)


def _goes_together(fields: Sequence[str], path: str, findings: Findings) -> bool:
    """Pods and namespaces may be given both; everything else stands alone."""
    if not fields:
        findings.add(path, "Missing", "says nobody; give a selector, a group or a serviceAccount")
        return False
    if len(fields) > 1 and set(fields) not in (
        {"podSelector", "namespaceSelector"},
        {"podSelector", "namespaces"},
    ):
        text = f"{' and '.join(fields)} do not go together; write each as an entry of its own"
        findings.add(path, "TooMany", text)
        return False
    return True


def _selected(one: AppliedTo | Peer, path: str, side: Side) -> dict[str, Any]:
    findings = side.findings
    if one.group is not None:
        findings.reading(f"{path}.group", "BadName", syntax.dns_subdomain, one.group)
        return {"group": side.group(one.group)}
    if one.service_account is not None:
        return _account(one.service_account, f"{path}.serviceAccount", side)
    spaces = pods = None
    if one.namespace_selector is not None:
        spaces = selector(one.namespace_selector, f"{path}.namespaceSelector", findings)
    if one.pod_selector is not None:
        pods = selector(one.pod_selector, f"{path}.podSelector", findings)
    return side.pods(spaces, pods)


def _account(given: NamespacedName, path: str, side: Side) -> dict[str, Any]:
    findings = side.findings
    findings.reading(f"{path}.namespace", "BadName", syntax.dns_label, given.namespace)
    if findings.reading(f"{path}.name", "BadName", syntax.dns_subdomain, given.name) is None:
        return {}
    if len(given.name) > 63:
        refuse(f"{path}.name", "has more than the 63 characters that labels have", findings)
    chosen = {"matchLabels": {SERVICE_ACCOUNT: given.name}}
    return {"namespaces": own(given.namespace), "endpoints": chosen}


def peers_of(given: Sequence[Peer], path: str, direction: str, side: Side) -> list[dict[str, Any]]:
    """Who begins connections, or whom they are to."""
    return [_peer(one, f"{path}[{number}]", direction, side) for number, one in enumerate(given)]


def _peer(one: Peer, path: str, direction: str, side: Side) -> dict[str, Any]:
    findings = side.findings
    fields = _given(one, without="scope")
    if one.scope not in {None, "Cluster"}:
        refuse(f"{path}.scope", "there is one cluster only; write Cluster, or nothing", findings)
    if one.external_entity_selector is not None:
        refuse(f"{path}.externalEntitySelector", _NO_EXTERNAL, findings)
        return {}
    if not _goes_together(fields, path, findings):
        return {}
    if one.ip_block is not None:
        return block(one.ip_block, f"{path}.ipBlock", findings)
    if one.node_selector is not None:
        return {"hosts": selector(one.node_selector, f"{path}.nodeSelector", findings)}
    if one.fqdn is not None:
        if direction == "ingress":
            text = "who begins a connection is known by address only; name it in egress"
            findings.add(f"{path}.fqdn", "OnlyEgress", text)
        name = findings.reading(f"{path}.fqdn", "BadDomain", domains.canonical, one.fqdn)
        return {"domain": name or one.fqdn}
    if one.namespaces is not None:
        return _alike(one, one.namespaces, path, side)
    return _selected(one, path, side)


def _alike(one: Peer, given: PeerNamespaces, path: str, side: Side) -> dict[str, Any]:
    findings, at = side.findings, f"{path}.namespaces"
    if side.namespace:
        text = "a NetworkPolicy is in one namespace already; remove it"
        findings.add(at, "NotHere", text)
    labels: Sequence[str] = given.same_labels or ()
    at_most(labels, MOST_ALIKE, f"{at}.sameLabels", findings, "compare fewer")
    for number, key in enumerate(labels):
        findings.reading(f"{at}.sameLabels[{number}]", "BadLabel", syntax.label_key, key)
    if (given.match is not None) == bool(labels):
        findings.add(at, "Missing", "give exactly one of match: Self and sameLabels")
    elif given.match is not None:
        labels = (NAMESPACE_NAME,)
        if given.match != "Self":
            text = f"{given.match[:64]!r} is not taken; write Self"
            findings.add(f"{at}.match", "UnknownMatch", text)
    result: dict[str, Any] = {"sameLabels": list(labels)}
    if one.pod_selector is not None:
        pods = selector(one.pod_selector, f"{path}.podSelector", findings)
        if pods:
            result["endpoints"] = pods
    return result


def group(
    subject: Subject, spec: Any, cluster: Cluster, findings: Findings
) -> list[dict[str, Any]]:
    """The Group that a Group or ClusterGroup becomes; a ClusterGroup, one in every tenant."""
    given = read({} if spec is None else spec, GroupSpec, "spec", findings)
    side = Side(subject.namespace, findings, cluster)
    if given is None:
        return []
    body = {"members": _members(given, side)}
    name = side.group(subject.name)
    tenants = [cluster.tenant_of(subject.namespace)] if side.namespace else cluster.everyone()
    return [manifest(subject, "Group", name, body, tenant=tenant) for tenant in tenants]


def _members(given: GroupSpec, side: Side) -> list[dict[str, Any]]:
    findings, fields = side.findings, _given(given)
    if "externalEntitySelector" in fields:
        refuse("spec.externalEntitySelector", _NO_EXTERNAL, findings)
        return []
    if len(fields) > 1 and set(fields) != {"podSelector", "namespaceSelector"}:
        text = f"{' and '.join(fields)} do not go together; make a group of each, and one of those"
        findings.add("spec", "TooMany", text)
        return []
    if given.ip_block is not None or given.ip_blocks or given.child_groups:
        return _listed(given, side)
    if given.service_reference is not None:
        return backing(given.service_reference, "spec.serviceReference", side.cluster, findings)
    if given.node_selector is not None:
        if side.namespace:
            text = "nodes are in no namespace; make a ClusterGroup"
            findings.add("spec.nodeSelector", "NotHere", text)
        return [{"hosts": selector(given.node_selector, "spec.nodeSelector", findings)}]
    if not fields:
        return []
    spaces = pods = None
    if given.namespace_selector is not None:
        spaces = selector(given.namespace_selector, "spec.namespaceSelector", findings)
    if given.pod_selector is not None:
        pods = selector(given.pod_selector, "spec.podSelector", findings)
    return [side.pods(spaces, pods)]


def _listed(given: GroupSpec, side: Side) -> list[dict[str, Any]]:
    findings = side.findings
    if given.ip_block is not None:
        return [block(given.ip_block, "spec.ipBlock", findings)]
    at_most(given.child_groups or (), MOST_MEMBERS, "spec.childGroups", findings, _SPLIT)
    at_most(given.ip_blocks or (), MOST_MEMBERS, "spec.ipBlocks", findings, _SPLIT)
    for number, name in enumerate(given.child_groups or ()):
        findings.reading(f"spec.childGroups[{number}]", "BadName", syntax.dns_subdomain, name)
    below = [{"group": side.group(name)} for name in given.child_groups or ()]
    return below + [
        block(one, f"spec.ipBlocks[{number}]", findings)
        for number, one in enumerate(given.ip_blocks or ())
    ]
