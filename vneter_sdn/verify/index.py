# SPDX-License-Identifier: Apache-2.0
"""The flows of a table, so that a set of packets meets few of them at a time.

As in `simulate.lookup`, flows that match the same bits are a shape. What is known of a packet (a
register that was loaded) is looked up; of what is not known, flows that do the same and differ in
the value of one field are taken together, and all flows of one priority are left behind together.
So a table of ten thousand addresses is two steps: those it knows, and all others.
"""

from __future__ import annotations

from bisect import insort
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from vneter_sdn.model.fields import FIELDS
from vneter_sdn.model.flow import (
    Action,
    BridgeState,
    Conjunction,
    Flow,
    FlowKey,
    Group,
    Match,
)
from vneter_sdn.verify.expressions import Wanted
from vneter_sdn.verify.packets import Cube
from vneter_sdn.verify.values import Values, masked
from vneter_sdn.verify.written import POLICY_TABLES, PolicyView, is_clause

KNOWN, ASIS, PIECES = "k", "i", "m"
"""What is known of a field: its value; that it is as at the beginning; neither."""
Pattern = tuple[str, ...]
How = tuple[str, int, int]
"""How a field is known; its value; and, of pieces, which bits of it are known all the same."""


class Constraint(NamedTuple):
    """What flows ask of fields that are not known."""

    cube: Cube
    """Of fields that are as at the beginning."""
    wanted: tuple[Wanted, ...]
    """Of fields that are pieces, by their names now."""


class Hit(NamedTuple):
    """Flows of one priority that do the same."""

    constraint: Constraint
    flows: tuple[Flow, ...]

    @property
    def actions(self) -> tuple[Action, ...]:
        """What they do."""
        return self.flows[0].actions

    @property
    def goto(self) -> int | None:
        """Where they lead."""
        return self.flows[0].goto


class Block(NamedTuple):
    """Flows of one shape and priority; no packet meets two of them."""

    priority: int
    hits: tuple[Hit, ...]
    cover: tuple[Constraint, ...]
    """All they take."""


Row = tuple[tuple[int, ...], Flow]
_Terms = tuple[tuple[str, int], ...]


@dataclass(slots=True)
class Shape:
    """Flows of a table that match the same bits."""

    terms: tuple[tuple[str, int], ...]
    rows: dict[int, Row] = field(default_factory=dict)
    """By identity of the flow: hashing whole flows costs more than all the rest."""
    apart: dict[Pattern, dict[tuple[int, ...], dict[int, Row]]] = field(default_factory=dict)
    """By what is known: rows by the values of that."""
    found: dict[tuple[Pattern, tuple[int, ...]], tuple[Block, ...]] = field(default_factory=dict)

    def add(self, flow: Flow) -> None:
        """One flow more."""
        row = tuple([term.value for term in flow.match]), flow
        self.rows[id(flow)] = row
        for pattern, by_value in self.apart.items():
            known = _at(pattern, row[0])
            by_value.setdefault(known, {})[id(flow)] = row
            self.found.pop((pattern, known), None)

    def remove(self, flow: Flow) -> None:
        """One flow less."""
        row = self.rows.pop(id(flow))
        for pattern, by_value in self.apart.items():
            known = _at(pattern, row[0])
            del by_value[known][id(flow)]
            self.found.pop((pattern, known), None)

    def blocks(self, pattern: Pattern, known: tuple[int, ...]) -> tuple[Block, ...]:
        """Flows that known values allow, by falling priority."""
        found = self.found.get((pattern, known))
        if found is None:
            alike = self._sorted_out(pattern).get(known)
            if not alike:
                return ()
            by_priority: defaultdict[int, list[Row]] = defaultdict(list)
            for row in alike.values():
                by_priority[row[1].priority].append(row)
            found = self.found[pattern, known] = tuple(
                self._block(priority, pattern, by_priority[priority])
                for priority in sorted(by_priority, reverse=True)
            )
        return found

    def _sorted_out(self, pattern: Pattern) -> dict[tuple[int, ...], dict[int, Row]]:
        by_value = self.apart.get(pattern)
        if by_value is None:
            by_value = self.apart[pattern] = {}
            for number, row in self.rows.items():
                by_value.setdefault(_at(pattern, row[0]), {})[number] = row
        return by_value

    def _block(self, priority: int, pattern: Pattern, rows: list[Row]) -> Block:
        spread = self._spread(pattern, rows)
        hits = tuple(
            Hit(constraint, flows)
            for constraint, flows in self._grouped(pattern, rows, spread, apart=True)
        )
        cover = tuple(c for c, _ in self._grouped(pattern, rows, spread, apart=False))
        return Block(priority, hits, cover)

    def _spread(self, pattern: Pattern, rows: list[Row]) -> int | None:
        """The place whose values are taken together: the one with the most of them."""
        whole = [
            n
            for n, (name, mask) in enumerate(self.terms)
            if pattern[n] == ASIS and mask == FIELDS[name].full
        ]
        return max(whole, key=lambda n: len({values[n] for values, _ in rows}), default=None)

    def _grouped(
        self, pattern: Pattern, rows: list[Row], spread: int | None, *, apart: bool
    ) -> Iterator[tuple[Constraint, tuple[Flow, ...]]]:
        """Rows that differ in the place ``spread`` alone; ``apart``: and do the same."""
        groups: defaultdict[object, list[Row]] = defaultdict(list)
        open_places = [n for n, how in enumerate(pattern) if how != KNOWN and n != spread]
        for values, flow in rows:
            rest = tuple([values[n] for n in open_places])
            groups[(rest, flow.actions, flow.goto) if apart else rest].append((values, flow))
        for alike in groups.values():
            cube: dict[str, Values] = {}
            wanted: list[Wanted] = []
            for n in open_places:
                name, mask = self.terms[n]
                value = alike[0][0][n]
                if pattern[n] == ASIS:
                    cube[name] = masked(FIELDS[name].bits, value, mask)
                else:
                    wanted.append((name, value, mask))
            if spread is not None:
                cube[self.terms[spread][0]] = frozenset(values[spread] for values, _ in alike)
            yield Constraint(cube, tuple(wanted)), tuple(flow for _, flow in alike)


