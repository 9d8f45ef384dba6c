# SPDX-License-Identifier: Apache-2.0
"""Cubes, narrowed to packets that hold some values, and written without these.

What many endpoints do alike differs by their addresses alone; without these it is the same, and one
object, so that what it comes to is found out once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from vneter_sdn.verify.packets import Cube
from vneter_sdn.verify.values import Rest, Values, everything, holds, meet

Cubes = tuple[Cube, ...]
Given = tuple[tuple[str, int], ...]
"""Fields, and the values that they hold."""


class Narrowing:
    """Narrows cubes; equal ones are one object."""

    def __init__(self) -> None:
        self._fields: dict[int, tuple[Cubes, Mapping[str, tuple[Values, ...]]]] = {}
        self._narrowed: dict[tuple[object, ...], Cubes] = {}
        self._one: dict[object, Cubes] = {}

    def one(self, cubes: Iterable[Cube]) -> Cubes:
        """The one object that stands for all cubes that are equal to these."""
        each = {frozenset(cube.items()): cube for cube in cubes}
        return self._one.setdefault(frozenset(each), tuple(each.values()))

    def to(self, cubes: Cubes, given: Given, but: int | None = None) -> Cubes:
        """What of some cubes holds the values; ``eth_type`` stays in it.

        Args:
            cubes: of `one`.
            given: those that packets hold.
            but: a MAC that they are not for.
        """
        told = self._told(cubes)
        marks = [holds(values, v) for name, v in given for values in told.get(name, ())]
        names = tuple([name for name, _ in given])
        place = (id(cubes), names, dict(given)["eth_type"], but, *marks)
        found = self._narrowed.get(place)
        if found is None:
            found = self._narrowed[place] = self.one(_narrowed(cubes, dict(given), but))
        return found

    def _told(self, cubes: Cubes) -> Mapping[str, tuple[Values, ...]]:
        """Sets of values that cubes tell apart, by field."""
        found = self._fields.get(id(cubes))
        if found is None:
            sets: defaultdict[str, dict[Values, None]] = defaultdict(dict)
            for cube in cubes:
                for name, values in cube.items():
                    sets[name][values] = None
            found = self._fields[id(cubes)] = cubes, {n: tuple(v) for n, v in sets.items()}
        return found[1]


def _narrowed(cubes: Cubes, given: Mapping[str, int], but: int | None) -> Iterator[Cube]:
    for cube in cubes:
        if any(name in cube and not holds(cube[name], v) for name, v in given.items()):
            continue
        rest = {name: values for name, values in cube.items() if name not in given}
        rest["eth_type"] = frozenset((given["eth_type"],))
        if but is not None:
            rest["eth_dst"] = meet(rest.get("eth_dst", everything(48)), Rest(48, frozenset((but,))))
        if rest.get("eth_dst", True):
            yield rest
