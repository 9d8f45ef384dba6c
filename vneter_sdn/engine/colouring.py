# SPDX-License-Identifier: Apache-2.0
"""Which routes have a colour, and which are to get or to give one back. Pure.

Colours are in the store, so a route has the same one after a restart; what is decided here comes
back as a change of the store, and only then do flows follow from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vneter_sdn.graph.colours import assign, canonical
from vneter_sdn.graph.route import Route, parse, text
from vneter_sdn.model.colours import colour_of
from vneter_sdn.model.snapshot import Delta, Pools, Snapshot


@dataclass(frozen=True, slots=True)
class Recolouring:
    """What to write to the store."""

    assigned: Mapping[str, int]
    """Colours by route, as text; of routes that rest, the one they have."""
    released: frozenset[str]
    """Routes that nobody wants any more."""
    left_out: frozenset[Route]
    """Wanted routes for which no colour is left."""


class Colours:
    """The colours of the store, followed change by change."""

    def __init__(self) -> None:
        self._held: dict[Route, int] = {}
        self._resting: set[Route] = set()
        self._wanted: frozenset[Route] | None = None
        self.left_out: frozenset[Route] = frozenset()
        """Wanted routes for which no colour was left, the last time one was looked for."""

    def take(self, snapshot: Snapshot, delta: Delta) -> None:
        """Take in what changed in the store."""
        for pool, value in delta.allocations:
            if pool != Pools.PATH:
                continue
            route, held = parse(value), snapshot.allocations.get((pool, value))
            self._resting.discard(route)
            self._wanted = None
            if held is None:
                self._held.pop(route, None)
                continue
            self._held[route] = colour_of(held)
            if held.released is not None:
                self._resting.add(route)

    def decide(self, wanted: frozenset[Route]) -> Recolouring | None:
        """What the store has to be told so that every wanted route has a colour; None for nothing.

        O(1) when nothing changed since the last call.
        """
        if wanted == self._wanted:
            return None
        self._wanted = wanted
        routes = {canonical(route) for route in wanted}
        given = dict(assign(self._held, routes))
        self.left_out = frozenset(routes - self._held.keys() - given.keys())
        given.update((route, self._held[route]) for route in routes & self._resting)
        unwanted = self._held.keys() - routes - self._resting
        if not given and not unwanted:
            return None
        return Recolouring(
            {text(route): colour for route, colour in given.items()},
            frozenset(text(route) for route in unwanted),
            self.left_out,
        )