def _at(pattern: Pattern, values: tuple[int, ...]) -> tuple[int, ...]:
    return tuple([value for how, value in zip(pattern, values, strict=True) if how == KNOWN])


class Clause(NamedTuple):
    """Flows of one clause of a conjunction, as ways to meet it."""

    ways: tuple[Constraint, ...]


class Conjoined(NamedTuple):
    """A conjunction of a priority, all of whose clauses can be met."""

    priority: int
    id: int
    clauses: tuple[Clause, ...]


@dataclass(slots=True)
class TableIndex:
    """One table."""

    shapes: list[Shape] = field(default_factory=list)
    """Of flows that are no clauses, by what they match: of one priority, the first counts."""
    soft: list[Shape] = field(default_factory=list)
    """Of clauses of conjunctions."""
    conjoined: dict[object, tuple[Conjoined, ...]] = field(default_factory=dict)
    """By what is known of fields: answers of `conjunctions`."""
    held: dict[Match, tuple[Flow, ...]] = field(default_factory=dict)
    """Flows by match, by falling priority; of those that are no clauses the first alone is met."""
    shaped: dict[tuple[bool, _Terms], Shape] = field(default_factory=dict)
    """All shapes: whether of clauses, and what they match."""

    @classmethod
    def of(cls, flows: Iterable[Flow]) -> TableIndex:
        """Index flows of one table. Linear."""
        made = cls()
        alike: list[Flow] = []
        for flow in flows:
            if flow.match in made.held:
                alike.append(flow)
            else:
                made.held[flow.match] = (flow,)
                made._shape(flow).add(flow)
        for flow in alike:
            made._add(flow)
        return made

    @property
    def flows(self) -> Iterator[Flow]:
        """All of them."""
        return (flow for alike in self.held.values() for flow in alike)

    def at(self, key: FlowKey) -> Flow | None:
        """The flow in a place."""
        alike = self.held.get(key.match, ())
        return next((flow for flow in alike if flow.priority == key.priority), None)

    def put(self, key: FlowKey, flow: Flow | None) -> None:
        """Hold another flow in a place, or none."""
        before = self.at(key)
        if before is not None:
            self._remove(before)
        if flow is not None:
            self._add(flow)

    def _add(self, flow: Flow) -> None:
        alike = self.held.get(flow.match, ())
        ranked = tuple(sorted((*alike, flow), key=lambda one: -one.priority)) if alike else (flow,)
        self._ranked(flow.match, alike, ranked)

    def _remove(self, flow: Flow) -> None:
        alike = self.held[flow.match]
        self._ranked(flow.match, alike, tuple(one for one in alike if one is not flow))

    def _ranked(self, match: Match, old: tuple[Flow, ...], new: tuple[Flow, ...]) -> None:
        if new:
            self.held[match] = new
        else:
            del self.held[match]
        before, after = _met(old), _met(new)
        for flow in before:
            if not any(flow is one for one in after):
                self._shape(flow).remove(flow)
        for flow in after:
            if not any(flow is one for one in before):
                self._shape(flow).add(flow)

    def _shape(self, flow: Flow) -> Shape:
        clause = is_clause(flow)
        terms = tuple([(term.field, term.mask) for term in flow.match])
        found = self.shaped.get((clause, terms))
        if found is None:
            found = self.shaped[clause, terms] = Shape(terms)
            insort(self.soft if clause else self.shapes, found, key=lambda shape: shape.terms)
        if clause:
            self.conjoined.clear()
        return found

    @property
    def fields(self) -> frozenset[str]:
        """Fields that some flow matches."""
        return frozenset(name for s in (*self.shapes, *self.soft) for name, _ in s.terms)

    def conjunctions(self, known: Mapping[str, How]) -> tuple[Conjoined, ...]:
        """Conjunctions that can be met, by falling priority.

        Args:
            known: of each field that is matched: how it is known, and its value or 0.
        """
        key = tuple([known[name] for shape in self.soft for name, _ in shape.terms])
        found = self.conjoined.get(key)
        if found is None:
            found = self.conjoined[key] = tuple(self._conjunctions(known))
        return found

    def _conjunctions(self, known: Mapping[str, How]) -> Iterator[Conjoined]:
        met: defaultdict[tuple[int, int, int], defaultdict[int, list[Constraint]]]
        met = defaultdict(lambda: defaultdict(list))
        for shape in self.soft:
            for block in shape.blocks(*narrowed(shape, known)):
                for hit in block.hits:
                    for action in hit.actions:
                        if isinstance(action, Conjunction):
                            place = met[-block.priority, action.id, action.of]
                            place[action.clause].append(hit.constraint)
        for (falling, number, of), clauses in sorted(met.items()):
            if len(clauses) == of:
                ways = [Clause(tuple(together(clauses[n]))) for n in sorted(clauses)]
                ways.sort(key=lambda clause: len(clause.ways))
                yield Conjoined(-falling, number, tuple(ways))


