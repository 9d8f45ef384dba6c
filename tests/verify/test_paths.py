# SPDX-License-Identifier: Apache-2.0
"""What a path policy refuses is no black hole; a path that drops is one."""

from dataclasses import replace

import pytest
from change_world import manifest, prover, scenario
from verify_faults import used
from verify_world import world

from vneter_sdn.model.flow import GroupAction
from vneter_sdn.verify.checks import black_holes


@pytest.mark.parametrize("name", ["multi-path", "reservation"])
def test_a_path_that_drops_is_found(name):
    place = world(name)
    for host in sorted(place.states):
        for flow in used(place, host, "path"):
            if any(isinstance(action, GroupAction) for action in flow.actions):
                drops = replace(flow, actions=(), goto=None)
                faulty = place.with_(host, remove=(flow,), add=(drops,))
                found = list(black_holes(faulty.fabric(), faulty.directory))
                assert found
                assert all(faulty.confirms(one) for one in found)
                return
    pytest.fail("nobody chooses a path here")


def test_what_a_policy_has_no_path_for_is_refused():
    spec = {"tenants": ["red"], "constraints": {"maxHops": 1}}
    others = [one for one in scenario("multi-path") if one["kind"] != "PathPolicy"]
    proof = prover([*others, manifest("PathPolicy", "near", spec)])
    assert list(proof.watch.reach().allowed) == []
    assert list(proof.full(("black-holes",))) == []
