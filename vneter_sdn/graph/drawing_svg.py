# SPDX-License-Identifier: Apache-2.0
"""A topology as one self-contained SVG picture."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from xml.sax.saxutils import escape, quoteattr

from vneter_sdn.graph.atlas import Atlas
from vneter_sdn.graph.drawing import Line, capacity, latency, lines, shown
from vneter_sdn.graph.drawing_layout import Point, layout

_WIDTH, _MARGIN, _LEGEND = 1200.0, 90.0, 34.0
_LEAST_HEIGHT, _MOST_HEIGHT = 320.0, 900.0
_LABELLED = 80
"""Links up to which each has its capacity and latency beside it; all have them as a tooltip."""
_ROOM = 90
"""Pixels a link has to be long for that."""
_UNKNOWN = "#8b93a1"
_COLOURS = ((0.5, "#2e9e5b"), (0.75, "#d9a514"), (0.9, "#e06c1f"), (math.inf, "#c8262c"))
"""Utilisation below which a link has a colour."""
_STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #20242c; paint-order: stroke; stroke: #fff;
    stroke-width: 3px; stroke-linejoin: round; text-anchor: middle; }
  .link { fill: none; stroke-width: 2.2; } .link.one { marker-end: url(#arrow); }
  .down, .disabled { stroke-dasharray: 7 5; opacity: .6; } .drained { stroke-dasharray: 2 4; }
  .fact { font-size: 10px; fill: #555c68; } .legend { text-anchor: start; font-size: 11px; }
  .switch { fill: #2b6cb0; } .host { fill: #7b8794; } .dry { opacity: .45; }
"""
_HEAD = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
    ' width="{width}" height="{height}" role="img">'
)
_ARROW = (
    '<defs><marker id="arrow" viewBox="0 0 8 8" refX="16" refY="4" markerWidth="5"'
    ' markerHeight="5" orient="auto"><path d="M0 0L8 4L0 8z" fill="#555c68"/></marker></defs>'
)


