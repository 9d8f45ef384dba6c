# SPDX-License-Identifier: Apache-2.0
"""What path policies, reservations and drained links and hosts report. Pure, from plain values.

Conditions, besides Ready:

* ``Satisfied`` of a PathPolicy: whether every pair of hosts that it concerns has a path.
* ``Admitted`` of a Reservation: whether its bandwidth is promised; ``Active``: whether it is now.
* ``Drained`` of a Link or Host whose spec says so: whether nothing uses it, by the model and by
  the counters of its ports.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vneter_sdn.compile.outcomes import Usage
from vneter_sdn.engine.reports import condition
from vneter_sdn.graph import route
from vneter_sdn.graph.reservations import Booking, Decision
from vneter_sdn.model.instants import rfc3339
from vneter_sdn.model.snapshot import Condition

LISTED = 100
"""Pairs that a policy lists, those without a path first; all are counted."""
NAMED = 3
"""Refusals that a message quotes."""


@dataclass(frozen=True, slots=True)
class PairPaths:
    """What a policy came to between two hosts."""

    source: str
    target: str
    paths: int = 0
    """How many it has; 0 when it is refused."""
    colours: tuple[int, ...] = ()
    """Of its paths, the best first."""
    refusal: str = ""
    """Why it has none (`graph.refusal.Refusal.message`)."""
    shortfall: str = ""
    """What it lacks though it has paths (`graph.selection.Selection.shortfall`)."""
    routes: tuple[tuple[str, int, int | None], ...] = ()
    """As text, with weight, and colour or None; the best first."""
    dropped: bool = False
    """Whether its packets are dropped rather than sent some other way."""

    @property
    def uncoloured(self) -> int:
        """How many of its paths carry nothing, for want of a colour."""
        return sum(colour is None for _, _, colour in self.routes)


def policy_conditions(pairs: Sequence[PairPaths]) -> tuple[Condition, ...]:
    """Ready and Satisfied of a path policy."""
    refused = [pair for pair in pairs if not pair.paths]
    short = [pair for pair in pairs if pair.paths and pair.shortfall]
    if refused:
        count = f"{len(refused)} of {len(pairs)} pairs of hosts have no path: "
        told = "; ".join(_told(pair, pair.refusal) for pair in refused[:NAMED])
        holds, reason, message = False, "NoPath", count + told + _more(refused)
    elif short:
        told = "; ".join(_told(pair, pair.shortfall) for pair in short[:NAMED])
        holds, reason, message = True, "Partly", told + _more(short)
    else:
        message = f"{len(pairs)} pairs of hosts" if pairs else "it concerns no pair of hosts yet"
        holds, reason = True, "Satisfied" if pairs else "NoTraffic"
    satisfied = condition("Satisfied", holds, reason, message)
    bare = [pair for pair in pairs if pair.routes and not pair.colours]
    if holds and bare:
        told = f"{len(bare)} pairs of hosts have paths without a colour, which carry nothing"
        return condition("Ready", False, "NoColour", told), satisfied
    return condition("Ready", holds, reason, message), satisfied


def _told(pair: PairPaths, why: str) -> str:
    return why if pair.source in why else f"{pair.source} to {pair.target}: {why}"


def _more(pairs: Sequence[PairPaths]) -> str:
    return f"; and {len(pairs) - NAMED} more" if len(pairs) > NAMED else ""


def policy_details(pairs: Sequence[PairPaths]) -> Mapping[str, Any]:
    """Pairs counted, at most `LISTED` of them one by one, and the colours in use."""
    listed = sorted(pairs, key=lambda pair: (pair.paths > 0, pair.source, pair.target))[:LISTED]
    return {
        "pairs": len(pairs),
        "unsatisfied": sum(not pair.paths for pair in pairs),
        "dropped": sum(pair.dropped for pair in pairs),
        "uncoloured": sum(pair.uncoloured for pair in pairs),
        "paths": {f"{pair.source}>{pair.target}": _listed(pair) for pair in listed},
        "colours": sorted({colour for pair in pairs for colour in pair.colours}),
    }


def _listed(pair: PairPaths) -> dict[str, Any]:
    found: dict[str, Any] = {"paths": pair.paths, "colours": list(pair.colours)}
    if pair.routes:
        found["routes"] = [
            {"route": route, "weight": weight} | ({} if colour is None else {"colour": colour})
            for route, weight, colour in pair.routes
        ]
    if pair.dropped:
        found["dropped"] = True
    return found


def reservation_conditions(
    booking: Booking, decision: Decision, now: float
) -> tuple[Condition, ...]:
    """Ready, Admitted and Active of a reservation; a refusal names the full edge.

    One whose window is over is ready: nobody has to do anything about it.
    """
    active = booking.start <= now < booking.end
    if active:
        when = "Within", ""
    elif now < booking.start:
        when = "NotYet", f"it begins at {rfc3339(booking.start)}"
    else:
        when = "Over", f"it ended at {rfc3339(booking.end)}"
    said = decision.reason, decision.message
    return (
        condition("Ready", decision.admitted or decision.reason == "Over", *said),
        condition("Admitted", decision.admitted, *said),
        condition("Active", active and decision.admitted, *(when if decision.admitted else said)),
    )


def reservation_details(booking: Booking, decision: Decision, now: float) -> Mapping[str, Any]:
    """Its paths, what it holds of each edge now, and for a refusal the full edge."""
    details: dict[str, Any] = {
        "routes": [
            {"route": route.text(one), "mbps": rate} for one, rate in decision.routes.items()
        ]
    }
    if decision.booked and booking.start <= now < booking.end:
        details["booked"] = dict(decision.booked)
    if decision.edge:
        details |= {"edge": decision.edge, "freeMbps": decision.free}
    if decision.fits is not None:
        details["fits"] = rfc3339(decision.fits)
    return details


def drained_condition(used: Usage, behind: Sequence[str], moving: bool | None) -> Condition:
    """Drained, of a Link or Host that is to be.

    Args:
        used: by whom it is used, as the model says.
        behind: hosts whose bridges have not confirmed that they hold what the model says.
        moving: whether its ports still count more than probes make; None before two readings.
    """
    if used.stuck:
        holds, reason = False, "OnlyWay"
        message = f"{used.stuck} paths have no other way: {_users(used, used.stuck)}"
    elif used.paths:
        holds, reason = False, "InUse"
        message = (
            f"{used.paths} paths still lead over it: {_users(used, used.paths)}; new connections"
            " avoid them, old ones have two minutes to end"
        )
    elif used.endpoints:
        holds, reason = False, "EndpointsHere"
        message = f"no path of others leads through it; {used.endpoints} endpoints are on it"
    elif behind:
        more = f" and {len(behind) - NAMED} more" if len(behind) > NAMED else ""
        holds, reason = False, "Programming"
        message = f"not yet confirmed by {', '.join(behind[:NAMED])}{more}"
    elif moving is None:
        holds, reason = False, "Counting"
        message = "no path leads over it; its counters are being read"
    elif moving:
        holds, reason = False, "StillPassing"
        message = "no path leads over it, yet its ports carry more than probes"
    else:
        holds, reason = True, "Empty"
        message = "no path leads over it, and its ports carry nothing but probes"
    return condition("Drained", holds, reason, message)


def _users(used: Usage, count: int) -> str:
    return ", ".join(used.named) + (" and others" if count > len(used.named) else "")
