# SPDX-License-Identifier: Apache-2.0
"""The central graph as ``GET /v1/topology`` answers it: hosts and links, declared and found.

What is declared comes from objects, what was measured from the statuses of links, what is booked
from those of reservations. Nothing here asks a bridge.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from vneter_sdn.graph.atlas.exchange import topology_document
from vneter_sdn.graph.route import reverse
from vneter_sdn.graph.topology import Observation, Topology, observed, topology, vertex, wire_edge
from vneter_sdn.model.kinds import LinkSpec
from vneter_sdn.model.links import found_link, link_name
from vneter_sdn.model.snapshot import Key, Pools, Snapshot

Values = dict[str, Any]


def declared(snapshot: Snapshot) -> Topology:
    """The graph of everything declared and found, as if nothing were measured.

    Hosts without a bridge id are not in it. O(V² + L log L).
    """
    vertices = []
    for (pool, value), held in snapshot.allocations.items():
        if pool == Pools.BRIDGE and held.released is None:
            name = held.owner.removeprefix("Host ")
            host = snapshot.objects.get(Key("Host", "", name))
            if host is not None:
                vertices.append(vertex(name, int(value), host.spec))
    links = {k.name: stored.spec for k, stored in snapshot.objects.items() if k.kind == "Link"}
    edges = topology(vertices, links).edges
    described = {edge.name for edge in edges}
    found = _found_wires(snapshot)
    news = {n: w for n, w in found.items() if n not in links and _edge(w) not in described}
    return topology(vertices, links | news)


def _edge(wire: LinkSpec) -> str:
    return wire_edge(wire.source, str(wire.source_port), wire.target, str(wire.target_port))


def current(graph: Topology, snapshot: Snapshot) -> Topology:
    """The same graph with what was measured of its edges, and what reservations hold of them."""
    booked = _booked(snapshot)
    seen = observed(graph, dict(observations(snapshot)))
    edges = tuple(
        replace(edge, reserved=booked[edge.name]) if edge.name in booked else edge
        for edge in seen.edges
    )
    return replace(seen, edges=edges)


def document(graph: Topology, revision: int) -> Values:
    """A topology as plain JSON values: every attribute, in camelCase; what is not known is null.

    Each edge also says the ``link`` it is a direction of, whether paths may use it (``usable``)
    and what reservations leave (``residual``).
    """
    found = topology_document(graph)
    for edge, values in zip(graph.edges, found["edges"], strict=True):
        values |= {
            "link": link_name(edge.name),
            "usable": edge.usable,
            "residual": edge.residual,
        }
    return {"revision": revision, **found}


class View:
    """The topology of a store's snapshots, made anew only as far as something changed."""

    def __init__(self) -> None:
        self._last = _Last()

    def of(self, snapshot: Snapshot) -> Values:
        """The answer for a snapshot. Treat it as read only: it is kept.

        O(1) for what was asked for last, O(E + statuses) when only reports differ from it.
        """
        last = self._last
        same = last.objects is snapshot.objects and last.allocations is snapshot.allocations
        if same and last.statuses is snapshot.statuses:
            return last.values
        wires = _found_wires(snapshot)
        graph = last.graph if same and wires == last.wires else declared(snapshot)
        values = document(current(graph, snapshot), snapshot.revision)
        parts = snapshot.objects, snapshot.allocations, snapshot.statuses
        self._last = _Last(*parts, wires, graph, values)
        return values


@dataclass(frozen=True)
class _Last:
    objects: Any = None
    allocations: Any = None
    statuses: Any = None
    wires: Mapping[str, LinkSpec] = field(default_factory=dict)
    graph: Topology = field(default_factory=Topology)
    values: Values = field(default_factory=dict)


def _found_wires(snapshot: Snapshot) -> dict[str, LinkSpec]:
    """Wires that have a status, by name; tunnels are in the graph anyway."""
    return {
        key.name: spec
        for key, status in snapshot.statuses.items()
        if key.kind == "Link"
        and status.details.get("medium") == "wire"
        and (spec := found_link(status.details))
    }


def observations(snapshot: Snapshot) -> Iterator[tuple[str, Observation]]:
    """What the statuses of links say of their edges, each direction apart where they do."""
    for key, status in snapshot.statuses.items():
        edge = status.details.get("edge") if key.kind == "Link" else None
        if isinstance(edge, str):
            back = status.details.get("back")
            yield edge, _observation(status.details)
            other = {**status.details, **(back if isinstance(back, Mapping) else {})}
            yield reverse((edge,))[0], _observation(other)


def _observation(details: Mapping[str, Any]) -> Observation:
    def number(name: str) -> float | None:
        value = details.get(name)
        return float(value) if isinstance(value, int | float) else None

    return Observation(
        details.get("state") not in {"down", "damped"},
        number("latencyMs"),
        number("loss"),
        number("utilisation"),
        number("capacityMbps"),
    )


def _booked(snapshot: Snapshot) -> dict[str, float]:
    """Mbit/s that admitted reservations hold now, by edge, as their statuses say."""
    booked: dict[str, float] = {}
    for key, status in snapshot.statuses.items():
        held = status.details.get("booked") if key.kind == "Reservation" else None
        for edge, rate in held.items() if isinstance(held, Mapping) else ():
            booked[edge] = booked.get(edge, 0.0) + float(rate)
    return booked
