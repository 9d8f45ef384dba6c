# SPDX-License-Identifier: Apache-2.0
"""Positions for things that have an order, with room between them for others.

Order maintenance (Dietz and Sleator, STOC 1987) with labels of a few bits, as a function of the
order and of the positions that were given before: whatever has one keeps it, what is new takes the
middle of its gap, and where there is no gap some neighbours make room, few where few are near. No
other state is kept, so whoever knows the positions of before comes to the same ones.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from vneter_sdn.errors import PipelineError

STEP = 32
"""Between two positions, where there is room for all."""
_SPARSE, _SPARSER = 2.0, 1.15
"""Positions for each of those that make room; times as many whenever twice as many have to, so
that it takes longer until so many have to again."""


class _Anchor(NamedTuple):
    """Something that keeps its position."""

    place: int
    """In the order."""
    position: int


def spaced(held: Sequence[int | None], size: int) -> list[int]:
    """Positions, growing, between 0 and ``size``, both excluded. O(n log n).

    Args:
        held: in their order, the position of each before; None for none.
        size: more than there are things.

    Raises:
        PipelineError: there are as many things as positions.
    """
    if len(held) >= size:
        raise PipelineError(f"no positions for {len(held)} things; there are {size - 1}")
    anchors = [_Anchor(-1, 0), *_growing(held, size), _Anchor(len(held), size)]
    at = 0
    while at < len(anchors) - 1:
        if _wanted(anchors, at, at + 1) > _room(anchors, at, at + 1):
            at = _widen(anchors, at)
        at += 1
    found: list[int] = []
    step = 1 << (min(STEP, size // (len(held) + 1)).bit_length() - 1)
    for one, other in pairwise(anchors):
        found += _between(one, other, min(step, size) if other is anchors[-1] else size)
        found.append(other.position)
    return found[:-1]


def _between(one: _Anchor, other: _Anchor, step: int) -> list[int]:
    """Positions of what is between two that keep theirs: as far apart as may be, and no farther."""
    count, span = other.place - one.place - 1, other.position - one.position
    if step * (count + 1) <= span:
        return [one.position + step * number for number in range(1, count + 1)]
    return [one.position + span * number // (count + 1) for number in range(1, count + 1)]


def _growing(held: Sequence[int | None], size: int) -> list[_Anchor]:
    """As many as possible of those whose positions grow in their order."""
    tails: list[int] = []
    """By length, the lowest position that so many can end in."""
    ends: list[int] = []
    """The same, as indices."""
    before: dict[int, int | None] = {}
    for index, position in enumerate(held):
        if position is None or not 0 < position < size:
            continue
        length = bisect_left(tails, position)
        before[index] = ends[length - 1] if length else None
        tails[length : length + 1] = [position]
        ends[length : length + 1] = [index]
    found: list[_Anchor] = []
    last = ends[-1] if ends else None
    while last is not None:
        found.append(_Anchor(last, held[last] or 0))
        last = before[last]
    return found[::-1]


def _wanted(anchors: Sequence[_Anchor], first: int, last: int) -> int:
    return anchors[last].place - anchors[first].place - 1


def _room(anchors: Sequence[_Anchor], first: int, last: int) -> int:
    return anchors[last].position - anchors[first].position - 1


def _widen(anchors: list[_Anchor], at: int) -> int:
    """Let go of neighbours of a gap until there is room enough; where the gap begins then."""
    first, last, reach, sparse = at, at + 1, 1, _SPARSE
    while sparse * _wanted(anchors, first, last) > _room(anchors, first, last):
        if first == 0 and last == len(anchors) - 1:
            break
        first, last = max(0, first - reach), min(len(anchors) - 1, last + reach)
        reach, sparse = 2 * reach, _SPARSER * sparse
    del anchors[first + 1 : last]
    return first
