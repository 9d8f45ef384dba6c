# SPDX-License-Identifier: Apache-2.0
"""v1 Services, as far as Antrea's policies refer to them: whom they select, and where they listen.

There is no proxy of Services here, so nothing else comes of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any

from msgspec import field
from msgspec.structs import replace

from vneter_sdn.kubernetes import ports
from vneter_sdn.kubernetes.meta import NamespacedName, check_labels, own
from vneter_sdn.kubernetes.naming import Cluster
from vneter_sdn.kubernetes.reading import Loose, read
from vneter_sdn.model.addresses import IPAddress
from vneter_sdn.policy.findings import Findings


class ServicePort(Loose, frozen=True, kw_only=True):
    """ServicePort."""

    port: int
    protocol: str | None = None


class PeerService(NamespacedName, frozen=True, kw_only=True):
    """PeerService of Antrea's."""

    scope: str | None = None


class ServiceSpec(Loose, frozen=True, kw_only=True):
    """ServiceSpec."""

    selector: dict[str, str] | None = None
    cluster_ip: str | None = field(default=None, name="clusterIP")
    cluster_ips: tuple[str, ...] | None = field(default=None, name="clusterIPs")
    ports: tuple[ServicePort, ...] | None = None


def service(spec: Any, findings: Findings) -> ServiceSpec | None:
    """A Service as it is written; None when it cannot be read."""
    given = read({} if spec is None else spec, ServiceSpec, "spec", findings)
    if given is None:
        return None
    check_labels(given.selector or {}, "spec.selector", findings)
    for number, one in enumerate(given.ports or ()):
        ports.protocol(one.protocol, f"spec.ports[{number}]", findings)
        ports.number(one.port, f"spec.ports[{number}].port", findings)
    _addresses(given, findings)
    return given


def _addresses(given: ServiceSpec, findings: Findings | None = None) -> list[IPAddress]:
    texts = (given.cluster_ip, *(given.cluster_ips or ()))
    found = []
    for text in dict.fromkeys(texts):
        if not text or text == "None":
            continue
        try:
            found.append(ip_address(text))
        except ValueError:
            if findings is not None:
                message = f"{text[:64]!r} is no address; write it like 10.96.0.10, or None"
                findings.add("spec.clusterIP", "BadAddress", message)
    return found


def backing(
    name: NamespacedName, path: str, cluster: Cluster, findings: Findings
) -> list[dict[str, Any]]:
    """The pods behind a Service, by its selector; nobody where it has none."""
    found = _found(name, path, cluster, findings)
    if found is None or not found.selector:
        return []
    chosen = {"matchLabels": dict(found.selector)}
    return [{"namespaces": own(name.namespace), "endpoints": chosen}]


def listening(
    names: Sequence[PeerService], path: str, home: str, cluster: Cluster, findings: Findings
) -> list[dict[str, Any]]:
    """Peers and ports of rules that are about Services by where they listen.

    Pods behind them that are spoken to without them are not meant. ``home`` is the namespace of
    Services that say none; empty when there is none.
    """
    among: dict[tuple[tuple[str, int], ...], list[dict[str, Any]]] = {}
    for number, given in enumerate(names):
        name = replace(given, namespace=given.namespace or home)
        if name.scope not in {None, "Cluster"}:
            text = "there is one cluster only; write Cluster, or nothing"
            findings.add(f"{path}[{number}].scope", "NotSupported", text)
        found = _found(name, f"{path}[{number}]", cluster, findings)
        if found is None:
            continue
        if not _addresses(found):
            cluster.notes.append(
                f"{findings.subject}: {path}[{number}]: Service {name.namespace}/{name.name} has "
                "no clusterIP, so nobody speaks to it there"
            )
        wanted = tuple(((one.protocol or "TCP").lower(), one.port) for one in found.ports or ())
        peers = [{"cidr": f"{one}/{one.max_prefixlen}"} for one in _addresses(found)]
        among.setdefault(wanted, []).extend(peers)
    return [
        {
            "peers": peers,
            "ports": [{"protocol": protocol, "port": port} for protocol, port in wanted],
        }
        for wanted, peers in among.items()
        if wanted
    ]


def _found(
    name: NamespacedName, path: str, cluster: Cluster, findings: Findings
) -> ServiceSpec | None:
    missing = [word for word in ("name", "namespace") if not getattr(name, word)]
    if missing:
        findings.add(f"{path}.{missing[0]}", "Missing", "is required")
        return None
    if (name.namespace, name.name) not in cluster.services:
        text = (
            f"there is no Service {name.namespace[:64]}/{name.name[:64]} among the manifests; "
            "give it with them, or write the pods behind it"
        )
        findings.add(path, "UnknownReference", text)
    return cluster.services.get((name.namespace, name.name))
