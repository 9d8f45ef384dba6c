# SPDX-License-Identifier: Apache-2.0
"""The traffic matrix, measured: who sends how much to whom under each engineered policy. Pure.

::

    readings of flows ─► Rate (one counter) ─► levels ─► shown (clear changes alone) ─► plans

Octets become rates by differences, over the time that the bridge itself says has passed, so a
reading that comes late makes no spike. What is shown stays until the levels have left it clearly:
a plan is made for it, and noise is to move no path.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import exp

from vneter_sdn.model.snapshot import Key
from vneter_sdn.model.traffic import Pair, Volume

SECONDS = 15.0
"""Time constant of the moving average of a rate."""
LEAST_SECONDS = 0.5
"""Between two readings that say something: bridges add up what they count about as often."""
FLOOR = 0.001
"""Mbit/s below which there is no traffic."""
KEPT = 300.0
"""Seconds that the last level counts where a bridge has no flows for a policy: it may have begun
anew, and be without any for a moment."""
_UNKNOWN = 1 << 63
"""Counts from here on are none: Open vSwitch says 2^64-1 for what it does not know."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Mbit/s that a flow matches, averaged exponentially, from its counter of octets."""

    seconds: float = 0.0
    """Age of the flow at the last reading, by the bridge's clock."""
    octets: int | None = None
    level: float | None = None

    def taken(self, seconds: float, octets: int) -> Rate:
        """After one more reading.

        A flow that is younger, or has fewer octets, than before is another one: it was written
        anew, or its bridge began anew. Counting starts over, and the level stays.
        """
        if octets >= _UNKNOWN:
            return self
        if self.octets is None or octets < self.octets or seconds < self.seconds:
            return Rate(seconds, octets, self.level)
        passed = seconds - self.seconds
        if passed < LEAST_SECONDS:
            return self
        rate = (octets - self.octets) * 8e-6 / passed
        if self.level is None:
            return Rate(seconds, octets, rate)
        weight = 1 - exp(-passed / SECONDS)
        return Rate(seconds, octets, self.level + (rate - self.level) * weight)


@dataclass(frozen=True, slots=True)
class Reading:
    """What one flow has matched: packets for a host, under a policy."""

    policy: Key
    target: str
    own: bool
    """Whether of those who began their connections; else of those who answer."""
    seconds: float
    """That the flow is there."""
    octets: int


@dataclass(frozen=True, slots=True)
class Hysteresis:
    """What has to change for a matrix to be shown anew."""

    share: float = 0.2
    """Of all that is shown; by at least that much, pair by pair."""
    least: float = 1.0
    """And at least so many Mbit/s."""
    apart: float = 30.0
    """Seconds since it was shown anew last."""

    def clear(self, shown: Mapping[Pair, Volume], levels: Mapping[Pair, Volume]) -> bool:
        """Whether levels are clearly not what is shown."""
        nothing = Volume()
        changed = sum(
            abs(one - other)
            for pair in shown.keys() | levels.keys()
            for one, other in zip(shown.get(pair, nothing), levels.get(pair, nothing), strict=True)
        )
        whole = sum(volume.forth + volume.back for volume in shown.values())
        return changed >= max(self.share * whole, self.least)


@dataclass(slots=True)
class _Measured:
    """One policy."""

    shown: Mapping[Pair, Volume] = field(default_factory=dict)
    since: float | None = None
    """When that was shown; None for what an earlier life showed."""
    rates: dict[tuple[str, str, bool], Rate] = field(default_factory=dict)
    """By source, target, and whether of those who began."""
    read: dict[str, float] = field(default_factory=dict)
    """By source: when a rate was known last."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What is shown of one policy."""

    volumes: Mapping[Pair, Volume]
    silent: tuple[str, ...] = ()
    """Hosts that it is about and that did not say anything for long."""


@dataclass(frozen=True, slots=True)
class TrafficSeen:
    """Matrices that changed clearly, or that were not told of for a while."""

    policies: Mapping[Key, Seen]


