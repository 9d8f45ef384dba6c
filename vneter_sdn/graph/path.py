# SPDX-License-Identifier: Apache-2.0
"""A path: edges one after the other, and what they come to."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from vneter_sdn.graph.route import Route
from vneter_sdn.graph.topology import Edge


@dataclass(frozen=True, slots=True)
class Path:
    """At least one edge, each starting where the one before ends, no host twice."""

    edges: tuple[Edge, ...]

    @property
    def source(self) -> str:
        """Host where it starts."""
        return self.edges[0].source

    @property
    def target(self) -> str:
        """Host where it ends."""
        return self.edges[-1].target

    @property
    def hosts(self) -> tuple[str, ...]:
        """Every host on it, from source to target."""
        return (self.source, *(edge.target for edge in self.edges))

    @property
    def route(self) -> Route:
        """Names of its edges."""
        return tuple(edge.name for edge in self.edges)

    @property
    def hops(self) -> int:
        """How many edges."""
        return len(self.edges)

    @property
    def cost(self) -> float:
        """Administrative cost; a whole number when that of each edge is."""
        total = sum(edge.cost for edge in self.edges)
        return total if isinstance(total, int) else round(total, 9)

    @property
    def latency(self) -> float | None:
        """Milliseconds one way; None when that of some edge is not known."""
        known = [edge.latency for edge in self.edges if edge.latency is not None]
        return round(sum(known), 9) if len(known) == len(self.edges) else None

    @property
    def price(self) -> float:
        """Per gigabyte."""
        return round(sum(edge.price for edge in self.edges), 9)

    @property
    def loss(self) -> float:
        """Share of packets lost, 0 to 1: 1 - Π(1 - loss)."""
        return round(1 - prod(1 - edge.loss for edge in self.edges), 12)

    @property
    def bottleneck(self) -> float | None:
        """Mbit/s that reservations leave on the fullest edge; None when some are not known."""
        known = [edge.residual for edge in self.edges if edge.residual is not None]
        return min(known) if len(known) == len(self.edges) else None

    @property
    def mtu(self) -> int | None:
        """Largest IP packet that fits every edge, in bytes; None when some are not known."""
        known = [edge.mtu for edge in self.edges if edge.mtu is not None]
        return min(known) if len(known) == len(self.edges) else None

    def __str__(self) -> str:
        """``h1>h3>h2``: the hosts; `route` tells parallel edges apart."""
        return ">".join(self.hosts)
