# SPDX-License-Identifier: Apache-2.0
"""v1 Namespace, Pod and Node: what they are to a network; their other fields do not matter here."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from ipaddress import ip_address
from typing import Any

from msgspec import field

from vneter_sdn.kubernetes import ports, syntax
from vneter_sdn.kubernetes.naming import (
    NETWORK,
    OVSDB,
    POD_CIDRS,
    PODS,
    SERVICE_ACCOUNT,
    Cluster,
    Hosted,
    Subject,
    joined,
    manifest,
    shortened,
)
from vneter_sdn.kubernetes.reading import Loose, read
from vneter_sdn.policy.findings import Findings

LOGGING = "networkpolicy.antrea.io/enable-logging"
"""Annotation of a Namespace, of Antrea's: whether what NetworkPolicies in it decide is logged."""
_BY_RULE = (
    "rules of policies of Antrea's are logged that say enableLogging, and our own that say log"
)


class ContainerPort(Loose, frozen=True, kw_only=True):
    """ContainerPort."""

    name: str | None = None
    container_port: int
    protocol: str | None = None


class Container(Loose, frozen=True, kw_only=True):
    """Container; an initContainer that restarts always is a sidecar, and runs beside them."""

    ports: tuple[ContainerPort, ...] | None = None
    restart_policy: str | None = None


class PodSpec(Loose, frozen=True, kw_only=True):
    """PodSpec."""

    containers: tuple[Container, ...] | None = None
    init_containers: tuple[Container, ...] | None = None
    node_name: str | None = None
    node_selector: dict[str, str] | None = None
    host_network: bool | None = None
    service_account_name: str | None = None
    service_account: str | None = None


class PodIP(Loose, frozen=True, kw_only=True):
    """PodIP."""

    ip: str = ""


class PodStatus(Loose, frozen=True, kw_only=True):
    """PodStatus."""

    phase: str | None = None
    pod_ip: str | None = field(default=None, name="podIP")
    pod_ips: tuple[PodIP, ...] | None = field(default=None, name="podIPs")
    host_ip: str | None = field(default=None, name="hostIP")
    host_ips: tuple[PodIP, ...] | None = field(default=None, name="hostIPs")


class NodeSpec(Loose, frozen=True, kw_only=True):
    """NodeSpec."""

    pod_cidr: str | None = field(default=None, name="podCIDR")
    pod_cidrs: tuple[str, ...] | None = field(default=None, name="podCIDRs")


class NodeAddress(Loose, frozen=True, kw_only=True):
    """NodeAddress."""

    type: str
    address: str


class NodeStatus(Loose, frozen=True, kw_only=True):
    """NodeStatus."""

    addresses: tuple[NodeAddress, ...] | None = None


def namespace(subject: Subject, cluster: Cluster) -> list[dict[str, Any]]:
    """The Namespace that a Namespace becomes, of whichever tenant it is in."""
    tenant = cluster.tenant_of(subject.name)
    if LOGGING in (subject.meta.annotations or {}):
        cluster.notes.append(f"Namespace {subject.name}: {LOGGING} is without effect; {_BY_RULE}")
    return [manifest(subject, "Namespace", shortened(subject.name), {}, tenant=tenant)]


def pod(
    subject: Subject, spec: Any, status: Any, cluster: Cluster, findings: Findings
) -> list[dict[str, Any]]:
    """The Endpoint that a Pod becomes; none when it is on its node's network, or is over."""
    given = read({} if spec is None else spec, PodSpec, "spec", findings)
    state = read({} if status is None else status, PodStatus, "status", findings)
    if given is None or state is None:
        return []
    if given.node_name and not cluster.nodes.get(shortened(given.node_name)):
        cluster.nodes[shortened(given.node_name)] = _node_addresses(given, state)
    if state.phase in {"Succeeded", "Failed"}:
        cluster.notes.append(f"{findings.subject}: left out, it is over ({state.phase})")
        return []
    return endpoint(subject, given, _addresses(state, findings), cluster, findings)


def _node_addresses(spec: PodSpec, status: PodStatus) -> tuple[str, ...]:
    """Where a pod's node is by its status, or by its own address if it is on the node's network."""
    texts = [status.host_ip or "", *(one.ip for one in status.host_ips or ())]
    if spec.host_network:
        texts += [status.pod_ip or "", *(one.ip for one in status.pod_ips or ())]
    found = []
    for text in filter(None, texts):
        with suppress(ValueError):
            found.append(str(ip_address(text)))
    return tuple(dict.fromkeys(found))


