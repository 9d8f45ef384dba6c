# SPDX-License-Identifier: Apache-2.0
"""Policies, reservations and draining through the whole controller, on bridges of paper."""

from __future__ import annotations

import pytest
from diamond import HOSTS, WIRES, World, rfc
from paper import edit

from vneter_sdn.engine.paths import READINGS
from vneter_sdn.model.snapshot import Key
from vneter_sdn.store.port import Edit

POLICY, HOLD = Key("PathPolicy", "", "p"), Key("Reservation", "", "hold")


@pytest.fixture
def world():
    return World()


def test_a_policy_tells_its_paths_weights_and_colours(world):
    world.apply(edit("PathPolicy", "p", tenants=["red"], paths=2, sharing="unequal"))
    assert world.condition(POLICY, "Satisfied") == ("True", "Satisfied")
    found = world.status(POLICY).details
    routes = found["paths"]["s1>s4"]["routes"]
    assert [one["weight"] for one in routes] == [3, 1]
    assert {one["colour"] for one in routes} == set(found["colours"])
    assert (found["pairs"], found["unsatisfied"], found["dropped"]) == (2, 0, 0)


def test_a_policy_that_nothing_satisfies_names_what_blocks_and_what_would_do(world):
    world.apply(edit("PathPolicy", "p", tenants=["red"], constraints={"maxHops": 1}))
    assert world.condition(POLICY, "Satisfied") == ("False", "NoPath")
    message = world.message(POLICY, "Satisfied")
    assert "maxHops" in message
    assert "maxHops 2 would do" in message
    assert world.status(POLICY).details["dropped"] == 2


def test_a_link_that_goes_changes_what_a_policy_says(world):
    world.apply(edit("PathPolicy", "p", tenants=["red"]))
    world.apply(world.wire("s1", "s2", disabled=True), world.wire("s3", "s4", disabled=True))
    assert world.condition(POLICY, "Satisfied") == ("False", "NoPath")
    assert "disabled" in world.message(POLICY, "Satisfied")
    assert world.status(POLICY).details["dropped"] == 0
    world.links(("s1", "s3"), up=False)
    world.apply(world.wire("s1", "s2"))
    assert world.condition(POLICY, "Satisfied") == ("True", "Satisfied")


def hold(name="hold", **spec):
    ends = {"tenant": "red", "source": "e1", "target": "e4", "rateMbps": 60}
    return edit("Reservation", name, **(ends | spec))


def test_a_reservation_is_admitted_and_metered(world):
    world.apply(hold())
    assert world.condition(HOLD, "Admitted") == ("True", "Admitted")
    assert world.condition(HOLD, "Active") == ("True", "Within")
    world.confirm()
    assert world.metered("s1")
    assert world.metered("s4")
    assert not world.metered("s2")


def test_who_comes_later_is_told_which_edge_is_full(world):
    world.apply(hold("first"), hold("second"))
    world.apply(hold())
    assert world.condition(HOLD, "Admitted") == ("False", "Full")
    assert "has 40 of 100 Mbit/s left, 60 are needed" in world.message(HOLD, "Admitted")
    world.store.apply([Edit("delete", Key("Reservation", "", "first"))], author="test")
    world.settle()
    assert world.condition(HOLD, "Admitted") == ("True", "Admitted")
    assert world.condition(Key("Reservation", "", "second"), "Admitted")[0] == "True"


def test_windows_open_and_close_with_the_clock(world):
    world.apply(hold(start=rfc(world.now + 100), end=rfc(world.now + 200)))
    assert world.condition(HOLD, "Active") == ("False", "NotYet")
    assert not world.controller.rolling or world.southbound.flows
    for later, state in ((150, ("True", "Within")), (250, ("False", "Over"))):
        world.now = 1_000_000 + later
        assert world.controller.rolling
        world.hear()
        world.confirm()
        assert world.condition(HOLD, "Active") == state
        assert bool(world.metered("s1")) == (state[0] == "True")
        assert not world.controller.rolling


