# SPDX-License-Identifier: Apache-2.0
"""``vneterctl te``: paths and weights that keep the fullest link as empty as can be."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from vneter_sdn.cli.output import form, structured
from vneter_sdn.cli.pathing import absent
from vneter_sdn.cli.patience import patience
from vneter_sdn.cli.terminal import Usage, columns
from vneter_sdn.errors import IntentError, NotFound, Problem
from vneter_sdn.graph.atlas import Atlas, read_atlas, read_demands
from vneter_sdn.graph.engineering import Limits, Plan, PlannedPath, engineer
from vneter_sdn.graph.traffic import ASSUMED_CAPACITY, Arcs, Demand, gravity

FORMATS = ("text", "json", "yaml", "csv", "jsonpath")
_SHOWN = 10


class Ground(NamedTuple):
    """What is planned on."""

    atlas: Atlas
    place: str
    """Where it is from: a file, or a server."""
    origin: str = "topology"
    """Where its demands are from."""
    held: tuple[PlannedPath, ...] = ()
    """The plan in force, where it is known."""
    notes: tuple[str, ...] = ()


def offline(topology: str) -> Ground:
    """A topology file.

    Raises:
        IntentError: it is not acceptable.
    """
    return Ground(read_atlas(Path(topology)), topology)


def online(server: str, policy: str = "") -> Ground:
    """What a controller knows, and what it planned for that.

    Args:
        server: its address.
        policy: the engineered policy whose traffic is meant; that of all when empty.
    """
    from vneter_sdn.cli import live_traffic, targets

    found = live_traffic.known(targets.connect(server), policy)
    return Ground(found.atlas, targets.address(server), found.origin, found.held, found.notes)


def te(
    ground: Ground, demands: str, limits: Limits, before: str = "", output: str = "text"
) -> None:
    """Plan traffic and print the plan.

    Args:
        ground: the graph, with the demands that are known.
        demands: a file of demands; those that are known when empty, else a gravity model.
        limits: what the plan has to keep to.
        before: JSON of the plan in force, as ``-o json`` writes it.
        output: one of `FORMATS`.

    Raises:
        IntentError: a file is not acceptable.
        Answer: a demand names a node that is not there.
        Usage: there is no such format, or a bound on moves without a plan to move from.
        VneterError: the solver failed.
    """
    how = form(output, FORMATS)
    if limits.moves is not None and not before and not ground.held:
        raise Usage("--max-moves bounds what differs from a plan", "give that plan with --previous")
    atlas = ground.atlas
    try:
        matrix, origin = _matrix(ground, demands)
    except NotFound as error:
        raise absent(error, ground.place) from None
    held = _read_plan(Path(before), atlas) if before else ground.held
    with patience(f"planning {len(matrix)} demands on {len(atlas.topology.edges)} edges"):
        plan = engineer(atlas.topology, matrix, limits, held, atlas.aside)
    notes = [*ground.notes, *_notes(atlas, plan, origin)]
    for note in notes if how.name in {"text", "csv"} else ():
        print(f"note: {note}", file=sys.stderr)
    if how.name == "csv":
        _write_csv(atlas, plan)
    elif how.for_people:
        print("\n".join(_told(atlas, plan, moves=bool(held))))
    else:
        print(structured(_document(atlas, plan, origin, notes), how))


def _matrix(ground: Ground, file: str) -> tuple[list[Demand], str]:
    """Demands, and where they are from."""
    atlas = ground.atlas
    found, origin = atlas.demands, ground.origin
    if file:
        found, origin = read_demands(Path(file), atlas), file
    if found or atlas.idle or file:
        return [Demand(d.source, d.target, d.mbps) for d in found], origin
    return list(gravity(Arcs(atlas.topology, atlas.aside), atlas.end_hosts)), "gravity"


def _notes(atlas: Atlas, plan: Plan, origin: str) -> list[str]:
    notes = list(atlas.warnings)
    if origin == "gravity":
        notes.append(
            "no demands were given: a gravity model fills the fullest link "
            "of shortest paths to 100 %"
        )
    unsaid = sum(edge.capacity is None for edge in atlas.topology.edges)
    if unsaid:
        notes.append(f"{unsaid} edges say no capacity and count as {ASSUMED_CAPACITY:g} Mbit/s")
    if plan.unrouted:
        pairs = ", ".join(_pair(atlas, d) for d in plan.unrouted[:_SHOWN])
        notes.append(f"{len(plan.unrouted)} demands have no way and are left out: {pairs}")
    return notes


def _pair(atlas: Atlas, demand: Demand) -> str:
    return f"{atlas.known_as(demand.source)} to {atlas.known_as(demand.target)}"


def _document(atlas: Atlas, plan: Plan, origin: str, notes: Sequence[str]) -> dict[str, Any]:
    use, name = plan.utilisation, cache(atlas.known_as)
    return {
        "topology": atlas.name,
        "demands": origin,
        "nodes": [_node(atlas, vertex.host) for vertex in atlas.topology.vertices],
        "max_utilisation": {
            "shortest_path": use.shortest_path,
            "ecmp": use.ecmp,
            "ours": use.ours,
            "lp_bound": use.lp_bound,
        },
        "moved": plan.moved,
        "paths": [
            {
                "source": name(path.demand.source),
                "target": name(path.demand.target),
                "demand_mbps": path.demand.mbps,
                "nodes": [name(node) for node in path.nodes],
                "edges": [edge.name for edge in path.edges],
                "weight": path.weight,
                "share": path.share,
                "mbps": path.mbps,
            }
            for path in plan.paths
        ],
        "links": [
            {
                "edge": edge.name,
                "source": name(edge.source),
                "target": name(edge.target),
                "mbps": load,
                "capacity_mbps": _capacity(edge.residual),
                "utilisation": load / _capacity(edge.residual),
            }
            for edge, load in plan.loads
        ],
        "unrouted": [
            {"source": name(d.source), "target": name(d.target), "mbps": d.mbps}
            for d in plan.unrouted
        ],
        "notes": list(notes),
    }


def _node(atlas: Atlas, name: str) -> dict[str, str]:
    node = atlas.nodes.get(name)
    return {
        "name": atlas.known_as(name),
        "label": atlas.label(name),
        "id": node.id if node else "",
    }


def _capacity(residual: float | None) -> float:
    return residual or ASSUMED_CAPACITY


def _told(atlas: Atlas, plan: Plan, *, moves: bool) -> list[str]:
    use = plan.utilisation
    rows = [["ROUTING", "FULLEST LINK", "OVER THE BOUND"]]
    for title, value in (
        ("shortest path", use.shortest_path),
        ("ECMP", use.ecmp),
        ("this plan", use.ours),
        ("bound (any routing)", use.lp_bound),
    ):
        over = f"{(value / use.lp_bound - 1) * 100:.1f} %" if use.lp_bound else "-"
        rows.append([title, f"{value * 100:.1f} %", over])
    lines = [*columns(rows), "", *_fullest(atlas, plan), "", *_paths(atlas, plan.paths)]
    if moves:
        lines += ["", f"{plan.moved} paths differ from the plan before"]
    return lines


def _fullest(atlas: Atlas, plan: Plan) -> list[str]:
    rows = [["LINK", "MBIT/S", "CAPACITY", "USED"]]
    for edge, load in plan.loads[:_SHOWN]:
        capacity = _capacity(edge.residual)
        ends = f"{atlas.known_as(edge.source)} > {atlas.known_as(edge.target)}"
        rows.append([ends, f"{load:.1f}", f"{capacity:g}", f"{load / capacity * 100:.1f} %"])
    return columns(rows)


def _paths(atlas: Atlas, paths: Sequence[PlannedPath]) -> list[str]:
    name = cache(atlas.known_as)
    rows = [["FROM", "TO", "MBIT/S", "WEIGHT", "PATH"]]
    for path in paths:
        ends = [name(path.demand.source), name(path.demand.target)]
        via = " > ".join(name(node) for node in path.nodes)
        rows.append([*ends, f"{path.mbps:.1f}", str(path.weight), via])
    return columns(rows)


def _write_csv(atlas: Atlas, plan: Plan) -> None:
    writer = csv.writer(sys.stdout)
    writer.writerow(("source", "target", "mbps", "weight", "share", "path"))
    name = cache(atlas.known_as)
    for path in plan.paths:
        ends = name(path.demand.source), name(path.demand.target)
        via = " > ".join(name(node) for node in path.nodes)
        writer.writerow((*ends, path.mbps, path.weight, path.share, via))


def _read_plan(path: Path, atlas: Atlas) -> tuple[PlannedPath, ...]:
    """The paths of a plan that ``-o json`` wrote; those over links that are gone are left out.

    Raises:
        IntentError: it cannot be read, or is no plan.
    """
    edges = {edge.name: edge for edge in atlas.topology.edges}
    try:
        document = json.loads(path.read_bytes())
        found = []
        for told in document["paths"]:
            known = [edges[name] for name in told["edges"] if name in edges]
            if known and len(known) == len(told["edges"]):
                demand = Demand(known[0].source, known[-1].target, float(told["demand_mbps"]))
                weight, share = int(told["weight"]), float(told["share"])
                found.append(PlannedPath(demand, tuple(known), weight, share))
    except OSError as failed:
        raise _no_plan(path, f"cannot be read: {failed.strerror}") from None
    except (ValueError, TypeError, KeyError, RecursionError) as wrong:
        message = f"is no plan that `vneterctl te -o json` wrote: {type(wrong).__name__} {wrong}"
        raise _no_plan(path, message) from None
    return tuple(found)


def _no_plan(path: Path, message: str) -> IntentError:
    return IntentError(Problem(str(path), "", "InvalidPlan", message))
