# SPDX-License-Identifier: Apache-2.0
"""What lies behind a table, computed once and fitted on to all packets that come there.

Packets of many ports hold the same constants by the time they come to a table (network, tenant) and
differ in fields that are as they came in. What happens behind the table depends on the constants
alone; which part of it happens to them, on those fields.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from vneter_sdn.errors import PipelineError
from vneter_sdn.model.fields import FIELDS
from vneter_sdn.model.flow import (
    Action,
    Conntrack,
    Copy,
    DecTtl,
    Flow,
    GroupAction,
    OutputField,
    Resubmit,
)
from vneter_sdn.verify.expressions import INSIDE, Expression, Held, substituted, written
from vneter_sdn.verify.index import BridgeIndex
from vneter_sdn.verify.packets import Cube, overlap
from vneter_sdn.verify.state import Committed, Event, Punted, Sent, State
from vneter_sdn.verify.tracking import WAY
from vneter_sdn.verify.values import holds

_ALWAYS = ("eth_type", "ip_proto", "tcp_flags", "icmp_type", "icmpv6_type")
"""Fields that actions themselves ask about."""
_WAY = frozenset(WAY)
_WHOM = ("eth_dst", "ip_dst", "ipv6_dst")
"""What says whom packets are for: where that is one endpoint, others are left aside."""


def live_bits(index: BridgeIndex, at: int) -> dict[str, int]:
    """Which bits of fields are read from a table on: matched, or copied from. O(flows behind it).

    That nothing is sent back where it came from asks about ``in_port``, too; but what comes of
    that is said of packets as they come there, so that it need not be known.
    """
    read = Read()
    for name in _ALWAYS:
        read.whole(name)
    seen: set[int] = set()
    pending = {at}
    while pending:
        number = pending.pop()
        seen.add(number)
        table = index.table(number)
        for shape in (*table.shapes, *table.soft):
            for name, mask in shape.terms:
                read.bits[name] |= mask
        for flow in table.flows:
            pending |= {n for n in _onward(index, flow, read) if n not in seen}
    # What says which connection a packet is of is kept as it is held.
    return {n: FIELDS[n].full if n in _WAY else mask for n, mask in read.bits.items()}


class Read:
    """Bits that are read."""

    def __init__(self) -> None:
        self.bits: defaultdict[str, int] = defaultdict(int)

    def whole(self, name: str) -> None:
        """All bits of a field."""
        self.bits[name] |= FIELDS[name].full

    def part(self, name: str, offset: int, bits: int) -> None:
        """Some of them."""
        self.bits[name] |= ((1 << bits) - 1) << offset

    def by(self, action: Action) -> None:
        """What an action reads by itself."""
        match action:
            case Copy():
                self.part(action.source, action.source_offset, action.bits)
            case OutputField():
                self.part(action.field, action.offset, action.bits)
            case DecTtl():
                self.whole("ip_ttl")
            case Conntrack():
                if action.zone_field:
                    self.part(action.zone_field, action.zone_offset, 16)
                for write in action.actions:
                    self.by(write)


def _onward(index: BridgeIndex, flow: Flow, read: Read) -> Iterator[int]:
    if flow.goto is not None:
        yield flow.goto
    for action in all_actions(index, flow.actions):
        read.by(action)
        match action:
            case Resubmit(table=number):
                yield number
            case Conntrack(table=onward) if onward is not None:
                yield onward


def all_actions(index: BridgeIndex, actions: tuple[Action, ...]) -> Iterator[Action]:
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
        live: Mapping[str, int],
        compute: Callable[[State], list[State]],
    ) -> list[State] | None:
        """What becomes of packets behind a table; None when it has to be walked for them alone.

        Args:
            state: the packets.
            at: the table.
            live: bits of fields that are read from there on.
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

    def fresh(self, state: State, at: int, live: Mapping[str, int]) -> tuple[Key, State] | None:
        """All packets that hold the same constants in what is read, and the key of that."""
        constants: dict[str, Expression] = {}
        for name, expression in state.held.items():
            bits = FIELDS[name].full if name in INSIDE else live.get(name, 0)
            if not bits:
                continue
            if not isinstance(expression, int):
                return None
            held = written(name, expression & bits, bits, {})
            assert held is not None  # some bits are what they are now
            constants[name] = held
        if any(isinstance(event, Committed) for event in state.events):
            return None
        whom = {n: v for n in _WHOM if n in live and (v := _single(state, n)) is not None}
        beginning = State([{name: frozenset((value,)) for name, value in whom.items()}], constants)
        beginning.asked, beginning.nested, beginning.up = state.asked, state.nested, state.up
        shown = frozenset((n, v) for n, v in constants.items() if v or n not in INSIDE)
        place = at, shown, tuple(whom.items()), state.asked, state.nested, state.up
        return place, beginning


def _single(state: State, name: str) -> int | None:
    """The one value of a field that all packets came in with, and still have."""
    return state.known(name) if name not in state.held else None


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
