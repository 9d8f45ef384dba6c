# SPDX-License-Identifier: Apache-2.0
"""Gateways advertise themselves now and then, spread, and say when they cease to."""

from dataclasses import replace
from itertools import pairwise
from random import Random

from asking import asker
from hypothesis import given, settings
from hypothesis import strategies as st

from vneter_sdn.edge import advertising
from vneter_sdn.edge.advertising import Face
from vneter_sdn.edge.announcing import FIRST, LAST, MOST, PAUSE, SOON, Announcing, Group
from vneter_sdn.model.snapshot import Key
from vneter_sdn.southbound.openflow import punt, router

FACE = Face.of(asker(ra={"intervalSeconds": 600}))
HERE = Group(FACE.network, "h1")


def announcing(seed=7):
    return Announcing(Random(seed).uniform)


def times(one, until, step=1.0, since=0.0):
    """When what is sent, second by second."""
    found, now = [], since
    while now <= until:
        found += [(now, sent) for sent in one.due(now)]
        now += step
    return found


def lifetime(frame):
    packet = punt.decode(frame).network
    return router.advertisement(frame[packet.payload : packet.end]).lifetime


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.integers(4, 1800))
def test_it_is_said_now_and_then(seed, interval):
    face = Face.of(asker(ra={"intervalSeconds": interval, "lifetimeSeconds": 9000}))
    one = announcing(seed)
    one.stored([face], {HERE: (1, 2)}, 0.0)
    sent = times(one, 10_000)
    assert sent[0][0] <= FIRST + 1
    gaps = [b[0] - a[0] for a, b in pairwise(sent)]
    assert all(0.75 * interval - 1 <= gap <= interval + 1 for gap in gaps)
    assert all(10_000 - sent[-1][0] <= interval + 1 for _ in sent)
    assert {(s.host, s.ports, s.frame) for _, s in sent} == {
        ("h1", (1, 2), advertising.unsolicited(face))
    }


def test_many_are_spread_and_never_too_many_at_once():
    groups = {Group(FACE.network, f"h{n}"): (1,) for n in range(1000)}
    one = announcing()
    one.stored([FACE], groups, 0.0)
    first = [len(list(one.due(float(now)))) for now in range(30)]
    assert sum(first) == 1000
    assert max(first) <= MOST
    later = [len(list(one.due(float(now)))) for now in range(30, 630)]
    assert max(later) < 20


def test_all_wait_where_nobody_looked_for_a_while():
    groups = {Group(FACE.network, f"h{n}"): (1,) for n in range(2 * MOST + 1)}
    one = announcing()
    one.stored([FACE], groups, 0.0)
    assert [len(list(one.due(100.0 + n))) for n in range(4)] == [MOST, MOST, 1, 0]


def test_what_is_new_is_said_soon_and_nothing_else_is():
    one = announcing()
    one.stored([FACE], {HERE: (1,)}, 0.0)
    times(one, 20)
    one.stored([FACE], {HERE: (1, 2)}, 20.0)
    assert times(one, 30, since=21.0) == []
    changed = replace(FACE, domain="example.com", spec=asker(ra={}, mtu=1300).spec)
    one.stored([changed], {HERE: (1, 2)}, 30.0)
    ((_, sent),) = times(one, 30 + SOON + 1, since=30.0)
    assert sent.frame == advertising.unsolicited(changed)
    assert sent.ports == (1, 2)


def test_a_gateway_that_is_none_any_more_says_so_three_times():
    one = announcing()
    one.stored([FACE], {HERE: (1,)}, 0.0)
    times(one, 20)
    silent = replace(FACE, spec=asker(ra={"enabled": False}).spec)
    one.stored([silent], {HERE: (1,)}, 20.0)
    sent = times(one, 700, since=20.0)
    assert [at for at, _ in sent] == [20.0 + PAUSE * n for n in range(LAST)]
    assert [lifetime(one.frame) for _, one in sent] == [0] * LAST


def test_one_whose_network_went_says_so_where_it_was():
    one = announcing()
    other = Group(Key("Network", "red", "other"), "h2")
    one.stored([FACE, replace(FACE, network=other.network)], {HERE: (1,), other: (3,)}, 0.0)
    times(one, 20)
    one.stored([FACE], {HERE: (1,)}, 20.0)
    sent = times(one, 20 + 2 * PAUSE, since=20.0)
    assert [(s.host, s.ports) for _, s in sent] == [("h2", (3,))] * LAST


def test_where_nobody_is_nothing_is_said():
    one = announcing()
    one.stored([FACE], {}, 0.0)
    assert times(one, 700) == []
    one.stored([FACE], {HERE: (1,)}, 700.0)
    assert len(times(one, 700 + FIRST + 1, since=700.0)) == 1
    one.stored([FACE], {}, 800.0)
    assert times(one, 2000, since=800.0) == []
