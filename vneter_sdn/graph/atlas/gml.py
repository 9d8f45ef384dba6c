# SPDX-License-Identifier: Apache-2.0
"""Topology Zoo's GML (Himsolt's Graph Modelling Language), with the quirks its files have.

Labels that repeat or lack, parallel links without ``multigraph``, links without a speed or with one
in words, nodes without a place, HTML entities, parts without a link between them. The reader is
total: any octets are a topology or an IntentError.

Source: Himsolt, "GML: A portable Graph File Format", 1997; Knight et al., "The Internet Topology
Zoo", IEEE JSAC 29(9), 2011.
"""

from __future__ import annotations

import html
import re
from bisect import bisect_right
from collections.abc import Iterator
from typing import Any

from vneter_sdn.errors import IntentError, Problem
from vneter_sdn.graph.atlas.atlas import slug
from vneter_sdn.graph.atlas.build import refused
from vneter_sdn.graph.atlas.form import Link, Node, Sheet
from vneter_sdn.graph.atlas.gathering import Place, delay, names_of, on_earth, whole
from vneter_sdn.model.documents import Document

_TOKEN = re.compile(r'[ \t\r\n]+|(?m:^[ \t]*)#[^\n]*|"[^"]*("?)|[\[\]]|[^ \t\r\n\[\]"]+')
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,3})?")
_SPEED = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([KMGT])(?:b(?:it)?(?:/s|ps)?)?\b", re.IGNORECASE)
_MBPS = {"K": 1e-3, "M": 1.0, "G": 1e3, "T": 1e6}
_NOBODY = {"", "?", "none", "null", "nan"}
_DEPTH = 32

Entries = list[tuple[str, Any, int]]
"""Keys, values and lines; a value is text, a number or Entries."""


def read(data: bytes, source: str) -> tuple[Sheet, Document, list[str]]:
    """What a GML file says, where, and what is odd about it. O(size).

    Nodes become switches; `Internal` 0 and `hyperedge` 1 become the tags ``external`` and
    ``hyperedge``, the country the region. `LinkSpeedRaw` (bit/s), else `LinkSpeed` with
    `LinkSpeedUnits`, else a `LinkLabel` that is a speed, is the capacity. `capacity` or `bandwidth`
    (Mbit/s), `latency` or `delay` (ms), and `cost` or `weight` are understood as well. Where
    both ends have a place and no delay is said, it is that of the great circle.

    Raises:
        IntentError: it is no GML, an id is missing or doubled, or a link leads nowhere.
    """
    warnings: list[str] = []
    graph = _graph(_parsed(_decoded(data, warnings, source), source), source)
    lines = {"": 1}
    document = Document(None, source, 1, lines)
    nodes: dict[str, dict[str, Any]] = {}
    for key, value, line in graph:
        if key == "node" and isinstance(value, list):
            fields = {name: one for name, one, _ in value}
            if "id" not in fields:
                raise _malformed(source, line, "this node has no id")
            number = _text(fields["id"])
            if number in nodes:
                raise _malformed(source, line, f"a second node has the id {number}")
            nodes[number] = fields
    labels = {number: _label(fields) for number, fields in nodes.items()}
    names = names_of(labels)
    said = {}
    for number, fields in nodes.items():
        said[names[number]] = _node(number, labels[number], fields)
    links = tuple(_links(graph, nodes, names, document))
    about = {key: value for key, value, _ in graph if not isinstance(value, list)}
    title = _text(about.get("label") or about.get("Network") or "")
    sheet = Sheet(
        name=title, description=_description(about), switches=tuple(said), nodes=said, links=links
    )
    return sheet, document, warnings


