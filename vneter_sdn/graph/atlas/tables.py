# SPDX-License-Identifier: Apache-2.0
"""Networks as JSON tables: nodes, rows of links under named columns, and demands.

::

    {"nodes": [["A", lon, lat], …], "link_fields": ["src", "dst", "weight", "bw", "delay"],
     "links": [[0, 1, 1, 9920, 661], …], "demands": [[0, 1, 3580], …]}

Columns may come in any order and lack, rows may be objects, nodes may be names alone, and a node is
referred to by its index or its name; by its ``id`` where nodes have one, as in the node-link form
of networkx. Links go one way, unless ``directed`` is false; a network that does not say and has
none in the opposite direction is taken to list each once for both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vneter_sdn.errors import IntentError
from vneter_sdn.graph.atlas.build import Fault, refused
from vneter_sdn.graph.atlas.form import Demand, Link, Node, Sheet
from vneter_sdn.graph.atlas.gathering import Place, delay, names_of, on_earth, whole
from vneter_sdn.model.documents import Document

MEANING = {
    "source": ("src", "source", "from", "a", "origin"),
    "target": ("dst", "target", "to", "b", "dest", "destination"),
    "cost": ("weight", "cost", "metric"),
    "capacity": ("bw", "capacity", "bandwidth"),
    "bits": ("linkspeedraw",),
    "microseconds": ("delay", "delay_us", "latency_us"),
    "milliseconds": ("latency", "delay_ms", "latency_ms"),
    "mbps": ("value", "demand", "traffic", "bw", "mbps", "demand_mbps"),
    "name": ("name", "label", "id"),
    "id": ("id",),
    "x": ("lon", "longitude", "x"),
    "y": ("lat", "latitude", "y"),
}
"""What columns may be called, in small letters, by what they mean; the first there counts."""
_LINK_FIELDS = ("src", "dst", "weight", "bw", "delay")
_DEMAND_FIELDS = ("src", "dst", "value")
_NODE_FIELDS = ("name", "lon", "lat")


def read(document: Document) -> tuple[Sheet, Document, list[str]]:
    """What such a file says, where, and what is odd about it. O(size).

    Capacity and demands are in Mbit/s, ``delay`` in microseconds; where it lacks and both ends have
    a place on the earth, it is that of the great circle.

    Raises:
        IntentError: a list, a row or a reference is wrong; names it.
    """
    value = document.value
    warnings: list[str] = []
    rows = _rows(document, "nodes", _NODE_FIELDS)
    labels = {str(index): _text(cell(row, "name")) for index, row in enumerate(rows)}
    names = names_of(labels)
    places = {index: _place(row) for index, row in zip(labels, rows, strict=True)}
    earth = all(on_earth(*place) for place in places.values() if place)
    ids = {index: _text(cell(row, "id")) for index, row in zip(labels, rows, strict=True)}
    known = _Names(document, labels, ids)
    links = [
        Link(**{**_fields(link), "ends": tuple(names[end] for end in link.ends)})
        for link in _links(document, known, places if earth else {}, warnings)
    ]
    if _both_ways(document, links, warnings):
        links = [Link(**{**_fields(link), "one_way": False}) for link in links]
    nodes = {
        names[index]: Node(label=labels[index], id=ids[index] or index, at=places[index])
        for index in labels
    }
    sheet = Sheet(
        name=str(value.get("name") or ""),
        description=str(value.get("source") or value.get("description") or ""),
        switches=tuple(names.values()),
        nodes=nodes,
        links=tuple(links),
        demands=tuple(
            Demand(names[one], names[other], mbps) for one, other, mbps in _demands(document, known)
        ),
    )
    return sheet, document, warnings


def _both_ways(document: Document, links: Sequence[Link], warnings: list[str]) -> bool:
    """Whether each link goes both ways though it is listed once."""
    directed = document.value.get("directed")
    if isinstance(directed, bool):
        return not directed
    there = {link.ends for link in links if link.ends[0] != link.ends[1]}
    if not there or there & {(other, one) for one, other in there}:
        return False
    warnings.append("no link has one in the opposite direction: each is taken to go both ways")
    return True


class _Names:
    """Finds the index of a node by what a row calls it: id, name or index."""

    def __init__(
        self, document: Document, labels: Mapping[str, str], ids: Mapping[str, str]
    ) -> None:
        self._document = document
        self._labels = _by_name(labels)
        self._ids = _by_name(ids)
        self._known = labels.keys()
        self._places = not all(one.isdecimal() for one in ids.values())

    def index(self, said: Any, path: str) -> str:
        if isinstance(said, float) and said.is_integer():
            said = int(said)
        if isinstance(said, int | str) and not isinstance(said, bool):
            for known in (self._ids, self._labels if isinstance(said, str) else {}):
                found = known.get(str(said), ())
                if len(found) > 1:
                    message = f"{said!r} is the name of several nodes: refer to them by index"
                    raise refused(self._document, [(path, "Ambiguous", message)])
                if found:
                    return found[0]
            if self._places and str(said) in self._known:
                return str(said)
        message = f"{said!r} is no index and no name of one of the {len(self._known)} nodes"
        raise refused(self._document, [(path, "UnknownNode", message)])


def _by_name(called: Mapping[str, str]) -> dict[str, list[str]]:
    """Indices by what they are called."""
    found: dict[str, list[str]] = {}
    for index, name in called.items():
        if name:
            found.setdefault(name, []).append(index)
    return found


Row = Mapping[str, Any]


def _rows(document: Document, what: str, fields: Sequence[str]) -> list[Row]:
    """Rows of a table as mappings from column to value."""
    listed = document.value.get(what)
    if what == "links" and listed is None:
        listed = document.value.get("edges")
    columns = document.value.get(f"{what.rstrip('s')}_fields", list(fields))
    if not isinstance(columns, list) or not all(isinstance(one, str) for one in columns):
        path = f"{what.rstrip('s')}_fields"
        raise refused(document, [(path, "InvalidValue", "a list of names of columns is wanted")])
    if not isinstance(listed, list):
        if listed is None and what == "demands":
            return []
        raise refused(document, [(what, "InvalidValue", "a list of rows is wanted")])
    rows: list[Row] = []
    faults: list[Fault] = []
    for index, row in enumerate(listed):
        if isinstance(row, Mapping):
            rows.append(small(row))
        elif isinstance(row, list):
            rows.append(dict(zip((one.lower() for one in columns), row, strict=False)))
        elif what == "nodes" and isinstance(row, str | int):
            rows.append({"name": str(row)})
        else:
            faults.append((f"{what}[{index}]", "InvalidValue", f"{row!r} is no row"))
    if faults:
        raise refused(document, faults)
    return rows


def small(row: Mapping[Any, Any]) -> Row:
    """A row whose columns are in small letters."""
    return {str(key).lower(): value for key, value in row.items()}


def cell(row: Row, meaning: str) -> Any:
    """What a row says under any of the names of a column; None when it does not."""
    return next((row[name] for name in MEANING[meaning] if row.get(name) is not None), None)


def _text(value: Any) -> str:
    """A name or an id as text."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value) if isinstance(value, str | int | float) else ""


