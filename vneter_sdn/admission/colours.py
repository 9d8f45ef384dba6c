# SPDX-License-Identifier: Apache-2.0
"""Which colours of routes are to be written: the laws of `Store.colour`, pure.

A route keeps its colour from when it is first given one until it has rested after its release;
whoever asks for another colour meanwhile is not heard. So whatever order writers come in, no
packet on its way is ever told to follow another tree.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from math import ceil

from vneter_sdn.model.colours import HIGHEST, coloured
from vneter_sdn.model.snapshot import Allocation, Pools, Snapshot


def recoloured(
    snapshot: Snapshot, assigned: Mapping[str, int], released: Collection[str], now: float
) -> dict[tuple[str, str], Allocation]:
    """The allocations to write, by (pool, value); none when everything is so already.

    Args:
        snapshot: the state now.
        assigned: colour by route; a route that has one keeps it, and one that rests revives.
        released: routes that are no longer wanted; those assigned as well are wanted.
        now: POSIX time.

    Raises:
        ValueError: a colour is not 1 to 63, or a route is empty.
    """
    changes: dict[tuple[str, str], Allocation] = {}
    for route, colour in assigned.items():
        if not 1 <= colour <= HIGHEST or not route:
            raise ValueError(f"the route {route!r} cannot have colour {colour}")
        held = snapshot.allocations.get((Pools.PATH, route))
        if held is None:
            changes[Pools.PATH, route] = coloured(route, colour)
        elif held.released is not None:
            changes[Pools.PATH, route] = replace(held, released=None)
    for route in released:
        held = snapshot.allocations.get((Pools.PATH, route))
        if held is not None and held.released is None and route not in assigned:
            changes[Pools.PATH, route] = replace(held, released=ceil(now * 1000) / 1000)
    return changes
