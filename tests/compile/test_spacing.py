# SPDX-License-Identifier: Apache-2.0
"""Things in an order keep their positions while others come and go."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vneter_sdn.compile.spacing import STEP, spaced
from vneter_sdn.errors import PipelineError

SIZE = 60_000


@given(st.lists(st.none() | st.integers(-3, 40), max_size=30), st.integers(31, 45))
def test_positions_grow_and_fit(held, size):
    found = spaced(held, size)
    assert len(found) == len(held)
    assert all(one < other for one, other in pairwise([0, *found, size]))


@given(st.lists(st.none() | st.integers(-3, 40), max_size=30), st.integers(31, 45))
def test_what_was_given_is_kept(held, size):
    found = spaced(held, size)
    assert spaced(found, size) == found


@given(st.sets(st.integers(1, 99)), st.data())
def test_one_more_moves_nobody_where_there_is_a_gap(taken, data):
    held = sorted(taken)
    place = data.draw(st.integers(0, len(held)))
    low, high = [0, *held, 100][place : place + 2]
    found = spaced([*held[:place], None, *held[place:]], 100)
    if high - low > 1:
        assert [*found[:place], *found[place + 1 :]] == held


def test_at_first_they_are_evenly_apart():
    assert spaced([None] * 3, SIZE) == [STEP, 2 * STEP, 3 * STEP]
    assert spaced([None] * 4, 5) == [1, 2, 3, 4]
    assert spaced([], SIZE) == []


@given(st.sets(st.integers(0, 19)))
def test_a_report_that_comes_in_pieces_moves_nobody(known):
    """What was placed at once and is half known by now stays where it is."""
    found = spaced([None] * 20, SIZE)
    held = [position if index in known else None for index, position in enumerate(found)]
    assert spaced(held, SIZE) == found


def test_those_out_of_order_give_way_to_most():
    assert spaced([10, 50, 20, 30], 100)[0] == 10
    assert spaced([10, 50, 20, 30], 100)[2:] == [20, 30]


def test_as_many_as_positions_is_too_many():
    with pytest.raises(PipelineError, match="no positions"):
        spaced([None] * 5, 5)


@pytest.mark.parametrize("where", ["anywhere", "front", "back", "middle"])
def test_insertions_move_few(where):
    """A thousand are there, and hundreds more come one by one, wherever they come."""
    dice, held = random.Random(where), spaced([None] * 1_000, SIZE)
    moved = []
    for _ in range(300):
        place = {
            "anywhere": dice.randrange(len(held) + 1),
            "front": 0,
            "back": len(held),
            "middle": 500,
        }[where]
        found = spaced([*held[:place], None, *held[place:]], SIZE)
        after = [*found[:place], *found[place + 1 :]]
        moved.append(sum(one != other for one, other in zip(held, after, strict=True)))
        held = found
    assert sum(moved) / len(moved) <= 16
    assert moved[0] == 0
    if where in ("anywhere", "back"):
        assert sum(moved) / len(moved) <= 1


def test_a_full_table_still_takes_one_more():
    held = spaced([None] * 98, 100)
    found = spaced([*held[:40], None, *held[40:]], 100)
    assert found == list(range(1, 100))
