# SPDX-License-Identifier: Apache-2.0
"""Finds wires by probes: which port of which bridge is joined to which other. No sockets or clocks.

A wire is two ports that hear each other's probes, and nobody else who hears them. It is lost when a
port goes down, or when `Pace.misses` probes in a row do not arrive. A probe's loss counts only when
both bridges answered an echo sent after it, and when our own loop ran on time while it was out: a
busy controller or a stalled channel judges nobody. Which frames are genuine is decided in `probes`.

Genuine probes may be relayed: caught where they are meant to be, and sent again elsewhere. What is
believed then:

* A wire that stands is believed before anybody else. Probes of its ends that come in elsewhere, too
  or instead, are refused, and so are those of others that come in at its ends. Nobody can take a
  wire down by copying what it carries.
* A new wire needs two ports that hear each other, two ticks in a row, and none of which has heard,
  within `Pace.memory` intervals, and been heard by, a third. Who only gets copies is not heard in
  return. Where copies go both ways it is undecided, until a window has passed without them.
* Behind a port where a workload was heard since it came up, no new wire begins.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from vneter_sdn.southbound.openflow.lldp import EPOCH_OCTETS
from vneter_sdn.southbound.openflow.probes import PLACES, Issued, Ledger, Place, Refusal

_ROUND_TRIPS = 8
"""Echoes of which the quickest counts: the others waited for somebody."""


class Purpose(Enum):
    """What a port is for."""

    WIRE = "wire"
    """To be joined to another bridge's, as far as is known."""
    TUNNEL = "tunnel"
    """A tunnel of ours: probed for its delay and loss, never a wire."""
    ENDPOINT = "endpoint"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Pace:
    """How often and how patiently. Times in seconds."""

    interval: float = 1.0
    """Between two probes of a port."""
    fast: float = 0.25
    """Between ticks, and between probes of a port that is new."""
    young: float = 3.0
    """How long a port without a wire is new."""
    patience: float = 1.0
    """Until a probe counts as lost."""
    misses: int = 3
    """Lost probes in a row that take a wire down."""
    budget: int = 500
    """Probes sent in one tick at most; the rest wait."""
    memory: float = 2.5
    """Intervals for which it counts, where no wire stands, that a probe came in somewhere."""
    rate: float = 20.0
    """Discovery frames per second taken from one port."""
    burst: float = 40.0


@dataclass(frozen=True, slots=True)
class WireUp:
    """Two ports hear each other; ``one`` sorts before ``other``."""

    one: Place
    other: Place


@dataclass(frozen=True, slots=True)
class WireDown:
    """They do not any more."""

    one: Place
    other: Place
    why: str
    """``lost``, ``port`` or ``purpose``."""


@dataclass(frozen=True, slots=True)
class Delayed:
    """A probe took so long from one port to another, without the ways to and from us."""

    source: Place
    target: Place
    seconds: float


@dataclass(frozen=True, slots=True)
class Judged:
    """Whether a probe arrived where the ones before it did."""

    source: Place
    target: Place
    arrived: bool


Finding = WireUp | WireDown | Delayed | Judged


@dataclass(slots=True)
class _Port:
    purpose: Purpose
    since: float
    tokens: float
    filled: float
    heard: Place | None = None
    """Where its wire or tunnel ends: there its probes have to arrive."""
    heard_by: dict[Place, float] = field(default_factory=dict)
    """Where else, or before there was a wire, its probes came in, and when last."""
    workload: bool = False
    """Whether somebody was heard behind it who is no bridge."""
    misses: int = 0
    ticket: int = 0
    """The one entry in the queue that counts."""


@dataclass(slots=True)
class _Bridge:
    connected: bool = True
    answered: float = -1.0
    """When the last echo that it answered was sent."""
    trips: deque[float] = field(default_factory=lambda: deque(maxlen=_ROUND_TRIPS))
    ports: set[int] = field(default_factory=set)


Send = Callable[[Place, bytes], bool]
"""Sends a frame out of a port; False when it could not."""


