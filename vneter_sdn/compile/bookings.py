# SPDX-License-Identifier: Apache-2.0
"""Reservations as features and reports read them: what is promised, on which paths, from when on.

Whether one is admitted is `graph.reservations`' to say. It goes by what was promised before
(`facts.PROMISED`, from the last reports), so that nothing is taken back because something else
ended, and by a clock (`facts.CLOCK`) that the engine moves on when a window begins or ends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from vneter_sdn.compile.facts import CLOCK, PROMISED, QUEUED, Promise
from vneter_sdn.compile.links import MEASURED, declared, graph, measured, observations
from vneter_sdn.compile.queries import bridge_of, place
from vneter_sdn.compile.query import View, query
from vneter_sdn.graph.network import Graph
from vneter_sdn.graph.reservations import Booking, Decision, admit, booking_of
from vneter_sdn.graph.route import Route, reverse
from vneter_sdn.graph.topology import observed
from vneter_sdn.model.path_kinds import PathConstraints, PathPolicySpec, ReservationSpec
from vneter_sdn.model.snapshot import Key

RESERVATION = "Reservation"
_MOST = 64
"""What the smallest weight of a reservation's paths is multiplied by at most."""


class Admission(NamedTuple):
    """What became of a reservation."""

    booking: Booking
    decision: Decision
    now: float
    """POSIX seconds: the last time at which a window began or ended."""
    promise: Promise | None
    """What the last report promised."""

    @property
    def broken(self) -> bool:
        """Whether this much was promised and can't be kept: a link failed."""
        kept = self.decision.admitted or self.decision.reason == "Over"
        return not kept and self.promise is not None and self.booking.rate <= self.promise.rate

    @property
    def active(self) -> bool:
        """Whether it is admitted, and its window is open."""
        return self.decision.admitted and self.booking.start <= self.now < self.booking.end


class Lane(NamedTuple):
    """What bridges do about an active reservation that needs links."""

    source: str
    target: str
    routes: tuple[tuple[Route, int], ...]
    """With their weights, from source to target; replies take them backwards."""
    constraints: PathConstraints
    """Of its policy: where it has some, no other path will do."""


@query
def hosts_of(view: View, reservation: Key) -> tuple[str, str]:
    """Where its ends are; empty for one that is nowhere."""
    spec: ReservationSpec | None = view.get(RESERVATION, reservation)
    if spec is None:
        return "", ""
    return _host(view, spec, spec.source), _host(view, spec, spec.target)


def _host(view: View, spec: ReservationSpec, name: str) -> str:
    if spec.between == "hosts":
        return name if view.ask(bridge_of, name) is not None else ""
    at = view.ask(place, Key("Endpoint", spec.tenant, name))
    return at.host if at else ""


def _policy(view: View, name: str | None) -> PathPolicySpec | None:
    return view.get("PathPolicy", Key("PathPolicy", "", name)) if name else None


@query
def bookings(view: View, _: None) -> tuple[Booking, ...]:
    """All reservations, the oldest first; one that is edited queues anew."""
    queue = sorted(view.keys(RESERVATION), key=lambda key: (view.get(QUEUED, key) or 0, key))
    found = []
    for key in queue:
        spec: ReservationSpec = view.get(RESERVATION, key)
        policy = _policy(view, spec.policy)
        found.append(booking_of(str(key), spec, view.ask(hosts_of, key), policy))
    return tuple(found)


@query
def clock(view: View, _: None) -> float:
    """POSIX seconds; the beginning of time where nobody sets the clock."""
    return view.get(CLOCK, "") or 0.0


@query
def promises(view: View, _: None) -> Mapping[str, Promise]:
    """What the last reports promised, by the text of the reservation's key."""
    return {str(key): view.get(PROMISED, key) for key in sorted(view.keys(PROMISED))}


