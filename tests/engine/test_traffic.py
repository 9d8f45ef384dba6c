# SPDX-License-Identifier: Apache-2.0
"""Plans for traffic that nobody declared: it was measured."""

from __future__ import annotations

import pytest
from diamond import WIRES, World
from test_planning import (
    POLICY,
    demand,
    engineered,
    pass_time,
    plan,
    restart_without_plans,
    weights,
)

from vneter_sdn.engine.planning import REST, Terms
from vneter_sdn.model.snapshot import Key
from vneter_sdn.model.traffic import Volume
from vneter_sdn.telemetry.matrix import Seen, TrafficSeen


@pytest.fixture
def world():
    made = World()
    made.links(*WIRES)
    return made


def measure(world, forth=0.0, back=0.0, pair=("s1", "s4"), silent=()):
    world.hear(TrafficSeen({POLICY: Seen({pair: Volume(forth, back)}, silent)}))


def details(world):
    return world.status(POLICY).details


def test_traffic_that_is_measured_is_planned_for_and_reported(world):
    world.apply(engineered())
    assert not plan(world)
    measure(world, 150, 3, silent=("s4",))
    found = weights(world)
    assert set(found) == {"s1:to-s2", "s1:to-s3"}
    assert abs(found["s1:to-s2"] - found["s1:to-s3"]) <= 1
    told = details(world)
    assert told["measured"] == {"s1>s4": {"forth": 150, "back": 3}}
    assert told["plannedFor"] == {"s1>s4": 150}
    assert told["unmeasured"] == ["s4"]
    assert told["measuredAt"]
    measure(world, 150, 3)
    assert "unmeasured" not in details(world)


def test_what_is_declared_comes_before_what_is_measured(world):
    world.apply(engineered(), demand(40))
    measure(world, 150)
    pass_time(world)
    assert details(world)["plannedFor"] == {"s1>s4": 40}
    assert details(world)["measured"] == {"s1>s4": {"forth": 150, "back": 0}}


def test_a_download_is_planned_the_way_its_packets_go(world):
    world.apply(engineered())
    measure(world, 2, 150)
    found = weights(world)
    assert set(found) == {"s1:to-s2", "s1:to-s3"}
    assert abs(found["s1:to-s2"] - found["s1:to-s3"]) <= 1
    assert details(world)["maxUtilisation"]["shortestPath"] == 1.5
    before = plan(world)
    pass_time(world)
    measure(world, 2, 190)
    assert details(world)["plannedFor"] == {"s1>s4": 190}
    assert plan(world) == before
    assert details(world)["moved"] == 0


def test_a_download_that_is_declared_leads_the_connections_that_ask_for_it(world):
    world.apply(engineered(), demand(150, "s4", "s1"))
    measure(world, 2, 90)
    pass_time(world)
    assert details(world)["plannedFor"] == {"s4>s1": 150}
    assert set(plan(world)) == {"s4>s1", "s1>s4"}
    assert sorted(weights(world).values()) == sorted(one["weight"] for one in plan(world)["s4>s1"])


def test_who_pauses_keeps_the_paths_he_had(world):
    world.apply(engineered())
    measure(world, 150)
    before = plan(world)
    pass_time(world)
    measure(world, 20, pair=("s4", "s1"))
    assert details(world)["plannedFor"] == {"s4>s1": 20}
    assert plan(world)["s1>s4"] == before["s1>s4"]


def test_a_restart_moves_nothing_before_it_has_measured(world):
    world.apply(engineered())
    measure(world, 150)
    before = world.status(POLICY)
    restart_without_plans(world)
    pass_time(world, 3 * REST)
    assert world.status(POLICY) == before
    routes = world.controller._compiler.chosen_paths(POLICY, "s1", "s4").routes
    assert {weight for _, weight in routes} == {
        one["weight"] for one in before.details["plan"]["s1>s4"]
    }


def test_a_plan_that_was_held_back_goes_on_when_it_may(world):
    world.apply(engineered())
    measure(world, 10)
    pass_time(world)
    world.controller.planner.terms = Terms(moves=2)
    before = weights(world)
    measure(world, 190)
    after = weights(world)
    assert details(world)["moved"] <= 2
    assert details(world)["maxUtilisation"]["ours"] <= 1.0
    for _ in range(5):
        pass_time(world)
    assert not details(world).get("bounded")
    assert before.keys() | after.keys() <= {"s1:to-s2", "s1:to-s3"}


def test_nobody_measures_for_a_policy_that_is_not_engineered(world):
    world.apply(engineered(sharing="equal"))
    measure(world, 150)
    assert "measured" not in details(world)
    world.hear(TrafficSeen({Key("PathPolicy", "", "gone"): Seen({})}))
