# SPDX-License-Identifier: Apache-2.0
"""Who must answer whom, and what a difference means."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vneter_sdn.fleet.expectation import (
    Finding,
    Peer,
    Seen,
    expected,
    findings,
    judge,
    questions,
)

RED1 = Peer("red", "a", ("10.0.0.1", "fd00::1"))
RED2 = Peer("red", "b", ("10.0.0.2",))
BLUE1 = Peer("blue", "a", ("10.0.0.1",))
BLUE9 = Peer("blue", "z", ("10.0.0.9", "fd00::9"))
PEERS = (RED1, RED2, BLUE1, BLUE9)
WAYS = [("icmp", 0), ("tcp", 80)]


def test_every_ordered_pair_is_asked_by_families_the_source_has():
    asked = questions(PEERS, WAYS)

    assert len([q for q in asked if q.source == "red/a"]) == 2 * (1 + 1 + 2)
    assert len([q for q in asked if q.source == "red/b"]) == 2 * 3
    assert {q.family for q in asked if q.source == "red/b"} == {4}
    assert not [q for q in asked if q.source == q.target]
    assert {q.family for q in questions(PEERS, WAYS, (6,))} == {6}


def test_the_owner_in_ones_own_tenant_must_answer():
    wanted = expected(PEERS, questions(PEERS, WAYS))
    by_pair = {(q.source, q.target, q.address): who for q, who in wanted.items()}

    assert by_pair["red/a", "red/b", "10.0.0.2"] == "red/b"
    assert by_pair["red/b", "blue/a", "10.0.0.1"] == "red/a"
    assert by_pair["red/b", "blue/z", "10.0.0.9"] is None
    assert by_pair["blue/z", "red/a", "10.0.0.1"] == "blue/a"
    assert by_pair["blue/z", "red/a", "fd00::1"] is None


def test_one_address_written_in_two_ways_is_one():
    peers = (Peer("red", "a", ("fd00::1",)), Peer("red", "b", ("fd00:0:0::2",)))
    wanted = expected(peers, questions(peers, [("icmp", 0)]))
    assert set(wanted.values()) == {"red/a", "red/b"}


@pytest.mark.parametrize(
    ("wanted", "answered", "heard", "finding"),
    [
        ("red/b", "red/b", {"red/b"}, Finding.REACHED),
        ("red/b", "red/b", set(), Finding.REACHED),
        ("red/b", None, set(), Finding.UNREACHABLE),
        ("red/b", None, {"red/b"}, Finding.UNREACHABLE),
        ("red/b", "red/c", {"red/c"}, Finding.MISTAKEN),
        ("red/b", "red/b", {"red/b", "red/c"}, Finding.MISTAKEN),
        ("red/b", "red/b", {"red/b", "blue/b"}, Finding.LEAK),
        ("red/b", "blue/b", {"blue/b"}, Finding.LEAK),
        (None, None, set(), Finding.SILENT),
        (None, None, {"blue/b"}, Finding.LEAK),
        (None, "?/10.0.0.9", set(), Finding.LEAK),
        (None, "red/c", {"red/c"}, Finding.MISTAKEN),
    ],
)
def test_what_an_outcome_proves(wanted, answered, heard, finding):
    assert judge("red/a", wanted, Seen(answered, frozenset(heard))) is finding


def test_a_question_without_an_outcome_was_not_answered():
    asked = questions((RED1, RED2), [("icmp", 0)])
    assert set(findings(expected((RED1, RED2), asked), {}).values()) == {Finding.UNREACHABLE}


names = st.sampled_from(["red/a", "red/b", "blue/a", "blue/z"])


@given(names, st.none() | names, st.none() | names, st.frozensets(names))
def test_only_the_wanted_one_and_nobody_else_is_good(source, wanted, answered, heard):
    finding = judge(source, wanted, Seen(answered, heard))
    touched = heard | ({answered} if answered else set())

    assert finding.good == (answered == wanted and touched <= {wanted})
    foreign = any(one != wanted and one[0] != source[0] for one in touched)
    assert (finding is Finding.LEAK) == foreign
