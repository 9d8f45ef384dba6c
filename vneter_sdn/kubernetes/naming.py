# SPDX-License-Identifier: Apache-2.0
"""What the objects are called that foreign manifests become, and where each came from.

Object ``p`` of namespace ``x`` is ``x.p``: namespaces have no dots, so the first one splits it.
A suffix keeps kinds apart that may have the same names: ``.antrea``, ``.acnp``, ``.anp``,
``.banp``, ``.cnp``, and ``.cg`` of Antrea's ClusterGroups.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from vneter_sdn.kubernetes.meta import ObjectMeta
from vneter_sdn.model.kinds import API_VERSION

if TYPE_CHECKING:
    from vneter_sdn.kubernetes.services import ServiceSpec

ORIGIN = "vneter.io/origin"
"""Annotation: the kind and name that an object was written as."""
EGRESS_RULES = "vneter.io/egress-rules"
"""Annotation: which egress rule of what was written each is, where one is several: ``0,0,1``."""
TENANT = "vneter.io/tenant"
"""Annotation of a Namespace: which tenant it belongs to; ``own``: the one of its own name."""
NETWORK = "vneter.io/network"
"""Annotation of a Pod: the network it is attached to, instead of `PODS`."""
OVSDB = "vneter.io/ovsdb"
"""Annotation of a Node: where its ovsdb-server listens."""
POD_CIDRS = "vneter.io/pod-cidrs"
"""Annotation of a Host that was a Node: what addresses its pods have, joined by commas."""
SERVICE_ACCOUNT = "vneter.io/service-account"
"""Label of an Endpoint that was a Pod: its service account."""
PODS = "pods"
"""The network that pods are attached to, in each tenant."""

_LONGEST = 63
_OURS = "vneter.io/"


def shortened(name: str) -> str:
    """A name of at most 63 characters; longer ones end in a hash of the whole."""
    if len(name) <= _LONGEST:
        return name
    digest = blake2b(name.encode("utf-8", "backslashreplace"), digest_size=5).hexdigest()
    return f"{name[: _LONGEST - 11]}-{digest}"


def joined(namespace: str, name: str, suffix: str = "") -> str:
    """``x.p``, ``x.p.antrea``."""
    return shortened(f"{namespace}.{name}{suffix}")


@dataclass(frozen=True, slots=True)
class Subject:
    """One foreign manifest, identified."""

    version: str
    kind: str
    meta: ObjectMeta
    name: str
    namespace: str = ""
    """Empty for kinds that live in no namespace."""

    @property
    def origin(self) -> str:
        """``networking.k8s.io/v1/NetworkPolicy x/p``."""
        place = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.version}/{self.kind} {place}"


@dataclass(frozen=True, slots=True)
class Hosted:
    """A pod on the network of its node: to everybody else it is its node."""

    name: str
    """``namespace/pod``."""
    node: str
    """Empty when nothing says where it is."""
    addresses: tuple[str, ...]
    """As its status says; its node's when empty."""


@dataclass(slots=True)
class Cluster:
    """What is known of all manifests while each is translated."""

    tenant: str
    """Of namespaces that say nothing else."""
    tenants: dict[str, str] = field(default_factory=dict)
    """Of namespaces that do."""
    notes: list[str] = field(default_factory=list)
    wide: set[tuple[str, str]] = field(default_factory=set)
    """(namespace, name) of Groups that reach beyond their namespace."""
    nodal: set[tuple[str, str]] = field(default_factory=set)
    """(namespace, or nothing of a ClusterGroup; name) of groups that have nodes."""
    services: dict[tuple[str, str], ServiceSpec] = field(default_factory=dict)
    """By namespace and name, those among the manifests."""
    hosted: list[Hosted] = field(default_factory=list)
    nodes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Addresses of nodes, as the statuses of their pods have them."""

    def tenant_of(self, namespace: str) -> str:
        """The tenant that a namespace is in."""
        return self.tenants.get(namespace, self.tenant)

    def everyone(self) -> list[str]:
        """Every tenant that namespaces of the cluster are in."""
        return sorted({self.tenant, *self.tenants.values()})


def manifest(
    subject: Subject,
    kind: str,
    name: str,
    spec: Mapping[str, Any],
    *,
    tenant: str | None = None,
    labels: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """A manifest of ours that a foreign one becomes."""
    annotations = {
        key: value
        for key, value in (subject.meta.annotations or {}).items()
        if key.startswith(_OURS) and key not in {ORIGIN, EGRESS_RULES}
    }
    metadata: dict[str, Any] = {"name": name}
    if tenant is not None:
        metadata["tenant"] = tenant
    given = dict(subject.meta.labels or {}) if labels is None else dict(labels)
    if given:
        metadata["labels"] = given
    metadata["annotations"] = {**annotations, ORIGIN: subject.origin}
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": dict(spec)}


def lines(texts: Iterable[str], limit: int = 5) -> str:
    """``a, b and 3 more``."""
    every = list(texts)
    shown = ", ".join(every[:limit])
    return f"{shown} and {len(every) - limit} more" if len(every) > limit else shown
