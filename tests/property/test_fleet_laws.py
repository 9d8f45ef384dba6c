# SPDX-License-Identifier: Apache-2.0
"""The fleet delivers exactly what the intent allows, whatever the intent."""

import pytest
from fleet_intents import histories, plans, world_of
from fleet_laws import LAWS
from hypothesis import HealthCheck, given, settings


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(plan=plans())
def test_holds(law, plan):
    law(world_of(plan))


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(history=histories())
def test_hold_after_changes(history):
    world = world_of(*history)
    for law in LAWS:
        law(world)
