# SPDX-License-Identifier: Apache-2.0
"""Snapshots by hand, for tests below admission."""

from __future__ import annotations

from ipaddress import ip_network

from vneter_sdn.model.addresses import mac_text
from vneter_sdn.model.kinds import EndpointSpec, HostSpec, LinkSpec, NetworkSpec, TenantSpec
from vneter_sdn.model.path_kinds import PathPolicySpec
from vneter_sdn.model.snapshot import Allocation, Binding, Key, Object, Pools, Snapshot


class Intent:
    """Builds a snapshot, numbering everything in order."""

    def __init__(self):
        self.objects, self.allocations, self.bindings = {}, {}, {}
        self.counter = 0

    def put(self, key, spec, labels=None):
        self.objects[key] = Object(key=key, spec=spec, labels=labels or {})

    def hold(self, pool, value, owner):
        self.allocations[pool, str(value)] = Allocation(pool, str(value), str(owner))

    def number(self):
        self.counter += 1
        return self.counter

    def host(self, name, bridge, **spec):
        key = Key("Host", "", name)
        spec = {"ovsdb": "unix:/run/x/db.sock", "tunnel_addresses": (f"192.0.2.{bridge}",)} | spec
        self.put(key, HostSpec(**spec))
        self.hold(Pools.BRIDGE, bridge, key)

    def link(self, name, **spec):
        self.put(Key("Link", "", name), LinkSpec(**spec))

    def wire(self, source, source_port, target, target_port, **spec):
        """A wire between two interfaces, by their numbers."""
        ends = {"source_port": f"eth{source_port}", "target_port": f"eth{target_port}"}
        name = f"{source}-{source_port}-{target}-{target_port}"
        self.link(name, medium="wire", source=source, target=target, **ends, **spec)

    def policy(self, name, number, **spec):
        key = Key("PathPolicy", "", name)
        self.put(key, PathPolicySpec(**spec))
        self.hold(Pools.POLICY, number, key)

    def path(self, colour, *edges, released=None):
        """A colour that a path has."""
        value = " ".join(edges)
        held = Allocation(Pools.PATH, value, f"Colour {colour}", released)
        self.allocations[Pools.PATH, value] = held

    def tenant(self, name, number):
        key = Key("Tenant", "", name)
        self.put(key, TenantSpec())
        self.hold(Pools.TENANT, number, key)

    def network(self, tenant, name, vni, *prefixes, blocks=()):
        key = Key("Network", tenant, name)
        self.put(key, NetworkSpec(prefixes=prefixes))
        self.hold(Pools.VNI, vni, key)
        self.hold(Pools.SLOT, self.number(), key)
        self.hold(Pools.mac(key), mac_text(0x0200_0000_0000 | vni << 8 | 1), key)
        for prefix in prefixes:
            self.hold(Pools.address(key, prefix), ip_network(prefix)[1], key)
        for block, host in blocks:
            within = (
                next(p for p in prefixes if ":" in p if ":" in block)
                if ":" in block
                else next(p for p in prefixes if ":" not in p)
            )
            self.hold(Pools.block(key, within), block, f"Host {host}" if host != "-" else "-")

    def endpoint(
        self, tenant, name, network, *addresses, host=None, port=None, mac=None, labels=None
    ):
        key = Key("Endpoint", tenant, name)
        at = Key("Network", tenant, network)
        self.put(key, EndpointSpec(network=network, host=host), labels)
        number = self.number()
        self.hold(Pools.SLOT, number, key)
        self.hold(Pools.mac(at), mac or mac_text(0x0200_0001_0000 | number), key)
        for address in addresses:
            prefix = next(
                p for p in self.objects[at].spec.prefixes if (":" in p) == (":" in address)
            )
            self.hold(Pools.address(at, prefix), address, key)
        if host:
            self.bindings[key] = Binding(key, host, f"if{number}", port or number, number)

    def snapshot(self, revision=1):
        return Snapshot(revision, dict(self.objects), dict(self.allocations), dict(self.bindings))
