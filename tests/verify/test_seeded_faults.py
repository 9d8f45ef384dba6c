# SPDX-License-Identifier: Apache-2.0
"""Hundreds of faults, of every kind: each that packets can meet is found, by both proofs.

That packets can meet one is the simulator's word, not the proof's. The proof of everything gives a
packet with it; the proof of what changed may tell a change of reachability instead.
"""

import sys
from collections import Counter
from functools import cache
from itertools import chain
from random import Random

import policy_faults
import pytest
from change_world import prover, scenario
from policy_faults import Traffic, incremental, moves, sound, whole
from verify_faults import FAULTS
from verify_world import SCENARIOS, edit, world

from vneter_sdn.simulate.meaning import meaning_of
from vneter_sdn.verify.checks import black_holes, isolation, loops, transit_loops
from vneter_sdn.verify.fleet import Wiring
from vneter_sdn.verify.proof import Proof
from vneter_sdn.verify.rules import conflicting, shadowed
from vneter_sdn.verify.watching import Said

pytestmark = pytest.mark.timeout(400)

POLICY_FAULTS = (*policy_faults.FAULTS, *policy_faults.STATE_FAULTS)
REAL, TRIED = 4, 12
"""Of each kind: so many that packets meet, among at most so many that are drawn."""


# ---- in forwarding


@cache
def said(name):
    """What rules refuse is no fault; without them, a sound scenario of policies has black holes."""
    return Said(prover(scenario(name)).books.by_number)


@cache
def seeded(name):
    """Different faults of a scenario, by what they are called."""
    found = {}
    for fault in FAULTS:
        for seed in range(1 if name == "policies" else 2):  # which takes longest
            faulty = fault(world(name), Random(f"{name} {fault.__name__} {seed}"))
            if faulty is not None and faulty.states not in [f.states for _, f in found.values()]:
                found[fault.__name__, seed] = fault.__name__, faulty
    return tuple(found.values())


def findings(faulty):
    fabric, known = faulty.fabric(), faulty.directory
    yield from black_holes(fabric, known, said(faulty.name))
    for host, state in faulty.states.items():
        yield from chain(shadowed(host, state), conflicting(host, state))
    yield from transit_loops(fabric)
    yield from isolation(fabric, known)
    yield from loops(fabric, known)


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_fault_in_forwarding_is_found(name):
    missed, unconfirmed = [], []
    for fault, faulty in seeded(name):
        found = next(findings(faulty), None)
        if found is None:
            missed.append(fault)
        elif found.example is None or not faulty.confirms(found):
            unconfirmed.append((fault, str(found)))
    assert not missed
    assert not unconfirmed


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_fault_in_forwarding_is_found_by_what_changed(name):
    place = world(name)
    proof = Proof(place.states, Wiring.of(place.rows, place.wires), place.meaning, said(name))
    missed = []
    for fault, faulty in seeded(name):
        flows, groups = edit(place, faulty)
        if not proof.update(flows, place.meaning, groups=groups).findings:
            missed.append(fault)
        flows, groups = edit(faulty, place)
        proof.update(flows, place.meaning, groups=groups)
    assert not missed


# ---- in policies


@cache
def place():
    return sound()


@cache
def undisturbed():
    return Traffic(place()).behaviour(meaning_of(place().snapshot))


@cache
def drawn(kind):
    """Faults of a kind, and whether packets meet them."""
    made = kind(place())
    Random(kind.__name__).shuffle(made)
    found = []
    for fault in made[:TRIED]:
        if sum(real for _, real in found) < REAL:
            behaviour = Traffic(place(), fault).behaviour(meaning_of(place().snapshot))
            found.append((fault, behaviour != undisturbed()))
    return tuple(found)


@pytest.mark.parametrize("kind", POLICY_FAULTS, ids=lambda kind: kind.__name__)
def test_every_fault_in_policies_is_found(kind):
    faults = [fault for fault, real in drawn(kind) if real]
    assert faults
    found = [whole(place(), fault) for fault in faults]
    assert None not in found
    assert all(one.example is not None for one in found)
    assert all(moves(incremental(place(), fault)) for fault in faults)


# ---- how many


def test_there_are_enough_of_them():
    """At least 200 in all, at least 60 of them in policies and in what bridges remember of them."""
    forwarding = Counter(fault for name in SCENARIOS for fault, _ in seeded(name))
    policies = Counter({k.__name__: sum(real for _, real in drawn(k)) for k in POLICY_FAULTS})
    for kind, number in (forwarding + policies).most_common():
        sys.stdout.write(f"{number:5} {kind}\n")
    assert sum(policies.values()) >= 60
    assert sum(policies[kind.__name__] for kind in policy_faults.STATE_FAULTS) >= 20
    assert forwarding.total() + policies.total() >= 300
