# SPDX-License-Identifier: Apache-2.0
"""The way from every bridge to one target, in every colour: next edge, and what repairs it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from vneter_sdn.compile.policies import allowing, guards, held, the_edge, vertices
from vneter_sdn.compile.query import View, query
from vneter_sdn.compile.standing import members, redundant, shard_of, steady, steady_hops, trees
from vneter_sdn.graph.lasting import Lasting
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
NO_TREES: Mapping[int, Tree] = MappingProxyType({})


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
def stays(view: View, name: str) -> bool:
    """Whether an edge is there and not taken out, up or not."""
    edge = view.ask(the_edge, name)
    return edge is not None and not edge.disabled


@query
def default_ways(view: View, target: str) -> Tree:
    """The tree of least cost towards a target in the graph that stands, and its repairs."""
    both = view.ask(redundant, target)
    return {
        host: _way(edge.name, both.repair(host, edge, anything))
        for host, edge in view.ask(steady_hops, target).items()
    }


@query
def steady_ways(view: View, target: str) -> Mapping[int, Tree]:
    """By colour: the default tree, those of paths, and of RED and BLUE what repairs need.

    Of the graph that stands. Whoever takes another edge now is in `turns`.
    """
    both = view.ask(redundant, target)
    found: dict[int, Tree] = {DEFAULT: view.ask(default_ways, target)}
    for colour, tree in view.ask(coloured, target).items():
        found[colour] = dict(_path_tree(view, target, colour, tree))
    return found | _repairs(both, found.values())


def _repairs(
    both: Redundant, trees_: Collection[Tree], known: Mapping[int, Tree] = NO_TREES
) -> dict[int, Tree]:
    """What RED and BLUE hold where some trees lead onto them, but for what is known already."""
    reds = _along(both.red, _moved(trees_, RED), known.get(RED, {}))
    red = {host: _red(both, host) for host in reds}
    blues = _along(both.blue, _moved([*trees_, red], BLUE), known.get(BLUE, {}))
    blue = {host: Way(both.blue[host].name) for host in blues}
    return {**({RED: red} if red else {}), **({BLUE: blue} if blue else {})}


@query
def turned(view: View, shard: int) -> Mapping[str, Tree]:
    """By target of a shard: what hosts do that take another edge now than in the graph that stands.

    Their repairs are chosen from those that are not known to fail. Hosts that have no way now keep
    what they had.
    """
    now, stood = view.ask(trees, None), view.ask(steady, shard)
    failed, beside = now.lost(stood), now.beside(stood)
    return {
        target: dict(_turns(now, stood.redundant(target), beside[target], failed))
        for target in view.ask(members, None)[shard]
        if target in beside
    }


def _turns(
    now: Trees, both: Redundant, hosts: Iterable[str], failed: Collection[str]
) -> Iterator[tuple[str, Way]]:
    lasting = Lasting(both, failed)
    for host in sorted(hosts):
        edge = now.next_hop(host, both.target)
        if edge is not None:
            yield host, _way(edge.name, lasting.repair(host, edge))


@query
def turns(view: View, target: str) -> Mapping[int, Tree]:
    """What is to be done otherwise than `steady_ways` says, and what that needs of RED and BLUE."""
    tree = view.ask(turned, shard_of(target)).get(target)
    if not tree:
        return NO_TREES
    both, known = view.ask(redundant, target), view.ask(steady_ways, target)
    return {DEFAULT: tree, **_repairs(both, [tree], known)}


@query
def ways(view: View, target: str) -> Mapping[int, Tree]:
    """By colour: what every host does now, `steady_ways` with `turns`."""
    return merged(view.ask(steady_ways, target), view.ask(turns, target))


def merged(steady_: Mapping[int, Tree], turns_: Mapping[int, Tree]) -> Mapping[int, Tree]:
    """`ways`."""
    both = {**steady_, **turns_}
    return {colour: {**steady_.get(colour, {}), **both[colour]} for colour in both}


def _way(edge: str, repair: tuple[int, Edge] | None) -> Way:
    return Way(edge) if repair is None else Way(edge, repair[0], repair[1].name)


def _path_tree(
    view: View, target: str, colour: int, tree: Mapping[str, str]
) -> Iterable[tuple[str, Way]]:
    """The tree of a colour of paths: repairs keep what the policies demand that use it."""
    both, kept = view.ask(redundant, target), view.ask(guards, target).get(colour, ())
    allowed = allowing(kept, view.ask(vertices, None), target) if kept else anything
    for host, name in tree.items():
        edge = Edge(name=name, reverse="", source=host, target=ends(name)[1])
        repair = both.repair(host, edge, allowed)
        if view.ask(stays, name):
            yield host, _way(name, repair)
        elif repair is not None:
            yield host, _way("", repair)


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


def _along(tree: Mapping[str, Edge], starts: Iterable[str], known: Collection[str]) -> list[str]:
    """Hosts that packets moved to a tree at some hosts pass, those hosts only if others' do.

    Known ones are left out, and so are all beyond them, which are known too.
    """
    passed: dict[str, None] = {}
    for start in sorted(starts):
        edge = tree.get(start)
        while edge is not None and edge.target in tree and edge.target not in passed:
            if edge.target in known:
                break
            passed[edge.target] = None
            edge = tree.get(edge.target)
    return list(passed)


class Distances(Mapping[str, int]):
    """How many edges each host of a colour is from the target, by the next edges alone.

    Worked out as it is asked for. Of a host that is not in the tree nothing is known.
    """

    def __init__(self, towards: Sequence[Mapping[int, Tree]], target: str, colour: int) -> None:
        """Of some trees by colour; what the first say of a host counts."""
        self._trees = [found[colour] for found in towards if colour in found]
        self._found = {target: 0}

    def _way(self, host: str) -> Way | None:
        return next((tree[host] for tree in self._trees if host in tree), None)

    def __getitem__(self, host: str) -> int:
        trail: dict[str, None] = {}
        while host not in self._found and host not in trail:
            way = self._way(host)
            if way is None:
                break
            trail[host] = None
            host = ends(way.edge or way.repair)[1]
        beyond = self._found.get(host, 0)
        for step, passed in enumerate(reversed(trail), 1):
            self._found[passed] = beyond + step
        return self._found[next(iter(trail), host)]

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(host for tree in self._trees for host in tree))

    def __len__(self) -> int:
        return sum(1 for _ in self)
