# SPDX-License-Identifier: Apache-2.0
"""Rules on links: which of their fields go together, and what else there is between two hosts."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

import msgspec

from vneter_sdn.admission.draft import Draft
from vneter_sdn.admission.facts import canonical, wire_ends
from vneter_sdn.admission.host_rules import link_limit, too_large
from vneter_sdn.errors import Problem
from vneter_sdn.graph.topology import edge_of, vertex
from vneter_sdn.model.encapsulation import payload_limit
from vneter_sdn.model.kinds import HostSpec, LinkSpec
from vneter_sdn.model.links import is_found
from vneter_sdn.model.snapshot import Key, Object

_ENDS = (("spec.source", "source"), ("spec.target", "target"))


def ends_differ(stored: Object, _: Draft) -> Iterator[Problem]:
    """A link joins two hosts. O(1)."""
    if stored.spec.source == stored.spec.target:
        text = f"joins {stored.spec.source!r} to itself; name another host"
        yield Problem(str(stored.key), "spec.target", "SameEnds", text)


def fields_fit_medium(stored: Object, _: Draft) -> Iterator[Problem]:
    """A wire has its ports and nothing of a tunnel; a tunnel has no ports. O(1)."""
    spec, name = stored.spec, str(stored.key)
    for field, end in _ENDS:
        port, address = getattr(spec, f"{end}_port"), getattr(spec, f"{end}_address")
        host = getattr(spec, end)
        if spec.medium == "wire" and port is None:
            text = f"a wire joins ports; name the interface on the bridge of {host}"
            yield Problem(name, f"{field}Port", "Missing", text)
        if spec.medium == "tunnel" and port is not None:
            text = "tunnels go through the underlay; remove the port, or set medium to wire"
            yield Problem(name, f"{field}Port", "NotOfTunnels", text)
        if spec.medium == "wire" and address is not None:
            text = "wires have no addresses; remove it, or set medium to tunnel"
            yield Problem(name, f"{field}Address", "NotOfWires", text)
    if spec.medium == "wire" and spec.encapsulation is not None:
        text = "wires encapsulate nothing; remove it, or set medium to tunnel"
        yield Problem(name, "spec.encapsulation", "NotOfWires", text)


def addresses_well_formed(stored: Object, _: Draft) -> Iterator[Problem]:
    """Addresses parse, and are of one family. O(1)."""
    versions = set()
    for field, end in _ENDS:
        text = getattr(stored.spec, f"{end}_address")
        if text is None:
            continue
        try:
            versions.add(ip_address(text).version)
        except ValueError as error:
            advice = f"{error}; write it like 192.0.2.1"
            yield Problem(str(stored.key), f"{field}Address", "BadAddress", advice)
    if len(versions) > 1:
        text = "one end is IPv4 and the other IPv6; a tunnel needs addresses of one family"
        yield Problem(str(stored.key), "spec.targetAddress", "MixedFamilies", text)


def addresses_of_hosts(stored: Object, draft: Draft) -> Iterator[Problem]:
    """Addresses are those of the hosts at the ends. O(addresses)."""
    for field, end in _ENDS:
        text = getattr(stored.spec, f"{end}_address")
        host = _host(draft, getattr(stored.spec, end))
        if text is None or host is None:
            continue
        own = host.tunnel_addresses
        if canonical(text) not in map(canonical, own):
            known = f"it has {', '.join(own)}" if own else "it has none"
            advice = f"{text} is no tunnel address of {getattr(stored.spec, end)}; {known}"
            yield Problem(str(stored.key), f"{field}Address", "UnknownAddress", advice)


def unique(stored: Object, draft: Draft) -> Iterator[Problem]:
    """Each direction of a tunnel or wire has one link object at most. O(links of the pair)."""
    spec: LinkSpec = stored.spec
    place = _place(draft, spec)
    for key in draft.lookup.others("pair", (spec.source, spec.target), stored.key):
        other = draft.object(key)
        if other is not None and _place(draft, other.spec) == place:
            text = f"{key} already describes this {spec.medium} in this direction; change that one"
            yield Problem(str(stored.key), "", "LinkExists", text)
            return


def superseded(stored: Object, draft: Draft) -> Iterator[Key]:
    """Links that discovery made for a wire that somebody now declares: they make room. O(1)."""
    if is_found(stored):
        return
    ends = set(wire_ends(stored.spec))
    for end in ends:
        for key in draft.lookup.others("wired", end, stored.key):
            other = draft.object(key)
            if other is not None and is_found(other) and set(wire_ends(other.spec)) == ends:
                yield key


def ports_free(stored: Object, draft: Draft) -> Iterator[Problem]:
    """No port has two wires. O(1)."""
    ends = wire_ends(stored.spec)
    for (field, _), end in zip(_ENDS, ends, strict=False):
        for key in draft.lookup.others("wired", end, stored.key):
            other = draft.object(key)
            if other is not None and set(wire_ends(other.spec)) != set(ends):
                text = f"{end[1]} of {end[0]} is already wired by {key}; a port has one wire"
                yield Problem(str(stored.key), f"{field}Port", "PortInUse", text)
                break


def directions_agree(stored: Object, draft: Draft) -> Iterator[Problem]:
    """The link the other way has the same encapsulation, if both name one. O(links of the pair)."""
    spec: LinkSpec = stored.spec
    for key in draft.lookup.others("pair", (spec.target, spec.source), stored.key):
        other = draft.object(key)
        theirs = other.spec.encapsulation if other else None
        if not theirs or not spec.encapsulation or theirs == spec.encapsulation:
            continue
        if other and edge_asked(draft, _turned(other.spec)) == edge_asked(draft, spec):
            text = f"{key}, the other direction, is {theirs}; the two ends of a tunnel agree"
            yield Problem(str(stored.key), "spec.encapsulation", "EncapsulationDiffers", text)


def fits_underlay(stored: Object, draft: Draft) -> Iterator[Problem]:
    """A tunnel is not said to carry more than its underlay does. O(1)."""
    spec: LinkSpec = stored.spec
    if spec.medium == "wire" or spec.mtu is None:
        return
    hosts = (_host(draft, name) for name in (spec.source, spec.target))
    limits = [payload_limit(host, spec.encapsulation) for host in hosts if host]
    limit = min((one for one in limits if one is not None), default=spec.mtu)
    if spec.mtu > limit:
        text = f"{spec.mtu} bytes do not fit: the underlay leaves {limit} of a packet; lower it"
        yield Problem(str(stored.key), "spec.mtu", "MtuTooLarge", text)


def fits_networks(stored: Object, draft: Draft) -> Iterator[Problem]:
    """Every network fits through a link, and what it may carry through its tunnel. O(MTUs)."""
    mtu = max(draft.lookup.abouts("mtu"), default=0)
    limit, spec = link_limit(stored.key, draft), stored.spec
    if limit is not None and mtu > limit:
        yield too_large(stored, "spec.encapsulation", mtu, limit, "this link", draft)
    if spec.mtu is not None and mtu > spec.mtu:
        yield too_large(stored, "spec.mtu", mtu, spec.mtu, "this link", draft)


def _host(draft: Draft, name: str) -> HostSpec | None:
    stored = draft.object(Key("Host", "", name))
    return stored.spec if stored else None


def edge_asked(draft: Draft, spec: LinkSpec) -> str | None:
    """Name of the edge that a link is about; None when there is none."""
    ends = [
        vertex(name, 0, host) for name in (spec.source, spec.target) if (host := _host(draft, name))
    ]
    try:
        return edge_of(spec, *ends) if len(ends) == 2 else None
    except ValueError:  # a malformed address, which another rule reports
        return None


def _place(draft: Draft, spec: LinkSpec) -> object:
    """What tells a link from others between its hosts: its edge, or else how it is written."""
    written = spec.medium, spec.source_address, spec.target_address
    return edge_asked(draft, spec) or written


def _turned(spec: LinkSpec) -> LinkSpec:
    """The same link, described from its other end."""
    return msgspec.structs.replace(
        spec,
        source=spec.target,
        target=spec.source,
        source_port=spec.target_port,
        target_port=spec.source_port,
        source_address=spec.target_address,
        target_address=spec.source_address,
    )
