# SPDX-License-Identifier: Apache-2.0
"""Path policies as features read them: whose traffic they are about, and the paths it takes.

A policy is about connections between two hosts whichever end began them: those of its tenants,
networks and endpoints that live there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from vneter_sdn.compile.bookings import RESERVATION, graph_for, lane
from vneter_sdn.compile.engineered import planned
from vneter_sdn.compile.facts import ALLOCATION, LABELLED, PATHS_AT
from vneter_sdn.compile.links import COSTS_ALONE, declared, graph
from vneter_sdn.compile.queries import (
    holdings,
    place,
    presence,
    station,
    tenant_of,
    tenant_presence,
)
from vneter_sdn.compile.query import View, query
from vneter_sdn.graph.colours import canonical
from vneter_sdn.graph.constraint import edge_faults, fields, host_faults
from vneter_sdn.graph.route import Route, hosts, parse, reverse
from vneter_sdn.graph.selection import select
from vneter_sdn.graph.topology import Edge, Vertex
from vneter_sdn.model.path_kinds import PathConstraints, PathPolicySpec
from vneter_sdn.model.snapshot import Key, Pools

Pair = tuple[str, str]
"""Source and target host."""
_POLICY = "PathPolicy"
_HARD = ("minMtu", "encrypted", "avoidTags", "requireTags", "regions")
"""Constraints that hold for every edge that a packet crosses, repairs included."""


class Shares(NamedTuple):
    """The paths of a policy between two hosts that have a colour, the best first."""

    colours: tuple[tuple[int, int], ...]
    """Colour and weight."""
    bound: bool
    """Whether the policy has constraints, so that no other path will do."""
    stray: tuple[int, ...]
    """Colours from the same source whose path breaks a constraint: nothing may stay on them."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Traffic of one tenant that a policy is about."""

    tenant: str
    number: int
    networks: tuple[Key, ...] | None
    """Networks that one end is in; None for any."""


@query
def policy_number(view: View, policy: Key) -> int | None:
    """The number of a policy, or of a reservation; None while it has none."""
    if view.get(policy.kind, policy) is None:
        return None
    owned: tuple[tuple[str, str], ...] = view.ask(holdings, str(policy))
    held = dict(owned)
    return int(held[Pools.POLICY]) if Pools.POLICY in held else None


@query
def ranking(view: View, _: None) -> Mapping[Key, int]:
    """Place of every policy, the least wanted first; of equal priorities, the first name wins."""
    found = [key for key in view.keys(_POLICY) if view.ask(policy_number, key) is not None]
    specs: dict[Key, PathPolicySpec] = {key: view.get(_POLICY, key) for key in found}
    found.sort(reverse=True)
    found.sort(key=lambda key: specs[key].priority)
    return {key: place_ for place_, key in enumerate(found)}


@query
def rank(view: View, policy: Key) -> int | None:
    """`ranking` of one policy."""
    return view.ask(ranking, None).get(policy)


@query
def everywhere(view: View, _: None) -> frozenset[str]:
    """Hosts with an endpoint of any tenant."""
    tenants = [key.name for key in view.keys("Tenant")]
    there = [view.ask(tenant_presence, tenant) for tenant in tenants]
    return frozenset(host for hosts_ in there for host in hosts_)


@query
def scopes(view: View, policy: Key) -> tuple[Scope, ...]:
    """The tenants that a policy names, or whose networks it names; none when it names none."""
    spec: PathPolicySpec | None = view.get(_POLICY, policy)
    if spec is None:
        return ()
    networks: dict[str, list[Key]] = {}
    for path in spec.networks:
        tenant, _, name = path.partition("/")
        if not spec.tenants or tenant in spec.tenants:
            networks.setdefault(tenant, []).append(Key("Network", tenant, name))
    found = []
    for tenant in sorted(networks if spec.networks else set(spec.tenants)):
        number = view.ask(tenant_of, tenant)
        if number is not None:
            within = tuple(sorted(networks[tenant])) if spec.networks else None
            found.append(Scope(tenant, number, within))
    return tuple(found)


def limited(spec: PathPolicySpec) -> bool:
    """Whether a policy is about some tenants only."""
    return bool(spec.tenants or spec.networks)


@query
def labelled(view: View, labels: tuple[tuple[str, str], ...]) -> frozenset[Key]:
    """Endpoints that have all of some labels, and a place."""
    found = frozenset.intersection(*(view.find(LABELLED, label) for label in labels))
    return frozenset(key for key in found if view.ask(place, key) and view.ask(station, key))


@query
def ends(view: View, policy: Key) -> tuple[frozenset[Key] | None, frozenset[Key] | None]:
    """Endpoints at the source and at the target of a policy; None where any will do."""
    spec: PathPolicySpec | None = view.get(_POLICY, policy)
    if spec is None:
        return None, None
    return _meant(view, spec, spec.source_labels), _meant(view, spec, spec.target_labels)


