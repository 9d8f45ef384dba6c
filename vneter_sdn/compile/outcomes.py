# SPDX-License-Identifier: Apache-2.0
"""What is reported of path policies, and of links and hosts that are to be empty.

A link or host is *empty* when, as long as nothing fails, no packet is sent over or through it:

* no bridge's next edge is the link (leads into the host for somebody beyond it), in any tree that
  packets start on: the default one and those of paths, paths at rest included, for established
  connections are on them still;
* of a host: no endpoint is on it.

Repairs do not count: RED and BLUE, and second buckets, carry packets only once something fails,
and a drained link is a better repair than none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from vneter_sdn.compile.engineered import Task, asked, ground
from vneter_sdn.compile.facts import BOUND_ON
from vneter_sdn.compile.links import bridges, declared
from vneter_sdn.compile.policies import chosen, held, held_from, pairs, shares, wanted
from vneter_sdn.compile.query import View, query
from vneter_sdn.compile.ways import ways
from vneter_sdn.graph.colours import canonical
from vneter_sdn.graph.route import Route, hosts
from vneter_sdn.graph.topology import Edge, tunnel_edge
from vneter_sdn.model.kinds import LinkSpec
from vneter_sdn.model.path_kinds import PathPolicySpec
from vneter_sdn.model.snapshot import Key
from vneter_sdn.pipeline.locator import BLUE, DEFAULT, RED

NAMED = 3
"""Users of what is to be empty that are named."""


class Pair(NamedTuple):
    """What a policy came to from one host to another."""

    source: str
    target: str
    routes: tuple[tuple[Route, int, int | None], ...]
    """With weight, and colour or None; the best first."""
    refusal: str
    shortfall: str
    dropped: bool
    """Whether its packets are dropped, for it has constraints and no path with a colour."""


class Usage(NamedTuple):
    """What uses a link or host that is to be empty."""

    edges: frozenset[str]
    """The link's, or those into and out of the host."""
    paths: int
    """Ways over it: of a bridge in a tree, of a colour."""
    stuck: int
    """Those of them that have no other way."""
    named: tuple[str, ...]
    """Some of these (if there are none, some of all): ``h1 to h3``."""
    endpoints: int
    """On the host."""


@query
def outcome(view: View, policy: Key) -> tuple[Pair, ...]:
    """What a policy came to, between all hosts that it is about, sorted."""
    found = []
    about: frozenset[tuple[str, str]] = view.ask(pairs, policy)
    for source, target in sorted(about):
        asked = (policy, source, target)
        choice, given = view.ask(chosen, asked), view.ask(shares, asked)
        colours = view.ask(held_from, (source, target))
        routes = tuple((route, weight, colours.get(route)) for route, weight in choice.routes)
        dropped = given.bound and not given.colours
        found.append(Pair(source, target, routes, choice.refusal, choice.shortfall, dropped))
    return tuple(found)


@query
def task(view: View, policy: Key) -> Task | None:
    """What there is to plan for a policy; None for one whose sharing is not engineered."""
    spec: PathPolicySpec | None = view.get("PathPolicy", policy)
    if spec is None or spec.sharing != "engineered":
        return None
    about: frozenset[tuple[str, str]] = view.ask(pairs, policy)
    topology, aside = view.ask(ground, policy)
    demands, turned = view.ask(asked, policy)
    those = {pair: mbps for pair, mbps in demands.items() if pair in about}
    return Task(topology, aside, those, spec.paths, turned & about)


@query
def link_usage(view: View, link: Key) -> Usage | None:
    """What uses a link that is drained; None for one that is not."""
    spec: LinkSpec | None = view.get("Link", link)
    if spec is None or not spec.drained:
        return None
    edges = frozenset(edge.name for edge in _edges(view, spec))
    return _usage(view, edges, _over(view, edges), 0)


@query
def host_usage(view: View, host: Key) -> Usage | None:
    """What uses a host that is drained; None for one that is not."""
    spec = view.get("Host", host)
    if spec is None or not spec.drained:
        return None
    known = view.ask(declared, None).edges
    edges = frozenset(edge.name for edge in known if host.name in (edge.source, edge.target))
    into = frozenset(edge.name for edge in known if edge.target == host.name)
    through = (use for use in _over(view, into) if use[0] != host.name)
    return _usage(view, edges, through, len(view.find(BOUND_ON, host.name)))


def _edges(view: View, spec: LinkSpec) -> Iterator[Edge]:
    """The edges that a link describes, both ways."""
    forth = (spec.source, spec.source_port, spec.source_address, spec.target_address)
    back = (spec.target, spec.target_port, spec.target_address, spec.source_address)
    for edge in view.ask(declared, None).edges:
        for (source, port, near, far), target in ((forth, spec.target), (back, spec.source)):
            if (edge.medium, edge.source, edge.target) == (spec.medium, source, target) and (
                edge.port == port if port else edge.drained and _between(edge, near, far)
            ):
                yield edge


def _between(edge: Edge, near: str | None, far: str | None) -> bool:
    """Whether a tunnel is between these addresses, the preferred ones where none is named."""
    if near is None and far is None:
        return edge.name == tunnel_edge(edge.source, edge.target)
    return near in (None, edge.local_ip) and far in (None, edge.remote_ip)


_Use = tuple[str, int, str]
"""Target, colour, and the bridge whose next edge it is."""


def _over(view: View, edges: frozenset[str]) -> Iterator[_Use]:
    for target in view.ask(bridges, None):
        for colour, tree in view.ask(ways, target).items():
            if colour in (RED, BLUE):
                continue
            for host, way in tree.items():
                if way.edge in edges:
                    yield target, colour, host


def _usage(view: View, edges: frozenset[str], over: Iterator[_Use], endpoints: int) -> Usage:
    """Nothing else leads there (`drained` is avoided wherever it can be): these are stuck.

    Those are the default tree's, and those of paths that policies want though all is known.
    """
    kept: frozenset[Route] = view.ask(wanted, None)
    every, stuck = set(), set()
    for target, colour, host in over:
        every.add((host, target, colour))
        if colour == DEFAULT or any(
            edges & set(route) and canonical(route) in kept
            for routes in view.ask(held, target).values()
            for route in _of_colour(routes, colour, host)
        ):
            stuck.add((host, target, colour))
    named = dict.fromkeys(f"{host} to {target}" for host, target, _ in sorted(stuck or every))
    return Usage(edges, len(every), len(stuck), tuple(named)[:NAMED], endpoints)


def _of_colour(held_: Mapping[Route, int], colour: int, host: str) -> Iterator[Route]:
    return (route for route, one in held_.items() if one == colour and host in hosts(route)[:-1])