@query
def books(view: View, fields: frozenset[str]) -> Graph:
    """The graph that admission goes by.

    Edges whose ports are not known yet are there, and carry at least what was promised of them:
    after a restart much is not known for some seconds, and no promise is broken by that.
    """
    nothing = dict.fromkeys(MEASURED - fields)
    found = view.ask(observations, None)
    seen = {name: replace(one, **nothing) for name, one in found.items()}  # type: ignore[arg-type]
    least: dict[str, float] = {}
    for promise in view.ask(promises, None).values():
        for name in {n for route in promise.routes for n in (*route, *reverse(route))}:
            least[name] = least.get(name, 0.0) + promise.rate * promise.live
    there = observed(view.ask(declared, None), seen)
    edges = (
        replace(e, capacity=least[e.name]) if e.capacity is None and e.name in least else e
        for e in there.edges
    )
    return Graph(replace(there, edges=tuple(edges)))


@query
def decisions(view: View, _: None) -> Mapping[str, Decision]:
    """What became of all reservations, by the text of their keys."""
    asked = view.ask(bookings, None)
    if not asked:
        return {}
    quantities = {"capacity"}.union(*(measured(one.spec) for one in asked if one.spec))
    before = view.ask(promises, None)
    kept = {key: promise.routes for key, promise in before.items() if promise.live}
    lost = {key: promise.routes for key, promise in before.items() if not promise.live}
    now = view.ask(clock, None)
    return admit(view.ask(books, frozenset(quantities)), asked, now, kept, lost)


@query
def admission(view: View, reservation: Key) -> Admission | None:
    """What became of one."""
    decision = view.ask(decisions, None).get(str(reservation))
    if decision is None:
        return None
    asked = next(b for b in view.ask(bookings, None) if b.key == str(reservation))
    return Admission(asked, decision, view.ask(clock, None), view.get(PROMISED, reservation))


@query
def lane(view: View, reservation: Key) -> Lane | None:
    """The paths of an active reservation; None for one that is not, or needs no link."""
    found = view.ask(admission, reservation)
    if found is None or not found.active or not found.decision.routes:
        return None
    booking, routes = found.booking, found.decision.routes
    weights = ratios(tuple(routes.values()))
    constraints = booking.spec.constraints if booking.spec else PathConstraints()
    shares = tuple(zip(routes, weights, strict=True))
    return Lane(booking.source, booking.target, shares, constraints)


def ratios(rates: Sequence[float]) -> tuple[int, ...]:
    """Small integers, at least 1, in proportion to positive rates; as near as can be."""
    least = min(rates, default=1.0)
    for factor in range(1, _MOST + 1):
        scaled = [rate / least * factor for rate in rates]
        if all(abs(value - round(value)) < 1e-6 * factor for value in scaled):
            return tuple(round(value) for value in scaled)
    return tuple(max(1, round(rate / least * _MOST)) for rate in rates)


@query
def reserved(view: View, but_for: str) -> Mapping[str, float]:
    """Mbit/s held now by edge; ``but_for``: a policy whose own reservations do not count."""
    found: dict[str, float] = {}
    for key in sorted(view.keys(RESERVATION)):
        one = view.ask(admission, key)
        if one is not None and one.active and not (but_for and one.booking.policy == but_for):
            for edge, rate in one.decision.booked.items():
                found[edge] = found.get(edge, 0.0) + rate
    return found


@query
def spare(view: View, asked: tuple[frozenset[str], str]) -> Graph:
    """`links.graph` less what reservations hold of it."""
    quantities, but_for = asked
    whole, held = view.ask(graph, quantities), view.ask(reserved, but_for)
    if not held:
        return whole
    edges = tuple(
        replace(edge, reserved=held[edge.name]) if edge.name in held else edge
        for edge in whole.topology.edges
    )
    return Graph(replace(whole.topology, edges=edges))


def graph_for(view: View, name: str, spec: PathPolicySpec) -> Graph:
    """The graph as a policy sees it: with what others reserved, if it asks for bandwidth."""
    quantities = measured(spec)
    if spec.constraints.min_bandwidth_mbps is None:
        return view.ask(graph, quantities)
    used = any(booking.policy == name for booking in view.ask(bookings, None))
    return view.ask(spare, (quantities, name if used else ""))
