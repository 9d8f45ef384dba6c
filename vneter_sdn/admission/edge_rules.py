# SPDX-License-Identifier: Apache-2.0
"""Rules on what networks tell their endpoints: DHCP and DNS."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address, ip_network

from vneter_sdn.admission.draft import Draft
from vneter_sdn.admission.facts import prefixes_of
from vneter_sdn.errors import Problem
from vneter_sdn.model.addresses import IPAddress
from vneter_sdn.model.network_kinds import DhcpSpec, NetworkSpec, StaticRoute
from vneter_sdn.model.snapshot import Object

_EXAMPLES = {4: "192.0.2.53", 6: "2001:db8::53"}


def servers_well_formed(stored: Object, _: Draft) -> Iterator[Problem]:
    """Servers that endpoints or the controller are to ask have fit addresses. O(1)."""
    spec: NetworkSpec = stored.spec
    name = str(stored.key)
    if spec.dhcp is not None:
        for field, listed in (
            ("dnsServers", spec.dhcp.dns_servers),
            ("ntpServers", spec.dhcp.ntp_servers),
        ):
            yield from _servers(name, f"spec.dhcp.{field}", listed, family=4)
    if spec.dns is not None:
        upstreams = spec.dns.upstreams
        yield from _servers(name, "spec.dns.upstreams", upstreams)
        yield from _own_machine(name, upstreams)


def _servers(
    name: str, field: str, listed: tuple[str, ...], family: int | None = None
) -> Iterator[Problem]:
    taken: set[IPAddress] = set()
    for position, text in enumerate(listed):
        at = f"{field}[{position}]"
        try:
            address = ip_address(text)
        except ValueError as error:
            advice = f"{error}; write it like {_EXAMPLES[family or 4]}"
            yield Problem(name, at, "BadAddress", advice)
            continue
        if family is not None and address.version != family:
            advice = f"{address} is not IPv{family}, which is all that DHCP for it can tell"
            yield Problem(name, at, "WrongFamily", advice)
        elif address.is_multicast or address.is_unspecified:
            yield Problem(name, at, "UnfitAddress", f"{address} is no server's; give its own")
        elif address in taken:
            yield Problem(name, at, "Repeated", f"{address} is there twice; once suffices")
        taken.add(address)


def _own_machine(name: str, upstreams: tuple[str, ...]) -> Iterator[Problem]:
    """The controller asks these: nobody is to have it ask itself on behalf of a tenant."""
    for position, text in enumerate(upstreams):
        try:
            address = ip_address(text)
        except ValueError:
            continue
        meant = getattr(address, "ipv4_mapped", None) or address
        if meant.is_loopback or meant.is_link_local or meant.is_unspecified:
            advice = f"{address} would be the controller's own machine, or one beside it; only "
            advice += "its setting dns_upstreams may name such"
            yield Problem(name, f"spec.dns.upstreams[{position}]", "UnfitAddress", advice)


def dhcp_has_addresses(stored: Object, _: Draft) -> Iterator[Problem]:
    """DHCP is for IPv4, and its network has some. O(1)."""
    spec: NetworkSpec = stored.spec
    if spec.dhcp is None or not spec.dhcp.enabled:
        return
    if not any(prefix.version == 4 for prefix in prefixes_of(spec)):
        advice = "DHCP tells IPv4 addresses, and the network has no IPv4 prefix; add one, or "
        advice += "leave dhcp out"
        yield Problem(str(stored.key), "spec.dhcp", "NoPrefix", advice)


def routes_well_formed(stored: Object, _: Draft) -> Iterator[Problem]:
    """Routes that endpoints are told lead by somebody of their network, each once. O(1)."""
    spec: NetworkSpec = stored.spec
    if spec.dhcp is None:
        return
    taken: set[str] = set()
    for position, route in enumerate(_told(spec.dhcp)):
        field = f"spec.dhcp.routes[{position}]"
        for part, reason, advice in _faults(spec, route):
            yield Problem(str(stored.key), f"{field}.{part}", reason, advice)
        if route.prefix in taken:
            advice = f"a second route to {route.prefix}; endpoints take one of them, unsaid which"
            yield Problem(str(stored.key), f"{field}.prefix", "Repeated", advice)
        taken.add(route.prefix)


def _told(options: DhcpSpec) -> tuple[StaticRoute, ...]:
    return options.routes


def _faults(spec: NetworkSpec, route: StaticRoute) -> Iterator[tuple[str, str, str]]:
    """Field, reason and advice of what is wrong with a route."""
    try:
        prefix = ip_network(route.prefix, strict=False)
    except ValueError as error:
        yield "prefix", "BadPrefix", f"{error}; write it like 10.1.0.0/16"
        return
    if prefix.version != 4:
        yield "prefix", "WrongFamily", f"{prefix} is not IPv4, which is all that DHCP can tell"
    if str(prefix) != route.prefix:
        advice = f"{route.prefix} is not how the prefix is written; write {prefix}"
        yield "prefix", "NotCanonical", advice
    if route.via is None:
        return
    try:
        via = ip_address(route.via)
    except ValueError as error:
        yield "via", "BadAddress", f"{error}; write it like 10.0.0.1"
        return
    if not any(via in own for own in prefixes_of(spec) if own.version == 4):
        advice = f"{via} is not in {', '.join(spec.prefixes)}; endpoints reach only those directly"
        yield "via", "OutsidePrefix", advice
