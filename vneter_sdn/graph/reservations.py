# SPDX-License-Identifier: Apache-2.0
"""Admission of reservations: whether what is asked for is left, over the whole window, each way.

First come, first served: each booking is judged against those before it, so the answer for one
never depends on a later one, and is the same however often it is computed. A booking goes along
the paths of its policy, in proportion to their weights, or else along the cheapest path on which
its rate is left (compare RFC 3209's admission per link; windows as in advance reservation, Guérin
and Orda 2000). An edge whose capacity nobody knows can be promised to nobody.

O(bookings · E log V), and for each refusal O(E) for every time at which something else ends.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from heapq import heappop, heappush
from math import inf
from types import MappingProxyType

from vneter_sdn.graph.calendar import Calendar
from vneter_sdn.graph.network import Graph
from vneter_sdn.graph.route import Route
from vneter_sdn.graph.selection import Selection, select
from vneter_sdn.graph.topology import Edge
from vneter_sdn.model.instants import posix, rfc3339
from vneter_sdn.model.path_kinds import PathPolicySpec, ReservationSpec

TRIED = 256
"""Times at which a refused booking is tried again, at most, to say when it would fit."""
_SLACK = 1e-9
"""Relative error that sums of rates may have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Booking:
    """A reservation between hosts."""

    key: str
    source: str
    """A host; empty while it is not known."""
    target: str
    rate: float
    """Mbit/s, each way."""
    start: float = -inf
    """POSIX seconds."""
    end: float = inf
    policy: str = ""
    """Name of the policy whose paths it takes."""
    spec: PathPolicySpec | None = None
    """That policy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What became of a booking."""

    reason: str
    """``Admitted``, ``LocalOnly``, ``Full``, ``CapacityUnknown``, ``NoPath``, ``NotPlaced`` or
    ``Over``."""
    message: str = ""
    """For people; names the full edge, what is free on it, and when it would fit."""
    routes: Mapping[Route, float] = field(default_factory=dict)
    """Mbit/s on each path, in the direction from source to target."""
    booked: Mapping[str, float] = field(default_factory=dict)
    """Mbit/s by edge, both directions."""
    edge: str = ""
    """The edge that has not enough left."""
    free: float = 0.0
    """Mbit/s that are left on that edge throughout the window."""
    fits: float | None = None
    """POSIX time of the earliest start at which as long a window would fit; None for never."""

    @property
    def admitted(self) -> bool:
        """Whether the bandwidth is promised."""
        return self.reason in {"Admitted", "LocalOnly"}


def booking_of(
    key: str,
    spec: ReservationSpec,
    ends: tuple[str, str],
    policy: PathPolicySpec | None = None,
) -> Booking:
    """The booking of an admitted object.

    Without a start it counts from the beginning of time, so that it never moves.

    Args:
        key: by which `admit` answers.
        spec: what is reserved.
        ends: the hosts of its source and target, empty where an endpoint is bound to none.
        policy: the one it names.
    """
    return Booking(
        key=key,
        source=ends[0],
        target=ends[1],
        rate=spec.rate_mbps,
        start=posix(spec.start) if spec.start else -inf,
        end=posix(spec.end) if spec.end else inf,
        policy=spec.policy or "",
        spec=policy,
    )


def admit(
    graph: Graph,
    bookings: Iterable[Booking],
    now: float,
    held: Mapping[str, Collection[Route]] = MappingProxyType({}),
    lost: Mapping[str, Collection[Route]] = MappingProxyType({}),
) -> dict[str, Decision]:
    """Decide on bookings, in the order in which they were made.

    Args:
        graph: its edges' capacities count whole, whatever they say is reserved of them.
        bookings: the oldest first.
        now: POSIX seconds; what ended before is not booked any more.
        held: routes that were promised, by key of the booking. They are decided on first, and
            keep those routes as long as their links live: what was promised is not taken back
            because something else ended.
        lost: routes that were promised once and could not be kept. They are taken again where
            that is possible when their booking's turn comes.
    """
    ledger = _Ledger(graph, now)
    asked = list(bookings)
    first = [booking for booking in asked if booking.key in held]
    rest = [booking for booking in asked if booking.key not in held]
    known = {**lost, **held}
    found = {b.key: ledger.decide(b, known.get(b.key, ())) for b in (*first, *rest)}
    return {booking.key: found[booking.key] for booking in asked}


