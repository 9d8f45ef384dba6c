# SPDX-License-Identifier: Apache-2.0
"""Objects whose flows a bridge refused: left out of its plans so that all others get theirs. Pure.

Bundles are atomic, so without it one flow, group or meter that a bridge cannot hold would keep
every other object from being programmed there. What is held back is everything of that object and
feature, deletions too: it stays on the bridge as it was, in one piece. Groups and meters belong to
the objects whose flows use them: a refused one is held back with all that lead to it, and with
the objects that do.

A bridge that has no room for a meter has none for the next one: all that a plan adds from there on
are held back at once, however many objects that is. Nothing is wrong with them, there are too many.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import dropwhile
from typing import NamedTuple

from vneter_sdn.model.flow import (
    Action,
    BridgeState,
    Flow,
    FlowKey,
    Group,
    GroupAction,
    Meter,
    MeterAction,
    Punt,
)
from vneter_sdn.pipeline.cookies import MEANING_MASK
from vneter_sdn.reconcile.diff import referred
from vneter_sdn.reconcile.plan import BridgePlan, Changed, Observed, Step, Thing, Verb

ROOM = 32
"""Objects of one bridge that may be left out; with more, something else is wrong."""
OUT_OF_METERS = (12, 10)
"""OpenFlow error type and code: there is no room for another meter (OpenFlow 1.5.1 §7.5.4.13)."""


@dataclass(frozen=True, slots=True)
class Culprit:
    """The flow for which an object is left out."""

    flow: Flow
    """Refused itself, or one that uses what was refused."""
    kind: int
    code: int
    """OpenFlow error type and code (OpenFlow 1.5.1 §7.5.4)."""
    what: str = ""
    through: Group | Meter | None = None
    """The group or meter that was refused; None when it was the flow."""

    @property
    def thing(self) -> Thing:
        """What was refused."""
        return self.flow if self.through is None else self.through

    @property
    def crowded_out(self) -> bool:
        """Whether there was no room for its meter."""
        return (self.kind, self.code) == OUT_OF_METERS


class _Numbered(NamedTuple):
    """A group or a meter."""

    kind: type[Group] | type[Meter]
    number: int


class Quarantine:
    """What one bridge has refused since it was last tried whole."""

    def __init__(self) -> None:
        self._held: dict[int, Culprit] = {}
        self._numbered: set[_Numbered] = set()

    def __bool__(self) -> bool:
        """Whether anything is left out."""
        return bool(self._held)

    @property
    def culprits(self) -> tuple[Culprit, ...]:
        """One for each object and feature that is left out."""
        return tuple(self._held.values())

    def take(
        self,
        step: Step | None,
        refusal: tuple[int, int],
        what: str,
        desired: BridgeState,
        plan: BridgePlan,
    ) -> bool:
        """Leave out whoever asked for a step; whether that is known, new, and there is room."""
        if step is None or step.verb is Verb.DELETE:
            return False
        through: dict[_Numbered, Group | Meter] = {}
        if isinstance(step.thing, Flow):
            leading, flows = set[_Numbered](), iter((step.thing,))
        else:
            through = _without_room(step, refusal, plan) or {_key(step.thing): step.thing}
            leading = _leading_to(through.keys(), desired.groups)
            flows = (flow for flow in desired.flows.values() if leading & _used(flow))
        found = {flow.cookie & MEANING_MASK: flow for flow in flows}
        new = found.keys() - self._held.keys()
        known = not new and leading <= self._numbered
        if not found or known or not self._has_room(len(new), refusal):
            return False
        for meaning in sorted(new):
            flow = found[meaning]
            self._held[meaning] = Culprit(flow, *refusal, what, _reason(flow, through))
        self._numbered |= leading
        return True

    def _has_room(self, more: int, refusal: tuple[int, int]) -> bool:
        held = sum(not culprit.crowded_out for culprit in self._held.values())
        return refusal == OUT_OF_METERS or held + more <= ROOM

    def release(self) -> None:
        """Leave nothing out any more."""
        self._held.clear()
        self._numbered.clear()

    def concerns(self, flows: Iterable[Flow | None], changed: Changed) -> bool:
        """Whether something changed is left out: one of the flows, or a group or meter."""
        numbered = {_Numbered(Group, number) for number in changed.groups}
        numbered |= {_Numbered(Meter, number) for number in changed.meters}
        return bool(numbered & self._numbered) or any(
            flow is not None and self._holds(flow) for flow in flows
        )

    def sift(self, plan: BridgePlan, observed: Observed) -> BridgePlan:
        """A plan without what is left out, and without deletions under the feet of what stays.

        A bridge that deletes a group or meter deletes the flows that use it as well.
        """
        if not self._held:
            return plan
        stays = self._standing_on(observed.flows, observed.groups)

        def passes(step: Step) -> bool:
            thing = step.thing
            if isinstance(thing, Flow):
                return not self._holds(thing)
            key = _key(thing)
            return key not in self._numbered and not (step.verb is Verb.DELETE and key in stays)

        return replace(
            plan,
            meters=tuple(filter(passes, plan.meters)),
            bundle=tuple(filter(passes, plan.bundle)),
            meter_deletes=tuple(filter(passes, plan.meter_deletes)),
        )

    def _standing_on(
        self, flows: Mapping[FlowKey, Flow], groups: Mapping[int, Group]
    ) -> set[_Numbered]:
        """What the flows that stay as they are use, directly and through groups."""
        waiting = [key for flow in flows.values() if self._holds(flow) for key in _used(flow)]
        waiting += self._numbered
        found: set[_Numbered] = set()
        while waiting:
            key = waiting.pop()
            if key in found:
                continue
            found.add(key)
            group = groups.get(key.number) if key.kind is Group else None
            if group is not None:
                waiting += _needed(group)
        return found

    def _holds(self, flow: Flow) -> bool:
        return flow.cookie & MEANING_MASK in self._held


def _key(thing: Group | Meter) -> _Numbered:
    if isinstance(thing, Group):
        return _Numbered(Group, thing.group)
    return _Numbered(Meter, thing.meter)


def _used(flow: Flow) -> set[_Numbered]:
    return set(_of_actions(flow.actions))


def _of_actions(actions: Iterable[Action]) -> Iterator[_Numbered]:
    for action in actions:
        match action:
            case GroupAction(group=number):
                yield _Numbered(Group, number)
            case MeterAction(meter=number) | Punt(meter=number) if number:
                yield _Numbered(Meter, number)


def _needed(group: Group) -> set[_Numbered]:
    found = {_Numbered(Group, number) for number in referred(group)}
    for bucket in group.buckets:
        found.update(_of_actions(bucket.actions))
    return found


def _without_room(
    step: Step, refusal: tuple[int, int], plan: BridgePlan
) -> dict[_Numbered, Group | Meter]:
    """The meters that a plan adds from a step on, if there was no room for that one."""
    if refusal != OUT_OF_METERS:
        return {}
    later = dropwhile(lambda one: one != step, plan.meters)
    meters = (one.thing for one in later if one.verb is Verb.ADD)
    return {_key(meter): meter for meter in meters if isinstance(meter, Meter)}


def _reason(flow: Flow, through: Mapping[_Numbered, Group | Meter]) -> Group | Meter | None:
    """What of the refused a flow was left out for: what it uses, or any that its groups do."""
    own = (through[key] for key in sorted(_used(flow), key=str) if key in through)
    return next(own, next(iter(through.values()), None))


def _leading_to(things: Iterable[_Numbered], groups: Mapping[int, Group]) -> set[_Numbered]:
    """Groups or meters, and the groups that need one, directly or through others."""
    needs = {_Numbered(Group, number): _needed(group) for number, group in groups.items()}
    found, new = set(things), set(things)
    while new:
        new = {key for key, needed in needs.items() if key not in found and needed & new}
        found |= new
    return found
