# SPDX-License-Identifier: Apache-2.0
"""Reservations against brute force: every path, at every time that matters."""

from __future__ import annotations

from itertools import pairwise
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vneter_sdn.graph.calendar import Calendar
from vneter_sdn.graph.network import Graph
from vneter_sdn.graph.reservations import Booking, admit, booking_of, next_instant
from vneter_sdn.graph.route import reverse
from vneter_sdn.graph.topology import Edge, Topology, Vertex, tunnel_edge
from vneter_sdn.model.path_kinds import PathConstraints, PathPolicySpec, ReservationSpec

HOSTS = "abcd"
PAIRS = [(one, other) for one in HOSTS for other in HOSTS if one < other]


def edge(one, other, **attributes):
    names = tunnel_edge(one, other), tunnel_edge(other, one)
    return Edge(name=names[0], reverse=names[1], source=one, target=other, **attributes)


def graph(links, hosts=HOSTS, drained=()):
    """A graph of links ``{(a, b): capacity}`` or ``{(a, b): {attribute: value}}``."""
    edges = []
    for (one, other), said in links.items():
        attributes = said if isinstance(said, dict) else {"capacity": said}
        edges += [edge(one, other, **attributes), edge(other, one, **attributes)]
    vertices = [Vertex(host, n, drained=host in drained) for n, host in enumerate(hosts, 1)]
    return Graph(Topology(tuple(vertices), tuple(edges)))


def book(key="r", source="a", target="b", rate=10.0, **more):
    return Booking(key=key, source=source, target=target, rate=rate, **more)


def only(found):
    (decision,) = found.values()
    return decision


# What is said


def test_the_cheapest_path_with_room_is_taken():
    links = {("a", "b"): {"capacity": 10.0, "cost": 5}, ("a", "c"): 100.0, ("b", "c"): 100.0}
    decision = only(admit(graph(links), [book(rate=20)], 0))
    assert decision.admitted
    assert decision.routes == {("a>c", "c>b"): 20}
    assert decision.booked == dict.fromkeys(("a>c", "c>a", "c>b", "b>c"), 20)
    narrow = {**links, ("a", "c"): 15.0}
    assert not only(admit(graph(narrow), [book(rate=20)], 0)).admitted
    assert only(admit(graph(narrow), [book(rate=10)], 0)).routes == {("a>c", "c>b"): 10}


def test_a_refusal_names_the_full_edge_what_is_free_and_when_it_would_fit():
    links = {("a", "b"): 100.0}
    bookings = [book("one", rate=70, start=0, end=50), book("two", rate=40, start=10, end=30)]
    two = admit(graph(links), bookings, 0)["two"]
    assert (two.reason, two.edge, two.free, two.fits) == ("Full", "a>b", 30, 50)
    assert two.message == (
        "a>b has 30 of 100 Mbit/s left, 40 are needed; it would fit from 1970-01-01T00:00:50.000Z"
    )
    more = only(admit(graph(links), [book(rate=101)], 0))
    assert more.fits is None
    assert more.message.endswith("; it carries no more")
    forever = admit(graph(links), [book("one", rate=70), book("two", rate=40)], 0)["two"]
    assert "does not fit later either" in forever.message


def test_both_directions_have_to_have_room():
    both = edge("a", "b", capacity=100.0), edge("b", "a", capacity=20.0)
    net = Graph(Topology((Vertex("a", 1), Vertex("b", 2)), both))
    refused = only(admit(net, [book(rate=30)], 0))
    assert (refused.reason, refused.edge, refused.free) == ("Full", "b>a", 20)
    assert only(admit(net, [book(rate=20)], 0)).admitted


def test_windows_that_only_touch_do_not_meet():
    bookings = [book("one", rate=70, start=0, end=50), book("two", rate=70, start=50, end=60)]
    assert all(one.admitted for one in admit(graph({("a", "b"): 100.0}), bookings, 0).values())


