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

from vneter_sdn.engine.reports import condition
from vneter_sdn.graph import route
from vneter_sdn.graph.reservations import Booking, Decision
from vneter_sdn.graph.route import Route
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
    return condition("Ready", holds, reason, message), condition(
        "Satisfied", holds, reason, message
    )


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
        "paths": {
            f"{pair.source}>{pair.target}": {"paths": pair.paths, "colours": list(pair.colours)}
            for pair in listed
        },
        "colours": sorted({colour for pair in pairs for colour in pair.colours}),
    }


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


def held_routes(details: Mapping[str, Any]) -> tuple[Route, ...]:
    """The routes that a reservation's last report promised; for `reservations.admit`."""
    said = details.get("routes", ())
    return tuple(route.parse(str(one["route"])) for one in said)


def drained_condition(paths: int, stuck: int, packets_per_second: float | None) -> Condition:
    """Drained, of a Link or Host that is to be.

    Args:
        paths: those that the model still leads over it, resting ones included.
        stuck: those of them that have no other way.
        packets_per_second: what its ports still count, probes left out; None before two readings.
    """
    if stuck:
        message = f"{stuck} paths have no other way; they stay until one is there"
        return condition("Drained", False, "OnlyWay", message)
    if paths:
        return condition("Drained", False, "InUse", f"{paths} paths still lead over it")
    if packets_per_second is None:
        return condition("Drained", False, "Counting", "no path leads over it; counters are read")
    if packets_per_second > 0:
        message = f"no path leads over it, yet {packets_per_second:g} packets/s pass"
        return condition("Drained", False, "StillPassing", message)
    return condition(
        "Drained", True, "Empty", "no path leads over it, and its counters stand still"
    )
