# SPDX-License-Identifier: Apache-2.0
"""Path policies, reservations and draining, as the controller's loop sees them.

What they come to is the compiler's to say (`compile.outcomes`, `compile.bookings`); here are what
needs memory: colours, the clock of reservations, and since when what is drained has been empty.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from vneter_sdn.compile.bookings import Admission
from vneter_sdn.compile.network import Compiler
from vneter_sdn.compile.outcomes import Pair
from vneter_sdn.engine.colouring import Colours
from vneter_sdn.engine.links import Links
from vneter_sdn.engine.paths_report import (
    PairPaths,
    drained_condition,
    policy_conditions,
    policy_details,
    reservation_conditions,
    reservation_details,
)
from vneter_sdn.engine.planning import Planner
from vneter_sdn.engine.reports import HostView, accepted
from vneter_sdn.graph.reservations import next_instant
from vneter_sdn.graph.route import text
from vneter_sdn.model.flow import FlowKey
from vneter_sdn.model.instants import posix
from vneter_sdn.model.snapshot import Condition, Delta, Key, Snapshot, Status
from vneter_sdn.store.port import Store

READINGS = 3
"""Reports of links that have to pass before what is empty counts as such: port counters are read as
often, so two readings and what lies between them are from after it became empty."""
Said = tuple[tuple[Condition, ...], Mapping[str, Any]]


class Paths:
    """What the controller remembers of paths."""

    def __init__(self, compiler: Compiler) -> None:
        self._compiler, self._colours = compiler, Colours()
        self.planner = Planner(compiler)
        self._clock: float | None = None
        self._drained: set[Key] = set()
        self._held_back: set[Key] = set()
        """What is not reported before all hosts had time to connect."""
        self._empty: dict[Key, int] = {}
        """Drained and empty by the model: how many reports of links ago that began."""

    def take(self, snapshot: Snapshot, delta: Delta) -> None:
        """Take in what changed in the store."""
        self._colours.take(snapshot, delta)
        self.planner.take(snapshot, delta)
        for key in delta.objects:
            if key.kind in ("Link", "Host"):
                stored = snapshot.objects.get(key)
                self._empty.pop(key, None)
                self._drained.discard(key)
                if stored is not None and stored.spec.drained:
                    self._drained.add(key)

    def colour(self, store: Store) -> None:
        """Have routes coloured that policies want, and others give their colours back."""
        decision = self._colours.decide(self._compiler.wanted_paths())
        if decision is not None:
            store.colour(decision.assigned, decision.released)

    # -- the clock ------------------------------------------------------------------------------

    def due(self, now: Callable[[], str]) -> bool:
        """Whether a reservation's window has begun or ended since the clock was set."""
        bookings = self._compiler.bookings()
        if not bookings:
            return False
        if self._clock is None:
            return True
        instant = next_instant(bookings, self._clock)
        return instant is not None and instant <= posix(now())

    def advance(self, now: Callable[[], str]) -> Mapping[str, frozenset[FlowKey]]:
        """Set the clock; flows that changed, by host."""
        self._clock = posix(now())
        return self._compiler.advance(self._clock)

    # -- reports --------------------------------------------------------------------------------

    def stale(self) -> frozenset[Key]:
        """What has to be looked at now: what is drained or waits, and policies with a new plan."""
        return self.planner.plan() | self._drained | self._held_back

    def links_due(self) -> None:
        """Links are reported; their counters are read as often."""
        self.planner.tick()
        for key in self._empty:
            self._empty[key] += 1

    def early(self, key: Key, views: Mapping[str, HostView]) -> bool:
        """Whether too little is known since a restart to change what was said of a policy."""
        self._held_back.discard(key)
        if key.kind == "PathPolicy" and not all(view.settled for view in views.values()):
            self._held_back.add(key)
        return key in self._held_back

    def said(self, key: Key) -> Said:
        """Conditions and details of a policy or reservation; of others, that they are accepted."""
        if key.kind == "PathPolicy":
            pairs = [_told(pair) for pair in self._compiler.outcome(key)]
            details = {**policy_details(pairs), **self.planner.details(key)}
            return policy_conditions(pairs), details
        found = self._compiler.admission(key) if key.kind == "Reservation" else None
        return (accepted(), {}) if found is None else _booked(found)

    def drained(
        self, key: Key, views: Mapping[str, HostView], links: Links
    ) -> tuple[Condition, ...]:
        """The condition Drained of a link or host that is to be; none of others."""
        used = self._compiler.usage(key) if key in self._drained else None
        if used is None:
            return ()
        behind = sorted(h for h, v in views.items() if not v.channel or v.confirmed < v.desired)
        if used.paths or used.endpoints or behind:
            self._empty.pop(key, None)
            return (drained_condition(used, behind, None),)
        readings = self._empty.setdefault(key, 0)
        seen = [links.seen(edge) for edge in used.edges]
        busy = [one.busy for one in seen if one is not None and one.state != "down"]
        moving = True if True in busy else None if None in busy else False
        return (drained_condition(used, (), moving if readings >= READINGS else None),)

    def link_status(
        self, key: Key, known: Status | None, views: Mapping[str, HostView], links: Links
    ) -> Status | None:
        """What to report of a link that is to be drained, from what else is; None of others."""
        drained = self.drained(key, views, links)
        if not drained or known is None:
            return None
        others = (c for c in known.conditions if c.type != "Drained")
        return replace(known, conditions=(*others, *drained))


def _told(pair: Pair) -> PairPaths:
    colours = tuple(colour for _, _, colour in pair.routes if colour is not None)
    routes = tuple((text(route), weight, colour) for route, weight, colour in pair.routes)
    return PairPaths(
        pair.source,
        pair.target,
        len(pair.routes),
        colours,
        pair.refusal,
        pair.shortfall,
        routes,
        pair.dropped,
    )


def _booked(found: Admission) -> Said:
    booking, decision, now = found.booking, found.decision, found.now
    if found.broken:
        why = f"what was promised can't be kept: {decision.message}"
        decision = replace(decision, reason="Degraded", message=why)
    details = dict(reservation_details(booking, decision, now))
    if found.broken and found.promise is not None:
        part = booking.rate / len(found.promise.routes)
        details["routes"] = [{"route": text(r), "mbps": part} for r in found.promise.routes]
    return reservation_conditions(booking, decision, now), details
