# SPDX-License-Identifier: Apache-2.0
"""Objects whose flows a bridge refused: left out of its plans so that all others get theirs. Pure.

Bundles are atomic, so without it one flow that a bridge cannot hold would keep every other object
from being programmed there. What is held back is everything of that object and feature, deletions
too: it stays on the bridge as it was, in one piece.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from vneter_sdn.model.flow import Flow
from vneter_sdn.pipeline.cookies import MEANING_MASK
from vneter_sdn.reconcile.plan import BridgePlan, Step, Verb

ROOM = 32
"""Objects of one bridge that may be left out; with more, something else is wrong."""


@dataclass(frozen=True, slots=True)
class Culprit:
    """The flow for which an object is left out."""

    flow: Flow
    kind: int
    code: int
    """OpenFlow error type and code (OpenFlow 1.5.1 §7.5.4)."""
    what: str = ""


class Quarantine:
    """What one bridge has refused since it was last tried whole."""

    def __init__(self) -> None:
        self._held: dict[int, Culprit] = {}

    def __bool__(self) -> bool:
        """Whether anything is left out."""
        return bool(self._held)

    @property
    def culprits(self) -> tuple[Culprit, ...]:
        """One for each object and feature that is left out."""
        return tuple(self._held.values())

    def take(self, step: Step | None, refusal: tuple[int, int], what: str) -> bool:
        """Leave out whoever asked for a step; whether that is known, new, and there is room."""
        if step is None or step.verb is Verb.DELETE or not isinstance(step.thing, Flow):
            return False
        meaning = step.thing.cookie & MEANING_MASK
        if meaning in self._held or len(self._held) >= ROOM:
            return False
        self._held[meaning] = Culprit(step.thing, *refusal, what)
        return True

    def release(self) -> None:
        """Leave nothing out any more."""
        self._held.clear()

    def concerns(self, flows: Iterable[Flow | None]) -> bool:
        """Whether one of these belongs to an object that is left out."""
        return any(flow is not None and self._holds(flow) for flow in flows)

    def sift(self, plan: BridgePlan) -> BridgePlan:
        """A plan without what is left out."""
        if not self._held:
            return plan
        kept = (s for s in plan.bundle if not (isinstance(s.thing, Flow) and self._holds(s.thing)))
        return replace(plan, bundle=tuple(kept))

    def _holds(self, flow: Flow) -> bool:
        return flow.cookie & MEANING_MASK in self._held
