# SPDX-License-Identifier: Apache-2.0
"""Kinds of what tenants have: networks, and endpoints in them."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from vneter_sdn.model.policy_kinds import NamedPort
from vneter_sdn.model.router_kinds import RaSpec
from vneter_sdn.model.scalars import Address, DomainName, MacAddress, Name, Prefix, Spec, Text


class TenantSpec(Spec, frozen=True, kw_only=True):
    """An isolation domain. Networks of one tenant route to each other, never to another's."""

    description: Annotated[Text, Meta(description="For people.")] = ""
    default_ingress: Annotated[
        Literal["allow", "drop"],
        Meta(description="What becomes of connections to its endpoints that no policy decides."),
    ] = "allow"
    default_egress: Annotated[
        Literal["allow", "drop"],
        Meta(description="What becomes of connections from its endpoints that no policy decides."),
    ] = "allow"
    domain: Annotated[
        DomainName | None,
        Meta(
            description="What names of its endpoints end in where networks have dns: "
            "<endpoint>.<network>.<domain>; '<tenant>.internal' when absent."
        ),
    ] = None
    log_denied: Annotated[
        bool,
        Meta(
            description="One audit line for each new connection that is denied for want of a rule: "
            "by isolation, or by the defaults."
        ),
    ] = False


class StaticRoute(Spec, frozen=True, kw_only=True):
    """A route that endpoints are told of."""

    prefix: Annotated[Prefix, Meta(description="Where to.")]
    via: Annotated[
        Address | None,
        Meta(description="An address of the network; its gateway when absent."),
    ] = None


class DhcpSpec(Spec, frozen=True, kw_only=True):
    """How endpoints of a network are told their IPv4 configuration, by DHCP."""

    enabled: Annotated[bool, Meta(description="Whether endpoints that ask are answered.")] = True
    lease_seconds: Annotated[
        int,
        Meta(
            ge=60,
            le=31_536_000,
            description="How long endpoints may go without asking again. Addresses are theirs "
            "whatever they ask; a lease should outlast any time without a controller.",
        ),
    ] = 86_400
    dns_servers: Annotated[
        tuple[Address, ...],
        Meta(max_length=4, description="The gateway when absent and dns is enabled."),
    ] = ()
    ntp_servers: Annotated[tuple[Address, ...], Meta(max_length=4)] = ()
    domain: Annotated[
        DomainName | None,
        Meta(description="Of the endpoints' names; that of dns when absent and it is enabled."),
    ] = None
    search: Annotated[
        tuple[DomainName, ...],
        Meta(max_length=8, description="Domains to look for short names in."),
    ] = ()
    routes: Annotated[
        tuple[StaticRoute, ...],
        Meta(max_length=32, description="Besides the one to everywhere by the gateway."),
    ] = ()


class DnsSpec(Spec, frozen=True, kw_only=True):
    """How endpoints of a network are told names, by DNS at the gateway's addresses."""

    enabled: Annotated[bool, Meta(description="Whether endpoints that ask are answered.")] = True
    upstreams: Annotated[
        tuple[Address, ...],
        Meta(
            max_length=4,
            description="Servers that are asked, by the controller, for names that are nobody's "
            "here; those of the settings when absent.",
        ),
    ] = ()
    ttl_seconds: Annotated[
        int, Meta(ge=0, le=86_400, description="How long endpoints' addresses may be remembered.")
    ] = 30


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
    dhcp: Annotated[
        DhcpSpec | None, Meta(description="IPv4 configuration for endpoints; none when absent.")
    ] = None
    dns: Annotated[DnsSpec | None, Meta(description="Names for endpoints; none when absent.")] = (
        None
    )
    ra: Annotated[
        RaSpec | None,
        Meta(description="IPv6 configuration for endpoints; none when absent."),
    ] = None
    proxy_neighbours: Annotated[
        bool,
        Meta(
            description="Answers ARP and neighbour solicitations for the tenant's other networks "
            "with the gateway's MAC, for endpoints that take those to be on their link."
        ),
    ] = False
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
    namespace: Annotated[
        Name | None,
        Meta(description="A Namespace of the same tenant, for policies; none if absent."),
    ] = None
    ports: Annotated[
        tuple[NamedPort, ...],
        Meta(max_length=256, description="Ports that policies call by name."),
    ] = ()
