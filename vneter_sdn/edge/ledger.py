# SPDX-License-Identifier: Apache-2.0
"""Who asks, and what is known of them: from the store alone, never from what they wrote."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from ipaddress import ip_address, ip_network

from vneter_sdn.model.addresses import IPAddress, IPNetwork, link_local, mac_number, mac_text
from vneter_sdn.model.kinds import NetworkSpec, TenantSpec
from vneter_sdn.model.snapshot import Delta, Key, Pools, Snapshot

_ADDRESSES, _MACS = "address/", "mac/"
Place = tuple[str, str]
"""Pool and value of an allocation."""


@dataclass(frozen=True)
class Asker:
    """An endpoint that asks the edge of its network for something."""

    key: Key
    network: Key
    spec: NetworkSpec
    """Of the network."""
    domain: str
    """What names of the tenant's endpoints end in."""
    mac: int
    addresses: tuple[IPAddress, ...]
    """The endpoint's own, from allocations."""
    gateway_mac: int
    gateways: tuple[IPAddress, ...]
    host: str = ""
    """Where it is."""

    def own(self, version: int) -> IPAddress | None:
        """Its address of a family."""
        return next((one for one in self.addresses if one.version == version), None)

    def gateway(self, version: int) -> IPAddress | None:
        """The gateway's address of a family."""
        return next((one for one in self.gateways if one.version == version), None)

    def prefix(self, version: int) -> IPNetwork | None:
        """The network's prefix of a family."""
        return next((one for one in self._prefixes if one.version == version), None)

    @cached_property
    def _prefixes(self) -> tuple[IPNetwork, ...]:
        return tuple(ip_network(text) for text in self.spec.prefixes)

    @property
    def link_local(self) -> IPAddress:
        """The address that its interface forms by itself."""
        return link_local(self.mac)


class Ledger:
    """Whose everything is, kept up to date. Reading is O(1), following a change O(the change)."""

    def __init__(self) -> None:
        self._snapshot = Snapshot()
        self._held: dict[str, set[Place]] = {}
        """By owner: its addresses, IP and Ethernet."""
        self._networks: dict[str, set[Key]] = {}
        """By tenant."""

    def stored(self, snapshot: Snapshot, delta: Delta | None) -> None:
        """The store is at this now. ``delta``: what changed; None for all of it."""
        if delta is None:
            self._held, self._networks, self._snapshot = {}, {}, Snapshot()
            delta = Delta(frozenset(snapshot.objects), frozenset(snapshot.allocations))
        for place in delta.allocations:
            if place[0].startswith((_ADDRESSES, _MACS)):
                self._moved(place, _owner(self._snapshot, place), _owner(snapshot, place))
        for key in delta.objects:
            if key.kind == "Network":
                networks = self._networks.setdefault(key.tenant, set())
                (networks.add if key in snapshot.objects else networks.discard)(key)
        self._snapshot = snapshot

    def _moved(self, place: Place, before: str, now: str) -> None:
        if before:
            held = self._held.get(before, set())
            held.discard(place)
            if not held:
                self._held.pop(before, None)
        if now:
            self._held.setdefault(now, set()).add(place)

    def asker(self, vni: int, mac: int) -> Asker | None:
        """The endpoint with a MAC in a network; None when nobody has it."""
        network = _key(_owner(self._snapshot, (Pools.VNI, str(vni))))
        stored = self._snapshot.objects.get(network) if network else None
        if network is None or stored is None:
            return None
        endpoint = _key(_owner(self._snapshot, (Pools.mac(network), mac_text(mac))))
        gateway_mac = self.gateway_mac(network)
        if endpoint is None or endpoint.kind != "Endpoint" or gateway_mac is None:
            return None
        return Asker(
            key=endpoint,
            network=network,
            spec=stored.spec,
            domain=self.domain(network.tenant),
            mac=mac,
            addresses=self.addresses(endpoint),
            gateway_mac=gateway_mac,
            gateways=self.addresses(network),
            host=self._host(endpoint),
        )

    def addresses(self, owner: Key) -> tuple[IPAddress, ...]:
        """Addresses of an endpoint, or of a network's gateway; IPv4 first."""
        held = self._held.get(str(owner), ())
        found = (ip_address(value) for pool, value in held if pool.startswith(_ADDRESSES))
        return tuple(sorted(found, key=lambda one: (one.version, int(one))))

    def domain(self, tenant: str) -> str:
        """What names of a tenant's endpoints end in."""
        stored = self._snapshot.objects.get(Key("Tenant", "", tenant))
        spec: TenantSpec | None = None if stored is None else stored.spec
        found = (spec.domain if spec else None) or f"{tenant}.internal"
        return found if is_domain(found) else "internal"

    @property
    def revision(self) -> int:
        """Of the store."""
        return self._snapshot.revision

    def prefixes(self, tenant: str) -> Iterable[str]:
        """All prefixes of a tenant."""
        for key in self.networks(tenant):
            yield from self._snapshot.objects[key].spec.prefixes

    def networks(self, tenant: str) -> Iterable[Key]:
        """A tenant's networks."""
        return self._networks.get(tenant, ())

    def endpoint(self, tenant: str, network: str, name: str) -> Key | None:
        """An endpoint by what its name is made of."""
        key = Key("Endpoint", tenant, name)
        stored = self._snapshot.objects.get(key)
        return key if stored is not None and stored.spec.network == network else None

    def owner(self, tenant: str, address: IPAddress) -> tuple[Key, Key] | None:
        """Who has an address of a tenant, an endpoint or a network's gateway; and the network."""
        for network in self.networks(tenant):
            for text in self._snapshot.objects[network].spec.prefixes:
                prefix = ip_network(text)
                if prefix.version == address.version and address in prefix:
                    place = Pools.address(network, str(prefix)), str(address)
                    owner = _key(_owner(self._snapshot, place))
                    return None if owner is None else (owner, network)
        return None

    def _host(self, endpoint: Key) -> str:
        """Where an endpoint is."""
        bound = self._snapshot.bindings.get(endpoint)
        return "" if bound is None else bound.host

    def gateway_mac(self, network: Key) -> int | None:
        """The MAC of a network's gateway."""
        held = self._held.get(str(network), ())
        return next((mac_number(v) for pool, v in held if pool.startswith(_MACS)), None)


def is_domain(name: str) -> bool:
    """Whether DNS can hold a name (RFC 1035 §2.3.4); those of objects may have dots anywhere."""
    return len(name) <= 253 and all(0 < len(label) <= 63 for label in name.split("."))


def _owner(snapshot: Snapshot, place: Place) -> str:
    """Whose a value is; nobody's while it rests."""
    found = snapshot.allocations.get(place)
    return "" if found is None or found.released is not None else found.owner


def _key(owner: str) -> Key | None:
    """The key of an owner of a tenant."""
    kind, _, path = owner.partition(" ")
    tenant, slash, name = path.partition("/")
    return Key(kind, tenant, name) if slash else None
