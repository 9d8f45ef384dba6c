# SPDX-License-Identifier: Apache-2.0
"""Where to draw the nodes of a topology, the same every time."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

import networkx as nx

from vneter_sdn.graph.atlas import Atlas
from vneter_sdn.graph.atlas.gathering import on_earth

Point = tuple[float, float]

_STEPS = 60
_LARGE = 400
"""Nodes above which the forces are followed for fewer steps."""


def layout(atlas: Atlas) -> Mapping[str, Point]:
    """A point for every node, x to the right and y upward, in no particular unit.

    From the coordinates of the file where at least half of the switches have some, from layers
    where every link leads from one layer to the next (a fabric), else from forces, a part without
    a link to the others after the other.
    """
    neighbours: dict[str, list[str]] = {vertex.host: [] for vertex in atlas.topology.vertices}
    for edge in atlas.topology.edges:
        neighbours[edge.source].append(edge.target)
    placed = {name: node.at for name, node in atlas.nodes.items() if node.at}
    core = atlas.switches or atlas.end_hosts
    if core and 2 * sum(name in placed for name in core) >= len(core):
        return _beside(_map(placed), neighbours)
    layers = _layers(atlas, neighbours)
    return layers if layers is not None else _forces(neighbours)


def _map(placed: Mapping[str, Point]) -> dict[str, Point]:
    """Places on the earth as a map of about the right proportions."""
    if not all(on_earth(*point) for point in placed.values()):
        return dict(placed)
    middle = sum(y for _, y in placed.values()) / len(placed)
    shrink = max(0.1, math.cos(math.radians(middle)))
    names = sorted(placed)
    across = _spread([placed[name][0] * shrink for name in names])
    up = _spread([placed[name][1] for name in names])
    return dict(zip(names, zip(across, up, strict=True), strict=True))


def _spread(values: Sequence[float]) -> list[float]:
    """Half where they are and half where they rank: order stays, crowds part, gaps shrink."""
    least, most = min(values), max(values)
    ranks = {value: rank for rank, value in enumerate(sorted(set(values)))}
    if len(ranks) < 2:
        return list(values)
    step = (most - least) / (len(ranks) - 1)
    return [(value + least + ranks[value] * step) / 2 for value in values]


def _beside(
    placed: Mapping[str, Point], neighbours: Mapping[str, Sequence[str]]
) -> dict[str, Point]:
    """Nodes without a place go near those they are linked to, nobody on top of another."""
    points = dict(placed)
    left = [name for name in neighbours if name not in points]
    spread = max(
        max((x for x, _ in points.values())) - min((x for x, _ in points.values())),
        max((y for _, y in points.values())) - min((y for _, y in points.values())),
        1e-3,
    )
    while left:
        found = {
            name: [points[near] for near in neighbours[name] if near in points] for name in left
        }
        ready = [name for name in left if found[name]] or left[:1]
        for name in ready:
            around = found[name] or list(placed.values())
            points[name] = (
                sum(x for x, _ in around) / len(around),
                sum(y for _, y in around) / len(around),
            )
        left = [name for name in left if name not in points]
    return _apart(points, spread / 40)


def _apart(points: Mapping[str, Point], step: float) -> dict[str, Point]:
    """Points of which several were the same go round where they were."""
    seen: Counter[Point] = Counter()
    result = {}
    for name, (x, y) in points.items():
        place = (round(x / step), round(y / step))
        turn = seen[place]
        seen[place] += 1
        angle, far = 2.4 * turn, step * math.sqrt(turn) * 1.2  # a sunflower's spiral
        result[name] = (x + far * math.cos(angle), y + far * math.sin(angle))
    return result


def _layers(atlas: Atlas, neighbours: Mapping[str, Sequence[str]]) -> dict[str, Point] | None:
    """Layers by the distance from hosts; None when many of one layer are linked, or none is far."""
    level = dict.fromkeys(atlas.end_hosts, 0)
    edge, depth = list(level), 0
    while edge:
        depth += 1
        edge = list(dict.fromkeys(n for name in edge for n in neighbours[name] if n not in level))
        level.update(dict.fromkeys(edge, depth))
    if len(level) < len(neighbours) or depth < 3:
        return None
    beside = [
        (name, near)
        for name in neighbours
        for near in neighbours[name]
        if level[name] == level[near]
    ]
    if len(beside) * 10 > sum(map(len, neighbours.values())):
        return None
    rows: defaultdict[int, list[str]] = defaultdict(list)
    for name in (*atlas.end_hosts, *atlas.switches):
        rows[level[name]].append(name)
    width = max(map(len, rows.values()))
    points: dict[str, Point] = {}
    for number in sorted(rows):
        row = sorted(rows[number], key=lambda name: _average(points, neighbours[name]))
        gap = width / len(row)
        for index, name in enumerate(row):
            points[name] = ((index + 0.5) * gap, number * width / 6)
        if any(abs(row.index(a) - row.index(b)) > 1 for a, b in beside if a in row and b in row):
            return None
    return points


def _average(points: Mapping[str, Point], names: Iterable[str]) -> float:
    known = [points[name][0] for name in names if name in points]
    return sum(known) / len(known) if known else 0.0


def _forces(neighbours: Mapping[str, Sequence[str]]) -> dict[str, Point]:
    graph = nx.Graph()
    graph.add_nodes_from(neighbours)
    graph.add_edges_from((name, near) for name in neighbours for near in neighbours[name])
    parts = sorted(nx.connected_components(graph), key=lambda part: (-len(part), min(part)))
    points: dict[str, Point] = {}
    shift = 0.0
    for part in parts:
        inner = nx.Graph()
        inner.add_nodes_from(name for name in neighbours if name in part)
        inner.add_edges_from(graph.subgraph(part).edges)
        size = math.sqrt(len(part))
        for name, (x, y) in _settled(inner).items():
            points[name] = (shift + float(x) * size, float(y) * size)
        shift += 2.4 * size
    return points


def _settled(graph: nx.Graph) -> Mapping[str, Point]:
    """Positions in a box of 2 by 2 round the origin."""
    size = graph.number_of_nodes()
    if size < 3:
        return dict(zip(graph, [(0.0, 0.0), (0.9, 0.3)], strict=False))
    start: Mapping[str, Point] = nx.circular_layout(graph)
    if all(degree == 2 for _, degree in graph.degree):  # a ring, in the order of its links
        order = [edge[0] for edge in nx.find_cycle(graph)]
        return {name: start[at] for name, at in zip(order, graph, strict=True)}
    found: Mapping[str, Point]
    if size <= _LARGE // 4:
        found = nx.kamada_kawai_layout(graph, pos=start)
    else:
        steps = _STEPS if size <= _LARGE else max(10, _STEPS * _LARGE // size)
        found = nx.spring_layout(graph, pos=start, iterations=steps, seed=1, k=2 / math.sqrt(size))
    return found
