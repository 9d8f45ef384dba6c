# SPDX-License-Identifier: Apache-2.0
"""Endpoints that ask the edge, as the store knows them."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import msgspec

from vneter_sdn.edge.ledger import Asker, Ledger
from vneter_sdn.model.addresses import mac_text
from vneter_sdn.model.kinds import EndpointSpec, NetworkSpec, TenantSpec
from vneter_sdn.model.snapshot import Allocation, Binding, Key, Object, Pools, Snapshot

MAC, GATEWAY_MAC = 0x0200_0000_0009, 0x0200_0000_0001


def asker(addresses=("10.0.0.9", "fd00::9"), domain="red.internal", **spec):
    """``red/web-1`` in network ``net``; ``spec`` as in a manifest."""
    spec = {"prefixes": ["10.0.0.0/24", "fd00::/64"], **spec}
    gateways = {4: "10.0.0.1", 6: "fd00::1"}
    families = {6 if ":" in prefix else 4 for prefix in spec["prefixes"]}
    return Asker(
        key=Key("Endpoint", "red", "web-1"),
        network=Key("Network", "red", "net"),
        spec=msgspec.convert(spec, NetworkSpec),
        domain=domain,
        mac=MAC,
        addresses=tuple(ip_address(one) for one in addresses),
        gateway_mac=GATEWAY_MAC,
        gateways=tuple(ip_address(gateways[family]) for family in sorted(families)),
    )


class Store:
    """A snapshot by hand: ``red`` and ``blue`` have the same prefixes, and other endpoints."""

    def __init__(self):
        self.objects, self.allocations, self.bindings, self.revision = {}, {}, {}, 1

    def put(self, kind, tenant, name, spec):
        key = Key(kind, tenant, name)
        self.objects[key] = Object(key=key, spec=spec)
        return key

    def hold(self, pool, value, owner, released=None):
        self.allocations[pool, str(value)] = Allocation(pool, str(value), str(owner), released)

    def tenant(self, name, **spec):
        self.put("Tenant", "", name, TenantSpec(**spec))

    def network(self, tenant, name, vni, *prefixes, **spec):
        spec = msgspec.convert({"prefixes": prefixes, "dns": {}, **spec}, NetworkSpec)
        key = self.put("Network", tenant, name, spec)
        self.hold(Pools.VNI, vni, key)
        self.hold(Pools.mac(key), mac_text(GATEWAY_MAC), key)
        for prefix in prefixes:
            self.hold(Pools.address(key, prefix), ip_network(prefix)[1], key)

    def endpoint(self, tenant, name, network, mac, *addresses):
        key = self.put("Endpoint", tenant, name, EndpointSpec(network=network))
        at = Key("Network", tenant, network)
        self.hold(Pools.mac(at), mac_text(mac), key)
        for text in addresses:
            address = ip_address(text)
            prefixes = self.objects[at].spec.prefixes
            prefix = next(p for p in prefixes if address in ip_network(p))
            self.hold(Pools.address(at, prefix), address, key)
        self.bindings[key] = Binding(key, "h1", "if", 5, 1)
        return key

    def snapshot(self):
        self.revision += 1
        maps = dict(self.objects), dict(self.allocations), dict(self.bindings)
        return Snapshot(self.revision, *maps)

    def ledger(self):
        found = Ledger()
        found.stored(self.snapshot(), None)
        return found


def two_tenants():
    store = Store()
    for number, tenant in enumerate(("red", "blue")):
        store.tenant(tenant, **({"domain": "red.example"} if tenant == "red" else {}))
        store.network(tenant, "net", 100 + number, "10.0.0.0/24", "fd00::/64")
        store.network(tenant, "a.b", 200 + number, "10.9.0.0/26")
        store.endpoint(tenant, "web", "net", MAC, f"10.0.0.{9 + number}", f"fd00::{9 + number}")
        store.endpoint(tenant, f"only-{tenant}", "net", MAC + 1, "10.0.0.77")
        store.endpoint(tenant, "x.y", "a.b", MAC + 2, "10.9.0.7")
    return store
