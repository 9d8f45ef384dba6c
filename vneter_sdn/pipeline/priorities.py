# SPDX-License-Identifier: Apache-2.0
"""Flow priorities, by name. Within a table a higher one is looked at first."""

from vneter_sdn.errors import PipelineError

MISS = 1
"""What a table does with everything else. Not 0, which a foreign flow may hold."""
LEARN = 50
"""What nobody claims, for the controller to learn from."""
LOW = 100
PROXY = 120
"""What is answered for others, where nobody nearer has it; one more without options."""
NORMAL = 200
UNFAMILIAR = 250
"""Senders by another's port than their own, in a network that learns."""
NAMELESS = 210
"""What has no address of its own yet, below what learns from it."""
OWN = 260
"""What is for the gateway itself, below what it answers."""
HIGH = 300
EXCEPTION = 400
OVERRIDE = 500
UNREADABLE = 550
"""What Open vSwitch cannot read, above what may be said."""
FINAL = 600
TAGGED = 700
"""Tagged frames, whatever is in them."""
ROUTE_BASE = 1000
"""Routes: the base plus the prefix length, so that the longest prefix wins."""
OVERSIZE = 1500
"""Packets too long for where they are going; above every route."""
EXPIRED = 2000
"""Packets that have no hop left; above every route."""
FACE = 2050
"""Packets for a gateway itself, which are forwarded no further."""
UNROUTABLE = 2100
"""Packets that may not leave their network, or are for everybody of one."""

POLICY_BASE = 1000
"""Path policies: the base plus four times the rank, so that flows of one never meet another's."""


def steer(rank: int, step: int) -> int:
    """Priority of a flow of the path policy that comes ``rank``-th, the least wanted first.

    Args:
        rank: 0..4094.
        step: 0..3, within the policy.
    """
    return POLICY_BASE + 4 * rank + step


RESERVED_HOSTS, RESERVED_PAIRS = 20_000, 40_000
"""Reservations, above all policies: between hosts, and between endpoints above these."""


def reserve(number: int, *, pair: bool, ip: bool) -> int:
    """Priority of a flow of a reservation; of several about one packet the lowest number counts.

    Args:
        number: 1..4095, of the reservation.
        pair: whether it is between two endpoints.
        ip: whether the flow is about IP.
    """
    return (RESERVED_PAIRS if pair else RESERVED_HOSTS) + 2 * (4095 - number) + int(ip)


def route(prefix_length: int, endpoint: bool = False) -> int:
    """Priority of a route; an endpoint's own route goes before any block."""
    return ROUTE_BASE + 2 * prefix_length + int(endpoint)


RULES = 60_000
"""How many rules of one stage and direction a tenant may have."""
_FIRST_RULE = 64_000
OWN_HOST = 65_000
"""What the host itself sends to its endpoints; above every rule."""


def rule(rank: int) -> int:
    """Priority of a policy's rule that comes ``rank``-th, from 0: above all defaults.

    Raises:
        PipelineError: there are more rules than priorities.
    """
    if not 0 <= rank < RULES:
        raise PipelineError(f"no priority for a rule of rank {rank}; there are {RULES}")
    return _FIRST_RULE - rank


def position(priority: int) -> int:
    """The rank that `rule` was given."""
    return _FIRST_RULE - priority
