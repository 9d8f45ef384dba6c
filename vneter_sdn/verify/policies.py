# SPDX-License-Identifier: Apache-2.0
"""Rules of policies that say nothing, or contradict each other: found on the compiled flows.

Rules are read back from their flows (`written`). In the tiers and in the baseline the first one
decides, so one is never reached when those above it take all of its packets on every bridge that
has it. Two contradict each other when policies of one tier and one priority decide otherwise about
some packets, so that nothing but their names says who wins. Rules of the stage of isolation add up,
and neither shadow nor contradict each other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter

from vneter_sdn.model.flow import BridgeState, Flow, FlowKey, SetField
from vneter_sdn.pipeline import priorities
from vneter_sdn.pipeline.registers import LOCAL, PEER, RULE, TENANT
from vneter_sdn.pipeline.tables import table
from vneter_sdn.policy.rule import Rule
from vneter_sdn.verify.findings import Finding, example_of
from vneter_sdn.verify.packets import Cube, merged, overlap, real, without
from vneter_sdn.verify.values import holds, some
from vneter_sdn.verify.written import WAYS, Place, Written, place_of, tenant_of, written_on

_ORDERED = {table(f"{way}_{at}").id: way for way in WAYS for at in ("tiers", "baseline")}
_PEERS = {table(f"{way}_peer").id: way for way in WAYS}


@dataclass(frozen=True, slots=True)
class Books:
    """Rules by the numbers of their tenants, and theirs."""

    by_number: Mapping[int, Mapping[int, Rule]]
    title: Callable[[Rule], str] = attrgetter("title")
    """What a rule was written as: ``NetworkPolicy x/p ingress[0] name``."""

    def rule(self, tenant: int, number: int | None) -> Rule | None:
        """A rule, if there is one of that number."""
        return None if number is None else self.by_number.get(tenant, {}).get(number)


@dataclass(frozen=True, slots=True)
class News:
    """Rules that changed, and where."""

    places: frozenset[Place]
    hosts: frozenset[str]

    def __bool__(self) -> bool:
        return bool(self.places)

    @classmethod
    def of(cls, changed: Mapping[str, Iterable[tuple[Flow | None, Flow | None]]]) -> News:
        """By host, what was at places of flows and what is there now."""
        places, hosts = set(), set()
        for host, pairs in changed.items():
            for flow in (flow for pair in pairs for flow in pair if flow is not None):
                if flow.table in _ORDERED:
                    places.add(place_of(flow))
                    hosts.add(host)
        return cls(frozenset(places), frozenset(hosts))


class _Bridge:
    """Rules that are written on one bridge."""

    def __init__(self, state: BridgeState, rules: Mapping[Place, Written]) -> None:
        self._held: dict[Place, list[Cube]] = {}
        self._state = state
        self.rules = {
            place: written
            for place, written in rules.items()
            if place.tenant and place.priority > priorities.HIGH
        }

    def packets(self, place: Place) -> list[Cube]:
        """What a rule takes, whatever is above it."""
        if place not in self._held:
            self._held[place] = [c for c in self.rules[place].packets() if self._is_of_somebody(c)]
        return self._held[place]

    def above(self, place: Place) -> list[Place]:
        """Rules that go first, the very first at the beginning."""
        same = (p for p in self.rules if p[:2] == place[:2] and p.priority > place.priority)
        return sorted(same, key=lambda p: -p.priority)

    def left(self, cubes: list[Cube], above: Iterable[Place]) -> list[Cube]:
        """Packets that none of some rules take."""
        for place in above:
            for cube in self.packets(place):
                cubes = without(cubes, cube)
            if len(cubes) > 16:
                cubes = merged(cubes)
            if not cubes:
                break
        return [c for c in cubes if real(c) is not None and self._is_of_somebody(c)]

    @cached_property
    def _addresses(self) -> Mapping[tuple[str, int, int], tuple[tuple[str, int], ...]]:
        """Addresses of identities at the other end: by direction, tenant and identity."""
        found: defaultdict[tuple[str, int, int], list[tuple[str, int]]] = defaultdict(list)
        for flow in self._state.flows.values():
            if flow.table in _PEERS:
                address = [(t.field, t.value) for t in flow.match if t.field.startswith("ip")]
                for action in flow.actions:
                    if isinstance(action, SetField) and action.field == PEER.field:
                        found[_PEERS[flow.table], tenant_of(flow), action.value] += address
        return {key: tuple(held) for key, held in found.items()}

    def _is_of_somebody(self, cube: Cube) -> bool:
        """Whether an identity at the other end has one of the addresses that a cube has there."""
        peers, tenants = cube.get(PEER.field), cube.get(TENANT.field)
        named = [name for name in ("ip_src", "ip_dst", "ipv6_src", "ipv6_dst") if name in cube]
        if not isinstance(peers, frozenset) or not tenants or not named:
            return True
        if 0 in peers:
            return True
        way = "egress" if named[0].endswith("dst") else "ingress"
        return any(
            name in named and holds(cube[name], value)
            for peer in peers
            for name, value in self._addresses.get((way, some(tenants), peer), ())
        )


class Pages:
    """Rules as they are written on bridges, kept up to date from change to change."""

    def __init__(self) -> None:
        self._flows: dict[str, defaultdict[Place, dict[FlowKey, Flow]]] = {}
        self._rules: dict[str, dict[Place, Written]] = {}

    def take(self, host: str, changed: Iterable[tuple[Flow | None, Flow | None]]) -> None:
        """Take in what is at places of a bridge's flows now, instead of what was there."""
        flows, rules = self._flows.get(host), self._rules.get(host)
        if flows is None or rules is None:
            return  # nobody asked yet
        for before, after in changed:
            for flow in (before, after):
                if flow is not None and flow.table in _ORDERED:
                    rules.pop(place_of(flow), None)
            if before is not None and before.table in _ORDERED:
                flows[place_of(before)].pop(before.key, None)
            if after is not None and after.table in _ORDERED:
                flows[place_of(after)][after.key] = after

    def read(self, host: str, state: BridgeState) -> Mapping[Place, Written]:
        """The rules of a bridge, which holds that now."""
        flows = self._flows.get(host)
        if flows is None:
            flows = self._flows[host] = defaultdict(dict)
            self._rules[host] = {}
            for key, flow in state.flows.items():
                if flow.table in _ORDERED:
                    flows[place_of(flow)][key] = flow
        rules = self._rules[host]
        for place, held in flows.items():
            if held and place not in rules:
                rules |= written_on(held.values())
        return rules


