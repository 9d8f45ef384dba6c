# SPDX-License-Identifier: Apache-2.0
"""On flows drawn at random, a walk of sets says what the simulator says of each packet."""

import importlib.util
from pathlib import Path
from random import Random

import pytest

from vneter_sdn.model.fields import FIELDS, TRACKED
from vneter_sdn.model.flow import (
    BridgeState,
    Conntrack,
    Copy,
    Flow,
    Output,
    SetField,
    match,
)
from vneter_sdn.simulate.bridge import Surroundings, run
from vneter_sdn.simulate.lookup import Datapath
from vneter_sdn.verify.packets import ALL
from vneter_sdn.verify.state import Choice, Committed, Dropped, Punted, Sent, resolved
from vneter_sdn.verify.walk import Around, Walker, all_up

_PATH = Path(__file__).parents[1] / "simulate" / "test_agreement_random.py"
_SPEC = importlib.util.spec_from_file_location("agreement_random", _PATH)
drawn = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(drawn)
CARRIED = {"in_port", "conj_id", "metadata", *(f"reg{n}" for n in range(16))}


def told(result):
    """A simulator's result, as plain values."""
    return (
        [(sent.port, dict(sent.packet.wire)) for sent in result.outputs],
        [(punted.action, dict(punted.packet.wire)) for punted in result.punts],
        [(drop.table, drop.reason) for drop in result.drops],
        [(flow.table, flow.priority, flow.actions, flow.goto) for _, flow in result.trail],
    )


def wire(held, packet):
    names = {*held, *packet}
    found = {name: resolved(held, name, packet) for name in names}
    return {n: v for n, v in found.items() if v and n not in CARRIED and n[:3] != "ct_"}


def said(course, packet):
    """A course's account of one of its packets."""
    sent = course.of(Sent)
    return (
        [(resolved({"p": e.port}, "p", packet), wire(e.held, packet)) for e in sent],
        [(e.action, wire(e.held, packet)) for e in course.of(Punted)],
        [(e.table, e.reason) for e in course.of(Dropped)],
        [(s.flow.table, s.flow.priority, s.flow.actions, s.flow.goto) for s in course.trail],
    )


def chooser(course):
    chosen = {}
    for choice in course.choices:
        chosen.setdefault(choice.group, []).append(choice.bucket)

    def choose(group, candidates, _packet):
        return chosen[group.group].pop(0)

    return choose


def simulated(datapath, packet, course):
    ups = {port: up for (_, port), up in course.up}
    around = Surroundings(live=lambda port: ups.get(port, True), choose=chooser(course))
    return run(datapath, packet, around)


def agree(state, packets, around):
    """How many packets were compared; asserts that all agree, examples of courses too."""
    datapath = Datapath.of(state)
    courses = Walker(state, around).courses(ALL)
    compared = 0
    for packet in [*packets, *(course.packets.witness() for course in courses)]:
        mine = [course for course in courses if packet in course.packets]
        assert mine, packet
        for course in mine:
            result = simulated(datapath, packet, course)
            unknown = any(not isinstance(e.port, int) for e in course.of(Sent))
            if result.ambiguities or (unknown and "IN_PORT" not in str(course)):
                continue
            assert said(course, packet) == told(result), (packet, course.choices)
            compared += 1
        assert len({(course.choices, course.up) for course in mine}) == len(mine)
    return compared


@pytest.mark.parametrize("cuts", [(), (1, 2, 3)], ids=("plain", "cut"))
@pytest.mark.parametrize("live", [all_up, None], ids=("up", "any"))
@pytest.mark.parametrize("seed", range(12))
def test_agrees_with_the_simulator(seed, live, cuts):
    rng = Random(seed)
    state = drawn.draw_state(rng)
    packets = [drawn.draw_packet(rng) for _ in range(60)]
    assert agree(state, packets, Around(live=live, cuts=frozenset(cuts))) > 60


