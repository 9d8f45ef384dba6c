# SPDX-License-Identifier: Apache-2.0
"""What features read: objects with their allocations, and where things are.

Declared bottom up, for a query may ask only those above it. None stands for an object that does not
exist or has not been given all its numbers yet; nothing is compiled for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from vneter_sdn.compile.facts import (
    ALLOCATION,
    ALLOCATIONS_OF,
    BINDING,
    BLOCKS_OF_POOL,
    BOUND_AT,
    ENDPOINTS_OF_NETWORK,
    LEARNING,
    NETWORKS_OF_TENANT,
)
from vneter_sdn.compile.query import View, query
from vneter_sdn.model.addresses import IPAddress, IPNetwork, link_local, mac_number
from vneter_sdn.model.snapshot import Key, Pools


@dataclass(frozen=True, slots=True)
class Segment:
    """A network that has all its numbers."""

    key: Key
    vni: int
    tenant: int
    slot: int
    gateway_mac: int
    gateways: tuple[IPAddress, ...]
    prefixes: tuple[IPNetwork, ...]

    @property
    def faces(self) -> tuple[IPAddress, ...]:
        """Addresses of the gateway, with the link-local one that routers have (RFC 4861 §6.1.2)."""
        if all(address.version == 4 for address in self.gateways):
            return self.gateways
        return (*self.gateways, link_local(self.gateway_mac))


@dataclass(frozen=True, slots=True)
class Station:
    """An endpoint that has all its numbers, wherever it is."""

    key: Key
    network: Key
    mac: int
    slot: int
    addresses: tuple[IPAddress, ...]
    """Allocated ones, IPv4 first."""

    @property
    def all_addresses(self) -> tuple[IPAddress, ...]:
        """With the link-local one that IPv6 brings along."""
        if all(address.version == 4 for address in self.addresses):
            return self.addresses
        return (*self.addresses, link_local(self.mac))


@dataclass(frozen=True, slots=True)
class Place:
    """Where an endpoint is."""

    host: str
    ofport: int


@dataclass(frozen=True, slots=True)
class Block:
    """Addresses that one host draws from; host ``-`` when none does."""

    prefix: IPNetwork
    host: str


def host_key(name: str) -> Key:
    """The key of a host."""
    return Key("Host", "", name)


@query
def holdings(view: View, owner: str) -> tuple[tuple[str, str], ...]:
    """Allocations (pool, value) of an owner, sorted."""
    return tuple(sorted(view.find(ALLOCATIONS_OF, owner)))


def _numbers(held: tuple[tuple[str, str], ...]) -> dict[str, str]:
    return dict(reversed(held))


@query
def bridge_of(view: View, host: str) -> int | None:
    """Bridge id of a host."""
    if view.get("Host", host_key(host)) is None:
        return None
    number = _numbers(view.ask(holdings, str(host_key(host)))).get(Pools.BRIDGE)
    return None if number is None else int(number)


@query
def tenant_of(view: View, tenant: str) -> int | None:
    """Tenant id."""
    key = Key("Tenant", "", tenant)
    if view.get("Tenant", key) is None:
        return None
    number = _numbers(view.ask(holdings, str(key))).get(Pools.TENANT)
    return None if number is None else int(number)


@query
def segment(view: View, network: Key) -> Segment | None:
    """A network with its numbers."""
    spec = view.get("Network", network)
    tenant = view.ask(tenant_of, network.tenant)
    if spec is None or tenant is None:
        return None
    held = _numbers(view.ask(holdings, str(network)))
    vni, slot = held.get(Pools.VNI), held.get(Pools.SLOT)
    mac = held.get(Pools.mac(network))
    if vni is None or slot is None or mac is None:
        return None
    prefixes = tuple(ip_network(prefix) for prefix in spec.prefixes)
    pools = [Pools.address(network, str(prefix)) for prefix in prefixes]
    gateways = tuple(ip_address(held[pool]) for pool in pools if pool in held)
    return Segment(network, int(vni), tenant, int(slot), mac_number(mac), gateways, prefixes)


@query
def station(view: View, endpoint: Key) -> Station | None:
    """An endpoint with its numbers."""
    spec = view.get("Endpoint", endpoint)
    if spec is None:
        return None
    network = Key("Network", endpoint.tenant, spec.network)
    held = view.ask(holdings, str(endpoint))
    numbers = _numbers(held)
    slot, mac = numbers.get(Pools.SLOT), numbers.get(Pools.mac(network))
    if slot is None or mac is None:
        return None
    pool = Pools.address(network, "")
    addresses = [ip_address(value) for name, value in held if name.startswith(pool)]
    addresses.sort(key=lambda address: (address.version, int(address)))
    return Station(endpoint, network, mac_number(mac), int(slot), tuple(addresses))


@query
def place(view: View, endpoint: Key) -> Place | None:
    """Where an endpoint is.

    None when it is unbound, or bound to a host that is not one of ours, or to a port that a newer
    binding gives to another endpoint: a port that is used again must not speak for who had it.
    """
    bound = view.get(BINDING, endpoint)
    if bound is None or view.ask(bridge_of, bound[0]) is None:
        return None
    for other in view.find(BOUND_AT, bound[:2]) - {endpoint}:
        newer = (view.get(BINDING, other)[2], other) > (bound[2], endpoint)
        if newer and view.get("Endpoint", other) is not None:
            return None
    return Place(bound[0], bound[1])


@query
def presence(view: View, network: Key) -> frozenset[str]:
    """Hosts with an endpoint of a network. O(endpoints of the network)."""
    endpoints = view.find(ENDPOINTS_OF_NETWORK, network)
    found = (view.ask(place, endpoint) for endpoint in endpoints)
    return frozenset(at.host for at in found if at)


@query
def tenant_presence(view: View, tenant: str) -> frozenset[str]:
    """Hosts with an endpoint of a tenant."""
    networks = view.find(NETWORKS_OF_TENANT, tenant)
    return frozenset().union(*(view.ask(presence, network) for network in networks))


@query
def blocks(view: View, network: Key) -> tuple[Block, ...]:
    """Address blocks of a network, sorted."""
    spec = view.get("Network", network)
    found = []
    for prefix in spec.prefixes if spec else ():
        pool = Pools.block(network, str(ip_network(prefix)))
        for place_ in view.find(BLOCKS_OF_POOL, pool):
            owner = view.get(ALLOCATION, place_) or "-"
            found.append(Block(ip_network(place_[1]), owner.removeprefix("Host ")))
    return tuple(sorted(found, key=lambda b: (b.prefix.version, b.prefix)))


@query
def undocumented(view: View, host: str) -> bool:
    """Whether nothing but a host's bridge itself says what its ports are for: it has no OVSDB."""
    spec = view.get("Host", host_key(host))
    return spec is not None and spec.ovsdb is None


@query
def learning(view: View, _: None) -> Key | None:
    """The network that learns its endpoints, if one does and has its numbers."""
    found = [key for key in view.find(LEARNING, True) if view.ask(segment, key) is not None]
    return min(found, default=None)
