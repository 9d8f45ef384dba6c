# SPDX-License-Identifier: Apache-2.0
"""Instants as RFC 3339 §5.6 writes them: ``2026-11-21T17:00:00Z``, ``…+01:00``."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_FORM = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.IGNORECASE | re.ASCII
)


def posix(text: str) -> float:
    """POSIX seconds of an instant.

    Raises:
        ValueError: it is not written so, or there is no such day or time (a leap second neither).
    """
    if not _FORM.fullmatch(text):
        raise ValueError(f"{text!r} is no date and time with a zone")
    return datetime.fromisoformat(text.upper()).timestamp()


def rfc3339(seconds: float) -> str:
    """POSIX seconds as an instant, UTC, to the millisecond.

    Raises:
        ValueError, OverflowError: the year is not 1 to 9999.
    """
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
