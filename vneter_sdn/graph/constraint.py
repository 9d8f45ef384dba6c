# SPDX-License-Identifier: Apache-2.0
"""What the constraints of a policy ask of each edge, of each host, and of a path as a whole.

Fields are named as manifests write them. What is not known satisfies no bound on a capacity or an
MTU; latency that is not known counts as `objective.UNKNOWN_LATENCY`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from vneter_sdn.graph.objective import QUANTITIES, Quantity, loss_weight, units
from vneter_sdn.graph.topology import Edge, Vertex
from vneter_sdn.model.path_kinds import PathConstraints

_SLACK = 64
"""Billionths that a sum may be over its limit: each of at most 64 edges was rounded by half."""


@dataclass(frozen=True, slots=True)
class Limit:
    """The most that a path may have of a quantity."""

    field: str
    """``maxLatencyMs``."""
    word: str
    """The quantity: ``latency``."""
    most: float
    """As the policy says it; of loss, a share."""
    unit: str
    """For people: `` ms``."""

    @property
    def quantity(self) -> Quantity:
        """What an edge has of it."""
        return QUANTITIES[self.word]

    @property
    def units(self) -> int:
        """The limit of the sum of `objective.units` over a path."""
        if self.word == "hops":
            return units(self.most)
        return units(loss_weight(self.most) if self.word == "loss" else self.most) + _SLACK


def limits(constraints: PathConstraints) -> tuple[Limit, ...]:
    """The limits on sums that constraints set; that all may be lost is no limit."""
    loss = constraints.max_loss
    every = (
        Limit("maxLatencyMs", "latency", _most(constraints.max_latency_ms), " ms"),
        Limit("maxHops", "hops", _most(constraints.max_hops), " hops"),
        Limit("maxPricePerGb", "price", _most(constraints.max_price_per_gb), " per GB"),
        Limit("maxLoss", "loss", _most(loss if loss is not None and loss < 1 else None), ""),
    )
    return tuple(limit for limit in every if limit.most < inf)


def _most(value: float | None) -> float:
    return inf if value is None else value


def edge_faults(edge: Edge, constraints: PathConstraints) -> tuple[str, ...]:
    """The constraints that an edge breaks by itself."""
    residual, bandwidth = edge.residual, constraints.min_bandwidth_mbps
    mtu = constraints.min_mtu
    broken = {
        "minBandwidthMbps": bandwidth is not None and (residual is None or residual < bandwidth),
        "minMtu": mtu is not None and (edge.mtu is None or edge.mtu < mtu),
        "encrypted": constraints.encrypted and not edge.encrypted,
        "avoidTags": not edge.tags.isdisjoint(constraints.avoid_tags),
        "requireTags": not edge.tags.issuperset(constraints.require_tags),
    }
    return tuple(field for field, is_broken in broken.items() if is_broken)


def host_faults(
    vertex: Vertex, constraints: PathConstraints, *, between: bool = True
) -> tuple[str, ...]:
    """The constraints that a host breaks: its region anywhere, its tags only between the ends."""
    broken = {
        "avoidTags": between and not vertex.tags.isdisjoint(constraints.avoid_tags),
        "regions": bool(constraints.regions) and vertex.region not in constraints.regions,
    }
    return tuple(field for field, is_broken in broken.items() if is_broken)


def fields(constraints: PathConstraints) -> tuple[str, ...]:
    """The constraints that are set."""
    filters = {
        "minBandwidthMbps": constraints.min_bandwidth_mbps is not None,
        "minMtu": constraints.min_mtu is not None,
        "encrypted": constraints.encrypted,
        "avoidTags": bool(constraints.avoid_tags),
        "requireTags": bool(constraints.require_tags),
        "regions": bool(constraints.regions),
        "waypoints": bool(constraints.waypoints),
    }
    found = [limit.field for limit in limits(constraints)]
    return (*found, *(field for field, is_set in filters.items() if is_set))
