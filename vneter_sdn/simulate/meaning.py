# SPDX-License-Identifier: Apache-2.0
"""What the intent allows, read from a snapshot and never from flows.

Each rule is one line; the property tests hold the compiled fleet to them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from vneter_sdn.model.addresses import IPAddress, IPNetwork, link_local, mac_number
from vneter_sdn.model.kinds import NetworkSpec
from vneter_sdn.model.snapshot import Key, Pools, Snapshot
from vneter_sdn.pipeline.punts import Service


@dataclass(frozen=True, slots=True)
class Station:
    """An endpoint that is somewhere: what it owns, and the port it is behind."""

    key: Key
    network: Key
    host: str
    port: int
    mac: int
    addresses: frozenset[IPAddress]

    @property
    def tenant(self) -> str:
        """Name of its tenant."""
        return self.key.tenant

    @property
    def in_network(self) -> frozenset[IPAddress]:
        """Addresses it has inside its own network: IPv6 brings a link-local one (RFC 4862 §5.3)."""
        six = any(address.version == 6 for address in self.addresses)
        return self.addresses | {link_local(self.mac)} if six else self.addresses


@dataclass(frozen=True, slots=True)
class Gateway:
    """The distributed router's face in one network."""

    network: Key
    mac: int
    addresses: frozenset[IPAddress]
    prefixes: tuple[IPNetwork, ...] = ()
    mtu: int = 0
    """Octets of an IP packet that the network takes."""
    number: int = 0
    """The tenant's."""
    vni: int = 0
    services: frozenset[Service] = frozenset()
    """What it answers, by way of the controller."""

    @property
    def in_network(self) -> frozenset[IPAddress]:
        """Addresses it has inside that network: routers have link-local ones (RFC 4861 §6.1.2)."""
        six = any(address.version == 6 for address in self.addresses)
        return self.addresses | {link_local(self.mac)} if six else self.addresses


@dataclass(frozen=True, slots=True)
class Meaning:
    """The snapshot, as what may pass."""

    stations: Mapping[Key, Station]
    gateways: Mapping[Key, Gateway]

    def may_send(self, sender: Station, mac: int, address: IPAddress | None = None) -> bool:
        """Anti-spoof: only with its own MAC, and as one of its own addresses."""
        return mac == sender.mac and (address is None or address in sender.in_network)

    def owner(self, tenant: str, address: IPAddress) -> Station | None:
        """L3: an address means whoever owns it in the same tenant, and in no other."""
        owners = (s for s in self.stations.values() if s.tenant == tenant)
        return next((s for s in owners if address in s.addresses), None)

    def behind(self, network: Key, mac: int) -> Station | None:
        """L2: a MAC means whoever owns it in the same network, and in no other."""
        members = (s for s in self.stations.values() if s.network == network)
        return next((s for s in members if s.mac == mac), None)

    def may_reach(self, sender: Station, target: Station) -> bool:
        """Isolation: tenants never meet; inside one, everybody may reach everybody."""
        return sender.tenant == target.tenant

    def answer(self, sender: Station, address: IPAddress) -> int | None:
        """ARP and ND: the MAC that the sender's network knows for an address of that network."""
        gateway = self.gateways[sender.network]
        if address in gateway.in_network:
            return gateway.mac
        members = (s for s in self.stations.values() if s.network == sender.network)
        return next((s.mac for s in members if address in s.in_network), None)


def meaning_of(snapshot: Snapshot) -> Meaning:
    """Read who owns what (allocations that are not released) and who is where (bindings)."""
    macs, addresses, numbers = _holdings(snapshot)
    hosts = frozenset(key.name for key in snapshot.objects if key.kind == "Host")
    stations = {}
    for key, binding in snapshot.bindings.items():
        held = snapshot.objects.get(key)
        owner = str(key)
        if held is None or owner not in macs or binding.host not in hosts:
            continue
        network = Key("Network", key.tenant, held.spec.network)
        owned = frozenset(addresses.get(owner, ()))
        stations[key] = Station(key, network, binding.host, binding.ofport, macs[owner], owned)
    gateways = {
        key: Gateway(
            key,
            macs[str(key)],
            frozenset(addresses.get(str(key), ())),
            tuple(ip_network(prefix) for prefix in held.spec.prefixes),
            held.spec.mtu,
            numbers.get(str(Key("Tenant", "", key.tenant)), 0),
            numbers.get(str(key), 0),
            frozenset(_services(held.spec)),
        )
        for key, held in snapshot.objects.items()
        if key.kind == "Network" and str(key) in macs
    }
    return Meaning(stations, gateways)


def _services(spec: NetworkSpec) -> Iterator[Service]:
    """What endpoints of a network may ask its gateway."""
    six = [":" in prefix for prefix in spec.prefixes]
    if spec.dns is not None and spec.dns.enabled:
        yield Service.DNS
    if spec.dhcp is not None and spec.dhcp.enabled and not all(six):
        yield Service.DHCP
    if spec.ra is not None and spec.ra.enabled and any(six):
        yield Service.ROUTER
        if spec.ra.asked:
            yield Service.DHCPV6


def _holdings(
    snapshot: Snapshot,
) -> tuple[dict[str, int], Mapping[str, set[IPAddress]], dict[str, int]]:
    """MACs, addresses, and numbers of tenants and networks, by owner."""
    macs: dict[str, int] = {}
    addresses: defaultdict[str, set[IPAddress]] = defaultdict(set)
    numbers: dict[str, int] = {}
    for allocation in snapshot.allocations.values():
        if allocation.released is not None:
            continue
        if allocation.pool.startswith("mac/"):
            macs[allocation.owner] = mac_number(allocation.value)
        elif allocation.pool.startswith("address/"):
            addresses[allocation.owner].add(ip_address(allocation.value))
        elif allocation.pool in (Pools.TENANT, Pools.VNI):
            numbers[allocation.owner] = int(allocation.value)
    return macs, addresses, numbers
