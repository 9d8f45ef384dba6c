# SPDX-License-Identifier: Apache-2.0
"""``scripts/bench graph``: next hops of all pairs of hosts after one link changed.

Two shapes: one as of a wide-area network (hosts on a plane, joined to those near by, at a cost that
goes by distance), and a fat tree, all of whose links cost the same, so that every choice is a tie.
The peer is networkx, which computes the distances of the same trees anew (it knows no other way),
from a sample of the targets where all of them would take minutes: that is multiplied up, and the
name of the row says ``sampled``. Both answers have to agree.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from statistics import median

from vneter_sdn.daemon.bench_compile import against, row
from vneter_sdn.daemon.bench_flows import summary
from vneter_sdn.daemon.breath import uncollected
from vneter_sdn.errors import PipelineError
from vneter_sdn.graph.network import Graph
from vneter_sdn.graph.peer import costs, reversed_graph
from vneter_sdn.graph.topology import Edge, Topology, Vertex, tunnel_edge
from vneter_sdn.graph.trees import Trees
from vneter_sdn.southbound.openflow.bench import Row

SIZES = (1_000, 5_000)
AIM = {1_000: 50.0, 5_000: 2_000.0}
"""Milliseconds from a link that changed to the next hops that changed, at the median."""
WORST = 10.0
"""How many times the median the worst may be: a link that much leads over."""
FASTER = 50.0
"""How many times as fast as networkx from nothing it is to follow a change."""
SAMPLE = 40
"""Targets that networkx is asked for."""
MOST = 1_000
"""Bridges of which all flows are compiled, V² of each kind."""
STEP = 1000.0
"""Milliseconds that a step may take in which repairs follow, some seconds after the change."""
CHANGES = 12
"""Links that go down and come up again."""


def measure(arguments: list[str]) -> list[Row]:
    """Run the bench.

    Args:
        arguments: ``--nodes N`` for one other size.
    """
    parser = argparse.ArgumentParser(prog="bench graph", description=__doc__)
    parser.add_argument("--nodes", type=int)
    given = parser.parse_args(arguments)
    sizes = SIZES if given.nodes is None else (given.nodes,)
    shapes: tuple[tuple[str, Callable[[int], Topology]], ...] = (("wan", wan), ("fat-tree", fat))
    found = [
        one for size in sizes for name, shape in shapes for one in _measured(name, shape, size)
    ]
    return found + [one for size in sizes if size <= MOST for one in _flows(size)]


def _flows(size: int) -> list[Row]:
    """From a link that changed to the flows that changed, in a WAN."""
    usual, worst, step = summary(wan(size), CHANGES)
    title = f"graph/wan/{size}/one-link-flows"
    return [
        row(title, "ms", usual, min(AIM.values()), fewer=True),
        row(f"{title}-worst", "ms", worst, WORST * min(AIM.values()), fewer=True),
        row(f"{title}-repairs-step", "ms", step, STEP, fewer=True),
    ]


def wan(size: int) -> Topology:
    """Hosts on a plane, each joined to the three nearest, and all of them in one piece."""
    dice = random.Random(size)  # noqa: S311
    at = sorted((dice.random(), dice.random()) for _ in range(size))
    pairs = set(pairwise(range(size)))
    for one in range(size):
        around = range(max(0, one - 60), min(size, one + 60))  # neighbours from left to right
        near = sorted(around, key=lambda other: _apart(at[one], at[other]))
        pairs |= {(min(one, other), max(one, other)) for other in near[1:4]}
    return _joined(size, {pair: 1 + int(1000 * _apart(at[pair[0]], at[pair[1]])) for pair in pairs})


def _apart(one: tuple[float, float], other: tuple[float, float]) -> float:
    return float(((one[0] - other[0]) ** 2 + (one[1] - other[1]) ** 2) ** 0.5)


def fat(size: int) -> Topology:
    """A fat tree of k-port switches (Al-Fares et al. 2008), the smallest of at least such a size.

    k²/4 core switches, and k pods of k/2 switches above and k/2 below.
    """
    ports = next(k for k in range(4, 1000, 2) if 5 * k * k // 4 >= size)
    half = ports // 2
    pairs: dict[tuple[int, int], int] = {}
    for pod in range(ports):
        first = half * half + pod * ports
        for upper in range(half):
            pairs |= {(upper * half + core, first + upper): 1 for core in range(half)}
            pairs |= {(first + upper, first + half + lower): 1 for lower in range(half)}
    return _joined(5 * ports * ports // 4, pairs)


def _joined(size: int, costs: dict[tuple[int, int], int]) -> Topology:
    names = [f"n{number:05}" for number in range(size)]
    links = ((names[one], names[other], cost) for (one, other), cost in costs.items())
    edges = [edge for link in links for edge in _both(*link)]
    edges.sort(key=lambda e: (e.source, e.target))
    return Topology(tuple(Vertex(name, n) for n, name in enumerate(names, 1)), tuple(edges))


def _both(one: str, other: str, cost: int) -> Iterator[Edge]:
    for near, far in ((one, other), (other, one)):
        there, back = tunnel_edge(near, far), tunnel_edge(far, near)
        yield Edge(name=there, reverse=back, source=near, target=far, cost=cost)


def _measured(name: str, shape: Callable[[int], Topology], size: int) -> list[Row]:
    topology = shape(size)
    hosts = [vertex.host for vertex in topology.vertices]
    title, aim = f"graph/{name}/{len(hosts)}", AIM.get(size, min(AIM.values()))
    with uncollected():
        changes, trees = _changes(topology)
        anew = _timed(lambda: _again(topology, trees))
        some = random.Random(1).sample(hosts, min(len(hosts), SAMPLE))  # noqa: S311
        turned = reversed_graph(trees.graph)
        peer = _timed(lambda: _agree(costs(turned, some), trees)) * len(hosts) / len(some)
    extent = "" if len(some) == len(hosts) else "-sampled"
    return [
        row(f"{title}/one-link", "ms", 1000 * median(changes), aim, fewer=True),
        row(f"{title}/one-link-worst", "ms", 1000 * max(changes), WORST * aim, fewer=True),
        against(f"{title}/one-link-networkx{extent}", "/s", 1 / median(changes), 1 / peer, FASTER),
        against(f"{title}/one-link-anew", "/s", 1 / median(changes), 1 / anew, 1),
        against(f"{title}/anew-networkx{extent}", "/s", 1 / anew, 1 / peer, 1),
    ]


def _changes(topology: Topology) -> tuple[list[float], Trees]:
    """Seconds from each change of a link to the next hops that it changed; the last trees."""
    trees = Trees(Graph(topology))
    trees.next_hops(topology.vertices[0].host)
    seconds = []
    for link in random.Random(2).sample(topology.edges, min(CHANGES, len(topology.edges))):  # noqa: S311
        for now in (_without(topology, link), topology):
            start = time.process_time()
            trees = trees.updated(Graph(now)).trees
            seconds.append(time.process_time() - start)
    return seconds, trees


def _without(topology: Topology, link: Edge) -> Topology:
    """The same, with a link down."""
    ends = link.name, link.reverse
    edges = (replace(e, up=False) if e.name in ends else e for e in topology.edges)
    return replace(topology, edges=tuple(edges))


def _again(topology: Topology, known: Trees) -> None:
    """From nothing, which has to come to the same."""
    trees = Trees(Graph(topology))
    for vertex in topology.vertices[:: max(1, len(topology.vertices) // SAMPLE)]:
        if trees.next_hops(vertex.host) != known.next_hops(vertex.host):
            raise PipelineError("incremental and full trees differ")


def _agree(found: Mapping[str, Mapping[str, int]], trees: Trees) -> None:
    """Next hops have to be as cheap as networkx finds."""
    for target, cost in found.items():
        for host, edge in trees.next_hops(target).items():
            if cost[host] != edge.cost + cost[edge.target]:
                raise PipelineError(f"networkx knows a cheaper way from {host} to {target}")


def _timed(work: Callable[[], object]) -> float:
    """Seconds of this process alone, so that others on the machine count less."""
    start = time.process_time()
    work()
    return time.process_time() - start
