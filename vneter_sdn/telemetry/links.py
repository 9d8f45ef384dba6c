# SPDX-License-Identifier: Apache-2.0
"""What is known of each link, from single measurements; tells what changed. No clocks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from vneter_sdn.graph.topology import Observation
from vneter_sdn.telemetry.damping import HALF_LIFE, Damping
from vneter_sdn.telemetry.smoothing import DISCOVERY_RATE, Latency, Load, Loss, Traffic, utilisation

HOLD = 4.0
"""Seconds that a link has to be silent before anybody is told: bridges repair at once what is lost,
and one that was only late, as on a busy machine, moves no connection. BFD needs seconds to come up
again, whatever its interval (RFC 5880 §6.8.3), and discovery one or two more."""


@dataclass(frozen=True, slots=True)
class PortSeen:
    """What a bridge says of one of its ports."""

    ofport: int
    up: bool
    mac: int = 0
    speed_mbps: float = 0.0
    """0 when not known."""


@dataclass(frozen=True, slots=True)
class Edge:
    """Which link it is, in one direction."""

    name: str
    source: str
    target: str
    medium: str
    """``wire`` or ``tunnel``."""
    port: str
    """Name of the interface at the source."""
    target_port: str = ""
    """At the target; empty where it is not known."""


@dataclass(frozen=True, slots=True)
class LinkSeen:
    """One link in one direction, as it is to be used and reported."""

    edge: Edge
    observation: Observation
    state: str
    """``up``; ``down``; ``damped``, flapping and left out; ``unknown``, not seen to fail."""
    flaps: int = 0
    """How often it went down in this life of the controller."""
    busy: bool | None = None
    """Whether more is sent into it than probes make; None before two readings of its port."""


@dataclass(slots=True)
class _Record:
    edge: Edge
    damping: Damping
    works: bool | None = None
    """None while nothing says."""
    doubted: float | None = None
    """When it was seen to fail, for `HOLD` seconds."""
    latency: Latency = field(default_factory=Latency)
    loss: Loss = field(default_factory=Loss)
    load: Load = field(default_factory=Load)
    traffic: Traffic = field(default_factory=Traffic)
    speed: float | None = None
    shown_load: float | None = None
    flaps: int = 0
    told: LinkSeen | None = None


class Links:
    """Every link that was seen, by the name of its edge."""

    def __init__(self, probes: float = DISCOVERY_RATE, half_life: float = HALF_LIFE) -> None:
        """``probes``: packets a second that a link carries though nobody uses it.

        ``half_life``: seconds, of what links are left out for when they flap.
        """
        self._probes, self._sound = probes, Damping(half_life=half_life)
        self._records: dict[str, _Record] = {}
        self._stale: set[str] = set()
        self._damped: set[str] = set()
        self._doubted: set[str] = set()
        self._declared: Mapping[str, float] = {}
        self._gone: set[str] = set()

    def works(self, edge: Edge, works: bool | None, now: float, *, certain: bool = False) -> None:
        """A link is seen to work, to have failed, or nothing says.

        ``certain``: a port of it is gone or has no carrier; else it is silent, for now.
        """
        record = self._records.get(edge.name)
        if record is None or record.edge != edge:
            record = self._records[edge.name] = _Record(edge, self._sound)
            self._gone.discard(edge.name)
        elif works is False and record.works:
            if certain:
                self._fail(record, now)
            elif record.doubted is None:
                record.doubted = now
                self._doubted.add(edge.name)
            return
        record.doubted = None
        self._doubted.discard(edge.name)
        if record.works != works or record.told is None:
            record.works = works
            self._stale.add(edge.name)

    def fail_doubted(self, name: str, now: float) -> None:
        """What made a link silent is known for certain: take it for failed at once."""
        if name in self._doubted:
            self._fail(self._records[name], now)

    def _judge(self, now: float) -> None:
        """Take those for failed that have been doubted for long."""
        for name in sorted(self._doubted):
            record = self._records[name]
            if record.doubted is None or now - record.doubted < HOLD:
                continue
            self._fail(record, now)

    def _fail(self, record: _Record, now: float) -> None:
        name = record.edge.name
        self._doubted.discard(name)
        record.works, record.doubted = False, None
        record.damping = record.damping.failed(now)
        record.flaps += 1
        if record.damping.suppressed_at(now):
            self._damped.add(name)
        self._stale.add(name)

    def forget(self, name: str) -> None:
        """A link is no more."""
        if self._records.pop(name, None) is not None:
            self._gone.add(name)
            self._stale.discard(name)
            self._damped.discard(name)
            self._doubted.discard(name)

    def delayed(self, name: str, seconds: float) -> None:
        """A probe took so long over a link."""
        record = self._records.get(name)
        if record is not None:
            record.latency = record.latency.taken(seconds * 1e3)
            self._stale.add(name)

    def judged(self, name: str, arrived: bool) -> None:
        """A probe over a link arrived, or did not."""
        record = self._records.get(name)
        if record is not None:
            record.loss = record.loss.taken(arrived)
            self._stale.add(name)

    def carried(self, name: str, at: float, octets: int, packets: int = 0) -> None:
        """The counters of octets and packets sent into a link."""
        record = self._records.get(name)
        if record is not None:
            record.load = record.load.taken(at, octets)
            record.traffic = record.traffic.taken(at, octets, packets, self._probes)
            self._stale.add(name)

    def speed(self, name: str, mbps: float | None) -> None:
        """The speed that a link's port reports; None when it reports none."""
        record = self._records.get(name)
        if record is not None and record.speed != mbps:
            record.speed = mbps
            self._stale.add(name)

    def declare(self, capacities: Mapping[str, float]) -> None:
        """Declared capacities in Mbit/s, by edge; they go before the speed of ports."""
        changed = {n for n in self._records if self._declared.get(n) != capacities.get(n)}
        self._declared = capacities
        self._stale |= changed

    def changes(self, now: float) -> dict[str, LinkSeen | None]:
        """What is different since the last call, by edge; None for links that are no more."""
        self._judge(now)
        for name in [n for n in self._damped if not self._records[n].damping.suppressed_at(now)]:
            self._damped.discard(name)
            self._stale.add(name)
        found: dict[str, LinkSeen | None] = dict.fromkeys(sorted(self._gone))
        for name in sorted(self._stale):
            record = self._records[name]
            seen = self._seen(record, now)
            if seen != record.told:
                record.told = found[name] = seen
        self._gone.clear()
        self._stale.clear()
        return found

    def _seen(self, record: _Record, now: float) -> LinkSeen:
        name = record.edge.name
        capacity = self._declared.get(name) or record.speed
        record.shown_load = utilisation(record.load.level, capacity, record.shown_load)
        damped = record.damping.suppressed_at(now)
        observation = Observation(
            up=record.works is not False and not damped,
            latency=record.latency.shown,
            loss=record.loss.shown,
            utilisation=record.shown_load,
            capacity=record.speed,
        )
        state, busy = _state(record.works, damped), record.traffic.busy
        return LinkSeen(record.edge, observation, state, record.flaps, busy)


def _state(works: bool | None, damped: bool) -> str:
    if damped:
        return "damped"
    return "unknown" if works is None else "up" if works else "down"
