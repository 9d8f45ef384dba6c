# SPDX-License-Identifier: Apache-2.0
"""What the connection tracker may answer, for a set of packets: what the caller asks about.

``NEW`` is exactly what `simulate.connections` says of packets of connections that nobody knows.
``ANYTHING`` is whatever it could ever say, which proofs of isolation and of loops go by.
`known` is packets of connections that were committed before, in a direction.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from vneter_sdn.model.fields import (
    ETH_IP,
    ETH_IPV6,
    PROTO_ICMP,
    PROTO_ICMPV6,
    PROTO_TCP,
    TRACKED,
)
from vneter_sdn.verify.expressions import Expression, Mix, Piece
from vneter_sdn.verify.packets import overlap
from vneter_sdn.verify.state import Committed, State

_NEW, _EST, _RPL, _INV, _TRK = (TRACKED[name] for name in ("new", "est", "rpl", "inv", "trk"))
_REL = TRACKED["rel"]
STATES = frozenset(
    _TRK | bits
    for bits in (_NEW, _EST, _EST | _RPL, _INV, _NEW | _REL, _EST | _REL, _REL | _RPL | _EST)
)
"""All the tracker says without address translation."""
WAY = (
    *("eth_type", "ip_proto", "ip_src", "ip_dst", "ipv6_src", "ipv6_dst"),
    *("tcp_src", "tcp_dst", "udp_src", "udp_dst", "sctp_src", "sctp_dst"),
    *("icmp_type", "icmpv6_type"),
)
"""Fields that say which connection a packet is of."""
_FIN, _SYN, _RST, _PSH, _ACK, _URG = (1 << bit for bit in range(6))
_BITS = {"ct_state": 32, "ct_mark": 32, "ct_label": 128}


@dataclass(frozen=True, slots=True)
class Tracking:
    """What to assume of every packet that is tracked."""

    kind: str
    """``new``, ``known`` or ``any``."""
    state: int = 0
    """Of ``known``: ``ct_state``, and what was committed."""
    mark: int = 0
    label: int = 0
    """Of ``new``: what the same packets were committed with before, on the same bridge."""
    zone: Expression | None = None
    """Where it was committed: in other zones nobody knows the packets. None: in all."""


NEW = Tracking("new")
ANYTHING = Tracking("any")


def known(
    *, mark: int = 0, label: int = 0, reply: bool = False, zone: Expression | None = None
) -> Tracking:
    """Packets of established connections that were committed with a mark and a label."""
    return Tracking("known", _TRK | _EST | (_RPL if reply else 0), mark, label, zone)


@lru_cache(maxsize=2)
def starting_flags() -> frozenset[int]:
    """Flags of TCP segments that may be the first of a connection that the tracker sees."""
    return frozenset(flags for flags in range(1 << 12) if _starts(flags))


def _starts(flags: int) -> bool:
    if not flags:
        return True
    if flags & _SYN:
        return not flags & (_ACK | _RST | _FIN)
    return bool(flags & _ACK) or bool(flags & _RST and not flags & (_FIN | _PSH | _URG))


Answer = tuple[State, bool]
"""A tracked copy, and whether a commit takes."""


def answers(
    state: State, tracking: Tracking, zone: Expression, committed: Committed | None
) -> Iterator[Answer]:
    """What the tracker may say: copies of the packets, with ``ct_state`` and the rest held."""
    if tracking.kind == "any":
        yield _anything(state, zone, committed), True
        return
    ours, strangers = _trackable(state)
    for stranger in strangers:
        yield _said(stranger, zone, _INV | _TRK, 0, 0), False
    for one in ours:
        if tracking.kind == "known" and tracking.zone in (None, zone):
            mark: Expression = committed.mark if committed else tracking.mark
            label: Expression = committed.label if committed else tracking.label
            yield _said(one, zone, tracking.state, mark, label), True
        else:
            yield from _new(one, tracking, zone, committed)


def _new(
    state: State, tracking: Tracking, zone: Expression, committed: Committed | None
) -> Iterator[Answer]:
    earlier = remembered(state, zone)
    if earlier is not None:
        mark = committed.mark if committed else earlier.mark
        label = committed.label if committed else earlier.label
        for part, seen in _acknowledging(state):
            yield _said(part, zone, seen | _TRK, mark, label), True
        return
    starts, rest = _starting(state)
    for one in starts:
        mark = committed.mark if committed else tracking.mark
        label = committed.label if committed else tracking.label
        yield _said(one, zone, _NEW | _TRK, mark, label), True
    for one in rest:
        yield _said(one, zone, _INV | _TRK, 0, 0), False


def remembered(state: State, zone: Expression) -> Committed | None:
    """What was committed of these packets' own connection, on this bridge."""
    way = way_of(state)
    for event in reversed(state.events):
        if isinstance(event, Committed) and event.zone == zone and event.of == way:
            return event
    return None


