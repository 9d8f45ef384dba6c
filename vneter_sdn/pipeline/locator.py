# SPDX-License-Identifier: Apache-2.0
"""Destination locators: the MAC address a packet carries between bridges.

::

    octet    0            1      2      3    4    5
          +-----------+-------------+-----------------+
          | colour|10 | bridge (16) |    slot (24)    |
          +-----------+-------------+-----------------+

The two low bits of octet 0 say "locally administered, unicast" (IEEE 802 §8.4), so six bits of
colour remain. Transit bridges match the first three octets only, so their flows grow with bridges.
An endpoint cannot forge one: a locator is only believed on ports that lead to other bridges.
"""

from __future__ import annotations

from typing import NamedTuple

COLOURS = 1 << 6
DEFAULT = 0
"""The tree of least cost: what everything follows that no path policy is about."""
FIRST, LAST = 1, 59
"""Colours that are given to paths, as `graph.colours` says."""
RED, BLUE = 62, 63
"""Trees that a packet is moved to where its next link is down; the last leads on from the other."""
COLOUR_BITS = 6
COLOUR_OFFSET = 42
"""Where in an address the colour is."""
MAX_BRIDGE = 0x6FFF
"""Bridge ids double as tunnel port numbers above `TUNNEL_PORT_BASE`, so they end below 2^15."""
MAX_SLOT = (1 << 24) - 1
BRIDGE_MASK = 0xFFFFFF_000000
"""Mask of colour and bridge."""
COLOUR_MASK = 0xFC << 40
"""Mask of the colour alone."""
ANY_COLOUR_MASK = 0x03FFFF_FFFFFF
"""Mask of all but the colour."""
TUNNEL_PORT_BASE = 0x8000


class Locator(NamedTuple):
    """Which tree, which bridge, and what to do on arrival."""

    colour: int
    bridge: int
    slot: int

    @property
    def mac(self) -> int:
        """The 48-bit address that says so."""
        return (self.colour << 2 | 0b10) << 40 | self.bridge << 24 | self.slot

    @classmethod
    def of(cls, mac: int) -> Locator:
        """Read it back from an address."""
        return cls(mac >> 42, mac >> 24 & 0xFFFF, mac & MAX_SLOT)


def tunnel_ofport(bridge: int) -> int:
    """The OpenFlow port that every bridge asks for its tunnel to ``bridge``."""
    return TUNNEL_PORT_BASE + bridge
