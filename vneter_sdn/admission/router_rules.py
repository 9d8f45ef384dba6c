# SPDX-License-Identifier: Apache-2.0
"""Rules on how networks configure IPv6."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv6Address, IPv6Network, ip_address

from vneter_sdn.admission.draft import Draft
from vneter_sdn.admission.facts import network_of, prefixes_of
from vneter_sdn.admission.needs import autoconfigured
from vneter_sdn.errors import Problem
from vneter_sdn.model.addresses import formed, mac_number
from vneter_sdn.model.kinds import EndpointSpec, NetworkSpec
from vneter_sdn.model.router_kinds import RaSpec
from vneter_sdn.model.snapshot import Key, Object, Pools

FORMED = 64
"""Length of a prefix whose addresses interfaces form by themselves (RFC 4291 §2.5.1)."""


def advertisements_possible(stored: Object, _: Draft) -> Iterator[Problem]:
    """There is an IPv6 prefix, of the length that the mode asks for, and times agree. O(1)."""
    spec: NetworkSpec = stored.spec
    ra, name = spec.ra, str(stored.key)
    if ra is None:
        return
    six = [prefix for prefix in prefixes_of(spec) if prefix.version == 6]
    if not six and ra.enabled:
        text = "the network has no IPv6 prefix to advertise; add one, or leave ra out"
        yield Problem(name, "spec.ra", "NoPrefix", text)
    if six and ra.autoconfigured and six[0].prefixlen != FORMED:
        text = (
            f"endpoints form addresses in prefixes of /{FORMED} only, and {six[0]} is none; "
            "choose such a prefix, or mode stateful"
        )
        yield Problem(name, "spec.ra.mode", "PrefixNotFormable", text)
    yield from _times(name, ra)
    yield from _addresses(name, ra)


def _times(name: str, ra: RaSpec) -> Iterator[Problem]:
    if 0 < ra.lifetime_seconds < ra.interval_seconds:
        text = (
            f"{ra.lifetime_seconds} s is over before the next advertisement, up to "
            f"{ra.interval_seconds} s later; make it longer, or 0 for no default router"
        )
        yield Problem(name, "spec.ra.lifetimeSeconds", "LifetimeTooShort", text)
    if ra.preferred_seconds > ra.valid_seconds:
        text = f"{ra.preferred_seconds} s is more than the {ra.valid_seconds} s of validSeconds"
        yield Problem(name, "spec.ra.preferredSeconds", "PreferredTooLong", text)


def _addresses(name: str, ra: RaSpec) -> Iterator[Problem]:
    for field, texts in (("dnsServers", ra.dns_servers), ("ntpServers", ra.ntp_servers)):
        for position, text in enumerate(texts):
            if not _is_server(text):
                advice = f"{text!r} is no IPv6 address of a server; write it like 2001:db8::53"
                yield Problem(name, f"spec.ra.{field}[{position}]", "BadAddress", advice)
    for position, text in enumerate(ra.routes):
        field = f"spec.ra.routes[{position}]"
        try:
            prefix = IPv6Network(text)
        except ValueError as error:
            yield Problem(name, field, "BadPrefix", f"{error}; write it like 2001:db8:7::/48")
            continue
        if text != str(prefix):
            yield Problem(name, field, "NotCanonical", f"write {prefix} instead of {text}")


def _is_server(text: str) -> bool:
    try:
        address = ip_address(text)
    except ValueError:
        return False
    return isinstance(address, IPv6Address) and not (address.is_multicast or int(address) == 0)


def forming_unused_when_changed(stored: Object, draft: Draft) -> Iterator[Problem]:
    """Whether endpoints form their addresses stays while they have some. O(1)."""
    before = draft.snapshot.objects.get(stored.key)
    if before is None:
        return
    for prefix in prefixes_of(stored.spec):
        if autoconfigured(before.spec, prefix) == autoconfigured(stored.spec, prefix):
            continue
        user = _user(draft, Pools.address(stored.key, str(prefix)))
        if user is not None:
            text = (
                "whether endpoints form their IPv6 addresses of their MACs cannot change while "
                f"they have some ({user} for one); delete those first"
            )
            yield Problem(str(stored.key), "spec.ra.mode", "PrefixInUse", text)


def _user(draft: Draft, pool: str) -> Key | None:
    """An endpoint that has an address of a pool."""
    owners = (draft.owner(pool, value) for value, _ in draft.lookup.members("live", pool))
    return next((one for one in owners if one is not None and one.kind == "Endpoint"), None)


def formed_addresses_asked(stored: Object, draft: Draft) -> Iterator[Problem]:
    """Where endpoints form addresses, none is asked for but the one its MAC leads to. O(1)."""
    spec: EndpointSpec = stored.spec
    network = draft.network(network_of(stored.key, spec))
    for prefix in prefixes_of(network) if network else ():
        if network is None or not autoconfigured(network, prefix):
            continue
        for position, text in enumerate(spec.addresses):
            address = ip_address(text)
            if not isinstance(prefix, IPv6Network) or address not in prefix:
                continue
            own = formed(prefix, mac_number(spec.mac)) if spec.mac else None
            if address != own:
                advice = (
                    f"{text} is not what the endpoint forms of its MAC ({own or 'not asked for'}); "
                    "leave it out, or ask for the MAC that leads to it"
                )
                field = f"spec.addresses[{position}]"
                yield Problem(str(stored.key), field, "NotFormed", advice)
