# SPDX-License-Identifier: Apache-2.0
"""The way from every bridge to one target, in every colour: next edge, and what repairs it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from vneter_sdn.compile.links import COSTS_ALONE, graph
from vneter_sdn.compile.policies import allowing, guards, held, the_edge, vertices
from vneter_sdn.compile.query import View, query
from vneter_sdn.graph.redundant import Redundant, anything
from vneter_sdn.graph.route import ends
from vneter_sdn.graph.topology import Edge
from vneter_sdn.graph.trees import Trees
from vneter_sdn.pipeline.locator import BLUE, DEFAULT, RED


class Way(NamedTuple):
    """What one bridge does with packets of one colour for one target."""

    edge: str = ""
    """The next edge; empty when that is gone, so that only the repair is left."""
    colour: int = DEFAULT
    """The colour that packets are moved to when the edge is down."""
    repair: str = ""
    """The first edge of that; empty when there is none."""


Tree = Mapping[str, Way]
"""By host."""


@query
def trees(view: View, _: None) -> Trees:
    """The forwarding trees of the graph, brought up to date from those before."""
    now = view.ask(graph, COSTS_ALONE)
    before: Trees | None = view.before
    return Trees(now) if before is None else before.updated(now).trees


@query
def next_hops(view: View, target: str) -> Mapping[str, Edge]:
    """The tree of least cost towards a target."""
    return view.ask(trees, None).next_hops(target)


@query
def redundant(view: View, target: str) -> Redundant:
    """The two trees that repairs use."""
    return view.ask(trees, None).redundant(target)


@query
def coloured(view: View, target: str) -> Mapping[int, Mapping[str, str]]:
    """The trees that held routes make: by colour and host, the name of the edge."""
    found: dict[int, dict[str, str]] = {}
    every = (item for routes in view.ask(held, target).values() for item in routes.items())
    for route, colour in sorted(every):
        for name in route:
            found.setdefault(colour, {}).setdefault(ends(name)[0], name)
    return found


@query
def ways(view: View, target: str) -> Mapping[int, Tree]:
    """By colour: the default tree, those of paths, and of RED and BLUE what repairs need."""
    both = view.ask(redundant, target)
    found: dict[int, dict[str, Way]] = {
        DEFAULT: {
            host: _way(edge.name, both.repair(host, edge, anything))
            for host, edge in view.ask(next_hops, target).items()
        }
    }
    for colour, tree in view.ask(coloured, target).items():
        found[colour] = dict(_path_tree(view, target, colour, tree))
    reds = _moved(found.values(), RED)
    red = {host: _red(both, host) for host in _along(both.red, reds)}
    blues = _moved([*found.values(), red], BLUE)
    blue = {host: Way(both.blue[host].name) for host in _along(both.blue, blues)}
    return {**found, **({RED: red} if red else {}), **({BLUE: blue} if blue else {})}


def _way(edge: str, repair: tuple[int, Edge] | None) -> Way:
    return Way(edge) if repair is None else Way(edge, repair[0], repair[1].name)


def _path_tree(
    view: View, target: str, colour: int, tree: Mapping[str, str]
) -> Iterable[tuple[str, Way]]:
    """The tree of a colour of paths: repairs keep what the policies demand that use it."""
    both, kept = view.ask(redundant, target), view.ask(guards, target).get(colour, ())
    allowed = allowing(kept, view.ask(vertices, None), target) if kept else anything
    for host, name in tree.items():
        edge = view.ask(the_edge, name)
        if edge is None or edge.disabled:
            gone = edge or Edge(name=name, reverse="", source=host, target=ends(name)[1])
            repair = both.repair(host, gone, allowed)
            if repair is not None:
                yield host, _way("", repair)
        else:
            yield host, _way(name, both.repair(host, edge, allowed))


def _red(both: Redundant, host: str) -> Way:
    """RED leads on to BLUE, where that leaves by another edge."""
    edge, other = both.red[host], both.blue.get(host)
    if other is None or other.name == edge.name:
        return Way(edge.name)
    return Way(edge.name, BLUE, other.name)


def _moved(trees_: Iterable[Mapping[str, Way]], colour: int) -> set[str]:
    """Hosts that move packets to a colour."""
    return {
        host for tree in trees_ for host, way in tree.items() if way.repair and way.colour == colour
    }


def _along(tree: Mapping[str, Edge], starts: Iterable[str]) -> list[str]:
    """Hosts that packets moved to a tree at some hosts pass, those hosts only if others' do."""
    passed: dict[str, None] = {}
    for start in sorted(starts):
        edge = tree.get(start)
        while edge is not None and edge.target in tree and edge.target not in passed:
            passed[edge.target] = None
            edge = tree.get(edge.target)
    return list(passed)


def tree_distances(towards: Mapping[int, Tree], target: str, colour: int) -> Mapping[str, int]:
    """How many edges each host of a colour is from the target, by the next edges alone."""
    tree = towards.get(colour, {})
    found = {target: 0}
    for start in tree:
        trail, host = [], start
        while host not in found and host in tree and host not in trail:
            trail.append(host)
            host = ends(tree[host].edge or tree[host].repair)[1]
        beyond = found.get(host, 0)
        for step, passed in enumerate(reversed(trail), 1):
            found[passed] = beyond + step
    return found
