# SPDX-License-Identifier: Apache-2.0
from hypothesis import given, settings
from hypothesis import strategies as st
from multigraphs import TAGS, arc, both, graph, graphs, in_order

from vneter_sdn.graph.constrained import Effort, Trip, best
from vneter_sdn.graph.kshortest import paths
from vneter_sdn.graph.network import Graph
from vneter_sdn.graph.terrain import terrain
from vneter_sdn.graph.topology import Topology
from vneter_sdn.model.path_kinds import Objective, PathConstraints

objectives = st.sampled_from(
    ("hops", "cost", "latency", "price", "utilisation", "loss", Objective(latency=1, price=0.5))
)
ANYTHING = PathConstraints()


@st.composite
def constraints(draw, most_hosts=6):
    hosts = [f"h{number}" for number in range(1, most_hosts)]
    asked = {
        "max_latency_ms": st.sampled_from((0.0, 2.5, 6.0, 12.0)),
        "max_hops": st.integers(1, 4),
        "max_price_per_gb": st.sampled_from((0.0, 2.5, 5.0)),
        "max_loss": st.sampled_from((0.0, 0.1, 0.19, 0.75, 1.0)),
        "min_bandwidth_mbps": st.just(10.0),
        "min_mtu": st.just(1400),
        "encrypted": st.just(value=True),
        "avoid_tags": st.just((TAGS[0],)),
        "require_tags": st.just((TAGS[1],)),
        "regions": st.sampled_from((("eu",), ("eu", "us"))),
        "waypoints": st.lists(st.sampled_from(hosts), max_size=2, unique=True).map(tuple),
    }
    chosen = draw(st.lists(st.sampled_from(sorted(asked)), max_size=3, unique=True))
    return PathConstraints(**{name: draw(asked[name]) for name in chosen})


def trip(land, source, target, asked=ANYTHING):
    """A trip whose way points are all between its ends and known, or None."""
    stops = tuple(land.number.get(stop, -1) for stop in asked.waypoints)
    ends = (land.number[source], land.number[target])
    return None if -1 in stops or {*stops} & {*ends} else Trip(*ends, stops)


def listed(land, journey, effort=None):
    return [land.path(edges) for _, edges in paths(land, journey, effort or Effort())]


@settings(max_examples=60, deadline=None)
@given(found=graphs(), objective=objectives, asked=constraints())
def test_gives_exactly_the_paths_there_are_in_order(found, objective, asked):
    land = terrain(found, objective, asked)
    journey = trip(land, "h0", "h1", asked)
    if journey is not None:
        expected = in_order(found, "h0", "h1", objective, asked)
        assert listed(land, journey) == expected
        one = best(land, journey, Effort())
        assert (land.path(one[1]) if one else None) == (expected[0] if expected else None)


@settings(max_examples=60, deadline=None)
@given(found=graphs(most_hosts=7, most_links=16))
def test_way_points_are_passed_in_order_without_loops(found):
    asked = PathConstraints(waypoints=("h2", "h3"), max_latency_ms=9.0)
    land = terrain(found, "latency", asked)
    journey = trip(land, "h0", "h1", asked)
    if journey is not None:
        assert listed(land, journey) == in_order(found, "h0", "h1", "latency", asked)


@settings(max_examples=60, deadline=None)
@given(found=graphs(), data=st.data())
def test_the_order_of_edges_does_not_matter(found, data):
    edges = data.draw(st.permutations(found.topology.edges))
    hosts = data.draw(st.permutations(found.topology.vertices))
    again = Graph(Topology(tuple(hosts), tuple(edges)))
    one, other = (terrain(each, "cost", ANYTHING) for each in (found, again))
    assert listed(one, trip(one, "h0", "h1")) == listed(other, trip(other, "h0", "h1"))


def test_parallel_links_are_different_paths():
    land = terrain(graph(*(both("a", "b", n) for n in range(3))), "cost", ANYTHING)
    found = listed(land, trip(land, "a", "b"))
    assert [path.route for path in found] == [("a#1>b#1",), ("a#2>b#2",), ("a>b",)]


def test_equal_sums_are_equal_whatever_the_order_of_adding():
    legs = (0.1, 0.2, 0.3)
    one = [arc(a, b, latency=ms) for a, b, ms in zip("sab", "abt", legs, strict=True)]
    other = [arc(a, b, latency=ms) for a, b, ms in zip("scd", "cdt", legs[::-1], strict=True)]
    land = terrain(graph(*one, *other), "latency", PathConstraints(max_latency_ms=0.6))
    weights = [weight for weight, _ in paths(land, trip(land, "s", "t"), Effort())]
    assert len(weights) == 2
    assert weights[0] == weights[1]


def test_a_loop_that_way_points_would_need_is_no_path():
    found = graph(both("a", "b"), both("b", "c"))
    land = terrain(found, "cost", ANYTHING)
    assert listed(land, Trip(land.number["a"], land.number["b"], (land.number["c"],))) == []


def test_a_way_point_is_left_by_another_way_than_it_was_reached():
    found = graph(both("s", "x"), both("x", "w"), both("x", "t"), both("w", "t", cost=9))
    land = terrain(found, "cost", ANYTHING)
    stops = (land.number["w"],)
    journey = Trip(land.number["s"], land.number["t"], stops)
    assert [str(path) for path in listed(land, journey)] == ["s>x>w>t"]
    assert str(land.path(best(land, journey, Effort())[1])) == "s>x>w>t"


def test_a_dearer_start_may_be_the_better_one_within_a_limit():
    legs = (
        arc("s", "x", latency=5.0),
        arc("s", "x", 1, latency=1.0, cost=2),
        arc("x", "t", latency=5.0),
        arc("x", "t", 1, latency=1.0, cost=10),
    )
    land = terrain(graph(*legs), "cost", PathConstraints(max_latency_ms=6.0))
    assert [path.cost for path in listed(land, trip(land, "s", "t"))] == [3, 11, 12]
    land = terrain(graph(*legs), "cost", PathConstraints(max_latency_ms=5.5))
    assert [path.cost for path in listed(land, trip(land, "s", "t"))] == [12]


def test_without_effort_nothing_is_found_and_it_says_so():
    land = terrain(graph(both("a", "b"), both("b", "c")), "cost", ANYTHING)
    effort = Effort(left=1)
    assert listed(land, trip(land, "a", "c"), effort) == []
    assert effort.spent
