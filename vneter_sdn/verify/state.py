# SPDX-License-Identifier: Apache-2.0
"""A set of packets on its way through a bridge, and what happened to it so far."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from vneter_sdn.model.fields import ETH_IP, ETH_IPV6, FIELDS, LENGTH
from vneter_sdn.model.flow import CheckLength, Copy, Flow, Punt, SetField
from vneter_sdn.verify.expressions import (
    INSIDE,
    Expression,
    Held,
    Less,
    Wanted,
    as_mix,
    asked,
    copied,
    plain,
    section,
    written,
)
from vneter_sdn.verify.packets import Cube, merged, overlap, without
from vneter_sdn.verify.values import Values, above, masked

NEED_IP = frozenset({"ip_ttl", "ip_proto", "ip_dscp"})
MANY = 12
"""Cubes that are worth a look whether fewer would do."""


class Step(NamedTuple):
    """A flow that packets met, and the bridge it is on."""

    host: str
    flow: Flow
    others: tuple[Flow, ...] = ()
    """Flows that do the same to the rest of these packets."""


@dataclass(frozen=True, slots=True)
class Sent:
    """Out of a port; what the packet holds then. A port that is an expression is ``in_port``'s."""

    host: str
    port: Expression
    held: Held


@dataclass(frozen=True, slots=True)
class Punted:
    """A copy for the controller."""

    host: str
    action: Punt
    held: Held


@dataclass(frozen=True, slots=True)
class Dropped:
    """Why something did not go on, as in `simulate.bridge.Dropped`."""

    host: str
    table: int
    reason: str
    flow: Flow | None = None
    """The last flow it met, in that table or before."""


@dataclass(frozen=True, slots=True)
class Committed:
    """A connection that the bridge remembers from now on."""

    host: str
    zone: Expression
    mark: Expression
    label: Expression
    of: tuple[object, ...]
    """What says which connection it is: addresses and ports, as they were held."""


Event = Sent | Punted | Dropped | Committed


class Choice(NamedTuple):
    """A bucket that was taken where several may be; None where none is live."""

    host: str
    group: int
    bucket: int | None


