# SPDX-License-Identifier: Apache-2.0
"""What one bridge does to all packets of a set: `simulate.bridge`, on sets.

The set falls into courses: packets that meet the same flows and end alike. Where a bridge may do
one thing or another (buckets of a select group, ports that may be up or down), a course says what
it takes for granted, and those of one packet differ in that alone.

Behind some tables (`Around.cuts`) lies the same for packets from many ports. What that is gets
computed once for each set of constants that packets hold there, and is then fitted on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from vneter_sdn.model.fields import ETH_IP, ETH_IPV6
from vneter_sdn.model.flow import (
    IN_PORT,
    Action,
    BridgeState,
    Bucket,
    CheckLength,
    Conntrack,
    Copy,
    DecTtl,
    GroupAction,
    MeterAction,
    Output,
    OutputField,
    Punt,
    Resubmit,
    SetField,
)
from vneter_sdn.simulate.bridge import MAX_DEPTH, MAX_RECIRCULATIONS, MAX_STEPS
from vneter_sdn.verify.buckets import Buckets, as_action_set
from vneter_sdn.verify.expressions import (
    Expression,
    Less,
    Mix,
    as_mix,
    overwrite,
    plain,
    section,
)
from vneter_sdn.verify.index import BridgeIndex
from vneter_sdn.verify.meeting import lookup
from vneter_sdn.verify.packets import Packets
from vneter_sdn.verify.state import (
    Choice,
    Committed,
    Dropped,
    Event,
    Punted,
    Sent,
    State,
    Step,
    zone_of,
)
from vneter_sdn.verify.summary import Summaries, live_bits
from vneter_sdn.verify.tracking import NEW, Tracking, answers, remembered, way_of

_LAST_16, _RESERVED_16 = 0xFFFF, 0xFF00
_UNTRACKED = ("ct_state", "ct_zone", "ct_mark", "ct_label")


@dataclass(frozen=True, slots=True)
class Around:
    """What is assumed besides the flows."""

    tracking: Tracking = NEW
    live: Callable[[str, int], bool] | None = None
    """Whether a port of a host is up; None: any may be up or down."""
    cuts: frozenset[int] = frozenset()
    """Tables behind which much is the same for many."""


def all_up(_host: str, _port: int) -> bool:
    """Every port is up."""
    return True


class Course(NamedTuple):
    """What becomes of some packets."""

    packets: Packets
    """As they came in; ``ct_state@1`` and so on are what the tracker said."""
    events: tuple[Event, ...]
    trail: tuple[Step, ...]
    choices: tuple[Choice, ...]
    up: tuple[tuple[tuple[str, int], bool], ...]
    """Ports whose liveness is taken for granted."""

    def of(self, kind: type[Event]) -> list[Event]:
        """What happened of one kind, in order."""
        return [event for event in self.events if isinstance(event, kind)]


class Walker:
    """Walks sets of packets through one bridge."""

    def __init__(self, state: BridgeState | BridgeIndex, around: Around, host: str = "") -> None:
        self.index = state if isinstance(state, BridgeIndex) else BridgeIndex(state)
        self.around = around
        self.host = host
        self._buckets = Buckets(host, self.index.groups, around.live)
        self._live: dict[int, dict[str, int]] = {}
        self.summaries = Summaries()

    def enter(self, state: State) -> list[State]:
        """From table 0, with the fields inside as they are held."""
        return self.table(state, 0, 0)

    def courses(self, packets: Packets, table: int = 0) -> list[Course]:
        """What becomes of packets that come in; courses of packets that cannot exist are left out.

        O(flows they meet, times the cubes they fall into).
        """
        if not packets.cubes:
            return []
        found = self.table(State(packets.cubes), table, 0)
        return [course for state in found if (course := course_of(state)).packets]

    def prepare(self, at: int) -> None:
        """Index the tables from one on, and find out what is read behind cuts."""
        for number in self.index.tables():
            if number >= at:
                self.index.table(number)
        for cut in self.around.cuts:
            self._live_behind(cut)

    # ---- tables

    def table(self, state: State, number: int, depth: int) -> list[State]:
        """Look up and act, following goto."""
        done: list[State] = []
        pending = [(state, number)]
        while pending:
            one, at = pending.pop()
            if depth > MAX_DEPTH or len(one.trail) >= MAX_STEPS:
                one.note(Dropped(self.host, at, "limit"))
                done.append(one)
            elif (
                depth == 0 and at in self.around.cuts and (fitted := self._cut(one, at)) is not None
            ):
                done += fitted
            else:
                self.meet(one, at, depth, pending, done)
        return done

    def meet(
        self,
        state: State,
        at: int,
        depth: int,
        pending: list[tuple[State, int]],
        done: list[State],
    ) -> None:
        """Look up in one table, and act: those that go on come to be pending, others done."""
        found, left = lookup(self.index.table(at), state)
        if left:
            missed = state.fork(left)
            missed.note(self._dropped(missed, at, "miss"))
            done.append(missed)
        for flows, cubes in found:
            one = state.fork(cubes)
            one.tidy()
            flow = flows[0]
            one.trail = (*one.trail, Step(self.host, flow, flows[1:]))
            if not flow.actions and flow.goto is None:
                one.note(self._dropped(one, at, "no_action"))
            for after, onward in self.actions(one, flow.actions, depth, at):
                if onward and flow.goto is not None:
                    pending.append((after, flow.goto))
                else:
                    done.append(after)

    def _dropped(self, state: State, at: int, reason: str) -> Dropped:
        return Dropped(self.host, at, reason, state.trail[-1].flow if state.trail else None)

    def _cut(self, state: State, at: int) -> list[State] | None:
        live = self._live_behind(at)
        return self.summaries.fitted(state, at, live, lambda fresh: self._fresh(fresh, at))

    def _live_behind(self, at: int) -> dict[str, int]:
        live = self._live.get(at)
        if live is None:
            live = self._live[at] = live_bits(self.index, at)
        return live

    def _fresh(self, state: State, at: int) -> list[State]:
        done: list[State] = []
        pending: list[tuple[State, int]] = []
        self.meet(state, at, 0, pending, done)
        for one, onward in pending:
            done += self.table(one, onward, 0)
        return done

    # ---- actions

    def actions(
        self, state: State, actions: Sequence[Action], depth: int, at: int
    ) -> list[tuple[State, bool]]:
        """Apply in order; with each outcome, whether the rest of the table is to be done."""
        going, stopped = [state], []
        for action in actions:
            after: list[State] = []
            for one in going:
                for result, onward in self.action(one, action, depth, at):
                    if onward:
                        after.append(result)
                    else:
                        stopped.append(result)
            going = after
        return [*((one, True) for one in going), *((one, False) for one in stopped)]

    def action(
        self, state: State, action: Action, depth: int, at: int
    ) -> Iterable[tuple[State, bool]]:
        """Apply one."""
        match action:
            case SetField() | Copy() | CheckLength():
                return ((one, True) for one in state.rewritten(action))
            case Output(port=port):
                return ((one, True) for one in self.output(state, port, at))
            case OutputField():
                return ((one, True) for one in self.output_held(state, action, at))
            case GroupAction(group=number):
                return ((one, True) for one in self.group(state, number, depth, at))
            case Resubmit(table=number):
                return ((one, True) for one in self.table(state, number, depth + 1))
            case Conntrack():
                return ((one, True) for one in self.conntrack(state, action, at))
            case DecTtl():
                return self.decrement(state, at)
            case Punt():
                state.note(Punted(self.host, action, state.share()))
            case MeterAction():
                pass  # what a meter lets through is the packets that count here
        return ((state, True),)

    def output(self, state: State, port: int, at: int) -> Iterator[State]:
        """Send; back where it came from only if asked for by IN_PORT (OpenFlow 1.5.1 §7.2.1.2)."""
        back, others = state.divide("in_port", (port,))
        if back is not None:
            back = back.fork()
            back.note(self._dropped(back, at, "in_port"))
            yield back
        if others is None:
            return
        if port != IN_PORT:
            yield self._sent(others, port)
            return
        nowhere, others = others.divide("in_port", (0,))
        if nowhere is not None:
            nowhere = nowhere.fork()
            nowhere.note(self._dropped(nowhere, at, "no_port"))
            yield nowhere
        if others is not None:
            entered = plain(as_mix("in_port", others.held), "", 32)
            yield self._sent(others, entered if entered is not None else 0)

    def _sent(self, state: State, port: Expression) -> State:
        state = state.fork()
        state.note(Sent(self.host, port, state.share()))
        return state

    def output_held(self, state: State, action: OutputField, at: int) -> Iterator[State]:
        """A port from a register, by its 16-bit number; larger ones are nowhere."""
        for one in state.in_pieces(action.field):
            bits = section(as_mix(action.field, one.held), action.offset, action.bits, 0)
            held = plain(bits, "", 0)
            assert held is not None
            for value, part in _valued(one, held, action):
                if value is None:
                    yield self._sent(part, held)
                elif value > _LAST_16:
                    dropped = part.fork()
                    dropped.note(self._dropped(dropped, at, "no_port"))
                    yield dropped
                else:
                    port = value | 0xFFFF0000 if value >= _RESERVED_16 else value
                    yield from self.output(part, port, at)

    def decrement(self, state: State, at: int) -> Iterator[tuple[State, bool]]:
        """One hop less; those that have none left stop here."""
        ip, others = state.divide("eth_type", (ETH_IP, ETH_IPV6))
        if others is not None:
            yield others, True
        if ip is None:
            return
        for one in ip.in_pieces("ip_ttl") if isinstance(ip.value("ip_ttl"), int) else (ip,):
            expired, alive = one.divide("ip_ttl", (0, 1))
            if expired is not None:
                expired = expired.fork()
                expired.note(self._dropped(expired, at, "ttl"))
                yield expired, False
            if alive is not None:
                alive = alive.fork()
                held = alive.value("ip_ttl")
                if isinstance(held, int):
                    alive.hold("ip_ttl", held - 1)
                elif isinstance(held, Less):
                    alive.hold("ip_ttl", Less(held.field, held.by + 1))
                else:
                    alive.hold("ip_ttl", Less("ip_ttl", 1))
                yield alive, True

    # ---- connections

    def conntrack(self, state: State, action: Conntrack, at: int) -> Iterator[State]:
        """Track; a tracked copy goes on elsewhere, this one stays untracked."""
        zone: Expression = action.zone
        if action.zone_field:
            zone = zone_of(state.held, action.zone_field, action.zone_offset)
        before = state.share()
        for part in _telling(state, action):
            committed = self._committed(part, action, zone) if action.commit else None
            for tracked, takes in answers(part, self.around.tracking, zone, committed):
                if committed is not None and takes:
                    tracked.note(committed)
                after = [tracked] if action.table is None else self.recirculate(tracked, action, at)
                for one in after:
                    one.restore(before)
                    for name in _UNTRACKED:
                        one.hold(name, 0)
                    yield one

    def recirculate(self, state: State, action: Conntrack, at: int) -> list[State]:
        """A tracked copy goes on in a table."""
        assert action.table is not None
        if state.nested == MAX_RECIRCULATIONS:
            state.note(self._dropped(state, at, "limit"))
            return [state]
        state.nested += 1
        found = self.table(state, action.table, 0)
        for one in found:
            one.nested -= 1
        return found

    def _committed(self, state: State, action: Conntrack, zone: Expression) -> Committed:
        """What a commit leaves a connection with that nothing else was written to."""
        scratch = state.fork()
        masks = {"ct_mark": 0, "ct_label": 0}
        for write in action.actions:
            scratch = list(scratch.rewritten(write))[-1]
            if isinstance(write, SetField):
                masks[write.field] |= write.mask
            else:
                masks[write.target] |= ((1 << write.bits) - 1) << write.target_offset
        earlier = remembered(state, zone) or self.around.tracking
        before = {"ct_mark": earlier.mark, "ct_label": earlier.label}
        left = {
            name: plain(
                overwrite(as_mix(name, {name: before[name]}), as_mix(name, scratch.held), mask),
                "",
                0,
            )
            for name, mask in masks.items()
        }
        mark, label = left["ct_mark"], left["ct_label"]
        assert mark is not None
        assert label is not None
        return Committed(self.host, zone, mark, label, way_of(state))

    # ---- groups

    def group(self, state: State, number: int, depth: int, at: int) -> Iterator[State]:
        """Hand to a group's buckets."""
        group = self._buckets.groups.get(number)
        if group is None or depth >= MAX_DEPTH:
            state.note(self._dropped(state, at, "group"))
            yield state
            return
        for one, buckets in self._buckets.taken(state, group):
            if not buckets:
                one.note(self._dropped(one, at, "group"))
            going = [one]
            for bucket in buckets:
                going = [after for s in going for after in self._bucket(s, bucket, depth, at)]
            yield from going

    def _bucket(self, state: State, bucket: Bucket, depth: int, at: int) -> Iterator[State]:
        """What a bucket does to the packet is its own affair (OpenFlow 1.5.1 §5.10.1)."""
        before = state.share()
        for after, _ in self.actions(state, as_action_set(bucket.actions), depth + 1, at):
            after.restore(before)
            yield after


