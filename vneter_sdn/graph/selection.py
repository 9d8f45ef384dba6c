# SPDX-License-Identifier: Apache-2.0
"""Which paths a policy takes between two hosts, and in which shares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from vneter_sdn.graph.constrained import Effort, Found, Trip, best
from vneter_sdn.graph.disjoint import disjoint
from vneter_sdn.graph.journey import trip
from vneter_sdn.graph.kshortest import paths
from vneter_sdn.graph.network import Graph
from vneter_sdn.graph.objective import UNIT, weigher
from vneter_sdn.graph.pairing import Units, beside, pair
from vneter_sdn.graph.path import Path
from vneter_sdn.graph.refusal import Refusal, refuse
from vneter_sdn.graph.relaxation import Relaxation
from vneter_sdn.graph.sharing import portions
from vneter_sdn.graph.terrain import Terrain, terrain
from vneter_sdn.graph.wording import listing
from vneter_sdn.model.path_kinds import Objective, PathPolicySpec

__all__ = ["Refusal", "Relaxation", "Selection", "Share", "select", "value"]

EFFORT = 200_000
"""Labels that one selection may search: a few seconds at most."""


@dataclass(frozen=True, slots=True)
class Share:
    """One of the paths, and how much of the traffic it gets."""

    path: Path
    weight: int
    """At least 1; shares are in proportion to weights."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The paths of one policy between two hosts, the best first; none when it is refused."""

    shares: tuple[Share, ...] = ()
    refusal: Refusal | None = None
    backup: Path | None = None
    """A path disjoint from the best, as the policy wants it; None without one or the wish."""
    shortfall: str = ""
    """What could not be had though nothing is refused: a disjoint backup, a proof that the search
    was complete."""


def value(path: Path, objective: Objective | str) -> float:
    """What a path has of an objective, the less the better."""
    weigh = weigher(objective)
    return sum(weigh(edge) for edge in path.edges) / UNIT


def select(graph: Graph, source: str, target: str, spec: PathPolicySpec) -> Selection:
    """The paths that a policy asks for between two hosts.

    Without a wish for disjoint paths the best ones, one after the other. With it:

    * ``paths: 1``: the disjoint pair of the least sum of the objective (Suurballe's), the better
      one carries the traffic and the other is the backup. The best path by itself may not be in
      that pair, if it blocks every other way.
    * ``paths: N``: N mutually disjoint paths, or as many as there are, of the least sum; the second
      is the backup of the first. With limits, way points or risk groups the first two are the
      pair of least sum, each further one the best beside those before.
    * no such pair: the best path, no backup, and `shortfall` says what every way crosses.

    What is drained takes traffic only where every way is as drained. The answer depends on nothing
    but its arguments, however they were put together. Complexities are those of `kshortest`,
    `disjoint` and `pairing`; what is NP-hard ends after `EFFORT`.
    """
    land = terrain(graph, spec.objective, spec.constraints)
    asked = trip(land, source, target, spec.constraints.waypoints)
    effort = Effort(EFFORT)
    found = _found(land, asked, spec, effort) if asked else ()
    if not found or asked is None:
        return Selection(refusal=refuse(graph, source, target, spec), shortfall=_unproven(effort))
    backup = found[1] if spec.disjoint != "none" and len(found) > 1 else None
    lacking = _lacking(land, asked, spec, found[0]) if spec.disjoint != "none" else ""
    return Selection(
        _shares(land, found[: spec.paths], spec),
        backup=land.path(backup[1]) if backup else None,
        shortfall="; ".join(filter(None, (lacking if backup is None else "", _unproven(effort)))),
    )


def _unproven(effort: Effort) -> str:
    return f"the search ended after {EFFORT} steps, there may be better" if effort.spent else ""


def _found(land: Terrain, asked: Trip, spec: PathPolicySpec, effort: Effort) -> Sequence[Found]:
    if spec.disjoint == "none":
        return tuple(islice(paths(land, asked, effort), spec.paths))
    count = max(2, spec.paths)
    if spec.disjoint != "risk" and not asked.stops:
        hosts = spec.disjoint == "node"
        flow = disjoint(land, asked.source, asked.target, count, hosts=hosts)
        if all(land.affordable(edges) for _, edges in flow):
            return flow
    return _beside_each_other(land, asked, spec, effort)


def _beside_each_other(
    land: Terrain, asked: Trip, spec: PathPolicySpec, effort: Effort
) -> Sequence[Found]:
    """The best pair, and what is best beside it; or the best path alone."""
    units = Units(land, "link" if spec.disjoint == "none" else spec.disjoint)
    two = pair(land, asked, units, effort)
    if two is None:
        return tuple(islice(paths(land, asked, Effort(EFFORT)), 1))
    found = list(two)
    while len(found) < spec.paths:
        further = beside(land, asked, found, units, effort)
        if further is None:
            break
        found.append(further)
    return sorted(found)


def _lacking(land: Terrain, asked: Trip, spec: PathPolicySpec, found: Found) -> str:
    """Why there is nothing disjoint from the only path."""
    units = Units(land, "link" if spec.disjoint == "none" else spec.disjoint)
    crossed = [
        unit
        for unit in units.of(found[1], asked)
        if best(land, asked.without(units.edges([unit])), Effort(EFFORT)) is None
    ]
    why = f": every way crosses {listing(units.told(crossed, found[1]))}" if crossed else ""
    return f"no {spec.disjoint}-disjoint backup{why}"


def _shares(land: Terrain, found: Sequence[Found], spec: PathPolicySpec) -> tuple[Share, ...]:
    first = found[0][0]
    kept = [one for one in found if land.detours(one[0]) == land.detours(first)]
    if spec.sharing == "best":
        kept = [one for one in kept if land.merit(one[0]) == land.merit(first)]
    chosen = [land.path(edges) for _, edges in kept]
    if spec.sharing != "unequal":
        return tuple(Share(path, 1) for path in chosen)
    weights = portions([value(path, spec.objective) for path in chosen])
    return tuple(map(Share, chosen, weights))
