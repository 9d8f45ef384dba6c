# SPDX-License-Identifier: Apache-2.0
"""Colours of routes follow what is wanted, and never change under a route."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from vneter_sdn.engine.colouring import Colours
from vneter_sdn.graph.route import parse, text
from vneter_sdn.model.snapshot import Delta, Pools
from vneter_sdn.store.memory import MemoryStore

ROUTES = [("a>b",), ("a>c", "c>b"), ("a>d", "d>b"), ("a>c", "c>d", "d>b"), ("b>c",), ("b>d",)]


def follow(store, colours, before):
    now = store.snapshot()
    keys = before.allocations.keys() | now.allocations.keys()
    changed = {k for k in keys if before.allocations.get(k) != now.allocations.get(k)}
    colours.take(now, Delta(allocations=frozenset(changed)))
    return now


def held(snapshot):
    rows = {v: a for (pool, v), a in snapshot.allocations.items() if pool == Pools.PATH}
    return {parse(v): (a.owner, a.released is None) for v, a in rows.items()}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.frozensets(st.sampled_from(ROUTES)), max_size=6))
def test_what_is_wanted_is_held_and_keeps_its_colour(wishes):
    store, colours = MemoryStore(), Colours()
    known, seen = store.snapshot(), {}
    for wanted in wishes:
        decision = colours.decide(wanted)
        if decision:
            store.colour(decision.assigned, decision.released)
        known = follow(store, colours, known)
        now = held(known)
        assert {route for route, (_, live) in now.items() if live} == wanted
        for route, (owner, _) in now.items():
            assert seen.setdefault(route, owner) == owner
        assert colours.decide(wanted) is None


def test_the_same_wish_is_not_looked_at_twice():
    colours = Colours()
    wanted = frozenset(ROUTES[:2])
    assert colours.decide(wanted).assigned.keys() == {text(route) for route in wanted}
    assert colours.decide(wanted) is None


def test_a_restart_moves_nothing():
    store, first = MemoryStore(), Colours()
    decision = first.decide(frozenset(ROUTES))
    store.colour(decision.assigned, decision.released)
    second, snapshot = Colours(), store.snapshot()
    second.take(snapshot, Delta(allocations=frozenset(snapshot.allocations)))
    assert second.decide(frozenset(ROUTES)) is None


def test_routes_without_a_colour_left_are_named():
    routes = [(f"a>{n}x", f"{n}x>b") for n in range(70)]
    colours = Colours()
    decision = colours.decide(frozenset(routes))
    assert len(decision.assigned) == 59
    assert len(decision.left_out) == len(routes) - 59 == len(colours.left_out)
