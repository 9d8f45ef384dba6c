# SPDX-License-Identifier: Apache-2.0
"""Flows that say nothing, or contradict each other: within one table of one bridge.

A flow is shadowed when every packet it matches meets one of higher priority, and conflicts with
another of its priority when some packet matches both, and none of higher priority, and they do
different things (OpenFlow 1.5.1 §5.3 leaves it to the bridge which it meets). Clauses of
conjunctions are set aside: they are meant to overlap. So is what a table does with the rest, and
what isolates, which adds up.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

from vneter_sdn.model.flow import BridgeState, Flow
from vneter_sdn.pipeline.priorities import MISS
from vneter_sdn.pipeline.tables import table
from vneter_sdn.verify.findings import Finding, example_of
from vneter_sdn.verify.packets import Cube, cube_of, merged, overlap, real, without
from vneter_sdn.verify.values import Values
from vneter_sdn.verify.written import WAYS, is_clause

_ADDING_UP = frozenset(table(f"{way}_isolation").id for way in WAYS)
"""Tables of rules that only allow, in no order that anybody wrote: one may allow what others do,
and all of it together leave nothing to what isolates."""
Terms = tuple[tuple[str, int], ...]
Joint = tuple[int, ...]


@dataclass(slots=True)
class _Shape:
    """Flows that match the same bits, to be found by some of those; by their identity."""

    terms: Terms
    flows: dict[int, Flow] = field(default_factory=dict)
    joined: dict[Terms, dict[Joint, dict[int, Flow]]] = field(default_factory=dict)

    def alike(self, bits: Terms, values: Joint) -> Collection[Flow]:
        """Flows that have these values in some of the bits they match."""
        found = self.joined.get(bits)
        if found is None:
            found = self.joined[bits] = {}
            for flow in self.flows.values():
                found.setdefault(_values(flow, bits), {})[id(flow)] = flow
        return found.get(values, {}).values()

    def add(self, flow: Flow) -> None:
        """One flow more."""
        self.flows[id(flow)] = flow
        for bits, found in self.joined.items():
            found.setdefault(_values(flow, bits), {})[id(flow)] = flow

    def remove(self, flow: Flow) -> None:
        """One flow less."""
        del self.flows[id(flow)]
        for bits, found in self.joined.items():
            del found[_values(flow, bits)][id(flow)]


def _values(flow: Flow, bits: Terms) -> Joint:
    held = {term.field: term.value for term in flow.match}
    return tuple([held[name] & mask for name, mask in bits])


class Rules:
    """The flows of one table that are not clauses of conjunctions."""

    def __init__(self, flows: Iterable[Flow] = ()) -> None:
        self._shapes: dict[Terms, _Shape] = {}
        for flow in flows:
            self.add(flow)

    def add(self, flow: Flow) -> None:
        """One flow more."""
        if not is_clause(flow):
            terms = tuple([(t.field, t.mask) for t in flow.match])
            shape = self._shapes.get(terms)
            if shape is None:
                shape = self._shapes[terms] = _Shape(terms)
            shape.add(flow)

    def remove(self, flow: Flow) -> None:
        """One flow less: the one that was added, not another that is equal."""
        if not is_clause(flow):
            self._shapes[tuple([(t.field, t.mask) for t in flow.match])].remove(flow)

    def meeting(self, flow: Flow) -> Iterator[Flow]:
        """Flows that some packet of a flow matches as well, but itself. O(their number)."""
        own = {t.field: t.mask for t in flow.match}
        for shape in self._shapes.values():
            common = tuple((n, m & own[n]) for n, m in shape.terms if n in own)
            bits = tuple((name, mask) for name, mask in common if mask)
            for other in shape.alike(bits, _values(flow, bits)):
                if other is not flow and other != flow:
                    yield other

    def left(self, flow: Flow) -> list[Cube]:
        """The packets of a flow that meet none of higher priority."""
        above = [other for other in self.meeting(flow) if other.priority > flow.priority]
        return _remaining([cube_of(flow.match)], above)

    def conflicts(self, flow: Flow) -> Iterator[tuple[Flow, list[Cube]]]:
        """Flows that a flow conflicts with, and the packets that may meet either."""
        held: list[Flow] | None = None
        for other in self.meeting(flow):
            if other.priority != flow.priority or _same(flow, other):
                continue
            both = overlap(cube_of(flow.match), cube_of(other.match))
            if both is None or real(both) is None:
                continue
            if held is None:
                held = [one for one in self.meeting(flow) if one.priority > flow.priority]
            packets = [cube for cube in _remaining([both], held) if real(cube) is not None]
            if packets:
                yield other, packets


def _same(one: Flow, other: Flow) -> bool:
    return (one.actions, one.goto) == (other.actions, other.goto)


def _remaining(cubes: list[Cube], above: Iterable[Flow]) -> list[Cube]:
    left = cubes
    for cube in _gathered(above):
        if not left:
            break
        left = without(left, cube)
        if len(left) > 16:
            left = merged(left)
    return [cube for cube in left if real(cube) is not None]


def _gathered(flows: Iterable[Flow]) -> Iterator[Cube]:
    """What flows match, those together that differ in the value of one field."""
    shapes: defaultdict[Terms, list[Flow]] = defaultdict(list)
    for flow in flows:
        shapes[tuple((t.field, t.mask) for t in flow.match)].append(flow)
    for terms, alike in sorted(shapes.items(), key=lambda shape: len(shape[0])):
        if not terms:
            yield {}
            continue
        columns = zip(*([t.value for t in f.match] for f in alike), strict=True)
        counts = [len(set(column)) for column in columns]
        spread = counts.index(max(counts))
        groups: defaultdict[Joint, list[Flow]] = defaultdict(list)
        for flow in alike:
            groups[tuple(t.value for n, t in enumerate(flow.match) if n != spread)].append(flow)
        for group in groups.values():
            yield from _as_few(group, spread)


def _as_few(group: list[Flow], spread: int) -> Iterator[Cube]:
    cubes = [cube_of(flow.match) for flow in group]
    name = group[0].match[spread].field
    values: set[int] = set()
    base: dict[str, Values] = {}
    for cube in cubes:
        held = cube[name]
        if isinstance(held, frozenset):
            values |= held
            base = {other: v for other, v in cube.items() if other != name}
        else:
            yield cube
    if values:
        yield {**base, name: frozenset(values)}


Tables = Iterable[tuple[Rules, Collection[Flow]]]
"""Tables, and the flows of each to look at."""


def tables_of(state: BridgeState) -> Tables:
    """All tables of a bridge, and all their flows."""
    by_table: defaultdict[int, list[Flow]] = defaultdict(list)
    for flow in state.flows.values():
        by_table[flow.table].append(flow)
    return [(Rules(flows), flows) for _, flows in sorted(by_table.items())]


def shadowed(host: str, tables: BridgeState | Tables) -> Iterator[Finding]:
    """Flows that no packet meets, given those of higher priority.

    Args:
        host: whose bridge.
        tables: what it holds.
    """
    for rules, flows in tables_of(tables) if isinstance(tables, BridgeState) else tables:
        for flow in flows:
            if _set_aside(flow) or flow.table in _ADDING_UP:
                continue
            if rules.left(flow) or real(cube_of(flow.match)) is None:
                continue
            above = tuple(o for o in rules.meeting(flow) if o.priority > flow.priority)
            shown = example_of(host, [cube_of(flow.match)])
            about = f"no packet meets a flow of {host}, for others take all that it matches"
            yield Finding("shadowed", about, shown, flows=(flow, *_enough(flow, above)))


def _enough(flow: Flow, above: tuple[Flow, ...]) -> tuple[Flow, ...]:
    """One flow that takes all, if one does."""
    for other in above:
        if not _remaining([cube_of(flow.match)], (other,)):
            return (other,)
    return above[:8]


def conflicting(host: str, tables: BridgeState | Tables) -> Iterator[Finding]:
    """Pairs of flows of one priority of which a packet may meet either, with different results."""
    seen: set[frozenset[object]] = set()
    for rules, flows in tables_of(tables) if isinstance(tables, BridgeState) else tables:
        for flow in (flow for flow in flows if not _set_aside(flow)):
            for other, packets in rules.conflicts(flow):
                pair = frozenset((flow.key, other.key))
                if pair not in seen:
                    seen.add(pair)
                    about = f"two flows of {host} match one packet, and do different things"
                    shown = example_of(host, packets)
                    yield Finding("conflict", about, shown, flows=(flow, other))


def _set_aside(flow: Flow) -> bool:
    return is_clause(flow) or (flow.priority <= MISS and not flow.match)
