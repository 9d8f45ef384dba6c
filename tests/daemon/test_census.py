# SPDX-License-Identifier: Apache-2.0
"""From the counters of bridges to what the engine hears of traffic; bridges are in memory."""

from __future__ import annotations

from dataclasses import replace

import pytest

from vneter_sdn.compile.features.traffic import TABLE, counted
from vneter_sdn.compile.network import compile_snapshot
from vneter_sdn.config import Settings
from vneter_sdn.daemon.census import TOLD, Census
from vneter_sdn.model import traffic
from vneter_sdn.model.snapshot import Binding, Key, Status
from vneter_sdn.model.traffic import Volume
from vneter_sdn.southbound.openflow.memory import MemoryBridges
from vneter_sdn.southbound.openflow.multipart import FlowCounters
from vneter_sdn.southbound.openflow.upkeep import DesiredBridge
from vneter_sdn.store.memory import MemoryStore
from vneter_sdn.store.port import Edit

POLICY = Key("PathPolicy", "", "p")
MBIT = 125_000


def edit(kind, name, within="", **spec):
    metadata = {"name": name} | ({"tenant": within} if within else {})
    manifest = {"apiVersion": "vneter.io/v1", "kind": kind, "metadata": metadata, "spec": spec}
    return Edit("apply", Key(kind, within, name), manifest)


class World:
    """Two hosts, an endpoint on each, and bridges that hold what they should."""

    def __init__(self):
        self.store, self.bridges, self.heard = MemoryStore(), MemoryBridges(), []
        self.apply(*(edit("Host", h, datapathId=f"{n:016x}") for n, h in enumerate("ab", 1)))
        self.apply(edit("Tenant", "red"), edit("Network", "web", "red", prefixes=["10.0.0.0/24"]))
        self.apply(*(edit("Endpoint", h, "red", network="web") for h in "ab"))
        self.store.bind(
            [Binding(Key("Endpoint", "red", h), h, "v1", 1, n) for n, h in enumerate("ab", 1)]
        )
        self.fresh()

    def fresh(self, **settings):
        """Another life of the process; bridges stay."""
        self.bridges.advance(1)
        self.census = Census(self.bridges, Settings(**settings), self.heard.append)
        self.census.stored(self.store.snapshot(), None)

    def apply(self, *edits):
        self.store.apply(edits, author="test")

    def engineer(self, sharing="engineered"):
        self.apply(edit("PathPolicy", "p", tenants=["red"], paths=2, sharing=sharing))
        self.program()

    def program(self):
        snapshot = self.store.snapshot()
        compiled = compile_snapshot(snapshot)
        for number, host in enumerate("ab", 1):
            self.bridges.desire(number, DesiredBridge(compiled.bridge(host), snapshot.revision))
            if self.bridges.observed(number) is None:
                self.bridges.connect(number)
        self.census.stored(snapshot, None)

    def count(self, host, *, own, octets, seconds):
        """A bridge has counted so much."""
        bridge = self.bridges.bridges["ab".index(host) + 1]
        for key, flow in bridge.observed.flows.items():
            found = counted(key)
            if flow.table == TABLE and found and found[2] is own:
                bridge.matched[key] = FlowCounters(key, flow.cookie, seconds, 1, octets)

    def poll(self):
        self.census.ask()
        self.census.tell(self.bridges.now)
        found, self.heard[:] = list(self.heard), []
        return [event.policies[POLICY] for event in found]


@pytest.fixture
def world():
    return World()


def test_what_bridges_count_becomes_a_matrix(world):
    world.engineer()
    assert not world.poll(), "one reading is no rate"
    for n in range(1, 4):
        world.bridges.advance(10)
        world.count("a", own=True, octets=n * 10 * 8 * MBIT, seconds=n * 10 + 1)
        world.count("b", own=False, octets=n * 10 * 2 * MBIT, seconds=n * 10 + 1)
        told = world.poll()
        assert bool(told) == (n == 1), "then nothing changes"
        if told:
            [seen] = told
            [(pair, volume)] = seen.volumes.items()
            assert pair == ("a", "b")
            assert (round(volume.forth, 2), round(volume.back, 2)) == (8, 2)
            assert seen.silent == ()
    assert world.census.levels()["p"].keys() == {("a", "b")}
    assert world.census.levels()["p"]["a", "b"].forth == pytest.approx(8)


def test_a_matrix_is_told_of_again_so_that_its_age_shows_and_who_is_silent(world):
    world.engineer()
    for n in range(2):
        world.bridges.advance(10)
        world.count("a", own=True, octets=n * 10 * 8 * MBIT, seconds=n * 10)
        world.poll()
    world.bridges.disconnect(1)
    world.bridges.advance(TOLD)
    [seen] = world.poll()
    assert seen.silent == ("a",)
    assert seen.volumes["a", "b"].forth == pytest.approx(8)


def test_a_bridge_that_lost_its_flows_and_began_anew_sends_what_it_sent(world):
    world.engineer()
    for n in range(3):
        world.bridges.advance(10)
        world.count("a", own=True, octets=n * 10 * 8 * MBIT, seconds=n * 10)
        world.poll()
    before = world.census.levels()["p"]
    world.bridges.bridges[1].matched.clear()
    world.bridges.restart(1)
    world.bridges.advance(10)
    world.count("a", own=True, octets=5, seconds=1)
    assert not world.poll()
    assert world.census.levels()["p"] == before


def test_another_life_begins_with_what_was_reported(world):
    world.engineer()
    before = {("a", "b"): Volume(8, 2)}
    world.store.report([Status(POLICY, 1, (), {"measured": traffic.told(before)})])
    world.fresh()
    assert world.census.levels() == {"p": before}
    assert not world.poll(), "nothing is measured yet"
    assert world.census.levels() == {"p": before}


def test_who_is_not_engineered_is_not_asked(world):
    world.engineer("equal")
    assert not world.poll()
    assert world.census.levels() == {}
    world.engineer()
    assert world.census.levels() == {"p": {}}
    world.engineer("equal")
    assert world.census.levels() == {}


def test_a_host_that_is_gone_is_in_no_matrix(world):
    world.engineer()
    before = traffic.told({("a", "b"): Volume(8, 2)})
    world.store.report([Status(POLICY, 1, (), {"measured": before})])
    world.fresh()
    snapshot = world.store.snapshot()
    kept = {
        place: one
        for place, one in snapshot.allocations.items()
        if (one.pool, one.owner) != ("bridge", "Host b")
    }
    world.census.stored(replace(snapshot, allocations=kept), None)
    assert world.census.levels()["p"] == {}