def way_of(state: State) -> tuple[object, ...]:
    """What says which connection packets are of."""
    return tuple(state.held.get(name) for name in WAY)


def _trackable(state: State) -> tuple[list[State], list[State]]:
    """Packets of which there can be connections, and others."""
    ours: list[State] = []
    strangers: list[State] = []
    yes, no = state.divide("eth_type", (ETH_IP, ETH_IPV6))
    strangers += [no] if no else []
    for protocol, field, kinds in (
        (PROTO_ICMP, "icmp_type", (8, 0)),
        (PROTO_ICMPV6, "icmpv6_type", (128, 129)),
    ):
        if yes is None:
            break
        asks, yes = yes.divide("ip_proto", (protocol,))
        if asks is not None:
            echo, other = asks.divide(field, kinds)
            ours += [echo] if echo else []
            strangers += [other] if other else []
    return [*ours, *([yes] if yes else [])], strangers


def _starting(state: State) -> tuple[list[State], list[State]]:
    """Of packets of no known connection: those that may start one, and others."""
    starts: list[State] = []
    rest: list[State] = []
    left: State | None = state
    for protocol, field, values in (
        (PROTO_ICMP, "icmp_type", frozenset((8,))),
        (PROTO_ICMPV6, "icmpv6_type", frozenset((128,))),
        (PROTO_TCP, "tcp_flags", starting_flags()),
    ):
        if left is None:
            break
        mine, left = left.divide("ip_proto", (protocol,))
        if mine is not None:
            yes, no = mine.divide(field, values)
            starts += [yes] if yes else []
            rest += [no] if no else []
    return [*starts, *([left] if left else [])], rest


def _acknowledging(state: State) -> Iterator[tuple[State, int]]:
    """Packets of a connection that was just committed: TCP with an ACK counts as established."""
    tcp, others = state.divide("ip_proto", (PROTO_TCP,))
    if others is not None:
        yield others, _NEW
    if tcp is not None:
        acknowledged, rest = tcp.divide("tcp_flags", (_ACK,), _ACK)
        if acknowledged is not None:
            yield acknowledged, _EST
        if rest is not None:
            yield rest, _NEW


def _said(state: State, zone: Expression, seen: int, mark: Expression, label: Expression) -> State:
    tracked = state.fork()
    for name, value in (("ct_state", seen), ("ct_zone", zone), ("ct_mark", mark)):
        tracked.hold(name, value)
    tracked.hold("ct_label", label)
    return tracked


def _anything(state: State, zone: Expression, committed: Committed | None) -> State:
    """Fields of their own, of which nothing is known but which states there are."""
    tracked = state.fork()
    tracked.asked += 1
    number = tracked.asked
    cubes = (overlap(cube, {f"ct_state@{number}": STATES}) for cube in state.cubes)
    tracked.cubes = [cube for cube in cubes if cube is not None]
    for name, bits in _BITS.items():
        tracked.hold(name, Mix(0, (Piece(f"{name}@{number}", 0, bits, 0),)))
    if committed is not None:
        tracked.hold("ct_mark", committed.mark)
        tracked.hold("ct_label", committed.label)
    tracked.hold("ct_zone", zone)
    return tracked