def svg(atlas: Atlas) -> str:
    """The picture: links coloured by utilisation, dashed when down, dotted when drained.

    No script, no font and no file from elsewhere; every text of the topology is escaped.
    """
    points, height = _fitted(layout(atlas))
    title = escape(shown(atlas.name))
    parts = [
        _HEAD.format(width=f"{_WIDTH:g}", height=f"{height:g}"),
        f"<title>{title}</title>",
        f"<style>{_STYLE}</style>",
        _ARROW,
        '<rect width="100%" height="100%" fill="#fff"/>',
        *_links(atlas, points),
        *_nodes(atlas, points),
        *_legend(height),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _fitted(points: Mapping[str, Point]) -> tuple[dict[str, Point], float]:
    """Points in pixels, y downward, and the height of the picture."""
    if not points:
        return {}, _LEAST_HEIGHT
    left, right = min(x for x, _ in points.values()), max(x for x, _ in points.values())
    low, high = min(y for _, y in points.values()), max(y for _, y in points.values())
    inner = _WIDTH - 2 * _MARGIN
    scale = inner / (right - left) if right > left else 1.0
    tall = (high - low) * scale
    most, least = _MOST_HEIGHT - 2 * _MARGIN, _LEAST_HEIGHT - 2 * _MARGIN
    stretch = most / tall if tall > most else (least / tall if 0 < tall < least else 1.0)
    height = max(_LEAST_HEIGHT, tall * stretch + 2 * _MARGIN) + _LEGEND
    middle = (height - _LEGEND) / 2
    fitted = {
        name: (
            _WIDTH / 2 + (x - (left + right) / 2) * scale,
            middle - (y - (low + high) / 2) * scale * stretch,
        )
        for name, (x, y) in points.items()
    }
    return fitted, round(height)


def _links(atlas: Atlas, points: Mapping[str, Point]) -> Iterator[str]:
    drawn = lines(atlas)
    ranks: Counter[frozenset[str]] = Counter()
    for line in drawn:
        edge = line.edge
        ends = frozenset((edge.source, edge.target))
        bend = _bend(ranks[ends]) * (1 if edge.source < edge.target else -1)
        ranks[ends] += 1
        (x1, y1), (x2, y2) = points[edge.source], points[edge.target]
        across = math.hypot(x2 - x1, y2 - y1) or 1.0
        x = (x1 + x2) / 2 - bend * (y2 - y1) / across
        y = (y1 + y2) / 2 + bend * (x2 - x1) / across
        kind = f"link {line.state}" + ("" if line.both_ways else " one")
        # a quadratic curve passes half as far from the chord as its control point
        control = f"{2 * x - (x1 + x2) / 2:.1f} {2 * y - (y1 + y2) / 2:.1f}"
        yield (
            f'<path class="{kind}" stroke="{_colour(edge.utilisation)}"'
            f' d="M{x1:.1f} {y1:.1f}Q{control} {x2:.1f} {y2:.1f}">'
            f"<title>{escape(_tooltip(line))}</title></path>"
        )
        facts = " · ".join(filter(None, (capacity(edge), latency(edge))))
        if facts and len(drawn) <= _LABELLED and across >= _ROOM:
            yield f'<text class="fact" x="{x:.1f}" y="{y - 3:.1f}">{escape(facts)}</text>'


def _bend(rank: int) -> float:
    """Pixels that the middle of the n-th link of a pair is beside the straight: 0, 14, -14, 28."""
    return 14.0 * ((rank + 1) // 2) * (1 if rank % 2 else -1)


def _tooltip(line: Line) -> str:
    edge = line.edge
    used = "" if edge.utilisation is None else f"{edge.utilisation:.0%} used"
    facts = (line.state, f"cost {edge.cost}", capacity(edge), latency(edge), used)
    return shown(f"{edge.source} {line.arrow} {edge.target}: {', '.join(filter(None, facts))}")


def _colour(utilisation: float | None) -> str:
    if utilisation is None:
        return _UNKNOWN
    return next(colour for limit, colour in _COLOURS if utilisation < limit)


def _nodes(atlas: Atlas, points: Mapping[str, Point]) -> Iterator[str]:
    hosts = frozenset(atlas.end_hosts)
    radius = 9 if len(points) <= 60 else (6 if len(points) <= 200 else 3)
    for vertex in atlas.topology.vertices:
        x, y = points[vertex.host]
        kind = "host" if vertex.host in hosts else "switch"
        size = radius * 0.7 if kind == "host" else radius
        label = shown(atlas.label(vertex.host))
        told = shown(f"{vertex.host}, {kind}{', drained' if vertex.drained else ''}")
        yield (
            f'<circle class="{kind}{" dry" if vertex.drained else ""}" id={quoteattr(vertex.host)}'
            f' cx="{x:.1f}" cy="{y:.1f}" r="{size:g}"><title>{escape(told)}</title></circle>'
        )
        if len(points) <= 200:
            under = y + size + 13
            yield f'<text x="{x:.1f}" y="{under:.1f}">{escape(label)}</text>'


def _legend(height: float) -> Iterator[str]:
    names = ("less than half used", "less than 75 %", "less than 90 %", "90 % or more")
    shades = [(colour, name) for (_, colour), name in zip(_COLOURS, names, strict=True)]
    for index, (colour, name) in enumerate([(_UNKNOWN, "use not known"), *shades]):
        x, y = 20 + 170 * index, height - 14
        yield f'<path class="link" stroke="{colour}" d="M{x} {y - 4:g}h24"/>'
        yield f'<text class="legend" x="{x + 30}" y="{y:g}">{escape(name)}</text>'
    x = 20 + 170 * 5
    yield f'<path class="link down" stroke="{_UNKNOWN}" d="M{x} {height - 18:g}h24"/>'
    yield f'<text class="legend" x="{x + 30}" y="{height - 14:g}">down or disabled</text>'
