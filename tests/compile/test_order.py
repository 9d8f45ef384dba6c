# SPDX-License-Identifier: Apache-2.0
"""Ranks rise against the flow of packets, so that nothing is led to where it is not known yet."""

from __future__ import annotations

import pytest
from fabric import Fabric, intent_of

from vneter_sdn.compile.order import LAST
from vneter_sdn.model.flow import GroupAction, Output
from vneter_sdn.pipeline.locator import BLUE, RED, Locator
from vneter_sdn.pipeline.reserved import share_group
from vneter_sdn.pipeline.tables import BY_ID

GRID = [(1, 2), (2, 3), (4, 5), (5, 6), (1, 4), (2, 5), (3, 6)]


@pytest.fixture(scope="module")
def fabric():
    intent = intent_of(6, GRID)
    intent.policy("spread", 5, paths=3, objective="hops", tenants=("red",))
    return Fabric.of(intent)


def steps(fabric, host):
    """(place, its colour and bridge, where its buckets lead: host, colour)."""
    compiler = fabric.compiler
    ends = {fabric.near(e): e.target for e in fabric.edges()}
    state = compiler.bridge(host)
    for flow in state.flows.values():
        if BY_ID[flow.table].name != "transit" or not flow.match:
            continue
        at = Locator.of(flow.match[0].value)
        group = next((a.group for a in flow.actions if isinstance(a, GroupAction)), None)
        buckets = [b.actions for b in state.groups[group].buckets] if group else [flow.actions]
        for actions in buckets:
            moved = [
                Locator.of(a.value).colour
                for a in actions
                if hasattr(a, "mask") and a.field == "eth_dst"
            ]
            port = next(a.port for a in actions if isinstance(a, Output))
            yield flow.key, group, at, ends[host, port], (moved or [at.colour])[0]


def test_every_place_of_a_tree_comes_after_all_that_it_leads_to(fabric):
    compiler, seen = fabric.compiler, set()
    places = {}
    for host in compiler.hosts():
        for place, _, at, _, _ in steps(fabric, host):
            places[host, at.colour, at.bridge] = place
    for host in compiler.hosts():
        for place, group, at, following, colour in steps(fabric, host):
            here = compiler.rank(host, place)
            assert 0 < here < LAST
            assert group is None or compiler.rank(host, ("group", group)) == here
            if following != f"h{at.bridge}":
                there = places[following, colour, at.bridge]
                assert compiler.rank(following, there) < here
            seen.add(at.colour)
    assert {0, 1, RED, BLUE} <= seen


def test_what_takes_packets_in_comes_first_and_what_leads_them_onto_trees_last(fabric):
    compiler = fabric.compiler
    ranks = {}
    for place in compiler.bridge("h1").flows:
        ranks.setdefault(BY_ID[place.table].name, set()).add(compiler.rank("h1", place))
    for name in ("classify", "arrival", "deliver", "remember", "follow", "output"):
        assert ranks[name] == {0}
    for name in ("switch", "route", "steer", "path", "pin"):
        assert ranks[name] == {LAST}
    assert compiler.rank("h1", ("group", share_group(5, 6))) == LAST
    assert compiler.rank("h1", ("meter", 0x30000)) == 0


def test_who_is_in_a_tree_no_more_comes_after_all_who_are(fabric):
    compiler = fabric.compiler
    (place, *_), *_ = steps(fabric, "h1")
    assert compiler.rank("h99", place) > compiler.rank("h1", place)
    assert compiler.rank("h99", place) < LAST
