# SPDX-License-Identifier: Apache-2.0
"""From a snapshot and what was observed, to facts.

| relation | key | value |
|---|---|---|
| ``Host``, ``Link``, ``Tenant``, ``Network``, ``Endpoint``, ``PathPolicy`` | `Key` | the spec |
| ``Allocation`` | (pool, value) | owner, as text; released ones are absent, but for paths |
| ``Labels`` | `Key` of the endpoint | sorted (name, value) pairs; absent when there are none |
| ``SelectedBy`` | `Key` of the namespace or host | the same; there as long as that is |
| ``ClassOf``, ``Class`` | | see `classes` |
| ``Resolved`` | name in lower case, or tenant/name | addresses that a DNS name stands for |
| ``Binding`` | `Key` of the endpoint | (host, ofport, sequence) |
| ``Ports`` | host | ofport that the switch gave each interface, by name |
| ``TunnelPorts`` | host | the same of tunnel ports alone |
| ``Observation`` | name of the edge | what was seen of it |
| ``Standing`` | shard of targets | (edge, up) pairs that repairs go by, see `standing` |
| ``Guessing`` | "" | True offline: ports nobody has seen are numbered by their names |
| ``Queued`` | `Key` of the reservation | revision that last changed it |
| ``Promised`` | `Key` of the reservation | the `Promise` in its last report |
| ``Planned`` | `Key` of the policy | what was engineered for it: `Shared` by pair of hosts |
| ``Measured`` | `Key` of the policy | what was measured for it: `Volume` by pair of hosts |
| ``Positions`` | `Key` of the policy | positions of its rules by tenant, as reported; see `books` |
| ``Demand`` | `Key` | the spec |
| ``Clock`` | "" | POSIX seconds, when a window last began or ended |

A path that was released rests for a while; its flows stay meanwhile, so here it counts as held.

Specs are facts whole: what only some queries use of them is told apart by early cut-off.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from vneter_sdn.compile import classes
from vneter_sdn.compile.classes import CLASS_OF, class_of
from vneter_sdn.compile.query import Fact, Index
from vneter_sdn.graph.route import Route, hosts, parse
from vneter_sdn.graph.topology import Observation
from vneter_sdn.model import traffic
from vneter_sdn.model.kinds import EndpointSpec, NetworkSpec
from vneter_sdn.model.pace import Breathe, on_and_on, paced
from vneter_sdn.model.snapshot import Delta, Key, Pools, Snapshot, Status

ALLOCATION, BINDING, TUNNEL_PORTS = "Allocation", "Binding", "TunnelPorts"
LABELS, SELECTED_BY = "Labels", "SelectedBy"
PORTS, OBSERVATION, GUESSING = "Ports", "Observation", "Guessing"
QUEUED, PROMISED, CLOCK, PLANNED = "Queued", "Promised", "Clock", "Planned"
MEASURED, POSITIONS = "Measured", "Positions"
Shared = tuple[tuple[Route, int], ...]
"""Routes with their weights, the heaviest first."""
STANDING, RESOLVED = "Standing", "Resolved"
BLOCK_POOL = "block/"


class Promise(NamedTuple):
    """What a reservation's last report promised."""

    routes: tuple[Route, ...]
    rate: float
    """Mbit/s."""
    live: bool
    """Whether it still holds; else a link failed."""


def _network_of(key: Key, spec: EndpointSpec) -> Iterable[Key]:
    yield Key("Network", key.tenant, spec.network)


def _tenant_of(key: Key, spec: object) -> Iterable[str]:
    yield key.tenant


def _learns(key: Key, spec: NetworkSpec) -> Iterable[bool]:
    yield spec.learning


def _owner(key: tuple[str, str], owner: str) -> Iterable[str]:
    yield owner


def _block_pool(key: tuple[str, str], owner: str) -> Iterable[str]:
    if key[0].startswith(BLOCK_POOL):
        yield key[0]


def _path_ends(key: tuple[str, str], owner: str) -> Iterable[str]:
    passed = hosts(parse(key[1])) if key[0] == Pools.PATH else ()
    return {passed[0], passed[-1]} if passed else ()


def _labelled(key: Key, labels: tuple[tuple[str, str], ...]) -> Iterable[tuple[str, str]]:
    return labels


def _bound_host(key: Key, bound: tuple[str, int, int]) -> Iterable[str]:
    yield bound[0]


def _bound_port(key: Key, bound: tuple[str, int, int]) -> Iterable[tuple[str, int]]:
    yield bound[:2]


