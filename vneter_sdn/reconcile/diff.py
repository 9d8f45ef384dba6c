# SPDX-License-Identifier: Apache-2.0
"""The plan that makes a bridge hold what it should. Pure; O(keys looked at).

Flows that differ only in the generation bits of their cookie are the same flow: an upgrade
touches none of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TypeVar

from vneter_sdn.errors import PipelineError
from vneter_sdn.model.flow import ANY, BridgeState, Flow, FlowKey, Group, GroupAction, Meter
from vneter_sdn.pipeline import reserved
from vneter_sdn.pipeline.cookies import MEANING_MASK, is_ours
from vneter_sdn.reconcile.plan import UNREADABLE, BridgePlan, Changed, Observed, Step, Verb

T = TypeVar("T", Group, Meter)
K = TypeVar("K")


def everything(desired: BridgeState, observed: Observed) -> Changed:
    """Every key that either side has."""
    return Changed(
        frozenset(_keys(desired.flows, observed.flows)),
        frozenset(_keys(desired.groups, observed.groups)),
        frozenset(_keys(desired.meters, observed.meters)),
    )


def _keys(one: Mapping[K, object], other: Mapping[K, object]) -> Iterator[K]:
    yield from one
    for key in other:
        if key not in one:
            yield key


def diff(desired: BridgeState, observed: Observed) -> BridgePlan:
    """The whole difference, in the order of ``desired``.

    Raises:
        PipelineError: a desired flow, group or meter is not marked as ours.
    """
    return _plan(
        desired,
        observed,
        _keys(desired.flows, observed.flows),
        _keys(desired.groups, observed.groups),
        _keys(desired.meters, observed.meters),
    )


def plan_delta(desired: BridgeState, observed: Observed, changed: Changed) -> BridgePlan:
    """The difference in the keys given; the steps of `diff` when all others are as they should be.

    Raises:
        PipelineError: a desired flow, group or meter is not marked as ours.
    """
    return _plan(desired, observed, sorted(changed.flows), changed.groups, changed.meters)


def _plan(
    desired: BridgeState,
    observed: Observed,
    flow_keys: Iterable[FlowKey],
    group_keys: Iterable[int],
    meter_keys: Iterable[int],
) -> BridgePlan:
    meters, meter_deletes = _numbered(desired.meters, observed.meters, meter_keys, reserved.METERS)
    groups, group_deletes = _numbered(desired.groups, observed.groups, group_keys, reserved.GROUPS)
    flows, blocked = _flows(desired.flows, observed, flow_keys)
    return BridgePlan(
        tuple(meters),
        (*_referred_first(groups), *flows, *reversed(_referred_first(group_deletes))),
        tuple(meter_deletes),
        blocked,
    )


def _other_owner(one: Flow, other: Flow) -> bool:
    return bool((one.cookie ^ other.cookie) & MEANING_MASK)


def same(one: Flow, other: Flow) -> bool:
    """Whether two flows differ in no more than the generation of their cookie."""
    return one is other or (
        one.actions == other.actions
        and one.goto == other.goto
        and not _other_owner(one, other)
        and one.key == other.key
    )


def _flows(
    desired: Mapping[FlowKey, Flow], observed: Observed, keys: Iterable[FlowKey]
) -> tuple[list[Step], tuple[Flow, ...]]:
    steps: dict[Verb, list[Step]] = {Verb.ADD: [], Verb.MODIFY: [], Verb.DELETE: []}
    blocked = []
    for key in keys:
        want, have = desired.get(key), observed.flows.get(key)
        if want is None:
            if have is not None:
                steps[Verb.DELETE].append(Step(Verb.DELETE, have))
        elif not is_ours(want.cookie):
            raise PipelineError(f"flow without our cookie: {want}")
        elif have is None and key in observed.foreign:
            blocked.append(want)
        elif have is None or have.goto == UNREADABLE or _other_owner(want, have):
            steps[Verb.ADD].append(Step(Verb.ADD, want))
        elif not same(want, have):
            steps[Verb.MODIFY].append(Step(Verb.MODIFY, replace(want, cookie=have.cookie)))
    return [*steps[Verb.ADD], *steps[Verb.MODIFY], *steps[Verb.DELETE]], tuple(blocked)


def _numbered(
    desired: Mapping[int, T], observed: Mapping[int, T], keys: Iterable[int], ours: range
) -> tuple[list[Step], list[Step]]:
    changes, deletes = [], []
    for key in sorted(keys):
        want, have = desired.get(key), observed.get(key)
        if want is not None and key not in ours:
            raise PipelineError(f"{type(want).__name__} {key:#x} outside {ours}")
        if want is None:
            if have is not None and key in ours:
                deletes.append(Step(Verb.DELETE, have))
        elif have is None:
            changes.append(Step(Verb.ADD, want))
        elif want != have and want != _as_known(want, have):
            changes.append(Step(Verb.MODIFY, want))
    return changes, deletes


def _as_known(want: T, have: T) -> T:
    """What is held, with what the bridge could not tell of it taken to be right."""
    if isinstance(want, Group) and isinstance(have, Group) and have.method is None:
        return replace(have, method=want.method, method_parameter=want.method_parameter)
    return have


def referred(group: Group) -> frozenset[int]:
    """Numbers of the groups that a group's buckets send to or watch."""
    found = {
        action.group
        for bucket in group.buckets
        for action in bucket.actions
        if isinstance(action, GroupAction)
    }
    return frozenset(found | {b.watch_group for b in group.buckets if b.watch_group != ANY})


def _referred_first(steps: list[Step]) -> list[Step]:
    """Order groups so that each comes after those it refers to; a cycle stays in number order."""
    waiting = {step.thing.group: step for step in steps if isinstance(step.thing, Group)}
    ordered: list[Step] = []
    entered: set[int] = set()

    def place(number: int) -> None:
        stack = [(number, False)]
        while stack:
            at, left = stack.pop()
            step = waiting.get(at)
            if step is None or not isinstance(step.thing, Group):
                continue
            if left:
                ordered.append(step)
            elif at not in entered:
                entered.add(at)
                stack.append((at, True))
                stack += [(other, False) for other in sorted(referred(step.thing), reverse=True)]

    for number in waiting:
        place(number)
    return ordered
