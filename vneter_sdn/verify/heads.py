# SPDX-License-Identifier: Apache-2.0
"""How packets come to leave the bridges of their senders, walked once for bridges that do alike.

What a bridge does to packets follows from the flows that lookups could find, one lookup after the
other. So a walk is kept with the flows that each of its lookups had to choose from; where another
bridge has the same to choose from, its walk is the same. Flows are compared, whoever wrote them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from vneter_sdn.model.flow import Flow, GroupAction, Punt
from vneter_sdn.verify.alike import Numbers, said
from vneter_sdn.verify.expressions import Expression
from vneter_sdn.verify.index import Block, BridgeIndex, TableIndex
from vneter_sdn.verify.meeting import candidates
from vneter_sdn.verify.packets import Cube
from vneter_sdn.verify.state import Dropped, Punted, State
from vneter_sdn.verify.walk import Walker

_ON = Punt(b"goes on")
_MOST = 200_000
"""Flows whose numbers are remembered."""


class Onward(NamedTuple):
    """Packets that come to the last table."""

    cubes: tuple[Cube, ...]
    held: Mapping[str, Expression]


class Head(NamedTuple):
    """A walk."""

    asked: tuple[tuple[int, State], ...]
    """Tables that packets came to, and what was known of them there."""
    choice: tuple[frozenset[int], ...]
    """Numbers of the flows that they could meet."""
    onward: tuple[Onward, ...] | None
    """None: some do something else than to come to the last table, or to be dropped."""


class Heads:
    """Walks from one table to another, kept by what they are about.

    Args:
        until: the table that walks end at.
    """

    def __init__(self, until: int) -> None:
        self._until = until
        self._end = TableIndex.of([Flow(until, 1, (), (_ON,))])
        self._held: dict[object, list[Head]] = {}
        self._numbers = Numbers()
        self._flows: dict[int, tuple[Flow, int]] = {}
        self._blocks: dict[int, tuple[Block, frozenset[int]]] = {}

    def of(self, about: object, walker: Walker, at: int, begin: State) -> Head:
        """What becomes of some packets.

        Args:
            about: what packets these are: equal for equal ``begin``.
            walker: walks the bridge.
            at: the table that they come in at.
            begin: the packets.
        """
        known = self._held.setdefault(about, [])
        for head in known:
            if all(
                self._choice(walker.index.table(number), state) == choice
                for (number, state), choice in zip(head.asked, head.choice, strict=True)
            ):
                return head
        recorder = _Recorder(Until(walker.index, self._until, self._end), walker)
        onward = _onward(recorder.table(begin, at, 0))
        asked = tuple(one for one in recorder.asked if one[0] != self._until)
        choices = [self._choice(walker.index.table(number), state) for number, state in asked]
        known.append(Head(asked, tuple(choices), onward))
        return known[-1]

    def _choice(self, table: TableIndex, state: State) -> frozenset[int]:
        """Numbers of the flows that packets could meet in a table."""
        found: set[int] = set()
        for block in candidates(table, state):
            held = self._blocks.get(id(block))
            if held is None:
                if len(self._blocks) > _MOST:
                    self._blocks.clear()
                flows = (flow for hit in block.hits for flow in hit.flows)
                numbers = frozenset([self._number(flow) for flow in flows])
                held = self._blocks[id(block)] = block, numbers
            found |= held[1]
        return frozenset(found)

    def _number(self, flow: Flow) -> int:
        held = self._flows.get(id(flow))
        if held is None:
            if len(self._flows) > _MOST:
                self._flows.clear()
            held = self._flows[id(flow)] = flow, self._numbers.of(said(flow))
        return held[1]


class _Recorder(Walker):
    """Notes which tables packets come to."""

    def __init__(self, index: BridgeIndex, like: Walker) -> None:
        super().__init__(index, replace(like.around, cuts=frozenset()), like.host)
        self.asked: list[tuple[int, State]] = []

    def meet(
        self,
        state: State,
        at: int,
        depth: int,
        pending: list[tuple[State, int]],
        done: list[State],
    ) -> None:
        """Look up and act."""
        self.asked.append((at, state))
        super().meet(state, at, depth, pending, done)


class Until(BridgeIndex):
    """A bridge whose packets are told of as they come to a table."""

    def __init__(self, index: BridgeIndex, at: int, end: TableIndex) -> None:
        self.groups = index.groups
        self._index, self._at, self._end = index, at, end

    def table(self, number: int) -> TableIndex:
        """One table."""
        return self._end if number == self._at else self._index.table(number)


def _onward(states: list[State]) -> tuple[Onward, ...] | None:
    found: list[Onward] = []
    for state in states:
        ends = state.events
        done = (action for step in state.trail for action in step.flow.actions)
        if len(ends) != 1 or any(isinstance(action, GroupAction) for action in done):
            return None  # what a group does is its bridge's own affair
        if isinstance(ends[0], Punted) and ends[0].action is _ON:
            found.append(Onward(tuple(state.cubes), ends[0].held))
        elif not isinstance(ends[0], Dropped):
            return None
    return tuple(found)
