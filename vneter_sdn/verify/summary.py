# SPDX-License-Identifier: Apache-2.0
"""What lies behind a table, computed once and fitted on to all packets that come there.

Packets of many ports hold the same constants by the time they come to a table (network, tenant) and
differ in fields that are as they came in. What happens behind the table depends on the constants
alone; which part of it happens to them, on those fields.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from vneter_sdn.errors import PipelineError
from vneter_sdn.model.flow import (
    Action,
    Conntrack,
    Copy,
    Flow,
    GroupAction,
    OutputField,
    Resubmit,
)
from vneter_sdn.verify.expressions import INSIDE, Expression, Held, substituted
from vneter_sdn.verify.index import BridgeIndex
from vneter_sdn.verify.packets import Cube, overlap
from vneter_sdn.verify.state import Committed, Event, Punted, Sent, State
from vneter_sdn.verify.values import holds

_ALWAYS = frozenset(
    ("in_port", "eth_type", "ip_proto", "ip_ttl", "tcp_flags", "icmp_type", "icmpv6_type")
)
"""Fields that actions themselves ask about."""


def live_fields(index: BridgeIndex, at: int) -> frozenset[str]:
    """Fields that are read from a table on: matched, or copied from. O(flows behind it)."""
    read: set[str] = set(_ALWAYS)
    seen: set[int] = set()
    pending = {at}
    while pending:
        number = pending.pop()
        seen.add(number)
        table = index.table(number)
        read |= table.fields
        for flow in table.flows:
            pending |= {n for n in _onward(index, flow, read) if n not in seen}
    return frozenset(read)


def _onward(index: BridgeIndex, flow: Flow, read: set[str]) -> Iterator[int]:
    if flow.goto is not None:
        yield flow.goto
    for action in _all_actions(index, flow.actions):
        match action:
            case Copy(source=source):
                read.add(source)
            case OutputField(field=name):
                read.add(name)
            case Resubmit(table=number):
                yield number
            case Conntrack():
                read |= {action.zone_field} - {""}
                read |= {a.source for a in action.actions if isinstance(a, Copy)}
                if action.table is not None:
                    yield action.table


def _all_actions(index: BridgeIndex, actions: tuple[Action, ...]) -> Iterator[Action]:
    """With those of groups, each group once."""
    pending, seen = list(actions), set[int]()
    while pending:
        action = pending.pop()
        yield action
        if isinstance(action, GroupAction) and action.group not in seen:
            seen.add(action.group)
            group = index.groups.get(action.group)
            pending += [a for b in (group.buckets if group else ()) for a in b.actions]


Key = tuple[object, ...]


class Summaries:
    """What lies behind tables of one bridge, by what packets hold there."""

    def __init__(self) -> None:
        self.held: dict[Key, tuple[State, ...]] = {}

    def fitted(
        self,
        state: State,
        at: int,
        live: frozenset[str],
        compute: Callable[[State], list[State]],
    ) -> list[State] | None:
        """What becomes of packets behind a table; None when it has to be walked for them alone.

        Args:
            state: the packets.
            at: the table.
            live: fields that are read from there on.
            compute: walks packets on from there.
        """
        fresh = self.fresh(state, at, live)
        if fresh is None:
            return None
        key, beginning = fresh
        known = self.held.get(key)
        if known is None:
            known = self.held[key] = tuple(compute(beginning))
        found = (fit(state, inner) for inner in known)
        return [one for one in found if one is not None]

    def fresh(self, state: State, at: int, live: frozenset[str]) -> tuple[Key, State] | None:
        """All packets that hold the same constants, and the key of that."""
        constants: dict[str, Expression] = {}
        for name, expression in state.held.items():
            if isinstance(expression, int):
                if name in live or name in INSIDE:
                    constants[name] = expression
            elif name in live or name in INSIDE:
                return None
        if any(isinstance(event, Committed) for event in state.events):
            return None
        beginning = State([{}], constants)
        beginning.asked, beginning.nested, beginning.up = state.asked, state.nested, state.up
        shown = frozenset((n, v) for n, v in constants.items() if v or n not in INSIDE)
        return (at, shown, state.asked, state.nested, state.up), beginning


def fit(outer: State, inner: State) -> State | None:
    """What happened behind a table, said of packets that came there; None when not to them."""
    cubes: list[Cube] = []
    for cube in inner.cubes:
        asked = _asked(outer, cube)
        if asked is not None:
            cubes += [both for c in outer.cubes if (both := overlap(c, asked)) is not None]
    if not cubes:
        return None
    state = outer.fork(cubes)
    state.held = _over(outer.held, inner.held)
    state.trail = (*outer.trail, *inner.trail)
    state.events = (*outer.events, *(_told(event, outer.held) for event in inner.events))
    state.choices = (*outer.choices, *inner.choices)
    state.up, state.asked, state.nested = inner.up, inner.asked, inner.nested
    return state


def _asked(outer: State, cube: Cube) -> Cube | None:
    """What a later beginning has to be, said of the first one."""
    kept: Cube | None = None
    for name, values in cube.items():
        expression = None if "@" in name else outer.value(name)
        if expression is None:
            continue
        if not isinstance(expression, int):
            raise PipelineError(f"{name} was not to be asked about")
        if not holds(values, expression):
            return None
        kept = {n: v for n, v in (cube if kept is None else kept).items() if n != name}
    return cube if kept is None else kept


def _over(outer: Held, inner: Held) -> dict[str, Expression]:
    held = dict(outer)
    for name, expression in inner.items():
        if isinstance(expression, int):
            held[name] = expression
            continue
        said = substituted(expression, name, outer)
        if said is None:
            held.pop(name, None)
        else:
            held[name] = said
    return held


def _told(event: Event, outer: Held) -> Event:
    match event:
        case Sent(port=port):
            if not isinstance(port, int):
                said = substituted(port, "", outer)
                port = 0 if said is None else said
            return replace(event, port=port, held=_over(outer, event.held))
        case Punted():
            return replace(event, held=_over(outer, event.held))
        case Committed():
            zone, mark, label = (
                substituted(e, "", outer) or 0 for e in (event.zone, event.mark, event.label)
            )
            return replace(event, zone=zone, mark=mark, label=label)
    return event