def _place(row: Row) -> Place | None:
    x, y = cell(row, "x"), cell(row, "y")
    if isinstance(x, int | float) and isinstance(y, int | float):
        return float(x), float(y)
    return None


def _links(
    document: Document,
    known: _Names,
    places: Mapping[str, Place | None],
    warnings: list[str],
) -> Iterator[Link]:
    """Links between indices."""
    free = False
    for number, row in enumerate(_rows(document, "links", _LINK_FIELDS)):
        path = f"links[{number}]"
        one = known.index(cell(row, "source"), path)
        other = known.index(cell(row, "target"), path)
        cost = _number(document, row, "cost", path)
        free = free or cost == 0
        bits = _number(document, row, "bits", path)
        micro = _number(document, row, "microseconds", path)
        latency = _number(document, row, "milliseconds", path) if micro is None else micro / 1000
        if latency is None:
            latency = delay(places.get(one), places.get(other))
        yield Link(
            ends=(one, other),
            capacity=_number(document, row, "capacity", path) if bits is None else bits / 1e6,
            latency=latency,
            cost=whole(1.0 if cost is None else cost),
            one_way=True,
        )
    if free:
        warnings.append("weights of 0 count as 1: every link costs something")


def _demands(document: Document, known: _Names) -> Iterator[tuple[str, str, float]]:
    for number, row in enumerate(_rows(document, "demands", _DEMAND_FIELDS)):
        path = f"demands[{number}]"
        mbps = _number(document, row, "mbps", path)
        if mbps is None:
            raise refused(document, [(path, "InvalidValue", "it does not say how much")])
        one = known.index(cell(row, "source"), path)
        yield one, known.index(cell(row, "target"), path), mbps


def _number(document: Document, row: Row, meaning: str, path: str) -> float | None:
    value = cell(row, meaning)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _no_number(document, path, value)
    try:
        return float(value)
    except OverflowError:
        raise _no_number(document, path, value) from None


def _no_number(document: Document, path: str, value: Any) -> IntentError:
    return refused(document, [(path, "InvalidValue", f"{str(value)[:40]!r} is no number")])


def _fields(link: Link) -> dict[str, Any]:
    return {name: getattr(link, name) for name in link.__struct_fields__}
