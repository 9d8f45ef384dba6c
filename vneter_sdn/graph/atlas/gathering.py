# SPDX-License-Identifier: Apache-2.0
"""What foreign files have in common: labels that become names, and delays from distances."""

from __future__ import annotations

import math
from collections.abc import Mapping

from vneter_sdn.graph.atlas.atlas import slug

Place = tuple[float, float]
"""Longitude and latitude in degrees."""

KM_PER_MS = 200.0
"""How far light gets in glass in a millisecond: two thirds of its speed in vacuum."""
_RADIUS_KM = 6371.0


def names_of(labels: Mapping[str, str]) -> dict[str, str]:
    """A unique name for every id, from its label.

    Labels that have the same slug get ``-2``, ``-3`` and so on, in order; those that have none are
    named ``n`` and their id.
    """
    taken: set[str] = set()
    names = {}
    for number, label in labels.items():
        base = slug(label)[:56].strip("-") or f"n{slug(number)[:55]}".strip("-")
        name, turn = base, 1
        while name in taken:
            turn += 1
            name = f"{base}-{turn}"
        taken.add(name)
        names[number] = name
    return names


def delay(one: Place | None, other: Place | None) -> float | None:
    """Milliseconds along the great circle between two places; None when one is not known.

    What a straight fibre would have, so the least that is possible: real ones are longer.
    """
    if one is None or other is None:
        return None
    east, north = math.radians(one[0]), math.radians(one[1])
    east2, north2 = math.radians(other[0]), math.radians(other[1])
    half = (
        math.sin((north2 - north) / 2) ** 2
        + math.cos(north) * math.cos(north2) * math.sin((east2 - east) / 2) ** 2
    )
    distance = 2 * _RADIUS_KM * math.asin(math.sqrt(min(1.0, half)))
    return round(distance / KM_PER_MS, 3)


def whole(cost: float) -> float:
    """A cost, as an integer if it is one; nothing counts as 1, for every link costs something."""
    return int(cost or 1) if cost.is_integer() else cost


def on_earth(x: float, y: float) -> bool:
    """Whether two numbers can be longitude and latitude."""
    return -180 <= x <= 180 and -90 <= y <= 90