def _meant(view: View, spec: PathPolicySpec, labels: Mapping[str, str]) -> frozenset[Key] | None:
    if not labels:
        return None
    found = view.ask(labelled, tuple(sorted(labels.items())))
    tenants = set(spec.tenants) or {network.partition("/")[0] for network in spec.networks}
    return frozenset(key for key in found if not tenants or key.tenant in tenants)


@query
def pairs(view: View, policy: Key) -> frozenset[Pair]:
    """Between which hosts a policy is about some traffic, in both directions."""
    spec: PathPolicySpec | None = view.get(_POLICY, policy)
    if spec is None or view.ask(policy_number, policy) is None:
        return frozenset()
    sources, targets = view.ask(ends, policy)
    found: set[Pair] = set()
    if sources is None and targets is None and not limited(spec):
        all_hosts: frozenset[str] = view.ask(everywhere, None)
        found |= _crossed(all_hosts, all_hosts)
    elif sources is None and targets is None:
        for scope in view.ask(scopes, policy):
            there: frozenset[str] = view.ask(tenant_presence, scope.tenant)
            found |= _crossed(there, _within(view, scope))
    else:
        for tenant in sorted(
            {key.tenant for key in (sources or frozenset()) | (targets or frozenset())}
        ):
            found |= _crossed(*(_hosts(view, some, tenant) for some in (sources, targets)))
    return frozenset(found | {(target, source) for source, target in found})


def _within(view: View, scope: Scope) -> frozenset[str]:
    """Hosts where the networks of a scope are."""
    if scope.networks is None:
        return view.ask(tenant_presence, scope.tenant)
    there = [view.ask(presence, network) for network in scope.networks]
    return frozenset(host for hosts_ in there for host in hosts_)


def _hosts(view: View, endpoints: frozenset[Key] | None, tenant: str) -> frozenset[str]:
    """Hosts of those endpoints that are a tenant's; of all its endpoints, when any will do."""
    if endpoints is None:
        return view.ask(tenant_presence, tenant)
    found = (view.ask(place, key) for key in endpoints if key.tenant == tenant)
    return frozenset(at.host for at in found if at)


def _crossed(sources: Iterable[str], targets: Iterable[str]) -> set[Pair]:
    there = tuple(targets)
    return {(one, other) for one in sources for other in there if one != other}


class Choice(NamedTuple):
    """What `graph.selection` says, by names: equal when nothing that counts is different."""

    routes: tuple[tuple[Route, int], ...]
    """With their weights, the best first."""
    refusal: str
    """Why there are none; empty when there are some."""
    shortfall: str = ""
    """What could not be had though there are some."""


@query
def chosen(view: View, asked: tuple[Key, str, str]) -> Choice:
    """The paths that a policy wants from one host to another."""
    policy, source, target = asked
    spec: PathPolicySpec | None = view.get(_POLICY, policy)
    if spec is None:
        return Choice((), "")
    shares = view.ask(planned, asked) if spec.sharing == "engineered" else ()
    if shares:
        return Choice(shares, "")
    found = select(graph_for(view, policy.name, spec), source, target, spec)
    if found.refusal is not None:
        return Choice((), found.refusal.message)
    routes = tuple((share.path.route, share.weight) for share in found.shares)
    return Choice(routes, "", found.shortfall)


@query
def wanted(view: View, _: None) -> frozenset[Route]:
    """The routes of all policies and active reservations, each in one direction."""
    found = {
        canonical(route)
        for policy in view.keys(_POLICY)
        for pair in view.ask(pairs, policy)
        for route, _ in view.ask(chosen, (policy, *pair)).routes
    }
    for reservation in view.keys(RESERVATION):
        used = view.ask(lane, reservation)
        found |= {canonical(route) for route, _ in used.routes} if used else set()
    return frozenset(found)


Held = Mapping[str, Mapping[Route, int]]
"""By source: the colour of every route."""


@query
def held(view: View, target: str) -> Held:
    """The routes to a target that have a colour, those at rest included."""
    found: dict[str, dict[Route, int]] = {}
    for kept in sorted(view.find(PATHS_AT, target)):
        route, owner = parse(kept[1]), view.get(ALLOCATION, kept)
        for way in (route, reverse(route)):
            passed = hosts(way)
            if passed[-1] == target:
                found.setdefault(passed[0], {})[way] = int(owner.removeprefix("Colour "))
    return found


@query
def held_from(view: View, pair: Pair) -> Mapping[Route, int]:
    """Those of `held` from one source."""
    source, target = pair
    return view.ask(held, target).get(source, {})


@query
def the_edge(view: View, name: str) -> Edge | None:
    """An edge with what is declared of it, and whether it is up."""
    return view.ask(graph, COSTS_ALONE).edge(name)


@query
def lives(view: View, route: Route) -> bool:
    """Whether every edge of a route is there and usable."""
    return all((edge := view.ask(the_edge, name)) is not None and edge.usable for name in route)


@query
def vertices(view: View, _: None) -> Mapping[str, Vertex]:
    """Vertices by host."""
    return {vertex.host: vertex for vertex in view.ask(declared, None).vertices}


