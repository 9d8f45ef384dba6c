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
from drawn_faults import drawn, missed, missed_by_change, said
from policy_traffic import Traffic, incremental, moves, sound, whole
from verify_faults import FAULTS
from verify_world import SCENARIOS

from vneter_sdn.simulate.meaning import meaning_of
from vneter_sdn.verify.checks import black_holes, isolation, loops, transit_loops
from vneter_sdn.verify.rules import conflicting, shadowed

pytestmark = pytest.mark.timeout(400)

POLICY_FAULTS = (*policy_faults.FAULTS, *policy_faults.STATE_FAULTS)
REAL, TRIED = 4, 12
"""Of each kind: so many that packets meet, among at most so many that are drawn."""


# ---- in forwarding


def seeded(name):
    return drawn(FAULTS, name, 1 if name == "policies" else 2)  # that one takes longest


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
    assert not missed(seeded(name), findings)


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_fault_in_forwarding_is_found_by_what_changed(name):
    assert not missed_by_change(seeded(name), name)


# ---- in policies


@cache
def place():
    return sound()


@cache
def undisturbed():
    return Traffic(place()).behaviour(meaning_of(place().snapshot))


@cache
def tried(kind):
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
    faults = [fault for fault, real in tried(kind) if real]
    assert faults
    found = [whole(place(), fault) for fault in faults]
    assert None not in found
    assert all(one.example is not None for one in found)
    assert all(moves(incremental(place(), fault)) for fault in faults)


# ---- how many


def test_there_are_enough_of_them():
    """At least 200 in all, at least 60 of them in policies and in what bridges remember of them."""
    forwarding = Counter(fault for name in SCENARIOS for fault, _ in seeded(name))
    policies = Counter({k.__name__: sum(real for _, real in tried(k)) for k in POLICY_FAULTS})
    for kind, number in (forwarding + policies).most_common():
        sys.stdout.write(f"{number:5} {kind}\n")
    assert sum(policies.values()) >= 60
    assert sum(policies[kind.__name__] for kind in policy_faults.STATE_FAULTS) >= 20
    assert forwarding.total() + policies.total() >= 300
