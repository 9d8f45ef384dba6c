# SPDX-License-Identifier: Apache-2.0
"""Finding a flow: tuple space search, as Open vSwitch's own classifier does it.

The flows of one table that match the same bits of the same fields are one hash table, so a
lookup costs one probe per shape of match (a handful in our pipeline), however many flows there
are. Srinivasan, Suri, Varghese: "Packet Classification using Tuple Space Search", 1999.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from vneter_sdn.model.flow import BridgeState, Conjunction, Flow, Group, Meter

_Masks = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class _Shape:
    """Flows that match the same bits.

    An entry holds those of one match, by falling priority, down to the first that is no clause of a
    conjunction: what is below can never be met.
    """

    highest: int
    masks: _Masks
    entries: Mapping[tuple[int, ...], tuple[Flow, ...]]
    conjoins: bool
    """Whether any is such a clause."""


@dataclass(frozen=True, slots=True)
class Datapath:
    """A bridge's state, indexed for lookups. Shapes of a table stand by falling priority."""

    shapes: Mapping[int, tuple[_Shape, ...]]
    groups: Mapping[int, Group]
    meters: Mapping[int, Meter]

    @classmethod
    def of(cls, state: BridgeState) -> Datapath:
        """Index a state; linear in its flows."""
        tables: defaultdict[int, list[Flow]] = defaultdict(list)
        for flow in state.flows.values():
            tables[flow.table].append(flow)
        return cls({n: _shapes(flows) for n, flows in tables.items()}, state.groups, state.meters)

    def matching(self, table: int, fields: Mapping[str, int]) -> list[Flow]:
        """Flows of the highest priority that match: none on a miss, several if they conflict."""
        best, clauses = self._matching(table, fields)
        for priority, flows in clauses:
            if best and best[0].priority >= priority:
                break
            for number in _complete(flows):
                found, _ = self._matching(table, {**fields, "conj_id": number})
                if found:
                    return _in_order(found)
        return _in_order(best)

    def _matching(self, table: int, fields: Mapping[str, int]) -> tuple[list[Flow], _Clauses]:
        """Flows that match and are no clauses; and clauses that match above them, by priority."""
        best: list[Flow] = []
        clauses: defaultdict[int, list[Flow]] = defaultdict(list)
        priority = -1
        get = fields.get
        for shape in self.shapes.get(table, ()):
            if shape.highest < priority:
                break
            key = tuple([get(name, 0) & mask for name, mask in shape.masks])
            held = shape.entries.get(key)
            if held is None:
                continue
            flow = held[-1]
            if shape.conjoins:
                for clause in held:
                    if _is_clause(clause):
                        clauses[clause.priority].append(clause)
                if _is_clause(flow):
                    continue
            if flow.priority > priority:
                best = [flow]
                priority = flow.priority
            elif flow.priority == priority:
                best.append(flow)
        return best, sorted(clauses.items(), reverse=True)


_Clauses = list[tuple[int, list[Flow]]]


def _in_order(flows: list[Flow]) -> list[Flow]:
    """Of several Open vSwitch takes any; here, as in proofs, the first is always the same one."""
    return flows if len(flows) < 2 else sorted(flows, key=_shape_of)


def _shape_of(flow: Flow) -> _Masks:
    return tuple([(term.field, term.mask) for term in flow.match])


def _is_clause(flow: Flow) -> bool:
    return bool(flow.actions) and isinstance(flow.actions[0], Conjunction)


def _complete(flows: Iterable[Flow]) -> list[int]:
    """Conjunctions all of whose clauses are met by flows of one priority."""
    met: defaultdict[tuple[int, int], set[int]] = defaultdict(set)
    for flow in flows:
        for action in flow.actions:
            if isinstance(action, Conjunction):
                met[action.id, action.of].add(action.clause)
    return [number for (number, of), clauses in met.items() if len(clauses) == of]


def _shapes(flows: Iterable[Flow]) -> tuple[_Shape, ...]:
    grouped: defaultdict[_Masks, dict[tuple[int, ...], list[Flow]]] = defaultdict(dict)
    for flow in sorted(flows, key=lambda flow: -flow.priority):
        masks = _shape_of(flow)
        values = tuple(term.value for term in flow.match)
        held = grouped[masks].setdefault(values, [])
        if not held or _is_clause(held[-1]):
            held.append(flow)
    shapes = [
        _Shape(
            max(held[0].priority for held in entries.values()),
            masks,
            {values: tuple(held) for values, held in entries.items()},
            any(_is_clause(held[0]) for held in entries.values()),
        )
        for masks, entries in grouped.items()
    ]
    return tuple(sorted(shapes, key=lambda shape: -shape.highest))
