# SPDX-License-Identifier: Apache-2.0
"""How much of something is taken at which time: a step function of time."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from math import inf


class Calendar:
    """Amounts booked over windows of time, summed. Windows are half open: ``[start, end)``."""

    def __init__(self) -> None:
        self._times: list[float] = [-inf]
        self._levels: list[float] = [0.0]
        """What is taken from each time to the next."""

    def add(self, start: float, end: float, amount: float) -> None:
        """Take an amount for a window. O(steps)."""
        if start >= end:
            return
        first, last = self._step(start), self._step(end)
        for position in range(first, last):
            self._levels[position] += amount

    def _step(self, time: float) -> int:
        """The place of the step that begins at a time, made if need be; the end for infinity."""
        if time == inf:
            return len(self._times)
        place = bisect_left(self._times, time)
        if place == len(self._times) or self._times[place] != time:
            self._times.insert(place, time)
            self._levels.insert(place, self._levels[place - 1])
        return place

    def peak(self, start: float, end: float) -> float:
        """The most that is taken at once during a window; 0 of an empty one. O(steps within)."""
        if start >= end:
            return 0.0
        first = bisect_right(self._times, start) - 1
        return max(self._levels[first : bisect_left(self._times, end)])

    @property
    def times(self) -> Sequence[float]:
        """When what is taken changes, ascending."""
        return self._times[1:]
