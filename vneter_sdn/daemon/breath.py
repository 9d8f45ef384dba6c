# SPDX-License-Identifier: Apache-2.0
"""What lets a long computation and everything else of the core live in one thread."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

TURN = 0.005
"""Seconds that a computation may take before others have their turn."""
LARGE = 200_000
"""Objects that a computation made and kept, from which they count as here to stay."""


class Breath:
    """A function to call often; now and then it lets others run.

    Args:
        others: lets other greenthreads run until none of them is ready.
        clock: seconds.
    """

    def __init__(
        self, others: Callable[[], object], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._others, self._clock = others, clock
        self._last = clock()

    def __call__(self) -> None:
        """Let others run, when the turn is over."""
        if self._clock() - self._last >= TURN:
            self._others()
            self._last = self._clock()


def here_to_stay() -> None:
    """What there is now is not looked at by the cyclic collector, until `let_go`."""
    gc.freeze()


def let_go() -> None:
    """What was here to stay is not needed any more."""
    gc.unfreeze()
    gc.collect()


@contextmanager
def uncollected() -> Iterator[None]:
    """No cyclic garbage collection meanwhile, nor later of what a large computation left.

    The collector would go through the whole network again and again while it is built, and stop
    everything for seconds each time it looks at all of it; counting references frees it anyway.
    """
    paused = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if gc.get_count()[0] > LARGE:
            gc.freeze()
        if paused:
            gc.enable()