@pytest.mark.parametrize("seed", range(12))
def test_agrees_on_conjunctions(seed):
    rng = Random(seed)
    state = drawn.draw_conjunctions(rng)
    packets = [drawn.draw_tcp(rng) for _ in range(60)]
    assert agree(state, packets, Around()) > 50


STATES = tuple((TRACKED[a], TRACKED[a] | TRACKED["inv"]) for a in ("trk", "new", "est", "rpl"))
"""``ct_state`` with its mask."""


def draw_tracked(rng):
    """Three tables that track, commit, and match what the tracker said."""
    flows = {}
    for table in range(3):
        for priority in range(1, 9):
            kind = rng.choice(("ip", "tcp", "icmp", "ipv6"))
            terms = {term.field: (term.value, term.mask) for term in drawn.draw_match(rng, kind)}
            if rng.random() < 0.6:
                terms |= {"ct_state": rng.choice(STATES)}
                if rng.random() < 0.4:
                    terms |= {"ct_mark": (rng.choice((1, 2)), 0x3)}
            actions = [draw_tracking(rng, table) for _ in range(rng.randint(1, 3))]
            goto = rng.choice([None, *range(table + 1, 3)])
            flow = Flow(table, priority, match(**terms), tuple(actions), goto)
            flows[flow.key] = flow
    return BridgeState(flows)


def draw_tracking(rng, table):
    commit = rng.random() < 0.5
    onward = rng.choice([None, *range(table + 1, 3)])
    writes = (
        SetField("ct_mark", rng.choice((1, 2)), FIELDS["ct_mark"].full),
        SetField("ct_mark", 2, 0xF),
        Copy("eth_dst", "ct_mark", 4),
        Copy("reg1", "ct_label", 8, 0, 32),
    )
    inner = tuple(rng.sample(writes, rng.randint(0, 2))) if commit else ()
    zone = {"zone": rng.choice((0, 1))} if rng.random() < 0.7 else {"zone_field": "reg1"}
    return rng.choice(
        [
            Conntrack(commit=commit, table=onward, actions=inner, **zone),
            SetField("reg1", rng.choice((1, 2)), FIELDS["reg1"].full),
            Output(rng.choice(drawn.PORTS)),
        ]
    )


def draw_flagged(rng):
    packet = drawn.draw_packet(rng)
    if packet.get("ip_proto") != 6:
        return packet
    return packet.with_(tcp_flags=rng.choice((0, 2, 16, 17, 18, 20, 4, 1)))


@pytest.mark.parametrize("cuts", [(), (1, 2)], ids=("plain", "cut"))
@pytest.mark.parametrize("seed", range(20))
def test_agrees_on_new_connections(seed, cuts):
    rng = Random(seed)
    state = draw_tracked(rng)
    packets = [draw_flagged(rng) for _ in range(60)]
    assert agree(state, packets, Around(live=all_up, cuts=frozenset(cuts))) > 60


def test_commits_are_what_the_simulator_remembers():
    compared = 0
    for seed in range(20):
        rng = Random(seed)
        state = draw_tracked(rng)
        datapath = Datapath.of(state)
        for course in Walker(state, Around(live=all_up)).courses(ALL):
            packet = course.packets.witness()
            held = run(datapath, packet).connections.held
            commits = course.of(Committed)
            assert bool(held) == bool(commits)
            if len(commits) == 1:
                ((way, connection),) = held.items()
                (event,) = commits
                names = {"zone": way.zone, "mark": connection.mark, "label": connection.label}
                assert names == {
                    name: resolved({"e": getattr(event, name)}, "e", packet) for name in names
                }
                compared += 1
    assert compared > 20


def test_a_choice_is_said():
    state = drawn.draw_state(Random(3))
    courses = Walker(state, Around(live=None)).courses(ALL)
    assert any(course.up for course in courses)
    assert any(isinstance(choice, Choice) for course in courses for choice in course.choices)
