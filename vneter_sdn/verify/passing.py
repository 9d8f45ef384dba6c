# SPDX-License-Identifier: Apache-2.0
"""What the gates at both ends of a pair let pass, and what forwarding delivers of it.

Gates are asked before forwarding is: of most pairs that a change of policies is about, the gate at
the other end lets pass what it let pass before, which may be nothing. Where both together come to
the same before and after, it is of no account what is delivered.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import pairwise
from typing import NamedTuple

from vneter_sdn.model.policy_kinds import Direction
from vneter_sdn.model.snapshot import Key
from vneter_sdn.simulate.meaning import Station
from vneter_sdn.verify.facts import Address
from vneter_sdn.verify.forwarding import Addresses, Ends, Irregular, ends_between
from vneter_sdn.verify.gate import Gate
from vneter_sdn.verify.identities import PolicyTables
from vneter_sdn.verify.packets import NONE, Packets
from vneter_sdn.verify.parts import Label
from vneter_sdn.verify.reach import SHOWN, Pair
from vneter_sdn.verify.rulings import HEADERS, Place, Rulings

Passed = tuple[tuple[Ends, Packets, Packets], ...]
"""By addresses: what is let out and what is let in of the packets that begin connections."""


class Passing:
    """What pairs may open, put together for one change.

    Args:
        rulings: gates and forwarding.
    """

    def __init__(self, rulings: Rulings) -> None:
        self._rulings = rulings
        self._met: dict[tuple[int, int], tuple[Packets, Packets, Packets]] = {}
        self._same: dict[tuple[int, int], tuple[Packets, Packets, bool]] = {}
        self._shown: dict[tuple[int, ...], tuple[list[Packets], Packets]] = {}
        # Each with the sets it is of, so that their identities stand for them.

    def prepare(self) -> Iterator[None]:
        """Narrow all gates to somebody: what one says of them it says of most others as well."""
        rulings, known = self._rulings, self._rulings.known
        with suppress(Irregular):
            for source, target in (p for some in known.tenants.values() for p in pairwise(some)):
                if rulings.known is not known:
                    return  # not everybody may be there any more
                if not rulings.gates.wild((source.host, target.host)):
                    self.ruled((Pair(source.key, target.key),))
                yield

    def ruled(self, pairs: Iterable[Pair]) -> dict[Pair, Passed]:
        """What gates let pass of pairs, as bridges are now; equal sets are mostly one object.

        Raises:
            Irregular: it cannot be said.
        """
        sides = _Sides(self._rulings)
        return {
            pair: tuple(
                self._ruled(sides.of(pair.source, "egress"), sides.of(pair.target, "ingress"))
            )
            for pair in pairs
        }

    def _ruled(self, source: _Side, target: _Side) -> Iterator[tuple[Ends, Packets, Packets]]:
        out, into = source.gate, target.gate
        labels: Iterable[Label | None] = (None,)
        if source.station.host == target.station.host and source.tables.mixes:
            labels = out.labels
        for label in labels:
            if label is not None:
                into = self._rulings.gate(Place(target.station, "ingress"), label)
            for ends in ends_between(source.addresses, target.addresses):
                version, ours, theirs = ends
                first = out.between(source.whom(version, theirs), ends, label)
                yield ends, first, into.between(target.whom(version, ours), ends)

    def differ(self, before: Passed, after: Passed) -> bool:
        """Whether gates let other packets pass than before."""
        if len(before) != len(after):
            return True
        return any(
            was[0] != now[0] or not self._equal(self._both(*was[1:]), self._both(*now[1:]))
            for was, now in zip(before, after, strict=True)
            if was is not now
        )

    def _both(self, out: Packets, into: Packets) -> Packets:
        found = self._met.get((id(out), id(into)))
        if found is None:
            found = self._met[id(out), id(into)] = out, into, out.meet(into)
        return found[2]

    def _equal(self, one: Packets, other: Packets) -> bool:
        if one is other:
            return True
        found = self._same.get((id(one), id(other)))
        if found is None:
            found = self._same[id(one), id(other)] = one, other, one.same(other)
        return found[2]

    def reached(self, pair: Pair, passed: Passed) -> Packets:
        """What of a pair may be opened, of what gates let pass; equal sets are mostly one object.

        Raises:
            Irregular: it cannot be said.
        """
        stations = self._rulings.known.meaning.stations
        ways = self._rulings.forwarding.between(stations[pair.source], stations[pair.target])
        parts: list[Packets] = []
        for ends, out, into in passed:
            if ends in ways:
                parts += (ways[ends], self._both(out, into))
        place = tuple([id(part) for part in parts])
        found = self._shown.get(place)
        if found is None:
            found = self._shown[place] = parts, _shown(parts)
        return found[1]


class _Side(NamedTuple):
    """One end of pairs, as its bridge is now."""

    station: Station
    way: Direction
    number: int
    """Of its tenant."""
    gate: Gate
    tables: PolicyTables
    addresses: Addresses

    def whom(self, version: str, value: int) -> int:
        """The identity that an address at the other end has here."""
        address = Address(self.number, HEADERS[self.way, version], value)
        return self.tables.peer(self.way, address)


class _Sides:
    """Ends of pairs, each looked up once however many it is of; while bridges stay as they are."""

    def __init__(self, rulings: Rulings) -> None:
        self._rulings = rulings
        self._found: dict[tuple[Key, Direction], _Side] = {}

    def of(self, key: Key, way: Direction) -> _Side:
        """An endpoint, as it sends or gets."""
        found = self._found.get((key, way))
        if found is None:
            rulings = self._rulings
            station = rulings.known.meaning.stations[key]
            found = self._found[key, way] = _Side(
                station,
                way,
                rulings.number(station),
                rulings.gate(Place(station, way)),
                rulings.gates.tables(station.host),
                rulings.addresses(station),
            )
        return found


def _shown(parts: list[Packets]) -> Packets:
    cubes = tuple(
        cube
        for delivered, ruled in zip(parts[::2], parts[1::2], strict=True)
        for cube in delivered.meet(ruled).cubes
    )
    return Packets(cubes).only(SHOWN) if cubes else NONE