def endpoint(
    subject: Subject,
    spec: PodSpec,
    addresses: Sequence[str],
    cluster: Cluster,
    findings: Findings,
) -> list[dict[str, Any]]:
    """The Endpoint of a pod; none when the pod is on its node's network."""
    if spec.host_network:
        text = f"{findings.subject}: hostNetwork makes it a part of its node, and no endpoint"
        cluster.notes.append(text)
        node = shortened(spec.node_name) if spec.node_name else ""
        name = f"{subject.namespace}/{subject.name}"
        cluster.hosted.append(Hosted(name, node, tuple(addresses)))
        return []
    network = (subject.meta.annotations or {}).get(NETWORK, PODS)
    result: dict[str, Any] = {"network": network, "namespace": subject.namespace}
    named = named_ports(spec, findings)
    if named:
        result["ports"] = named
    if addresses:
        result["addresses"] = list(addresses)
    if spec.node_name:
        findings.reading("spec.nodeName", "BadName", syntax.dns_subdomain, spec.node_name)
        result["host"] = shortened(spec.node_name)
    labels = dict(subject.meta.labels or {})
    account = spec.service_account_name or spec.service_account or "default"
    findings.reading("spec.serviceAccountName", "BadName", syntax.dns_subdomain, account)
    if len(account) <= 63:
        labels[SERVICE_ACCOUNT] = account
    name = joined(subject.namespace, subject.name)
    tenant = cluster.tenant_of(subject.namespace)
    return [manifest(subject, "Endpoint", name, result, tenant=tenant, labels=labels)]


def named_ports(spec: PodSpec, findings: Findings) -> list[dict[str, Any]]:
    """Ports with names, the first of each name and protocol, containers before sidecars."""
    found: dict[tuple[str, str], int] = {}
    for kind, containers in (
        ("containers", spec.containers),
        ("initContainers", spec.init_containers),
    ):
        for number, container in enumerate(containers or ()):
            if kind == "initContainers" and container.restart_policy != "Always":
                continue
            for position, port in enumerate(container.ports or ()):
                at = f"spec.{kind}[{number}].ports[{position}]"
                protocol = ports.protocol(port.protocol, at, findings)
                sound = ports.number(port.container_port, f"{at}.containerPort", findings)
                if port.name and sound:
                    findings.reading(f"{at}.name", "BadPort", syntax.port_name, port.name)
                    found.setdefault((port.name, protocol), port.container_port)
    return [
        {"name": name, "protocol": protocol, "port": port}
        for (name, protocol), port in found.items()
    ]


def _addresses(status: PodStatus, findings: Findings) -> list[str]:
    """One address per family at most, the first of each."""
    texts = [(f"status.podIPs[{n}].ip", one.ip) for n, one in enumerate(status.pod_ips or ())]
    if status.pod_ip:
        texts.insert(0, ("status.podIP", status.pod_ip))
    found: dict[int, str] = {}
    for path, text in texts:
        try:
            address = ip_address(text)
        except ValueError:
            shown = repr(text[:64])
            findings.add(path, "BadAddress", f"{shown} is no address; write it like 10.244.0.5")
            continue
        found.setdefault(address.version, str(address))
    return list(found.values())


def node(
    subject: Subject, spec: Any, status: Any, cluster: Cluster, findings: Findings
) -> list[dict[str, Any]]:
    """The Host that a Node becomes.

    Tunnels are between internal addresses, or else external ones. A Node that is nowhere, without
    a database, has both: policies that name nodes are about all of their addresses.
    """
    given = read({} if spec is None else spec, NodeSpec, "spec", findings)
    state = read({} if status is None else status, NodeStatus, "status", findings)
    if given is None or state is None:
        return []
    found: dict[str, list[str]] = {"InternalIP": [], "ExternalIP": []}
    for number, one in enumerate(state.addresses or ()):
        if one.type in found:
            try:
                found[one.type].append(str(ip_address(one.address)))
            except ValueError:
                text = f"{one.address[:64]!r} is no address; write it like 192.0.2.1"
                findings.add(f"status.addresses[{number}].address", "BadAddress", text)
    result: dict[str, Any] = {}
    ovsdb = (subject.meta.annotations or {}).get(OVSDB)
    if ovsdb:
        result["ovsdb"] = ovsdb
    every = [*found["InternalIP"], *found["ExternalIP"]]
    addresses = found["InternalIP"] if ovsdb and found["InternalIP"] else every
    if addresses:
        result["tunnelAddresses"] = list(dict.fromkeys(addresses))
    made = manifest(subject, "Host", shortened(subject.name), result)
    cidrs = given.pod_cidrs or ((given.pod_cidr,) if given.pod_cidr else ())
    texts = [
        ports.cidr(text, f"spec.podCIDRs[{n}]" if given.pod_cidrs else "spec.podCIDR", findings)
        for n, text in enumerate(cidrs)
    ]
    if texts:
        made["metadata"]["annotations"][POD_CIDRS] = ",".join(texts)
    return [made]
