# SPDX-License-Identifier: Apache-2.0
"""What the gates at both ends of a pair let pass, and what forwarding delivers of it.

Gates are asked before forwarding is: of most pairs that a change of policies is about, the gate at
the other end lets pass what it let pass before, which may be nothing. Where both together come to
the same before and after, it is of no account what is delivered.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from vneter_sdn.model.policy_kinds import Direction
from vneter_sdn.simulate.meaning import Station
from vneter_sdn.verify.facts import Address
from vneter_sdn.verify.forwarding import Ends, ends_of
from vneter_sdn.verify.packets import NONE, Packets
from vneter_sdn.verify.parts import NO_LABEL, Label
from vneter_sdn.verify.reach import SHOWN, Pair
from vneter_sdn.verify.rulings import HEADER, Place, Rulings

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

    def ruled(self, pair: Pair) -> Passed:
        """What gates let pass of a pair, as bridges are now; equal sets are mostly one object.

        Raises:
            Irregular: it cannot be said.
        """
        stations = self._rulings.known.meaning.stations
        return tuple(self._ruled(stations[pair.source], stations[pair.target]))

    def _ruled(self, source: Station, target: Station) -> Iterator[tuple[Ends, Packets, Packets]]:
        rulings = self._rulings
        out = rulings.gate(Place(source, "egress"))
        labels: Iterable[Label | None] = (None,)
        if source.host == target.host and rulings.gates.tables(source.host).mixes:
            labels = out.labels
        for label in labels:
            into = rulings.gate(Place(target, "ingress"), label or NO_LABEL)
            for ends in ends_of(source, target):
                first = out.between(self._who(source, "egress", ends), ends, label)
                yield ends, first, into.between(self._who(target, "ingress", ends), ends)

    def _who(self, station: Station, way: Direction, ends: Ends) -> int:
        """The identity that the other end has where an endpoint is."""
        version, source, target = ends
        value = target if way == "egress" else source
        address = Address(self._rulings.number(station), f"{version}_{HEADER[way]}", value)
        return self._rulings.gates.tables(station.host).peer(way, address)

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


def _shown(parts: list[Packets]) -> Packets:
    cubes = tuple(
        cube
        for delivered, ruled in zip(parts[::2], parts[1::2], strict=True)
        for cube in delivered.meet(ruled).cubes
    )
    return Packets(cubes).only(SHOWN) if cubes else NONE
