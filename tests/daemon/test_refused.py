# SPDX-License-Identifier: Apache-2.0
"""From the counters of bridges to what is told of endpoints that lie; bridges are in memory."""

from __future__ import annotations

from dataclasses import replace

import pytest

from vneter_sdn.compile.features.refused import TABLE, counted
from vneter_sdn.compile.network import compile_snapshot
from vneter_sdn.config import Settings
from vneter_sdn.daemon.refused import Refusals
from vneter_sdn.model.snapshot import Binding, Delta, Key, Status
from vneter_sdn.pipeline.refusals import Refusal
from vneter_sdn.southbound.openflow.memory import MemoryBridges
from vneter_sdn.southbound.openflow.multipart import FlowCounters
from vneter_sdn.southbound.openflow.upkeep import DesiredBridge
from vneter_sdn.store.memory import MemoryStore
from vneter_sdn.store.port import Edit

LIAR, OTHER = Key("Endpoint", "red", "e"), Key("Endpoint", "red", "f")
HOSTS = {1: "a"}


def edit(kind, name, within="", **spec):
    metadata = {"name": name} | ({"tenant": within} if within else {})
    manifest = {"apiVersion": "vneter.io/v1", "kind": kind, "metadata": metadata, "spec": spec}
    return Edit("apply", Key(kind, within, name), manifest)


class World:
    def __init__(self):
        store, self.bridges, self.heard = MemoryStore(), MemoryBridges(), []
        edits = [
            edit("Host", "a", datapathId=f"{1:016x}"),
            edit("Tenant", "red"),
            edit("Network", "web", "red", prefixes=["10.0.0.0/24"]),
            *(edit("Endpoint", key.name, "red", network="web") for key in (LIAR, OTHER)),
        ]
        store.apply(edits, author="test")
        store.bind([Binding(LIAR, "a", "v1", 1, 1), Binding(OTHER, "a", "v2", 2, 1)])
        self.snapshot = store.snapshot()
        self.compiled = compile_snapshot(self.snapshot).bridge("a")
        self.bridges.desire(1, DesiredBridge(self.compiled, self.snapshot.revision))
        self.bridges.connect(1)

    def refusals(self, statuses=None):
        made = Refusals(self.bridges, Settings(), self.heard.append)
        made.stored(replace(self.snapshot, statuses=statuses or {}), None, HOSTS)
        return made

    def count(self, kind, packets, seconds=5.0, port=1):
        for key, flow in self.compiled.flows.items():
            if counted(key) is not None:
                held = self.bridges.bridges[1].matched
                held.setdefault(key, FlowCounters(key, flow.cookie, seconds, 0, 0))
            if counted(key) == (port, kind):
                held[key] = FlowCounters(key, flow.cookie, seconds, packets, 60 * packets)


@pytest.fixture
def world():
    return World()


def test_each_endpoint_has_a_flow_for_each_kind(world):
    found = [found for key in world.compiled.flows if (found := counted(key))]
    assert sorted(found) == sorted((port, kind) for port in (1, 2) for kind in Refusal)
    others = [key for key in world.compiled.flows if key.table != TABLE]
    assert not any(map(counted, others))


def test_what_is_counted_is_told_of_who_did_it(world):
    refusals = world.refusals()
    world.count(Refusal.ROUTER, 3)
    refusals.ask()
    (told,) = world.heard
    assert told.totals == {LIAR: {"router": 3}}
    assert refusals.totals()[LIAR][Refusal.ROUTER] == 3
    assert not any(refusals.totals().get(OTHER, {}).values())
    refusals.ask()
    assert len(world.heard) == 1, "nothing new, nothing said"


def test_a_bridge_that_begins_anew_takes_nothing_back(world):
    refusals = world.refusals()
    world.count(Refusal.DHCP, 10, seconds=50.0)
    refusals.ask()
    world.count(Refusal.DHCP, 4, seconds=1.0)
    refusals.ask()
    assert [one.totals[LIAR] for one in world.heard] == [{"dhcp": 10}, {"dhcp": 14}]


def test_a_new_life_goes_on_where_the_last_one_reported(world):
    reported = Status(LIAR, 1, (), {"refused": {"neighbour": 40}})
    refusals = world.refusals({LIAR: reported})
    world.count(Refusal.NEIGHBOUR, 2, seconds=1.0)
    refusals.ask()
    world.count(Refusal.NEIGHBOUR, 3, seconds=11.0)
    refusals.ask()
    assert world.heard[-1].totals == {LIAR: {"neighbour": 41}}


def test_who_is_no_more_is_forgotten(world):
    refusals = world.refusals()
    world.count(Refusal.ADDRESS, 3)
    refusals.ask()
    objects = {key: one for key, one in world.snapshot.objects.items() if key != LIAR}
    gone = replace(world.snapshot, objects=objects)
    refusals.stored(gone, Delta(frozenset([LIAR])), HOSTS)
    assert LIAR not in refusals.totals()
