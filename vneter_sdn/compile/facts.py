# SPDX-License-Identifier: Apache-2.0
"""From a snapshot and what was observed, to facts.

| relation | key | value |
|---|---|---|
| ``Host``, ``Link``, ``Tenant``, ``Network``, ``Endpoint`` | `Key` | the spec |
| ``Allocation`` | (pool, value) | owner, as text; released ones are absent |
| ``Binding`` | `Key` of the endpoint | (host, ofport, sequence) |
| ``TunnelPorts`` | host | ofport that the switch gave each tunnel port, by name |

Specs are facts whole: what only some queries use of them is told apart by early cut-off.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from vneter_sdn.compile.query import Fact, Index
from vneter_sdn.model.kinds import EndpointSpec, NetworkSpec
from vneter_sdn.model.snapshot import Delta, Key, Snapshot

ALLOCATION, BINDING, TUNNEL_PORTS = "Allocation", "Binding", "TunnelPorts"
BLOCK_POOL = "block/"


def _network_of(key: Key, spec: EndpointSpec) -> Iterable[Key]:
    yield Key("Network", key.tenant, spec.network)


def _tenant_of(key: Key, spec: NetworkSpec) -> Iterable[str]:
    yield key.tenant


def _owner(key: tuple[str, str], owner: str) -> Iterable[str]:
    yield owner


def _block_pool(key: tuple[str, str], owner: str) -> Iterable[str]:
    if key[0].startswith(BLOCK_POOL):
        yield key[0]


def _bound_host(key: Key, bound: tuple[str, int, int]) -> Iterable[str]:
    yield bound[0]


def _bound_port(key: Key, bound: tuple[str, int, int]) -> Iterable[tuple[str, int]]:
    yield bound[:2]


ENDPOINTS_OF_NETWORK = Index("endpoints of network", "Endpoint", _network_of)
NETWORKS_OF_TENANT = Index("networks of tenant", "Network", _tenant_of)
ALLOCATIONS_OF = Index("allocations of owner", ALLOCATION, _owner)
BLOCKS_OF_POOL = Index("blocks of pool", ALLOCATION, _block_pool)
BOUND_ON = Index("endpoints bound on host", BINDING, _bound_host)
BOUND_AT = Index("endpoints bound at port", BINDING, _bound_port)
INDEXES = (
    ENDPOINTS_OF_NETWORK,
    NETWORKS_OF_TENANT,
    ALLOCATIONS_OF,
    BLOCKS_OF_POOL,
    BOUND_ON,
    BOUND_AT,
)


def everything(snapshot: Snapshot) -> Delta:
    """The delta from nothing to a snapshot."""
    return Delta(
        frozenset(snapshot.objects),
        frozenset(snapshot.allocations),
        frozenset(snapshot.bindings),
    )


def facts(snapshot: Snapshot, delta: Delta) -> dict[Fact, Any]:
    """The facts that a delta may have changed, with their values now; None for those gone."""
    found: dict[Fact, Any] = {}
    for key in delta.objects:
        stored = snapshot.objects.get(key)
        found[Fact(key.kind, key)] = None if stored is None else stored.spec
    for place in delta.allocations:
        allocation = snapshot.allocations.get(place)
        held = allocation is not None and allocation.released is None
        found[Fact(ALLOCATION, place)] = allocation.owner if allocation and held else None
    for endpoint in delta.bindings:
        binding = snapshot.bindings.get(endpoint)
        found[Fact(BINDING, endpoint)] = binding and (
            binding.host,
            binding.ofport,
            binding.sequence,
        )
    return found


def tunnel_facts(host: str, ofports: Mapping[str, int]) -> dict[Fact, Mapping[str, int] | None]:
    """The fact that follows from the tunnel ports of one host: name -> ofport."""
    return {Fact(TUNNEL_PORTS, host): dict(ofports) or None}
