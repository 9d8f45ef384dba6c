# SPDX-License-Identifier: Apache-2.0
"""What one row says, as facts that an index can look up the other way round.

A fact is (relation, about, member, payload): *member* stands in *relation* to *about*.
Each is computed from one row alone, so adding and removing rows keeps an index true.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from ipaddress import ip_address, ip_network
from types import MappingProxyType
from typing import Any, NamedTuple

from vneter_sdn.admission.policy_references import policy_references
from vneter_sdn.model.addresses import IPAddress, IPNetwork
from vneter_sdn.model.encapsulation import payload_limit
from vneter_sdn.model.kinds import EndpointSpec, HostSpec, LinkSpec, NetworkSpec
from vneter_sdn.model.path_kinds import DemandSpec, PathPolicySpec, ReservationSpec
from vneter_sdn.model.snapshot import Allocation, Key, Object, Pools


class Fact(NamedTuple):
    """One entry of an index."""

    relation: str
    about: Any
    member: Any
    payload: Any = None


def canonical(address: str) -> str:
    """The one spelling of an IP address; text that is none is left alone."""
    try:
        return str(ip_address(address))
    except ValueError:
        return address


@lru_cache(maxsize=65536)
def network(prefix: str) -> IPNetwork:
    """``ip_network``, remembered: the same few prefixes are read again and again."""
    return ip_network(prefix)


def prefixes_of(spec: NetworkSpec) -> tuple[IPNetwork, ...]:
    """The prefixes of a network; malformed ones are left out (another rule reports them)."""
    return _networks(spec.prefixes)


def pools_of(network: Key, spec: NetworkSpec) -> Mapping[IPNetwork, str]:
    """The pool that addresses of each prefix of a network come from."""
    return _pools(network, spec.prefixes)


@lru_cache(maxsize=65536)
def _pools(network: Key, prefixes: tuple[str, ...]) -> Mapping[IPNetwork, str]:
    # To write a prefix of IPv6 takes 20 µs, and every endpoint's status asks for it four times.
    pools = {prefix: Pools.address(network, str(prefix)) for prefix in _networks(prefixes)}
    return MappingProxyType(pools)


@lru_cache(maxsize=65536)
def _networks(prefixes: tuple[str, ...]) -> tuple[IPNetwork, ...]:
    found = []
    for prefix in prefixes:
        with suppress(ValueError):
            found.append(network(prefix))
    return tuple(found)


def addresses_of(texts: Iterable[str]) -> tuple[IPAddress, ...]:
    """Addresses as values; malformed ones are left out (another rule reports them)."""
    found = []
    for text in texts:
        with suppress(ValueError):
            found.append(ip_address(text))
    return tuple(found)


def interface_id(key: Key, spec: EndpointSpec) -> str:
    """The ``iface-id`` an endpoint binds by."""
    return spec.interface_id or key.path


def network_of(key: Key, spec: EndpointSpec) -> Key:
    """The key of the network an endpoint attaches to."""
    return Key("Network", key.tenant, spec.network)


def link_pair(spec: LinkSpec) -> tuple[str, str]:
    """The hosts a link joins, whichever way round."""
    return min(spec.source, spec.target), max(spec.source, spec.target)


def wire_ends(spec: LinkSpec) -> tuple[tuple[str, str], ...]:
    """Host and port at each end of a wire that names both; nothing for tunnels."""
    if spec.medium != "wire" or spec.source_port is None or spec.target_port is None:
        return ()
    return (spec.source, spec.source_port), (spec.target, spec.target_port)


def references(key: Key, spec: Any) -> tuple[tuple[str, Key], ...]:
    """What an object refers to: (field, key) pairs."""
    if isinstance(spec, NetworkSpec):
        return (("metadata.tenant", Key("Tenant", "", key.tenant)),)
    if isinstance(spec, LinkSpec | DemandSpec):
        return (
            ("spec.source", Key("Host", "", spec.source)),
            ("spec.target", Key("Host", "", spec.target)),
        )
    if isinstance(spec, EndpointSpec):
        return tuple(_endpoint_references(key, spec))
    if isinstance(spec, PathPolicySpec):
        return tuple(_policy_references(spec))
    if isinstance(spec, ReservationSpec):
        return tuple(_reservation_references(spec))
    return tuple(policy_references(key, spec))


def _endpoint_references(key: Key, spec: EndpointSpec) -> Iterator[tuple[str, Key]]:
    yield "spec.network", network_of(key, spec)
    if spec.host:
        yield "spec.host", Key("Host", "", spec.host)
    if spec.namespace:
        yield "spec.namespace", Key("Namespace", key.tenant, spec.namespace)


def _policy_references(spec: PathPolicySpec) -> Iterator[tuple[str, Key]]:
    for position, name in enumerate(spec.tenants):
        yield f"spec.tenants[{position}]", Key("Tenant", "", name)
    for position, path in enumerate(spec.networks):
        tenant, _, name = path.partition("/")
        yield f"spec.networks[{position}]", Key("Network", tenant, name)
    for position, name in enumerate(spec.constraints.waypoints):
        yield f"spec.constraints.waypoints[{position}]", Key("Host", "", name)


def _reservation_references(spec: ReservationSpec) -> Iterator[tuple[str, Key]]:
    hosts = spec.between == "hosts"
    yield "spec.tenant", Key("Tenant", "", spec.tenant)
    for field, name in (("spec.source", spec.source), ("spec.target", spec.target)):
        yield field, Key("Host", "", name) if hosts else Key("Endpoint", spec.tenant, name)
    if spec.policy is not None:
        yield "spec.policy", Key("PathPolicy", "", spec.policy)


def object_facts(stored: Object) -> Iterator[Fact]:
    """The facts of one object."""
    key, spec = stored.key, stored.spec
    yield Fact("kind", key.kind, key)
    for _, target in references(key, spec):
        yield Fact("refers", target, key)
    if isinstance(spec, NetworkSpec):
        yield Fact("mtu", spec.mtu, key)
        if spec.learning:
            yield Fact("learns", True, key)
        if spec.vni is not None:
            yield Fact("vni", spec.vni, key)
    elif isinstance(spec, EndpointSpec):
        yield from _endpoint_facts(key, spec)
    elif isinstance(spec, HostSpec):
        yield from _host_facts(key, spec)
    elif isinstance(spec, LinkSpec):
        yield from _link_facts(key, spec)


def _host_facts(key: Key, spec: HostSpec) -> Iterator[Fact]:
    if spec.ovsdb is not None:
        yield Fact("ovsdb", spec.ovsdb, key)
    if spec.datapath_id is not None:
        yield Fact("datapath", spec.datapath_id, key)
    for address in spec.tunnel_addresses:
        yield Fact("tunnel", canonical(address), key)
    limit = payload_limit(spec)
    if limit is not None:
        yield Fact("payload", limit, key)


def _link_facts(key: Key, spec: LinkSpec) -> Iterator[Fact]:
    yield Fact("pair", (spec.source, spec.target), key)
    for end in wire_ends(spec):
        yield Fact("wired", end, key)
    if spec.mtu is not None:
        yield Fact("narrow", spec.mtu, key)
    for name in link_pair(spec):
        yield Fact("joins", Key("Host", "", name), key)
    if spec.encapsulation:
        yield Fact("override", spec.encapsulation, key)


def _endpoint_facts(key: Key, spec: EndpointSpec) -> Iterator[Fact]:
    network = network_of(key, spec)
    yield Fact("interface", interface_id(key, spec), key)
    for address in spec.addresses:
        yield Fact("asks", (network, canonical(address)), key)
    if spec.mac:
        yield Fact("asks", (network, spec.mac.lower()), key)


def allocation_facts(held: Allocation) -> Iterator[Fact]:
    """The facts of one allocation."""
    if held.released is not None:
        yield Fact("resting", held.pool, held.value, held.released)
        yield Fact("rests", held.owner, (held.pool, held.value))
        return
    yield Fact("owns", held.owner, (held.pool, held.value))
    yield Fact("live", held.pool, held.value, held.owner)
    if held.pool.startswith("block/"):
        yield Fact("open", (held.pool, held.owner), held.value)
        yield Fact("open", held.pool, held.value)


def owner_key(owner: str) -> Key | None:
    """The key behind the owner of an allocation; None for ``-``."""
    kind, _, path = owner.partition(" ")
    if not path:
        return None
    tenant, slash, name = path.partition("/")
    return Key(kind, tenant, name) if slash else Key(kind, "", tenant)
