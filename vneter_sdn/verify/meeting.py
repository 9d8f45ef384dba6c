# SPDX-License-Identifier: Apache-2.0
"""Which flows of a table a set of packets meets, by falling priority: lookups, on sets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from vneter_sdn.model.flow import Flow
from vneter_sdn.verify.expressions import Expression, Mix
from vneter_sdn.verify.index import (
    ASIS,
    KNOWN,
    PIECES,
    Block,
    Conjoined,
    Constraint,
    How,
    TableIndex,
    narrowed,
)
from vneter_sdn.verify.packets import Cube, merged, overlap, without
from vneter_sdn.verify.state import MANY, State
from vneter_sdn.verify.values import meet

Known = Mapping[str, How]


class Found(NamedTuple):
    """Packets that meet some flows, which do the same."""

    flows: tuple[Flow, ...]
    cubes: list[Cube]


def lookup(table: TableIndex, state: State) -> tuple[list[Found], Sequence[Cube]]:
    """Which flows packets meet, and those of them that meet none.

    O(flows that what is known of the packets leaves, times the cubes they fall into).
    """
    known = _known(table, state)
    soft = table.conjunctions(known) if table.soft else ()
    return _Meeting(table, state).among(known, state.cubes, soft)


def candidates(table: TableIndex, state: State) -> Iterator[Block]:
    """All flows that `lookup` has to choose from: what it finds follows from these alone."""
    known = _known(table, state)
    if table.soft:
        # What conjunctions come to depends on their numbers, too, which are looked up then.
        known["conj_id"] = (ASIS, 0, 0)
    for shape in (*table.shapes, *table.soft):
        yield from shape.blocks(*narrowed(shape, known))


def _known(table: TableIndex, state: State) -> dict[str, How]:
    """What is known of the fields that a table asks about."""
    known: dict[str, How] = {}
    for name in table.fields:
        value = state.known(name)
        if value is not None:
            known[name] = (KNOWN, value, 0)
        else:
            known[name] = _half_known(state.value(name))
    return known


def _half_known(expression: Expression | None) -> How:
    """How a field is known that not all packets hold the same in."""
    if expression is None:
        return ASIS, 0, 0
    if not isinstance(expression, Mix):
        return PIECES, 0, 0
    fixed = -1
    for piece in expression.pieces:
        fixed &= ~piece.mask
    return PIECES, expression.constant, fixed


class _Meeting:
    """One lookup."""

    def __init__(self, table: TableIndex, state: State) -> None:
        self.table = table
        self.state = state

    def among(
        self, known: Known, cubes: Sequence[Cube], soft: Sequence[Conjoined] = ()
    ) -> tuple[list[Found], Sequence[Cube]]:
        """Flows and conjunctions together; of one priority, flows come first."""
        rules: list[tuple[int, int, int, Block | Conjoined]] = [
            (-block.priority, 0, order, block)
            for order, shape in enumerate(self.table.shapes)
            for block in shape.blocks(*narrowed(shape, known))
        ]
        rules += [(-one.priority, 1, order, one) for order, one in enumerate(soft)]
        rules.sort(key=lambda rule: rule[:3])
        found: list[Found] = []
        left: Sequence[Cube] = cubes
        for *_, rule in rules:
            if not left:
                break
            if isinstance(rule, Conjoined):
                met = self.conjoined(known, left, rule)
                for cube in (cube for part in met for cube in part.cubes):
                    left = without(left, cube)
            else:
                met, left = self.block(left, rule)
            found += met
        return found, left

    def block(self, cubes: Sequence[Cube], block: Block) -> tuple[list[Found], Sequence[Cube]]:
        """Those that meet flows of a block, and the others."""
        parts = ((hit.flows, _taken(self.state, cubes, hit.constraint)) for hit in block.hits)
        found = [Found(flows, part) for flows, part in parts if part]
        left = cubes
        for constraint in block.cover if found else ():
            for cube in _as_cubes(self.state, constraint):
                left = without(left, cube)
        return found, merged(left) if len(left) > MANY else left

    def conjoined(self, known: Known, cubes: Sequence[Cube], rule: Conjoined) -> list[Found]:
        """Packets that meet all clauses are looked up again, by the conjunction's number."""
        held: Sequence[Cube] = cubes
        for clause in rule.clauses:
            met: list[Cube] = []
            rest = held
            for way in clause.ways:
                for cube in _as_cubes(self.state, way):
                    met += [both for c in rest if (both := overlap(c, cube)) is not None]
                    rest = without(rest, cube)
            held = met
            if not held:
                return []
        found, _ = self.among({**known, "conj_id": (KNOWN, rule.id, 0)}, held)
        return found


def _taken(state: State, cubes: Sequence[Cube], constraint: Constraint) -> list[Cube]:
    """Those of some packets that a constraint takes."""
    if constraint.wanted:
        return [
            both
            for one in _as_cubes(state, constraint)
            for cube in cubes
            if (both := overlap(cube, one)) is not None
        ]
    if len(constraint.cube) == 1 and len(cubes) == 1:
        ((name, values),) = constraint.cube.items()
        held = cubes[0].get(name)
        both_values = values if held is None else meet(held, values)
        return [{**cubes[0], name: both_values}] if both_values else []
    return [both for cube in cubes if (both := overlap(cube, constraint.cube)) is not None]


def _as_cubes(state: State, constraint: Constraint) -> list[Cube]:
    """The packets that a constraint takes, by what they were at the beginning."""
    found: list[Cube] = [constraint.cube]
    for name, value, mask in constraint.wanted:
        taken = state.taking(name, (value,), mask)
        found = [both for a in found for b in taken if (both := overlap(a, b)) is not None]
    return found
