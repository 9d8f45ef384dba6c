# SPDX-License-Identifier: Apache-2.0
"""Every fault in a scenario is found, with a packet by which the simulator sees it."""

from itertools import chain
from random import Random

import pytest
from verify_faults import FAULTS
from verify_world import SCENARIOS, world

from vneter_sdn.verify.checks import black_holes, isolation, loops, transit_loops
from vneter_sdn.verify.rules import conflicting, shadowed


def findings(faulty):
    fabric, known = faulty.fabric(), faulty.directory
    yield from black_holes(fabric, known)
    yield from isolation(fabric, known)
    yield from loops(fabric, known)
    yield from transit_loops(fabric)
    for host, state in faulty.states.items():
        yield from chain(shadowed(host, state), conflicting(host, state))


def seeded(name):
    for fault in FAULTS:
        for seed in range(2):
            faulty = fault(world(name), Random(f"{name} {fault.__name__} {seed}"))
            if faulty is not None:
                yield fault.__name__, faulty


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_fault_is_found(name):
    missed, unconfirmed = [], []
    for fault, faulty in seeded(name):
        found = next(findings(faulty), None)
        if found is None:
            missed.append(fault)
        elif found.example is None or not faulty.confirms(found):
            unconfirmed.append((fault, str(found)))
    assert not missed
    assert not unconfirmed


def test_there_are_enough_of_them():
    assert sum(1 for name in SCENARIOS for _ in seeded(name)) >= 200
