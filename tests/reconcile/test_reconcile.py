# SPDX-License-Identifier: Apache-2.0
"""Laws of diff, apply and the shrink guard."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vneter_sdn.errors import PipelineError
from vneter_sdn.model.flow import (
    BridgeState,
    Bucket,
    Flow,
    Group,
    GroupAction,
    Meter,
    MeterAction,
    Output,
    match,
)
from vneter_sdn.pipeline import reserved
from vneter_sdn.pipeline.cookies import Cookie
from vneter_sdn.reconcile.apply import apply
from vneter_sdn.reconcile.diff import diff, everything, plan_delta, referred, same
from vneter_sdn.reconcile.guard import guard
from vneter_sdn.reconcile.plan import BridgePlan, Changed, Observed, Verb

G, M = reserved.GROUPS.start, reserved.METERS.start
group_ids = st.integers(G, G + 4)
meter_ids = st.integers(M, M + 2)
matches = st.builds(lambda n: match(reg1=n), st.integers(0, 5))
cookies = st.builds(
    lambda g, f, o: Cookie(g, f, o).number, st.integers(0, 2), st.just(1), st.integers(0, 1)
)


@st.composite
def states(draw: st.DrawFn) -> BridgeState:
    groups = {}
    for number in sorted(draw(st.sets(group_ids))):
        onward = draw(st.sampled_from([None, *groups]))
        actions = (Output(draw(st.integers(1, 3))),)
        actions += (GroupAction(onward),) if onward else ()
        groups[number] = Group(number, draw(st.sampled_from(["all", "select"])), (Bucket(actions),))
    meters = {n: Meter(n, draw(st.integers(1, 2)), 1) for n in draw(st.sets(meter_ids))}
    choices = [Output(1), Output(2), *map(GroupAction, groups), *map(MeterAction, meters)]
    flows = {}
    for _ in range(draw(st.integers(0, 8))):
        flow = Flow(
            draw(st.sampled_from([0, 10])),
            draw(st.integers(1, 2)),
            draw(matches),
            (draw(st.sampled_from(choices)),),
            None,
            draw(cookies),
        )
        flows[flow.key] = flow
    return BridgeState(flows, groups, meters)


foreign_keys = st.frozensets(
    st.builds(lambda m, p: Flow(0, p, m).key, matches, st.integers(1, 3)), max_size=4
)


@st.composite
def observations(draw: st.DrawFn) -> Observed:
    state, foreign = draw(states()), draw(foreign_keys)
    flows = {key: flow for key, flow in state.flows.items() if key not in foreign}
    return Observed(flows, foreign, state.groups, state.meters)


def agree(desired: BridgeState, after: Observed) -> bool:
    wanted = {key: f for key, f in desired.flows.items() if key not in after.foreign}
    return (
        wanted.keys() == after.flows.keys()
        and all(same(wanted[key], after.flows[key]) for key in wanted)
        and desired.groups == after.groups
        and desired.meters == after.meters
    )


@given(states(), observations())
@settings(max_examples=200, deadline=None)
def test_a_plan_leads_from_observed_to_desired(desired: BridgeState, observed: Observed) -> None:
    plan = diff(desired, observed)
    after = apply(plan, observed)
    assert agree(desired, after)
    assert after.foreign == observed.foreign
    assert not observed.foreign & {s.thing.key for s in plan if isinstance(s.thing, Flow)}
    assert {f.key for f in plan.blocked} == observed.foreign & set(desired.flows)
    assert not diff(desired, after)


@given(states())
@settings(max_examples=50, deadline=None)
def test_nothing_to_do_when_it_is_so(state: BridgeState) -> None:
    plan = diff(state, Observed(state.flows, frozenset(), state.groups, state.meters))
    assert not plan
    assert str(plan) == "nothing to do"


@given(states())
@settings(max_examples=50, deadline=None)
def test_another_generation_is_the_same_flow(state: BridgeState) -> None:
    newer = {k: replace(f, cookie=f.cookie ^ 0xFF << 48) for k, f in state.flows.items()}
    assert not diff(state, Observed(newer, frozenset(), state.groups, state.meters))


@given(states(), observations())
@settings(max_examples=200, deadline=None)
def test_no_prefix_of_a_plan_refers_to_what_is_missing(
    desired: BridgeState, observed: Observed
) -> None:
    groups, meters, flows = dict(observed.groups), dict(observed.meters), dict(observed.flows)
    for step in diff(desired, observed):
        match step.thing:
            case Flow() as flow:
                flows.pop(flow.key, None) if step.verb is Verb.DELETE else flows.update(
                    {flow.key: flow}
                )
            case Group(group=number):
                groups.pop(number, None) if step.verb is Verb.DELETE else groups.update(
                    {number: step.thing}
                )
            case Meter(meter=number):
                meters.pop(number, None) if step.verb is Verb.DELETE else meters.update(
                    {number: step.thing}
                )
        used = {a for f in flows.values() for a in f.actions}
        assert {a.group for a in used if isinstance(a, GroupAction)} <= groups.keys()
        assert {a.meter for a in used if isinstance(a, MeterAction)} <= meters.keys()
        for held in groups.values():
            assert referred(held) <= groups.keys()


@given(states(), states(), observations())
@settings(max_examples=100, deadline=None)
def test_a_delta_is_the_whole_difference_when_the_rest_agrees(
    before: BridgeState, after: BridgeState, observed: Observed
) -> None:
    synced = apply(diff(before, observed), observed)
    changed = Changed(
        frozenset(
            key
            for key in before.flows.keys() | after.flows.keys()
            if before.flows.get(key) != after.flows.get(key)
        ),
        frozenset(n for n, _ in before.groups.items() ^ after.groups.items()),
        frozenset(n for n, _ in before.meters.items() ^ after.meters.items()),
    )
    delta, whole = plan_delta(after, synced, changed), diff(after, synced)
    assert set(delta) == set(whole)
    assert len(list(delta)) == len(list(whole))
    assert [(s.verb, type(s.thing)) for s in delta] == [(s.verb, type(s.thing)) for s in whole]
    assert changed.flows <= everything(after, synced).flows | {f.key for f in delta.blocked} | (
        before.flows.keys() & synced.foreign
    )


def test_groups_of_others_are_left_alone() -> None:
    theirs = Group(1, "all", ())
    observed = Observed({}, frozenset(), {1: theirs}, {7: Meter(7, 1, 1)})
    assert not diff(BridgeState(), observed)


@pytest.mark.parametrize(
    "state",
    [
        BridgeState.of(flows=[Flow(0, 1, (), (), None, 0x1234)]),
        BridgeState.of(groups=[Group(1, "all", ())]),
        BridgeState.of(meters=[Meter(1, 1, 1)]),
    ],
)
def test_what_is_not_marked_as_ours_is_refused(state: BridgeState) -> None:
    with pytest.raises(PipelineError):
        diff(state, Observed())


def test_a_changed_action_keeps_counters_and_a_changed_owner_does_not() -> None:
    one = Flow(0, 1, (), (Output(1),), None, Cookie(1, 1, 1).number)
    seen = Observed({one.key: one})
    [step] = diff(BridgeState.of([replace(one, actions=())]), seen)
    assert step.verb is Verb.MODIFY
    [step] = diff(BridgeState.of([replace(one, cookie=Cookie(1, 1, 2).number)]), seen)
    assert step.verb is Verb.ADD


def test_groups_come_after_those_they_refer_to_and_go_before_them() -> None:
    low = Group(G, "all", (Bucket((GroupAction(G + 2),)),))
    mid = Group(G + 1, "ff", (Bucket((), watch_group=G),))
    high = Group(G + 2, "all", (Bucket((Output(1),)),))
    state = BridgeState.of(groups=[low, mid, high])
    numbers = [s.thing.group for s in diff(state, Observed()) if isinstance(s.thing, Group)]
    assert numbers == [G + 2, G, G + 1]
    gone = diff(BridgeState(), Observed(groups=state.groups))
    assert [s.thing.group for s in gone if isinstance(s.thing, Group)] == [G + 1, G, G + 2]


def _many(count: int) -> dict:
    flows = [Flow(0, n, (), (), None, Cookie(1, 1, 1).number) for n in range(1, count + 1)]
    return {flow.key: flow for flow in flows}


@pytest.mark.parametrize(
    ("there", "left", "compiled", "confirmed", "held"),
    [
        (100, 0, 4, 5, True),
        (100, 0, 5, 5, False),
        (100, 49, 4, 5, True),
        (100, 50, 4, 5, False),
        (1000, 800, 4, 5, False),
        (1000, 799, 4, 5, True),
        (40, 0, 4, 5, False),
    ],
)
def test_an_old_intent_may_not_shrink_a_bridge(
    there: int, left: int, compiled: int, confirmed: int, held: bool
) -> None:
    observed = Observed(_many(there))
    plan = diff(BridgeState(_many(left)), observed)
    verdict = guard(plan, observed, compiled, confirmed)
    assert (verdict is not None) == held
    suspect = guard(plan, observed, 9, confirmed, suspect=True)
    assert (suspect is not None) == (held or (compiled, there - left) == (5, 100))
    assert verdict is None or str(there - left) in str(verdict)


def test_a_plan_reads_as_text() -> None:
    plan = diff(BridgeState(_many(2)), Observed(foreign=frozenset({Flow(0, 1, ()).key})))
    assert str(plan).splitlines() == [
        "add flow table=0 priority=2 any cookie=0x7601010000000001",
        "blocked flow table=0 priority=1 any cookie=0x7601010000000001",
    ]
    assert plan.tally() == {"add flow": 1}
    assert isinstance(plan, BridgePlan)


def test_what_a_bridge_cannot_tell_of_a_group_is_taken_to_be_right() -> None:
    """OpenFlow 1.4 does not say how a select group chooses."""
    want = Group(G, "select", (Bucket((Output(1),), 1),), "dp_hash", 5)
    untold = replace(want, method=None, method_parameter=0)
    assert not diff(BridgeState.of([], [want]), Observed(groups={G: untold}))
    for have in (replace(untold, method=""), replace(untold, buckets=())):
        plan = diff(BridgeState.of([], [want]), Observed(groups={G: have}))
        assert [step.thing for step in plan] == [want]
