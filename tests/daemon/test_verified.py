# SPDX-License-Identifier: Apache-2.0
"""The setting verify_applies: what breaks an assertion is refused, or remarked on."""

import gc
import os
import re
import sys
import time

import pytest
from asserted import DENY, NETWORK, edits

from vneter_sdn.daemon import proofs
from vneter_sdn.daemon.lines import Lines
from vneter_sdn.daemon.proofs import DistantProofs
from vneter_sdn.daemon.prover import Changes
from vneter_sdn.daemon.verified import VerifiedStore
from vneter_sdn.daemon.workbench import Workbench
from vneter_sdn.errors import IntentError, Problem
from vneter_sdn.model.snapshot import Binding, Key
from vneter_sdn.store.memory import MemoryStore
from vneter_sdn.store.port import Edit


@pytest.fixture
def store():
    made = MemoryStore()
    made.apply(edits(NETWORK), author="test")
    ends = enumerate((("a", "h1"), ("b", "h2")), 1)
    made.bind([Binding(Key("Endpoint", "red", e), h, "port1", 1, n) for n, (e, h) in ends])
    return made


def verified(store, *, enforce):
    return VerifiedStore(store, Workbench(), enforce=enforce)


def test_what_breaks_an_assertion_is_refused_with_a_packet(store):
    proven = verified(store, enforce=True)
    before = store.snapshot()
    with pytest.raises(IntentError) as refused:
        proven.apply(edits(DENY.replace("PORT", "80")), author="test")
    (problem,) = refused.value.problems
    assert problem.object == "Assertion talk"
    assert problem.reason == "BreaksAssertion"
    assert "tcp/80 from Endpoint red/a on h1 to Endpoint red/b" in problem.message
    assert "over h1 > h2" in problem.message
    assert "by Policy red/deny ingress[0]: drop" in problem.message
    assert store.snapshot() is before


def test_after_a_refusal_others_are_judged_by_what_is_written(store):
    proven = verified(store, enforce=True)
    with pytest.raises(IntentError):
        proven.apply(edits(DENY.replace("PORT", "80")), author="test")
    done = proven.apply(edits(DENY.replace("PORT", "81")), author="test")
    assert done.created == (Key("Policy", "red", "deny"),)
    assert done.notes == ()
    with pytest.raises(IntentError):
        proven.apply(edits(DENY.replace("PORT", "80")), author="test")


def test_it_may_be_remarked_on_instead(store):
    proven = verified(store, enforce=False)
    done = proven.apply(edits(DENY.replace("PORT", "80")), author="test")
    assert done.created
    assert len(done.notes) == 1
    assert done.notes[0].startswith("Assertion talk: Endpoint red/a cannot open tcp/80")


def test_what_is_written_beside_it_is_followed(store):
    proven = verified(store, enforce=True)
    proven.apply(edits(DENY.replace("PORT", "81")), author="test")
    store.apply(edits(DENY.replace("PORT", "80")), author="somebody else")
    wider = edits("- {kind: Tenant, metadata: {name: blue}, spec: {}}")
    assert proven.apply(wider, author="test").created == (Key("Tenant", "", "blue"),)


def test_going_back_is_proven_too(store):
    store.apply(edits(DENY.replace("PORT", "80")), author="somebody")
    store.apply([Edit("delete", Key("Policy", "red", "deny"))], author="somebody")
    proven = verified(store, enforce=True)
    before = store.snapshot()
    for dry_run in (True, False):
        with pytest.raises(IntentError) as refused:
            proven.rollback(2, author="test", dry_run=dry_run)
        assert refused.value.problems[0].reason == "BreaksAssertion"
    assert store.snapshot() is before
    assert proven.rollback(1, author="test").revision == before.revision
    remarked = verified(store, enforce=False).rollback(2, author="test")
    assert (remarked.created, len(remarked.notes)) == ((Key("Policy", "red", "deny"),), 1)
    assert proven.rollback(1, author="test").proven > 0


def test_what_was_done_before_is_not_proven_again(store):
    proven = verified(store, enforce=True)
    done = proven.apply(edits(DENY.replace("PORT", "81")), author="test", idempotency_key="k")
    back = proven.rollback(1, author="test", idempotency_key="b")
    again = proven.apply(edits(DENY.replace("PORT", "81")), author="test", idempotency_key="k")
    assert (again.revision, again.replayed, again.proven) == (done.revision, True, None)
    again = proven.rollback(1, author="test", idempotency_key="b")
    assert (again.revision, again.replayed, again.proven) == (back.revision, True, None)


def test_what_is_not_acceptable_is_the_stores_to_refuse(store):
    proven = verified(store, enforce=True)
    with pytest.raises(IntentError) as refused:
        proven.apply(edits(DENY.replace("PORT", "80").replace("red", "green")), author="test")
    assert "Breaks" not in {one.reason for one in refused.value.problems}


