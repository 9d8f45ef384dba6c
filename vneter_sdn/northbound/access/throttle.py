# SPDX-License-Identifier: Apache-2.0
"""How often an address may fail to say who it is."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

BURST = 10
"""Failures that an address has at once."""
EVERY = 6.0
"""Seconds until it has one more."""
_ADDRESSES = 4096
"""That are remembered; the one that failed longest ago is forgotten first."""


class Throttle:
    """A token bucket for each address; safe among threads."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        burst: int = BURST,
        every: float = EVERY,
    ) -> None:
        """Nobody failed yet; ``clock`` gives seconds."""
        self._clock, self._lock = clock, threading.Lock()
        self._burst, self._every = burst, every
        self._full: OrderedDict[str, float] = OrderedDict()
        """When each address will have all its failures again."""

    def failed(self, address: str) -> float:
        """Note a failure; seconds until the next one is let pass, 0 while there are some left."""
        now = self._clock()
        with self._lock:
            full = max(now, self._full.pop(address, now))
            left = full + self._every - (now + self._burst * self._every)
            if left <= 0:
                full += self._every
            self._full[address] = full
            if len(self._full) > _ADDRESSES:
                self._full.popitem(last=False)
            return max(0.0, left)
