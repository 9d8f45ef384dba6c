# SPDX-License-Identifier: Apache-2.0
"""A link that is down counts as up where nothing else joins what it joins, and only there."""

from __future__ import annotations

from itertools import pairwise

import networkx as nx
from hypothesis import given
from hypothesis import strategies as st

from vneter_sdn.graph.together import together
from vneter_sdn.graph.topology import Edge, Topology, Vertex, tunnel_edge

HOSTS = "abcdef"
PAIRS = [(a, b) for a in HOSTS for b in HOSTS if a < b]


def graph(links):
    """Both directions of links; each is up or not, and disabled or not."""
    edges = [
        Edge(
            name=tunnel_edge(*ends),
            reverse=tunnel_edge(*ends[::-1]),
            source=ends[0],
            target=ends[1],
            up=up,
            disabled=disabled,
        )
        for pair, (up, disabled) in sorted(links.items())
        for ends in (pair, pair[::-1])
    ]
    return Topology(tuple(Vertex(h, n) for n, h in enumerate(HOSTS, 1)), tuple(edges))


def parts(edges):
    found = nx.Graph()
    found.add_nodes_from(HOSTS)
    found.add_edges_from((e.source, e.target) for e in edges)
    return {h: frozenset(c) for c in nx.connected_components(found) for h in c}


links = st.dictionaries(st.sampled_from(PAIRS), st.tuples(st.booleans(), st.booleans()))


@given(links)
def test_links_are_tried_that_join_all_there_is_and_close_no_circle(links):
    before = graph(links)
    after = together(before)
    tried = {
        frozenset((new.source, new.target))
        for old, new in zip(before.edges, after.edges, strict=True)
        if new.up != old.up
    }
    joined = parts(e for e in before.edges if e.usable)
    assert parts(e for e in after.edges if e.usable) == parts(
        e for e in before.edges if not e.disabled
    )
    assert len(tried) == len(set(joined.values())) - len(
        set(parts(e for e in after.edges if e.usable).values())
    )


@given(links)
def test_a_graph_that_holds_together_is_left_as_it_is(links):
    before = graph(links | dict.fromkeys(pairwise(HOSTS), (True, False)))
    assert together(before) is before


def test_nothing_is_led_through_a_host_that_is_gone():
    around = {("a", "b"): (False, False), ("b", "c"): (False, False), ("a", "c"): (True, False)}
    after = together(graph(around))
    assert {e.name for e in after.edges if e.up} == {"a>c", "c>a", "a>b", "b>a"}


def test_what_cannot_be_used_is_not_tried():
    before = graph({("a", "b"): (False, False)})
    assert together(before, {"b>a"}) is before
    assert all(edge.up for edge in together(before).edges)
