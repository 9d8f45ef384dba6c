# SPDX-License-Identifier: Apache-2.0
"""Laws of what is shown of measurements, and of links that flap."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vneter_sdn.telemetry import damping, smoothing
from vneter_sdn.telemetry.damping import Damping
from vneter_sdn.telemetry.smoothing import (
    LOSS_WINDOW,
    PROBE_OCTETS,
    Latency,
    Load,
    Loss,
    Traffic,
    probe_rate,
    utilisation,
)

MILLISECONDS = st.floats(0, 1e4, allow_nan=False)


def shown_of(samples) -> list[float]:
    latency, shown = Latency(), []
    for sample in samples:
        latency = latency.taken(sample)
        shown.append(latency.shown)
    return shown


@given(st.lists(MILLISECONDS, min_size=1, max_size=40))
def test_latency_stays_among_what_was_measured(samples) -> None:
    for shown in shown_of(samples):
        assert min(samples) - 1e-9 <= shown <= max(samples) + 1e-9


@given(st.lists(st.tuples(MILLISECONDS, st.floats(0, 100)), min_size=1, max_size=30))
def test_latency_is_monotone(pairs) -> None:
    """Never less where every sample was more: of the level; what is shown may lag behind it."""
    low, high = Latency(), Latency()
    for sample, more in pairs:
        low, high = low.taken(sample), high.taken(sample + more)
        assert low.level <= high.level + 1e-6


@given(MILLISECONDS, st.lists(st.floats(0, 1), max_size=60))
def test_delays_of_ours_and_little_noise_show_nothing(true, noise) -> None:
    """Within a tenth, and now and then a sample that waited in a queue."""
    samples = [true]
    samples += [true * (1 + n / 10) + (500 if k % 5 else 0) for k, n in enumerate(noise)]
    assert set(shown_of(samples)) == {true}


@given(MILLISECONDS, MILLISECONDS)
def test_a_new_latency_is_shown_within_its_band_soon(before, after) -> None:
    last = shown_of([before] * 5 + [after] * 40)[-1]
    assert abs(last - after) <= max(0.2 * max(last, after), 0.2) + 1e-3


@given(st.lists(st.booleans(), max_size=200))
def test_loss_is_a_share_of_the_window(outcomes) -> None:
    loss = Loss()
    for arrived in outcomes:
        loss = loss.taken(arrived)
    window = outcomes[-LOSS_WINDOW:]
    assert loss.share == (window.count(False) / len(window) if window else 0)
    assert (loss.shown is None) == (len(outcomes) < smoothing.LOSS_FIRST)
    assert loss.shown is None or 0 <= loss.shown <= 1


def test_loss_settles_at_both_ends() -> None:
    loss = Loss()
    for arrived in [True, False] * 64 + [True] * LOSS_WINDOW:
        loss = loss.taken(arrived)
    assert loss.shown == 0
    for _ in range(LOSS_WINDOW):
        loss = loss.taken(False)
    assert loss.shown == 1


def test_one_lost_probe_is_not_loss_and_a_tenth_is() -> None:
    loss = Loss()
    for number in range(200):
        loss = loss.taken(number != 100)
        assert not loss.shown
    for number in range(64):
        loss = loss.taken(number % 10 != 0)
    assert 0.02 < loss.shown < 0.2


def test_steady_loss_is_shown_a_few_times_only() -> None:
    chance = random.Random(7)
    loss, changes = Loss(), 0
    for _ in range(2000):
        taken = loss.taken(chance.random() > 0.2)
        changes += taken.shown != loss.shown
        loss = taken
    assert changes < 100
    assert 0.05 < loss.shown < 0.4


@given(st.floats(0.1, 1e5), st.lists(st.floats(0.1, 20), min_size=1, max_size=30))
def test_a_steady_rate_is_its_own_average(mbps, gaps) -> None:
    load, at, octets = Load().taken(0.0, 0), 0.0, 0
    for gap in gaps:
        at += gap
        octets = round(at * mbps * 125_000)
        load = load.taken(at, octets)
    assert abs(load.level - mbps) < 0.01 * mbps + 0.01


@given(st.lists(st.tuples(st.floats(-5, 20), st.integers(0, 10**15)), max_size=30))
def test_counters_that_lie_make_no_rate_below_zero(readings) -> None:
    load, at = Load(), 0.0
    for gap, octets in readings:
        at += gap
        load = load.taken(at, octets)
        assert load.level is None or load.level >= 0
        assert 0 <= (utilisation(load.level, 100.0, None) or 0) <= 1


@given(st.lists(st.floats(0, 200), min_size=1, max_size=50))
def test_utilisation_moves_in_steps(levels) -> None:
    shown = None
    for level in levels:
        before, shown = shown, utilisation(level, 100.0, shown)
        assert abs(shown - min(1, level / 100)) < smoothing.LOAD_STEP
        assert before is None or shown == before or abs(shown - before) >= smoothing.LOAD_STEP


def test_without_a_capacity_there_is_no_utilisation() -> None:
    assert utilisation(5.0, None, 0.5) is None
    assert utilisation(5.0, 0.0, 0.5) is None
    assert utilisation(None, 10.0, None) is None


GAPS = st.lists(st.floats(0, 120), min_size=1, max_size=60)


@given(GAPS, st.floats(1, 60))
def test_the_penalty_is_bounded_and_everybody_is_taken_back(gaps, half_life) -> None:
    one, now = Damping(half_life=half_life), 0.0
    for gap in gaps:
        now += gap
        one = one.failed(now)
        assert 0 < one.penalty <= damping.CEILING
        assert not one.suppressed_at(now + damping.MAX_SUPPRESSED * half_life + 0.001)
        until = one.until()
        if until is not None:
            assert one.suppressed_at(until - 0.01) or until <= now + 0.01
            assert not one.suppressed_at(until + 0.01)


@given(GAPS, GAPS)
def test_more_failures_never_end_it_sooner(gaps, more) -> None:
    """Of two links, one of which fails at all the times the other does and at others too."""
    few, many, now = Damping(), Damping(), 0.0
    extra = iter(more)
    for gap in gaps:
        now += gap
        few, many = few.failed(now), many.failed(now)
        now += next(extra, 0.0)
        many = many.failed(now)
        if few.suppressed_at(now):
            assert many.suppressed_at(now)


@settings(max_examples=50)
@given(st.floats(0.1, 9.0))
def test_a_link_that_flaps_changes_paths_a_few_times_and_then_no_more(period) -> None:
    one, now, changes, used = Damping(), 0.0, 0, True
    while now < 300:
        now += period
        one = one.failed(now)
        changes += used
        used = not one.suppressed_at(now + period / 2)
        changes += used
        now += period
    assert changes <= 8


def test_failures_far_apart_are_not_damped() -> None:
    one = Damping()
    for number in range(100):
        one = one.failed(number * 40.0)
        assert not one.suppressed_at(number * 40.0)


@pytest.mark.parametrize("period", [1, 10, 19])
def test_the_third_failure_is_one_too_many(period) -> None:
    one, seen = Damping(), []
    for number in range(3):
        one = one.failed(number * period)
        seen.append(one.suppressed_at(number * period))
    assert seen == [False, False, True]
    now = 2 * period + damping.HALF_LIFE
    assert one.suppressed_at(now)
    assert one.failed(now).suppressed_at(now + damping.HALF_LIFE)


@given(
    st.lists(st.tuples(st.integers(0, 300), st.integers(60, 1500)), min_size=1, max_size=9),
    st.integers(9, 2**40),
)
def test_a_port_is_busy_when_it_sends_more_than_probes(readings, start):
    rate = probe_rate(20)
    traffic = Traffic().taken(0.0, start, start, rate)
    assert traffic.busy is None
    packets = octets = start
    for number, (sent, size) in enumerate(readings, 1):
        packets, octets = packets + sent, octets + sent * size
        traffic = traffic.taken(float(number), octets, packets, rate)
        probes = sent <= rate + 1 and (not sent or size <= PROBE_OCTETS)
        assert traffic.busy is not probes
    assert traffic.taken(99.0, 5, packets, rate).busy is None
    again = traffic.taken(float(len(readings)), octets + 10**6, packets + 10**4, rate)
    assert again == traffic


def test_an_idle_tunnel_of_the_userspace_datapath_is_not_busy():
    # As read of one, five seconds apart: 12 packets of BFD a second, each counted twice.
    traffic = Traffic().taken(43.920, 131084, 1421, probe_rate(100))
    for at, octets, packets in ((49.197, 142674, 1547), (54.405, 154326, 1673)):
        traffic = traffic.taken(at, octets, packets, probe_rate(100))
        assert traffic.busy is False
