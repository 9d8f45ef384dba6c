# SPDX-License-Identifier: Apache-2.0
"""What the controller is to be told of packets: every fault in that is found, by both proofs."""

from collections import Counter

import pytest
from drawn_faults import drawn, missed, missed_by_change, said
from punt_faults import FAULTS

from vneter_sdn.verify.checks import black_holes

pytestmark = pytest.mark.timeout(400)

PLACES = ("dhcp-and-names", "multi-path", "overlapping-tenants", "policies", "routers-and-lengths")
SEEDS = {"routers-and-lengths": 4, "dhcp-and-names": 3, "policies": 1}


def seeded(name):
    return drawn(FAULTS, name, SEEDS.get(name, 2))


def found(faulty):
    return black_holes(faulty.fabric(), faulty.directory, said(faulty.name))


@pytest.mark.parametrize("name", PLACES)
def test_every_fault_is_found(name):
    first_of_each = dict(reversed(seeded(name)))
    assert not missed(first_of_each.items(), found)


@pytest.mark.parametrize("name", PLACES)
def test_every_fault_is_found_by_what_changed(name):
    def of_packets(findings):
        return {one.kind for one in findings} & {"untold", "black_hole"}

    assert not missed_by_change(seeded(name), name, of_packets)


def test_there_is_one_of_each_kind():
    kinds = Counter(fault for name in PLACES for fault, _ in seeded(name))
    assert kinds.keys() == {fault.__name__ for fault in FAULTS}
    assert kinds.total() >= 120