ENDPOINTS_OF_NETWORK = Index("endpoints of network", "Endpoint", _network_of)
NETWORKS_OF_TENANT = Index("networks of tenant", "Network", _tenant_of)
LEARNING = Index("networks that learn", "Network", _learns)
ALLOCATIONS_OF = Index("allocations of owner", ALLOCATION, _owner)
BLOCKS_OF_POOL = Index("blocks of pool", ALLOCATION, _block_pool)
PATHS_AT = Index("paths that end at host", ALLOCATION, _path_ends)
LABELLED = Index("endpoints with label", LABELS, _labelled)
BOUND_ON = Index("endpoints bound on host", BINDING, _bound_host)
BOUND_AT = Index("endpoints bound at port", BINDING, _bound_port)
NAMESPACES_OF_TENANT = Index("namespaces of tenant", "Namespace", _tenant_of)
POLICIES_OF_TENANT = Index("policies of tenant", "Policy", _tenant_of)
INDEXES = (
    ENDPOINTS_OF_NETWORK,
    NETWORKS_OF_TENANT,
    LEARNING,
    ALLOCATIONS_OF,
    BLOCKS_OF_POOL,
    PATHS_AT,
    LABELLED,
    BOUND_ON,
    BOUND_AT,
    NAMESPACES_OF_TENANT,
    POLICIES_OF_TENANT,
    *classes.INDEXES,
)


def everything(snapshot: Snapshot) -> Delta:
    """The delta from nothing to a snapshot."""
    return Delta(
        frozenset(snapshot.objects),
        frozenset(snapshot.allocations),
        frozenset(snapshot.bindings),
        frozenset(snapshot.statuses),
    )


def facts(snapshot: Snapshot, delta: Delta, breathe: Breathe = on_and_on) -> dict[Fact, Any]:
    """The facts that a delta may have changed, with their values now; None for those gone."""
    found: dict[Fact, Any] = {}
    for key in paced(delta.objects, breathe):
        stored = snapshot.objects.get(key)
        found[Fact(key.kind, key)] = None if stored is None else stored.spec
        if key.kind == "Endpoint":
            labels = stored.labels if stored else {}
            found[Fact(LABELS, key)] = tuple(sorted(labels.items())) or None
            found[Fact(CLASS_OF, key)] = stored and class_of(stored)
        if key.kind in ("Namespace", "Host"):
            found[Fact(SELECTED_BY, key)] = stored and tuple(sorted(stored.labels.items()))
        if key.kind == "Reservation":
            found[Fact(QUEUED, key)] = stored and stored.revision
    for place in paced(delta.allocations, breathe):
        allocation = snapshot.allocations.get(place)
        held = allocation is not None and (
            allocation.released is None or allocation.pool == Pools.PATH
        )
        found[Fact(ALLOCATION, place)] = allocation.owner if allocation and held else None
    for endpoint in paced(delta.bindings, breathe):
        binding = snapshot.bindings.get(endpoint)
        found[Fact(BINDING, endpoint)] = binding and (
            binding.host,
            binding.ofport,
            binding.sequence,
        )
    for key in delta.statuses:
        found |= _reported(key, snapshot.statuses.get(key))
    return found


def _reported(key: Key, status: Status | None) -> dict[Fact, Any]:
    """The facts that follow from what was reported of an object."""
    details = status.details if status else {}
    match key.kind:
        case "Reservation":
            return {Fact(PROMISED, key): promise_of(status)}
        case "PathPolicy":
            measured = traffic.read(details) or None
            return {Fact(PLANNED, key): plan_of(details), Fact(MEASURED, key): measured}
        case "Policy" | "ClusterPolicy":
            return {Fact(POSITIONS, key): details.get("positions") or None}
    return {}


def promise_of(status: Status | None) -> Promise | None:
    """What a report of a reservation promises; None for nothing."""
    details = {} if status is None else status.details
    rates = {parse(str(one["route"])): float(one["mbps"]) for one in details.get("routes", ())}
    if status is None or not rates:
        return None
    live = any(c.type == "Admitted" and c.status == "True" for c in status.conditions)
    return Promise(tuple(rates), sum(rates.values()) * (1 + 1e-9), live)


def plan_of(details: Mapping[str, Any]) -> dict[tuple[str, str], Shared] | None:
    """What was engineered for a policy, by source and target host, from its report's details."""
    found: dict[tuple[str, str], Shared] = {}
    for shares in details.get("plan", {}).values():
        routes = tuple((parse(str(one["route"])), int(one["weight"])) for one in shares)
        passed = hosts(routes[0][0]) if routes else ()
        if passed:
            found[passed[0], passed[-1]] = routes
    return found or None


def clock_fact(now: float) -> dict[Fact, float]:
    """The fact that it is so late: POSIX seconds."""
    return {Fact(CLOCK, ""): now}


def tunnel_facts(host: str, ofports: Mapping[str, int]) -> dict[Fact, Mapping[str, int] | None]:
    """The fact that follows from the tunnel ports of one host: name -> ofport."""
    return {Fact(TUNNEL_PORTS, host): dict(ofports) or None}


def port_facts(host: str, ofports: Mapping[str, int]) -> dict[Fact, Mapping[str, int] | None]:
    """The fact that follows from the interfaces of one host's bridge: name -> ofport."""
    return {Fact(PORTS, host): dict(ofports) or None}


def link_facts(
    observations: Mapping[str, Observation | None],
) -> dict[Fact, Observation | None]:
    """The facts that follow from what was seen of links, by name of the edge."""
    return {Fact(OBSERVATION, edge): seen for edge, seen in observations.items()}
