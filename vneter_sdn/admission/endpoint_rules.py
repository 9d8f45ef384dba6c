# SPDX-License-Identifier: Apache-2.0
"""Rules on endpoints."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

from vneter_sdn.admission.draft import Draft
from vneter_sdn.admission.facts import interface_id, network_of, prefixes_of
from vneter_sdn.admission.needs import gateways_of, usable
from vneter_sdn.errors import Problem
from vneter_sdn.model.addresses import mac_number
from vneter_sdn.model.kinds import EndpointSpec, NetworkSpec
from vneter_sdn.model.snapshot import Object, Pools


def addresses_well_formed(stored: Object, _: Draft) -> Iterator[Problem]:
    """Each requested address parses and is spelled in the usual way. O(1)."""
    for position, text in enumerate(stored.spec.addresses):
        field, name = f"spec.addresses[{position}]", str(stored.key)
        try:
            address = ip_address(text)
        except ValueError as error:
            yield Problem(name, field, "BadAddress", f"{error}; write it like 10.0.0.5")
            continue
        if text != str(address):
            yield Problem(name, field, "NotCanonical", f"write {address} instead of {text}")


def mac_unicast(stored: Object, _: Draft) -> Iterator[Problem]:
    """A requested MAC address is one that an interface can have. O(1)."""
    text = stored.spec.mac
    if text is None:
        return
    number = mac_number(text)
    if number >> 40 & 1 or not number:
        advice = f"{text} is a group address or zero; an interface needs a unicast address"
        yield Problem(str(stored.key), "spec.mac", "NotUnicast", advice)


def addresses_in_network(stored: Object, draft: Draft) -> Iterator[Problem]:
    """Requested addresses are usable addresses of the network, one per prefix. O(1)."""
    network = draft.network(network_of(stored.key, stored.spec))
    if network is None:
        return
    taken = set()
    for position, text in enumerate(stored.spec.addresses):
        address, field = ip_address(text), f"spec.addresses[{position}]"
        prefix = next((prefix for prefix in prefixes_of(network) if address in prefix), None)
        reason, advice = "", ""
        if prefix is None:
            reason = "OutsidePrefix"
            advice = f"{text} lies in none of {', '.join(network.prefixes)} of its network"
        elif prefix in taken:
            reason, advice = "TooManyAddresses", f"a second address in {prefix}; give one at most"
        elif not usable(prefix, address):
            reason = "UnusableAddress"
            advice = f"{text} is the network or broadcast address of {prefix}; choose another"
        elif gateways_of(network)[prefix] == address:
            reason = "AddressInUse"
            advice = f"{text} is the gateway of {prefix}; choose another"
        if reason:
            yield Problem(str(stored.key), field, reason, advice)
        taken.add(prefix)


def addresses_free(stored: Object, draft: Draft) -> Iterator[Problem]:
    """No other endpoint has, or asks for, a requested address. O(1)."""
    spec: EndpointSpec = stored.spec
    at = network_of(stored.key, spec)
    network: NetworkSpec | None = draft.network(at)
    for position, text in enumerate(spec.addresses):
        others = draft.lookup.others("asks", (at, text), stored.key)
        for prefix in prefixes_of(network) if network else ():
            owner = draft.owner(Pools.address(at, str(prefix)), text)
            if owner not in {None, stored.key, at}:
                others.append(owner)
        if others:
            advice = f"{text} belongs to {others[0]}; choose another, or leave it out"
            field = f"spec.addresses[{position}]"
            yield Problem(str(stored.key), field, "AddressInUse", advice)


def mac_free(stored: Object, draft: Draft) -> Iterator[Problem]:
    """Nothing else in the network has, or asks for, a requested MAC address. O(1)."""
    if stored.spec.mac is None:
        return
    at, mac = network_of(stored.key, stored.spec), stored.spec.mac.lower()
    others = draft.lookup.others("asks", (at, mac), stored.key)
    owner = draft.owner(Pools.mac(at), mac)
    if owner not in {None, stored.key}:
        others.append(owner)
    if others:
        whose = "the gateway" if others[0] == at else str(others[0])
        text = f"{mac} belongs to {whose} in this network; choose another, or leave it out"
        yield Problem(str(stored.key), "spec.mac", "MacInUse", text)


def interface_unique(stored: Object, draft: Draft) -> Iterator[Problem]:
    """No two endpoints of the fleet bind by the same interface id. O(1)."""
    name = interface_id(stored.key, stored.spec)
    others = draft.lookup.others("interface", name, stored.key)
    if others:
        text = f"{name!r} is already the interface id of {others[0]}; they must differ fleet-wide"
        yield Problem(str(stored.key), "spec.interfaceId", "InterfaceInUse", text)


def port_names_unique(stored: Object, _: Draft) -> Iterator[Problem]:
    """A name means one port of each protocol. O(ports)."""
    seen: dict[tuple[str, str], int] = {}
    for position, port in enumerate(stored.spec.ports):
        before = seen.setdefault((port.name, port.protocol), port.port)
        if before != port.port:
            text = f"{port.protocol} {port.name} is {before} already; a name means one port"
            yield Problem(str(stored.key), f"spec.ports[{position}].name", "Duplicate", text)
