# SPDX-License-Identifier: Apache-2.0
"""Which path a packet under a policy takes.

::

    EXCEPTION  a colour that the policy does not allow any more: as if it were none
    HIGH       the colour pinned to the connection, as long as its path lives
    NORMAL     whoever began the connection: one of the policy's paths, by its weights
    LOW        replies to one whose path is gone, what cannot be tracked: the first path

Without a path, packets of a policy with constraints are dropped, and counted by the flow that
drops them; those of one that only wishes take the default tree.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from vneter_sdn.compile.bookings import lane
from vneter_sdn.compile.features.pin import OWN_DIRECTION
from vneter_sdn.compile.features.unit import Feature, Matched, Part, Writer, on
from vneter_sdn.compile.links import bridges
from vneter_sdn.compile.policies import (
    Shares,
    held,
    lives,
    pairs,
    policy_number,
    reserved_shares,
    shares,
)
from vneter_sdn.compile.query import View
from vneter_sdn.model.fields import TRACKED
from vneter_sdn.model.flow import Bucket, Flow, Group, GroupAction, Resubmit, SetField
from vneter_sdn.model.snapshot import Key
from vneter_sdn.pipeline.locator import BRIDGE_MASK, COLOUR_MASK, COLOURS, DEFAULT, Locator
from vneter_sdn.pipeline.priorities import EXCEPTION, HIGH, LOW, NORMAL, OVERRIDE
from vneter_sdn.pipeline.registers import POLICY
from vneter_sdn.pipeline.reserved import share_group
from vneter_sdn.pipeline.shares import METHOD, Share
from vneter_sdn.pipeline.shares import shares as dealt
from vneter_sdn.pipeline.tables import table

_KNOWN = (TRACKED["trk"], TRACKED["trk"] | TRACKED["inv"])


def _towards(bridge: int) -> Matched:
    return {"eth_dst": (Locator(DEFAULT, bridge, 0).mac, BRIDGE_MASK)}


def _marked(colour: int) -> Matched:
    return {"ct_state": _KNOWN, "ct_mark": (colour, COLOURS - 1)}


def _take(colour: int) -> SetField:
    return SetField("eth_dst", Locator(colour, 0, 0).mac & COLOUR_MASK, COLOUR_MASK)


def target(view: View, host: Key, write: Writer) -> Iterator[Part]:
    """The colours that connections towards one bridge may be pinned to, by where they start."""
    bridge = view.ask(bridges, None).get(host.name)
    if bridge is None:
        return
    sources: dict[int, set[str]] = {}
    for source, routes in view.ask(held, host.name).items():
        for route, colour in routes.items():
            if view.ask(lives, route):
                sources.setdefault(colour, set()).add(source)
    for colour, found in sorted(sources.items()):
        pinned: Matched = {**_towards(bridge), **_marked(colour)}
        yield on(found, write("path", HIGH, pinned, _take(colour), goto="transit"))


class _Way(NamedTuple):
    """What a policy does at one bridge with packets for another."""

    number: int
    bridge: int
    shares: Shares


def policy(view: View, key: Key, write: Writer) -> Iterator[Part]:
    """The shares of one policy, between all hosts that it is about."""
    number, known = view.ask(policy_number, key), view.ask(bridges, None)
    if number is None:
        return
    sources: dict[_Way, list[str]] = {}
    for source, end in view.ask(pairs, key):
        if source in known and end in known:
            found = view.ask(shares, (key, source, end))
            sources.setdefault(_Way(number, known[end], found), []).append(source)
    for way, at in sorted(sources.items()):
        yield Part(frozenset(at), tuple(_flows(way, write)), _groups(way))


def reservation(view: View, key: Key, write: Writer) -> Iterator[Part]:
    """The paths of one active reservation, at both its ends."""
    number, used, known = view.ask(policy_number, key), view.ask(lane, key), view.ask(bridges, None)
    if number is None or used is None:
        return
    for source, end in ((used.source, used.target), (used.target, used.source)):
        found = view.ask(reserved_shares, (key, source, end))
        way = _Way(number, known[end], found)
        yield Part(frozenset([source]), tuple(_flows(way, write)), _groups(way))


def _groups(way: _Way) -> tuple[Group, ...]:
    if not way.shares.colours:
        return ()
    pin = Resubmit(table("pin").id)
    actions = [(_take(colour), pin) for colour, _ in way.shares.colours]
    weights = [weight for _, weight in way.shares.colours]
    given = dealt(weights) if len(weights) > 1 else (Share(0, 1),)
    buckets = tuple(Bucket(actions[which], weight=weight) for which, weight in given)
    return (Group(share_group(way.number, way.bridge), "select", buckets, METHOD),)


def _flows(way: _Way, write: Writer) -> Iterator[Flow]:
    under: Matched = {"reg5": POLICY.match(way.number), **_towards(way.bridge)}
    yield from _choices(way, under, (NORMAL, LOW), write)
    for colour in way.shares.stray:
        yield from _choices(way, {**under, **_marked(colour)}, (OVERRIDE, EXCEPTION), write)


def _choices(
    way: _Way, matched: Matched, priorities: tuple[int, int], write: Writer
) -> Iterator[Flow]:
    """For whoever began the connection, and for the rest."""
    first, rest = priorities
    found = way.shares
    if found.colours:
        own: Matched = {**matched, "ct_state": OWN_DIRECTION}
        chosen = GroupAction(share_group(way.number, way.bridge))
        yield write("path", first, own, chosen)
        yield write("path", rest, matched, _take(found.colours[0][0]), goto="transit")
    elif found.bound:
        yield write("path", EXCEPTION if rest == LOW else OVERRIDE, matched)
    else:
        yield write("path", rest, matched, goto="transit")


FEATURE = Feature(
    "path",
    13,
    "which path packets under a policy or reservation take",
    {"Host": target, "PathPolicy": policy, "Reservation": reservation},
)
