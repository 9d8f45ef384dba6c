# SPDX-License-Identifier: Apache-2.0
"""Which group and meter numbers are ours: these carry no cookie, so a range has to say it.

Open vSwitch 3.1 takes any group up to 0xffffff00. It announces 0x40000 meters on the userspace
datapath and accepts higher numbers too; ours stay below what is announced.

A group's number follows from what it is for alone, so nothing has to remember it::

    0x7600_0000 | colour (6) | bridge (15)     next hop of a tree, and its repair
    0x7800_0000                                always live, for buckets to watch
    0x7800_0000 | policy (12) | bridge (15)    shares of a path policy towards a bridge
"""

from __future__ import annotations

from typing import NamedTuple

GROUPS = range(0x7600_0000, 0x8000_0000)
"""Group numbers this package allocates, and the only ones it ever changes or deletes."""
METERS = range(0x3_0000, 0x4_0000)
"""Meter numbers this package allocates, and the only ones it ever changes or deletes."""
ANSWERS = METERS.start + 0x2000
"""First of the meters of answers to endpoints; the OpenFlow port is added."""
ERRED = METERS.start + 0x5000
"""First of the meters of what endpoints send that cannot be forwarded; the port is added."""
SERVED = METERS.start + 0x8000
"""First of the meters of endpoints' questions about their configuration; the port is added."""
NAMED = METERS.start + 0xC000
"""First of the meters of endpoints' questions about names; the port is added."""
RATES = METERS.start + 0x1000
"""First of the meters of reservations; the number of one is added."""
TREES, SHARES = 0x7600_0000, 0x7800_0000
"""First numbers of the two kinds of group."""
ALWAYS = SHARES
"""A group that is always live and leads nowhere; no policy has the number 0."""
_BRIDGE_BITS = 15
_BRIDGE = (1 << _BRIDGE_BITS) - 1


class Use(NamedTuple):
    """What a group is for."""

    first: int
    """`TREES` or `SHARES`."""
    number: int
    """The colour of a tree, or the number of a path policy."""
    bridge: int
    """Which bridge it leads to."""


def tree_group(colour: int, bridge: int) -> int:
    """The group of the next hop of a tree towards a bridge."""
    return TREES | colour << _BRIDGE_BITS | bridge


def share_group(policy: int, bridge: int) -> int:
    """The group of a path policy's shares towards a bridge."""
    return SHARES | policy << _BRIDGE_BITS | bridge


def rate_meter(reservation: int) -> int:
    """The meter of a reservation, by its number: 1..4095."""
    return RATES + reservation


def answer_meter(port: int) -> int:
    """The meter of answers to the endpoint at a port; there are 12,288 of them."""
    return ANSWERS + port % (ERRED - ANSWERS)


def complaint_meter(port: int) -> int:
    """The meter of what the endpoint at a port is told that it sent in vain; 12,288 of them."""
    return ERRED + port % (SERVED - ERRED)


def serving_meter(port: int) -> int:
    """The meter of what the endpoint at a port asks about its configuration; 16,384 of them."""
    return SERVED + port % (NAMED - SERVED)


def naming_meter(port: int) -> int:
    """The meter of what the endpoint at a port asks about names; 16,384 of them."""
    return NAMED + port % (METERS.stop - NAMED)


def use_of(group: int) -> Use | None:
    """What a group is for; None when its number is not ours."""
    if group not in GROUPS:
        return None
    first = SHARES if group >= SHARES else TREES
    return Use(first, (group - first) >> _BRIDGE_BITS, group & _BRIDGE)
