# SPDX-License-Identifier: Apache-2.0
"""A sign of life while something takes long, for who sits at a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Timer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.status import Status

SOON = 1.0
"""Seconds that need no excuse."""
_doing: ContextVar[str] = ContextVar("doing", default="")
"""What is said to be done; empty when nothing is."""


@contextmanager
def patience(doing: str, soon: float = SOON) -> Iterator[None]:
    """Say on standard error what is being done, once it takes longer; nothing but on a terminal.

    Args:
        doing: for people.
        soon: seconds until then.
    """
    if not sys.stderr.isatty() or _doing.get():  # what waits within something says nothing more
        yield
        return
    within = _doing.set(doing)
    signs: list[Status] = []
    timer = Timer(soon, lambda: signs.append(_shown(doing)))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        _doing.reset(within)
        timer.cancel()
        timer.join()
        for sign in signs:
            sign.stop()


def _shown(doing: str) -> Status:
    from rich.console import Console  # takes longer than most of what is done

    sign = Console(stderr=True).status(doing)
    sign.start()
    return sign