def test_a_promise_that_a_failure_breaks_is_degraded_and_kept_again_afterwards(world):
    world.apply(hold("first"), hold())
    before = world.status(HOLD).details["routes"]
    others = world.status(Key("Reservation", "", "first")).details["routes"]
    lower = ("s1", "s3") if "s3" in before[0]["route"] else ("s1", "s2")
    world.links(lower, up=False)
    assert world.condition(HOLD, "Admitted") == ("False", "Degraded")
    world.links(("s2", "s4"))
    assert world.condition(HOLD, "Admitted") == ("False", "Degraded")
    world.links(lower)
    assert world.condition(HOLD, "Admitted") == ("True", "Admitted")
    assert world.status(HOLD).details["routes"] == before
    assert world.status(Key("Reservation", "", "first")).details["routes"] == others


def test_a_restart_moves_no_reservation(world):
    world.apply(hold("first"))
    world.apply(hold())
    world.store.apply([Edit("delete", Key("Reservation", "", "first"))], author="test")
    world.settle()
    before = world.status(HOLD).details["routes"]
    world.fresh()
    world.settle()
    assert world.status(HOLD).details["routes"] == before


def test_a_restart_says_nothing_new_until_hosts_had_time_to_connect(world):
    world.apply(edit("PathPolicy", "p", tenants=["red"], paths=2))
    world.apply(hold("first"))
    world.apply(hold())
    world.apply(edit("Link", "s1-s3", **wire_without_capacity(world)))
    before = {key: world.status(key) for key in (POLICY, HOLD)}
    world.fresh()
    world.settle()
    assert {key: world.status(key) for key in before} == before
    world.connect()
    assert {key: world.status(key) for key in before} == before


def wire_without_capacity(world):
    spec = dict(world.wire("s1", "s3").manifest["spec"])
    del spec["capacityMbps"]
    return spec


LINK = Key("Link", "", "s1-s2")


def test_a_link_is_drained_once_model_bridges_and_counters_agree(world):
    world.links(*WIRES, busy=True)
    world.report_links()
    assert world.condition(LINK, "Drained") is None
    world.apply(world.wire("s1", "s2", drained=True))
    assert world.condition(LINK, "Drained") == ("False", "Programming")
    world.confirm()
    assert world.condition(LINK, "Drained") == ("False", "Counting")
    world.report_links()
    assert world.condition(LINK, "Drained") == ("False", "StillPassing")
    world.links(*WIRES, busy=False)
    assert world.condition(LINK, "Drained") == ("True", "Empty")
    world.apply(world.wire("s1", "s2"))
    assert world.condition(LINK, "Drained") is None


def test_readings_from_before_it_was_empty_do_not_count(world):
    world.links(*WIRES, busy=False)
    world.report_links()
    world.apply(world.wire("s1", "s2", drained=True))
    world.confirm()
    world.report_links(READINGS - 1)
    assert world.condition(LINK, "Drained") == ("False", "Counting")
    world.report_links(1)
    assert world.condition(LINK, "Drained") == ("True", "Empty")


def test_who_has_no_other_way_is_named(world):
    world.links(*WIRES)
    world.apply(world.wire("s1", "s3", drained=True), world.wire("s1", "s2", drained=True))
    world.confirm()
    assert world.condition(LINK, "Drained") == ("False", "OnlyWay")
    assert "s1 to s2" in world.message(LINK, "Drained")


def test_a_path_at_rest_still_uses_a_link(world):
    world.links(*WIRES)
    world.apply(edit("PathPolicy", "p", tenants=["red"], paths=1))
    world.apply(world.wire("s1", "s2", drained=True))
    world.confirm()
    assert world.condition(LINK, "Drained") == ("False", "InUse")


def test_a_bridge_is_drained_when_nobody_passes_and_nobody_is_there(world):
    world.links(*WIRES)
    world.report_links()
    for host, found in (("s2", ("True", "Empty")), ("s4", ("False", "EndpointsHere"))):
        number = HOSTS.index(host) + 1
        world.apply(edit("Host", host, datapathId=f"{number:016x}", drained=True))
        world.confirm()
        world.report_links()
        assert world.condition(Key("Host", "", host), "Drained") == found
