# SPDX-License-Identifier: Apache-2.0
"""The choice of paths edge by edge, and why the runners-up lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from vneter_sdn.graph.constrained import Effort
from vneter_sdn.graph.constraint import edge_faults, host_faults, limits
from vneter_sdn.graph.journey import trip
from vneter_sdn.graph.kshortest import paths
from vneter_sdn.graph.network import Graph
from vneter_sdn.graph.objective import contributions
from vneter_sdn.graph.pairing import Units
from vneter_sdn.graph.path import Path
from vneter_sdn.graph.relaxation import total
from vneter_sdn.graph.selection import Selection, value
from vneter_sdn.graph.terrain import Terrain, terrain
from vneter_sdn.graph.topology import Edge
from vneter_sdn.graph.wording import amount, listing
from vneter_sdn.model.path_kinds import PathConstraints, PathPolicySpec

_EFFORT = 50_000


@dataclass(frozen=True, slots=True)
class Step:
    """An edge of a path, and what it adds to the objective."""

    edge: Edge
    adds: Mapping[str, float]
    """By the words of the objective, weighted; their sum over the path is the objective."""


@dataclass(frozen=True, slots=True)
class RunnerUp:
    """A path that was not chosen."""

    path: Path
    reason: str
    """Why: what it breaks and where, or how much more it has of the objective."""


def steps(path: Path, spec: PathPolicySpec) -> tuple[Step, ...]:
    """A path edge by edge."""
    return tuple(Step(edge, contributions(edge, spec.objective)) for edge in path.edges)


def runners_up(
    graph: Graph, ends: tuple[str, str], spec: PathPolicySpec, chosen: Selection, most: int = 5
) -> tuple[RunnerUp, ...]:
    """The best paths that were not chosen: of all there are, and of those that would be allowed.

    Args:
        graph: what `selection.select` was asked about.
        ends: source and target.
        spec: the policy.
        chosen: the answer.
        most: how many at most; about half of them break no constraint, where there are any.
    """
    taken = {share.path.route for share in chosen.shares}
    taken |= {chosen.backup.route} if chosen.backup else set()
    room = most + len(taken)
    anything = terrain(graph, spec.objective, PathConstraints())
    allowed = terrain(graph, spec.objective, spec.constraints)
    free = _best(anything, ends, (), taken, room)[:most]
    fit = _best(allowed, ends, spec.constraints.waypoints, taken, room)[: most // 2]
    merged = {path.route: path for path in (*fit, *free)}
    kept = list(merged.values())[:most]
    ordered = sorted(kept, key=lambda path: (value(path, spec.objective), path.hops, path.route))
    return tuple(RunnerUp(path, _reason(graph, path, spec, chosen)) for path in ordered)


def _best(
    land: Terrain,
    ends: tuple[str, str],
    waypoints: Sequence[str],
    taken: set[tuple[str, ...]],
    room: int,
) -> list[Path]:
    asked = trip(land, *ends, waypoints)
    if asked is None:
        return []
    found = (land.path(edges) for _, edges in islice(paths(land, asked, Effort(_EFFORT)), room))
    return [path for path in found if path.route not in taken]


def _reason(graph: Graph, path: Path, spec: PathPolicySpec, chosen: Selection) -> str:
    broken = faults(graph, path, spec.constraints)
    if broken:
        return "; ".join(broken)
    if not chosen.shares:
        return "not found within the effort of a search"
    best = chosen.shares[0].path
    longer = _longer(path, best, spec)
    if spec.disjoint != "none" and chosen.backup is not None:
        common = shared(graph, path, best, spec)
        if common:
            return f"shares {listing(common)} with the best; {longer}"
    if _drained(graph, path) > _drained(graph, best):
        return f"passes what is drained; {longer}"
    return longer


def _longer(path: Path, best: Path, spec: PathPolicySpec) -> str:
    word = spec.objective if isinstance(spec.objective, str) else "objective"
    has, least = value(path, spec.objective), value(best, spec.objective)
    if has > least:
        return f"{word} {amount(has)}, {amount(has - least)} more than the best"
    if has < least:
        return f"{word} {amount(has)}, less than the best, but it is in no disjoint pair as good"
    if path.hops > best.hops:
        return f"as good as the best, with {path.hops - best.hops} more hops"
    return "as good as the best, and later by name"


def faults(graph: Graph, path: Path, constraints: PathConstraints) -> list[str]:
    """What a path breaks, and where: ``encrypted on h3>h4``."""
    found = []
    for limit in limits(constraints):
        has = total(path, limit)
        if has > limit.most:
            worst = max(path.edges, key=limit.quantity)
            where = f", most of it on {worst.name}" if path.hops > 1 else ""
            found.append(f"{limit.field} {amount(limit.most)}: it has {amount(has)}{where}")
    places: dict[str, list[str]] = {}
    for edge in path.edges:
        for field in edge_faults(edge, constraints):
            places.setdefault(field, []).append(edge.name)
    for place, host in enumerate(path.hosts):
        between = 0 < place < path.hops
        for field in host_faults(graph.vertices[host], constraints, between=between):
            places.setdefault(field, []).append(f"host {host}")
    found += [f"{field} on {listing(where)}" for field, where in places.items()]
    passed = iter(path.hosts)
    missed = [host for host in constraints.waypoints if host not in passed]
    if missed:
        found.append(f"waypoints: it does not pass {listing(constraints.waypoints)} in this order")
    return found


def shared(graph: Graph, one: Path, other: Path, spec: PathPolicySpec) -> list[str]:
    """What two paths have in common though a policy wants them disjoint."""
    kind = "link" if spec.disjoint == "none" else spec.disjoint
    land = terrain(graph, spec.objective, PathConstraints())
    asked = trip(land, one.source, one.target)
    if asked is None:
        return []
    units, stops = Units(land, kind), spec.constraints.waypoints
    number = {edge.name: place for place, edge in enumerate(land.edges)}
    edges = [[number[name] for name in path.route] for path in (one, other)]
    common = set(units.of(edges[0], asked)) & set(units.of(edges[1], asked))
    common -= {("node", stop) for stop in stops}
    return units.told(sorted(common), edges[0])


def _drained(graph: Graph, path: Path) -> int:
    between = path.hosts[1:-1]
    hosts = sum(graph.vertices[host].drained for host in between)
    return hosts + sum(edge.drained for edge in path.edges)
