# SPDX-License-Identifier: Apache-2.0
"""Trips by the names of hosts."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from vneter_sdn.graph.constrained import Trip
from vneter_sdn.graph.terrain import Terrain


def trip(terrain: Terrain, source: str, target: str, waypoints: Sequence[str] = ()) -> Trip | None:
    """The trip between two hosts by way of others, in their order.

    A way point that is where the path is anyway asks for nothing. None when there can be no
    loopless path: a host is not there, is to be passed twice, or both ends are one.
    """
    between = [host for host, _ in groupby(waypoints)]
    if between and between[0] == source:
        between = between[1:]
    if between and between[-1] == target:
        between = between[:-1]
    places = (source, *between, target)
    if len(set(places)) < len(places) or any(host not in terrain.number for host in places):
        return None
    start, *stops, end = (terrain.number[host] for host in places)
    return Trip(start, end, tuple(stops))
