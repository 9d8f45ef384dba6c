# SPDX-License-Identifier: Apache-2.0
"""Which assertions hold is known after every change, of policies or of what is around them."""

import os
import time

import pytest
from asserted import DENY, NETWORK, SILENCE, edits

from vneter_sdn.daemon import prover
from vneter_sdn.daemon.docket import Docket
from vneter_sdn.daemon.lines import Lines
from vneter_sdn.daemon.prover import Assertions
from vneter_sdn.daemon.workbench import Workbench
from vneter_sdn.model.snapshot import Binding, Key, Status
from vneter_sdn.store.memory import MemoryStore
from vneter_sdn.store.port import Edit

BOTH = NETWORK + SILENCE
OUTSIDE = """\
- kind: Assertion
  metadata: {name: outside}
  spec: {source: {tenant: red}, target: {cidr: 198.51.100.7/32}}
- kind: Policy
  metadata: {name: names, tenant: red}
  spec:
    tier: application
    appliesTo: [{endpoints: {}}]
    egress: [{action: drop, peers: [{domain: bad.example}]}]
"""
NIGHT = 1_780_000_200.0
"""2026-05-28, 20:30 UTC: half an hour before the window below begins."""
WINDOW = "{hours: '21:00-22:00'}"


class World:
    """Two endpoints, and who finds out what holds."""

    def __init__(self):
        self.store, self.now, self.docket = MemoryStore(), NIGHT, Docket()
        self.bench = Workbench(lambda: self.now)
        self.apply(BOTH)
        ends = enumerate((("a", "h1"), ("b", "h2")), 1)
        found = [Binding(Key("Endpoint", "red", e), h, "port1", 1, n) for n, (e, h) in ends]
        self.store.bind(found)

    def apply(self, text):
        self.store.apply(edits(text), author="test")

    def judged(self):
        """What does not hold."""
        proof, judged = self.bench.followed(self.store.snapshot())
        self.docket.take(proof, judged)
        for key in tuple(self.docket.open):
            self.docket.settle(proof, key)
        return {name: text for name, text in self.docket.said().items() if text}

    def stirs(self):
        return self.bench.stirs(self.store.snapshot())


@pytest.fixture
def world():
    return World()


def test_each_change_makes_or_breaks_what_it_is_about(world):
    assert set(world.judged()) == {"silence"}
    world.apply(DENY.replace("PORT", "22"))
    assert world.judged() == {}
    world.apply(DENY.replace("PORT", "80"))
    broken = world.judged()
    assert set(broken) == {"talk", "silence"}
    assert "Endpoint red/a cannot open tcp/80 to Endpoint red/b" in broken["talk"]
    assert "by Policy red/deny ingress[0]: drop" in broken["talk"]
    world.apply("- {kind: Tenant, metadata: {name: blue}, spec: {}}")
    assert set(world.judged()) == {"talk", "silence"}
    world.store.apply([Edit("delete", Key("Policy", "red", "deny"))], author="test")
    world.store.apply([Edit("delete", Key("Assertion", "", "silence"))], author="test")
    assert world.judged() == {}


def test_an_assertion_that_is_written_anew_is_judged_anew(world):
    world.judged()
    world.apply(BOTH.replace("expect: denied", "expect: allowed"))
    assert world.judged() == {}


def test_a_window_that_begins_is_news(world):
    world.apply(DENY.replace("PORT", "80") + f"    schedule: [{WINDOW}]\n")
    assert set(world.judged()) == {"silence"}
    assert not world.stirs()
    world.now += 3600
    assert world.stirs()
    assert set(world.judged()) == {"talk", "silence"}
    assert not world.stirs()


def test_what_a_name_stands_for_is_news(world):
    world.apply(OUTSIDE)
    assert "outside" not in world.judged()
    names = {"bad.example": {"198.51.100.7": "2030-01-01T00:00:00Z"}}
    tenant = Key("Tenant", "", "red")
    world.store.report([Status(tenant, details={"names": names})])
    assert world.stirs()
    assert "outside" in world.judged()
    world.store.report([Status(tenant, details={"names": {}})])
    assert world.stirs()
    assert "outside" not in world.judged()


def test_what_endpoints_report_is_none(world):
    world.judged()
    world.store.report([Status(Key("Endpoint", "red", "a"), details={"sequence": 1})])
    assert not world.stirs()


# ---- by lines


@pytest.fixture
def process(world, monkeypatch):
    """The proving process, one turn at a time, and what it says."""
    monkeypatch.setattr(prover, "QUIET", 0.0)
    monkeypatch.setattr(prover, "LOOK", 0.0)
    (nothing, _), (said, sink) = os.pipe(), os.pipe()
    made = Assertions(world.store, Lines(nothing, sink), 60.0)
    heard = Lines(said, sink)

    def turn():
        made.turn()
        said = heard.next(0)
        while made._docket.open:
            made.turn()
            said = heard.next(0)
        return said

    return made, turn


def test_it_speaks_when_there_is_news(world, process):
    _, turn = process
    first = turn()
    assert first["revision"] == world.store.snapshot().revision
    assert first["against"]["talk"] == ""
    assert turn() is None
    world.apply(DENY.replace("PORT", "80"))
    assert "cannot open tcp/80" in turn()["against"]["talk"]
    world.store.report([Status(Key("Assertion", "", "talk"), details={"holds": "False"})])
    assert turn() is None


def test_what_takes_too_long_is_not_known(world, process, monkeypatch):
    made, turn = process
    made._limit = 0.05
    with monkeypatch.context() as slow:
        slow.setattr(Workbench, "followed", lambda *_: time.sleep(60))
        late = turn()
    assert late["against"] is None
    assert late["seconds"] < 30
    made._limit = 60.0
    world.apply(DENY.replace("PORT", "80"))
    assert "cannot open tcp/80" in turn()["against"]["talk"]


def test_one_that_takes_too_long_keeps_no_other_from_being_found_out(world, process, monkeypatch):
    _, turn = process
    judge = Docket.settle

    def slow(docket, proof, key):
        return time.sleep(60) if key.name == "talk" else judge(docket, proof, key)

    limits = iter((60.0, 60.0, 0.05))  # of the change, of silence, of talk
    monkeypatch.setattr(prover, "limited", lambda _, keep=prover.limited: keep(next(limits)))
    with monkeypatch.context() as patched:
        patched.setattr(Docket, "settle", slow)
        said = turn()["against"]
    assert said["talk"] is None
    assert "can open tcp/22" in said["silence"]
    monkeypatch.undo()
    world.apply("- {kind: Tenant, metadata: {name: blue}, spec: {}}")
    assert turn()["against"]["talk"] == ""
