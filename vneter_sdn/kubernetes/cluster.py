# SPDX-License-Identifier: Apache-2.0
"""A cluster that is nowhere: what a directory of Kubernetes manifests needs to be compiled."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from itertools import count
from types import MappingProxyType
from typing import Any

from vneter_sdn.errors import IntentError, Problem
from vneter_sdn.kubernetes.naming import ORIGIN, POD_CIDRS, PODS
from vneter_sdn.model.addresses import IPAddress, IPNetwork
from vneter_sdn.model.kinds import API_VERSION, KINDS

POD_PREFIXES = ("10.244.0.0/16", "fd00:10:244::/56")
"""Addresses of pods where nothing says otherwise."""
HOST = "node"
"""Name of the one host where there are no Nodes."""
_WIDEST = {4: 8, 6: 8}
_FINER = ({4: 8, 6: 8}, {4: 16, 6: 32}, {4: 24, 6: 48}, {4: 24, 6: 64})
"""Lengths of the prefixes by which pods are told apart, tried in turn."""
_TENANTED = ("Endpoint", "Policy", "Group", "Namespace", "Network")
UNDERLAY = IPv4Network("198.19.0.0/16")
"""Where addresses of hosts are from that have none (RFC 2544).

Of those for documentation somebody may ask as of an address outside; what has the address of a
pod's own host would be let in.
"""

NOWHERE: Mapping[str, Sequence[str]] = MappingProxyType({})
_STAND_IN = "stand-in"
"""Origin of what is made up."""
Manifest = dict[str, Any]


def stand_in(
    manifests: Sequence[Mapping[str, Any]], nodes: Mapping[str, Sequence[str]] = NOWHERE
) -> tuple[Manifest, ...]:
    """Manifests of our own kinds, with everything that they need and nobody declared.

    Added are Tenants, Namespaces, Networks of pods, and Hosts: one per ``spec.host``, or one for
    all. Hosts that lack one get an address and a database that is nowhere. Endpoints without a host
    are spread over the hosts in turn, in the order of their names, but not over Nodes whose
    addresses are given: what comes from there would be admitted as from their own node. Those
    without an address are left to normal allocation. The same manifests give the same result.

    Args:
        manifests: what `vneter_sdn.kubernetes.door.native` returns.
        nodes: addresses of nodes that need not be declared, by name.

    Raises:
        IntentError: the addresses of pods do not fit in one network.
    """
    whole = [_copied(manifest) for manifest in manifests]
    hosts, open_hosts = _hosts(whole, nodes)
    whole += [host for host in hosts if host not in whole]
    _place(whole, open_hosts)
    whole += _tenants(whole)
    whole += _namespaces(whole)
    _part(whole)
    whole += _networks(whole)
    order = {kind: number for number, kind in enumerate(KINDS)}
    return tuple(sorted(whole, key=lambda one: order.get(str(one.get("kind")), len(order))))


def surroundings(translated: Sequence[Mapping[str, Any]]) -> tuple[Manifest, ...]:
    """Tenants, Namespaces and Networks of pods that translated manifests need and do not declare.

    Raises:
        IntentError: the addresses of pods do not fit in one network.
    """
    whole = [_copied(manifest) for manifest in translated]
    return (*_tenants(whole), *_namespaces(whole), *_networks(whole))


def _copied(manifest: Mapping[str, Any]) -> Manifest:
    """A copy whose metadata and spec can be added to."""
    copy = dict(manifest)
    for part in ("metadata", "spec"):
        copy[part] = dict(copy[part]) if isinstance(copy.get(part), Mapping) else {}
    return copy


def _of(manifests: Iterable[Manifest], *kinds: str) -> Iterator[Manifest]:
    return (one for one in manifests if one.get("kind") in kinds)


def _text(part: Mapping[str, Any], field: str) -> str:
    """A field that should be text; empty when it is not, which is for admission to say."""
    value = part.get(field)
    return value if isinstance(value, str) else ""


def _texts(part: Mapping[str, Any], field: str) -> list[str]:
    value = part.get(field)
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _addresses(texts: Iterable[str]) -> Iterator[IPAddress]:
    for text in texts:
        with suppress(ValueError):
            yield ip_address(text)


def _ranges(texts: Iterable[str]) -> Iterator[IPNetwork]:
    for text in texts:
        with suppress(ValueError):
            yield ip_network(text)


def _whose(manifest: Manifest) -> tuple[str, str]:
    """Tenant and name."""
    return _text(manifest["metadata"], "tenant"), _text(manifest["metadata"], "name")


def _made(kind: str, name: str, spec: Manifest, tenant: str | None = None) -> Manifest:
    metadata = {"name": name} | ({"tenant": tenant} if tenant else {})
    annotations = {ORIGIN: _STAND_IN}
    return {
        "apiVersion": API_VERSION,
        "kind": kind,
        "metadata": {**metadata, "annotations": annotations},
        "spec": spec,
    }


def _hosts(
    manifests: Sequence[Manifest], nodes: Mapping[str, Sequence[str]]
) -> tuple[list[Manifest], list[str]]:
    """Every host: those declared, completed, and those that endpoints name.

    And the names of those that endpoints may be placed on.
    """
    hosts = {_text(one["metadata"], "name"): one for one in _of(manifests, "Host")}
    for one in _of(manifests, "Endpoint"):
        name = _text(one["spec"], "host")
        if name and name not in hosts:
            hosts[name] = _made("Host", name, {})
    _settle(hosts, nodes)
    places = sorted(name for name, one in hosts.items() if not _is_known_node(one))
    homeless = any("host" not in one["spec"] for one in _of(manifests, "Endpoint"))
    if not hosts or (homeless and not places):
        names = (HOST, *(f"{HOST}-{number}" for number in range(2, len(hosts) + 2)))
        places = [next(name for name in names if name not in hosts)]
        hosts[places[0]] = _made("Host", places[0], {})
    taken = {text for one in hosts.values() for text in _texts(one["spec"], "tunnelAddresses")}
    free = (str(address) for address in UNDERLAY.hosts() if str(address) not in taken)
    for name, host in sorted(hosts.items()):
        spec = host["spec"]
        if "ovsdb" in spec or "datapathId" in spec:
            continue
        spec["ovsdb"] = f"unix:/nowhere/{name}"
        if not spec.get("tunnelAddresses"):
            spec["tunnelAddresses"] = [next(free)]
    return list(hosts.values()), places


def _settle(hosts: Mapping[str, Manifest], nodes: Mapping[str, Sequence[str]]) -> None:
    """Give hosts that lack addresses those of nodes of that name, unless others have them."""
    taken = {text for one in hosts.values() for text in _texts(one["spec"], "tunnelAddresses")}
    for name, host in sorted(hosts.items()):
        mine = [text for text in nodes.get(name, ()) if text not in taken]
        if mine and "tunnelAddresses" not in host["spec"] and all(map(_is_usual, mine)):
            host["spec"]["tunnelAddresses"] = mine
            taken.update(mine)


def _is_usual(text: str) -> bool:
    """Whether other hosts may reach an address."""
    address = ip_address(text)
    odd = address.is_multicast or address.is_unspecified or address.is_link_local
    return not (odd or address.is_loopback)


def _is_known_node(host: Manifest) -> bool:
    """Whether it is, or stands for, a Node whose addresses are given."""
    origin = _annotation(host, ORIGIN).partition(" ")[0]
    addresses = _addresses(_texts(host["spec"], "tunnelAddresses"))
    given = any(one.version != UNDERLAY.version or one not in UNDERLAY for one in addresses)
    return given and (origin == _STAND_IN or origin.endswith("/Node"))


def _place(manifests: Sequence[Manifest], hosts: Sequence[str]) -> None:
    """Endpoints that are nowhere go to the host with the fewest, the first of them by name."""
    load = dict.fromkeys(hosts, 0)
    homeless = []
    for one in _of(manifests, "Endpoint"):
        if "host" not in one["spec"]:
            homeless.append(one)
        elif _text(one["spec"], "host") in load:
            load[one["spec"]["host"]] += 1
    for one in sorted(homeless, key=_whose):
        host = min(load, key=lambda name: (load[name], name))
        one["spec"]["host"] = host
        load[host] += 1


def _tenants(manifests: Sequence[Manifest]) -> list[Manifest]:
    there = {_text(one["metadata"], "name") for one in _of(manifests, "Tenant")}
    wanted = {_whose(one)[0] for one in _of(manifests, *_TENANTED)}
    for one in _of(manifests, "ClusterPolicy"):
        wanted.update(_texts(one["spec"], "tenants"))
    wanted.discard("")
    return [_made("Tenant", name, {}) for name in sorted(wanted - there)]


def _namespaces(manifests: Sequence[Manifest]) -> list[Manifest]:
    there = {_whose(one) for one in _of(manifests, "Namespace")}
    wanted = {
        (_whose(one)[0], _text(one["spec"], "namespace"))
        for one in _of(manifests, "Endpoint")
        if _text(one["spec"], "namespace")
    }
    return [_made("Namespace", name, {}, tenant) for tenant, name in sorted(wanted - there)]


def _part(manifests: Sequence[Manifest]) -> None:
    """Put pods whose addresses no one network may hold into several: `PODS`, `PODS`-2 and so on.

    Networks of a tenant are routed to each other, so nobody notices. Pods with IPv6 addresses only
    are apart as well.
    """
    there = {_whose(one) for one in _of(manifests, "Network")}
    names = {_text(one["spec"], "network") for one in _of(manifests, "Endpoint")}
    for tenant in sorted({_whose(one)[0] for one in _of(manifests, "Endpoint")}):
        pods = [
            one
            for one in sorted(_of(manifests, "Endpoint"), key=_whose)
            if (_whose(one)[0], _text(one["spec"], "network")) == (tenant, PODS)
        ]
        if (tenant, PODS) in there:
            continue
        numbers = (number for number in count(2) if f"{PODS}-{number}" not in names)
        for apart in _apart(pods)[1:]:
            name = f"{PODS}-{next(numbers)}"
            for one in apart:
                one["spec"]["network"] = name


def _apart(pods: Sequence[Manifest]) -> list[list[Manifest]]:
    """Pods by networks that may hold them; those without an address are with the most."""
    for lengths in _FINER:
        found = _by_prefixes(pods, lengths)
        if all(len(_widest(one, version)) <= 1 for one in found for version in _WIDEST):
            return found
    return [list(pods)]


def _widest(pods: Iterable[Manifest], version: int) -> set[IPNetwork]:
    """The widest prefixes that pods lie in."""
    texts = (text for pod in pods for text in _texts(pod["spec"], "addresses"))
    return {
        _prefix(version, int(one), _WIDEST[version])
        for one in _addresses(texts)
        if one.version == version
    }


def _by_prefixes(pods: Sequence[Manifest], lengths: Mapping[int, int]) -> list[list[Manifest]]:
    """Pods of which none shares a prefix of these lengths with one of another list."""
    found: list[tuple[set[IPNetwork], list[Manifest]]] = []
    homeless: list[Manifest] = []
    for pod in pods:
        within = {
            _prefix(one.version, int(one), lengths[one.version])
            for one in _addresses(_texts(pod["spec"], "addresses"))
        }
        if not within:
            homeless.append(pod)
            continue
        same = [one for one in found if one[0] & within]
        found = [one for one in found if not one[0] & within]
        prefixes = within.union(*(one[0] for one in same))
        found.append((prefixes, [*(held for one in same for held in one[1]), pod]))
    if not found:
        return [homeless]
    found.sort(key=lambda one: (-len(one[1]), min(map(_whose, one[1]))))
    found[0][1].extend(homeless)
    return [members for _, members in found]


def _networks(manifests: Sequence[Manifest]) -> list[Manifest]:
    """The networks that endpoints name and nobody declared."""
    there = {_whose(one) for one in _of(manifests, "Network")}
    ranges = [
        text
        for host in _of(manifests, "Host")
        for text in _annotation(host, POD_CIDRS).split(",")
        if text
    ]
    members: dict[tuple[str, str], list[Manifest]] = {}
    for one in _of(manifests, "Endpoint"):
        named = (_whose(one)[0], _text(one["spec"], "network"))
        if named not in there:
            members.setdefault(named, []).append(one)
    found = []
    made: dict[str, int] = {}
    for tenant, name in sorted(members, key=lambda named: (named[0], named[1] != PODS, named[1])):
        number = made[tenant] = made.get(tenant, -1) + 1
        tight = sum(owner == tenant for owner, _ in members) > 1
        spec = _network(name, members[tenant, name], [] if tight else ranges, number, tight)
        found.append(_made("Network", name, spec, tenant))
    return found


def _annotation(manifest: Manifest, key: str) -> str:
    annotations = manifest["metadata"].get("annotations")
    return str(annotations.get(key, "")) if isinstance(annotations, Mapping) else ""


def _network(
    name: str, pods: Sequence[Manifest], ranges: Sequence[str], number: int, tight: bool
) -> Manifest:
    """Prefixes that hold the addresses of some pods and, for the first network, of the nodes'.

    Where pods have IPv6 addresses only, so has their network. It is tight where there are others.
    """
    texts = (text for pod in pods for text in _texts(pod["spec"], "addresses"))
    addresses = set(_addresses(texts))
    prefixes, gateways = [], []
    for usual in map(ip_network, POD_PREFIXES):
        if usual.version == 4 and addresses and all(one.version == 6 for one in addresses):
            continue  # Or pods would get addresses that nobody gave them, and speak by these.
        # The first and the last address of a prefix are for nobody.
        wanted = [(int(one) - 1, int(one) + 1) for one in addresses if one.version == usual.version]
        if not number:
            wanted += [
                (int(one.network_address), int(one.broadcast_address))
                for one in _ranges(ranges)
                if one.version == usual.version and _near(one, addresses)
            ]
        prefix = _around(_moved(usual, number), wanted, tight)
        if prefix.prefixlen < _WIDEST[prefix.version]:
            text = (
                f"the pods' addresses lie in {prefix}, too wide for one network; give pods "
                "addresses of one prefix, or declare the Network"
            )
            raise IntentError(Problem(f"Network {name}", "spec.prefixes", "TooWide", text))
        prefixes.append(str(prefix))
        gateways.append(str(_gateway(prefix, addresses)))
    return {"prefixes": prefixes, "gateways": gateways}


def _near(given: IPNetwork, addresses: Iterable[IPAddress]) -> bool:
    """Whether one network may hold a range and the addresses, or there are none."""
    widest = _prefix(given.version, int(given.network_address), _WIDEST[given.version])
    return all(one in widest for one in addresses if one.version == given.version)


def _moved(usual: IPNetwork, number: int) -> IPNetwork:
    """The prefix so many places after one of the same length."""
    first = int(usual.network_address) + number * usual.num_addresses
    return _prefix(usual.version, first, usual.prefixlen)


def _around(usual: IPNetwork, wanted: Sequence[tuple[int, int]], tight: bool) -> IPNetwork:
    """The usual prefix when everything wanted is in it; else the longest that holds everything.

    If tight, the longest in any case.
    """
    if not wanted:
        return usual
    first, last = min(one[0] for one in wanted), max(one[1] for one in wanted)
    if not tight and _covers(usual, first, last):
        return usual
    # Room for a gateway and more pods: nothing longer than a usual range of one node.
    length = 24 if usual.version == 4 else 64
    while length and not _covers(_prefix(usual.version, max(first, 0), length), first, last):
        length -= 1
    return _prefix(usual.version, max(first, 0), length)


def _prefix(version: int, first: int, length: int) -> IPNetwork:
    bits = 32 if version == 4 else 128
    base = first >> (bits - length) << (bits - length)
    return IPv4Network((base, length)) if version == 4 else IPv6Network((base, length))


def _covers(prefix: IPNetwork, first: int, last: int) -> bool:
    return int(prefix.network_address) <= first and last <= int(prefix.broadcast_address)


def _gateway(prefix: IPNetwork, taken: Iterable[IPAddress]) -> IPAddress:
    """The first usable address; where that is a pod's, the last that is none's.

    Pods are given one address after the other: what comes next may be that of a pod to come.
    """
    numbers = {int(address) for address in taken if address.version == prefix.version}
    offset = 1
    while int(prefix[offset]) in numbers:
        offset = offset - 1 if offset < 0 else -2
    return prefix[offset]
