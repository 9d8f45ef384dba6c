# SPDX-License-Identifier: Apache-2.0
"""Allocation: examples, and its laws over random histories."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from vneter_sdn.admission import allocation
from vneter_sdn.admission.admit import admit, sweep
from vneter_sdn.admission.advance import taken_in
from vneter_sdn.admission.allocation import indexed
from vneter_sdn.errors import VneterError
from vneter_sdn.model.snapshot import Key, Pools, Snapshot

from .conftest import World


def plain(snapshot: Snapshot) -> Snapshot:
    """The same state without its index."""
    return Snapshot(snapshot.revision, dict(snapshot.objects), dict(snapshot.allocations))


def test_dual_stack_in_step(world: Any) -> None:
    world.apply(world.network("six", prefixes=["10.1.0.0/24", "fd00::/64"]))
    world.apply(world.host("h1"), world.host("h2"))
    for name, host in (("a", "h1"), ("b", "h2"), ("c", "h1")):
        world.apply(world.endpoint(name, network="six", host=host))
    assert world.status("Endpoint", "a")["addresses"] == ["10.1.0.2", "fd00::2"]
    assert world.status("Endpoint", "b")["addresses"] == ["10.1.0.64", "fd00::40"]
    assert world.status("Endpoint", "c")["addresses"] == ["10.1.0.3", "fd00::3"]
    assert world.status("Network", "six")["blocks"] == [
        {"host": "h1", "prefix": "10.1.0.0/26"},
        {"host": "h2", "prefix": "10.1.0.64/26"},
        {"host": "h1", "prefix": "fd00::/122"},
        {"host": "h2", "prefix": "fd00::40/122"},
    ]


def test_a_prefix_added_later_reaches_the_endpoints_at_once(world: Any) -> None:
    world.apply(world.endpoint("a"))
    world.apply(world.network(prefixes=["10.0.0.0/24", "fd00::/64"]))
    assert world.status("Endpoint", "a")["addresses"] == ["10.0.0.2", "fd00::2"]


def test_exhaustion_is_a_condition_and_is_retried(world: Any) -> None:
    world.apply(world.network("tiny", prefixes=["10.1.0.0/30"]))
    world.apply(world.endpoint("a", network="tiny"), world.endpoint("b", network="tiny"))
    assert world.status("Endpoint", "b")["addresses"] == []
    assert world.condition("Endpoint", "b", "Allocated") == ("False", "PrefixExhausted")
    assert world.condition("Endpoint", "b", "Ready") == ("False", "PrefixExhausted")
    assert world.condition("Endpoint", "a", "Ready") == ("Unknown", "Pending")
    world.apply(world.delete("Endpoint", "a"))
    world.now += 59
    world.sweep()
    assert world.status("Endpoint", "b")["addresses"] == []
    world.now += 2
    world.sweep()
    assert world.status("Endpoint", "b")["addresses"] == ["10.1.0.2"]
    assert world.condition("Endpoint", "b", "Allocated") == ("True", "Allocated")
    assert world.sweep().empty


def test_numbers_run_out_too(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(allocation.RANGES, Pools.BRIDGE, (1, 2))
    world.apply(*(world.host(f"h{n}") for n in range(3)))
    assert world.status("Host", "h2")["bridgeId"] is None
    assert world.condition("Host", "h2", "Allocated") == ("False", "PoolExhausted")


def test_an_asked_for_address_that_rests_is_given_later(world: Any) -> None:
    world.apply(world.endpoint("a", addresses=["10.0.0.9"]))
    world.apply(world.delete("Endpoint", "a"))
    world.apply(world.endpoint("b", addresses=["10.0.0.9"]))
    assert world.condition("Endpoint", "b", "Allocated") == ("False", "AddressResting")
    world.now += 61
    world.sweep()
    assert world.status("Endpoint", "b")["addresses"] == ["10.0.0.9"]


def test_the_same_endpoint_gets_its_own_back_at_once(world: Any) -> None:
    world.apply(*(world.endpoint(name) for name in "abc"))
    before = world.status("Endpoint", "b")
    world.apply(world.delete("Endpoint", "b"))
    world.apply(world.endpoint("d"), world.endpoint("b"))
    assert world.status("Endpoint", "b") == before


def test_reuse_delay_of_zero(world: Any) -> None:
    world.apply(world.network(reuseDelaySeconds=0), world.endpoint("a"))
    world.apply(world.delete("Endpoint", "a"), world.endpoint("b", addresses=["10.0.0.2"]))
    assert world.status("Endpoint", "b")["addresses"] == ["10.0.0.2"]


def test_blocks_are_borrowed_from_when_none_is_free(world: Any) -> None:
    world.apply(world.network("n", prefixes=["10.1.0.0/28"], blockLength4=29))
    world.apply(*(world.host(f"h{n}") for n in range(3)))
    for host in range(3):
        world.apply(world.endpoint(f"e{host}", network="n", host=f"h{host}"))
    assert world.status("Endpoint", "e2")["addresses"] == ["10.1.0.3"]
    assert {b["host"] for b in world.status("Network", "n")["blocks"]} == {"h0", "h1"}


def test_blocks_are_freed_when_empty(world: Any) -> None:
    world.apply(world.host("h"), world.endpoint("a", host="h"))
    world.apply(world.delete("Endpoint", "a"), world.delete("Host", "h"))
    assert world.status("Network", "web")["blocks"]
    world.now += 61
    world.sweep()
    assert world.status("Network", "web")["blocks"] == []


def test_a_full_block_opens_again(world: Any) -> None:
    world.apply(world.host("h"), world.network("n", prefixes=["10.1.0.0/28"], blockLength4=30))
    names = ("a", "b", "c")
    world.apply(*(world.endpoint(name, network="n", host="h") for name in names))
    given = [world.status("Endpoint", name)["addresses"] for name in names]
    assert given == [["10.1.0.2"], ["10.1.0.3"], ["10.1.0.4"]]
    world.apply(world.delete("Endpoint", "b"))
    world.now += 61
    world.sweep()
    world.apply(world.endpoint("d", network="n", host="h"))
    assert world.status("Endpoint", "d")["addresses"] == ["10.1.0.3"]


def test_statuses(world: Any) -> None:
    world.apply(world.host("h", tunnelAddresses=["192.0.2.1"]), world.endpoint("a"))
    assert world.status("Host", "h")["datapathId"] == "7600000000000001"
    assert world.status("Tenant", "red")["tenantId"] == 1
    network = world.status("Network", "web")
    assert network["gateways"] == ["10.0.0.1/24"]
    assert network["endpoints"] == 1
    assert world.status("Endpoint", "a")["interface"] == {
        "addresses": ["10.0.0.2/24"],
        "gateways": ["10.0.0.1"],
        "mtu": 1400,
        "mac": world.status("Endpoint", "a")["mac"],
        "interfaceId": "red/a",
    }
    assert world.status("Endpoint", "nope") == {}


NAMES = st.sampled_from([f"e{n}" for n in range(12)])
HOSTS = st.sampled_from([None, "h1", "h2", "h3"])
REQUESTS = st.sampled_from(
    [[], [], ["10.0.0.5"], ["10.0.0.9"], ["fd00::5"], ["10.0.0.5", "fd00::9"]]
)


class Histories(RuleBasedStateMachine):
    """Random edits of endpoints in a small dual-stack network, with time passing."""

    @initialize(length=st.sampled_from([28, 29, 30]))
    def begin(self, length: int) -> None:
        self.world = World()
        self.world.apply(
            self.world.tenant(),
            self.world.network(
                prefixes=["10.0.0.0/28", "fd00::/124"],
                blockLength4=length,
                blockLength6=length + 96,
                reuseDelaySeconds=30,
            ),
            *(self.world.host(name) for name in ("h1", "h2", "h3")),
        )

    def step(self, *edits: Any) -> None:
        before = self.world.snapshot
        try:
            expected = admit(plain(before), edits, self.world.now)
            self.world.apply(*edits)
        except VneterError:
            return
        assert dict(expected.allocations) == {
            place: self.world.snapshot.allocations.get(place) for place in expected.allocations
        }, "with and without an index, the same"
        self.check_step(before)

    def check_step(self, before: Snapshot) -> None:
        after, now = self.world.snapshot, self.world.now
        for place, held in after.allocations.items():
            old = before.allocations.get(place)
            if old and old.owner != held.owner:
                assert old.released is not None, "only released values change hands"
                delay = 30 if place[0].startswith("address/") else 60
                assert now >= old.released + delay, "and only rested ones"
        for place, old in before.allocations.items():
            key = Key(*_split(old.owner)) if old.owner != "-" else None
            unchanged = key in after.objects and after.objects[key] is before.objects.get(key)
            if old.released is None and unchanged and not place[0].startswith("block/"):
                assert after.allocations.get(place) == old, "owners keep their values"

    @rule(name=NAMES, host=HOSTS, addresses=REQUESTS)
    def write(self, name: str, host: str | None, addresses: list[str]) -> None:
        spec = {"host": host} if host else {}
        self.step(self.world.endpoint(name, addresses=addresses, **spec))

    @rule(names=st.sets(NAMES, max_size=4), gone=st.sets(NAMES, max_size=4))
    def batch(self, names: set[str], gone: set[str]) -> None:
        present = {key.name for key in self.world.snapshot.objects}
        self.step(
            *(self.world.endpoint(name) for name in sorted(names - gone)),
            *(self.world.delete("Endpoint", name) for name in sorted(gone & present)),
        )

    @rule(seconds=st.sampled_from([0.0005, 10, 31, 61]))
    def sleep(self, seconds: float) -> None:
        self.world.now += seconds

    @rule()
    def sweep(self) -> None:
        before = self.world.snapshot
        expected = sweep(plain(before), self.world.now)
        self.world.sweep()
        assert dict(self.world.snapshot.allocations) == {
            place: held
            for place, held in {**before.allocations, **expected.allocations}.items()
            if held is not None
        }
        self.check_step(before)

    @rule()
    def reread(self) -> None:
        """Another client, which saw the rows and not the admissions."""
        now = self.world.snapshot
        self.world.snapshot = taken_in(
            indexed(Snapshot()), now.revision, dict(now.objects), dict(now.allocations)
        )

    @invariant()
    def addresses_lie_in_blocks(self) -> None:
        if not hasattr(self, "world"):
            return
        snapshot = self.world.snapshot
        for prefix in ("10.0.0.0/28", "fd00::/124"):
            pool = Pools.block(Key("Network", "red", "web"), prefix)
            blocks = [ip_network(v) for p, v in snapshot.allocations if p == pool]
            assert all(not a.overlaps(b) for a in blocks for b in blocks if a is not b)
            for (p, value), held in snapshot.allocations.items():
                if p != f"address/red/web/{prefix}" or not held.owner.startswith("Endpoint"):
                    continue
                inside = any(ip_address(value) in block for block in blocks)
                assert inside or self.was_asked(value)

    def was_asked(self, value: str) -> bool:
        return value in {"10.0.0.5", "10.0.0.9", "fd00::5", "fd00::9"}

    def teardown(self) -> None:
        """In the end everything is free again."""
        if not hasattr(self, "world"):
            return
        world = self.world
        keys = [key for key in world.snapshot.objects if key.kind == "Endpoint"]
        world.apply(*(world.delete("Endpoint", key.name) for key in keys))
        world.now += 61
        world.sweep()
        owners = {held.owner.partition(" ")[0] for held in world.snapshot.allocations.values()}
        assert owners == {"Tenant", "Network", "Host"}
        assert not [p for p, _ in world.snapshot.allocations if p.startswith("block/")]
        assert world.sweep().empty


def _split(owner: str) -> tuple[str, str, str]:
    kind, _, path = owner.partition(" ")
    tenant, slash, name = path.partition("/")
    return (kind, tenant, name) if slash else (kind, "", path)


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=50, stateful_step_count=15, deadline=None)