Allowed = Callable[[Edge], bool]


def hard(constraints: PathConstraints) -> PathConstraints | None:
    """Those of a policy's constraints that hold for every edge by itself; None without any."""
    kept = replace_limits(constraints)
    return kept if set(fields(kept)) & set(_HARD) else None


def replace_limits(constraints: PathConstraints) -> PathConstraints:
    """Without limits on sums, waypoints and bandwidth, which a repair may exceed for a while."""
    return PathConstraints(
        min_mtu=constraints.min_mtu,
        encrypted=constraints.encrypted,
        avoid_tags=constraints.avoid_tags,
        require_tags=constraints.require_tags,
        regions=constraints.regions,
    )


def allowing(every: Iterable[PathConstraints], known: Mapping[str, Vertex], target: str) -> Allowed:
    """Whether an edge on the way to a target breaks none of some constraints."""
    constraints = tuple(every)

    def allowed(edge: Edge) -> bool:
        source, end = known[edge.source], known[edge.target]
        return not any(
            edge_faults(edge, one)
            or host_faults(source, one, between=False)
            or host_faults(end, one, between=edge.target != target)
            for one in constraints
        )

    return allowed


@query
def shares(view: View, asked: tuple[Key, str, str]) -> Shares:
    """What a policy has for one host towards another."""
    policy, source, target = asked
    spec: PathPolicySpec | None = view.get(_POLICY, policy)
    if spec is None:
        return Shares((), False, ())
    colours = view.ask(held_from, (source, target))
    routes = view.ask(chosen, asked).routes
    found = [(colours[route], weight) for route, weight in routes if route in colours]
    bound = bool(fields(spec.constraints))
    return Shares(tuple(found), bound, tuple(sorted(_stray(view, spec, colours, target))))


def _stray(
    view: View, spec: PathPolicySpec, colours: Mapping[Route, int], target: str
) -> Iterator[int]:
    constraints = hard(spec.constraints)
    if constraints is None or not colours:
        return
    allowed = allowing([constraints], view.ask(vertices, None), target)
    for route, colour in colours.items():
        edges = [view.ask(the_edge, name) for name in route]
        if not all(edge is not None and allowed(edge) for edge in edges):
            yield colour


@query
def reserved_shares(view: View, asked: tuple[Key, str, str]) -> Shares:
    """What an active reservation has for one of its hosts towards the other.

    Connections that began on other paths move to these: what is promised is there.
    """
    reservation, source, target = asked
    used = view.ask(lane, reservation)
    if used is None:
        return Shares((), False, ())
    forth = source == used.source
    colours = view.ask(held_from, (source, target))
    routes = [(route if forth else reverse(route), weight) for route, weight in used.routes]
    found = tuple((colours[route], weight) for route, weight in routes if route in colours)
    stray = set(colours.values()) - {colour for colour, _ in found} if found else set()
    return Shares(found, bool(fields(used.constraints)), tuple(sorted(stray)))


@query
def guarded(view: View, _: None) -> tuple[Key, ...]:
    """Policies with constraints that repairs must keep."""
    return tuple(
        key
        for key in sorted(view.keys(_POLICY))
        if hard(view.get(_POLICY, key).constraints) is not None
    )


@query
def guards(view: View, target: str) -> Mapping[int, tuple[PathConstraints, ...]]:
    """By colour towards a target: what repairs must keep, as the policies whose traffic it carries.

    A path at rest may still carry traffic of any policy that is about its two ends.
    """
    strict = view.ask(guarded, None)
    if not strict:
        return {}
    found: dict[int, set[PathConstraints]] = {}
    kept_here: Held = view.ask(held, target)
    for source in sorted(kept_here):
        about = [k for k in sorted(view.keys(_POLICY)) if (source, target) in view.ask(pairs, k)]
        used = {k: {c for c, _ in view.ask(shares, (k, source, target)).colours} for k in about}
        idle = set(view.ask(held_from, (source, target)).values()).difference(*used.values())
        for policy in (key for key in about if key in strict):
            kept = hard(view.get(_POLICY, policy).constraints)
            for colour in used[policy] | idle:
                if kept is not None:
                    found.setdefault(colour, set()).add(kept)
    for colour, kept in _reserved_ways(view, target):
        found.setdefault(colour, set()).add(kept)
    return {colour: tuple(sorted(every, key=repr)) for colour, every in sorted(found.items())}


def _reserved_ways(view: View, target: str) -> Iterator[tuple[int, PathConstraints]]:
    """Colours towards a target that reservations use whose policies have hard constraints."""
    for reservation in sorted(view.keys(RESERVATION)):
        used = view.ask(lane, reservation)
        kept = hard(used.constraints) if used else None
        if used is None or kept is None or target not in (used.source, used.target):
            continue
        source = used.source if target == used.target else used.target
        for colour, _ in view.ask(reserved_shares, (reservation, source, target)).colours:
            yield colour, kept
