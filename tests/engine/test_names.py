# SPDX-License-Identifier: Apache-2.0
"""What names stand for, and for how long that is believed."""

from __future__ import annotations

from vneter_sdn.compile.facts import RESOLVED
from vneter_sdn.compile.query import Fact
from vneter_sdn.engine.names import (
    ANEW,
    KEPT,
    LEAST,
    MOST_ADDRESSES,
    MOST_NAMES,
    Names,
    NamesAnswered,
    Waiting,
)


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
    assert names.ended(100 + KEPT) == {}
    assert names.next == 150 + KEPT
    assert names.ended(150 + KEPT) == {fact("a"): None}


def test_what_is_too_much_is_refused():
    names = Names()
    many = {f"192.0.{n >> 8}.{n & 255}": 60 for n in range(MOST_ADDRESSES + 5)}
    found = names.answered(said(a=many), ["*"], 0)
    assert len(found[fact("a")]) == MOST_ADDRESSES
    for number in range(MOST_NAMES + 5):
        names.answered(NamesAnswered("red", {f"n{number}": {"192.0.2.1": 1}}), ["*"], 0)
    assert names.refused == 5 + 6


def test_another_life_begins_with_what_was_reported():
    names, later = Names(), Names()
    names.answered(said(a={"192.0.2.1": 600}, b={"192.0.2.2": 30}), ["*"], 0)
    assert names.unreported == {"red"}
    reported = names.report("red")
    assert names.unreported == frozenset()
    begun = {fact("a"): ("192.0.2.1",), fact("b"): ("192.0.2.2",)}
    assert later.begin("red", reported, 80) == begun
    assert later.ended(80 + ANEW - 1) == {}
    assert later.ended(80 + ANEW) == {fact("b"): None}
    assert later.ended(600 + KEPT) == {fact("a"): None}


def test_what_lasts_a_little_longer_is_not_reported_again():
    names = Names()
    names.answered(said(a={"192.0.2.1": 60}), ["*"], 0)
    names.report("red")
    names.answered(said(a={"192.0.2.1": 60}), ["*"], ANEW - 1)
    assert names.unreported == frozenset()
    names.answered(said(a={"192.0.2.1": 60}), ["*"], ANEW)
    assert names.unreported == {"red"}


def test_a_tenant_that_went_is_forgotten():
    names = Names()
    names.answered(said(a={"192.0.2.1": 60}), ["*"], 0)
    assert names.forget("red") == {fact("a"): None}
    assert names.facts() == {}


def test_an_answer_waits_for_its_own_host():
    waiting, heard = Waiting(), []
    waiting.changed(["h1", "h2"], 7)
    for host in ("h1", "h3"):
        waiting.wait(NamesAnswered("red", {}, host, lambda w, host=host: heard.append((host, w))))
    waiting.settle(lambda host, epoch: False)
    assert heard == [("h3", False)]
    waiting.settle(lambda host, epoch: (host, epoch) == ("h1", 7))
    assert heard == [("h3", False), ("h1", True)]
    waiting.settle(lambda host, epoch: True)
    assert len(heard) == 2


def test_what_ends_first_gives_way_to_what_was_answered_last():
    names = Names()
    addresses = [f"192.0.2.{n}" for n in range(MOST_ADDRESSES)]
    for number, address in enumerate(addresses):
        names.answered(said(a={address: 1000 - number}), ["*"], 0)
    found = names.answered(said(a={"192.0.3.1": 60, addresses[-1]: 60}), ["*"], 0)
    held = set(found[fact("a")])
    assert held == {*addresses, "192.0.3.1"} - {addresses[-2]}
    assert names.refused == 1
