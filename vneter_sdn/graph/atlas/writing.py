# SPDX-License-Identifier: Apache-2.0
"""An atlas as text in our YAML, and the atlas of a graph that comes from no file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from vneter_sdn.graph.atlas.atlas import Atlas
from vneter_sdn.graph.atlas.build import build
from vneter_sdn.graph.atlas.form import DEFAULT_MTU, Demand, Encapsulation, Link, Node, Sheet
from vneter_sdn.graph.topology import Edge, Topology
from vneter_sdn.model.documents import Document

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[-_.][A-Za-z0-9]+)*")
_WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf"}
_WIDTH = 96


def atlas_text(atlas: Atlas) -> str:
    """An atlas as our YAML; reading it gives the same atlas, without its warnings."""
    lines = [
        f"{name}: {_flow(text)}"
        for name, text in (("name", atlas.name), ("description", atlas.description))
        if text
    ]
    lines += _listed("hosts", atlas.end_hosts) + _listed("switches", atlas.switches)
    if atlas.mtu != DEFAULT_MTU:
        lines.append(f"mtu: {atlas.mtu}")
    if atlas.prefixes:
        lines.append(f"prefixes: {_flow(dict(atlas.prefixes))}")
    if atlas.nodes:
        lines.append("nodes:")
        for name, node in atlas.nodes.items():
            lines.append(f"  {_flow(name)}: {_flow(msgspec.to_builtins(node))}")
    for name, rows in (("links", atlas.links), ("demands", atlas.demands)):
        lines += [f"{name}:"] if rows else []
        lines += [f"  - {_flow(_short(row))}" for row in rows]
    return "\n".join(lines) + "\n"


def atlas_of(topology: Topology, name: str = "live") -> Atlas:
    """The atlas of a graph: what is measured becomes what is declared. O(V + E).

    Edges that do not work are disabled. Utilisation and reservations are left out.
    """
    if not topology.vertices:
        return Atlas(name, topology)
    ordered = sorted(topology.vertices, key=lambda vertex: vertex.bridge)
    nodes = {
        vertex.host: Node(
            site=vertex.site,
            region=vertex.region,
            tags=tuple(sorted(vertex.tags)),
            drained=vertex.drained,
        )
        for vertex in ordered
    }
    sheet = Sheet(name=name, switches=tuple(nodes), nodes=nodes, links=tuple(_links(topology)))
    return build(sheet, Document(None, name, 1))


def _links(topology: Topology) -> Iterator[Link]:
    by_name = {edge.name: edge for edge in topology.edges}
    for edge in topology.edges:
        forth = _link(edge)
        back = by_name.get(edge.reverse)
        if back is not None and _turned(_link(back)) == forth:
            if edge.name <= back.name:
                yield forth
        else:
            yield replace(forth, one_way=True)


def _turned(link: Link) -> Link:
    ports = (link.ports[1], link.ports[0]) if link.ports else None
    return replace(link, ends=(link.ends[1], link.ends[0]), ports=ports)


def _link(edge: Edge) -> Link:
    here, _, there = edge.name.partition(">")
    ports = (here.partition(":")[2], there.partition(":")[2])
    wire = edge.medium == "wire"
    return Link(
        ends=(edge.source, edge.target),
        ports=ports if all(ports) else None,
        medium="wire" if wire else "tunnel",
        capacity=edge.capacity,
        latency=edge.latency,
        loss=edge.loss,
        cost=edge.cost,
        price=edge.price,
        mtu=edge.mtu,
        encrypted=edge.encrypted,
        encapsulation=msgspec.convert("" if wire else edge.encapsulation, Encapsulation),
        tags=tuple(sorted(edge.tags)),
        risks=tuple(sorted(edge.risks)),
        disabled=not edge.usable,
        drained=edge.drained,
    )


def _listed(name: str, items: tuple[str, ...]) -> list[str]:
    """A list of words, on as many lines as they need."""
    lines, line = [], f"{name}: ["
    for index, item in enumerate(items):
        word = _flow(item) + ("]" if index == len(items) - 1 else ",")
        if len(line) + len(word) > _WIDTH:
            lines.append(line.rstrip())
            line = "  "
        line += f"{word} "
    return [*lines, line.rstrip()] if items else []


def _short(row: Link | Demand) -> Any:
    if isinstance(row, Demand):
        return [row.source, row.target, row.mbps]
    said: Any = msgspec.to_builtins(row)
    return said["ends"] if len(said) == 1 else said


def _flow(value: Any) -> str:
    """A value on one line, text quoted wherever any reader of YAML could take it for else."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_flow(k)}: {_flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return _decimal(value)
    if isinstance(value, str):
        plain = _PLAIN.fullmatch(value) and value.lower() not in _WORDS
        return value if plain else f'"{"".join(map(_escaped, value))}"'
    return str(value)


def _escaped(letter: str) -> str:
    """A character between double quotes, as every YAML reads it."""
    if letter in '"\\':
        return f"\\{letter}"
    return letter if letter.isprintable() else f"\\U{ord(letter):08X}"


def _decimal(number: float) -> str:
    """A float that every YAML reads as a number: with a point when it has an exponent."""
    if number.is_integer() and abs(number) < 1e15:
        return str(int(number))
    text = repr(number)
    digits, e, exponent = text.partition("e")
    if not e:
        return text
    digits = digits if "." in digits else f"{digits}.0"
    return f"{digits}e{'' if exponent.startswith('-') else '+'}{exponent.lstrip('+')}"
