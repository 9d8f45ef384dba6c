# SPDX-License-Identifier: Apache-2.0
"""The colours of routes as allocations: pool ``path``, value the route, owner ``Colour 5``.

They are kept so that a restart moves nothing. Many routes may have one colour; a route has one.
"""

from __future__ import annotations

from vneter_sdn.model.snapshot import Allocation, Pools

HIGHEST = 63
"""Colours are six bits; 0 is the default tree, which nobody is given."""


def coloured(route: str, colour: int) -> Allocation:
    """The allocation that says which colour a route has."""
    return Allocation(Pools.PATH, route, f"Colour {colour}")


def colour_of(held: Allocation) -> int:
    """The colour in an allocation of `Pools.PATH`.

    Raises:
        ValueError: it is none of that pool.
    """
    return int(held.owner.removeprefix("Colour "))
