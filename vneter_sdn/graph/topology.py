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
    site: str = ""
    region: str = ""
    tags: frozenset[str] = frozenset()
    drained: bool = False
    """Whether paths of others are to keep away from it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """A link, in one direction: a wire, or a tunnel through the underlay.

    Every edge has a reverse with source and target swapped, `reverse` its name. What is not known
    is None, and what it counts as then is said where it is used.
    """

    name: str
    """Unique in the graph: ``h1>h2`` for a pair's first tunnel, ``h1#1>h2#0`` for the one from
    h1's second address, ``s1:s1-eth2>s2:s2-eth1`` for a wire between these interfaces."""
    reverse: str
    """Name of the edge the other way."""
    source: str
    target: str
    medium: str = "tunnel"
    """``tunnel`` or ``wire``."""
    cost: int = 1
    """Administrative cost, at least 1."""
    latency: float | None = None
    """One-way delay in milliseconds: declared, else measured."""
    loss: float = 0.0
    """Share of packets lost, 0 to 1."""
    capacity: float | None = None
    """Mbit/s."""
    reserved: float = 0.0
    """Mbit/s of the capacity that reservations hold."""
    utilisation: float | None = None
    """Share of the capacity in use, 0 to 1."""
    price: float = 0.0
    """Per gigabyte."""
    mtu: int | None = None
    """Largest IP packet of an endpoint that fits, in bytes."""
    encrypted: bool = False
    tags: frozenset[str] = frozenset()
    risks: frozenset[str] = frozenset()
    """Shared-risk groups."""
    encapsulation: str = ""
    """Tunnels: ``geneve``, ``vxlan`` or ``gre``."""
    local_ip: str = ""
    remote_ip: str = ""
    port: str = ""
    """Name of the interface at the source."""
    disabled: bool = False
    """Taken out by its Link: no path uses it, nor is its tunnel made once both ways are."""
    drained: bool = False
    """To be used only where there is no other way."""
    up: bool = True
    """Whether it is seen to work: BFD, port state, discovery. Paths use only those that do."""

    @property
    def usable(self) -> bool:
        """Whether paths may use it at all."""
        return self.up and not self.disabled

    @property
    def residual(self) -> float | None:
        """Mbit/s that reservations leave; None when the capacity is not known."""
        return None if self.capacity is None else max(0.0, self.capacity - self.reserved)


def tunnel_edge(source: str, target: str, pair: tuple[int, int] = (0, 0)) -> str:
    """Name of the edge of a tunnel between the addresses of such ranks at each end."""
    one, other = pair
    return f"{source}>{target}" if pair == (0, 0) else f"{source}#{one}>{target}#{other}"


def wire_edge(source: str, source_port: str, target: str, target_port: str) -> str:
    """Name of the edge of a wire between two interfaces."""
    return f"{source}:{source_port}>{target}:{target_port}"


@dataclass(frozen=True, slots=True)
class Observation:
    """What was seen of one edge, smoothed; None where nothing was seen yet."""

    up: bool = True
    latency: float | None = None
    """Milliseconds."""
    loss: float | None = None
    """0 to 1."""
    utilisation: float | None = None
    """0 to 1."""
    capacity: float | None = None
    """Mbit/s: the speed its port reports."""


@dataclass(frozen=True, slots=True)
class Topology:
    """The graph. Vertices are sorted by host, edges by (source, target, name)."""

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
    return Edge(
        name=tunnel_edge(one.host, other.host),
        reverse=tunnel_edge(other.host, one.host),
        source=one.host,
        target=other.host,
        cost=cost,
        encapsulation=encapsulation,
        local_ip=ends[0],
        remote_ip=ends[1],
        disabled=disabled,
    )


def _addresses(
    one: Sequence[tuple[int, str]], other: Sequence[tuple[int, str]]
) -> tuple[str, str] | None:
    """The most preferred pair of addresses of one family."""
    for family, local in one:
        for also, remote in other:
            if family == also:
                return local, remote
    return None
