# SPDX-License-Identifier: Apache-2.0
"""The kinds: one Struct each, the single source of validation, REST, OpenAPI, CLI and docs.

A kind is a frozen ``msgspec`` Struct for its ``spec``. The docstring of the Struct, the
``description`` of each field and the constraints in ``Meta`` are what users read in
``vneterctl explain``, in OpenAPI and in the reference page; there is no second place.
Rules that need more than one object live in `vneter_sdn.admission`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import Meta, Struct

from vneter_sdn.model.path_kinds import DemandSpec, PathPolicySpec, ReservationSpec
from vneter_sdn.model.scalars import (
    Address,
    BridgeName,
    Encapsulation,
    LabelKey,
    LabelValue,
    MacAddress,
    Name,
    Prefix,
    Spec,
    Text,
)

API_VERSION = "vneter.io/v1"


class TenantSpec(Spec, frozen=True, kw_only=True):
    """An isolation domain. Networks of one tenant route to each other, never to another's."""

    description: Annotated[Text, Meta(description="For people.")] = ""


class NetworkSpec(Spec, frozen=True, kw_only=True):
    """A tenant's L2/L3 segment: prefixes, a VNI and a distributed gateway."""

    prefixes: Annotated[
        tuple[Prefix, ...],
        Meta(
            min_length=1,
            max_length=2,
            description="At most one IPv4 and one IPv6 prefix. Prefixes of one tenant may not "
            "overlap; those of different tenants may.",
        ),
    ]
    gateways: Annotated[
        tuple[Address, ...],
        Meta(
            max_length=2,
            description="One address per prefix, at most; the first usable one by default.",
        ),
    ] = ()
    vni: Annotated[
        Annotated[int, Meta(ge=1, le=0xFFFFFF)] | None,
        Meta(description="Virtual network identifier; chosen when absent."),
    ] = None
    mtu: Annotated[
        int,
        Meta(
            ge=1280,
            le=65000,
            description="Largest IP packet, in bytes; must fit the underlay less encapsulation.",
        ),
    ] = 1400
    block_length4: Annotated[
        int,
        Meta(ge=8, le=32, description="Length of the IPv4 block each host draws addresses from."),
    ] = 26
    block_length6: Annotated[
        int,
        Meta(ge=8, le=128, description="Length of the IPv6 block each host draws addresses from."),
    ] = 122
    reuse_delay_seconds: Annotated[
        int, Meta(ge=0, le=86400, description="How long a released address rests before reuse.")
    ] = 60
    learning: Annotated[
        bool,
        Meta(
            description="For labs: on hosts without ovsdb, whoever sends ARP or IPv4 by a port "
            "that is nobody's becomes an endpoint of this network, with the addresses it sent "
            "from. At most one network of all may."
        ),
    ] = False


class EndpointSpec(Spec, frozen=True, kw_only=True):
    """A workload's attachment to a network: a pod, VM, namespace or VF."""

    network: Annotated[Name, Meta(description="A network of the same tenant.")]
    addresses: Annotated[
        tuple[Address, ...],
        Meta(
            max_length=2,
            description="Requested addresses, one per prefix at most; the others are chosen.",
        ),
    ] = ()
    mac: Annotated[
        MacAddress | None, Meta(description="Requested Ethernet address; chosen when absent.")
    ] = None
    host: Annotated[
        Name | None,
        Meta(
            description="Where it is expected: its addresses come from that host's block. Where "
            "it is, the iface-id in OVSDB decides."
        ),
    ] = None
    interface_id: Annotated[
        Annotated[str, Meta(min_length=1, max_length=255)] | None,
        Meta(description="The iface-id it binds by; '<tenant>/<name>' when absent."),
    ] = None


