# SPDX-License-Identifier: Apache-2.0
"""Colours of routes: which may share one, and who gets which.

A packet on a path carries the target's bridge and a colour, and every bridge on the way looks at
nothing else. So the routes of one colour to one target have to agree wherever they meet: they are
an in-tree. Routes to other targets do not matter. A route and its way back, which replies take,
have one colour, so both have to fit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from vneter_sdn.graph.route import Route, ends, hosts, reverse
from vneter_sdn.pipeline.locator import FIRST, LAST


def canonical(route: Route) -> Route:
    """Of a route and its way back, the one whose source sorts first: the one that is stored."""
    return route if not route or ends(route[0])[0] < ends(route[-1])[1] else reverse(route)


def assign(held: Mapping[Route, int], wanted: Iterable[Route]) -> Mapping[Route, int]:
    """Colours for those wanted routes that have none yet.

    Each gets the first colour in which it fits beside what is held and what was given before it,
    in the order of their names: the same whatever the order they are wanted in. What is held never
    changes, be it consistent or not. A route that fits in no colour is left out, and so is one that
    no colour can hold: it passes a host twice, or is empty. O(routes · length · colours).

    Args:
        held: colours that routes have, either way round.
        wanted: routes, either way round, held ones among them or not.

    Returns:
        By `canonical` route: its colour, `FIRST` to `LAST`.
    """
    following: dict[tuple[int, str, str], str] = {}
    known = {canonical(route) for route in held}
    for route, colour in sorted(held.items()):
        _take(following, colour, route)
    given: dict[Route, int] = {}
    for route in sorted({canonical(route) for route in wanted} - known):
        fit = _first_fit(following, route)
        if fit is not None:
            given[route] = fit
            _take(following, fit, route)
    return given


def _steps(route: Route) -> Iterable[tuple[str, str, str]]:
    """Both ways: the target, each host on the way there, and the edge by which it leaves."""
    for way in (route, reverse(route)):
        target = ends(way[-1])[1]
        for edge in way:
            yield target, ends(edge)[0], edge


def _take(following: dict[tuple[int, str, str], str], colour: int, route: Route) -> None:
    if route:
        for target, host, edge in _steps(route):
            following.setdefault((colour, target, host), edge)


def _first_fit(following: Mapping[tuple[int, str, str], str], route: Route) -> int | None:
    passed = hosts(route)
    if len(set(passed)) < max(2, len(passed)):
        return None
    steps = list(_steps(route))
    for colour in range(FIRST, LAST + 1):
        if all(following.get((colour, to, at), edge) == edge for to, at, edge in steps):
            return colour
    return None
