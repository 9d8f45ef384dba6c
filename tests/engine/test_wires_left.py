# SPDX-License-Identifier: Apache-2.0
"""Wires of bridges that are others by now are not written again when somebody deletes them."""

import pytest
from paper import World, edit

from vneter_sdn.model.snapshot import Key
from vneter_sdn.store.port import Edit
from vneter_sdn.telemetry.survey import End, WireFound

A, B = End("s1", "eth1"), End("s2", "eth1")
WIRE = Key("Link", "", "s1.eth1-s2.eth1")


@pytest.fixture
def world():
    made = World()
    made.apply(*(edit("Host", f"s{n}", datapathId=f"{n:016x}", bridge=f"s{n}") for n in (1, 2)))
    made.hear(WireFound(A, B))
    return made


def test_one_says_at_which_interfaces_it_was_found(world):
    """For a lab, where those of another may have the same names."""
    world.hear(
        WireFound(End("s1", "eth2"), End("s2", "eth2"), (0x02_0000_000012, 0x02_0000_000022))
    )
    found = world.store.snapshot().objects[Key("Link", "", "s1.eth2-s2.eth2")]
    assert found.annotations["vneter.io/interfaces"] == "02:00:00:00:00:12,02:00:00:00:00:22"
    assert list(world.store.snapshot().objects[WIRE].annotations) == ["vneter.io/origin"]


def test_one_that_is_still_there_is_written_again(world):
    world.apply(Edit("delete", WIRE))
    assert WIRE in world.store.snapshot().objects


def test_one_of_a_name_that_another_bridge_took_is_not(world):
    """That the wire is gone is heard only when the bridge is managed by another datapath id."""
    world.apply(Edit("delete", WIRE), edit("Host", "s1", datapathId=f"{7:016x}", bridge="s1"))
    assert WIRE not in world.store.snapshot().objects


def test_one_of_a_host_that_went_and_came_back_is_not(world):
    world.apply(Edit("delete", WIRE), Edit("delete", Key("Host", "", "s1")))
    world.apply(edit("Host", "s1", datapathId=f"{7:016x}", bridge="s1"))
    assert WIRE not in world.store.snapshot().objects