def _decoded(data: bytes, warnings: list[str], source: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        warnings.append(f"{source} is not UTF-8; it was read as ISO 8859-1, as GML says")
        return data.decode("latin-1")


def _parsed(text: str, source: str) -> Entries:
    ends = [match.start() for match in re.finditer("\n", text)]
    root: Entries = []
    open_: list[Entries] = [root]
    key: str | None = None
    for word, start in _tokens(text):
        line = bisect_right(ends, start) + 1
        if word == "]":
            if key is not None or len(open_) == 1:
                raise _malformed(source, line, "']' without a value or without its '['")
            open_.pop()
        elif key is None:
            if word == "[" or word.startswith('"'):
                raise _malformed(source, line, f"a key is wanted before {word[:40]!r}")
            key = word
        elif word == "[":
            if len(open_) >= _DEPTH:
                raise _malformed(source, line, f"nested deeper than {_DEPTH} levels")
            below: Entries = []
            open_[-1].append((key, below, line))
            open_.append(below)
            key = None
        else:
            if word.startswith('"') and (len(word) == 1 or not word.endswith('"')):
                raise _malformed(source, line, "this text has no closing quote")
            open_[-1].append((key, _value(word), line))
            key = None
    if key is not None or len(open_) > 1:
        raise _malformed(source, len(ends) + 1, "the file ends too early: a ']' or value lacks")
    return root


def _tokens(text: str) -> Iterator[tuple[str, int]]:
    for match in _TOKEN.finditer(text):
        token = match.group()
        if not token.isspace() and not token.lstrip().startswith("#"):
            yield token, match.start()


def _value(token: str) -> Any:
    if token.startswith('"'):
        return html.unescape(token[1:-1])
    if _NUMBER.fullmatch(token):
        number = float(token)
        return int(token) if token.lstrip("+-").isdigit() and len(token) < 300 else number
    return token


def _graph(root: Entries, source: str) -> Entries:
    found = [value for key, value, _ in root if key == "graph" and isinstance(value, list)]
    if len(found) != 1:
        raise _malformed(source, 1, f"one `graph [ … ]` is wanted, {len(found)} are there")
    graph: Entries = found[0]
    return graph


def _label(fields: dict[str, Any]) -> str:
    label = _text(fields.get("label", "")).strip()
    return "" if label.lower() in _NOBODY else label


def _node(number: str, label: str, fields: dict[str, Any]) -> Node:
    tags = ["external"] if fields.get("Internal") == 0 else []
    tags += ["hyperedge"] if fields.get("hyperedge") else []
    country = slug(_text(fields.get("Country", "")))
    return Node(
        label=label,
        id=number,
        at=_place(fields) or _plane(fields),
        region="" if country in _NOBODY else country,
        tags=tuple(tags),
    )


def _place(fields: dict[str, Any]) -> Place | None:
    east, north = fields.get("Longitude"), fields.get("Latitude")
    if isinstance(east, int | float) and isinstance(north, int | float) and on_earth(east, north):
        return float(east), float(north)
    return None


def _plane(fields: dict[str, Any]) -> Place | None:
    drawn = fields.get("graphics")
    inner = {key: value for key, value, _ in drawn} if isinstance(drawn, list) else fields
    x, y = inner.get("x"), inner.get("y")
    if isinstance(x, int | float) and isinstance(y, int | float):
        return float(x), -float(y)  # drawings count downward
    return None


def _links(
    graph: Entries, nodes: dict[str, dict[str, Any]], names: dict[str, str], document: Document
) -> Iterator[Link]:
    directed = any(key == "directed" and value == 1 for key, value, _ in graph)
    count = 0
    for key, value, line in graph:
        if key != "edge" or not isinstance(value, list):
            continue
        fields = {name: one for name, one, _ in value}
        document.lines[f"links[{count}]"] = line
        ends = []
        for end in ("source", "target"):
            number = _text(fields.get(end, ""))
            if number not in names:
                what = f"its {end} is {number}, which no node has as its id"
                message = what if number else f"this edge has no {end}"
                raise refused(document, [(f"links[{count}]", "UnknownNode", message)])
            ends.append(number)
        one, other = ends
        said = _number(fields, "latency", "delay")
        far = delay(_place(nodes[one]), _place(nodes[other]))
        yield Link(
            ends=(names[one], names[other]),
            capacity=_capacity(fields),
            latency=far if said is None else said,
            cost=_cost(fields),
            one_way=directed,
        )
        count += 1


def _capacity(fields: dict[str, Any]) -> float | None:
    raw = _number(fields, "LinkSpeedRaw")
    if raw is not None:
        return raw / 1e6
    said = _number(fields, "capacity", "bandwidth")
    if said is not None:
        return said
    units = _text(fields.get("LinkSpeedUnits", ""))
    for text in (f"{_text(fields.get('LinkSpeed', ''))} {units}", fields.get("LinkLabel", "")):
        match = _SPEED.fullmatch(_text(text).strip())
        if match:
            return float(match[1]) * _MBPS[match[2].upper()]
    return None


def _cost(fields: dict[str, Any]) -> float:
    said = _number(fields, "cost", "weight")
    return whole(1.0 if said is None else said)


def _number(fields: dict[str, Any], *names: str) -> float | None:
    for name in names:
        value = fields.get(name)
        if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
            value = float(value)
        if isinstance(value, int | float):
            return min(max(float(value), -1e300), 1e300)
    return None


def _text(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return "" if isinstance(value, list) else str(value)


def _description(about: dict[str, Any]) -> str:
    parts = (about.get(key) for key in ("Network", "GeoLocation", "NetworkDate", "Source"))
    return ", ".join(_text(part) for part in parts if part)


def _malformed(source: str, line: int, message: str) -> IntentError:
    return IntentError(Problem(f"{source}:{line}", "", "MalformedGml", message))
