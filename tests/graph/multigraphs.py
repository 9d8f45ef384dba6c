# SPDX-License-Identifier: Apache-2.0
"""Small graphs of every shape, and every path of them: what the algorithms are held against."""

from itertools import combinations

from hypothesis import strategies as st

from vneter_sdn.graph.constraint import edge_faults, host_faults, limits
from vneter_sdn.graph.network import Graph
from vneter_sdn.graph.objective import units, weigher
from vneter_sdn.graph.path import Path
from vneter_sdn.graph.topology import Edge, Topology, Vertex


def vertex(host, **more):
    return Vertex(host, 1, **more)


def arc(source, target, rank=0, **more):
    """One direction of the link of a rank between two hosts."""
    name = f"{source}#{rank}>{target}#{rank}" if rank else f"{source}>{target}"
    back = f"{target}#{rank}>{source}#{rank}" if rank else f"{target}>{source}"
    return Edge(name=name, reverse=back, source=source, target=target, **more)


def both(source, target, rank=0, **more):
    """Both directions of a link."""
    return (arc(source, target, rank, **more), arc(target, source, rank, **more))


def graph(*edges, hosts=()):
    """A graph of edges, or pairs of edges; hosts not given are made."""
    flat = [e for one in edges for e in (one if isinstance(one, tuple) else (one,))]
    known = {v.host for v in hosts}
    named = sorted({end for e in flat for end in (e.source, e.target)} - known)
    return Graph(Topology((*hosts, *(vertex(host) for host in named)), tuple(flat)))


TAGS = ("leased", "radio")
_attributes = st.fixed_dictionaries(
    {
        "cost": st.integers(1, 3),
        "latency": st.sampled_from((None, 0.0, 1.0, 1.5, 4.0)),
        "loss": st.sampled_from((0.0, 0.0, 0.1, 0.5, 1.0)),
        "price": st.sampled_from((0.0, 1.0, 2.5)),
        "utilisation": st.sampled_from((None, 0.0, 0.5)),
        "capacity": st.sampled_from((None, -5.0, 0.0, 10.0, 100.0)),
        "mtu": st.sampled_from((None, 1400, 9000)),
        "encrypted": st.booleans(),
        "tags": st.sets(st.sampled_from(TAGS)).map(frozenset),
        "risks": st.sets(st.sampled_from(("r1", "r2", "r3"))).map(frozenset),
        "drained": st.sampled_from((False, False, False, True)),
        "up": st.sampled_from((True, True, True, False)),
    }
)


@st.composite
def graphs(draw, most_hosts=6, most_links=11):
    """Parallel links, self loops, asymmetric metrics, parts without connection, odd capacities."""
    names = [
        f"h{number}" for number in range(draw(st.sampled_from((most_hosts, most_hosts - 1, 3, 2))))
    ]
    hosts = [
        vertex(
            name,
            region=draw(st.sampled_from(("", "eu", "us"))),
            tags=draw(st.sets(st.sampled_from(TAGS), max_size=1).map(frozenset)),
            drained=draw(st.sampled_from((False, False, False, True))),
        )
        for name in names
    ]
    edges = []
    fewest = draw(st.sampled_from((most_links * 2 // 3, 0)))  # mostly well connected
    for rank in range(draw(st.integers(fewest, most_links))):
        one, other = draw(st.sampled_from(names)), draw(st.sampled_from(names))
        same = draw(_attributes)
        edges.append(arc(one, other, rank, **same))
        if one != other and draw(st.integers(0, 4)):
            back = draw(_attributes) if draw(st.booleans()) else same
            edges.append(arc(other, one, rank, **{**back, "risks": same["risks"]}))
    return Graph(Topology(tuple(draw(st.permutations(hosts))), tuple(draw(st.permutations(edges)))))


def every_path(found, source, target):
    """Every loopless path over usable edges, by depth-first search."""
    open_ = [(source, ())]
    while open_:
        host, edges = open_.pop()
        if host == target and edges:
            yield Path(edges)
            continue
        seen = {source, *(e.target for e in edges)}
        onward = (edge for edge in found.out(host) if edge.target not in seen)
        open_.extend((edge.target, (*edges, edge)) for edge in onward)


def passes(found, path, constraints):
    """Whether a path satisfies constraints."""
    if any(edge_faults(edge, constraints) for edge in path.edges):
        return False
    for place, host in enumerate(path.hosts):
        between = 0 < place < path.hops
        if host_faults(found.vertices[host], constraints, between=between):
            return False
    for limit in limits(constraints):
        if sum(units(limit.quantity(edge)) for edge in path.edges) > limit.units:
            return False
    hosts = iter(path.hosts)
    return all(stop in hosts for stop in constraints.waypoints)


def rank(found, path, objective):
    """What decides between paths: fewer drained, less of the objective, fewer hops, names."""
    weigh = weigher(objective)
    drained = sum(
        edge.drained + (found.vertices[edge.target].drained and edge.target != path.target)
        for edge in path.edges
    )
    return (drained, sum(weigh(edge) for edge in path.edges), path.hops, path.route)


def in_order(found, source, target, objective, constraints):
    """Every path that satisfies constraints, the best first."""
    good = (p for p in every_path(found, source, target) if passes(found, p, constraints))
    return sorted(good, key=lambda path: rank(found, path, objective))


def shared(one, other, kind):
    """What two paths have in common that they may not: links, hosts between, risk groups."""
    links = [{frozenset((e.name, e.reverse)) for e in path.edges} for path in (one, other)]
    hosts = [set(path.hosts[1:-1]) for path in (one, other)]
    risks = [{risk for e in path.edges for risk in e.risks} for path in (one, other)]
    units_ = {"link": links, "node": hosts, "risk": risks}[kind]
    return (links[0] & links[1]) | (units_[0] & units_[1])


def disjoint_pairs(found, source, target, objective, constraints, kind):
    """Every disjoint pair of paths that satisfy constraints, the least sum first."""
    every = in_order(found, source, target, objective, constraints)
    pairs = [pair for pair in combinations(every, 2) if not shared(*pair, kind)]

    def total(pair):
        ranks = [rank(found, path, objective)[:3] for path in pair]
        return tuple(map(sum, zip(*ranks, strict=True)))

    return [(total(pair), pair) for pair in sorted(pairs, key=total)]
