# SPDX-License-Identifier: Apache-2.0
"""What path policies, reservations and drained links tell their owners."""

from __future__ import annotations

from math import inf

import pytest

from vneter_sdn.compile.outcomes import Usage
from vneter_sdn.engine.paths_report import (
    LISTED,
    PairPaths,
    drained_condition,
    policy_conditions,
    policy_details,
    reservation_conditions,
    reservation_details,
)
from vneter_sdn.graph.reservations import Booking, Decision

WINDOW = Booking(key="r", source="h1", target="h2", rate=5, start=100.0, end=200.0)
PROMISED = Decision(
    reason="Admitted", routes={("h1>h3", "h3>h2"): 5.0}, booked={"h1>h3": 5.0, "h3>h1": 5.0}
)


def told(conditions, kind):
    return next((c.status, c.reason, c.message) for c in conditions if c.type == kind)


def test_a_policy_is_satisfied_when_every_pair_has_a_path():
    pairs = [PairPaths("h1", "h2", 2, (4, 5)), PairPaths("h2", "h1", 1, (4,))]
    assert told(policy_conditions(pairs), "Satisfied") == ("True", "Satisfied", "2 pairs of hosts")
    assert told(policy_conditions(pairs), "Ready")[0] == "True"
    assert policy_details(pairs) == {
        "pairs": 2,
        "unsatisfied": 0,
        "dropped": 0,
        "uncoloured": 0,
        "paths": {
            "h1>h2": {"paths": 2, "colours": [4, 5]},
            "h2>h1": {"paths": 1, "colours": [4]},
        },
        "colours": [4, 5],
    }
    assert told(policy_conditions([]), "Satisfied")[:2] == ("True", "NoTraffic")


def test_a_refusal_is_quoted():
    why = "no path from h1 to h2: maxLatencyMs 5 blocks h1>h2"
    pairs = [PairPaths("h3", "h4", 1), PairPaths("h1", "h2", refusal=why)]
    found = told(policy_conditions(pairs), "Satisfied")
    assert found == ("False", "NoPath", f"1 of 2 pairs of hosts have no path: {why}")
    many = [PairPaths("h1", f"h{n}", refusal="no") for n in range(2, 200)]
    assert told(policy_conditions(many), "Ready")[2].endswith("h1 to h4: no; and 195 more")
    details = policy_details([*pairs, *many])
    assert (details["pairs"], details["unsatisfied"], len(details["paths"])) == (200, 199, LISTED)


def test_a_missing_backup_is_told():
    pairs = [PairPaths("h1", "h2", 1, (1,), shortfall="every way crosses h3")]
    found = told(policy_conditions(pairs), "Satisfied")
    assert found == ("True", "Partly", "h1 to h2: every way crosses h3")


@pytest.mark.parametrize(
    ("now", "active", "reason"),
    [(50, "False", "NotYet"), (100, "True", "Within"), (200, "False", "Over")],
)
def test_a_reservation_is_active_within_its_window(now, active, reason):
    conditions = reservation_conditions(WINDOW, PROMISED, now)
    assert told(conditions, "Admitted")[0] == "True"
    assert told(conditions, "Active")[:2] == (active, reason)
    assert ("booked" in reservation_details(WINDOW, PROMISED, now)) == (active == "True")


def test_a_reservation_without_a_window_is_active_at_once():
    always = Booking(key="r", source="h1", target="h2", rate=5)
    assert (always.start, always.end) == (-inf, inf)
    assert told(reservation_conditions(always, PROMISED, 0.0), "Active")[0] == "True"


def test_a_refused_reservation_names_the_full_edge():
    refused = Decision(reason="Full", message="h1>h2 has 3 left", edge="h1>h2", free=3.0, fits=60.0)
    conditions = reservation_conditions(WINDOW, refused, 150)
    for kind in ("Ready", "Admitted", "Active"):
        assert told(conditions, kind) == ("False", "Full", "h1>h2 has 3 left")
    assert reservation_details(WINDOW, refused, 150) == {
        "routes": [],
        "edge": "h1>h2",
        "freeMbps": 3.0,
        "fits": "1970-01-01T00:01:00.000Z",
    }


def test_nobody_waits_for_what_is_over():
    conditions = reservation_conditions(WINDOW, Decision(reason="Over"), 250)
    assert [told(conditions, kind)[0] for kind in ("Ready", "Admitted")] == ["True", "False"]


@pytest.mark.parametrize(
    ("used", "behind", "moving", "status", "reason"),
    [
        ((3, 1, 0), (), False, "False", "OnlyWay"),
        ((3, 0, 0), (), False, "False", "InUse"),
        ((0, 0, 2), (), False, "False", "EndpointsHere"),
        ((0, 0, 0), ("h9",), False, "False", "Programming"),
        ((0, 0, 0), (), None, "False", "Counting"),
        ((0, 0, 0), (), True, "False", "StillPassing"),
        ((0, 0, 0), (), False, "True", "Empty"),
    ],
)
def test_drained_is_what_model_bridges_and_counters_agree_on(used, behind, moving, status, reason):
    paths, stuck, endpoints = used
    usage = Usage(frozenset(), paths, stuck, ("h1 to h3",) if paths else (), endpoints)
    found = drained_condition(usage, behind, moving)
    assert (found.type, found.status, found.reason) == ("Drained", status, reason)
    assert ("h1 to h3" in found.message) == bool(paths)
    assert ("and others" in found.message) == (reason == "InUse")
    assert ("two minutes to end" in found.message) == (reason == "InUse")


def test_a_path_without_a_colour_carries_nothing_and_says_so():
    pairs = [PairPaths("h1", "h2", 1, (), routes=(("h1>h2", 3, None),), dropped=True)]
    assert told(policy_conditions(pairs), "Satisfied")[0] == "True"
    assert told(policy_conditions(pairs), "Ready")[:2] == ("False", "NoColour")
    details = policy_details(pairs)
    assert (details["dropped"], details["uncoloured"]) == (1, 1)
    assert details["paths"]["h1>h2"]["routes"] == [{"route": "h1>h2", "weight": 3}]
