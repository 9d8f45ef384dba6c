# SPDX-License-Identifier: Apache-2.0
"""Demands in a file of their own: YAML, JSON, CSV, or those of another topology file."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from vneter_sdn.graph.atlas.atlas import Atlas, Demand
from vneter_sdn.graph.atlas.build import LARGEST, Fault, refused
from vneter_sdn.graph.atlas.native import is_native
from vneter_sdn.graph.atlas.reading import atlas_from, content, the_one
from vneter_sdn.graph.atlas.tables import MEANING, cell, small
from vneter_sdn.model.documents import Document, read_bytes

_ROW = re.compile(r"[^\s\[{#<-][^\[\]{}\n]*?([,;\t])[^\[\]{}\n]*?\1[^\n]*")
"""A line of CSV, and no YAML."""
_Name = str | int


class _Told(NamedTuple):
    """A demand whose ends are called as the file calls them; a number is an id."""

    source: _Name
    target: _Name
    mbps: float


def read_demands(path: Path, atlas: Atlas) -> tuple[Demand, ...]:
    """Demands of a file for the nodes of an atlas, which may be named in any way `find` knows.

    The file is a list of triples or mappings, or a mapping with ``demands``, in YAML or JSON; or
    CSV, of which a first line may name the columns; or SNDlib's own. A topology file will do.

    Raises:
        IntentError: it cannot be read, is not in that form, or a node is ambiguous.
        NotFound: a node is not in the atlas.
    """
    data, source = content(path), str(path)
    start = data.lstrip(b"\xef\xbb\xbf \t\r\n")
    if start[:1] == b"<" or is_native(data):
        other = atlas_from(data, source)
        told = [_Told(other.label(d.source), other.label(d.target), d.mbps) for d in other.demands]
    elif _is_csv(start, source):
        told = _from_csv(data, source)
    else:
        told = _from_document(the_one(read_bytes(data, source), source))
    faults = [
        (f"demands[{index}]", "InvalidValue", f"{one.mbps:g} Mbit/s is not 0 to {LARGEST:g}")
        for index, one in enumerate(told)
        if not 0 <= one.mbps <= LARGEST
    ]
    if faults:
        raise refused(Document(None, source, 1), faults)
    called = dict.fromkeys(end for one in told for end in (one.source, one.target))
    found = {name: _found(atlas, name) for name in called}
    return tuple(Demand(found[one.source], found[one.target], one.mbps) for one in told)


def _found(atlas: Atlas, name: _Name) -> str:
    """A node; in files that are not ours a number is its id before it is its name."""
    if isinstance(name, int) and atlas.foreign:
        identified = [one for one, node in atlas.nodes.items() if node.id == str(name)]
        if len(identified) == 1:
            return identified[0]
    return atlas.find(str(name))


def _from_document(document: Document) -> list[_Told]:
    listed, inside = document.value, ""
    if isinstance(listed, dict):
        listed, inside = listed.get("demands"), "demands"
    if not isinstance(listed, list):
        message = "no list of [from, to, mbps], neither by itself nor as `demands`"
        raise refused(document, [("", "InvalidValue", message)])
    told, faults = [], []
    for place, row in enumerate(listed):
        try:
            told.append(msgspec.convert(_triple(row), _Told))
        except msgspec.ValidationError as error:
            wrong = str(error).partition(" - at")[0]
            message = f"{str(row)[:60]} is no [from, to, mbps] and no {{from, to, mbps}}: {wrong}"
            faults.append((f"{inside}[{place}]", "InvalidValue", message))
    if faults:
        raise refused(document, faults)
    return told


def _triple(row: Any) -> Any:
    """A row, in the order of its meaning where its columns have names."""
    if not isinstance(row, dict):
        return row
    columns = small(row)
    return [cell(columns, meaning) for meaning in ("source", "target", "mbps")]


def _is_csv(start: bytes, source: str) -> bool:
    if source.lower().endswith((".csv", ".tsv")):
        return True
    first = start.split(b"\n", 1)[0].decode("utf-8", "replace").rstrip("\r")
    return not source.endswith((".json", ".yaml", ".yml")) and bool(_ROW.fullmatch(first))


def _from_csv(data: bytes, source: str) -> list[_Told]:
    """Rows of ``from,to,mbps``; columns in any order when the first line names them."""
    text = data.decode("utf-8-sig", "replace")
    first = text.lstrip().partition("\n")[0]
    mark = max(",;\t", key=first.count)
    rows = csv.reader(text.splitlines(), delimiter=mark, strict=True)
    columns = (0, 1, 2)
    told: list[_Told] = []
    try:
        for row in rows:
            cells = [cell.strip() for cell in row]
            if not any(cells) or cells[0].startswith("#"):
                continue
            heads = _columns(cells) if not told else None
            if heads is not None:
                columns = heads
                continue
            one, other, mbps = (cells[place] for place in columns)
            told.append(_Told(one, other, float(mbps)))
    except (csv.Error, ValueError, IndexError) as error:
        fault: Fault = ("", "InvalidValue", f"no row of from,to,mbps: {error}")
        document = Document(None, source, 1, {"": rows.line_num})
        raise refused(document, [fault]) from None
    return told


def _columns(cells: list[str]) -> tuple[int, int, int] | None:
    """Where the columns are, if this row names them."""
    said = [cell.lower() for cell in cells]
    found = [
        next((place for place, head in enumerate(said) if head in heads), -1)
        for heads in (MEANING[meaning] for meaning in ("source", "target", "mbps"))
    ]
    return (found[0], found[1], found[2]) if min(found) >= 0 else None
