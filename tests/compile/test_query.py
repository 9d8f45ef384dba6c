# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vneter_sdn.compile.query import Database, Fact, Index, query
from vneter_sdn.errors import PipelineError

BY_COLOUR = Index("by colour", "Ball", lambda key, colour: [colour])


@query
def parity(view, key):
    return (view.get("Number", key) or 0) % 2


@query
def label(view, key):
    return "odd" if view.ask(parity, key) else "even"


@query
def poster(view, key):
    return [
        label_ for ball in sorted(view.find(BY_COLOUR, key)) for label_ in view.ask(label, ball)
    ]


@query
def census(view, key):
    return sorted(view.keys("Ball"))


def database(*outputs, relation="Number"):
    return Database([BY_COLOUR], {relation: outputs})


def test_an_output_follows_its_facts():
    db = database(label)
    assert db.update({Fact("Number", "x"): 3}) == {(label, "x"): (None, "odd")}
    assert db.update({Fact("Number", "x"): 4}) == {(label, "x"): ("odd", "even")}
    assert db.update({Fact("Number", "x"): None}) == {(label, "x"): ("even", None)}
    assert db.size == 0


def test_an_equal_value_ends_the_wave():
    db = database(label)
    db.update({Fact("Number", "x"): 3})
    before = db.runs
    assert db.update({Fact("Number", "x"): 5}) == {}
    assert db.runs - before == 1, "only parity runs"


def test_an_equal_fact_runs_nothing():
    db = database(label)
    db.update({Fact("Number", "x"): 3})
    before = db.runs
    assert db.update({Fact("Number", "x"): 3}) == {}
    assert db.runs == before


def test_absence_is_read_too():
    db = database(poster, relation="Wall")
    db.update({Fact("Wall", "red"): True})
    assert db.value(poster, "red") == []
    db.update({Fact("Ball", "b"): "red"})
    assert db.value(poster, "red") == list("even")
    db.update({Fact("Number", "b"): 1})
    assert db.value(poster, "red") == list("odd")
    db.update({Fact("Ball", "b"): "blue"})
    assert db.value(poster, "red") == []


def test_keys_of_a_relation():
    db = database(census, relation="Wall")
    db.update({Fact("Wall", "w"): True, Fact("Ball", "b"): "red", Fact("Ball", "a"): "red"})
    assert db.value(census, "w") == ["a", "b"]


def test_keys_once_read_stay_as_they_were():
    taken = []

    @query
    def taker(view, key):
        taken.append(view.keys("Ball"))
        return len(taken[-1])

    db = database(taker, relation="Wall")
    db.update({Fact("Wall", "w"): True, Fact("Ball", "a"): "red"})
    db.update({Fact("Ball", "b"): "red"})
    db.update({Fact("Ball", "a"): None})
    assert taken == [frozenset("a"), frozenset("ab"), frozenset("b")]


def test_a_query_that_nothing_reads_any_more_is_dropped():
    db = database(poster, relation="Wall")
    db.update({Fact("Wall", "red"): True, Fact("Ball", "b"): "red"})
    held = db.size
    db.update({Fact("Ball", "c"): "red", Fact("Number", "c"): 1})
    db.update({Fact("Ball", "c"): None, Fact("Number", "c"): None})
    assert db.size == held
    db.update({Fact("Ball", "b"): None, Fact("Wall", "red"): None})
    assert db.size == 0


def test_cycles_are_refused():
    later = []

    @query
    def early(view, key):
        return view.ask(later[0], key)

    @query
    def late(view, key):
        return view.ask(early, key)

    later.append(late)
    with pytest.raises(PipelineError, match="early may not ask late: a cycle"):
        database(late).update({Fact("Number", "x"): 1})


