# SPDX-License-Identifier: Apache-2.0
"""The central graph as a frozen value: bridges are vertices, links are directed edges.

Every pair of hosts that can reach each other by a tunnel is joined by one, without anybody saying
so; a declared `Link` changes its cost or encapsulation, or takes it away.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from itertools import combinations

from vneter_sdn.model.kinds import HostSpec, LinkSpec


@dataclass(frozen=True, slots=True)
class Vertex:
    """A host's bridge."""

    host: str
    bridge: int
    """Bridge id: 1..28671, fleet-wide."""
    addresses: tuple[str, ...] = ()
    """Underlay addresses, the preferred first."""
    encapsulation: str = "geneve"


@dataclass(frozen=True, slots=True)
class Edge:
    """A tunnel, from one end."""

    source: str
    target: str
    cost: int
    encapsulation: str
    local_ip: str
    remote_ip: str
    disabled: bool = False
    """True keeps it out of every path."""


@dataclass(frozen=True, slots=True)
class Topology:
    """The graph. Vertices are sorted by host, edges by (source, target)."""

    vertices: tuple[Vertex, ...] = ()
    edges: tuple[Edge, ...] = ()


def vertex(host: str, bridge: int, spec: HostSpec) -> Vertex:
    """The vertex of a host."""
    return Vertex(host, bridge, spec.tunnel_addresses, spec.encapsulation)


def topology(vertices: Iterable[Vertex], links: Mapping[str, LinkSpec]) -> Topology:
    """Join vertices by tunnels.

    A link counts in its own direction, and in the other one too unless that has a link of its own.
    Of several links in one direction the one whose name sorts first counts. The encapsulation has
    to agree at both ends: that of the pair's first link that names one, else that of the host whose
    name sorts first. O(V² + L log L).
    """
    ordered = tuple(sorted(vertices, key=lambda v: v.host))
    reached = {v.host: [(ip_address(a).version, a) for a in v.addresses] for v in ordered}
    declared: dict[tuple[str, str], list[LinkSpec]] = {}
    for _, link in sorted(links.items()):
        declared.setdefault((link.source, link.target), []).append(link)
    edges: list[Edge] = []
    for one, other in combinations(ordered, 2):
        ends = _addresses(reached[one.host], reached[other.host])
        if ends is None:
            continue
        forth = declared.get((one.host, other.host), [])
        back = declared.get((other.host, one.host), [])
        named = (link.encapsulation for link in (*forth, *back) if link.encapsulation)
        encapsulation = next(named, one.encapsulation)
        edges.append(_edge(one, other, encapsulation, ends, [*forth, *back]))
        edges.append(_edge(other, one, encapsulation, (ends[1], ends[0]), [*back, *forth]))
    return Topology(ordered, tuple(sorted(edges, key=lambda e: (e.source, e.target))))


def _edge(
    one: Vertex, other: Vertex, encapsulation: str, ends: tuple[str, str], links: list[LinkSpec]
) -> Edge:
    cost, disabled = (links[0].cost, links[0].disabled) if links else (1, False)
    return Edge(one.host, other.host, cost, encapsulation, *ends, disabled)


def _addresses(
    one: Sequence[tuple[int, str]], other: Sequence[tuple[int, str]]
) -> tuple[str, str] | None:
    """The most preferred pair of addresses of one family."""
    for family, local in one:
        for also, remote in other:
            if family == also:
                return local, remote
    return None
