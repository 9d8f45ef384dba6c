# SPDX-License-Identifier: Apache-2.0
"""What endpoints may not send, by kind: values of the register `registers.REFUSED`."""

from __future__ import annotations

from enum import IntEnum


class Refusal(IntEnum):
    """Why the guard lets a packet of an endpoint not pass."""

    FRAME = 0
    """A tag; an Ethernet address that is not its own in a frame of no known type; IPv6 headers that
    are cut off."""
    ADDRESS = 1
    """IPv4 or IPv6 from an address that is not its own, in IP or in Ethernet."""
    NEIGHBOUR = 2
    """ARP or neighbour discovery that claims what is not its own, or may be hidden in fragments."""
    ROUTER = 3
    """A router advertisement, or a redirect: a rogue router."""
    DHCP = 4
    """What is for clients of DHCP: a rogue server."""

    @property
    def word(self) -> str:
        """In metrics and reports."""
        return self.name.lower()
