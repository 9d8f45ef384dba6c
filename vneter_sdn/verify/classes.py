# SPDX-License-Identifier: Apache-2.0
"""Values of one field that no set tells apart: they are of one class, found by one lookup.

Of most identities and addresses, tables of one endpoint say the same. What was found out for one of
a class is so of all of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable

from vneter_sdn.verify.values import Values, holds


class Classes:
    """Classes of values of a field.

    Args:
        sets: those that tell values apart.
    """

    def __init__(self, sets: Iterable[Values]) -> None:
        flipped: defaultdict[int, list[int]] = defaultdict(list)
        masked: list[Values] = []
        for number, values in enumerate(sets):
            if isinstance(values, frozenset):
                few = values
            elif values.within is True:
                few = values.without
            else:
                masked.append(values)
                continue
            for value in few:
                flipped[value].append(number)
        numbers: dict[tuple[int, ...], int] = {(): 0}
        self._special = {
            value: numbers.setdefault(tuple(sets_of_it), len(numbers))
            for value, sets_of_it in flipped.items()
        }
        """By value that is in few sets, or in all but few; all others are of class 0."""
        self._masked = tuple(masked)

    def of(self, value: int) -> Hashable:
        """What stands for the class of a value; equal for values of one class alone."""
        found = self._special.get(value, 0)
        if not self._masked:
            return found
        return found, *[holds(values, value) for values in self._masked]