def shadows(
    states: Mapping[str, BridgeState],
    books: Books,
    news: News | None = None,
    pages: Pages | None = None,
) -> Iterator[Finding]:
    """Rules that no packet reaches on any bridge that has them.

    Args:
        states: what bridges hold.
        books: what numbers on bridges stand for.
        news: rules that changed: these, and those below them, are looked at; None for all.
        pages: what is known of rules on bridges, up to date.
    """
    bridges = _bridges(states, pages or Pages())
    for place, hosts in _standing(bridges).items():
        if news is not None and not _concerns(bridges[hosts[0]], place, news):
            continue
        if all(_is_shadowed(bridges[host], place) for host in hosts):
            yield _shadowed(bridges[hosts[0]], hosts[0], place, books)


def _bridges(states: Mapping[str, BridgeState], pages: Pages) -> dict[str, _Bridge]:
    return {h: _Bridge(state, pages.read(h, state)) for h, state in sorted(states.items())}


def _standing(bridges: Mapping[str, _Bridge]) -> dict[Place, list[str]]:
    """Rules, and the bridges that have them."""
    found: defaultdict[Place, list[str]] = defaultdict(list)
    for host, bridge in bridges.items():
        for place in bridge.rules:
            found[place].append(host)
    return dict(sorted(found.items(), key=lambda one: (*one[0][:2], -one[0].priority)))


def _concerns(bridge: _Bridge, place: Place, news: News) -> bool:
    if place in news.places:
        return True
    mine = bridge.packets(place)
    return any(
        other in news.places and _meet(mine, bridge.packets(other)) for other in bridge.above(place)
    )


def _meet(one: Iterable[Cube], other: Iterable[Cube]) -> list[Cube]:
    pairs = (overlap(a, b) for a in one for b in other)
    return [cube for cube in pairs if cube is not None]