class Matrix:
    """Readings in; levels and what is shown of them out. Times are seconds of one clock."""

    def __init__(self, hysteresis: Hysteresis | None = None) -> None:
        self._hysteresis = hysteresis or Hysteresis()
        self._policies: dict[Key, _Measured] = {}

    @property
    def policies(self) -> tuple[Key, ...]:
        """Those that are measured, sorted."""
        return tuple(sorted(self._policies))

    def begin(self, policy: Key, shown: Mapping[Pair, Volume]) -> None:
        """Measure a policy, of which an earlier life showed this; known ones stay as they are."""
        self._policies.setdefault(policy, _Measured(shown))

    def end(self, policy: Key) -> None:
        """Measure it no more."""
        self._policies.pop(policy, None)

    def leave(self, host: str) -> None:
        """A host is no more: nothing is sent from there, or to there."""
        for one in self._policies.values():
            one.shown = {pair: volume for pair, volume in one.shown.items() if host not in pair}
            one.rates = {way: rate for way, rate in one.rates.items() if host not in way[:2]}
            one.read.pop(host, None)

    def counted(self, source: str, now: float, readings: Iterable[Reading]) -> None:
        """What a bridge counted. Flows that are gone count nothing any more."""
        found: dict[Key, dict[tuple[str, str, bool], Rate]] = {}
        for reading in readings:
            known = self._policies.get(reading.policy)
            if known is not None:
                way = source, reading.target, reading.own
                before = known.rates.get(way, Rate())
                rate = before.taken(reading.seconds, reading.octets)
                found.setdefault(reading.policy, {})[way] = rate
        for policy, known in self._policies.items():
            rates = found.get(policy, {})
            if not rates and now - known.read.get(source, now) < KEPT:
                continue
            others = {way: rate for way, rate in known.rates.items() if way[0] != source}
            known.rates = others | rates
            if any(rate.level is not None for rate in rates.values()):
                known.read[source] = now

    def levels(self, policy: Key) -> dict[Pair, Volume]:
        """Mbit/s by pair of hosts, as of the last readings.

        What a bridge did not count yet in this life is what was shown of it: absence of data
        is no absence of traffic.
        """
        known = self._policies.get(policy)
        if known is None:
            return {}
        found: dict[Pair, Volume] = {}
        for pair, volume in known.shown.items():
            source, target = pair
            forth = 0.0 if source in known.read else volume.forth
            back = 0.0 if target in known.read else volume.back
            found[pair] = Volume(forth, back)
        for (source, target, own), rate in known.rates.items():
            if source not in known.read or rate.level is None:
                continue
            pair = (source, target) if own else (target, source)
            before = found.get(pair, Volume())
            found[pair] = (
                before._replace(forth=rate.level) if own else before._replace(back=rate.level)
            )
        return {pair: volume for pair, volume in found.items() if max(volume) >= FLOOR}

    def age(self, policy: Key, now: float) -> float | None:
        """Seconds since a bridge was last counted on; None before the first."""
        known = self._policies.get(policy)
        return now - max(known.read.values()) if known and known.read else None

    def silent(self, policy: Key, now: float, within: float) -> tuple[str, ...]:
        """Hosts that something is shown of and that did not say anything for so many seconds."""
        known = self._policies.get(policy)
        if known is None:
            return ()
        speak = {host for pair in known.shown for host in pair}
        return tuple(sorted(h for h in speak if now - known.read.get(h, -1e12) > within))

    def shown(self, policy: Key) -> Mapping[Pair, Volume]:
        """What was shown last."""
        known = self._policies.get(policy)
        return known.shown if known else {}

    def turn(self, now: float) -> Iterator[Key]:
        """Show anew what has clearly changed; those policies."""
        for policy, known in sorted(self._policies.items()):
            rested = known.since is None or now - known.since >= self._hysteresis.apart
            if known.read and rested:
                levels = self.levels(policy)
                if self._hysteresis.clear(known.shown, levels):
                    known.shown, known.since = levels, now
                    yield policy