@pytest.mark.parametrize(
    ("links", "booking", "reason", "said"),
    [
        ({("a", "b"): None}, book(), "CapacityUnknown", "capacityMbps"),
        ({("a", "c"): 9.0}, book(), "NoPath", "no usable way from a to b"),
        ({("a", "b"): 9.0}, book(target="zz"), "NoPath", "zz"),
        ({("a", "b"): 9.0}, book(target=""), "NotPlaced", "no host"),
        ({("a", "b"): 9.0}, book(end=-1.0), "Over", "over"),
        ({("a", "b"): {"capacity": 99.0, "up": False}}, book(), "NoPath", "no usable way"),
    ],
)
def test_other_refusals(links, booking, reason, said):
    decision = only(admit(graph(links), [booking], 0))
    assert (decision.reason, decision.admitted, decision.booked) == (reason, False, {})
    assert said in decision.message


def test_nothing_is_booked_within_one_host():
    decision = only(admit(graph({}), [book(target="a", rate=1e9)], 0))
    assert (decision.admitted, decision.booked) == (True, {})


def test_what_is_drained_is_used_last():
    links = dict.fromkeys([("a", "b"), ("a", "c"), ("b", "c"), ("a", "d"), ("b", "d")], 100.0)
    links["a", "b"] = {"capacity": 100.0, "drained": True}
    bookings = [book(str(n), rate=100) for n in range(4)]
    found = admit(graph(links, drained=("c",)), bookings, 0)
    routes = [next(iter(one.routes), None) for one in found.values()]
    assert routes[0] == ("a>d", "d>b")
    assert set(routes[1:3]) == {("a>b",), ("a>c", "c>b")}
    assert routes[3] is None


def test_a_policy_says_which_paths_and_in_which_shares():
    links = {("a", "b"): 100.0, ("a", "c"): 100.0, ("b", "c"): 30.0}
    spec = PathPolicySpec(paths=2, objective="hops", sharing="equal")
    fits = only(admit(graph(links), [book(rate=60, policy="p", spec=spec)], 0))
    assert fits.routes == {("a>b",): 30, ("a>c", "c>b"): 30}
    full = only(admit(graph(links), [book(rate=61, policy="p", spec=spec)], 0))
    assert (full.reason, full.edge, full.free) == ("Full", "b>c", 30)
    narrow = PathPolicySpec(constraints=PathConstraints(encrypted=True))
    refused = only(admit(graph(links), [book(policy="safe", spec=narrow)], 0))
    assert refused.reason == "NoPath"
    assert refused.message.startswith("policy safe: ")


def test_what_was_promised_is_kept():
    links = dict.fromkeys([("a", "b"), ("a", "c"), ("b", "c")], 100.0)
    old, young = book("old", rate=60, end=10), book("young", rate=60)
    first = admit(graph(links), [old, young], 0)
    assert first["young"].routes == {("a>c", "c>b"): 60}
    held = {key: list(one.routes) for key, one in first.items()}
    later = admit(graph(links), [old, young, book("new", rate=60)], 20, held)
    assert list(later) == ["old", "young", "new"]
    assert later["old"].reason == "Over"
    assert later["young"].routes == first["young"].routes
    assert later["new"].routes == {("a>b",): 60}
    del links["b", "c"]
    assert admit(graph(links), [young], 20, held)["young"].routes == {("a>b",): 60}


def test_bookings_of_objects():
    spec = ReservationSpec(
        tenant="red", source="e1", target="e2", rate_mbps=5, end="1970-01-01T00:01:00Z", policy="p"
    )
    policy = PathPolicySpec()
    found = booking_of("red", spec, ("h1", "h2"), policy)
    assert (found.start, found.end, found.rate, found.spec) == (-inf, 60.0, 5, policy)


def test_decisions_are_due_again_when_a_window_begins_or_ends():
    bookings = [book(start=10.0, end=20.0), book(end=15.0), book()]
    assert [next_instant(bookings, now) for now in (0, 10, 15, 20)] == [10, 15, 20, None]


# Laws, by brute force

_TIMES = st.integers(0, 8).map(float)


@st.composite
def _bookings(draw):
    found = []
    for number in range(draw(st.integers(1, 7))):
        source, target = draw(st.permutations(HOSTS))[:2]
        start = draw(st.one_of(st.just(-inf), _TIMES))
        end = draw(st.one_of(st.just(inf), _TIMES))
        if end <= start:
            end = inf
        rate = float(draw(st.integers(1, 6)))
        found.append(book(str(number), source, target, rate, start=start, end=end))
    return found


