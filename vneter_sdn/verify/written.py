# SPDX-License-Identifier: Apache-2.0
"""Rules of policies as they are written on a bridge, read back: which packets each takes.

For each strand that is the product of its clauses: identities that it is about, identities or
addresses at the other end, ports.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import product
from typing import NamedTuple

from vneter_sdn.model.flow import Conjunction, Flow, SetField
from vneter_sdn.model.policy_kinds import Direction
from vneter_sdn.pipeline.registers import LOCAL, OUT_PORT, PEER, RULE, TENANT
from vneter_sdn.pipeline.tables import table
from vneter_sdn.verify.packets import Cube, cube_of, merged, overlap, real

WAYS: tuple[Direction, Direction] = ("egress", "ingress")
STAGES: dict[int, Direction] = {
    table(f"{way}_{stage}").id: way for way in WAYS for stage in ("tiers", "isolation", "baseline")
}
"""Tables that hold rules, and their direction."""
_NUMBER_SHIFT = 12
"""A conjunction's id is the number of a rule and, in so many bits, that of a strand."""


class Place(NamedTuple):
    """Where a rule stands: its table, its tenant's number, its priority."""

    table: int
    tenant: int
    priority: int


def is_clause(flow: Flow) -> bool:
    """Whether a flow is a clause of a conjunction."""
    return bool(flow.actions) and isinstance(flow.actions[0], Conjunction)


def place_of(flow: Flow) -> Place:
    """Where the rule stands that a flow is of."""
    return Place(flow.table, tenant_of(flow), flow.priority)


def tenant_of(flow: Flow) -> int:
    """The number of the tenant whose packets a flow takes; 0 for any."""
    return next((t.value for t in flow.match if t.field == TENANT.field), 0)


@dataclass(slots=True)
class Written:
    """The flows of one rule on one bridge."""

    deciding: list[Flow] = field(default_factory=list)
    clauses: dict[int, dict[int, list[Cube]]] = field(default_factory=dict)
    """By conjunction and clause."""
    _held: list[Cube] | None = None

    def add(self, flow: Flow) -> None:
        """One flow more."""
        if not is_clause(flow):
            self.deciding.append(flow)
            return
        for action in flow.actions:
            if isinstance(action, Conjunction):
                clauses = self.clauses.setdefault(action.id, {})
                clauses.setdefault(action.clause, []).append(cube_of(flow.match))

    @property
    def number(self) -> int | None:
        """What it decides is counted by; of a rule that passes, what its conjunctions say."""
        for flow in self.deciding:
            number = loaded(flow, RULE.field)
            if number is not None:
                return number
        return next((number >> _NUMBER_SHIFT for number in self.clauses), None)

    def packets(self) -> list[Cube]:
        """What it takes, whatever is above it."""
        if self._held is None:
            self._held = merged(cube for flow in self.deciding for cube in self._taken(flow))
        return self._held

    def _taken(self, flow: Flow) -> Iterable[Cube]:
        held = cube_of(flow.match)
        strand = held.pop("conj_id", None)
        if strand is None:
            return [held]
        assert isinstance(strand, frozenset)  # conjunctions are matched exactly
        found: list[Cube] = []
        clauses = self.clauses.get(next(iter(strand)), {})
        for cubes in product(*(merged(cubes) for _, cubes in sorted(clauses.items()))):
            both: Cube | None = held
            for cube in cubes:
                both = overlap(both, cube) if both is not None else None
            if both is not None and real(both) is not None:
                found.append(both)
        return found


def written_on(flows: Iterable[Flow]) -> dict[Place, Written]:
    """The rules that some flows are of, by where they stand."""
    found: dict[Place, Written] = {}
    for flow in flows:
        if flow.table in STAGES:
            found.setdefault(place_of(flow), Written()).add(flow)
    return found


# ---- kept up to date

