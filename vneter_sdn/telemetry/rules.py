# SPDX-License-Identifier: Apache-2.0
"""What rules let through and stopped, summed up over bridges. Pure.

::

    readings of verdict flows ─► increments ─► totals by subject and title

Bridges count each flow since it was written. A flow may be written anew, and a bridge may begin
anew, so totals are made of differences and never go back. What an earlier life of the controller
reported is where totals begin; what bridges counted while it was away is in their first readings.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from vneter_sdn.model.flow import FlowKey
from vneter_sdn.model.policy_kinds import Direction
from vneter_sdn.model.snapshot import Key

_UNKNOWN = 1 << 63
"""Counts from here on are none: Open vSwitch says 2^64-1 for what it does not know."""


class Decision(NamedTuple):
    """Whose decision a flow does, as far as the flow itself says."""

    way: Direction
    tenant: int
    rule: int
    begins: bool
    """Whether each packet of it begins a connection that is let through."""


class Reading(NamedTuple):
    """What one flow has matched."""

    flow: FlowKey
    decision: Decision
    seconds: float
    """That the flow is there."""
    packets: int
    octets: int


@dataclass(frozen=True, slots=True)
class RulesCounted:
    """What a host's bridge counted of some decisions: all flows of one table."""

    host: str
    table: int
    readings: tuple[Reading, ...]


class Volume(NamedTuple):
    """What met a rule."""

    connections: int = 0
    """That it let through; 0 of what it denied."""
    packets: int = 0
    """Of whoever began the connections; answers pass without being asked about."""
    octets: int = 0

    def plus(self, other: Volume) -> Volume:
        """Both together."""
        return Volume(*(one + another for one, another in zip(self, other, strict=True)))

    def most(self, other: Volume) -> Volume:
        """The larger of each."""
        return Volume(*(max(pair) for pair in zip(self, other, strict=True)))


class Title(NamedTuple):
    """What is counted, under the object that reports it."""

    subject: Key
    text: str


@dataclass(slots=True)
class _Total:
    seed: Volume = field(default_factory=Volume)
    """What an earlier life reported."""
    first: Volume = field(default_factory=Volume)
    """What bridges had counted when they were read first."""
    since: Volume = field(default_factory=Volume)

    @property
    def value(self) -> Volume:
        return self.seed.most(self.first).plus(self.since)


@dataclass(frozen=True, slots=True)
class _Known:
    seconds: float
    packets: int
    octets: int


class Ledger:
    """Totals by title."""

    def __init__(self) -> None:
        self._totals: dict[Key, dict[str, _Total]] = {}
        self._known: dict[tuple[str, int], dict[FlowKey, _Known]] = {}

    def begin(self, title: Title, reported: Volume) -> None:
        """Begin with what an earlier life reported; what is counted already stays as it is."""
        self._totals.setdefault(title.subject, {}).setdefault(title.text, _Total(reported))

    def end(self, subject: Key, kept: Iterable[str] = ()) -> None:
        """Forget all titles of a subject but these."""
        rest = set(kept)
        held = self._totals.pop(subject, {})
        kept_ones = {text: total for text, total in held.items() if text in rest}
        if kept_ones:
            self._totals[subject] = kept_ones

    def leave(self, host: str) -> None:
        """A host is no more; what it counted stays in the totals."""
        for place in [place for place in self._known if place[0] == host]:
            del self._known[place]

    def counted(
        self, seen: RulesCounted, titles: Mapping[Decision, Title | None]
    ) -> frozenset[Key]:
        """Take in what a bridge counted.

        Args:
            seen: the readings.
            titles: by decision; None or absent for those that nobody reports.

        Returns:
            Subjects whose totals changed.
        """
        place = seen.host, seen.table
        before = self._known.get(place)
        now: dict[FlowKey, _Known] = {}
        changed: set[Key] = set()
        for reading in seen.readings:
            if max(reading.packets, reading.octets) >= _UNKNOWN:
                continue
            now[reading.flow] = _Known(reading.seconds, reading.packets, reading.octets)
            title = titles.get(reading.decision)
            if title is None:
                continue
            met = _met(reading, (before or {}).get(reading.flow))
            total = self._totals.setdefault(title.subject, {}).setdefault(title.text, _Total())
            if any(met):
                changed.add(title.subject)
                if before is None:
                    total.first = total.first.plus(met)
                else:
                    total.since = total.since.plus(met)
        self._known[place] = now
        return frozenset(changed)

    def totals(self, subject: Key) -> dict[str, Volume]:
        """Of one subject, by text."""
        return {text: total.value for text, total in self._totals.get(subject, {}).items()}

    def everything(self) -> dict[Title, Volume]:
        """All totals."""
        return {
            Title(subject, text): total.value
            for subject, held in self._totals.items()
            for text, total in held.items()
        }


def _met(reading: Reading, before: _Known | None) -> Volume:
    """What a flow matched since it was read last.

    One that is younger, or counted less, than before is another one in its place.
    """
    anew = before is None or (
        reading.seconds < before.seconds
        or reading.packets < before.packets
        or reading.octets < before.octets
    )
    start = _Known(0.0, 0, 0) if anew or before is None else before
    packets = reading.packets - start.packets
    begun = packets if reading.decision.begins else 0
    return Volume(begun, packets, reading.octets - start.octets)
