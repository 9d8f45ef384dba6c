# SPDX-License-Identifier: Apache-2.0
"""When policies are in force, and when that changes."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vneter_sdn.model.policy_kinds import Window
from vneter_sdn.policy.schedule import in_force, instant, next_change

MONDAY = datetime(2027, 1, 4, tzinfo=UTC)
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def at(day: int, hour: int, minute: int = 0) -> datetime:
    return MONDAY + timedelta(days=day, hours=hour, minutes=minute)


@pytest.mark.parametrize(
    ("window", "inside", "outside"),
    [
        (Window(), [at(0, 0)], []),
        (Window(hours="08:00-17:00"), [at(0, 8), at(0, 16, 59)], [at(0, 7, 59), at(0, 17)]),
        (Window(days=("mon",)), [at(0, 0), at(0, 23, 59)], [at(-1, 23), at(1, 0)]),
        (
            Window(days=("fri",), hours="22:00-06:00"),
            [at(4, 22), at(5, 0), at(5, 5, 59)],
            [at(4, 0), at(4, 21), at(5, 6), at(5, 22)],
        ),
        (Window(hours="09:00-09:00", days=("mon",)), [at(0, 9), at(1, 8)], [at(0, 8), at(1, 9)]),
        (Window(start="2027-01-05T01:00:00+01:00"), [at(1, 0)], [at(0, 23, 59)]),
        (Window(end="2027-01-05T00:00:00Z"), [at(0, 23, 59)], [at(1, 0)]),
    ],
)
def test_in_force(window: Window, inside: list[datetime], outside: list[datetime]) -> None:
    for time in inside:
        assert in_force((window,), time), time
    for time in outside:
        assert not in_force((window,), time), time


def test_without_windows_it_is_always_in_force() -> None:
    assert in_force((), MONDAY)
    assert next_change((), MONDAY) is None


def test_over_midnight_ends_when_the_policy_does() -> None:
    window = Window(hours="22:00-06:00", end="2027-01-05T03:00:00Z")
    assert next_change((window,), at(0, 23)) == at(1, 3)
    assert next_change((window,), at(1, 3)) is None


def test_a_start_that_is_years_away() -> None:
    window = Window(start="2031-07-05T00:00:00Z", days=("mon",), hours="08:00-09:00")
    assert next_change((window,), MONDAY) == datetime(2031, 7, 7, 8, tzinfo=UTC)


HOURS = st.sampled_from([None, "00:00-12:00", "06:00-06:00", "22:00-03:00", "13:00-14:00"])
TIMES = st.none() | st.integers(-3, 24).map(lambda n: (MONDAY + timedelta(hours=7 * n)).isoformat())
WINDOWS = st.builds(
    lambda start, end, days, hours: Window(start=start, end=end, days=tuple(days), hours=hours),
    TIMES,
    TIMES,
    st.lists(st.sampled_from(DAYS), max_size=3, unique=True),
    HOURS,
)


@settings(max_examples=50)
@given(st.lists(WINDOWS, max_size=3), st.integers(0, 300))
def test_the_next_change_is_the_first_hour_that_differs(windows: list[Window], hour: int) -> None:
    now = MONDAY + timedelta(hours=hour)
    found = next_change(windows, now)
    hours = (now + timedelta(hours=n) for n in range(1, 24 * 21))
    first = next((t for t in hours if in_force(windows, t) is not in_force(windows, now)), None)
    assert found == first


@pytest.mark.parametrize(
    "text", ["tomorrow", "2027-01-04", "2027-01-04T00:00:00", "2027-13-01T00:00:00Z", ""]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write it like"):
        instant(text)
