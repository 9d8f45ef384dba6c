# SPDX-License-Identifier: Apache-2.0
"""A cluster that is nowhere: what a directory of Kubernetes manifests needs to be compiled."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

from vneter_sdn.errors import IntentError, Problem
from vneter_sdn.kubernetes.naming import ORIGIN, POD_CIDRS
from vneter_sdn.model.addresses import IPAddress, IPNetwork
from vneter_sdn.model.kinds import API_VERSION, KINDS

POD_PREFIXES = ("10.244.0.0/16", "fd00:10:244::/56")
"""Addresses of pods where nothing says otherwise."""
HOST = "node"
"""Name of the one host where there are no Nodes."""
_WIDEST = {4: 8, 6: 32}
_TENANTED = frozenset({"Endpoint", "Policy", "Group", "Namespace", "Network"})
_UNDERLAY = IPv4Network("192.0.2.0/24")

Manifest = dict[str, Any]


def stand_in(manifests: Sequence[Mapping[str, Any]]) -> tuple[Manifest, ...]:
    """Manifests of our own kinds, with everything that they need and nobody declared.

    Added are Tenants, Namespaces, Networks of pods, and Hosts: one per ``spec.host``, or one for
    all. Hosts that lack one get an address and a database that is nowhere. Endpoints without a host
    are spread over the hosts in turn, in the order of their names; those without an address are
    left to normal allocation. The same manifests give the same result.

    Args:
        manifests: what `vneter_sdn.kubernetes.door.native` returns.

    Raises:
        IntentError: the addresses of pods do not fit in one network.
    """
    whole = [_copied(manifest) for manifest in manifests]
    hosts = _hosts(whole)
    whole += [host for host in hosts if host not in whole]
    _place(whole, sorted(host["metadata"]["name"] for host in hosts))
    whole += _tenants(whole)
    whole += _namespaces(whole)
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


def _made(kind: str, name: str, spec: Manifest, tenant: str | None = None) -> Manifest:
    metadata = {"name": name} | ({"tenant": tenant} if tenant else {})
    annotations = {ORIGIN: "stand-in"}
    return {
        "apiVersion": API_VERSION,
        "kind": kind,
        "metadata": {**metadata, "annotations": annotations},
        "spec": spec,
    }


def _hosts(manifests: Sequence[Manifest]) -> list[Manifest]:
    """Every host: those declared, completed, and those that endpoints name."""
    hosts = {str(one["metadata"].get("name")): one for one in _of(manifests, "Host")}
    for one in _of(manifests, "Endpoint"):
        name = one["spec"].get("host")
        if isinstance(name, str) and name not in hosts:
            hosts[name] = _made("Host", name, {})
    if not hosts:
        hosts[HOST] = _made("Host", HOST, {})
    taken = {text for one in hosts.values() for text in one["spec"].get("tunnelAddresses", ())}
    free = (str(address) for address in _UNDERLAY.supernet(8).hosts() if str(address) not in taken)
    for name, host in sorted(hosts.items()):
        spec = host["spec"]
        if "ovsdb" in spec or "datapathId" in spec:
            continue
        spec["ovsdb"] = f"unix:/nowhere/{name}"
        if not spec.get("tunnelAddresses"):
            spec["tunnelAddresses"] = [next(free)]
    return list(hosts.values())


def _place(manifests: Sequence[Manifest], hosts: Sequence[str]) -> None:
    """Endpoints that are nowhere go to the host with the fewest, the first of them by name."""
    load = dict.fromkeys(hosts, 0)
    homeless = []
    for one in _of(manifests, "Endpoint"):
        host = one["spec"].get("host")
        if host is None:
            homeless.append(one)
        elif host in load:
            load[host] += 1
    for one in sorted(homeless, key=lambda one: str(one["metadata"].get("name"))):
        host = min(load, key=lambda name: (load[name], name))
        one["spec"]["host"] = host
        load[host] += 1


def _tenants(manifests: Sequence[Manifest]) -> list[Manifest]:
    there = {one["metadata"].get("name") for one in _of(manifests, "Tenant")}
    wanted: set[str] = set()
    for one in manifests:
        if one.get("kind") in _TENANTED:
            wanted.add(str(one["metadata"].get("tenant")))
        elif one.get("kind") == "ClusterPolicy":
            wanted.update(one["spec"].get("tenants", ()))
    return [_made("Tenant", name, {}) for name in sorted(wanted - there)]


def _namespaces(manifests: Sequence[Manifest]) -> list[Manifest]:
    there = {
        (one["metadata"].get("tenant"), one["metadata"].get("name"))
        for one in _of(manifests, "Namespace")
    }
    wanted = {
        (str(one["metadata"].get("tenant")), one["spec"]["namespace"])
        for one in _of(manifests, "Endpoint")
        if one["spec"].get("namespace")
    }
    return [_made("Namespace", name, {}, tenant) for tenant, name in sorted(wanted - there)]


def _networks(manifests: Sequence[Manifest]) -> list[Manifest]:
    """The networks that endpoints name and nobody declared."""
    there = {
        (one["metadata"].get("tenant"), one["metadata"].get("name"))
        for one in _of(manifests, "Network")
    }
    ranges = [
        text
        for host in _of(manifests, "Host")
        for text in _annotation(host, POD_CIDRS).split(",")
        if text
    ]
    members: dict[tuple[str, str], list[Manifest]] = {}
    for one in _of(manifests, "Endpoint"):
        named = (str(one["metadata"].get("tenant")), str(one["spec"].get("network")))
        if named not in there:
            members.setdefault(named, []).append(one)
    return [
        _made("Network", name, _network(name, pods, ranges), tenant)
        for (tenant, name), pods in sorted(members.items())
    ]


def _annotation(manifest: Manifest, key: str) -> str:
    annotations = manifest["metadata"].get("annotations")
    return str(annotations.get(key, "")) if isinstance(annotations, Mapping) else ""


def _network(name: str, pods: Sequence[Manifest], ranges: Sequence[str]) -> Manifest:
    """Prefixes that hold the addresses of some pods and the ranges of their nodes."""
    addresses = {
        ip_address(text) for pod in pods for text in pod["spec"].get("addresses", ()) if text
    }
    prefixes, gateways = [], []
    for usual in map(ip_network, POD_PREFIXES):
        wanted = [ip_network(text) for text in ranges]
        wanted += [ip_network(address) for address in addresses]
        prefix = _around(usual, [one for one in wanted if one.version == usual.version])
        if prefix.prefixlen < _WIDEST[prefix.version]:
            text = (
                f"the pods' addresses lie in {prefix}, too wide for one network; give pods "
                "addresses of one prefix, or declare the Network"
            )
            raise IntentError(Problem(f"Network {name}", "spec.prefixes", "TooWide", text))
        prefixes.append(str(prefix))
        gateways.append(str(_gateway(prefix, addresses)))
    return {"prefixes": prefixes, "gateways": gateways}


def _around(usual: IPNetwork, wanted: Sequence[IPNetwork]) -> IPNetwork:
    """The usual prefix when everything wanted is in it; else the longest that holds everything."""
    firsts = [int(one.network_address) for one in wanted]
    lasts = [int(one.broadcast_address) for one in wanted]
    if not wanted or _covers(usual, min(firsts), max(lasts)):
        return usual
    # Room for a gateway and more pods: nothing longer than a usual range of one node.
    length = 24 if usual.version == 4 else 64
    while length:
        candidate = _prefix(usual.version, min(firsts), length)
        if _covers(candidate, min(firsts), max(lasts)):
            return candidate
        length -= 1
    return _prefix(usual.version, 0, 0)


def _prefix(version: int, first: int, length: int) -> IPNetwork:
    bits = 32 if version == 4 else 128
    base = first >> (bits - length) << (bits - length)
    return IPv4Network((base, length)) if version == 4 else IPv6Network((base, length))


def _covers(prefix: IPNetwork, first: int, last: int) -> bool:
    return int(prefix.network_address) <= first and last <= int(prefix.broadcast_address)


def _gateway(prefix: IPNetwork, taken: Iterable[IPAddress]) -> IPAddress:
    """The first usable address that is no pod's."""
    numbers = {int(address) for address in taken if address.version == prefix.version}
    offset = 1
    while int(prefix[offset]) in numbers:
        offset += 1
    return prefix[offset]
