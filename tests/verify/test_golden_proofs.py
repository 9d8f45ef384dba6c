# SPDX-License-Identifier: Apache-2.0
"""Nothing is wrong with any published scenario, whatever fails and is connected."""

import pytest
from change_world import prover, scenario
from drawn_faults import said
from verify_world import SCENARIOS, world

from vneter_sdn.verify.checks import black_holes, isolation, loops, transit_loops
from vneter_sdn.verify.rules import conflicting, shadowed
from vneter_sdn.verify.tracking import ANYTHING

pytestmark = pytest.mark.parametrize("name", SCENARIOS)


def test_nobody_reaches_another_tenant_and_nothing_goes_round(name):
    fabric = world(name).fabric(ANYTHING, None)
    known = world(name).directory
    assert list(isolation(fabric, known)) == []
    assert list(loops(fabric, known)) == []


def test_no_locator_goes_round(name):
    assert list(transit_loops(world(name).fabric(ANYTHING))) == []


def test_nothing_that_is_for_somebody_is_lost(name):
    assert list(black_holes(world(name).fabric(), world(name).directory, said(name))) == []


def test_every_flow_says_something_of_its_own(name):
    for host, state in world(name).states.items():
        assert list(shadowed(host, state)) == []
        assert list(conflicting(host, state)) == []


def test_policies_are_as_written_and_connections_are_answered(name):
    assert list(prover(scenario(name)).full(("policies", "answers"))) == []
