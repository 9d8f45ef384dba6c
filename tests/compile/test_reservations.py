# SPDX-License-Identifier: Apache-2.0
"""Reservations on packets: the booked path, the meter where they start, and what others see."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fabric import ACK, Fabric, intent_of
from hypothesis import given
from hypothesis import strategies as st

from vneter_sdn.compile.bookings import ratios
from vneter_sdn.compile.facts import clock_fact, everything
from vneter_sdn.compile.network import Observed, compile_alone, compile_snapshot
from vneter_sdn.model.flow import MeterAction
from vneter_sdn.model.instants import rfc3339
from vneter_sdn.model.path_kinds import PathConstraints, ReservationSpec
from vneter_sdn.model.snapshot import Condition, Delta, Key, Pools, Status
from vneter_sdn.pipeline.reserved import rate_meter
from vneter_sdn.pipeline.tables import table

DIAMOND = [(1, 2), (2, 4), (1, 3), (3, 4)]
UPPER, LOWER = ("h1", "h2", "h4"), ("h1", "h3", "h4")
HOLD = Key("Reservation", "", "hold")
NUMBER = 9


def diamond(capacity=100.0, **wide):
    """h1-h2-h4 with a lower cost than h1-h3-h4, every link as wide."""
    intent = intent_of(4, DIAMOND)
    for key, stored in list(intent.objects.items()):
        if key.kind == "Link":
            cost = 3 if "h3" in key.name else 1
            mbps = wide.get("lower", capacity) if "h3" in key.name else capacity
            intent.put(key, _with(stored.spec, cost=cost, capacity_mbps=mbps))
    return intent


def _with(spec, **changes):
    known = {name: getattr(spec, name) for name in spec.__struct_fields__}
    return type(spec)(**(known | changes))


def reserve(intent, name="hold", number=NUMBER, revision=1, **spec):
    key = Key("Reservation", "", name)
    ends = {"tenant": "red", "source": "e1", "target": "e4", "rate_mbps": 60.0}
    intent.put(key, ReservationSpec(**(ends | spec)))
    intent.objects[key] = replace_revision(intent.objects[key], revision)
    intent.hold(Pools.POLICY, number, key)
    return key


def replace_revision(stored, revision):
    known = {name: getattr(stored, name) for name in stored.__struct_fields__}
    return type(stored)(**(known | {"revision": revision}))


def metered(compiler, host):
    flows = [f for f in compiler.bridge(host).flows.values() if f.table == table("steer").id]
    return {f for f in flows if any(isinstance(a, MeterAction) for a in f.actions)}


def test_an_endpoint_pair_is_metered_at_both_ends_and_nowhere_else():
    intent = diamond()
    reserve(intent)
    compiler = compile_alone(intent.snapshot())
    assert compiler.admission(HOLD).decision.reason == "Admitted"
    for host in ("h1", "h4"):
        assert compiler.bridge(host).meters[rate_meter(NUMBER)].rate == 60_000
        (flow,) = metered(compiler, host)
        assert flow.table == table("steer").id
    assert not metered(compiler, "h2")
    assert rate_meter(NUMBER) not in compiler.bridge("h3").meters
    assert not compiler.clashes


def test_the_second_goes_where_there_is_room_and_the_third_is_told_what_is_full():
    intent = diamond()
    reserve(intent, "first", 9, 1)
    reserve(intent, "second", 10, 2, source="e4", target="e1")
    reserve(intent, "third", 11, 3, between="hosts", source="h1", target="h4")
    compiler = compile_alone(intent.snapshot())
    first, second, third = (
        compiler.admission(Key("Reservation", "", n)) for n in ("first", "second", "third")
    )
    assert [len(one.decision.routes) for one in (first, second, third)] == [1, 1, 0]
    assert third.decision.reason == "Full"
    assert third.decision.edge in third.decision.message
    assert third.decision.free == 40


def test_reserved_traffic_takes_the_booked_path_and_others_the_default():
    intent = diamond(lower=1000.0)
    reserve(intent, rate_mbps=500.0)
    fabric = Fabric.of(intent)
    assert fabric.way(1, 4, 1000) == LOWER
    assert fabric.way(4, 1, 80, 1000, flags=ACK | 2) == LOWER[::-1]
    assert fabric.way(1, 2, 1000) == ("h1", "h2")


def test_connections_that_began_elsewhere_move_to_what_is_booked():
    intent = diamond(lower=1000.0)
    intent.policy("spread", 5, tenants=("red",), paths=1)
    fabric = Fabric.of(intent)
    assert fabric.way(1, 4, 1000) == UPPER
    fabric.way(4, 1, 80, 1000, flags=ACK | 2)
    reserve(intent, rate_mbps=500.0)
    fabric.take(compile_alone(intent.snapshot()))
    assert fabric.way(1, 4, 1000, flags=ACK) == LOWER
    assert fabric.way(4, 1, 80, 1000, flags=ACK) == LOWER[::-1]


def test_between_hosts_all_of_a_tenant_is_under_it():
    intent = diamond(lower=1000.0)
    reserve(intent, between="hosts", source="h1", target="h4", rate_mbps=500.0)
    fabric = Fabric.of(intent)
    assert fabric.way(1, 4, 1000) == LOWER
    assert len(metered(fabric.compiler, "h1")) == 3


def test_a_window_that_is_not_open_holds_nothing_on_bridges_and_one_that_opens_does():
    intent = diamond()
    key = reserve(intent, start=rfc3339(1000), end=rfc3339(2000))
    snapshot = intent.snapshot()
    compiler = compile_snapshot(snapshot, seen=_ports(snapshot))
    for now, open_ in ((500.0, False), (1000.0, True), (2000.0, False)):
        compiler.update(clock_fact(now))
        assert compiler.admission(key).active == open_
        assert bool(metered(compiler, "h1")) == open_


def _ports(snapshot):
    hosts = {k.name for k in snapshot.objects if k.kind == "Host"}
    return Observed(ports={h: {f"eth{n}": n for n in range(10, 14)} for h in hosts})


def test_what_others_reserved_counts_against_a_policy_and_its_own_does_not():
    for own, found in (("thin", UPPER), (None, LOWER)):
        intent = diamond()
        wide = PathConstraints(min_bandwidth_mbps=50.0)
        intent.policy("thin", 5, tenants=("red",), constraints=wide)
        reserve(intent, policy=own)
        compiler = compile_alone(intent.snapshot())
        routes = compiler.chosen_paths(Key("PathPolicy", "", "thin"), "h1", "h4").routes
        passed = {edge.split(":")[0] for edge in routes[0][0]}
        assert passed == set(found[:2])


def promised(compiler, key, live=True):
    """The report of a reservation, as far as it counts."""
    routes = compiler.admission(key).decision.routes
    details = {"routes": [{"route": " ".join(r), "mbps": m} for r, m in routes.items()]}
    return Status(key, 1, (Condition("Admitted", str(live), ""),), details)


def test_what_was_promised_stays_when_something_else_ends():
    intent = diamond()
    first = reserve(intent, "first", 9, 1)
    second = reserve(intent, "second", 10, 2)
    before = compile_alone(intent.snapshot())
    status = promised(before, second)
    del intent.objects[first]
    alone = compile_alone(intent.snapshot()).admission(second)
    kept = compile_alone(replace(intent.snapshot(), statuses={second: status})).admission(second)
    assert kept.decision.routes == before.admission(second).decision.routes
    assert kept.decision.routes != alone.decision.routes


def test_a_link_that_fails_breaks_a_promise_and_a_raised_rate_does_not():
    intent = diamond()
    first = reserve(intent, "first", 9, 1)
    second = reserve(intent, "second", 10, 2)
    status = {key: promised(compile_alone(intent.snapshot()), key) for key in (first, second)}
    intent.put(*_cut(intent, "h3"))
    compiler = compile_alone(replace(intent.snapshot(), statuses=status))
    assert compiler.admission(first).decision.admitted
    assert compiler.admission(second).broken
    reserve(intent, "second", 10, 3, rate_mbps=5000.0)
    compiler = compile_alone(replace(intent.snapshot(), statuses=status))
    assert not compiler.admission(second).broken


def _cut(intent, host):
    key = next(k for k in intent.objects if k.kind == "Link" and host in k.name)
    return key, _with(intent.objects[key].spec, disabled=True)


def test_a_later_one_takes_nothing_from_one_that_was_promised():
    intent = diamond()
    early = reserve(intent, "early", 9, 1, rate_mbps=5000.0)
    late = reserve(intent, "late", 10, 2)
    status = {late: promised(compile_alone(intent.snapshot()), late)}
    reserve(intent, "early", 9, 3, rate_mbps=90.0)
    compiler = compile_alone(replace(intent.snapshot(), statuses=status))
    assert compiler.admission(late).decision.routes
    assert (
        compiler.admission(late)
        .decision.booked.keys()
        .isdisjoint(compiler.admission(early).decision.booked)
    )


def test_following_the_store_gives_what_a_fresh_compile_gives():
    intent = diamond()
    key = reserve(intent)
    snapshot = intent.snapshot()
    followed = compile_alone(snapshot)
    later = replace(snapshot, statuses={key: promised(followed, key)})
    followed.take(later, Delta(statuses=frozenset([key])))
    fresh = compile_alone(later)
    assert {h: followed.digest(h) for h in followed.hosts()} == {
        h: fresh.digest(h) for h in fresh.hosts()
    }
    del intent.objects[key]
    gone = intent.snapshot()
    followed.take(gone, Delta(frozenset([key]), statuses=frozenset([key])))
    assert not metered(followed, "h1")
    assert everything(later).statuses == {key}


@given(st.lists(st.integers(1, 9), min_size=1, max_size=5), st.floats(0.01, 1e6))
def test_ratios_are_in_proportion(weights, unit):
    found = ratios([weight * unit for weight in weights])
    assert all(one >= 1 for one in found)
    for one, weight in zip(found, weights, strict=True):
        assert one / sum(found) == pytest.approx(weight / sum(weights), rel=0.01)
