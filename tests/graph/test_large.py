# SPDX-License-Identifier: Apache-2.0
"""Graphs too large for brute force, against networkx and against answers that were planted."""

import random
from itertools import islice, pairwise

import networkx as nx
import pytest
from multigraphs import both, graph, shared

from vneter_sdn.graph.constrained import Effort
from vneter_sdn.graph.journey import trip
from vneter_sdn.graph.kshortest import paths
from vneter_sdn.graph.selection import select
from vneter_sdn.graph.terrain import terrain
from vneter_sdn.model.path_kinds import PathConstraints, PathPolicySpec

ANYTHING = PathConstraints()


def web(count, links, seed, groups=0):
    """A connected random graph: a random tree and further links, each pair once."""
    rng = random.Random(seed)
    ends = {(rng.randrange(n), n) for n in range(1, count)}
    while len(ends) < links:
        ends.add(tuple(sorted(rng.sample(range(count), 2))))
    return {
        (f"n{one}", f"n{other}"): {
            "cost": rng.randint(1, 20),
            "risks": frozenset({f"r{rng.randrange(groups)}"}) if groups else frozenset(),
        }
        for one, other in sorted(ends)
    }


def ours(links):
    return graph(*(both(*ends, **said) for ends, said in links.items()))


def theirs(links):
    made = nx.Graph()
    made.add_weighted_edges_from((*ends, said["cost"]) for ends, said in links.items())
    return made


@pytest.mark.parametrize("seed", range(5))
def test_the_best_paths_cost_what_networkx_says(seed):
    links = web(120, 260, seed)
    found, peer = ours(links), theirs(links)
    land = terrain(found, "cost", ANYTHING)
    got = islice(paths(land, trip(land, "n0", "n119"), Effort()), 25)
    costs = [land.path(edges).cost for _, edges in got]
    expected = [
        nx.path_weight(peer, nodes, "weight")
        for nodes in islice(nx.shortest_simple_paths(peer, "n0", "n119", weight="weight"), 25)
    ]
    assert costs == expected


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("kind", ["link", "node"])
def test_a_backup_exists_where_max_flow_says_so(seed, kind):
    links = web(150, 165, seed)
    found, peer = ours(links), theirs(links)
    rng = random.Random(seed)
    for _ in range(10):
        source, target = (f"n{n}" for n in rng.sample(range(150), 2))
        spec = PathPolicySpec(disjoint=kind, paths=4)
        got = select(found, source, target, spec)
        ways = nx.edge_disjoint_paths if kind == "link" else nx.node_disjoint_paths
        most = len(list(ways(peer, source, target, cutoff=4)))
        assert len(got.shares) == most
        assert (got.backup is not None) == (most >= 2)


@pytest.mark.parametrize("seed", range(6))
def test_a_planted_pair_without_common_risk_is_found(seed):
    """Ten groups over 200 links leave few such pairs; two private chains are one for sure."""
    links = web(80, 200, seed, groups=10)
    for group, middle in (("one", ("p1", "p2")), ("two", ("q1", "q2", "q3"))):
        for ends in pairwise(("n0", *middle, "n79")):
            links[ends] = {"cost": 15, "risks": frozenset({group})}
    found = ours(links)
    got = select(found, "n0", "n79", PathPolicySpec(disjoint="risk"))
    assert got.backup is not None
    assert not shared(got.shares[0].path, got.backup, "risk")
    assert got.shares[0].path.cost + got.backup.cost <= 3 * 15 + 4 * 15


@pytest.mark.parametrize("seed", range(4))
def test_limits_hold_and_lie_between_the_extremes(seed):
    rng = random.Random(seed)
    links = web(200, 500, seed)
    edges = [both(*ends, latency=rng.uniform(1, 9), **said) for ends, said in links.items()]
    found = graph(*edges)
    quickest = select(found, "n0", "n199", PathPolicySpec(objective="latency")).shares[0].path
    cheapest = select(found, "n0", "n199", PathPolicySpec()).shares[0].path
    limit = (quickest.latency + cheapest.latency) / 2
    spec = PathPolicySpec(paths=5, constraints=PathConstraints(max_latency_ms=limit))
    got = select(found, "n0", "n199", spec)
    chosen = [share.path for share in got.shares]
    assert chosen
    assert all(path.latency <= limit + 1e-6 for path in chosen)
    assert [path.cost for path in chosen] == sorted(path.cost for path in chosen)
    assert cheapest.cost <= chosen[0].cost <= quickest.cost
