# SPDX-License-Identifier: Apache-2.0
"""The graph that stands: what repairs go by, which follows the graph as it is some time later.

When a link fails, packets need other next edges at once, and those of a failed link alone. The
repair trees RED and BLUE of nearly every bridge change with a link, too, but nobody needs the new
ones yet: repairs are there for the next failure. So they go by a graph of their own, in which what
changed a moment ago still is as it was. It is told apart from the graph by one kind of fact:
``Standing``, by shard, says which edges count as up, or as down, though they are seen otherwise.
Nothing said, the two are one. Targets are spread over `SHARDS`, so that whoever feeds those facts
(`engine.standing`) can have the trees of some targets follow at a time, with other things between.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from zlib import crc32

from vneter_sdn.compile.facts import STANDING
from vneter_sdn.compile.links import COSTS_ALONE, bridges, dark, declared, graph, seen
from vneter_sdn.compile.query import Fact, View, query
from vneter_sdn.graph.network import Graph
from vneter_sdn.graph.redundant import Redundant
from vneter_sdn.graph.together import together
from vneter_sdn.graph.topology import Edge, Observation, observed
from vneter_sdn.graph.trees import Trees

SHARDS = 64
Deviations = tuple[tuple[str, bool], ...]
"""Names of edges, sorted, and whether they count as up."""


@lru_cache(maxsize=1 << 16)
def shard_of(target: str) -> int:
    """The shard of a target: the same in every process."""
    return crc32(target.encode()) % SHARDS


def standing_facts(deviations: Mapping[int, Mapping[str, bool]]) -> dict[Fact, Deviations | None]:
    """The facts that follow from what stands otherwise than it is seen, by shard and edge."""
    return {
        Fact(STANDING, shard): tuple(sorted(found.items())) or None
        for shard, found in deviations.items()
    }


@query
def members(view: View, _: None) -> Sequence[Sequence[str]]:
    """By shard: its targets."""
    found: tuple[list[str], ...] = tuple([] for _ in range(SHARDS))
    for host in view.ask(bridges, None):
        found[shard_of(host)].append(host)
    return found


@query
def trees(view: View, _: None) -> Trees:
    """The forwarding trees of the graph, brought up to date from those before."""
    now = view.ask(graph, COSTS_ALONE)
    before: Trees | None = view.before
    return Trees(now) if before is None else before.updated(now).trees


@query
def standing_graph(view: View, deviations: Deviations) -> Graph:
    """The graph in which some edges are as they were."""
    known: Mapping[str, Observation] = view.ask(seen, COSTS_ALONE)
    found = dict(known)
    hidden: frozenset[str] = view.ask(dark, None)
    for name, up in deviations:
        if name not in hidden:
            found[name] = replace(found.get(name, Observation()), up=up)
    return Graph(together(observed(view.ask(declared, None), found), hidden))


@query
def steady(view: View, shard: int) -> Trees:
    """The trees of the graph that stands, for the targets of a shard.

    The ones before, as long as that graph is what it was: they are shared with other shards.
    """
    deviations: Deviations = view.get(STANDING, shard) or ()
    before: Trees | None = view.before
    if not deviations:
        now = view.ask(trees, None)
        return before if before is not None and before.graph.like(now.graph) else now
    wanted = view.ask(standing_graph, deviations)
    return before if before is not None and before.graph.like(wanted) else Trees(wanted)


@query
def redundant(view: View, target: str) -> Redundant:
    """The two trees that repairs use."""
    return view.ask(steady, shard_of(target)).redundant(target)


@query
def steady_hops(view: View, target: str) -> Mapping[str, Edge]:
    """The tree of least cost towards a target, in the graph that stands."""
    return view.ask(steady, shard_of(target)).next_hops(target)
