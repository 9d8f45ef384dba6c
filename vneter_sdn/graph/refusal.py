# SPDX-License-Identifier: Apache-2.0
"""Why no path satisfies a policy, and which change of it the nearest path asks for."""

from __future__ import annotations

from dataclasses import dataclass

from vneter_sdn.graph.constraint import fields
from vneter_sdn.graph.network import Graph
from vneter_sdn.graph.objective import UNIT
from vneter_sdn.graph.relaxation import ANYTHING, Case, Relaxation, relax, together
from vneter_sdn.graph.wording import listing
from vneter_sdn.model.path_kinds import PathPolicySpec


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why no path satisfies a policy."""

    constraints: tuple[str, ...]
    """The fields that block, the nearest to being satisfied first; none when nothing would help."""
    edges: tuple[str, ...]
    """Names of the edges that they block on."""
    message: str
    """For people: what blocks, where, and what would do."""
    nearest: tuple[Relaxation, ...] = ()
    """What would do: one change; several when only all of them together; none without any way."""


def refuse(graph: Graph, source: str, target: str, spec: PathPolicySpec) -> Refusal:
    """Say why `selection.select` finds no path."""
    case = Case(graph, source, target, spec.constraints)
    missing = [host for host in (source, target) if host not in graph.vertices]
    if missing:
        return Refusal((), (), f"there is no host {listing(missing)}")
    if source == target:
        return Refusal((), (), f"{source} needs no path to itself")
    if case.best(lambda _: UNIT, ANYTHING) is None:
        return _unreachable(case)
    found = (relax(case, field) for field in fields(spec.constraints))
    single = sorted((one for one in found if one is not None), key=lambda one: one.change)
    if single:
        return _refusal(case, single, single[:1])
    several = together(case)
    return _refusal(case, several, several)


def _refusal(case: Case, found: list[Relaxation], nearest: list[Relaxation]) -> Refusal:
    changes = " and ".join(f"{one.constraint} {one.value}" for one in nearest)
    reasons = "; ".join(one.reason for one in found)
    message = f"no path from {case.source} to {case.target}: {reasons}; {changes} would do"
    edges = dict.fromkeys(edge for one in found for edge in one.edges)
    return Refusal(tuple(one.constraint for one in found), tuple(edges), message, tuple(nearest))


def _unreachable(case: Case) -> Refusal:
    """Nothing leads there: name what would, if it worked."""
    reached, open_ = {case.source}, [case.source]
    while open_:
        onward = {edge.target for edge in case.graph.out(open_.pop())} - reached
        reached |= onward
        open_ += onward
    lost = [
        edge
        for edge in case.graph.edges.values()
        if edge.source in reached and edge.target not in reached and not edge.usable
    ]
    states = [f"{edge.name} is {'disabled' if edge.disabled else 'down'}" for edge in lost]
    why = listing(states) if lost else f"no link leads on from {listing(sorted(reached))}"
    message = f"no usable way from {case.source} to {case.target}: {why}"
    return Refusal((), tuple(edge.name for edge in lost), message)
