# SPDX-License-Identifier: Apache-2.0
"""Rules on networks."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address, ip_network

from vneter_sdn.admission.draft import Draft
from vneter_sdn.admission.facts import prefixes_of
from vneter_sdn.admission.needs import gateways_of, usable
from vneter_sdn.errors import Problem
from vneter_sdn.model.addresses import IPNetwork
from vneter_sdn.model.kinds import NetworkSpec
from vneter_sdn.model.snapshot import Key, Object, Pools

_LONGEST = {4: 30, 6: 126}
_UNFIT = tuple(
    (ip_network(prefix), what)
    for prefix, what in (
        ("0.0.0.0/8", "'this network' (RFC 1122)"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
        ("::/8", "reserved, with loopback and mapped addresses,"),
        ("fe80::/10", "link-local"),
        ("ff00::/8", "multicast"),
    )
)


def prefixes_well_formed(stored: Object, _: Draft) -> Iterator[Problem]:
    """Each prefix parses, is canonical and fit for hosts; one per family. O(1)."""
    spec: NetworkSpec = stored.spec
    families: set[int] = set()
    for position, text in enumerate(spec.prefixes):
        field, name = f"spec.prefixes[{position}]", str(stored.key)
        try:
            prefix = ip_network(text, strict=False)
        except ValueError as error:
            yield Problem(name, field, "BadPrefix", f"{error}; write it like 10.0.0.0/24")
            continue
        if text != str(prefix):
            advice = f"{text} is not how the prefix is written; write {prefix}"
            yield Problem(name, field, "NotCanonical", advice)
        if prefix.version in families:
            advice = f"a second IPv{prefix.version} prefix; a network has at most one per family"
            yield Problem(name, field, "TooManyPrefixes", advice)
        families.add(prefix.version)
        for reason, advice in _unfit(prefix):
            yield Problem(name, field, reason, advice)


def _unfit(prefix: IPNetwork) -> Iterator[tuple[str, str]]:
    longest = _LONGEST[prefix.version]
    if prefix.prefixlen > longest:
        yield "PrefixTooSmall", f"{prefix} has no room for a gateway and endpoints; use /{longest}"
    for unfit, what in _UNFIT:
        if prefix.version == unfit.version and prefix.overlaps(unfit):
            yield "UnfitPrefix", f"{prefix} overlaps {unfit}, which is {what} space; choose another"


def gateways_well_formed(stored: Object, _: Draft) -> Iterator[Problem]:
    """Each gateway parses, lies in a prefix of its own, and is usable there. O(1)."""
    spec: NetworkSpec = stored.spec
    prefixes, taken = prefixes_of(spec), set()
    for position, text in enumerate(spec.gateways):
        field, name = f"spec.gateways[{position}]", str(stored.key)
        try:
            gateway = ip_address(text)
        except ValueError as error:
            yield Problem(name, field, "BadAddress", f"{error}; write it like 10.0.0.1")
            continue
        prefix = next((prefix for prefix in prefixes if gateway in prefix), None)
        if prefix is None:
            advice = f"{gateway} lies in none of {', '.join(spec.prefixes)}; choose one inside"
            yield Problem(name, field, "OutsidePrefix", advice)
        elif prefix in taken:
            advice = f"a second gateway for {prefix}; give one per prefix"
            yield Problem(name, field, "TooManyGateways", advice)
        elif not usable(prefix, gateway):
            advice = f"{gateway} is the network or broadcast address of {prefix}; choose another"
            yield Problem(name, field, "UnusableAddress", advice)
        taken.add(prefix)


def prefixes_disjoint(stored: Object, draft: Draft) -> Iterator[Problem]:
    """No prefix overlaps one of another network of the tenant. O(networks of the tenant)."""
    mine = prefixes_of(stored.spec)
    for other in draft.lookup.others("refers", Key("Tenant", "", stored.key.tenant), stored.key):
        network = draft.network(other)
        for theirs in prefixes_of(network) if network else ():
            for position, prefix in enumerate(mine):
                if prefix.version != theirs.version or not prefix.overlaps(theirs):
                    continue
                text = (
                    f"{prefix} overlaps {theirs} of {other}; networks of one tenant route to "
                    "each other, so their prefixes must be disjoint"
                )
                field = f"spec.prefixes[{position}]"
                yield Problem(str(stored.key), field, "PrefixOverlap", text)


def prefixes_unused_when_changed(stored: Object, draft: Draft) -> Iterator[Problem]:
    """Prefixes and block lengths stay while endpoints have addresses. O(1) per prefix."""
    before = draft.snapshot.objects.get(stored.key)
    if before is None:
        return
    old, new = before.spec, stored.spec
    for prefix in prefixes_of(old):
        length = "block_length4" if prefix.version == 4 else "block_length6"
        removed = prefix not in prefixes_of(new)
        if not removed and getattr(old, length) == getattr(new, length):
            continue
        user = _user(draft, Pools.address(stored.key, str(prefix)))
        if user is None:
            continue
        field, what = ("spec.prefixes", f"{prefix} cannot be removed or changed")
        if not removed:
            field, what = f"spec.blockLength{prefix.version}", "cannot change"
        text = f"{what} while endpoints have addresses in it ({user} for one); delete those first"
        yield Problem(str(stored.key), field, "PrefixInUse", text)


def _user(draft: Draft, pool: str) -> Key | None:
    """An endpoint that has an address of a pool."""
    for value, _ in draft.lookup.members("live", pool):
        owner = draft.owner(pool, value)
        if owner is not None and owner.kind == "Endpoint":
            return owner
    return None


def gateways_free(stored: Object, draft: Draft) -> Iterator[Problem]:
    """No endpoint has or asks for the address of a gateway. O(1)."""
    for prefix, gateway in gateways_of(stored.spec).items():
        owner = draft.owner(Pools.address(stored.key, str(prefix)), str(gateway))
        if owner not in {None, stored.key}:
            text = f"{gateway} belongs to {owner}; choose another gateway, or delete that first"
            yield Problem(str(stored.key), "spec.gateways", "AddressInUse", text)


def vni_unique(stored: Object, draft: Draft) -> Iterator[Problem]:
    """The VNI asked for is not another network's. O(1)."""
    vni = stored.spec.vni
    if vni is None:
        return
    owner = draft.owner(Pools.VNI, str(vni))
    others = draft.lookup.others("vni", vni, stored.key)
    if owner is not None and owner != stored.key and owner not in others:
        others.append(owner)
    if others:
        text = f"{vni} belongs to {others[0]}; choose another, or leave it out to have one chosen"
        yield Problem(str(stored.key), "spec.vni", "VniInUse", text)


def learning_alone(stored: Object, draft: Draft) -> Iterator[Problem]:
    """At most one network learns: a port that is nobody's says nothing of networks. O(1)."""
    others = draft.lookup.others("learns", True, stored.key) if stored.spec.learning else ()
    if others:
        text = f"{others[0]} learns already, and only one network may; set it to false there first"
        yield Problem(str(stored.key), "spec.learning", "LearningInUse", text)