def test_after_an_error_the_next_update_goes_on():
    @query
    def picky(view, key):
        number = view.get("Number", key)
        if number == 13:
            raise PipelineError("unlucky")
        return number

    db = database(picky)
    db.update({Fact("Number", "x"): 1, Fact("Number", "y"): 1})
    with pytest.raises(PipelineError, match="unlucky"):
        db.update({Fact("Number", "x"): 13, Fact("Number", "y"): 2})
    changed = db.update({Fact("Number", "x"): 3})
    assert changed == {(picky, "x"): (1, 3), (picky, "y"): (1, 2)}


balls = st.tuples(st.just("Ball"), st.sampled_from("abc"), st.sampled_from([None, "red", "blue"]))
numbers = st.tuples(st.just("Number"), st.sampled_from("abc"), st.sampled_from([None, 1, 2, 3]))
walls = st.tuples(st.just("Wall"), st.sampled_from(["red", "blue"]), st.sampled_from([None, True]))


@given(st.lists(st.lists(st.one_of(balls, numbers, walls), max_size=4), max_size=12))
def test_any_updates_equal_one_update(updates):
    db, held = database(poster, census, relation="Wall"), {}
    for update in updates:
        facts = {Fact(relation, key): value for relation, key, value in update}
        held |= facts
        db.update(facts)
    fresh = database(poster, census, relation="Wall")
    fresh.update({fact: value for fact, value in held.items() if value is not None})
    for wall in ("red", "blue"):
        assert db.value(poster, wall) == fresh.value(poster, wall)
        assert db.value(census, wall) == fresh.value(census, wall)
    assert db.size == fresh.size


@query
def balls(view, key):
    return frozenset(ball for ball in view.keys("Ball") if view.get("Ball", ball) == key)


@query
def colours(view, key):
    return {ball: view.get("Ball", ball) for ball in sorted(view.keys("Ball"))}


@query
def in_red(view, key):
    return view.holds(balls, "red", key)


@query
def colour(view, key):
    return view.entry(colours, "", key)


@pytest.mark.parametrize(("asked", "absent", "red"), [(in_red, False, True), (colour, None, "red")])
def test_of_what_is_read_alone_the_rest_may_change(asked, absent, red):
    db = database(asked, relation="Wall")
    db.update({Fact("Wall", "a"): True, Fact("Wall", "b"): True})
    assert (db.value(asked, "a"), db.value(asked, "b")) == (absent, absent)
    before = db.runs
    db.update({Fact("Ball", "a"): "red"})
    assert (db.value(asked, "a"), db.value(asked, "b")) == (red, absent)
    assert db.runs - before == 2, "the whole, and what reads that element of it"
    db.update({Fact("Ball", "c"): "red"})
    assert db.runs - before == 3, "the whole alone"
    db.update({Fact("Ball", "a"): None})
    assert (db.value(asked, "a"), db.runs - before) == (absent, 5)


def test_what_only_elements_are_read_of_goes_with_the_last_of_them():
    db = database(in_red, colour, relation="Wall")
    db.update({Fact("Wall", "a"): True, Fact("Wall", "b"): True, Fact("Ball", "a"): "red"})
    db.update({Fact("Wall", "a"): None})
    assert db.value(balls, "red") == {"a"}
    db.update({Fact("Wall", "b"): None})
    assert (db.value(balls, "red"), db.value(colours, "")) == (None, None)
    db.update({Fact("Ball", "a"): None})
    assert db.size == 0


@given(
    st.lists(
        st.tuples(st.sampled_from("abcd"), st.sampled_from([None, "red", "blue"])), max_size=12
    )
)
def test_elements_agree_with_the_whole(edits):
    db = database(in_red, colour, relation="Wall")
    db.update({Fact("Wall", wall): True for wall in "abcd"})
    now = {}
    for ball, value in edits:
        db.update({Fact("Ball", ball): value})
        now[ball] = value
        for wall in "abcd":
            assert db.value(in_red, wall) == (now.get(wall) == "red")
            assert db.value(colour, wall) == now.get(wall)
