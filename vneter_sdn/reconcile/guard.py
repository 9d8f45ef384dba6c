# SPDX-License-Identifier: Apache-2.0
"""The shrink guard: an intent that shrank without reason must not empty the bridges.

A database that came back from a damaged file or an old backup looks like an intent in which
much was deleted, only that its revision is older than what bridges already confirmed.
"""

from __future__ import annotations

from dataclasses import dataclass

from vneter_sdn.reconcile.plan import BridgePlan, Observed

SHARE = 0.2
"""Share of the flows there are that a suspicious plan may delete."""
FLOWS = 50
"""Flows that a suspicious plan may delete whatever their share."""


@dataclass(frozen=True, slots=True)
class ShrinkHeld:
    """A plan that was not sent, and why."""

    deletes: int
    held: int
    """Flows of ours on the bridge."""
    compiled: int
    """Revision the plan was compiled from."""
    confirmed: int
    """Revision the bridge confirmed last."""

    def __str__(self) -> str:
        """For people: the reason, and what to do."""
        return (
            f"would delete {self.deletes} of {self.held} flows, but revision {self.compiled} is "
            f"older than {self.confirmed}, which the bridge has: is the database restored or "
            f"damaged? Apply the intent again to raise its revision"
        )


def guard(plan: BridgePlan, observed: Observed, compiled: int, confirmed: int) -> ShrinkHeld | None:
    """Hold a plan of an old revision that deletes more than `FLOWS` flows and `SHARE` of them."""
    deletes, held = plan.flow_deletes, len(observed.flows)
    if compiled < confirmed and deletes > FLOWS and deletes > SHARE * held:
        return ShrinkHeld(deletes, held, compiled, confirmed)
    return None
