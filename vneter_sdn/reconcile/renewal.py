# SPDX-License-Identifier: Apache-2.0
"""Plans for bridges that have to forget at each change (`vneter_sdn.pipeline.eras`). Pure."""

from __future__ import annotations

from dataclasses import replace

from vneter_sdn.model.flow import Flow
from vneter_sdn.pipeline import eras
from vneter_sdn.reconcile.plan import BridgePlan, Observed, Step, Verb


def in_an_era(observed: Observed) -> bool:
    """Whether a bridge was made to forget before."""
    return any(key in observed.flows for key in eras.KEYS)


def renewing(plan: BridgePlan, observed: Observed) -> BridgePlan:
    """The plan with a new era in its bundle, if it has anything else there.

    Flows of eras are in no desired state: what a plan does about them is replaced.
    """
    bundle = tuple(step for step in plan.bundle if not _of_era(step))
    if not bundle:
        return replace(plan, bundle=())
    held = [observed.flows[key] for key in eras.KEYS if key in observed.flows]
    begun = eras.flow(max(map(eras.era_of, held), default=-1) + 1)
    ended = (Step(Verb.DELETE, one) for one in held if one.key != begun.key)
    return replace(plan, bundle=(*bundle, Step(Verb.ADD, begun), *ended))


def _of_era(step: Step) -> bool:
    return isinstance(step.thing, Flow) and step.thing.key in eras.KEYS
