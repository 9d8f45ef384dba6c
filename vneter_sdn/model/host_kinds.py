# SPDX-License-Identifier: Apache-2.0
"""Kinds of what carries the traffic: hosts with their bridges, and links between them."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from vneter_sdn.model.scalars import (
    Address,
    BridgeName,
    Encapsulation,
    Name,
    Spec,
    Text,
)


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
