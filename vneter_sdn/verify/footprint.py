# SPDX-License-Identifier: Apache-2.0
"""What a change is about that was made: whose packets, and which of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from vneter_sdn.model.snapshot import Key
from vneter_sdn.verify.expected import Directory
from vneter_sdn.verify.fleet import Wiring
from vneter_sdn.verify.packets import Cube, Packets, merged, without
from vneter_sdn.verify.rewrite import Rewrite
from vneter_sdn.verify.touch import Touch, Touching


class Side(NamedTuple):
    """What besides the bridges is before a change, or after."""

    known: Directory
    wiring: Wiring | None
    """None: as it was."""


class Footprint(NamedTuple):
    """A change that was made, and what it is about."""

    edit: Rewrite
    back: Rewrite
    """What takes it back."""
    later: Side
    found: tuple[Touch, ...]
    touching: Touching
    """Of bridges as they are after it."""
    regions: Mapping[Key, Packets]
    """By sender, the packets that it is about."""


def by_source(touched: Iterable[Touch]) -> dict[Key, Packets]:
    """The packets that some touches are of, by sender."""
    found: defaultdict[Key, dict[frozenset[object], Cube]] = defaultdict(dict)
    for touch in touched:
        same = frozenset(touch.packets.items())
        for key in touch.sources:
            found[key][same] = touch.packets
    return {key: apart(cubes.values()) for key, cubes in found.items()}


def apart(cubes: Iterable[Cube]) -> Packets:
    """A union of cubes that may meet, the widest first."""
    left: list[Cube] = []
    for cube in sorted(merged(cubes), key=len):
        pieces = [cube]
        for held in left:
            pieces = without(pieces, held)
        left += pieces
    return Packets(tuple(left))
