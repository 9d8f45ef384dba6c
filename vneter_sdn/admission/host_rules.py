# SPDX-License-Identifier: Apache-2.0
"""Rules on hosts, and on what fits through their links."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

from vneter_sdn.admission.draft import Draft
from vneter_sdn.admission.facts import canonical, link_pair
from vneter_sdn.errors import Problem
from vneter_sdn.model.datapath import bridge_id
from vneter_sdn.model.encapsulation import payload_limit
from vneter_sdn.model.kinds import HostSpec, LinkSpec
from vneter_sdn.model.snapshot import Key, Object


def tunnel_addresses_well_formed(stored: Object, _: Draft) -> Iterator[Problem]:
    """Tunnel addresses parse and are unicast, and each is given once. O(1)."""
    seen = set()
    for position, text in enumerate(stored.spec.tunnel_addresses):
        field, name = f"spec.tunnelAddresses[{position}]", str(stored.key)
        try:
            address = ip_address(text)
        except ValueError as error:
            yield Problem(name, field, "BadAddress", f"{error}; write it like 192.0.2.1")
            continue
        if address.is_multicast or address.is_unspecified or address.is_link_local:
            advice = f"{text} cannot be reached from other hosts; give a routable unicast address"
            yield Problem(name, field, "UnusableAddress", advice)
        if address in seen:
            yield Problem(name, field, "Duplicate", f"{text} is given twice; remove one")
        seen.add(address)


def tunnel_addresses_unique(stored: Object, draft: Draft) -> Iterator[Problem]:
    """No two hosts have the same tunnel address. O(addresses)."""
    for position, text in enumerate(stored.spec.tunnel_addresses):
        others = draft.lookup.others("tunnel", canonical(text), stored.key)
        if others:
            advice = f"{text} already belongs to {others[0]}; each host needs its own"
            field = f"spec.tunnelAddresses[{position}]"
            yield Problem(str(stored.key), field, "AddressInUse", advice)


def ovsdb_unique(stored: Object, draft: Draft) -> Iterator[Problem]:
    """No two hosts have the same OVSDB address. O(1)."""
    if stored.spec.ovsdb is None:
        return
    others = draft.lookup.others("ovsdb", stored.spec.ovsdb, stored.key)
    if others:
        text = f"{stored.spec.ovsdb} is already {others[0]}; one host is one object"
        yield Problem(str(stored.key), "spec.ovsdb", "OvsdbInUse", text)


def datapath_named(stored: Object, _: Draft) -> Iterator[Problem]:
    """A host without a database says which datapath it is, and ends no tunnel. O(1)."""
    spec: HostSpec = stored.spec
    name = str(stored.key)
    number = int(spec.datapath_id or "1", 16)
    if number == 0:
        text = "is zero, which no bridge has; give the datapath id that its bridge reports"
        yield Problem(name, "spec.datapathId", "BadDatapathId", text)
    if bridge_id(number) is not None:
        text = f"{spec.datapath_id} is one of those that are chosen; leave it out, or take another"
        yield Problem(name, "spec.datapathId", "ReservedDatapathId", text)
    if spec.ovsdb is not None:
        return
    if spec.datapath_id is None:
        text = (
            "is required of a host without ovsdb: its bridge is known by nothing else; give the "
            "datapath id it reports, or its ovsdb"
        )
        yield Problem(name, "spec.datapathId", "Missing", text)
    if spec.tunnel_addresses:
        text = "tunnels end only on hosts with ovsdb, which makes their ports; remove them"
        yield Problem(name, "spec.tunnelAddresses", "NoTunnels", text)


def datapath_unique(stored: Object, draft: Draft) -> Iterator[Problem]:
    """No two hosts have the same datapath id. O(1)."""
    text = stored.spec.datapath_id
    others = draft.lookup.others("datapath", text, stored.key) if text else ()
    if others:
        advice = f"{text} is already that of {others[0]}; datapath ids are unique fleet-wide"
        yield Problem(str(stored.key), "spec.datapathId", "DatapathIdInUse", advice)


def network_fits_underlays(stored: Object, draft: Draft) -> Iterator[Problem]:
    """A network's MTU fits through every link. O(distinct limits + links with a setting)."""
    mtu = stored.spec.mtu
    limit = min(draft.lookup.abouts("payload"), default=None)
    if limit is not None and mtu > limit:
        host = draft.lookup.others("payload", limit, None)[0]
        yield too_large(stored, "spec.mtu", mtu, limit, f"the tunnels of {host}")
    for encapsulation in draft.lookup.abouts("override"):
        for key, _ in draft.lookup.members("override", encapsulation):
            limit = link_limit(key, draft)
            if limit is not None and mtu > limit:
                yield too_large(stored, "spec.mtu", mtu, limit, str(key))
    narrowest = min(draft.lookup.abouts("narrow"), default=mtu)
    if mtu > narrowest:
        link = draft.lookup.others("narrow", narrowest, None)[0]
        yield too_large(stored, "spec.mtu", mtu, narrowest, str(link))


def host_fits_networks(stored: Object, draft: Draft) -> Iterator[Problem]:
    """Every network fits through a host's tunnels and links. O(distinct MTUs + its links)."""
    spec: HostSpec = stored.spec
    mtu = max(draft.lookup.abouts("mtu"), default=0)
    limit = payload_limit(spec)
    if limit is not None and mtu > limit:
        yield too_large(stored, "spec.underlayMtu", mtu, limit, "its tunnels", draft)
    for key in draft.lookup.others("joins", stored.key, None):
        limit = link_limit(key, draft)
        if limit is not None and mtu > limit:
            yield too_large(stored, "spec.underlayMtu", mtu, limit, str(key), draft)


def host_keeps_addresses(stored: Object, draft: Draft) -> Iterator[Problem]:
    """A host keeps the tunnel addresses that its links name. O(its links)."""
    own = {canonical(text) for text in stored.spec.tunnel_addresses}
    for key in draft.lookup.others("joins", stored.key, None):
        link = draft.object(key)
        for host, address in _named(link.spec) if link else ():
            if host == stored.key.name and canonical(address) not in own:
                text = f"{address} is used by {key}; keep it, or change that first"
                yield Problem(str(stored.key), "spec.tunnelAddresses", "InUse", text)


def _named(spec: LinkSpec) -> Iterator[tuple[str, str]]:
    for host, address in ((spec.source, spec.source_address), (spec.target, spec.target_address)):
        if address is not None:
            yield host, address


def link_limit(key: Key, draft: Draft) -> int | None:
    """The largest packet through a link that sets its encapsulation; None otherwise."""
    stored = draft.object(key)
    if stored is None or not isinstance(stored.spec, LinkSpec) or not stored.spec.encapsulation:
        return None
    ends = [draft.object(Key("Host", "", name)) for name in link_pair(stored.spec)]
    limits = [payload_limit(end.spec, stored.spec.encapsulation) for end in ends if end]
    return min((limit for limit in limits if limit is not None), default=None)


def too_large(
    stored: Object, field: str, mtu: int, limit: int, through: str, draft: Draft | None = None
) -> Problem:
    """The problem of a network, which the draft names, that does not fit through something."""
    whose = f" of {draft.lookup.others('mtu', mtu, None)[0]}" if draft else ""
    text = (
        f"the MTU {mtu}{whose} does not fit through {through}, which take at most {limit} bytes "
        "of it; lower the MTU, or raise that of the underlay"
    )
    return Problem(str(stored.key), field, "MtuTooLarge", text)