_LINKS = st.dictionaries(
    st.sampled_from(PAIRS), st.one_of(st.none(), st.integers(1, 10).map(float)), max_size=6
)
SAMPLES = (-100.0, *(n / 2 for n in range(-1, 18)), 1000.0)


def active(booking, time):
    return booking.start <= time < booking.end


def usage(bookings, found, time):
    """Mbit/s on each edge at a time."""
    used = {}
    for booking in bookings:
        if active(booking, time):
            for name, rate in found[booking.key].booked.items():
                used[name] = used.get(name, 0.0) + rate
    return used


def every_path(net, source, target, passed=()):
    if source == target:
        yield ()
        return
    for step in net.out(source):
        if step.target not in passed and step.target != source:
            for rest in every_path(net, step.target, target, (*passed, source)):
                yield (step, *rest)


def fits(net, bookings, found, booking):
    """Whether some path has room at every time of the window, beside earlier bookings."""
    earlier = bookings[: bookings.index(booking)] if booking in bookings else bookings
    used = [usage(earlier, found, time) for time in SAMPLES if active(booking, time)]

    def room(step):
        capacity = step.capacity
        names = step.name, step.reverse
        taken = max((at.get(name, 0.0) for at in used for name in names), default=0.0)
        return capacity is not None and taken + booking.rate <= capacity + 1e-6

    paths = every_path(net, booking.source, booking.target)
    return any(all(room(step) for step in path) for path in paths)


@settings(max_examples=150, deadline=None)
@given(_LINKS, _bookings())
def test_nothing_is_promised_twice_and_nothing_refused_that_fits(links, bookings):
    net = graph(links)
    found = admit(net, bookings, -1000)
    for time in SAMPLES:
        for name, rate in usage(bookings, found, time).items():
            assert rate <= net.edges[name].capacity + 1e-6
    for booking in bookings:
        decision = found[booking.key]
        assert decision.admitted == fits(net, bookings, found, booking)
        for route in decision.routes:
            steps = [net.edges[name] for name in route]
            assert (steps[0].source, steps[-1].target) == (booking.source, booking.target)
            assert all(one.target == other.source for one, other in pairwise(steps))
            assert {*route, *reverse(route)} == set(decision.booked)


@settings(max_examples=150, deadline=None)
@given(_LINKS, _bookings(), _bookings())
def test_when_it_would_fit_is_the_earliest(links, bookings, asked):
    net = graph(links)
    last = asked[0]
    last = book("last", last.source, last.target, last.rate, start=0.0, end=2.0)
    found = admit(net, [*bookings, last], -1000)
    decision = found["last"]
    if decision.reason != "Full":
        assert decision.fits is None
        return
    others = {key: one for key, one in found.items() if key != "last"}

    def at(start):
        moved = book("last", last.source, last.target, last.rate, start=start, end=start + 2)
        return fits(net, bookings, others, moved)

    starts = [time for time in SAMPLES if 0 < time < 1000 and time == int(time)]
    assert decision.fits == next((time for time in starts if at(time)), None)
    capacity = net.edges[decision.edge].capacity
    used = [usage(bookings, others, t).get(decision.edge, 0.0) for t in SAMPLES if 0 <= t < 2]
    assert decision.free == pytest.approx(capacity - max(used))
    assert decision.free < last.rate


@settings(max_examples=100, deadline=None)
@given(_LINKS, _bookings())
def test_the_youngest_changes_nothing_for_others(links, bookings):
    net = graph(links)
    whole, without = admit(net, bookings, -1000), admit(net, bookings[:-1], -1000)
    assert {key: whole[key] for key in without} == without
    again = {key: list(one.routes) for key, one in whole.items() if one.admitted}
    kept = admit(net, bookings, -1000, again)
    assert all(kept[key].routes == whole[key].routes for key in again)


@given(st.lists(st.tuples(_TIMES, _TIMES, st.integers(1, 9).map(float))), _TIMES, _TIMES)
def test_calendars_sum_windows(windows, start, end):
    calendar = Calendar()
    for window in windows:
        calendar.add(*window)
    sums = [
        sum(amount for one, other, amount in windows if one <= time < other)
        for time in SAMPLES
        if start <= time < end
    ]
    assert calendar.peak(start, end) == max(sums, default=0.0)
