# SPDX-License-Identifier: Apache-2.0
"""From counters of flows to a matrix: never negative, never a spike, and calm."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vneter_sdn.model import traffic
from vneter_sdn.model.snapshot import Key
from vneter_sdn.model.traffic import Volume
from vneter_sdn.telemetry.matrix import FLOOR, KEPT, Hysteresis, Matrix, Rate, Reading

POLICY = Key("PathPolicy", "", "p")
MBIT = 125_000
"""Octets of a megabit."""


def reading(target, seconds, octets, *, own=True, policy=POLICY):
    return Reading(policy, target, own, seconds, octets)


def steady(matrix, source, target, mbps, times, *, start=0.0, every=10.0, own=True):
    """Readings of a flow of so many Mbit/s; the time of the last."""
    for n in range(times):
        seconds = start + n * every
        octets = int(mbps * MBIT * n * every)
        matrix.counted(source, seconds, [reading(target, seconds, octets, own=own)])
    return start + (times - 1) * every


steps = st.lists(
    st.tuples(
        st.floats(0, 60),
        st.integers(0, 100 * MBIT),
        st.sampled_from(["on", "on", "on", "anew", "back", "unknown"]),
    ),
    max_size=12,
)


@given(steps)
def test_whatever_happens_to_counters_no_rate_is_below_zero_or_above_what_was_sent(taken):
    rate, seconds, octets, quickest = Rate(), 100.0, 10_000, 0.0
    for passed, sent, what in taken:
        if what == "anew":
            seconds, octets = 0.0, sent
        elif what == "back":
            octets //= 2
        else:
            before = rate.seconds, rate.octets
            seconds, octets = seconds + passed, octets + sent
            if before[1] is not None and seconds > before[0] and octets >= before[1]:
                quickest = max(quickest, (octets - before[1]) * 8e-6 / (seconds - before[0]))
        rate = rate.taken(seconds, 2**64 - 1 if what == "unknown" else octets)
        assert rate.level is None or 0 <= rate.level <= quickest * (1 + 1e-9) + 1e-9


@given(st.floats(0.1, 1000), st.lists(st.floats(1, 100), min_size=8, max_size=20))
def test_a_steady_rate_is_found_however_readings_come(mbps, gaps):
    rate, seconds = Rate(), 0.0
    for gap in gaps:
        seconds += gap
        rate = rate.taken(seconds, round(mbps * MBIT * seconds))
    assert rate.level is not None
    assert abs(rate.level - mbps) <= 0.01 * mbps


def test_a_flow_written_anew_goes_on_where_it_was():
    rate = Rate().taken(10, 0).taken(20, 10 * MBIT * 10)
    assert rate.level == 10
    again = rate.taken(1, 5 * MBIT)
    assert again.level == 10
    assert again.taken(11, 5 * MBIT + 10 * MBIT * 10).level == 10


def test_own_packets_count_forth_and_answers_back():
    matrix = Matrix()
    matrix.begin(POLICY, {})
    steady(matrix, "a", "b", 8, 3)
    steady(matrix, "b", "a", 2, 3, own=False)
    [(pair, volume)] = matrix.levels(POLICY).items()
    assert pair == ("a", "b")
    assert abs(volume.forth - 8) < 0.01
    assert abs(volume.back - 2) < 0.01


def test_what_was_shown_before_stands_until_its_bridge_counted_again():
    matrix = Matrix()
    before = {("a", "b"): Volume(8, 2), ("c", "b"): Volume(4, 0)}
    matrix.begin(POLICY, before)
    assert matrix.age(POLICY, 5) is None
    assert matrix.levels(POLICY) == before
    matrix.counted("a", 0, [reading("b", 0, 0)])
    assert matrix.levels(POLICY) == before, "one reading is no rate"
    assert not list(matrix.turn(100))
    matrix.counted("a", 10, [reading("b", 10, 3 * MBIT * 10)])
    assert matrix.levels(POLICY) == {("a", "b"): Volume(3, 2), ("c", "b"): Volume(4, 0)}
    assert matrix.silent(POLICY, 11, 30) == ("b", "c")
    assert matrix.age(POLICY, 11) == 1


def test_a_bridge_that_began_anew_does_not_make_traffic_vanish():
    matrix = Matrix()
    matrix.begin(POLICY, {})
    at = steady(matrix, "a", "b", 8, 3)
    known = matrix.levels(POLICY)
    matrix.counted("a", at + 10, [])
    assert matrix.levels(POLICY) == known
    matrix.counted("a", at + KEPT + 1, [])
    assert not matrix.levels(POLICY)


def test_a_host_that_is_gone_sends_nothing():
    matrix = Matrix()
    matrix.begin(POLICY, {("a", "b"): Volume(1, 0), ("b", "c"): Volume(1, 0)})
    matrix.leave("a")
    assert set(matrix.levels(POLICY)) == {("b", "c")}
    matrix.end(POLICY)
    assert not matrix.levels(POLICY)
    assert not matrix.policies


def test_what_is_shown_rests_between_two_changes():
    matrix = Matrix(Hysteresis(0.2, 1.0, 30.0))
    matrix.begin(POLICY, {})
    steady(matrix, "a", "b", 10, 3)
    assert list(matrix.turn(20)) == [POLICY]
    first = matrix.shown(POLICY)
    start, octets = 20.0, 20 * 10 * MBIT
    for n in range(1, 10):
        octets += 10 * 50 * MBIT
        matrix.counted("a", start + 10 * n, [reading("b", start + 10 * n, octets)])
        turned = list(matrix.turn(20 + n * 5))
        assert not turned or n >= 6
        if turned:
            break
    assert matrix.shown(POLICY) != first


volumes = st.builds(Volume, st.floats(0, 100), st.floats(0, 100))
matrices = st.dictionaries(
    st.sampled_from([("a", "b"), ("b", "a"), ("a", "c")]), volumes, max_size=3
)


@given(matrices, matrices, st.floats(0, 1), st.floats(0.01, 50))
def test_clear_is_a_share_and_a_least(shown, levels, share, least):
    changed = sum(
        abs(shown.get(p, Volume())[n] - levels.get(p, Volume())[n])
        for p in {*shown, *levels}
        for n in (0, 1)
    )
    whole = sum(sum(volume) for volume in shown.values())
    clear = Hysteresis(share, least, 0).clear(shown, levels)
    assert not Hysteresis(share, least, 0).clear(levels, levels)
    if abs(changed - max(share * whole, least)) > 1e-6:
        assert clear == (changed > share * whole and changed > least)


@given(st.lists(st.floats(0, 8), min_size=2, max_size=30))
def test_noise_of_less_than_a_share_shows_nothing_new(noise):
    """Sent is 100 Mbit/s, give or take 4: the first matrix stands."""
    matrix = Matrix(Hysteresis(0.2, 1.0, 0.0))
    matrix.begin(POLICY, {})
    octets, turned = 0, 0
    for n, more in enumerate(noise):
        octets += int((96 + more) * MBIT * 10)
        matrix.counted("a", n * 10.0, [reading("b", n * 10.0, octets)])
        turned += len(list(matrix.turn(n * 10.0)))
    assert turned == 1


@given(matrices)
def test_a_report_is_read_as_it_was_told(matrix):
    read = traffic.read({"measured": traffic.told(matrix)})
    assert read.keys() == matrix.keys()
    for pair, volume in matrix.items():
        assert all(abs(a - b) <= FLOOR for a, b in zip(read[pair], volume, strict=True))
    assert traffic.read({}) == {}
