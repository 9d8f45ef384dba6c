# SPDX-License-Identifier: Apache-2.0
"""From the store to advertisements on bridges, which are in memory."""

from __future__ import annotations

import pytest

from vneter_sdn.compile.network import compile_snapshot
from vneter_sdn.daemon.advertiser import Advertiser
from vneter_sdn.edge.announcing import FIRST, LAST, PAUSE, SOON
from vneter_sdn.edge.ledger import Ledger
from vneter_sdn.model.flow import Output
from vneter_sdn.model.snapshot import Binding, Key
from vneter_sdn.southbound.openflow import punt, router
from vneter_sdn.southbound.openflow.memory import MemoryBridges
from vneter_sdn.southbound.openflow.upkeep import DesiredBridge
from vneter_sdn.store.memory import MemoryStore
from vneter_sdn.store.port import Edit

HOSTS = {1: "a"}


def edit(kind, name, within="", **spec):
    metadata = {"name": name} | ({"tenant": within} if within else {})
    manifest = {"apiVersion": "vneter.io/v1", "kind": kind, "metadata": metadata, "spec": spec}
    return Edit("apply", Key(kind, within, name), manifest)


def network(**ra):
    return edit("Network", "web", "red", prefixes=["10.0.0.0/24", "fd00::/64"], ra=ra)


class World:
    """Follows the store as the core does."""

    def __init__(self):
        self.store, self.bridges, self.ledger = MemoryStore(), MemoryBridges(), Ledger()
        self.advertiser, self.now, self.known = Advertiser(self.bridges, self.ledger), 0.0, None
        endpoints = [edit("Endpoint", name, "red", network="web") for name in "ef"]
        self.apply(
            *(edit("Host", name, datapathId=f"{n:016x}") for n, name in HOSTS.items()),
            edit("Tenant", "red"),
            edit("Network", "plain", "red", prefixes=["fd01::/64"]),
            network(),
            edit("Endpoint", "other", "red", network="plain"),
            *endpoints,
        )
        keys = [Key("Endpoint", "red", name) for name in ("e", "f", "other")]
        self.store.bind([Binding(key, "a", f"v{n}", n, 1) for n, key in enumerate(keys, 1)])
        state = compile_snapshot(self.store.snapshot()).bridge("a")
        self.bridges.desire(1, DesiredBridge(state, 1))
        self.bridges.connect(1)
        self.follow()

    def apply(self, *edits):
        self.store.apply(edits, author="test")
        self.follow()

    def follow(self):
        if self.known is None:
            self.known, delta = self.store.snapshot(), None
        else:
            changed = self.store.wait(self.known, 0)
            if changed is None:
                return
            self.known, delta = changed
        self.ledger.stored(self.known, delta)
        self.advertiser.stored(self.known, delta, HOSTS)

    def heard(self, seconds):
        """What is sent within some seconds: lifetime of the router, and out of which ports."""
        sent = self.bridges.bridges[1].sent
        before = len(sent)
        for _ in range(round(seconds)):
            self.now += 1.0
            self.advertiser.look(self.now)
        return [(lifetime(frame), actions) for frame, actions, _ in sent[before:]]


def lifetime(frame):
    packet = punt.decode(frame).network
    return router.advertisement(frame[packet.payload : packet.end]).lifetime


@pytest.fixture
def world():
    return World()


BOTH = (Output(1), Output(2))


def test_a_network_that_advertises_does_so_where_its_endpoints_are(world):
    assert world.heard(FIRST + 1) == [(9000, BOTH)]
    assert world.heard(400) == []
    assert world.heard(200) == [(9000, BOTH)]
    assert world.advertiser.counts == {"sent": 2}


def test_what_changes_is_told_soon(world):
    world.heard(FIRST + 1)
    world.apply(network(lifetimeSeconds=7200))
    assert world.heard(SOON + 1) == [(7200, BOTH)]


@pytest.mark.parametrize(
    "edits",
    [
        [network(enabled=False)],
        [edit("Network", "web", "red", prefixes=["10.0.0.0/24", "fd00::/64"])],
    ],
)
def test_a_router_that_ceases_says_so(world, edits):
    world.heard(FIRST + 1)
    world.apply(*edits)
    assert world.heard(LAST * PAUSE) == [(0, BOTH)] * LAST
    assert world.heard(1000) == []


def test_a_bridge_that_is_away_loses_its_own(world):
    world.bridges.bridges[1].upkeep = None
    assert world.heard(FIRST + 1) == []
    assert world.advertiser.counts == {"lost": 1}
