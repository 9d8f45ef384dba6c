# SPDX-License-Identifier: Apache-2.0
"""From single measurements to numbers that paths may be chosen by. Pure; times are given.

Each value is frozen; taking a sample gives the next one. ``shown`` is what others are told: it
stays until the measured level has left it clearly (hysteresis), so that noise moves no path.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import exp, sqrt

LATENCY_WINDOW = 5
"""Samples of which the least counts: queues, ours and theirs, only ever add."""
LATENCY_WEIGHT = 0.3
"""Of the newest minimum in the moving average."""
LATENCY_SHARE, LATENCY_LEAST = 0.2, 0.2
"""A new latency is shown when it differs by more than this share, and by more milliseconds."""
LOSS_WINDOW = 64
"""Probes, lost or not, that the share is of."""
LOSS_FIRST = 16
"""Probes before anything is said."""
LOAD_SECONDS = 10.0
"""Time constant of the moving average of a rate."""
PROBE_OCTETS = 200.0
"""What probes, BFD's and ours, are smaller than on average."""
DISCOVERY_RATE = 10.0
"""Packets a second that discovery sends into a link at most."""
LOAD_STEP = 0.05
"""A new utilisation is shown when it differs by so much of the capacity."""


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds: the least of a window, averaged exponentially."""

    window: tuple[float, ...] = ()
    level: float | None = None
    shown: float | None = None

    def taken(self, sample: float) -> Latency:
        """After one more sample."""
        window = (*self.window, sample)[-LATENCY_WINDOW:]
        least = min(window)
        level = least if self.level is None else self.level + (least - self.level) * LATENCY_WEIGHT
        shown = self.shown
        if shown is None or _clear(level, shown):
            shown = level
        return Latency(window, level, shown)


def _clear(level: float, shown: float) -> bool:
    return abs(level - shown) > max(LATENCY_SHARE * shown, LATENCY_LEAST)


@dataclass(frozen=True, slots=True)
class Loss:
    """Share of probes lost, of the last `LOSS_WINDOW`."""

    outcomes: int = 0
    """One bit a probe, the newest lowest: 1 for lost."""
    count: int = 0
    shown: float | None = None

    def taken(self, arrived: bool) -> Loss:
        """After one more probe."""
        outcomes = (self.outcomes << 1 | (not arrived)) & (1 << LOSS_WINDOW) - 1
        count = min(self.count + 1, LOSS_WINDOW)
        taken = Loss(outcomes, count, self.shown)
        return replace(taken, shown=taken.share) if taken._departed() else taken

    @property
    def share(self) -> float:
        """Of those in the window, 0 to 1."""
        return self.outcomes.bit_count() / self.count if self.count else 0.0

    def _departed(self) -> bool:
        """Whether what is shown can't be what is: two deviations off, or none lost at all."""
        if self.count < LOSS_FIRST:
            return False
        if self.shown is None:
            return True
        lost = self.outcomes.bit_count()
        if self.count == LOSS_WINDOW and lost in (0, LOSS_WINDOW):
            return self.shown != self.share
        deviation = sqrt(max(1.0, self.count * self.shown * (1 - self.shown)))
        return abs(lost - self.shown * self.count) > 2 * deviation


@dataclass(frozen=True, slots=True)
class Load:
    """Mbit/s out of a port, averaged exponentially, from its counter of octets."""

    at: float = 0.0
    octets: int | None = None
    level: float | None = None

    def taken(self, at: float, octets: int) -> Load:
        """After one more reading; a counter that went back starts anew, and so does its clock."""
        if self.octets is None or octets < self.octets:
            return Load(at, octets, self.level)
        passed = at - self.at
        if passed <= 0:
            return self
        rate = (octets - self.octets) * 8e-6 / passed
        if self.level is None:
            return Load(at, octets, rate)
        weight = 1 - exp(-passed / LOAD_SECONDS)
        return Load(at, octets, self.level + (rate - self.level) * weight)


@dataclass(frozen=True, slots=True)
class Traffic:
    """Whether a port sends more than probes, from its counters: between the last two readings.

    What sends as few and as small packets as probes do cannot be told from them.
    """

    at: float | None = None
    octets: int = 0
    packets: int = 0
    busy: bool | None = None

    def taken(self, at: float, octets: int, packets: int, probes: float) -> Traffic:
        """After one more reading; counters that went back start anew.

        ``probes``: packets a second that are none of our business.
        """
        if self.at is None or packets < self.packets or octets < self.octets:
            return Traffic(at, octets, packets)
        passed, sent, size = at - self.at, packets - self.packets, octets - self.octets
        if passed <= 0:
            return self
        busy = sent > probes * passed + 1 or size > PROBE_OCTETS * sent
        return Traffic(at, octets, packets, busy)


def probe_rate(bfd_interval_ms: float) -> float:
    """Packets a second that all probes are counted as at most.

    BFD sends up to a quarter early (RFC 5880 §6.8.7, jitter), and Open vSwitch's userspace datapath
    counts twice what it sends into a tunnel by itself.
    """
    return DISCOVERY_RATE + 2 * 1000 / (0.75 * bfd_interval_ms)


def utilisation(level: float | None, capacity: float | None, shown: float | None) -> float | None:
    """What to show of a load on a capacity in Mbit/s, 0 to 1; None while either is not known."""
    if level is None or not capacity:
        return None
    share = min(1.0, level / capacity)
    return share if shown is None or abs(share - shown) >= LOAD_STEP else shown
