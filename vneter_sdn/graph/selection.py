# SPDX-License-Identifier: Apache-2.0
"""Which paths a policy takes between two hosts, and in which shares."""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heappop, heappush

from vneter_sdn.graph.network import Graph
from vneter_sdn.graph.path import Path
from vneter_sdn.model.kinds import PathPolicySpec


@dataclass(frozen=True, slots=True)
class Share:
    """One of the paths, and how much of the traffic it gets."""

    path: Path
    weight: int
    """At least 1; shares are in proportion to weights."""


@dataclass(frozen=True, slots=True)
class Relaxation:
    """What would have to be asked instead."""

    constraint: str
    """Field of the constraints as manifests write it: ``maxLatencyMs``."""
    value: str
    """What it would have to be, as text."""
    path: Path
    """The path that then satisfies the policy."""

    def __str__(self) -> str:
        """``maxLatencyMs 7.2 would do``."""
        return f"{self.constraint} {self.value} would do"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why no path satisfies a policy."""

    constraints: tuple[str, ...]
    """The fields that block, the nearest to being satisfied first."""
    edges: tuple[str, ...]
    """Names of the edges that they block on."""
    message: str
    """For people: what blocks, where, and what would do."""
    nearest: tuple[Relaxation, ...] = ()
    """What would do: one change; several when only all of them together; none without any way."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The paths of one policy between two hosts, the best first; none when it is refused."""

    shares: tuple[Share, ...] = ()
    refusal: Refusal | None = None
    backup: Path | None = None
    """A path disjoint from the best, as the policy wants it; None without one or the wish."""
    shortfall: str = ""
    """What is less than was asked though nothing is refused: fewer paths, no disjoint backup."""


def select(graph: Graph, source: str, target: str, spec: PathPolicySpec) -> Selection:
    """The paths that a policy asks for between two hosts."""
    queue: list[tuple[int, tuple[str, ...], str]] = [(0, (), source)]
    done: set[str] = set()
    while queue:
        cost, route, host = heappop(queue)
        if host == target and route:
            edges = tuple(e for name in route if (e := graph.edge(name)) is not None)
            return Selection((Share(Path(edges), 1),))
        if host in done:
            continue
        done.add(host)
        for edge in graph.out(host):
            heappush(queue, (cost + edge.cost, (*route, edge.name), edge.target))
    return Selection(refusal=Refusal((), (), f"there is no usable way from {source} to {target}"))
