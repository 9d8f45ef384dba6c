# SPDX-License-Identifier: Apache-2.0
"""When a relay lets frames go: laws of one direction, under a clock of the test's own."""

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vneter_sdn.fleet.relay import HELD, Direction, Shape, parser, shapes

SHAPES = st.builds(
    Shape,
    delay=st.sampled_from([0.0, 0.001, 0.25]),
    jitter=st.sampled_from([0.0, 0.0005, 0.5]),
    loss=st.sampled_from([0.0, 0.3, 1.0]),
    rate=st.sampled_from([0.0, 1e4, 1e6]),
    limit=st.sampled_from([0, 1, 3, 1000]),
    reorder=st.booleans(),
)
ARRIVALS = st.lists(
    st.tuples(st.sampled_from([0.0, 0.0001, 0.01, 1.0]), st.integers(14, 1514)), max_size=60
)


def play(shape, arrivals, seed=1):
    """(time, size, due) of each frame offered, and the direction."""
    direction, now, seen = Direction(shape, seed), 0.0, []
    for pause, size in arrivals:
        now += pause
        seen.append((now, size, direction.offer(now, size)))
    return seen, direction


@given(SHAPES, ARRIVALS)
def test_every_frame_is_held_lost_or_dropped(shape, arrivals):
    seen, direction = play(shape, arrivals)
    count = direction.count
    due = [one for *_, one in seen if one is not None]
    assert count.received == len(arrivals) == len(due) + count.lost + count.dropped
    assert direction.held == len(due)
    for number, _ in enumerate(due):
        direction.left(100, taken=number % 2 == 0)
    assert (direction.held, count.sent + count.refused) == (0, len(due))
    assert count.sent_bytes == 100 * count.sent


@given(SHAPES, ARRIVALS)
def test_order_is_kept_unless_it_need_not_be(shape, arrivals):
    due = [one for *_, one in play(shape, arrivals)[0] if one is not None]
    assert shape.reorder or due == sorted(due)


@given(SHAPES, ARRIVALS)
def test_delay_is_within_its_bounds_without_a_line(shape, arrivals):
    shape = Shape(delay=shape.delay, jitter=shape.jitter, loss=shape.loss, reorder=True)
    for now, _, due in play(shape, arrivals)[0]:
        if due is not None:
            least = max(0.0, shape.delay - shape.jitter)
            assert now + least - 1e-9 <= due <= now + shape.delay + shape.jitter + 1e-9


@given(ARRIVALS, st.sampled_from([1e4, 1e6]), st.sampled_from([0, 1, 5, 1000]))
def test_no_span_carries_more_than_the_rate(arrivals, rate, limit):
    seen = [one for one in play(Shape(rate=rate, limit=limit), arrivals)[0] if one[2] is not None]
    for first in range(len(seen)):
        bits = 0
        for _, size, due in seen[first + 1 :]:
            bits += size * 8
            assert bits <= (due - seen[first][2]) * rate * (1 + 1e-9) + 1e-6


@given(ARRIVALS, st.sampled_from([1e4, 1e6]))
def test_a_line_is_never_idle_while_frames_wait(arrivals, rate):
    seen, _ = play(Shape(rate=rate, limit=1000), arrivals)
    ends = [due for *_, due in seen]
    for (_, _, before), (now, size, due) in pairwise(seen):
        assert due == pytest.approx(max(now, before) + size * 8 / rate)
    assert ends == sorted(ends)


@given(ARRIVALS, st.integers(0, 5))
def test_no_more_wait_for_the_line_than_the_limit(arrivals, limit):
    rate = 1e4
    starts: list[float] = []
    for now, size, due in play(Shape(rate=rate, limit=limit), arrivals)[0]:
        waiting = sum(start > now + 1e-9 for start in starts)
        if due is None:
            assert waiting >= limit
        else:
            starts.append(due - size * 8 / rate)
            assert waiting < limit or starts[-1] <= now + 1e-9


@given(st.integers(), st.floats(0.01, 0.99))
def test_loss_follows_the_seed(seed, share):
    draws = random.Random(seed)
    expected = [draws.random() < share for _ in range(100)]
    seen, _ = play(Shape(loss=share), [(0.001, 100)] * 100, seed)
    assert [due is None for *_, due in seen] == expected


def test_loss_is_the_share_that_was_asked_for():
    _, direction = play(Shape(loss=0.1), [(0.0, 60)] * 20_000)
    assert 0.09 < direction.count.lost / 20_000 < 0.11


def test_a_lost_frame_has_used_the_line():
    direction = Direction(Shape(rate=8000, loss=1.0))
    for _ in range(3):
        direction.offer(0.0, 1000)
    direction.shape = Shape(rate=8000)
    assert direction.offer(0.0, 1000) == 4.0


def test_memory_is_bounded():
    _, direction = play(Shape(delay=1e6), [(0.0, 60)] * (HELD + 10))
    assert (direction.held, direction.count.dropped) == (HELD, 10)


def said(*words):
    return shapes(parser().parse_args(["a", "b", *words]))


def test_both_directions_are_alike_unless_the_way_back_is_given():
    there, back = said("--delay", "10", "--loss", "0.1", "--rate", "5", "--limit", "0")
    assert there == back == Shape(delay=0.01, loss=0.1, rate=5e6, limit=0)
    there, back = said("--delay", "10", "--reverse-delay", "0", "--reverse-loss", "1")
    assert (there, back) == (Shape(delay=0.01), Shape(loss=1.0))


@pytest.mark.parametrize(
    "words",
    [
        ("--delay", "-1"),
        ("--loss", "1.5"),
        ("--rate", "nan"),
        ("--jitter", "inf"),
        ("--reverse-limit", "-3"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(words):
    with pytest.raises(ValueError, match=words[0]):
        said(*words)
