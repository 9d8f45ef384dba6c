# SPDX-License-Identifier: Apache-2.0
"""When policies are in force. All times are UTC."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from vneter_sdn.model.instants import posix
from vneter_sdn.model.policy_kinds import Window

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY = timedelta(days=1)
_EVER = datetime(1, 1, 2, tzinfo=UTC)
_NEVER = datetime(9999, 12, 20, tzinfo=UTC)


def instant(text: str) -> datetime:
    """A point in time, as RFC 3339 writes it, in UTC.

    Raises:
        ValueError: it is none, or has no time zone; with a message for people.
    """
    try:
        posix(text)  # fromisoformat takes more than RFC 3339
        return min(max(datetime.fromisoformat(text.upper()).astimezone(UTC), _EVER), _NEVER)
    except (ValueError, OverflowError):
        message = f"{text!r} is no time; write it like 2027-01-31T08:00:00Z"
        raise ValueError(message) from None


@dataclass(frozen=True, slots=True)
class _Span:
    """A window, read."""

    start: datetime
    end: datetime
    days: frozenset[int]
    first: time
    last: time

    def on(self, day: datetime) -> tuple[datetime, datetime] | None:
        """From when until when it is open that begins on a day, without ``start`` and ``end``."""
        if day.weekday() not in self.days:
            return None
        opens = datetime.combine(day, self.first, UTC)
        closes = datetime.combine(day, self.last, UTC)
        return opens, closes if closes > opens else closes + _DAY

    def open(self, at: datetime) -> bool:
        """Whether it is open at a time: from its first instant, until just before its last."""
        if not self.start <= at < self.end:
            return False
        for day in (at - _DAY, at):
            span = self.on(day)
            if span is not None and span[0] <= at < span[1]:
                return True
        return False


def _read(window: Window) -> _Span:
    first, _, last = (window.hours or "00:00-00:00").partition("-")
    return _Span(
        start=instant(window.start) if window.start else _EVER,
        end=instant(window.end) if window.end else _NEVER,
        days=frozenset(_DAYS.index(day) for day in window.days or _DAYS),
        first=time.fromisoformat(first),
        last=time.fromisoformat(last),
    )


def in_force(schedule: Sequence[Window], at: datetime) -> bool:
    """Whether a policy is in force: always without windows, else within any of them.

    Hours of a day whose first is not before their last end on the next day; equal ones are the
    whole day. A time-zone-aware time is wanted.
    """
    return not schedule or any(_read(window).open(at.astimezone(UTC)) for window in schedule)


def next_change(schedule: Sequence[Window], at: datetime) -> datetime | None:
    """The first time after ``at`` at which `in_force` is another; None when it stays as it is."""
    at = at.astimezone(UTC)
    spans = [_read(window) for window in schedule]
    now = in_force(schedule, at)
    for moment in sorted(set(_moments(spans, at))):
        if at < moment < _NEVER and any(span.open(moment) for span in spans) is not now:
            return moment
    return None


def _moments(spans: Sequence[_Span], at: datetime) -> Iterator[datetime]:
    """Every time at which something may change first: all of a week from now, starts and ends.

    What the windows do within a week they do in the next, until one of them starts or ends.
    """
    anchors = {at, *(span.start for span in spans), *(span.end for span in spans)}
    for anchor in anchors:
        yield anchor
        if anchor < at or anchor >= _NEVER:
            continue
        for offset in range(-1, 9):
            for span in spans:
                yield from span.on(anchor + offset * _DAY) or ()
