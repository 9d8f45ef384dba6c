# SPDX-License-Identifier: Apache-2.0
"""Demands in a file of their own: YAML, JSON, CSV, or those of another topology file."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import msgspec

from vneter_sdn.graph.atlas.atlas import Atlas, Demand
from vneter_sdn.graph.atlas.build import LARGEST, Fault, refused
from vneter_sdn.graph.atlas.form import whole_demand
from vneter_sdn.graph.atlas.reading import atlas_from, content, the_one
from vneter_sdn.model.documents import Document, read_bytes

_ROW = re.compile(r"[^\s\[{#<-][^\[\]{}\n]*?([,;\t])[^\[\]{}\n]*?\1[^\n]*")
"""A line of CSV, and no YAML."""
_HEADS = {
    "source": ("from", "source", "src", "origin"),
    "target": ("to", "target", "dst", "destination"),
    "mbps": ("mbps", "demand", "demand_mbps", "value", "traffic", "bw"),
}
"""What columns are called."""

_Row = tuple[str | int, str | int, float]


class _Synonyms(msgspec.Struct, forbid_unknown_fields=True):
    source: str | int
    target: str | int
    mbps: float


class _Short(msgspec.Struct, forbid_unknown_fields=True):
    source: str | int = msgspec.field(name="from")
    target: str | int = msgspec.field(name="to")
    mbps: float


def read_demands(path: Path, atlas: Atlas) -> tuple[Demand, ...]:
    """Demands of a file for the nodes of an atlas, which may be named in any way `find` knows.

    The file is a list of triples or mappings, or a mapping with ``demands``, in YAML or JSON; or
    CSV, of which a first line may name the columns; or SNDlib's XML. A topology file will do.

    Raises:
        IntentError: it cannot be read, is not in that form, or a node is ambiguous.
        NotFound: a node is not in the atlas.
    """
    data, source = content(path), str(path)
    start = data.lstrip(b"\xef\xbb\xbf \t\r\n")
    if start[:1] == b"<":
        other = atlas_from(data, source)
        told = [Demand(other.label(d.source), other.label(d.target), d.mbps) for d in other.demands]
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
    found = {text: atlas.find(text) for text in called}
    return tuple(Demand(found[one.source], found[one.target], one.mbps) for one in told)


def _from_document(document: Document) -> list[Demand]:
    listed = document.value
    if isinstance(listed, dict):
        listed = listed.get("demands", listed)
    for form in (_Short, _Synonyms):
        try:
            rows = msgspec.convert(listed, tuple[_Row | form, ...])  # type: ignore[valid-type]
        except msgspec.ValidationError as error:
            last = error
            continue
        return [_demand(row) for row in rows]
    message = f"no list of [from, to, mbps]: {last}"
    raise refused(document, [("", "InvalidValue", message)])


def _demand(row: _Row | _Short | _Synonyms) -> Demand:
    if not isinstance(row, tuple):
        row = (row.source, row.target, row.mbps)
    return whole_demand((str(row[0]), str(row[1]), row[2]))


def _is_csv(start: bytes, source: str) -> bool:
    if source.lower().endswith((".csv", ".tsv")):
        return True
    first = start.split(b"\n", 1)[0].decode("utf-8", "replace").rstrip("\r")
    return not source.endswith((".json", ".yaml", ".yml")) and bool(_ROW.fullmatch(first))


def _from_csv(data: bytes, source: str) -> list[Demand]:
    """Rows of ``from,to,mbps``; columns in any order when the first line names them."""
    text = data.decode("utf-8-sig", "replace")
    first = text.lstrip().partition("\n")[0]
    mark = max(",;\t", key=first.count)
    rows = csv.reader(text.splitlines(), delimiter=mark, strict=True)
    columns = (0, 1, 2)
    told: list[Demand] = []
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
            told.append(Demand(one, other, float(mbps)))
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
        for heads in _HEADS.values()
    ]
    return (found[0], found[1], found[2]) if min(found) >= 0 else None
