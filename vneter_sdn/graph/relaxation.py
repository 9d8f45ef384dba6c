# SPDX-License-Identifier: Apache-2.0
"""The least change of a constraint that would let a path through.

Each constraint is left out by itself, and what is then best in just that respect is looked for:
its value is the one that would do. If none alone would do, the path that breaks the fewest is
taken, and all that it breaks are named. A search for each constraint, O(log E) for a least
bandwidth or MTU, each within `_EFFORT`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from vneter_sdn.graph.bottleneck import widest
from vneter_sdn.graph.constrained import Effort, best
from vneter_sdn.graph.constraint import Limit, edge_faults, host_faults, limits
from vneter_sdn.graph.journey import trip
from vneter_sdn.graph.network import Graph
from vneter_sdn.graph.objective import UNIT, UNKNOWN_LATENCY, units
from vneter_sdn.graph.path import Path
from vneter_sdn.graph.terrain import Terrain, Weigh
from vneter_sdn.graph.topology import Edge
from vneter_sdn.graph.wording import amount, listing
from vneter_sdn.model.path_kinds import PathConstraints

_EFFORT = 50_000
ANYTHING = PathConstraints()
"""No constraint at all."""
_SUPERLATIVES = {
    "latency": "the quickest path {} takes {} ms",
    "hops": "the shortest path {} has {} hops",
    "price": "the cheapest path {} costs {} per GB",
    "loss": "the path that loses least, {}, loses {}",
}


@dataclass(frozen=True, slots=True)
class Relaxation:
    """What would have to be asked instead."""

    constraint: str
    """Field of the constraints as manifests write it: ``maxLatencyMs``."""
    value: str
    """What it would have to be, as text: ``7.2``, ``false``, ``[leased]``, ``unset``."""
    path: Path
    """The path that then satisfies the policy."""
    reason: str = ""
    """What blocks: ``maxLatencyMs 5: the quickest path h1>h3>h2 takes 7.2 ms``."""
    edges: tuple[str, ...] = ()
    """Where it blocks."""
    change: float = 1.0
    """How large the change is, relative to what was asked."""

    def __str__(self) -> str:
        """``maxLatencyMs 7.2 would do``."""
        return f"{self.constraint} {self.value} would do"


@dataclass(frozen=True, slots=True)
class Case:
    """A policy between two hosts that no path satisfies."""

    graph: Graph
    source: str
    target: str
    constraints: PathConstraints

    def best(self, weigh: Weigh, constraints: PathConstraints) -> Path | None:
        """The path of the least weight under other constraints."""
        land = Terrain(self.graph, weigh, constraints)
        asked = trip(land, self.source, self.target, constraints.waypoints)
        found = best(land, asked, Effort(_EFFORT)) if asked else None
        return land.path(found[1]) if found else None


def relax(case: Case, field: str) -> Relaxation | None:
    """The least change of one constraint that would do, if any does by itself."""
    for limit in limits(case.constraints):
        if limit.field == field:
            return _limit(case, limit)
    relax: dict[str, Callable[[Case], Relaxation | None]] = {
        "minBandwidthMbps": lambda case: _floor(case, field, "min_bandwidth_mbps"),
        "minMtu": lambda case: _floor(case, field, "min_mtu"),
        "waypoints": _waypoints,
    }
    return relax[field](case) if field in relax else _filter(case, field)


def _limit(case: Case, limit: Limit) -> Relaxation | None:
    name = {"maxHops": "max_hops", "maxLatencyMs": "max_latency_ms", "maxLoss": "max_loss"}
    without = replace(case.constraints, **{name.get(limit.field, "max_price_per_gb"): None})
    path = case.best(lambda edge: units(limit.quantity(edge)), without)
    if path is None:
        return None
    has = total(path, limit)
    text = amount(has, up=True)
    said = _SUPERLATIVES[limit.word].format(path, text)
    change = abs(has - limit.most) / max(abs(limit.most), 1e-9)
    reason = f"{limit.field} {amount(limit.most)}: {said}{_unmeasured(limit, path)}"
    return Relaxation(limit.field, text, path, reason, path.route, change)


def _unmeasured(limit: Limit, path: Path) -> str:
    unknown = [edge.name for edge in path.edges if edge.latency is None]
    if limit.word != "latency" or not unknown:
        return ""
    counted = f"counted as {amount(UNKNOWN_LATENCY)} ms"
    return f" ({listing(unknown)} not measured, {counted}{' each' * (len(unknown) > 1)})"


def total(path: Path, limit: Limit) -> float:
    """What a path has of a limited quantity; what is not known counts as a search counts it."""
    if limit.word == "loss":
        return path.loss
    return sum(units(limit.quantity(edge)) for edge in path.edges) / UNIT


def _floor(case: Case, field: str, name: str) -> Relaxation | None:
    """The largest bandwidth or MTU that some path has."""
    asked: float = getattr(case.constraints, name)

    def has(edge: Edge) -> float | None:
        return edge.residual if field == "minBandwidthMbps" else edge.mtu

    def search(value: float) -> Path | None:
        return case.best(lambda _: UNIT, replace(case.constraints, **{name: value}))

    every = (has(edge) for edge in case.graph.edges.values())
    found = widest((value for value in every if value is not None and value < asked), search)
    if found is not None:
        value, path = found
        short = tuple(edge.name for edge in path.edges if has(edge) == value)
        reason = f"{field} {amount(asked)}: the widest path {path} has {amount(value)}"
        change = (asked - value) / max(abs(asked), 1e-9)
        return Relaxation(
            field, amount(value, up=False), path, f"{reason} at {listing(short)}", short, change
        )
    any_way = case.best(lambda _: UNIT, replace(case.constraints, **{name: None}))
    if any_way is None:
        return None
    unknown = tuple(edge.name for edge in any_way.edges if has(edge) is None)
    reason = f"{field} {amount(asked)}: what {listing(unknown)} has is not known"
    return Relaxation(field, "unset", any_way, reason, unknown)


def _waypoints(case: Case) -> Relaxation | None:
    """One way point less, or none at all."""
    asked = case.constraints.waypoints
    fewer = [asked[:place] + asked[place + 1 :] for place in range(len(asked))]
    for kept in (*fewer, ()):
        path = case.best(lambda _: UNIT, replace(case.constraints, waypoints=kept))
        if path is not None:
            lost = [host for host in asked if host not in kept]
            unknown = [host for host in lost if host not in case.graph.vertices]
            why = (
                f"there is no host {listing(unknown)}"
                if unknown
                else (f"no path without loops passes {listing(asked)} in this order")
            )
            change = (len(asked) - len(kept)) / len(asked)
            return Relaxation(
                "waypoints", f"[{','.join(kept)}]", path, f"waypoints: {why}", (), change
            )
    return None


_DROPPED: dict[str, dict[str, Any]] = {
    "encrypted": {"encrypted": False},
    "avoidTags": {"avoid_tags": ()},
    "requireTags": {"require_tags": ()},
    "regions": {"regions": ()},
}


def _filter(case: Case, field: str) -> Relaxation | None:
    """The path with the fewest offences against encryption, tags or regions."""
    only = _only(case.constraints, field)
    without = replace(case.constraints, **_DROPPED[field])
    path = case.best(_offences(case, only), without)
    return None if path is None else _offending(case, field, path)


def _only(constraints: PathConstraints, field: str) -> PathConstraints:
    names = _DROPPED[field]
    return PathConstraints(**{name: getattr(constraints, name) for name in names})


def _offences(case: Case, constraints: PathConstraints) -> Weigh:
    """How many constraints an edge, and the host behind it, break."""

    def weigh(edge: Edge) -> int:
        between = edge.target != case.target
        behind = host_faults(case.graph.vertices[edge.target], constraints, between=between)
        return UNIT * (len(edge_faults(edge, constraints)) + len(behind))

    return weigh


def _offending(case: Case, field: str, path: Path) -> Relaxation:
    """What of a filter would have to go for a path to satisfy it."""
    asked = case.constraints
    only = _only(asked, field)
    edges = tuple(edge.name for edge in path.edges if edge_faults(edge, only))
    hosts = tuple(
        host
        for place, host in enumerate(path.hosts)
        if host_faults(case.graph.vertices[host], only, between=0 < place < path.hops)
    )
    value, change, verdict = _instead(case, field, path, hosts)
    reason = f"{field}: the nearest path {path} passes {listing((*edges, *hosts))}, {verdict}"
    return Relaxation(field, value, path, reason, edges, change)


def _instead(case: Case, field: str, path: Path, hosts: tuple[str, ...]) -> tuple[str, float, str]:
    """The value of a filter that a path satisfies, the change, and what is wrong now."""
    asked, vertices = case.constraints, case.graph.vertices
    if field == "encrypted":
        return "false", 1.0, "not encrypted"
    if field == "regions":
        regions = {vertices[host].region for host in hosts}
        if "" in regions:
            return "unset", 1.0, "without a region"
        value = ",".join((*asked.regions, *sorted(regions)))
        return f"[{value}]", len(regions) / len(asked.regions), f"in {listing(sorted(regions))}"
    if field == "requireTags":
        has = frozenset.intersection(*(edge.tags for edge in path.edges))
        lost = [tag for tag in asked.require_tags if tag not in has]
        kept = [tag for tag in asked.require_tags if tag in has]
        return f"[{','.join(kept)}]", len(lost) / len(asked.require_tags), f"not {listing(lost)}"
    seen = {tag for edge in path.edges for tag in edge.tags}
    seen.update(tag for host in path.hosts[1:-1] for tag in vertices[host].tags)
    lost = [tag for tag in asked.avoid_tags if tag in seen]
    kept = [tag for tag in asked.avoid_tags if tag not in seen]
    return f"[{','.join(kept)}]", len(lost) / len(asked.avoid_tags), f"tagged {listing(lost)}"


def together(case: Case) -> list[Relaxation]:
    """Everything that the path with the fewest offences breaks."""
    asked = replace(case.constraints, waypoints=())
    path = case.best(_offences(case, asked), ANYTHING)
    assert path is not None, "there is a way without constraints"
    found = [_exceeded(limit, path) for limit in limits(asked) if total(path, limit) > limit.most]
    for field, name in (("minBandwidthMbps", "min_bandwidth_mbps"), ("minMtu", "min_mtu")):
        broken = tuple(e.name for e in path.edges if field in edge_faults(e, asked))
        if broken:
            has = path.bottleneck if field == "minBandwidthMbps" else path.mtu
            value = "unset" if has is None else amount(has, up=False)
            reason = f"{field} {amount(getattr(asked, name))}: too much for {listing(broken)}"
            found.append(Relaxation(field, value, path, reason, broken))
    for field in _DROPPED:
        only = _only(asked, field)
        between = path.hosts[1:-1]
        hosts = [host_faults(case.graph.vertices[host], only) for host in between]
        ends = (case.source, case.target)
        hosts += [host_faults(case.graph.vertices[h], only, between=False) for h in ends]
        if any(hosts) or any(edge_faults(edge, only) for edge in path.edges):
            found.append(_offending(case, field, path))
    hosts_left = iter(path.hosts)
    if not all(host in hosts_left for host in case.constraints.waypoints):
        reason = f"waypoints: {path} does not pass {listing(case.constraints.waypoints)}"
        found.append(Relaxation("waypoints", "[]", path, reason))
    return found


def _exceeded(limit: Limit, path: Path) -> Relaxation:
    text = amount(total(path, limit), up=True)
    reason = f"{limit.field} {amount(limit.most)}: {path} has {text}"
    return Relaxation(limit.field, text, path, reason, path.route)
