# SPDX-License-Identifier: Apache-2.0
"""What the controller is to be told of packets: every fault in that is found, by both proofs."""

from collections import Counter
from functools import cache
from random import Random

import pytest
from change_world import prover, scenario
from punt_faults import FAULTS
from verify_world import edit, world

from vneter_sdn.verify.checks import black_holes
from vneter_sdn.verify.fleet import Wiring
from vneter_sdn.verify.proof import Proof
from vneter_sdn.verify.watching import Said

pytestmark = pytest.mark.timeout(400)

PLACES = ("dhcp-and-names", "multi-path", "overlapping-tenants", "policies", "routers-and-lengths")
SEEDS = {"routers-and-lengths": 4, "dhcp-and-names": 3, "policies": 1}


@cache
def said(name):
    return Said(prover(scenario(name)).books.by_number)


@cache
def seeded(name):
    """Different faults of a scenario, by what they are called."""
    found = {}
    for fault in FAULTS:
        for seed in range(SEEDS.get(name, 2)):
            faulty = fault(world(name), Random(f"{name} {fault.__name__} {seed}"))
            if faulty is not None and faulty.states not in [f.states for _, f in found.values()]:
                found[fault.__name__, seed] = fault.__name__, faulty
    return tuple(found.values())


def first_of_each(name):
    return dict(reversed(seeded(name))).items()


@pytest.mark.parametrize("name", PLACES)
def test_every_fault_is_found(name):
    missed, unconfirmed = [], []
    for fault, faulty in first_of_each(name):
        found = next(black_holes(faulty.fabric(), faulty.directory, said(name)), None)
        if found is None:
            missed.append(fault)
        elif found.example is None or not faulty.confirms(found):
            unconfirmed.append((fault, str(found)))
    assert not missed
    assert not unconfirmed


@pytest.mark.parametrize("name", PLACES)
def test_every_fault_is_found_by_what_changed(name):
    place = world(name)
    proof = Proof(place.states, Wiring.of(place.rows, place.wires), place.meaning, said(name))
    missed = []
    for fault, faulty in seeded(name):
        kinds = {one.kind for one in proof.update(*_edit(place, faulty)).findings}
        if not kinds & {"untold", "black_hole"}:
            missed.append(fault)
        assert proof.update(*_edit(faulty, place)).findings == ()
    assert not missed


def _edit(before, after):
    flows, _ = edit(before, after)
    return flows, after.meaning


def test_there_is_one_of_each_kind():
    kinds = Counter(fault for name in PLACES for fault, _ in seeded(name))
    assert kinds.keys() == {fault.__name__ for fault in FAULTS}
    assert kinds.total() >= 120