def course_of(state: State) -> Course:
    """What became of packets, as a value."""
    existing = Packets(tuple(Packets(tuple(state.cubes)).existing()))
    return Course(existing, state.events, state.trail, state.choices, state.up)


def _telling(state: State, action: Conntrack) -> list[State]:
    """The same packets, apart by whether they have the fields that a commit copies."""
    parts = [state]
    for write in action.actions if action.commit else ():
        if isinstance(write, Copy):
            halves = [part.having(write.source) for part in parts]
            parts = [half for pair in halves for half in pair if half is not None]
    return parts


def _valued(
    state: State, held: Expression, action: OutputField
) -> Iterator[tuple[int | None, State]]:
    """The ports that a register may hold, and the packets of each; None: any at all."""
    if isinstance(held, int):
        yield held, state
        return
    assert isinstance(held, Mix)
    ones, left = (1 << action.bits) - 1, state
    values = [cube.get(held.pieces[0].field) for cube in state.cubes]
    if len(held.pieces) == 1 and all(isinstance(some, frozenset) for some in values):
        piece = held.pieces[0]
        kept = (1 << piece.bits) - 1
        originals = {v for some in values if isinstance(some, frozenset) for v in some}
        ports = {held.constant | (v >> piece.offset & kept) << piece.at for v in originals}
        for port in sorted(ports):
            taken = port << action.offset
            part, rest = left.divide(action.field, (taken,), ones << action.offset)
            if part is not None:
                yield port, part.fork()
            if rest is None:
                return
            left = rest
    yield None, left
