# SPDX-License-Identifier: Apache-2.0
"""A topology to look at: as rows of a table and as a DOT graph; `drawing_svg` makes pictures."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from vneter_sdn.graph.atlas import Atlas
from vneter_sdn.graph.topology import Edge

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class Line:
    """What is drawn of a link: both of its edges where they are alike, else one."""

    edge: Edge
    both_ways: bool

    @property
    def arrow(self) -> str:
        """``<->`` or ``->``."""
        return "<->" if self.both_ways else "->"

    @property
    def state(self) -> str:
        """``up``, ``down``, ``disabled`` or ``drained``."""
        if self.edge.disabled:
            return "disabled"
        if not self.edge.up:
            return "down"
        return "drained" if self.edge.drained else "up"


def lines(atlas: Atlas) -> list[Line]:
    """Links in the order of their ends. O(E)."""
    by_name = {edge.name: edge for edge in atlas.topology.edges}
    drawn = []
    for edge in atlas.topology.edges:
        back = by_name.get(edge.reverse)
        if back is None or not _alike(edge, back):
            if not (edge.disabled and back is not None and not back.disabled):
                drawn.append(Line(edge, both_ways=False))
        elif edge.name <= back.name:
            drawn.append(Line(edge, both_ways=True))
    return drawn


def _alike(one: Edge, other: Edge) -> bool:
    """Whether two edges say the same but for the direction."""
    nowhere = {
        "name": "",
        "reverse": "",
        "source": "",
        "target": "",
        "port": "",
        "local_ip": "",
        "remote_ip": "",
    }
    return replace(one, **nowhere) == replace(other, **nowhere)  # type: ignore[arg-type]


def vertex_rows(atlas: Atlas, *, wide: bool = False) -> list[list[str]]:
    """A heading and a row per node: hosts last, each in the order of the file."""
    by_name = {vertex.host: vertex for vertex in atlas.topology.vertices}
    degrees = dict.fromkeys(by_name, 0)
    for edge in atlas.topology.edges:
        degrees[edge.source] += edge.usable
    rows = [["NODE", "KIND", "LINKS", "LABEL", *(["SITE", "REGION", "TAGS"] if wide else [])]]
    for name in (*atlas.switches, *atlas.end_hosts):
        vertex = by_name[name]
        kind = "host" if name in atlas.end_hosts else "switch"
        row = [name, f"{kind}, drained" if vertex.drained else kind, str(degrees[name])]
        label = atlas.label(name)
        row.append(label if label != name else "-")
        if wide:
            row += [vertex.site or "-", vertex.region or "-", ",".join(sorted(vertex.tags)) or "-"]
        rows.append([shown(cell) for cell in row])
    return rows


def edge_rows(atlas: Atlas, *, wide: bool = False) -> list[list[str]]:
    """A heading and a row per link, or per direction where these differ."""
    heading = ["FROM", "", "TO", "COST", "LATENCY", "CAPACITY", "USED", "STATE"]
    more = ["MEDIUM", "LOSS", "PRICE", "MTU", "RESERVED", "TAGS", "RISKS", "EDGE"]
    rows = [heading + (more if wide else [])]
    for line in lines(atlas):
        edge = line.edge
        row = [
            edge.source,
            line.arrow,
            edge.target,
            str(edge.cost),
            latency(edge) or "-",
            capacity(edge) or "-",
            "-" if edge.utilisation is None else f"{edge.utilisation:.0%}",
            line.state,
        ]
        if wide:
            medium = f"{edge.medium} {edge.encapsulation}".strip()
            row += [
                f"{medium}, encrypted" if edge.encrypted else medium,
                f"{edge.loss:.2%}" if edge.loss else "-",
                f"{edge.price:g}" if edge.price else "-",
                str(edge.mtu or "-"),
                rate(edge.reserved) if edge.reserved else "-",
                ",".join(sorted(edge.tags)) or "-",
                ",".join(sorted(edge.risks)) or "-",
                edge.name,
            ]
        rows.append([shown(cell) for cell in row])
    return rows


def latency(edge: Edge) -> str:
    """``4.5 ms``; empty when it is not known."""
    return "" if edge.latency is None else f"{edge.latency:.3g} ms"


def capacity(edge: Edge) -> str:
    """``10 Gbit/s``; empty when it is not known."""
    return "" if edge.capacity is None else rate(edge.capacity)


def rate(mbps: float) -> str:
    """Mbit/s with the unit that makes them short: ``9.92 Gbit/s``."""
    for least, unit in ((1e6, "Tbit/s"), (1e3, "Gbit/s"), (1, "Mbit/s")):
        if mbps >= least:
            return f"{mbps / least:.4g} {unit}"
    return f"{mbps * 1e3:.4g} kbit/s"


def shown(text: str) -> str:
    """Text without what a terminal or an XML reader would take for a command."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text.replace("\n", " ").replace("\t", " "))


def dot(atlas: Atlas) -> str:
    """The topology in Graphviz's language: ``dot -Tsvg``, ``neato -n``."""
    return "\n".join([f"graph {_quoted(atlas.name)} {{", *_statements(atlas), "}"]) + "\n"


def _statements(atlas: Atlas) -> Iterator[str]:
    yield "  graph [overlap=false, splines=true];"
    yield '  node [fontname="sans-serif", shape=box, style=rounded];'
    yield '  edge [fontname="sans-serif", fontsize=10];'
    for vertex in atlas.topology.vertices:
        name = vertex.host
        said = {"label": atlas.label(name)}
        if name in atlas.end_hosts:
            said["shape"] = "plaintext"
        node = atlas.nodes.get(name)
        if node and node.at:
            said["pos"] = f"{node.at[0]:.6g},{node.at[1]:.6g}"
        yield f"  {_quoted(name)} [{_attributes(said)}];"
    for line in lines(atlas):
        edge = line.edge
        said = {"label": ", ".join(filter(None, (capacity(edge), latency(edge))))}
        if not line.both_ways:
            said["dir"] = "forward"
        if line.state != "up":
            said["style"] = "dotted" if line.state == "drained" else "dashed"
        said["tooltip"] = edge.name
        yield f"  {_quoted(edge.source)} -- {_quoted(edge.target)} [{_attributes(said)}];"


def _attributes(said: dict[str, str]) -> str:
    return ", ".join(f"{name}={_quoted(text)}" for name, text in said.items())


def _quoted(text: str) -> str:
    """A DOT string: no backslash or quote of the text means anything."""
    escaped = shown(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
