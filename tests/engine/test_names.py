# SPDX-License-Identifier: Apache-2.0
"""What names stand for, and for how long that is believed."""

from __future__ import annotations

from vneter_sdn.compile.facts import RESOLVED
from vneter_sdn.compile.query import Fact
from vneter_sdn.engine.names import KEPT, LEAST, MOST_ADDRESSES, MOST_NAMES, Names, NamesAnswered


def fact(name, tenant="red"):
    return Fact(RESOLVED, f"{tenant}/{name}")


def said(**names):
    return NamesAnswered("red", {name.replace("_", "."): one for name, one in names.items()})


def test_wanted_names_become_facts_once():
    names = Names()
    answer = said(a_example={"192.0.2.1": 300, "::1": 300}, b_other={"192.0.2.2": 300})
    assert names.answered(answer, ["*.example"], 0) == {fact("a.example"): ("192.0.2.1", "::1")}
    assert names.answered(answer, ["*.example"], 1) == {}


def test_they_end_when_they_should():
    names = Names()
    names.answered(said(a={"192.0.2.1": 0, "192.0.2.2": 1000}), ["a"], 100)
    assert names.next == 100 + LEAST + KEPT
    assert names.ended(names.next - 1) == {}
    assert names.ended(names.next) == {fact("a"): ("192.0.2.2",)}
    assert names.ended(names.next) == {fact("a"): None}
    assert names.next is None


def test_an_answer_anew_lasts_longer():
    names = Names()
    names.answered(said(a={"192.0.2.1": 100}), ["a"], 0)
    names.answered(said(a={"192.0.2.1": 100}), ["a"], 50)
    assert names.next == 150 + KEPT


def test_what_is_too_much_is_refused():
    names = Names()
    many = {f"192.0.{n >> 8}.{n & 255}": 60 for n in range(MOST_ADDRESSES + 5)}
    found = names.answered(said(a=many), ["*"], 0)
    assert len(found[fact("a")]) == MOST_ADDRESSES
    for number in range(MOST_NAMES + 5):
        names.answered(NamesAnswered("red", {f"n{number}": {"192.0.2.1": 1}}), ["*"], 0)
    assert names.refused == 5 + 6
