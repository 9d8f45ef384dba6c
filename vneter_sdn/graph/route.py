# SPDX-License-Identifier: Apache-2.0
"""Routes: paths by the names of their edges, as they are stored and compared."""

from __future__ import annotations

import re

Route = tuple[str, ...]
"""Names of edges, from the source to the target."""

_PLACE = re.compile(r"[#:]")


def ends(edge: str) -> tuple[str, str]:
    """Source and target of an edge, from its name.

    ``h1>h2``, ``h1#1>h2#0`` and ``h1:eth1>h2:eth4`` are all from h1 to h2.
    """
    source, _, target = edge.partition(">")
    return _PLACE.split(source, maxsplit=1)[0], _PLACE.split(target, maxsplit=1)[0]


def hosts(route: Route) -> tuple[str, ...]:
    """The hosts that a route passes, its ends included; none when it is empty."""
    return (ends(route[0])[0], *(ends(edge)[1] for edge in route)) if route else ()


def reverse(route: Route) -> Route:
    """The same way back: each edge the other way, in the opposite order."""
    return tuple(">".join(reversed(edge.split(">", 1))) for edge in reversed(route))


def text(route: Route) -> str:
    """A route as one line; `parse` reads it."""
    return " ".join(route)


def parse(line: str) -> Route:
    """What `text` wrote."""
    return tuple(line.split())