def narrowed(shape: Shape, known: Mapping[str, How]) -> tuple[Pattern, tuple[int, ...]]:
    """How a shape's fields are known, and the values of those that are."""
    pattern: list[str] = []
    values: list[int] = []
    for name, mask in shape.terms:
        how, value, fixed = known[name]
        if how == KNOWN or (how == PIECES and not mask & ~fixed):
            pattern.append(KNOWN)
            values.append(value & mask)
        else:
            pattern.append(how)
    return tuple(pattern), tuple(values)


def together(constraints: Iterable[Constraint]) -> Iterator[Constraint]:
    """The same, with values of one field taken together where nothing else is asked."""
    single: defaultdict[str, set[int]] = defaultdict(set)
    for constraint in constraints:
        values = next(iter(constraint.cube.values()), None)
        if constraint.wanted or len(constraint.cube) != 1 or not isinstance(values, frozenset):
            yield constraint
        else:
            single[next(iter(constraint.cube))] |= values
    for name, all_of_them in single.items():
        yield Constraint({name: frozenset(all_of_them)}, ())


def _met(alike: tuple[Flow, ...]) -> list[Flow]:
    """Of flows of one match: clauses, and the first that is none."""
    hard = next((flow for flow in alike if not is_clause(flow)), None)
    return [flow for flow in alike if flow is hard or is_clause(flow)]


class BridgeIndex:
    """A bridge's state, indexed table by table as tables are met, and kept up to date."""

    def __init__(self, state: BridgeState) -> None:
        self.groups: dict[int, Group] = dict(state.groups)
        self._base: Mapping[FlowKey, Flow] = state.flows
        self._by_table: dict[int, list[Flow]] | None = None
        self._put: defaultdict[int, dict[FlowKey, Flow | None]] = defaultdict(dict)
        """By table and place, what is not as at the beginning."""
        self._tables: dict[int, TableIndex] = {}
        self._policies: PolicyView | None = None
        self.watchers: list[Callable[[Flow | None, Flow | None], None]] = []
        """Told of every flow that takes the place of another."""

    @property
    def policies(self) -> PolicyView:
        """What policies say here; made when it is first asked for, then kept up to date."""
        if self._policies is None:
            self._policies = PolicyView(f for number in POLICY_TABLES for f in self.flows(number))
            self.watchers.append(self._policies.note)
        return self._policies

    def flows(self, number: int) -> Iterable[Flow]:
        """The flows of one table, without indexing it."""
        if self._by_table is None:
            found: defaultdict[int, list[Flow]] = defaultdict(list)
            for flow in self._base.values():
                found[flow.table].append(flow)
            self._by_table = dict(found)
        held, put = self._by_table.get(number, []), self._put.get(number)
        if not put:
            return held
        gone = {id(self._base.get(key)) for key in put}
        return [
            *(flow for flow in held if id(flow) not in gone),
            *(flow for flow in put.values() if flow is not None),
        ]

    def at(self, key: FlowKey) -> Flow | None:
        """The flow in a place. O(1)."""
        put = self._put.get(key.table)
        return put[key] if put is not None and key in put else self._base.get(key)

    def table(self, number: int) -> TableIndex:
        """One table; an empty one when there are no flows."""
        found = self._tables.get(number)
        if found is None:
            found = self._tables[number] = TableIndex.of(self.flows(number))
        return found

    def tables(self) -> tuple[int, ...]:
        """Numbers of tables that hold flows."""
        self.flows(0)
        return tuple(sorted({*(self._by_table or ()), *self._put, *self._tables}))

    def put(self, key: FlowKey, flow: Flow | None) -> Flow | None:
        """Hold another flow in a place, or none; returns what was there. O(1), nearly."""
        before = self.at(key)
        self._put[key.table][key] = flow
        if key.table in self._tables:
            self._tables[key.table].put(key, flow)
        for watcher in self.watchers:
            watcher(before, flow)
        return before

    def regroup(self, groups: Mapping[int, Group | None]) -> dict[int, Group | None]:
        """Hold other groups, or none; returns what was there."""
        before = {number: self.groups.get(number) for number in groups}
        for number, group in groups.items():
            if group is None:
                self.groups.pop(number, None)
            else:
                self.groups[number] = group
        return before