class Discovery:
    """What is known of wires.

    Args:
        pace: how often and how patiently.
        secret: at least 16 + `lldp.EPOCH_OCTETS` random octets, new in each life.
        chance: a number from 0 to 1, for jitter.
    """

    def __init__(self, pace: Pace, secret: bytes, chance: Callable[[], float]) -> None:
        self._pace, self._chance = pace, chance
        lifetime = 3 * max(pace.interval, pace.patience)
        self._ledger = Ledger(secret[EPOCH_OCTETS:], secret[:EPOCH_OCTETS], lifetime)
        self._bridges: dict[int, _Bridge] = {}
        self._ports: dict[Place, _Port] = {}
        self._wires: dict[Place, Place] = {}
        self._queue: list[tuple[float, int, Place]] = []
        self._tickets = 0
        self._tunnels = 0
        self._fresh: set[Place] = set()
        self._likely: set[tuple[Place, Place]] = set()
        """Pairs that heard each other and nobody else at the last tick."""
        self._planned: float | None = None
        self._findings: list[Finding] = []

    @property
    def wires(self) -> frozenset[tuple[Place, Place]]:
        """Pairs of ports that hear each other, each pair once."""
        return frozenset((one, other) for one, other in self._wires.items() if one < other)

    # -- bridges and ports ----------------------------------------------------------------------

    def connected(self, dpid: int, connected: bool) -> None:
        """A bridge's channel came or went. While it is away, nothing of it is judged."""
        bridge = self._bridges.setdefault(dpid, _Bridge())
        bridge.connected, bridge.answered = connected, -1.0
        bridge.trips.clear()

    def answered(self, dpid: int, sent: float, seconds: float) -> None:
        """A bridge answered an echo sent then, after so many seconds."""
        bridge = self._bridges.get(dpid)
        if bridge is not None:
            bridge.answered = max(bridge.answered, sent)
            bridge.trips.append(seconds)

    def ports(self, dpid: int, ports: Mapping[int, Purpose], now: float) -> list[Finding]:
        """The ports of a bridge that are up, and what they are for; the whole set."""
        bridge = self._bridges.setdefault(dpid, _Bridge(connected=False))
        for place in [Place(dpid, number) for number in bridge.ports]:
            purpose = ports.get(place.port)
            if purpose is not self._ports[place].purpose:
                self._remove(place, "port" if purpose is None else "purpose")
        for number, purpose in ports.items():
            place = Place(dpid, number)
            if place not in self._ports:
                self._add(place, purpose, now)
        return self._found()

    def forget(self, dpid: int) -> list[Finding]:
        """A bridge is no longer ours."""
        bridge = self._bridges.get(dpid, _Bridge())
        for place in [Place(dpid, number) for number in bridge.ports]:
            self._remove(place, "port")
        self._bridges.pop(dpid, None)
        return self._found()

    def workload(self, place: Place) -> None:
        """Somebody was heard by a port who is no bridge: while it is up, no new wire ends there."""
        port = self._ports.get(place)
        if port is not None and place not in self._wires:
            port.workload = True

    def _add(self, place: Place, purpose: Purpose, now: float) -> None:
        self._ports[place] = _Port(purpose, now, self._pace.burst, now)
        self._bridges[place.dpid].ports.add(place.port)
        self._tunnels += purpose is Purpose.TUNNEL
        if purpose in (Purpose.WIRE, Purpose.TUNNEL):
            self._plan(place, now)

    def _remove(self, place: Place, why: str) -> None:
        self._lose(place, why)
        port = self._ports.pop(place)
        self._bridges[place.dpid].ports.discard(place.port)
        self._tunnels -= port.purpose is Purpose.TUNNEL
        self._fresh.discard(place)

    def _lose(self, place: Place, why: str) -> None:
        """Take down the wire that ends at a place, if there is one."""
        other = self._wires.pop(place, None)
        if other is None:
            return
        del self._wires[other]
        for end in (place, other):
            port = self._ports.get(end)
            if port is not None:
                port.heard, port.misses = None, 0
                port.heard_by.clear()
        self._findings.append(WireDown(min(place, other), max(place, other), why))

    def _found(self) -> list[Finding]:
        findings, self._findings = self._findings, []
        return findings

    # -- time -----------------------------------------------------------------------------------

    def tick(self, now: float, send: Send) -> list[Finding]:
        """Judge what was sent, announce what both ends confirmed, send what is due.

        To be called every `Pace.fast` seconds. When it is called late, nothing that is out is
        judged: what came in meanwhile may still lie in a socket.
        """
        fast = self._pace.fast
        if self._planned is not None and now - self._planned > fast:
            self._ledger.excuse()
        self._planned = now + fast
        for issued in self._ledger.due(now, self._pace.patience):
            self._judge(issued)
        self._confirm(now)
        self._send_due(now, send)
        return self._found()

    def _judge(self, issued: Issued) -> None:
        port = self._ports.get(issued.place)
        target = None if port is None else port.heard
        if port is None or target is None:
            return
        if issued.accepted:
            port.misses = 0
            self._findings.append(Judged(issued.place, target, True))
            return
        if issued.excused or not self._could_tell(issued, target):
            return
        port.misses += 1
        self._findings.append(Judged(issued.place, target, False))
        if port.misses >= self._pace.misses and port.purpose is Purpose.WIRE:
            port.heard = None
            self._lose(issued.place, "lost")

    def _could_tell(self, issued: Issued, target: Place) -> bool:
        """Whether both channels are known to have worked after a probe was sent."""
        ends = (self._bridges.get(issued.place.dpid), self._bridges.get(target.dpid))
        return all(end and end.connected and end.answered >= issued.at for end in ends)

    def _confirm(self, now: float) -> None:
        """Announce pairs that hear each other and nobody else, at two ticks in a row.

        By then somebody else would have heard them too.
        """
        since = now - self._pace.memory * self._pace.interval
        looked = sorted(self._fresh | {place for pair in self._likely for place in pair})
        likely: set[tuple[Place, Place]] = set()
        for place in looked:
            partners = self._partners(place, since)
            other = partners[0] if len(partners) == 1 else None
            if other is not None and self._partners(other, since) == [place]:
                likely.add((min(place, other), max(place, other)))
        for one, other in sorted(likely & self._likely):
            self._wires[one], self._wires[other] = other, one
            for place, far in ((one, other), (other, one)):
                port = self._ports[place]
                port.heard, port.misses = far, 0
                port.heard_by.clear()
            self._findings.append(WireUp(one, other))
        self._likely = likely - self._likely
        self._fresh.clear()

    def _partners(self, place: Place, since: float) -> list[Place]:
        """Ports without a wire that heard a port and were heard by it; none if it has a wire."""
        port = self._ports.get(place)
        if port is None or place in self._wires:
            return []
        return [
            other
            for other, at in port.heard_by.items()
            if at >= since and other not in self._wires
            if (far := self._ports.get(other)) and far.heard_by.get(place, since - 1) >= since
        ]

    def _send_due(self, now: float, send: Send) -> None:
        left = self._pace.budget
        while left and self._queue and self._queue[0][0] <= now:
            _, ticket, place = heapq.heappop(self._queue)
            port = self._ports.get(place)
            if port is None or port.ticket != ticket:
                continue
            self._plan(place, now + self._gap(place, port, now))
            if self._bridges[place.dpid].connected:
                left -= 1
                issued, frame = self._ledger.issue(place, now)
                issued.excused = not send(place, frame)

    def _plan(self, place: Place, due: float) -> None:
        self._tickets += 1
        self._ports[place].ticket = self._tickets
        heapq.heappush(self._queue, (due, self._tickets, place))

    def _gap(self, place: Place, port: _Port, now: float) -> float:
        """Seconds to the next probe of a port.

        Tunnels, of which there may be very many, get half of what may be sent at all.
        """
        pace = self._pace
        gap = pace.interval
        if port.purpose is Purpose.TUNNEL:
            gap = max(2 * gap, 2 * self._tunnels * pace.fast / pace.budget)
        elif place not in self._wires and now - port.since < pace.young:
            return pace.fast
        return gap * (0.9 + 0.2 * self._chance())

    # -- frames ---------------------------------------------------------------------------------

    def arrived(self, at: Place, frame: bytes, now: float) -> Refusal | None:
        """A discovery frame came in by a port; why it is not believed, or None.

        What follows from it comes with the next `tick`.
        """
        port = self._ports.get(at)
        if port is None or port.purpose is Purpose.OTHER:
            return Refusal.UNKNOWN
        if not self._admits(port, now):
            return Refusal.FLOOD
        if port.purpose is Purpose.ENDPOINT:
            return Refusal.ENDPOINT
        taken = self._ledger.accept(frame, at, now)
        if isinstance(taken, Refusal):
            return taken
        refusal = self._weigh(taken, at)
        if refusal is None:
            self._believe(taken, at, now)
            if self._wires.get(at) != taken.place and len(taken.seen) > 1:
                return Refusal.RELAYED  # taken into account, but as a copy, or what was copied
        return refusal

    def _admits(self, port: _Port, now: float) -> bool:
        """The token bucket of a port."""
        pace = self._pace
        port.tokens = min(pace.burst, port.tokens + (now - port.filled) * pace.rate)
        port.filled = now
        if port.tokens < 1:
            return False
        port.tokens -= 1
        return True

    def _weigh(self, issued: Issued, at: Place) -> Refusal | None:
        """Whether a genuine probe may have come from where it left to where it is."""
        source, target = self._ports.get(issued.place), self._ports[at]
        if source is None:
            return Refusal.UNKNOWN
        if issued.place.dpid == at.dpid:
            return Refusal.LOOPED
        if source.purpose is not target.purpose:
            return Refusal.CROSSED
        if source.purpose is Purpose.TUNNEL:
            return None if issued.seen == (at,) else Refusal.RELAYED
        if self._wires.get(at) == issued.place:
            return None
        if at in self._wires or issued.place in self._wires:
            return Refusal.RELAYED
        return Refusal.ENDPOINT if source.workload or target.workload else None

    def _believe(self, issued: Issued, at: Place, now: float) -> None:
        issued.accepted = True
        source = self._ports[issued.place]
        if source.purpose is Purpose.TUNNEL or issued.place in self._wires:
            source.heard, source.misses = at, 0
        else:
            self._note(issued.place, at, now)
        near, far = self._bridges.get(issued.place.dpid), self._bridges.get(at.dpid)
        if near and far and near.trips and far.trips:
            ways = (min(near.trips) + min(far.trips)) / 2
            delay = max(0.0, now - issued.at - ways)
            self._findings.append(Delayed(issued.place, at, delay))

    def _note(self, source: Place, at: Place, now: float) -> None:
        """Where a probe of a port without a wire came in; of many places the latest."""
        heard_by = self._ports[source].heard_by
        heard_by.pop(at, None)
        if len(heard_by) == PLACES:
            del heard_by[next(iter(heard_by))]
        heard_by[at] = now
        self._fresh.add(source)