def test_the_time_it_took_is_told(store):
    proven = verified(store, enforce=True)
    assert proven.apply(edits(DENY.replace("PORT", "81")), author="test").proven > 0
    with pytest.raises(IntentError) as refused:
        proven.apply(edits(DENY.replace("PORT", "80")), author="test")
    assert re.search(r"; that took \d+\.\d\d s to find$", refused.value.problems[0].message)
    assert store.apply(edits(DENY.replace("PORT", "82")), author="test").proven is None


def test_a_proof_that_fails_is_no_proof(store, monkeypatch):
    bench = Workbench()
    proven = VerifiedStore(store, bench, enforce=True)
    monkeypatch.setattr(bench, "followed", lambda _: 1 / 0)
    with pytest.raises(IntentError) as refused:
        proven.apply(edits(DENY.replace("PORT", "81")), author="test")
    assert [one.reason for one in refused.value.problems] == ["NotProven"]
    with pytest.raises(IntentError):
        proven.apply(edits(DENY.replace("PORT", "81")), author="test", dry_run=True)


# ---- in another process


class Ends:
    """Both ends of a conversation by lines."""

    def __init__(self):
        (here, self.answers), (self.questions, there) = os.pipe(), os.pipe()
        self.near, self.far = Lines(here, there), Lines(self.questions, self.answers)


def test_what_is_read_beforehand_says_the_same(store):
    bench = Workbench()
    assert not bench.prepare(60)
    bench.followed(store.snapshot())
    steps = 1
    while bench.prepare(0):  # a step each time
        steps += 1
    assert steps > 10
    for port, broken in (("80", 1), ("81", 0)) * 2:
        proven = bench.prove(edits(DENY.replace("PORT", port)), store.snapshot())
        assert len(proven.problems) == broken
        bench.prepare(60)
    bench.forget()
    assert gc.get_freeze_count() == 0


def asked(store, changes, ends, text, number=1):
    known = [[e.verb, list(e.key), e.manifest, e.origin] for e in edits(text)]
    said = {"number": number, "revision": store.snapshot().revision, "edits": known}
    ends.near.say(said)
    changes.turn()
    return ends.near.next(0)


def test_questions_are_answered_by_lines(store):
    ends = Ends()
    changes = Changes(store, ends.far, 30.0)
    assert asked(store, changes, ends, DENY.replace("PORT", "81")) == {"ready": True}
    ok = ends.near.next(0)
    assert (ok["number"], ok["problems"]) == (1, [])
    broken = asked(store, changes, ends, DENY.replace("PORT", "80"), 2)
    assert [one[2] for one in broken["problems"]] == ["BreaksAssertion"]
    assert broken["seconds"] > 0


def test_a_proof_that_takes_too_long_is_ended(store, monkeypatch):
    ends = Ends()
    changes = Changes(store, ends.far, 0.05)
    changes._bench.followed(store.snapshot())
    monkeypatch.setattr(Workbench, "followed", lambda *_: time.sleep(60))
    late = asked(store, changes, ends, DENY.replace("PORT", "81"))
    assert [one[2] for one in late["problems"]] == ["NotProven"]
    assert "longer than 0.05 s (verify_limit)" in late["problems"][0][3]
    assert late["seconds"] < 30
    assert not changes._bench.ready


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Something else than the proving process, which says what it is told to."""
    made = []

    def start(script, limit=0.3):
        words = (sys.executable, "-c", f"import json, sys, time\n{script}")
        monkeypatch.setattr(proofs, "command", lambda *_: words)
        made.append(DistantProofs("settings.json", limit))
        return made[-1]

    yield start
    for one in made:
        one.close()


ANSWERS = """
for line in sys.stdin:
    number = json.loads(line)["number"]
    print(json.dumps({"number": 0, "problems": [], "seconds": 9}))
    answer = {"number": number, "problems": [["a", "", "B", "c"]], "seconds": 0.5}
    print(json.dumps(answer), flush=True)
"""


def test_an_answer_is_that_to_the_question(store, elsewhere):
    said = elsewhere(ANSWERS, limit=60.0).prove(edits(DENY.replace("PORT", "81")), store.snapshot())
    assert said.problems == (Problem("a", "", "B", "c"),)
    assert said.seconds == 0.5


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("time.sleep(60)", "still compiled; try again"),
        ("print(json.dumps({'ready': True}), flush=True); time.sleep(60)", "longer than 0.3 s"),
        ("sys.exit(1)", "the proving process ended; try again"),
    ],
)
def test_no_answer_is_no_proof(store, elsewhere, monkeypatch, script, why):
    monkeypatch.setattr(proofs, "GRACE", 1.0)
    proven = VerifiedStore(store, elsewhere(script), enforce=True)
    with pytest.raises(IntentError) as refused:
        proven.apply(edits(DENY.replace("PORT", "81")), author="test")
    assert why in refused.value.problems[0].message
    assert refused.value.problems[0].reason == "NotProven"


def test_without_an_answer_a_warning_is_written_with_it(store, elsewhere, monkeypatch):
    monkeypatch.setattr(proofs, "GRACE", 0.0)
    done = VerifiedStore(store, elsewhere("time.sleep(60)"), enforce=False).apply(
        edits(DENY.replace("PORT", "81")), author="test"
    )
    assert done.created
    assert "it is not proven" in done.notes[0]