def _is_shadowed(bridge: _Bridge, place: Place) -> bool:
    mine = bridge.packets(place)
    meeting = [p for p in bridge.above(place) if _meet(mine, bridge.packets(p))]
    return bool(mine) and not bridge.left(mine, meeting)


def _shadowed(bridge: _Bridge, host: str, place: Place, books: Books) -> Finding:
    mine = bridge.packets(place)
    meeting = [p for p in bridge.above(place) if _meet(mine, bridge.packets(p))]
    alone = [p for p in meeting if not bridge.left(mine, (p,))]
    cause = alone[:1] or meeting
    shown = [_title(bridge, p, books) for p in cause[:4]]
    names = " and ".join(shown) + (f" and {len(cause) - 4} more" if len(cause) > 4 else "")
    verb = "takes" if len(cause) == 1 else "take"
    about = f"{_title(bridge, place, books)} is never reached: {names} {verb} all of it"
    flows = tuple(f for p in (place, *cause[:4]) for f in bridge.rules[p].deciding[:1])
    return Finding("shadowed", about, example_of(host, map(_outer, mine)), flows=flows)


def conflicts(
    states: Mapping[str, BridgeState],
    books: Books,
    news: News | None = None,
    pages: Pages | None = None,
) -> Iterator[Finding]:
    """Rules of two policies with one priority that decide otherwise about the same packets.

    Args:
        states: what bridges hold.
        books: what numbers on bridges stand for.
        news: rules that changed, which alone are looked at; None for all.
        pages: what is known of rules on bridges, up to date.
    """
    seen: set[tuple[Place, Place]] = set()
    for host, bridge in _bridges(states, pages or Pages()).items():
        alike: defaultdict[object, list[tuple[Place, Rule]]] = defaultdict(list)
        for place, written in bridge.rules.items():
            rule = books.rule(place.tenant, written.number)
            if rule is not None:
                alike[place[:2], rule.order[:2]].append((place, rule))
        for ranked in alike.values():
            for (first, one), (then, other) in _opposed(ranked):
                pair = first, then
                if pair in seen or (news is not None and not news.places & set(pair)):
                    continue
                both = _meet(bridge.packets(first), bridge.packets(then))
                left = bridge.left(both, bridge.above(first)) if both else []
                if left:
                    seen.add(pair)
                    yield _conflict(bridge, host, (first, one), (then, other), left, books)


def _opposed(
    some: list[tuple[Place, Rule]],
) -> Iterator[tuple[tuple[Place, Rule], tuple[Place, Rule]]]:
    """Pairs of rules of two policies with different verdicts, the one that goes first before."""
    ordered = sorted(some, key=lambda one: -one[0].priority)
    for n, one in enumerate(ordered):
        for other in ordered[n + 1 :]:
            if one[1].policy != other[1].policy and _passes(one[1]) != _passes(other[1]):
                yield one, other


def _passes(rule: Rule) -> str:
    return "drop" if rule.verdict == "reject" else rule.verdict


def _conflict(
    bridge: _Bridge,
    host: str,
    one: tuple[Place, Rule],
    other: tuple[Place, Rule],
    left: list[Cube],
    books: Books,
) -> Finding:
    (first, rule), (then, second) = one, other
    about = (
        f"{books.title(rule)} ({rule.verdict}) and {books.title(second)} ({second.verdict}) are of "
        "one priority and about some of the same packets; the first goes first by its name alone"
    )
    flows = (*bridge.rules[first].deciding[:1], *bridge.rules[then].deciding[:1])
    return Finding("conflict", about, example_of(host, map(_outer, left)), flows=flows)


def _title(bridge: _Bridge, place: Place, books: Books) -> str:
    rule = books.rule(place.tenant, bridge.rules[place].number)
    if rule is not None:
        return books.title(rule)
    name = _ORDERED[place.table]
    return f"a rule of {name} of priority {place.priority} in tenant number {place.tenant}"


def _outer(cube: Cube) -> Cube:
    """What is seen of packets on the wire."""
    inner = (TENANT.field, LOCAL.field, PEER.field, RULE.field)
    return {name: values for name, values in cube.items() if name not in inner}
