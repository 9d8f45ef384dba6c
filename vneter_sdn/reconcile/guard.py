# SPDX-License-Identifier: Apache-2.0
"""The shrink guard: an intent that shrank without reason must not empty the bridges.

A database that came back from a damaged file or an old backup looks like an intent in which
much was deleted, only that its revision is older than what bridges already confirmed. That
it went back stays known (``suspect``), for a few edits would raise its revision again.
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
    """Newest revision that bridges confirmed."""

    def __str__(self) -> str:
        """For people: the reason, and what to do."""
        return (
            f"would delete {self.deletes} of {self.held} flows, but the database went back behind "
            f"revision {self.confirmed}, which bridges have, and is at {self.compiled}: is it "
            f"restored or damaged? Restore the right one, or apply the whole intent again; to "
            f"delete what it lacks, start once with --accept-older-intent"
        )


def guard(
    plan: BridgePlan, observed: Observed, compiled: int, confirmed: int, suspect: bool = False
) -> ShrinkHeld | None:
    """Hold a plan of an old or suspect intent that deletes over `FLOWS` flows and `SHARE` of all.

    Args:
        plan: what would be sent.
        observed: what the bridge holds.
        compiled: revision of the intent the plan was compiled from.
        confirmed: newest revision that bridges confirmed.
        suspect: the intent is of a database that went back, whatever its revision is by now.
    """
    deletes, held = plan.flow_deletes, len(observed.flows)
    if (suspect or compiled < confirmed) and deletes > FLOWS and deletes > SHARE * held:
        return ShrinkHeld(deletes, held, compiled, confirmed)
    return None
