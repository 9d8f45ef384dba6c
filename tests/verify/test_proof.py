# SPDX-License-Identifier: Apache-2.0
"""What a change touches is proven again, and nothing that matters is left out."""

from random import Random

import pytest
from drawn_faults import proof_of
from verify_faults import FAULTS
from verify_world import SCENARIOS, edit, world

from vneter_sdn.verify.reach import change, reach

pytestmark = pytest.mark.timeout(400)


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_fault_is_found_by_what_it_touches(name):
    sound = world(name)
    proof = proof_of(sound)
    before = reach(sound.fabric(), sound.directory)
    missed = []
    for fault in FAULTS:
        faulty = fault(sound, Random(f"{name} {fault.__name__}"))
        if faulty is None:
            continue
        flows, groups = edit(sound, faulty)
        verdict = proof.update(flows, sound.meaning, groups=groups)
        if not verdict.findings:
            missed.append(fault.__name__)
        whole = change(before, reach(faulty.fabric(), faulty.directory))
        for ours, theirs in zip(verdict.change, whole, strict=True):
            assert ours.allowed.keys() == theirs.allowed.keys(), fault.__name__
            assert not ours.less(theirs).allowed, fault.__name__
            assert not theirs.less(ours).allowed, fault.__name__
        flows, groups = edit(faulty, sound)
        mended = proof.update(flows, sound.meaning, groups=groups)
        assert mended.findings == (), fault.__name__
        assert mended.change.gained.allowed.keys() == verdict.change.lost.allowed.keys()
    assert not missed


@pytest.mark.parametrize("name", ["overlapping-tenants", "multi-path", "policies"])
def test_a_whole_proof_of_a_scenario_finds_nothing(name):
    assert list(proof_of(world(name)).full()) == []
