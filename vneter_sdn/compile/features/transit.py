# SPDX-License-Identifier: Apache-2.0
"""Towards another bridge: one flow per colour and bridge, whatever lives there.

Where there is another way, the flow leads to a fast-failover group (OpenFlow 1.5.1 §5.10.1) that
watches the port of the next edge. When that goes down the packet gets the colour of a repair tree
and leaves by that tree's first edge, with nobody being asked. RED leads on to BLUE, BLUE nowhere:
a packet changes trees twice at most, so it cannot circle.

When all ports seem to be down, the next edge is tried all the same: BFD says so of links that work
when a machine is too busy for it, and a packet loses nothing by it. Open vSwitch wants that bucket
to watch something, so it watches a group that is always live.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

from vneter_sdn.compile.features.neighbour import setting
from vneter_sdn.compile.features.unit import Feature, Matched, Part, Writer
from vneter_sdn.compile.links import all_ports, bridges
from vneter_sdn.compile.query import View
from vneter_sdn.compile.ways import NO_TREES, Tree, Way, steady_ways, turns
from vneter_sdn.model.flow import ANY, Action, Bucket, Flow, Group, GroupAction, Output, SetField
from vneter_sdn.model.snapshot import Key
from vneter_sdn.pipeline.locator import BRIDGE_MASK, COLOUR_MASK, Locator
from vneter_sdn.pipeline.priorities import NORMAL
from vneter_sdn.pipeline.registers import NETWORK
from vneter_sdn.pipeline.reserved import ALWAYS, tree_group

_ALWAYS = Group(ALWAYS, "all", (Bucket(()),))


class _Ports(NamedTuple):
    """A way, by the ports of one bridge: 0 where there is none."""

    port: int
    colour: int
    repair: int


def target(view: View, host: Key, write: Writer) -> Iterator[Part]:
    """The way to one bridge, on every other that can reach it, in the graph that stands."""
    bridge = view.ask(bridges, None).get(host.name)
    if bridge is not None:
        yield Part(frozenset([host.name]), groups=(_ALWAYS,))
        yield from _parts(view, bridge, view.ask(steady_ways, host.name), write)


def turn(view: View, host: Key, write: Writer) -> Iterator[Part]:
    """Where that is another way by now."""
    towards, bridge = view.ask(turns, host.name), view.ask(bridges, None).get(host.name)
    if towards and bridge is not None:
        yield from _parts(view, bridge, towards, write, view.ask(steady_ways, host.name))


def _parts(
    view: View,
    bridge: int,
    towards: Mapping[int, Tree],
    write: Writer,
    there: Mapping[int, Tree] = NO_TREES,
) -> Iterator[Part]:
    """What some trees take, but for flows to groups that other trees brought ``there`` already."""
    known = view.ask(all_ports, None)
    for colour, tree in sorted(towards.items()):
        others = there.get(colour, {})
        sources: dict[tuple[_Ports, bool], list[str]] = {}
        for source, way in tree.items():
            ports = _ports(way, at := known.get(source, {}))
            if ports is not None:
                other = others.get(source) if ports.repair else None
                led = other is not None and other.repair in at
                sources.setdefault((ports, led), []).append(source)
        for (ports, led), found in sorted(sources.items()):
            flow, groups = _onward(colour, bridge, ports, write)
            yield Part(frozenset(found), () if led else (flow,), groups)


def _ports(way: Way, known: Mapping[str, int]) -> _Ports | None:
    port, repair = known.get(way.edge, 0), known.get(way.repair, 0)
    if not port and not repair:
        return None
    return _Ports(port, way.colour if repair else 0, repair)


@lru_cache(maxsize=1 << 17)
def _onward(
    colour: int, bridge: int, ports: _Ports, write: Writer
) -> tuple[Flow, tuple[Group, ...]]:
    if not ports.repair:
        return _flow(colour, bridge, Output(ports.port), write), ()
    moved = SetField("eth_dst", Locator(ports.colour, 0, 0).mac & COLOUR_MASK, COLOUR_MASK)
    repaired = Bucket((moved, Output(ports.repair)), watch_port=ports.repair)
    first = (Bucket((Output(ports.port),), watch_port=ports.port),) if ports.port else ()
    buckets = (*first, repaired)
    at_last = replace(buckets[0], watch_port=ANY, watch_group=ALWAYS)
    group = Group(tree_group(colour, bridge), "ff", (*buckets, at_last))
    return _flow(colour, bridge, GroupAction(group.group), write), (group,)


@lru_cache(maxsize=1 << 15)
def _flow(colour: int, bridge: int, action: Action, write: Writer) -> Flow:
    """The same value for the same action, so that it is quick to see that nothing changed."""
    matched: Matched = {"eth_dst": (Locator(colour, bridge, 0).mac, BRIDGE_MASK)}
    # A repair may lead back to where the packet came from, which only a packet from nowhere may;
    # so may a tree for a moment, when it is changed bridge by bridge.
    return write(
        "transit", NORMAL, matched, NETWORK.copy_to("tun_id"), setting("in_port", 0), action
    )


FEATURE = Feature(
    "transit", 10, "towards other bridges, by locator", {"Host": target}, {"Host": turn}
)