_FIRST: dict[int, Direction] = {table(way).id: way for way in WAYS}
_PEER: dict[int, Direction] = {table(f"{way}_peer").id: way for way in WAYS}


class PolicyView:
    """What policies say on one bridge, to be found by rule, identity and number.

    Args:
        flows: of the tables that `POLICY_TABLES` names.
    """

    def __init__(self, flows: Iterable[Flow]) -> None:
        self._flows: defaultdict[Place, dict[int, Flow]] = defaultdict(dict)
        self._rules: dict[Place, Written] = {}
        self._named: defaultdict[tuple[Direction, int], Counter[Place]] = defaultdict(Counter)
        self._decided: defaultdict[tuple[Direction, int], Counter[Place]] = defaultdict(Counter)
        self._addresses: defaultdict[tuple[Direction, int, int], set[tuple[str, int]]]
        self._addresses = defaultdict(set)
        self.identities: dict[Direction, dict[int, int]] = {way: {} for way in WAYS}
        """Identity of the endpoint behind each port, as policies of a direction have it."""
        for flow in flows:
            self.note(None, flow)

    def note(self, before: Flow | None, after: Flow | None) -> None:
        """A flow took the place of another. O(1)."""
        for flow, count in ((before, -1), (after, 1)):
            if flow is None:
                continue
            if flow.table in STAGES:
                self._note_rule(flow, count)
            elif flow.table in _PEER:
                self._note_peer(flow, count)
            elif flow.table in _FIRST:
                self._note_port(flow, count)

    def _note_rule(self, flow: Flow, count: int) -> None:
        place, way = place_of(flow), STAGES[flow.table]
        held = self._flows[place]
        if count > 0:
            held[id(flow)] = flow
        else:
            held.pop(id(flow), None)
        self._rules.pop(place, None)
        peer = next((t.value for t in flow.match if t.field == PEER.field), None)
        if peer is not None:
            self._named[way, peer][place] += count
        number = loaded(flow, RULE.field)
        if number is not None:
            self._decided[way, number][place] += count

    def _note_peer(self, flow: Flow, count: int) -> None:
        identity = loaded(flow, PEER.field)
        if identity is not None:
            found = self._addresses[_PEER[flow.table], tenant_of(flow), identity]
            some = {(t.field, t.value) for t in flow.match if t.field.startswith("ip")}
            if count > 0:
                found |= some
            else:
                found -= some

    def _note_port(self, flow: Flow, count: int) -> None:
        way, port, identity = _FIRST[flow.table], port_of(flow), loaded(flow, LOCAL.field)
        if port is not None and identity is not None and count > 0:
            self.identities[way][port] = identity

    def rule(self, place: Place) -> Written:
        """One rule."""
        found = self._rules.get(place)
        if found is None:
            found = self._rules[place] = Written()
            for flow in self._flows.get(place, {}).values():
                found.add(flow)
        return found

    def naming(self, way: Direction, identity: int) -> list[Place]:
        """Rules that name an identity at the other end."""
        return [place for place, times in self._named[way, identity].items() if times > 0]

    def deciding(self, way: Direction, number: int) -> list[Place]:
        """Rules of a number."""
        return [place for place, times in self._decided[way, number].items() if times > 0]

    def addresses(self, way: Direction, tenant: int, identity: int) -> set[tuple[str, int]]:
        """Header and value of the addresses that an identity at the other end has."""
        return self._addresses[way, tenant, identity]


def port_of(flow: Flow) -> int | None:
    """The port of an endpoint of the bridge that a flow is about."""
    fields = ("in_port", OUT_PORT.field)
    return next((term.value for term in flow.match if term.field in fields), None)


def loaded(flow: Flow, register: str) -> int | None:
    """What a flow writes to a register."""
    for action in flow.actions:
        if isinstance(action, SetField) and action.field == register:
            return action.value
    return None


POLICY_TABLES = frozenset((*_FIRST, *_PEER, *STAGES))
"""Tables that a `PolicyView` reads."""
