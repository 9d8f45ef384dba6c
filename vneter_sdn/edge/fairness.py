# SPDX-License-Identifier: Apache-2.0
"""How much of one kind is looked at, of all who ask together; who asks little comes first. Pure.

Bridges limit what one endpoint sends; many endpoints, on many bridges, are limited here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable

RATE, BURST = 1000.0, 2000.0
"""Packets a second that are looked at, of one kind and all who send them, and at once."""
FEW, WINDOW = 10, 5.0
"""Who sends no more often than that, in so many seconds, is looked at first: half of what is left
at once is not for others, however many these are."""


class Allowance:
    """A bucket of `BURST` packets that fills by `RATE` a second.

    Args:
        now: seconds, of a clock that only goes forward.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._left, self._at = BURST, now()
        """How many more are looked at, and since when it is so many."""
        self._lately: Counter[Hashable] = Counter()
        self._since = self._at
        """Packets since then, by who sent them."""

    def may(self, who: Hashable) -> bool:
        """Whether one more is looked at, which then counts. ``who`` sent it. O(1)."""
        now = self._now()
        if now - self._since > WINDOW:
            self._lately.clear()
            self._since = now
        self._lately[who] += 1
        left = min(BURST, self._left + (now - self._at) * RATE)
        may = left >= (1 if self._lately[who] <= FEW else BURST / 2 + 1)
        self._left, self._at = left - may, now
        return may
