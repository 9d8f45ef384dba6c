# SPDX-License-Identifier: Apache-2.0
"""Every packet under an engineered policy is counted once, and no plan makes the counter new."""

from __future__ import annotations

import pytest
from fabric import ACK, SYN, Fabric
from test_paths import TWO, choices, diamond

from vneter_sdn.compile.features.traffic import COOKIE, COOKIE_MASK, TABLE, counted
from vneter_sdn.compile.query import Fact
from vneter_sdn.model.snapshot import Key
from vneter_sdn.simulate import fleet as simulated


@pytest.fixture
def met(monkeypatch):
    """(flow, ...) of those that count and were met, in order, on all bridges."""
    found = []
    real = simulated.run

    def run(*words, **more):
        result = real(*words, **more)
        found.extend(
            flow
            for number, flow in result.trail
            if number == TABLE and flow.cookie & COOKIE_MASK == COOKIE
        )
        return result

    monkeypatch.setattr(simulated, "run", run)
    return found


def engineered(**policy):
    return diamond(**(TWO | {"sharing": "engineered"} | policy))


def flows(fabric, host="h1"):
    return [
        f for f in fabric.compiler.bridge(host).flows.values() if f.cookie & COOKIE_MASK == COOKIE
    ]


def test_every_packet_is_counted_once_where_it_starts(met):
    fabric = Fabric.of(engineered())
    for n in (*choices(fabric)[:4],):
        for packet, own in (((1, 4, 1000 + n, 80, SYN), True), ((4, 1, 80, 1000 + n, ACK), False)):
            for _ in range(2):
                source, target, sport, dport, flags = packet
                met.clear()
                assert fabric.way(source, target, sport, dport, flags=flags, choice=n)
                assert [counted(f.key) for f in met] == [(5, target, own)]
        met.clear()
        assert fabric.way(1, 4, 1000 + n, flags=ACK, choice=n + 1), "established, and pinned"
        assert [counted(f.key) for f in met] == [(5, 4, True)]


def test_nobody_else_is_counted(met):
    fabric = Fabric.of(diamond())
    assert fabric.way(1, 4)
    assert not met
    assert not flows(fabric)


def test_counters_are_found_by_their_cookie_alone_and_read_back():
    fabric = Fabric.of(engineered())
    found = flows(fabric)
    assert {counted(f.key) for f in found} == {
        (5, to, own) for to in (2, 3, 4) for own in (True, False)
    }
    others = [f for f in fabric.compiler.bridge("h1").flows.values() if f not in found]
    assert not [f for f in others if counted(f.key) is not None and f.table != TABLE]
    assert {f.table for f in found} == {TABLE}


def test_a_plan_changes_no_counter():
    before = Fabric.of(engineered())
    after = Fabric.of(engineered(paths=1))
    assert flows(before) == flows(after)


def test_an_engineered_policy_can_be_taken_away():
    fabric, policy = Fabric.of(engineered()), Key("PathPolicy", "", "spread")
    assert fabric.compiler.task(policy) is not None
    fabric.compiler.update({Fact("PathPolicy", policy): None})
    assert fabric.compiler.task(policy) is None
    assert not flows(fabric)