class State:
    """Packets by what they were at the beginning (`cubes`, never changed in place)."""

    __slots__ = (
        *("_shared", "asked", "choices", "cubes", "events", "held", "nested", "open", "trail"),
        "up",
    )

    def __init__(
        self,
        cubes: Sequence[Cube],
        held: Held | None = None,
        open_: frozenset[str] = frozenset(),
    ) -> None:
        self.cubes = cubes
        self.held: dict[str, Expression] = dict(held or {})
        self.open = open_
        """Fields inside that may hold anything at the beginning, and are not zero."""
        self.trail: tuple[Step, ...] = ()
        self.events: tuple[Event, ...] = ()
        self.choices: tuple[Choice, ...] = ()
        self.up: tuple[tuple[tuple[str, int], bool], ...] = ()
        """Ports whose liveness was taken for granted."""
        self.asked = 0
        """How often the connection tracker was asked."""
        self.nested = 0
        """How deep in answers of the connection tracker it is."""
        self._shared = False

    def fork(self, cubes: Sequence[Cube] | None = None) -> State:
        """The same, or the part of it that is these cubes."""
        other = State.__new__(State)
        other.cubes = self.cubes if cubes is None else cubes
        other.held = self.held
        other.trail, other.events, other.choices = self.trail, self.events, self.choices
        other.up, other.asked, other.nested = self.up, self.asked, self.nested
        other.open = self.open
        other._shared = self._shared = True  # noqa: SLF001 - of this class
        return other

    def share(self) -> Held:
        """What the packets hold, to be kept: later writes leave it alone."""
        self._shared = True
        return self.held

    def note(self, event: Event) -> None:
        """Something happened."""
        self.events = (*self.events, event)

    def hold(self, name: str, expression: Expression | None) -> None:
        """Write a field; None: it is what it was at the beginning."""
        if self._shared:
            self.held, self._shared = dict(self.held), False
        if expression is None:
            self.held.pop(name, None)
        else:
            self.held[name] = expression

    def restore(self, held: Held) -> None:
        """Hold what was held before."""
        self.held, self._shared = dict(held), False

    def value(self, name: str) -> Expression | None:
        """What a field holds; None for what it held at the beginning."""
        found = self.held.get(name)
        return 0 if found is None and name in INSIDE and name not in self.open else found

    def known(self, name: str) -> int | None:
        """Its value, if all packets have the same."""
        found = self.value(name)
        if isinstance(found, int):
            return found
        if found is not None:
            return None
        values = self.cubes[0].get(name)
        if not isinstance(values, frozenset) or len(values) != 1:
            return None
        if any(cube.get(name) != values for cube in self.cubes):
            return None
        return next(iter(values))

    def taking(self, name: str, values: Iterable[int], mask: int | None = None) -> list[Cube]:
        """Which packets, at the beginning, have one of these values there now."""
        mask = FIELDS[name].full if mask is None else mask
        found: list[Cube] = []
        expression = self.value(name)
        if expression is None:
            taken: list[Cube] = (
                [{name: frozenset(values)}]
                if mask == FIELDS[name].full
                else [{name: masked(FIELDS[name].bits, value, mask)} for value in values]
            )
            return taken
        for value in values:
            terms = asked(expression, value, mask)
            cube = None if terms is None else wanted_cube(terms)
            if cube is not None:
                found.append(cube)
        return found

    def divide(
        self, name: str, values: Iterable[int], mask: int | None = None
    ) -> tuple[State | None, State | None]:
        """Those that have one of these values there now, and the others; None for nobody."""
        yes: list[Cube] = []
        no: list[Cube] = list(self.cubes)
        for taken in self.taking(name, values, mask):
            yes += [cube for c in no if (cube := overlap(c, taken)) is not None]
            no = without(no, taken)
        if not yes:
            return None, self
        if not no:
            return self, None
        return self.fork(yes), self.fork(no)

    def having(self, name: str) -> tuple[State | None, State | None]:
        """Those whose packets have such a field, and the others."""
        if name in NEED_IP:
            return self.divide("eth_type", (ETH_IP, ETH_IPV6))
        yes: State | None = self
        no: list[Cube] = []
        for need, value in FIELDS[name].needs:
            if yes is not None and yes.known(need) != value:
                yes, rest = yes.divide(need, (value,))
                no += rest.cubes if rest is not None else ()
        return yes, self.fork(no) if no else None

    def rewritten(self, action: SetField | Copy | CheckLength) -> Iterator[State]:
        """After a write; those without such a field are as they were."""
        if isinstance(action, CheckLength):
            yield from self.measured(action)
            return
        target = action.field if isinstance(action, SetField) else action.target
        yes, no = self.having(target)
        if no is not None:
            yield no
        if yes is None:
            return
        if isinstance(action, SetField):
            for state in yes.in_pieces(target) if not _whole(action) else (yes,):
                value = written(target, action.value, action.mask, state.held)
                state.hold(target, value)
                yield state
        else:
            yield from yes.copying(action)

    def copying(self, move: Copy) -> Iterator[State]:
        """After a copy."""
        yes, no = self.having(move.source)
        if no is not None:
            yield no
        if yes is not None:
            for one in yes.in_pieces(move.source):
                for state in one.in_pieces(move.target):
                    state.hold(move.target, copied(move, state.held))
                    yield state

    def measured(self, check: CheckLength) -> Iterator[State]:
        """Those whose frames are longer, and the others: no write changes a frame's length."""
        longer: Cube = {LENGTH.name: above(LENGTH.bits, check.octets)}
        yes = [cube for c in self.cubes if (cube := overlap(c, longer)) is not None]
        for cubes, bit in ((yes, 1), (without(self.cubes, longer), 0)):
            if cubes:
                write = SetField(check.field, bit << check.offset, 1 << check.offset)
                yield from self.fork(cubes).rewritten(write)

    def in_pieces(self, name: str) -> list[State]:
        """The same packets, none of whom has a difference there."""
        if not isinstance(self.value(name), Less):
            return [self]
        found = []
        for value in range(256):
            one, _ = self.divide(name, (value,))
            if one is not None:
                one = one.fork()
                one.hold(name, value)
                found.append(one)
        return found

    def tidy(self) -> None:
        """Write the packets in fewer cubes, when there are many."""
        if len(self.cubes) > MANY:
            self.cubes = merged(self.cubes)


def _whole(action: SetField) -> bool:
    return action.mask == FIELDS[action.field].full


def wanted_cube(terms: Iterable[Wanted]) -> Cube | None:
    """The packets of which all this is so; None for nobody."""
    cube: Cube | None = {}
    for name, value, mask in terms:
        bits = FIELDS[name.partition("@")[0]].bits
        values: Values = masked(bits, value, mask)
        cube = overlap(cube, {name: values}) if cube is not None else None
    return cube


def resolved(held: Held, name: str, packet: Mapping[str, int]) -> int:
    """What a field of one packet holds, by what the packet was at the beginning."""
    found = held.get(name)
    if found is None:
        return 0 if name in INSIDE else packet.get(name, 0)
    if isinstance(found, int):
        return found
    if isinstance(found, Less):
        return packet.get(found.field, 0) - found.by
    value = found.constant
    for piece in found.pieces:
        value |= (packet.get(piece.field, 0) >> piece.offset & ((1 << piece.bits) - 1)) << piece.at
    return value


def zone_of(held: Held, name: str, offset: int) -> Expression:
    """The zone that bits of a field are."""
    bits = section(as_mix(name, held), offset, 16, 0)
    found = plain(bits, "", 16)
    assert found is not None  # no field has no name
    return found