class HostSpec(Spec, frozen=True, kw_only=True):
    """A machine with Open vSwitch."""

    ovsdb: Annotated[
        Annotated[
            str,
            Meta(
                pattern=r"^(unix:/.+|ssl:.+:\d+|tcp:.+:\d+)$(?!\n)",
                description="ssl:192.0.2.1:6640, unix:PATH or tcp:127.0.0.1:6640.",
            ),
        ]
        | None,
        Meta(
            description="Where its ovsdb-server listens: ssl:192.0.2.1:6640, or unix:PATH on the "
            "controller's own machine. tcp: is for loopback and labs. Without one the bridge is "
            "driven by OpenFlow alone: somebody else makes it and points it at the controller, "
            "tunnels cannot end on it, and datapathId has to say which it is.",
        ),
    ] = None
    datapath_id: Annotated[
        Annotated[
            str,
            Meta(
                pattern=r"^[0-9a-f]{16}$(?!\n)",
                description="16 lower-case hexadecimal digits: 000000000000000a.",
            ),
        ]
        | None,
        Meta(description="Datapath id of its bridge; chosen when absent, if it has ovsdb."),
    ] = None
    tunnel_addresses: Annotated[
        tuple[Address, ...],
        Meta(max_length=16, description="Underlay addresses, one per NIC, the preferred first."),
    ] = ()
    underlay_mtu: Annotated[
        int, Meta(ge=1280, le=65535, description="Largest IP packet on the underlay, in bytes.")
    ] = 1500
    encapsulation: Annotated[
        Encapsulation, Meta(description="Of its tunnels, unless a Link says otherwise.")
    ] = "geneve"
    bridge: Annotated[
        BridgeName,
        Meta(
            description="The bridge to program; made when missing. Best one of its own: flows "
            "of others in it are left alone, but Open vSwitch itself clears every flow of a bridge "
            "when that is given its first controller, so a bridge with flows of yours needs a "
            "controller configured before it is named here.",
        ),
    ] = "br-int"
    datapath_type: Annotated[
        Literal["system", "netdev", "dummy"],
        Meta(description="system: kernel; netdev: userspace or DPDK; dummy: tests only."),
    ] = "system"
    controller: Annotated[
        str | None,
        Meta(
            description="OpenFlow target written to the bridge; when absent, the controller's "
            "advertised address, or a unix socket beside the ovsdb socket."
        ),
    ] = None
    site: Annotated[Text, Meta(description="Where it stands, for path policies.")] = ""
    region: Annotated[Text, Meta(description="Region of the site, for path policies.")] = ""
    tags: Annotated[
        tuple[Name, ...], Meta(max_length=32, description="Words that path policies go by.")
    ] = ()
    drained: Annotated[
        bool,
        Meta(description="True keeps paths from passing through its bridge; its own stay."),
    ] = False


class LinkSpec(Spec, frozen=True, kw_only=True):
    """A connection between two hosts' bridges: a wire, or a tunnel through the underlay.

    Tunnels join every pair of hosts that have tunnel addresses, and wires are discovered, without
    anybody saying so; a Link adds what cannot be measured, or takes one away. It counts in both
    directions, unless the other has a Link of its own.
    """

    source: Annotated[Name, Meta(description="A host.")]
    target: Annotated[Name, Meta(description="Another host.")]
    medium: Annotated[
        Literal["tunnel", "wire"],
        Meta(description="tunnel: through the underlay; wire: between a port of each bridge."),
    ] = "tunnel"
    source_port: Annotated[
        BridgeName | None, Meta(description="Wires: name of the interface on the source's bridge.")
    ] = None
    target_port: Annotated[
        BridgeName | None, Meta(description="Wires: name of the interface on the target's bridge.")
    ] = None
    source_address: Annotated[
        Address | None,
        Meta(description="Tunnels: which tunnel address of the source; the first by default."),
    ] = None
    target_address: Annotated[
        Address | None,
        Meta(description="Tunnels: which tunnel address of the target; the first by default."),
    ] = None
    encapsulation: Annotated[
        Encapsulation | None, Meta(description="geneve, vxlan or gre; the hosts' when absent.")
    ] = None
    cost: Annotated[
        int, Meta(ge=1, le=0xFFFFFF, description="Administrative cost; 1 for a default tunnel.")
    ] = 1
    latency_ms: Annotated[
        Annotated[float, Meta(ge=0, le=1e6)] | None,
        Meta(description="One-way delay in milliseconds, instead of what is measured."),
    ] = None
    loss: Annotated[
        Annotated[float, Meta(ge=0, le=1)] | None,
        Meta(description="Share of packets lost, 0 to 1, instead of what is measured."),
    ] = None
    capacity_mbps: Annotated[
        Annotated[float, Meta(gt=0, le=1e9)] | None,
        Meta(description="Mbit/s each way; of a wire, its port's speed when absent."),
    ] = None
    price_per_gb: Annotated[
        float, Meta(ge=0, le=1e6, description="What a gigabyte over it costs, in any currency.")
    ] = 0.0
    mtu: Annotated[
        Annotated[int, Meta(ge=1280, le=65535)] | None,
        Meta(description="Largest IP packet of an endpoint that fits; the networks' when absent."),
    ] = None
    encrypted: Annotated[
        bool, Meta(description="Whether what passes is encrypted (IPsec, MACsec, WireGuard).")
    ] = False
    tags: Annotated[
        tuple[Name, ...], Meta(max_length=32, description="Words that path policies go by.")
    ] = ()
    risk_groups: Annotated[
        tuple[Name, ...],
        Meta(max_length=32, description="What fails together: a duct, a line card, a provider."),
    ] = ()
    disabled: Annotated[bool, Meta(description="True keeps it out of every path.")] = False
    drained: Annotated[
        bool, Meta(description="True has it used only where there is no other way.")
    ] = False


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
