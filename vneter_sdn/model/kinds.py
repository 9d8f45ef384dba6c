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

API_VERSION = "vneter.io/v1"

Name = Annotated[
    str,
    Meta(
        pattern=r"^[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?$(?!\n)",
        description="Lower-case letters, digits, '-' and '.', at most 63, as in DNS.",
    ),
]
Address = Annotated[str, Meta(max_length=64, description="An IPv4 or IPv6 address.")]
Prefix = Annotated[str, Meta(max_length=64, description="An IPv4 or IPv6 prefix: 10.0.0.0/24.")]
MacAddress = Annotated[
    str,
    Meta(
        pattern=r"^[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}$(?!\n)",
        description="An Ethernet address: 02:00:00:00:00:01.",
    ),
]
BridgeName = Annotated[
    str,
    Meta(
        pattern=r"^[-A-Za-z0-9_.]{1,15}$(?!\n)",
        description="Letters, digits, '-', '_' and '.', at most 15, as interface names are.",
    ),
]
Text = Annotated[str, Meta(max_length=1024)]
Encapsulation = Literal["geneve", "vxlan", "gre"]


class _Spec(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    pass


class TenantSpec(_Spec, frozen=True, kw_only=True):
    """An isolation domain. Networks of one tenant route to each other, never to another's."""

    description: Annotated[Text, Meta(description="For people.")] = ""


class NetworkSpec(_Spec, frozen=True, kw_only=True):
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


class EndpointSpec(_Spec, frozen=True, kw_only=True):
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


class HostSpec(_Spec, frozen=True, kw_only=True):
    """A machine with Open vSwitch."""

    ovsdb: Annotated[
        str,
        Meta(
            pattern=r"^(unix:/.+|ssl:.+:\d+|tcp:.+:\d+)$(?!\n)",
            description="Where its ovsdb-server listens: ssl:192.0.2.1:6640, or unix:PATH on the "
            "controller's own machine. tcp: is for loopback and labs.",
        ),
    ]
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
    region: Annotated[Text, Meta(description="Region of the site.")] = ""


class LinkSpec(_Spec, frozen=True, kw_only=True):
    """A connection between two hosts' bridges. Tunnels join every pair of hosts by default."""

    source: Annotated[Name, Meta(description="A host.")]
    target: Annotated[Name, Meta(description="Another host.")]
    medium: Annotated[Literal["tunnel"], Meta(description="tunnel: through the underlay.")] = (
        "tunnel"
    )
    encapsulation: Annotated[
        Encapsulation | None, Meta(description="geneve, vxlan or gre; the hosts' when absent.")
    ] = None
    cost: Annotated[
        int, Meta(ge=1, le=0xFFFFFF, description="Administrative cost; 1 for a default tunnel.")
    ] = 1
    disabled: Annotated[bool, Meta(description="True keeps it out of every path.")] = False


@dataclass(frozen=True, slots=True)
class Kind:
    """What the surfaces need to know of a kind."""

    name: str
    plural: str
    short: tuple[str, ...]
    spec: type[_Spec]
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
            (("SOURCE", "spec.source"), ("TARGET", "spec.target"), ("COST", "spec.cost")),
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
    )
}
"""Every kind, in the order in which references point: a kind refers only to those above it,
save that a Host has no order among Links."""


LabelKey = Annotated[
    str,
    Meta(
        pattern=r"^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?"
        r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$(?!\n)",
        description="As in Kubernetes: an optional DNS prefix and '/', then at most 63 characters.",
    ),
]
LabelValue = Annotated[
    str,
    Meta(
        pattern=r"^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$(?!\n)",
        description="As in Kubernetes: at most 63 letters, digits, '-', '_' and '.'.",
    ),
]


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
