# SPDX-License-Identifier: Apache-2.0
"""What gates let pass between two addresses, without what they say of all others.

Gates of one kind on many bridges differ in what is said of these bridges' own addresses; between
two endpoints they are mostly the same. So parts are narrowed first and put together then, and what
narrowed parts come to is remembered.

A part that names a few identities and addresses says the same of all others. So parts are narrowed
once for each class of those (`classes`), whoever they are, and not for each pair.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping
from typing import Any, NamedTuple

from vneter_sdn.model.fields import ETH_IP, ETH_IPV6
from vneter_sdn.model.policy_kinds import Direction
from vneter_sdn.pipeline.registers import PEER
from vneter_sdn.verify.classes import Classes
from vneter_sdn.verify.forwarding import Ends
from vneter_sdn.verify.packets import Cube, Packets, merged
from vneter_sdn.verify.parts import (
    Label,
    Part,
    Parts,
    Said,
    Stages,
    begun,
    joined,
    passed,
)
from vneter_sdn.verify.values import Values, holds

_ADDRESSES = ("ip_src", "ip_dst", "ipv6_src", "ipv6_dst")
_TOLD = (PEER.field, *_ADDRESSES)
_MOST = 200_000
"""Results that are remembered."""
Begun = tuple[tuple[Said | None, list[Cube]], ...]
Told = Mapping[str, Classes]
"""By field, how parts tell its values apart; a field that they do not is missing."""


class _Narrowed(NamedTuple):
    of: Parts
    """So that their identity stands for them."""
    parts: Parts


class Sieve:
    """Narrows parts. Equal ones are one object, so that their identities stand for them."""

    def __init__(self) -> None:
        self._told: dict[int, tuple[Parts, Told]] = {}
        self.narrowed: dict[tuple[object, ...], _Narrowed] = {}
        self._alike: dict[object, Parts] = {}
        self.begun: dict[tuple[object, ...], tuple[object, Begun]] = {}
        self.passed: dict[tuple[object, ...], tuple[object, Packets]] = {}

    def between(self, who: int, ends: Ends) -> Narrow:
        """Narrow to packets between two addresses, the one at the other end being somebody."""
        memories: tuple[dict[Any, Any], ...] = (self.narrowed, self.begun, self.passed)
        if any(len(memory) > _MOST for memory in memories):
            # All at once: some say what identities in others are of.
            for memory in (*memories, self._alike, self._told):
                memory.clear()
        return Narrow(self, who, ends)

    def told(self, parts: Parts) -> Told:
        """How parts tell identities at the other end and addresses apart."""
        found = self._told.get(id(parts))
        if found is None:
            sets: defaultdict[str, dict[Values, None]] = defaultdict(dict)
            for part in parts:
                for cube in part.cubes:
                    for name in _TOLD:
                        if name in cube:
                            sets[name][cube[name]] = None
            found = self._told[id(parts)] = parts, {n: Classes(v) for n, v in sets.items()}
        return found[1]

    def one(self, parts: Parts) -> Parts:
        """The one object that stands for all parts that are equal to these, ends apart."""
        return self._alike.setdefault(frozenset(map(_shown, parts)), parts)


class Narrow:
    """What gates let pass between two addresses.

    Args:
        sieve: remembers it.
        who: the identity that the one at the other end has.
        ends: the addresses.
    """

    def __init__(self, sieve: Sieve, who: int, ends: Ends) -> None:
        version, source, target = ends
        self._sieve = sieve
        self._given = (PEER.field, who), (f"{version}_src", source), (f"{version}_dst", target)
        self._kind = ETH_IP if version == "ip" else ETH_IPV6
        self._wanted = (*self._given, ("eth_type", self._kind))

    def passing(
        self,
        way: Direction,
        before: Parts,
        stages: Stages,
        after: Mapping[Said, Parts],
        label: Label | None,
    ) -> Packets:
        """Packets that begin connections and go on: see `gate.Gate`, whose parts these are."""
        first = self._parts(before)
        rules = {here: tuple(map(self._parts, some)) for here, some in stages.items()}
        begins = self._begun(way, first, rules)
        last = {said: self._parts(after[said]) for said, _ in begins if said is not None}
        place = (id(begins), label, *map(id, last.values()))
        found = self._sieve.passed.get(place)
        if found is None:
            cubes = [
                {**cube, "eth_type": frozenset((self._kind,))}
                for kept, cube in passed(way, begins, last)
                if label in (None, kept)
            ]
            found = (begins, last), Packets(tuple(merged(cubes)))
            self._sieve.passed[place] = found
        return found[1]

    def _begun(self, way: Direction, before: Parts, stages: Stages) -> Begun:
        every = ((here, *map(id, some)) for here, some in stages.items())
        place = (way, self._kind, id(before), *every)
        found = self._sieve.begun.get(place)
        if found is None:
            rules = {here: joined(way, some) for here, some in stages.items()}
            begins = tuple(begun(way, before, rules))
            found = self._sieve.begun[place] = (before, stages), begins
        return found[1]

    def _parts(self, parts: Parts) -> Parts:
        """Of some parts, what is about these packets, and goes on."""
        sieve = self._sieve
        told = sieve.told(parts)
        marks: list[Hashable] = [
            told[name].of(value) if name in told else 0 for name, value in self._given
        ]
        place = (id(parts), self._kind, *marks)
        found = sieve.narrowed.get(place)
        if found is None:
            found = sieve.narrowed[place] = _Narrowed(parts, sieve.one(tuple(self._kept(parts))))
        return found.parts

    def _kept(self, parts: Parts) -> Iterator[Part]:
        for part in parts:
            cubes = [
                {name: values for name, values in cube.items() if name not in _TOLD}
                for cube in part.cubes
                if part.at is not None
                and all(n not in cube or holds(cube[n], value) for n, value in self._wanted)
            ]
            if cubes:
                fewer = cubes if len(cubes) == 1 else merged(cubes)
                yield part._replace(cubes=tuple(fewer), end=None)


def _shown(part: Part) -> tuple[object, ...]:
    return part.at, part.held, part.label, frozenset(frozenset(c.items()) for c in part.cubes)
