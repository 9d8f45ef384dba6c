# SPDX-License-Identifier: Apache-2.0
"""Faults drawn into the published scenarios, and which of them the proofs miss.

A fault that was drawn is what its kind is called, and the scenario with it.
"""

from functools import cache
from random import Random

from change_world import prover, scenario
from verify_world import edit, world

from vneter_sdn.verify.fleet import Wiring
from vneter_sdn.verify.proof import Proof
from vneter_sdn.verify.watching import Said


@cache
def said(name):
    """What rules refuse is no fault; without them, a sound scenario of policies has black holes."""
    return Said(prover(scenario(name)).books.by_number)


def proof_of(place):
    """A proof that knows a scenario as it is, and takes in changes."""
    wiring = Wiring.of(place.rows, place.wires)
    return Proof(place.states, wiring, place.meaning, said(place.name))


@cache
def drawn(kinds, name, seeds):
    """Different faults of a scenario: at most one of each kind for each seed."""
    found = []
    for kind in kinds:
        for seed in range(seeds):
            faulty = kind(world(name), Random(f"{name} {kind.__name__} {seed}"))
            if faulty is not None and faulty.states not in [one.states for _, one in found]:
                found.append((kind.__name__, faulty))
    return tuple(found)


def missed(faults, findings):
    """Which of them a proof of everything misses, or shows by a packet that does not meet them.

    Args:
        faults: as drawn.
        findings: what the proof has to say of a scenario.
    """
    misses = []
    for kind, faulty in faults:
        finding = next(iter(findings(faulty)), None)
        if finding is None or finding.example is None or not faulty.confirms(finding):
            misses.append((kind, str(finding)))
    return misses


def missed_by_change(faults, name, found=bool):
    """Kinds of those that a proof of what changed misses.

    Args:
        faults: as drawn.
        name: the scenario that they were drawn into.
        found: whether findings are those that there should be.
    """
    sound, misses = world(name), []
    proof = proof_of(sound)
    for kind, faulty in faults:
        if not found(_changed(proof, sound, faulty).findings):
            misses.append(kind)
        assert _changed(proof, faulty, sound).findings == (), f"mended after {kind}"
    return misses


def _changed(proof, before, after):
    flows, groups = edit(before, after)
    return proof.update(flows, after.meaning, groups=groups)