def next_instant(bookings: Iterable[Booking], now: float) -> float | None:
    """When the next window begins or ends, and decisions have to be made again; None for never."""
    instants = (instant for b in bookings for instant in (b.start, b.end) if now < instant < inf)
    return min(instants, default=None)


class _Ledger:
    """What is booked of each edge so far."""

    def __init__(self, graph: Graph, now: float) -> None:
        self._graph, self._now = graph, now
        self._booked: dict[str, Calendar] = {}
        self._selected: dict[tuple[str, str, str], Selection] = {}

    def decide(self, booking: Booking, held: Collection[Route]) -> Decision:
        """Book it, if it fits."""
        if booking.end <= self._now:
            return Decision(reason="Over", message="its window is over")
        if not booking.source or not booking.target:
            return Decision(reason="NotPlaced", message="an end of it is on no host yet")
        if booking.source == booking.target:
            message = f"both ends are on {booking.source}, so no link is needed"
            return Decision(reason="LocalOnly", message=message)
        if booking.spec is not None:
            return self._along_policy(booking, booking.spec)
        room = self._room(booking, booking.start)
        route = self._kept(booking, held, room) or self._cheapest(booking, room)
        if route is not None:
            return self._booked_along(booking, {route: booking.rate})
        widest = self._widest(booking)
        if widest is None:
            message = f"no usable way from {booking.source} to {booking.target}"
            return Decision(reason="NoPath", message=message)

        def fits(start: float) -> bool:
            return self._cheapest(booking, self._room(booking, start)) is not None

        return self._full(booking, widest, booking.rate, self._later(booking, fits))

    def _along_policy(self, booking: Booking, spec: PathPolicySpec) -> Decision:
        place = booking.source, booking.target, booking.policy
        selection = self._selected.get(place)
        if selection is None:
            selection = select(self._graph, booking.source, booking.target, spec)
            self._selected[place] = selection
        if selection.refusal is not None:
            message = f"policy {booking.policy}: {selection.refusal.message}"
            return Decision(reason="NoPath", message=message)
        total = sum(share.weight for share in selection.shares)
        routes = {s.path.route: booking.rate * s.weight / total for s in selection.shares}
        needs = self._by_edge(routes)
        lacking = self._lacking(needs, booking, booking.start)
        if lacking is None:
            return self._booked_along(booking, routes)
        later = self._later(booking, lambda start: not self._lacking(needs, booking, start))
        return self._full(booking, lacking, needs[lacking], later)

    def _booked_along(self, booking: Booking, routes: Mapping[Route, float]) -> Decision:
        needs = self._by_edge(routes)
        for edge, rate in needs.items():
            self._booked.setdefault(edge, Calendar()).add(booking.start, booking.end, rate)
        return Decision(reason="Admitted", routes=routes, booked=needs)

    def _by_edge(self, routes: Mapping[Route, float]) -> dict[str, float]:
        """Mbit/s that routes ask of each edge, there and back."""
        needs: dict[str, float] = {}
        for route, rate in routes.items():
            for name in route:
                edge = self._graph.edges[name]
                for one in (edge.name, edge.reverse):
                    if one in self._graph.edges:
                        needs[one] = needs.get(one, 0.0) + rate
        return needs

    # What is left

    def _free(self, name: str, start: float, end: float) -> float:
        """Mbit/s of an edge that are left throughout a window; -inf when nobody knows."""
        edge = self._graph.edge(name)
        if edge is None or edge.capacity is None:
            return -inf if edge else inf
        taken = self._booked.get(name)
        return edge.capacity - (taken.peak(start, end) if taken else 0.0)

    def _room(self, booking: Booking, start: float) -> Callable[[Edge], bool]:
        """Whether an edge has room, there and back, for a window as long that begins at a time."""
        window = self._window(booking, start)
        return lambda edge: all(
            _fits(booking.rate, self._free(name, *window)) for name in (edge.name, edge.reverse)
        )

    def _lacking(self, needs: Mapping[str, float], booking: Booking, start: float) -> str | None:
        """The edge that has the least left of what is needed; None when all have enough."""
        left = {edge: self._free(edge, *self._window(booking, start)) for edge in needs}
        short = [edge for edge in needs if not _fits(needs[edge], left[edge])]
        return min(short, key=lambda edge: (left[edge] - needs[edge], edge), default=None)

    def _window(self, booking: Booking, start: float) -> tuple[float, float]:
        if start == booking.start:
            return booking.start, booking.end
        return start, start + (booking.end - max(booking.start, self._now))

    def _later(self, booking: Booking, fits: Callable[[float], bool]) -> float | None:
        """The earliest later start for a window as long; None when there is none."""
        begin = max(booking.start, self._now)
        times = {time for taken in self._booked.values() for time in taken.times if time > begin}
        return next((time for time in sorted(times)[:TRIED] if fits(time)), None)

    def _full(self, booking: Booking, edge: str, rate: float, later: float | None) -> Decision:
        free, capacity = (
            self._free(edge, booking.start, booking.end),
            self._graph.edges[edge].capacity,
        )
        if capacity is None:
            message = f"nobody knows what {edge} carries; declare capacityMbps in its Link"
            return Decision(reason="CapacityUnknown", message=message, edge=edge)
        left = max(0.0, free)
        if later is not None:
            when = f"it would fit from {rfc3339(later)}"
        else:
            when = "it does not fit later either" if rate <= capacity else "it carries no more"
        message = f"{edge} has {left:g} of {capacity:g} Mbit/s left, {rate:g} are needed; {when}"
        return Decision(reason="Full", message=message, edge=edge, free=left, fits=later)

    # Ways

    def _kept(
        self, booking: Booking, held: Collection[Route], room: Callable[[Edge], bool]
    ) -> Route | None:
        """The route that was promised before, while it leads there and has room."""
        for route in held:
            edges = [self._graph.edge(name) for name in route]
            places = [booking.source, *(edge.target for edge in edges if edge)]
            whole = all(
                e and e.usable and e.source == p for e, p in zip(edges, places, strict=False)
            )
            if whole and places[-1] == booking.target and all(e and room(e) for e in edges):
                return route
        return None

    def _cheapest(self, booking: Booking, room: Callable[[Edge], bool]) -> Route | None:
        """The path of least cost on which there is room; what is drained only if need be.

        Dijkstra's; of equal paths the one with fewer hops, then the one whose names sort first.
        """
        queue: list[tuple[int, float, int, Route, str]] = [(0, 0, 0, (), booking.source)]
        done: set[str] = set()
        while queue:
            drained, cost, hops, route, host = heappop(queue)
            if host == booking.target:
                return route
            if host in done:
                continue
            done.add(host)
            for edge in self._graph.out(host):
                if edge.target in done or not room(edge):
                    continue
                passed = edge.target != booking.target and self._graph.vertices[edge.target].drained
                shunned = drained + edge.drained + passed
                onward = (shunned, cost + edge.cost, hops + 1, (*route, edge.name), edge.target)
                heappush(queue, onward)
        return None

    def _widest(self, booking: Booking) -> str | None:
        """The fullest edge of the path that has the most left; None when nothing leads there.

        An edge that is there and back counts as the fuller direction.
        """
        queue: list[tuple[float, str, str]] = [(-inf, "", booking.source)]
        done: set[str] = set()
        while queue:
            less, fullest, host = heappop(queue)
            if host == booking.target:
                return fullest
            if host in done:
                continue
            done.add(host)
            for edge in self._graph.out(host):
                ways = (
                    (self._free(n, booking.start, booking.end), n)
                    for n in (edge.name, edge.reverse)
                )
                free, name = min(ways)
                heappush(queue, max((less, fullest, edge.target), (-free, name, edge.target)))
        return None


def _fits(rate: float, free: float) -> bool:
    return rate <= free + _SLACK * max(1.0, rate)
