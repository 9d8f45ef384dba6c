# SPDX-License-Identifier: Apache-2.0
"""Long work in small steps, for a caller that has other things to do in the same thread.

Pure code cannot yield: it is given a function to call now and then. On eventlet that is where other
greenthreads run, so nothing that is called meanwhile may come back to the work that is under way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
Breathe = Callable[[], None]
"""Called often, between two steps; what it raises ends the work as a mistake in it would."""
STEP = 64
"""Steps, of some tens of microseconds each, between two calls."""


def on_and_on() -> None:
    """Never pause."""


def paced(things: Iterable[T], breathe: Breathe, every: int = STEP) -> Iterator[T]:
    """The things, with a breath after every few."""
    for number, thing in enumerate(things, 1):
        yield thing
        if number % every == 0:
            breathe()
