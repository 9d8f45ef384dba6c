# SPDX-License-Identifier: Apache-2.0
"""Numbers and lists in what people read of paths."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor, isfinite, log10

_DIGITS = 6
_SHOWN = 8


def amount(value: float, *, up: bool | None = None) -> str:
    """A number of six digits at most: ``7.2``.

    Rounded up or down, when it has to serve as a limit that the value itself stays within.
    """
    if not isfinite(value) or value == 0:
        return f"{value:g}"
    places = _DIGITS - ceil(log10(abs(value)))
    scaled = round(value * 10.0**places, 3)
    if up is not None:
        scaled = ceil(scaled) if up else floor(scaled)
    return f"{round(scaled) / 10.0**places:.12g}"


def listing(words: Sequence[str]) -> str:
    """``a, b and c``; of many the first ones and how many more."""
    if len(words) > _SHOWN:
        return f"{', '.join(words[:_SHOWN])} and {len(words) - _SHOWN} more"
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"
