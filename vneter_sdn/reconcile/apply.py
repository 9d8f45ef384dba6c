# SPDX-License-Identifier: Apache-2.0
"""What a bridge holds once it confirmed a plan."""

from __future__ import annotations

from vneter_sdn.model.flow import Flow, FlowKey, Group, Meter
from vneter_sdn.reconcile.plan import BridgePlan, Observed, Step, Verb


def apply(plan: BridgePlan, observed: Observed) -> Observed:
    """Observed after the plan; the argument is left as it was.

    O(what is there): one shallow copy of each mapping.
    """
    flows, groups, meters = dict(observed.flows), dict(observed.groups), dict(observed.meters)
    for step in plan:
        match step.thing:
            case Flow():
                _flow(flows, step.verb, step.thing)
            case Group(group=number):
                _numbered(groups, number, step)
            case Meter(meter=number):
                _numbered(meters, number, step)
    return Observed(flows, observed.foreign, groups, meters)


def _flow(flows: dict[FlowKey, Flow], verb: Verb, flow: Flow) -> None:
    if verb is Verb.DELETE:
        flows.pop(flow.key, None)
    elif verb is Verb.ADD or flow.key in flows:
        flows[flow.key] = flow


def _numbered(held: dict[int, Group] | dict[int, Meter], number: int, step: Step) -> None:
    if step.verb is Verb.DELETE:
        held.pop(number, None)
    else:
        held[number] = step.thing  # type: ignore[assignment]
