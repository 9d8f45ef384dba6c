# SPDX-License-Identifier: Apache-2.0
"""Policies whose sharing is engineered: what there is to plan, and the plan that is in force.

Traffic is declared (`Demand`) or measured (`facts.MEASURED`); what is declared between two hosts,
in one direction, takes the place of what is measured. Matrix and plan are reported.

The plan is made by the engine now and then (`engine.planning`), reported, and comes back as a fact
(`facts.PLANNED`), so that a restart moves nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from vneter_sdn.compile.bookings import reserved
from vneter_sdn.compile.facts import MEASURED, PLANNED, Shared
from vneter_sdn.compile.links import graph
from vneter_sdn.compile.query import View, query
from vneter_sdn.graph.constraint import edge_faults, host_faults
from vneter_sdn.graph.topology import Topology
from vneter_sdn.model.path_kinds import DemandSpec, PathPolicySpec
from vneter_sdn.model.snapshot import Key
from vneter_sdn.model.traffic import Pair, Volume

_CAPACITY = frozenset({"capacity"})
DEMAND = "Demand"


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be planned for one policy."""

    topology: Topology
    """Edges that its constraints allow, with what reservations leave of them."""
    aside: frozenset[str]
    """Hosts that carry nobody else's traffic, for they are drained."""
    demands: Mapping[Pair, float]
    """Mbit/s between hosts that the policy is about, by where connections begin and end."""
    paths: int
    """For each pair, at most."""
    turned: frozenset[Pair] = frozenset()
    """Pairs whose traffic is mostly what is answered: it goes from the second to the first. Of
    those that have no demand, that is declared."""


@query
def demands(view: View, _: None) -> Mapping[Pair, float]:
    """Mbit/s that are declared, by source and target host."""
    found: dict[Pair, float] = {}
    for key in sorted(view.keys(DEMAND)):
        spec: DemandSpec = view.get(DEMAND, key)
        pair = spec.source, spec.target
        found[pair] = found.get(pair, 0.0) + spec.mbps
    return {pair: mbps for pair, mbps in found.items() if mbps > 0}


Asked = tuple[Mapping[Pair, float], frozenset[Pair]]
"""`Task.demands`, `Task.turned`."""


@query
def asked(view: View, policy: Key) -> Asked:
    """What is declared or measured of a policy's traffic, by pair of hosts.

    Answers take the path of their connection, so the paths between two hosts are planned for the
    direction that is heavier. The other one rides along: it is not planned for.
    """
    declared: Mapping[Pair, float] = view.ask(demands, None)
    seen: Mapping[Pair, Volume] = view.get(MEASURED, policy) or {}
    found, turned = dict(declared), set()
    for (source, target), volume in sorted(seen.items()):
        if (source, target) in declared:
            continue
        if volume.back <= volume.forth:
            found[source, target] = volume.forth
            continue
        turned.add((source, target))
        if (target, source) not in declared:
            found[source, target] = volume.back
    return found, frozenset(turned)


@query
def ground(view: View, policy: Key) -> tuple[Topology, frozenset[str]]:
    """The graph that an engineered policy may use, and what of it carries nobody else's traffic."""
    spec: PathPolicySpec | None = view.get("PathPolicy", policy)
    if spec is None:  # of a policy that goes away this is asked before who wants it knows
        return Topology(), frozenset()
    whole, held = view.ask(graph, _CAPACITY), view.ask(reserved, "")
    barred = {
        host
        for host, vertex in whole.vertices.items()
        if host_faults(vertex, spec.constraints, between=False)
    }
    edges = tuple(
        replace(edge, reserved=held.get(edge.name, 0.0), latency=None, loss=0.0)
        for edge in whole.topology.edges
        if edge.usable
        and not edge.drained
        and not edge_faults(edge, spec.constraints)
        and barred.isdisjoint((edge.source, edge.target))
    )
    aside = frozenset(
        host
        for host, vertex in whole.vertices.items()
        if vertex.drained or host_faults(vertex, spec.constraints)
    )
    return replace(whole.topology, edges=edges), aside


@query
def there(view: View, policy: Key) -> frozenset[str]:
    """Names of the edges of `ground`."""
    topology, _ = view.ask(ground, policy)
    return frozenset(edge.name for edge in topology.edges)


@query
def planned(view: View, asked: tuple[Key, str, str]) -> Shared:
    """What is in force between two hosts, as far as it is still there and allowed."""
    policy, source, target = asked
    plan: Mapping[Pair, Shared] = view.get(PLANNED, policy) or {}
    if (source, target) not in plan:
        return ()
    known = view.ask(there, policy)
    return tuple((r, weight) for r, weight in plan[source, target] if known.issuperset(r))
