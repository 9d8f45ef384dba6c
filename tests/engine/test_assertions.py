# SPDX-License-Identifier: Apache-2.0
"""What assertions report: whether they hold, and since when that is known."""

import logging

import pytest
from diamond import World
from paper import edit

from vneter_sdn.engine.assertions import LONGEST
from vneter_sdn.engine.port import AssertionsJudged
from vneter_sdn.model.snapshot import Key

TALK = Key("Assertion", "", "talk")
ENDS = {"source": {"tenant": "red"}, "target": {"tenant": "red"}}


@pytest.fixture
def world():
    made = World()
    made.controller.policies.assertions.asked = True
    made.apply(edit("Assertion", "talk", "", **ENDS))
    return made


def judged(world, text, revision=None):
    now = world.store.snapshot().revision if revision is None else revision
    world.hear(AssertionsJudged(now, {"talk": text}, 0.5))


def test_what_is_found_out_is_told(world):
    assert world.condition(TALK, "Holds") == ("Unknown", "Proving")
    assert world.condition(TALK, "Ready") == ("True", "Accepted")
    judged(world, "")
    assert world.condition(TALK, "Holds") == ("True", "Proven")
    assert world.status(TALK).details == {"holds": "True"}
    judged(world, "a cannot open tcp/80 to b")
    assert world.condition(TALK, "Holds") == ("False", "Broken")
    assert world.message(TALK, "Holds") == "a cannot open tcp/80 to b"
    assert world.controller.policies.assertions.counts() == {"True": 0, "False": 1, "Unknown": 0}


def test_it_is_logged_when_one_breaks_and_when_it_holds_again(world, caplog):
    caplog.set_level(logging.INFO)
    for text in ("", "no way", "no way", ""):
        judged(world, text)
    told = [r.getMessage() for r in caplog.records if "talk" in r.getMessage()]
    assert told == ["Assertion talk does not hold: no way", "Assertion talk holds again"]


def test_what_was_found_out_of_an_older_one_says_nothing_of_the_new(world):
    old = world.store.snapshot().revision
    judged(world, "")
    world.apply(edit("Assertion", "talk", "", **ENDS, expect="denied"))
    assert world.condition(TALK, "Holds") == ("Unknown", "Proving")
    judged(world, "", old)
    assert world.condition(TALK, "Holds") == ("Unknown", "Proving")
    judged(world, "they can")
    assert world.condition(TALK, "Holds") == ("False", "Broken")


def test_what_could_not_be_found_out_is_not_known(world):
    judged(world, "")
    world.hear(AssertionsJudged(1, None, 60.0, "it takes too long"))
    assert world.condition(TALK, "Holds") == ("Unknown", "NotProven")
    assert world.message(TALK, "Holds") == "it takes too long"


def test_one_that_could_not_be_found_out_is_not_known_and_others_are(world):
    world.apply(edit("Assertion", "other", "", **ENDS))
    now = world.store.snapshot().revision
    world.hear(AssertionsJudged(now, {"talk": None}, 1.0, "it takes too long"))
    assert world.condition(TALK, "Holds") == ("Unknown", "NotProven")
    assert world.condition(Key("Assertion", "", "other"), "Holds") == ("Unknown", "Proving")


def test_what_was_said_stands_over_a_restart(world):
    judged(world, "no way")
    world.fresh()
    world.controller.policies.assertions.asked = True
    world.apply(edit("Tenant", "other"))
    assert world.condition(TALK, "Holds") == ("False", "Broken")


def test_messages_are_of_some_length_at_most(world):
    judged(world, "x" * 5000)
    assert len(world.message(TALK, "Holds")) == LONGEST


def test_where_nobody_finds_out_nothing_is_said():
    quiet = World()
    quiet.apply(edit("Assertion", "talk", "", **ENDS))
    assert [one.type for one in quiet.status(TALK).conditions] == ["Ready"]
    assert quiet.controller.policies.assertions.counts() == {"True": 0, "False": 0, "Unknown": 0}
