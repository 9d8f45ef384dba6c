# SPDX-License-Identifier: Apache-2.0
"""A sign of life while something takes long, for who sits at a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer

SOON = 1.0
"""Seconds that need no excuse."""


@contextmanager
def patience(doing: str, soon: float = SOON) -> Iterator[None]:
    """Say on standard error what is being done, once it takes longer; nothing but on a terminal.

    Args:
        doing: for people.
        soon: seconds until then.
    """
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    sign = Console(stderr=True).status(doing)
    timer = Timer(soon, sign.start)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        sign.stop()
