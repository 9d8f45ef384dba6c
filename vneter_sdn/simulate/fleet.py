# SPDX-License-Identifier: Apache-2.0
"""What a whole fleet does to one packet: bridges joined by tunnels and wires.

A packet that leaves by a tunnel port enters the other host by its own port of that tunnel, with
the tunnel's key (``tun_id``) and without registers; one that leaves by a wire has no key either.
All other ports lead to endpoints. Every bridge remembers connections of its own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import NamedTuple

from vneter_sdn.model.flow import BridgeState, Flow
from vneter_sdn.model.rows import HostRows
from vneter_sdn.simulate.bridge import (
    NOTHING_SPECIAL,
    Ambiguous,
    Dropped,
    Punted,
    Sent,
    Surroundings,
    run,
)
from vneter_sdn.simulate.connections import Connections
from vneter_sdn.simulate.lookup import Datapath
from vneter_sdn.simulate.packet import Packet

MAX_HOPS = 32
"""Bridges one packet may pass before it is said to go in circles."""
NOTHING_REMEMBERED: Mapping[str, Connections] = MappingProxyType({})


class PortOf(NamedTuple):
    """A port of a host's bridge."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Fleet:
    """Bridges by host, and where their tunnel ports lead; None for one without another end."""

    bridges: Mapping[str, Datapath]
    tunnels: Mapping[PortOf, PortOf | None]
    wires: Mapping[PortOf, PortOf] = field(default_factory=dict)
    """Both directions of each."""

    def other_end(self, port: PortOf) -> PortOf | None:
        """Where a tunnel or wire leads; None where nothing is known to be."""
        return self.wires.get(port) or self.tunnels.get(port)


def join(
    states: Mapping[str, BridgeState],
    rows: Mapping[str, HostRows],
    wires: Iterable[tuple[PortOf, PortOf]] = (),
) -> Fleet:
    """Wire bridges up as their OVSDB rows would; ``wires`` are pairs of ports.

    Two ends of a tunnel meet when each has the other's address and both speak one encapsulation.
    """
    ends = {
        (tunnel.encapsulation, tunnel.local_ip, tunnel.remote_ip): PortOf(host, tunnel.ofport)
        for host, held in rows.items()
        for tunnel in held.tunnels
    }
    tunnels = {
        near: ends.get((encapsulation, remote, local))
        for (encapsulation, local, remote), near in ends.items()
    }
    ways = {near: far for one, other in wires for near, far in ((one, other), (other, one))}
    return Fleet({host: Datapath.of(state) for host, state in states.items()}, tunnels, ways)


class Arrival(NamedTuple):
    """A frame handed to whatever is behind a port."""

    host: str
    port: int
    packet: Packet


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of one packet in the fleet."""

    reached: tuple[Arrival, ...]
    """Ports that got it, save the one it came from."""
    replies: tuple[Packet, ...]
    """What went back by the port it came from."""
    punts: tuple[tuple[str, Punted], ...]
    drops: tuple[tuple[str, Dropped], ...]
    ambiguities: tuple[tuple[str, Ambiguous], ...]
    hops: tuple[str, ...]
    """Hosts whose bridges saw it, in order."""
    trail: tuple[tuple[str, int, Flow], ...]
    """Host, table and flow of each step, in order."""
    lost: tuple[PortOf, ...]
    """Ports it was sent into that lead nowhere: tunnels without another end, dead ones."""
    loop: tuple[str, ...]
    """The hosts it goes round; empty when it does not."""
    connections: Mapping[str, Connections]
    """What every bridge remembers afterwards, by host."""


@dataclass(slots=True)
class _Journey:
    """A delivery in the making."""

    fleet: Fleet
    origin: PortOf
    surroundings: Surroundings
    connections: dict[str, Connections]
    dead: frozenset[PortOf]
    waiting: deque[tuple[str, Packet, tuple[str, ...]]] = field(default_factory=deque)
    reached: list[Arrival] = field(default_factory=list)
    replies: list[Packet] = field(default_factory=list)
    punts: list[tuple[str, Punted]] = field(default_factory=list)
    drops: list[tuple[str, Dropped]] = field(default_factory=list)
    ambiguities: list[tuple[str, Ambiguous]] = field(default_factory=list)
    hops: list[str] = field(default_factory=list)
    trail: list[tuple[str, int, Flow]] = field(default_factory=list)
    lost: list[PortOf] = field(default_factory=list)
    loop: tuple[str, ...] = ()

    def visit(self, host: str, packet: Packet, path: tuple[str, ...]) -> None:
        result = run(self.fleet.bridges[host], packet, self._around(host))
        self.connections[host] = result.connections
        self.hops.append(host)
        self.trail += [(host, table, flow) for table, flow in result.trail]
        self.punts += [(host, punted) for punted in result.punts]
        self.drops += [(host, dropped) for dropped in result.drops]
        self.ambiguities += [(host, ambiguous) for ambiguous in result.ambiguities]
        for sent in result.outputs:
            self.send(host, sent, (*path, host))

    def _around(self, host: str) -> Surroundings:
        up = self.surroundings.live
        return replace(
            self.surroundings,
            live=lambda port: PortOf(host, port) not in self.dead and up(port),
            connections=self.connections.get(host, Connections()),
        )

    def send(self, host: str, sent: Sent, path: tuple[str, ...]) -> None:
        near = PortOf(host, sent.port)
        if near in self.fleet.tunnels or near in self.fleet.wires:
            far = self.fleet.other_end(near)
            if far is None or far.host not in self.fleet.bridges or {near, far} & self.dead:
                self.lost.append(near)
            elif len(path) >= MAX_HOPS:
                self.loop = path
            else:
                passed = sent.packet.frame if near in self.fleet.wires else sent.packet.wire
                self.waiting.append((far.host, passed.at(far.port), path))
        elif near in self.dead:
            self.lost.append(near)
        elif near == self.origin:
            self.replies.append(sent.packet.frame)
        else:
            self.reached.append(Arrival(host, sent.port, sent.packet.frame))


def deliver(
    fleet: Fleet,
    host: str,
    packet: Packet,
    surroundings: Surroundings = NOTHING_SPECIAL,
    *,
    connections: Mapping[str, Connections] = NOTHING_REMEMBERED,
    dead: Collection[PortOf] = (),
) -> Delivery:
    """Send a packet into a host's bridge by the port it names (``in_port``), and follow it.

    Ends always: a copy that passed `MAX_HOPS` bridges is reported as a loop and followed no more.

    Args:
        fleet: the bridges.
        host: where it enters.
        packet: its fields, and the port it enters by.
        surroundings: of every bridge; its connections are not used.
        connections: what every bridge remembers, for instance of an earlier delivery.
        dead: ports that are down for the bridge that has them (fast failover sees it); nothing
            passes a link of which either end is. To have both bridges see it, name both ends.
    """
    origin = PortOf(host, packet.get("in_port", 0))
    journey = _Journey(fleet, origin, surroundings, dict(connections), frozenset(dead))
    journey.waiting.append((host, packet, ()))
    while journey.waiting and not journey.loop:
        journey.visit(*journey.waiting.popleft())
    return Delivery(
        tuple(journey.reached),
        tuple(journey.replies),
        tuple(journey.punts),
        tuple(journey.drops),
        tuple(journey.ambiguities),
        tuple(journey.hops),
        tuple(journey.trail),
        tuple(journey.lost),
        journey.loop,
        journey.connections,
    )
