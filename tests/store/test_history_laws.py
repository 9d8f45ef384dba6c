# SPDX-License-Identifier: Apache-2.0
"""Laws of histories: whatever was done, going back to a revision gives what was there."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vneter_sdn.errors import IntentError, NotFound
from vneter_sdn.model.kinds import API_VERSION
from vneter_sdn.model.snapshot import Key, Snapshot
from vneter_sdn.store.memory import MemoryStore
from vneter_sdn.store.port import Edit, Store

SLOW = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
PREFIXES = (["10.0.0.0/24"], ["10.0.0.0/24", "fd00::/64"], ["10.1.0.0/30"])
IN_THE_WAY = {"PrefixInUse", "AddressInUse", "VniInUse", "MacInUse"}
"""Reasons that depend on what machines gave away meanwhile."""
_MAPS = st.dictionaries(st.sampled_from(["a", "b/c"]), st.sampled_from(["", "x", "ü" * 900]))


@st.composite
def edit(draw: Any) -> Edit:
    """One of few objects that refer to each other, so that much is refused and much comes back."""
    kind = draw(st.sampled_from(["Tenant", "Network", "Endpoint", "Endpoint", "Host"]))
    name = draw(st.sampled_from(["a", "b"]))
    tenant = draw(st.sampled_from(["a", "b"])) if kind in {"Network", "Endpoint"} else ""
    key = Key(kind, tenant, name)
    if draw(st.integers(0, 3)) == 0:
        return Edit("delete", key)
    spec: dict[str, Any] = {}
    if kind == "Network":
        spec = {"prefixes": draw(st.sampled_from(PREFIXES)), "mtu": draw(st.integers(1280, 1283))}
        spec |= draw(st.sampled_from([{}, {"vni": 7}, {"reuseDelaySeconds": 0}]))
    elif kind == "Endpoint":
        spec = {"network": draw(st.sampled_from(["a", "b"]))}
        spec |= draw(st.sampled_from([{}, {"addresses": ["10.0.0.9"]}, {"host": "a"}]))
    elif kind == "Host":
        spec = {"ovsdb": f"unix:/run/{name}"}
    labels = {k: v for k, v in draw(_MAPS).items() if v.isascii()}
    metadata = {"name": name, "labels": labels, "annotations": draw(_MAPS)}
    metadata |= {"tenant": tenant} if tenant else {}
    return Edit("apply", key, {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata,
                               "spec": spec})  # fmt: skip


STEPS = st.lists(
    st.one_of(
        st.lists(edit(), min_size=1, max_size=6, unique_by=lambda one: one.key),
        st.integers(0, 100),  # roll back; a percentage of the way
        st.floats(0, 400),  # let time pass, and sweep
    ),
    min_size=2,
    max_size=12,
)
WORLD = [
    Edit("apply", Key(kind, tenant, name), {"apiVersion": API_VERSION, "kind": kind,
         "metadata": {"name": name} | ({"tenant": tenant} if tenant else {}), "spec": spec})
    for kind, tenant, name, spec in (
        ("Tenant", "", "a", {}),
        ("Tenant", "", "b", {}),
        ("Host", "", "a", {"ovsdb": "unix:/run/a"}),
        ("Network", "a", "a", {"prefixes": ["10.0.0.0/24"]}),
        ("Network", "b", "b", {"prefixes": ["10.0.0.0/24", "fd00::/64"]}),
        ("Endpoint", "a", "a", {"network": "a"}),
    )
]  # fmt: skip


def asked(snapshot: Snapshot) -> dict[Key, Any]:
    return {
        key: (msgspec.to_builtins(one.spec), one.labels, one.annotations)
        for key, one in snapshot.objects.items()
    }


def lives(store: Store, clock: Any, steps: list[Any]) -> dict[int, Any]:
    """Carry steps out; what people had asked for by the end of each revision since the first."""
    store.rollback(0, author="law")
    store.apply(WORLD, author="law")
    first = store.snapshot().revision
    states = {first: asked(store.snapshot())}
    for step in steps:
        if isinstance(step, list):
            try:
                store.apply(step, author="law")
            except (IntentError, NotFound):
                for one in step:
                    with suppress(IntentError, NotFound):
                        store.apply([one], author="law")
                        states[store.snapshot().revision] = asked(store.snapshot())
        elif isinstance(step, int):
            number = first + (store.snapshot().revision - first) * step // 100
            goes_back(store, number, states[number])
        else:
            clock.now += step
            store.sweep()
        states[store.snapshot().revision] = asked(store.snapshot())
    return states


def goes_back(store: Store, number: int, state: Any) -> None:
    """Exactly so, or, where somebody now holds what it needs, not at all."""
    before = store.snapshot()
    try:
        would = store.rollback(number, author="law", dry_run=True)
    except IntentError as refusal:
        assert {one.reason for one in refusal.problems} <= IN_THE_WAY  # noqa: PT017
        with pytest.raises(IntentError):
            store.rollback(number, author="law")
        assert store.snapshot() is before
        return
    done = store.rollback(number, author="law")
    assert asked(store.snapshot()) == state
    assert (would.created, would.updated) == (done.created, done.updated)
    assert would.deleted == done.deleted


def sound(snapshot: Snapshot) -> None:
    """Nothing is held by what is not there, and nobody holds two values of a pool."""
    owners = {str(key) for key in snapshot.objects} | {"-"}
    owned = [a for a in snapshot.allocations.values() if a.released is None]
    assert {a.owner for a in owned if not a.pool.startswith("block/")} <= owners
    places = [(a.pool, a.owner) for a in owned if not a.pool.startswith("block/")]
    assert len(places) == len(set(places))


def holds(store: Store, clock: Any, steps: list[Any]) -> None:
    states = lives(store, clock, steps)
    for number in sorted(states, key=lambda one: one * 7919 % 101):
        goes_back(store, number, states[number])
        sound(store.snapshot())
    assert store.verify().broken is None


@settings(max_examples=80, deadline=None, suppress_health_check=SLOW)
@given(steps=STEPS)
def test_going_back_gives_what_was_there(clock: Any, steps: list[Any]) -> None:
    store = MemoryStore(clock)
    holds(store, clock, steps)
    store.close()


@pytest.mark.ovs
@settings(max_examples=12, deadline=None, suppress_health_check=SLOW)
@given(steps=STEPS)
def test_going_back_gives_what_was_there_in_the_database(
    connect: Any, clock: Any, opened: dict[str, Any], steps: list[Any]
) -> None:
    if not opened:
        opened["store"] = connect()
    holds(opened["store"], clock, steps)


@pytest.fixture
def opened() -> dict[str, Any]:
    """The store that examples share: their histories follow each other."""
    return {}
