# SPDX-License-Identifier: Apache-2.0
"""The kinds: one Struct each, the single source of validation, REST, OpenAPI, CLI and docs.

A kind is a frozen ``msgspec`` Struct for its ``spec``. The docstring of the Struct, the
``description`` of each field and the constraints in ``Meta`` are what users read in
``vneterctl explain``, in OpenAPI and in the reference page; there is no second place.
Rules that need more than one object live in `vneter_sdn.admission`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta, Struct

from vneter_sdn.model.host_kinds import HostSpec, LinkSpec
from vneter_sdn.model.network_kinds import EndpointSpec, NetworkSpec, TenantSpec
from vneter_sdn.model.path_kinds import DemandSpec, PathPolicySpec, ReservationSpec
from vneter_sdn.model.policy_kinds import (
    AssertionSpec,
    ClusterPolicySpec,
    GroupSpec,
    NamespaceSpec,
    PolicySpec,
    TierSpec,
)
from vneter_sdn.model.scalars import LabelKey, LabelValue, Name, Spec

__all__ = [
    "API_VERSION",
    "KINDS",
    "EndpointSpec",
    "HostSpec",
    "Kind",
    "LinkSpec",
    "Metadata",
    "NetworkSpec",
    "TenantSpec",
]

API_VERSION = "vneter.io/v1"


@dataclass(frozen=True, slots=True)
class Kind:
    """What the surfaces need to know of a kind."""

    name: str
    plural: str
    short: tuple[str, ...]
    spec: type[Spec]
    tenanted: bool
    columns: tuple[tuple[str, str], ...]
    """Columns of ``vneterctl get``: (heading, JSON path in the object, ``spec.vni``)."""
    wide: tuple[tuple[str, str], ...] = ()


_POLICY_COLUMNS = (
    ("TIER", "spec.tier"),
    ("PRIORITY", "spec.priority"),
    ("ENDPOINTS", "status.endpoints"),
    ("RULES", "status.rules"),
)
_POLICY_WIDE = (("ESTABLISHED", "spec.established"), ("FLOWS", "status.flows"))

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "Host",
            "hosts",
            ("ho",),
            HostSpec,
            False,
            (
                ("BRIDGE", "spec.bridge"),
                ("TUNNEL", "spec.tunnelAddresses"),
                ("ENCAP", "spec.encapsulation"),
                ("DPID", "status.datapathId"),
            ),
            (("OVSDB", "spec.ovsdb"), ("SITE", "spec.site")),
        ),
        Kind(
            "Link",
            "links",
            ("ln",),
            LinkSpec,
            False,
            (
                ("SOURCE", "spec.source"),
                ("TARGET", "spec.target"),
                ("MEDIUM", "spec.medium"),
                ("COST", "spec.cost"),
                ("STATE", "status.state"),
                ("LATENCY", "status.latencyMs"),
                ("LOSS", "status.loss"),
                ("USED", "status.utilisation"),
            ),
            (
                ("CAPACITY", "status.capacityMbps"),
                ("PORTS", "status.ports"),
                ("ORIGIN", "status.origin"),
            ),
        ),
        Kind("Tenant", "tenants", ("tn",), TenantSpec, False, (("ID", "status.tenantId"),)),
        Kind(
            "Namespace",
            "namespaces",
            ("ns",),
            NamespaceSpec,
            True,
            (("LABELS", "metadata.labels"),),
        ),
        Kind(
            "Network",
            "networks",
            ("net",),
            NetworkSpec,
            True,
            (("PREFIXES", "spec.prefixes"), ("VNI", "status.vni"), ("MTU", "spec.mtu")),
            (("GATEWAYS", "status.gateways"), ("GATEWAY-MAC", "status.gatewayMac")),
        ),
        Kind(
            "Endpoint",
            "endpoints",
            ("ep",),
            EndpointSpec,
            True,
            (
                ("NETWORK", "spec.network"),
                ("ADDRESSES", "status.addresses"),
                ("HOST", "status.host"),
            ),
            (("MAC", "status.mac"), ("PORT", "status.port"), ("SLOT", "status.slot")),
        ),
        Kind(
            "PathPolicy",
            "pathpolicies",
            ("pp",),
            PathPolicySpec,
            False,
            (
                ("PRIORITY", "spec.priority"),
                ("OBJECTIVE", "spec.objective"),
                ("PATHS", "spec.paths"),
                ("TENANTS", "spec.tenants"),
            ),
            (("SHARING", "spec.sharing"), ("DISJOINT", "spec.disjoint")),
        ),
        Kind(
            "Reservation",
            "reservations",
            ("rsv",),
            ReservationSpec,
            False,
            (
                ("TENANT", "spec.tenant"),
                ("SOURCE", "spec.source"),
                ("TARGET", "spec.target"),
                ("MBPS", "spec.rateMbps"),
            ),
            (("START", "spec.start"), ("END", "spec.end")),
        ),
        Kind(
            "Demand",
            "demands",
            ("dm",),
            DemandSpec,
            False,
            (("SOURCE", "spec.source"), ("TARGET", "spec.target"), ("MBPS", "spec.mbps")),
        ),
        Kind(
            "Tier",
            "tiers",
            ("tr",),
            TierSpec,
            False,
            (("PRIORITY", "spec.priority"), ("DESCRIPTION", "spec.description")),
        ),
        Kind("Group", "groups", ("gr",), GroupSpec, True, (("MEMBERS", "status.members"),)),
        Kind(
            "Policy",
            "policies",
            ("pol", "netpol"),
            PolicySpec,
            True,
            _POLICY_COLUMNS,
            _POLICY_WIDE,
        ),
        Kind(
            "ClusterPolicy",
            "clusterpolicies",
            ("cpol",),
            ClusterPolicySpec,
            False,
            (*_POLICY_COLUMNS, ("TENANTS", "spec.tenants")),
            _POLICY_WIDE,
        ),
        Kind(
            "Assertion",
            "assertions",
            ("as",),
            AssertionSpec,
            False,
            (("EXPECT", "spec.expect"), ("HOLDS", "status.holds")),
        ),
    )
}
"""Every kind, in the order in which references point: a kind refers only to those above it,
save that a Host has no order among Links."""


class Metadata(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Who an object is."""

    name: Name
    tenant: Annotated[Name | None, Meta(description="For kinds that belong to a tenant.")] = None
    labels: Annotated[dict[LabelKey, LabelValue], Meta(max_length=64)] = {}
    annotations: Annotated[
        dict[LabelKey, Annotated[str, Meta(max_length=65536)]], Meta(max_length=64)
    ] = {}
    uid: Annotated[str | None, Meta(description="Set by the store; ignored when given.")] = None
    revision: Annotated[
        int | None,
        Meta(description="Revision that last changed it; when given, must be the current one."),
    ] = None
    created: Annotated[str | None, Meta(description="RFC 3339; set by the store.")] = None
