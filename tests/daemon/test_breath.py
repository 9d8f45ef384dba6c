# SPDX-License-Identifier: Apache-2.0
import gc

from vneter_sdn.daemon import breath
from vneter_sdn.daemon.breath import TURN, Breath, uncollected


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def test_others_have_their_turn_when_a_turn_is_over():
    clock, turns = Clock(), []
    breathe = Breath(lambda: turns.append(clock.now), clock)
    for _ in range(100):
        clock.now += 1.0
        breathe()
        breathe()
    assert len(turns) == 100


def test_a_turn_begins_when_others_have_had_theirs():
    clock, turns = Clock(), []

    def others():
        turns.append(clock.now)
        clock.now += 10 * TURN

    breathe = Breath(others, clock)
    clock.now += TURN
    breathe()
    breathe()
    assert len(turns) == 1


def test_garbage_is_left_alone_meanwhile_and_what_stays_for_good(monkeypatch):
    frozen = []
    monkeypatch.setattr(breath.gc, "freeze", lambda: frozen.append(1))
    assert gc.isenabled()
    with uncollected():
        assert not gc.isenabled()
        with uncollected():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()
    assert frozen == []
    monkeypatch.setattr(breath, "LARGE", 1000)
    with uncollected():
        kept = [[] for _ in range(2000)]
    assert frozen == [1]
    assert kept
