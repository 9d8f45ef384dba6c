# SPDX-License-Identifier: Apache-2.0
"""L3 between a tenant's networks, on the bridge where a packet starts.

A destination network is one flow for its prefix (delivered here; where the network is not, what no
other flow takes is for nobody), one for each address block of
another host (sent there, to the network's slot), and one for each endpoint that is not where
its block is. The longest prefix wins; an endpoint's own route goes before a block of equal length.
What is for another network's gateway goes no further, so neither hops nor lengths matter
(RFC 1812 §5.3.1); what is for everybody of a network goes nowhere, and nobody is told.
Every match has the tenant in it: overlapping prefixes of two tenants never meet.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network

from vneter_sdn.compile.features.neighbour import setting
from vneter_sdn.compile.features.unit import Feature, Matched, Part, Writer, on
from vneter_sdn.compile.queries import (
    Segment,
    blocks,
    bridge_of,
    place,
    presence,
    segment,
    station,
    tenant_presence,
)
from vneter_sdn.compile.query import View
from vneter_sdn.model.addresses import IPNetwork
from vneter_sdn.model.fields import ETH_IP, ETH_IPV6
from vneter_sdn.model.flow import Action, DecTtl, Flow
from vneter_sdn.model.snapshot import Key
from vneter_sdn.pipeline.complaints import Fault
from vneter_sdn.pipeline.locator import DEFAULT, Locator
from vneter_sdn.pipeline.priorities import EXPIRED, FACE, UNROUTABLE, route
from vneter_sdn.pipeline.registers import COMPLAINT, NETWORK, ROUTED, TENANT

LINK_LOCAL = (0xFE80 << 112, 0xFFC0 << 112)


def network(view: View, key: Key, write: Writer) -> Iterator[Part]:
    """Routes to a network, and what happens to packets from it whose TTL is over."""
    to = view.ask(segment, key)
    if to is None:
        return
    here, tenant = view.ask(presence, key), view.ask(tenant_presence, key.tenant)
    for prefix in to.prefixes:
        yield on(here, _local(to, prefix, write, endpoint=False))
        yield on(tenant - here, _nobody(to, prefix, write, route(prefix.prefixlen) - 1))
    for gateway in to.gateways:
        own = _single(gateway.version, int(gateway))
        yield on(tenant, _nobody(to, own, write, FACE))
    yield on(tenant, *_for_all(to, write))
    for block in view.ask(blocks, key):
        if block.host in here:
            flow = _remote(view, to, block.prefix, block.host, write, endpoint=False)
            yield on(tenant - {block.host}, flow)
    yield on(here, *_refusals(to, write))


def endpoint(view: View, key: Key, write: Writer) -> Iterator[Part]:
    """Routes to an endpoint that is not on the host of its address block."""
    here, at = view.ask(station, key), view.ask(place, key)
    to = here and view.ask(segment, here.network)
    if not here or not at or not to:
        return
    home = [block.prefix for block in view.ask(blocks, here.network) if block.host == at.host]
    for address in here.addresses:
        if not any(address in block for block in home):
            own = _single(address.version, int(address))
            tenant = view.ask(tenant_presence, key.tenant)
            yield on(at.host, _local(to, own, write, endpoint=True))
            flow = _remote(view, to, own, at.host, write, endpoint=True)
            yield on(tenant - {at.host}, flow)


def _single(version: int, address: int) -> IPNetwork:
    return IPv4Network(address) if version == 4 else IPv6Network(address)


def _local(to: Segment, prefix: IPNetwork, write: Writer, *, endpoint: bool) -> Flow:
    priority = route(prefix.prefixlen, endpoint)
    return write("route", priority, _to(to, prefix), *_crossing(to), goto="deliver")


def _remote(
    view: View, to: Segment, prefix: IPNetwork, host: str, write: Writer, *, endpoint: bool
) -> Flow:
    bridge = view.ask(bridge_of, host)
    assert bridge is not None  # whoever is present on a host was found through its bridge
    there = setting("eth_dst", Locator(DEFAULT, bridge, to.slot).mac)
    priority = route(prefix.prefixlen, endpoint)
    return write("route", priority, _to(to, prefix), *_crossing(to), there, goto="steer")


def _nobody(to: Segment, prefix: IPNetwork, write: Writer, priority: int) -> Flow:
    """Addresses that are no endpoint's: that network's gateway says so, or answers for itself."""
    wrong = (NETWORK.load(to.vni), COMPLAINT.load(Fault.NOBODY))
    return write("route", priority, _to(to, prefix), *wrong, goto="complaints")


def _for_all(to: Segment, write: Writer) -> Iterator[Flow]:
    """What is for everybody of a network: no error may be sent about it (RFC 1812 §4.3.2.7).

    All zeros mean the same to old hosts (§4.2.3.1); no endpoint has such an address.
    """
    for prefix in to.prefixes:
        if prefix.version == 4:
            for address in (prefix.network_address, prefix.broadcast_address):
                yield write("route", UNROUTABLE, _to(to, _single(4, int(address))))


def _to(to: Segment, prefix: IPNetwork) -> Matched:
    field, ethertype = ("ip_dst", ETH_IP) if prefix.version == 4 else ("ipv6_dst", ETH_IPV6)
    return {
        "reg2": TENANT.match(to.tenant),
        "eth_type": ethertype,
        field: (int(prefix.network_address), int(prefix.netmask)),
    }


def _crossing(to: Segment) -> tuple[Action, ...]:
    return (
        DecTtl(),
        NETWORK.load(to.vni),
        ROUTED.load(1),
        setting("eth_src", to.gateway_mac),
    )


def _refusals(source: Segment, write: Writer) -> Iterator[Flow]:
    """Packets that may not leave their network: link-local ones (RFC 4291 §2.5.6), expired ones."""
    here: Matched = {"reg1": NETWORK.match(source.vni)}
    if any(prefix.version == 6 for prefix in source.prefixes):
        for end in ("ipv6_src", "ipv6_dst"):
            matched = {**here, "eth_type": ETH_IPV6, end: LINK_LOCAL}
            yield write("route", UNROUTABLE, matched)
    for gateway in source.gateways:
        ethertype = ETH_IP if gateway.version == 4 else ETH_IPV6
        for ttl in (0, 1):
            matched = {**here, "eth_type": ethertype, "ip_ttl": ttl}
            yield write("route", EXPIRED, matched, COMPLAINT.load(Fault.EXPIRED), goto="complaints")


FEATURE = Feature(
    "route", 7, "L3 between a tenant's networks", {"Network": network, "Endpoint": endpoint}
)
