# SPDX-License-Identifier: Apache-2.0
"""In which order changes are to be made, so that no packet meets a gap or goes round.

A bridge may hold its part of a tree once all bridges beyond it hold theirs; a tree that packets are
moved to where a link is down, before those they are moved from. So ranks are, in this order: what
takes packets in and hands them out (0), BLUE by distance from its target, RED, all other trees,
and what leads packets onto trees.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping

from vneter_sdn.model.flow import FlowKey
from vneter_sdn.pipeline.locator import BLUE, BRIDGE_MASK, RED, Locator
from vneter_sdn.pipeline.reserved import ALWAYS, TREES, use_of
from vneter_sdn.pipeline.tables import table

LAST = 1 << 20
"""Rank of what leads packets onto trees."""
_STEP = 1 << 16
"""More than there are hosts."""
_OFFSETS = {BLUE: 0, RED: _STEP}
_ENTRANCES = frozenset(
    table(name).id for name in ("classify", "arrival", "deliver", "remember", "follow", "output")
)
_TRANSIT = table("transit").id

Distances = Callable[[int, int], Mapping[str, int]]
"""Bridge and colour -> how many edges each host of that tree is from the bridge."""


def rank(host: str, place: Hashable, distances: Distances) -> int:
    """The rank of a place on a host: a flow's key, or ("group", number), or ("meter", number)."""
    match place:
        case FlowKey(table=number, match=terms) if number == _TRANSIT:
            for term in terms:
                if term.field == "eth_dst" and term.mask == BRIDGE_MASK:
                    there = Locator.of(term.value)
                    return _within(host, there.colour, there.bridge, distances)
            return 0
        case FlowKey(table=number):
            return 0 if number in _ENTRANCES else LAST
        case ("group", int(number)):
            use = use_of(number)
            if number == ALWAYS:
                return 0
            if use is not None and use.first == TREES:
                return _within(host, use.number, use.bridge, distances)
            return LAST
    return 0


def _within(host: str, colour: int, bridge: int, distances: Distances) -> int:
    """Of a tree: whoever is not in it (any more) comes after all that are."""
    known = distances(bridge, colour)
    return _OFFSETS.get(colour, 2 * _STEP) + min(known.get(host, _STEP - 1), _STEP - 1)
