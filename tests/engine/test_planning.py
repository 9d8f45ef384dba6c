# SPDX-License-Identifier: Apache-2.0
"""Plans are made when they are due, kept across restarts, and move no more than they may."""

from __future__ import annotations

import pytest
from diamond import WIRES, World
from hypothesis import given
from hypothesis import strategies as st
from paper import edit

from vneter_sdn.compile.engineered import Task
from vneter_sdn.compile.facts import plan_of
from vneter_sdn.engine.planning import REST, Terms, digest, due
from vneter_sdn.engine.port import LinksDue
from vneter_sdn.errors import IntentError, VneterError
from vneter_sdn.graph.topology import Topology
from vneter_sdn.model.snapshot import Key

POLICY = Key("PathPolicy", "", "p")


def demand(mbps, source="s1", target="s4"):
    return edit("Demand", f"{source}-{target}", source=source, target=target, mbps=mbps)


def restart_without_plans(world):
    """A controller that starts on what is stored, and must not plan."""

    def never(work):
        raise AssertionError("it plans")

    world.fresh()
    world.controller.planner.terms = Terms(never)
    world.settle()
    world.connect()
    world.links(*WIRES)


def engineered(**more):
    spec = {"tenants": ["red"], "paths": 2, "sharing": "engineered"}
    return edit("PathPolicy", "p", **(spec | more))


@pytest.fixture
def world():
    made = World()
    made.links(*WIRES)
    return made


def plan(world):
    return world.status(POLICY).details.get("plan", {})


def weights(world):
    return {one["route"].split(">")[0]: one["weight"] for one in plan(world).get("s1>s4", ())}


def pass_time(world, reports=REST):
    for _ in range(reports):
        world.hear(LinksDue())


def test_more_than_one_way_carries_what_is_declared(world):
    world.apply(engineered(), demand(150))
    found = weights(world)
    assert set(found) == {"s1:to-s2", "s1:to-s3"}
    assert abs(found["s1:to-s2"] - found["s1:to-s3"]) <= 1
    highest = world.status(POLICY).details["maxUtilisation"]
    assert highest["shortestPath"] == 1.5
    assert highest["lpBound"] == 0.75 <= highest["ours"] <= 0.75 * 1.03
    routes = world.status(POLICY).details["paths"]["s1>s4"]["routes"]
    assert sorted(one["weight"] for one in routes) == sorted(found.values())
    assert all("colour" in one for one in routes)


def test_a_plan_rests_and_small_changes_move_nothing(world):
    world.apply(engineered(), demand(100))
    first = world.status(POLICY).details
    world.apply(demand(110))
    pass_time(world)
    assert world.status(POLICY).details["plannedFor"] == first["plannedFor"]
    world.apply(demand(150))
    assert world.status(POLICY).details["plannedFor"] == {"s1>s4": 150.0}
    world.apply(demand(30))
    assert world.status(POLICY).details["plannedFor"] == {"s1>s4": 150.0}
    pass_time(world)
    assert world.status(POLICY).details["plannedFor"] == {"s1>s4": 30.0}


def test_a_restart_plans_nothing(world):
    world.apply(engineered(), demand(150))
    before = world.status(POLICY)
    restart_without_plans(world)
    pass_time(world)
    assert world.status(POLICY) == before


def test_what_the_graph_loses_is_left_at_once_and_planned_anew(world):
    world.apply(engineered(), demand(150))
    pass_time(world)
    world.links(("s3", "s4"), up=False)
    assert set(weights(world)) == {"s1:to-s2"}
    assert len(world.controller._compiler.chosen_paths(POLICY, "s1", "s4").routes) == 1
    world.apply(world.wire("s1", "s2", drained=True))
    assert world.controller._compiler.chosen_paths(POLICY, "s1", "s4").routes


def test_no_more_paths_move_than_may(world):
    world.controller.planner.terms = Terms(moves=0)
    world.apply(engineered(), demand(150))
    before = plan(world)
    pass_time(world)
    world.apply(demand(10))
    pass_time(world)
    assert world.status(POLICY).details["plannedFor"] == {"s1>s4": 10.0}
    assert plan(world) == before


def test_a_solver_that_fails_costs_the_plan_alone(world):
    def failing(work):
        raise VneterError("no optimum")

    world.controller.planner.terms = Terms(failing)
    world.apply(engineered(), demand(150))
    assert world.status(POLICY).details["planError"] == "no optimum"
    assert world.condition(POLICY, "Satisfied") == ("True", "Satisfied")


def test_who_is_not_engineered_any_more_has_no_plan(world):
    world.apply(engineered(), demand(150))
    assert plan(world)
    world.apply(engineered(sharing="equal"))
    assert not plan(world)
    assert "plannedFor" not in world.status(POLICY).details


def test_what_a_plan_does_not_look_at_is_refused(world):
    for more in ({"disjoint": "link"}, {"constraints": {"maxHops": 3}}):
        with pytest.raises(IntentError, match="not looked at where sharing is engineered"):
            world.apply(engineered(**more))
    with pytest.raises(IntentError):
        world.apply(demand(10, "s1", "s1"))
    assert Key("PathPolicy", "", "p") not in world.store.snapshot().objects


rates = st.dictionaries(
    st.sampled_from([("a", "b"), ("b", "a"), ("a", "c")]), st.floats(0.1, 100), max_size=3
)


@given(rates, rates)
def test_a_fifth_is_what_counts(old, new):
    before, after = (Task(Topology(), frozenset(), asked, 2) for asked in (old, new))
    told = {
        "plannedOn": digest(before),
        "plannedFor": {f"{s}>{t}": mbps for (s, t), mbps in old.items()},
    }
    changed = sum(abs(new.get(p, 0) - old.get(p, 0)) for p in {*old, *new})
    assert due(told, after) == (changed > 0 and changed >= 0.2 * sum(old.values()))
    assert due({}, after)


def test_a_plan_is_read_back_as_it_was_told():
    details = {"plan": {"a>b": [{"route": "a>c c>b", "weight": 3}, {"route": "a>b", "weight": 1}]}}
    assert plan_of(details) == {("a", "b"): ((("a>c", "c>b"), 3), (("a>b",), 1))}
    assert plan_of({}) is None
