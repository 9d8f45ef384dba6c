# SPDX-License-Identifier: Apache-2.0
"""What a whole fleet does to one packet: bridges joined by tunnels.

A packet that leaves by a tunnel port enters the other host by its own port of that tunnel, with
the tunnel's key (``tun_id``) and without registers; all other ports lead to endpoints.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from vneter_sdn.model.flow import BridgeState
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
from vneter_sdn.simulate.lookup import Datapath
from vneter_sdn.simulate.packet import Packet

MAX_HOPS = 32
"""Bridges one packet may pass before it is said to go in circles."""


class PortOf(NamedTuple):
    """A port of a host's bridge."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Fleet:
    """Bridges by host, and where their tunnel ports lead; None for one without another end."""

    bridges: Mapping[str, Datapath]
    tunnels: Mapping[PortOf, PortOf | None]


def join(states: Mapping[str, BridgeState], rows: Mapping[str, HostRows]) -> Fleet:
    """Wire bridges up as their OVSDB rows would.

    Two ends meet when each has the other's address and both speak one encapsulation.
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
    return Fleet({host: Datapath.of(state) for host, state in states.items()}, tunnels)


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
    lost: tuple[PortOf, ...]
    """Tunnel ports without another end that it was sent into."""
    loop: tuple[str, ...]
    """The hosts it goes round; empty when it does not."""


@dataclass(slots=True)
class _Journey:
    """A delivery in the making."""

    fleet: Fleet
    origin: PortOf
    surroundings: Surroundings
    waiting: deque[tuple[str, Packet, tuple[str, ...]]] = field(default_factory=deque)
    reached: list[Arrival] = field(default_factory=list)
    replies: list[Packet] = field(default_factory=list)
    punts: list[tuple[str, Punted]] = field(default_factory=list)
    drops: list[tuple[str, Dropped]] = field(default_factory=list)
    ambiguities: list[tuple[str, Ambiguous]] = field(default_factory=list)
    hops: list[str] = field(default_factory=list)
    lost: list[PortOf] = field(default_factory=list)
    loop: tuple[str, ...] = ()

    def visit(self, host: str, packet: Packet, path: tuple[str, ...]) -> None:
        result = run(self.fleet.bridges[host], packet, self.surroundings)
        self.hops.append(host)
        self.punts += [(host, punted) for punted in result.punts]
        self.drops += [(host, dropped) for dropped in result.drops]
        self.ambiguities += [(host, ambiguous) for ambiguous in result.ambiguities]
        for sent in result.outputs:
            self.send(host, sent, (*path, host))

    def send(self, host: str, sent: Sent, path: tuple[str, ...]) -> None:
        near = PortOf(host, sent.port)
        if near in self.fleet.tunnels:
            far = self.fleet.tunnels[near]
            if far is None or far.host not in self.fleet.bridges:
                self.lost.append(near)
            elif len(path) >= MAX_HOPS:
                self.loop = path
            else:
                self.waiting.append((far.host, sent.packet.wire.at(far.port), path))
        elif near == self.origin:
            self.replies.append(sent.packet.frame)
        else:
            self.reached.append(Arrival(host, sent.port, sent.packet.frame))


def deliver(
    fleet: Fleet, host: str, packet: Packet, surroundings: Surroundings = NOTHING_SPECIAL
) -> Delivery:
    """Send a packet into a host's bridge by the port it names (``in_port``), and follow it.

    Ends always: a copy that passed `MAX_HOPS` bridges is reported as a loop and followed no more.
    """
    journey = _Journey(fleet, PortOf(host, packet.get("in_port", 0)), surroundings)
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
        tuple(journey.lost),
        journey.loop,
    )
