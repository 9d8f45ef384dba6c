# SPDX-License-Identifier: Apache-2.0
"""Topology files of every form, told apart by what is in them."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from vneter_sdn.errors import IntentError, Problem
from vneter_sdn.graph.atlas import gml, native, sndlib, tables
from vneter_sdn.graph.atlas.atlas import Atlas
from vneter_sdn.graph.atlas.build import build, refused
from vneter_sdn.graph.atlas.exchange import topology_of
from vneter_sdn.graph.atlas.form import Sheet
from vneter_sdn.graph.atlas.writing import atlas_of
from vneter_sdn.model import jsontext
from vneter_sdn.model.documents import Document, read_bytes

_GML = re.compile(rb"^\s*graph\s*\[", re.MULTILINE)


def read_atlas(path: Path) -> Atlas:
    """The topology in a file: our YAML, or GML, JSON, XML or text as `atlas_from` says.

    Raises:
        IntentError: it cannot be read, or is not in its form; each fault with its place.
    """
    return atlas_from(content(path), str(path))


def atlas_from(data: bytes, source: str) -> Atlas:
    """The topology in the octets of a file.

    JSON is our own form, a table of nodes and links as SNDlib's networks are passed around, or what
    ``GET /v1/topology`` answers. XML and text in parentheses are SNDlib's own. GML is what Topology
    Zoo publishes.

    Args:
        data: at most `jsontext.MAX_BYTES`.
        source: name of the file; its ending counts only where the content leaves a doubt.

    Raises:
        IntentError: it is not in its form; each fault with its place.
    """
    if len(data) > jsontext.MAX_BYTES:
        message = f"larger than {jsontext.MAX_BYTES} bytes: a topology is read whole"
        raise IntentError(Problem(source, "", "TooLarge", message))
    start = data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if start == b"<":
        return _foreign(*sndlib.read(data, source))
    if native.is_native(data):
        return _foreign(*native.read(data, source))
    if source.endswith(".gml") or (start not in {b"{", b"["} and _GML.search(data)):
        return _foreign(*gml.read(data, source))
    if start == b"{" and not source.endswith((".yaml", ".yml")):
        return _from_json(jsontext.parse(data, source), source)
    document = the_one(read_bytes(data, source), source)
    return build(_sheet(document), document)


def content(path: Path) -> bytes:
    """The octets of a file, one more than `jsontext.MAX_BYTES` at most.

    Raises:
        IntentError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(jsontext.MAX_BYTES + 1)
    except OSError as error:
        message = f"cannot be read: {error.strerror}"
        raise IntentError(Problem(str(path), "", "Unreadable", message)) from None


def the_one(documents: list[Document], source: str) -> Document:
    """The only document of a file; an empty one where it holds none.

    Raises:
        IntentError: it holds several.
    """
    if len(documents) > 1:
        message = f"holds {len(documents)} documents: one file is one topology"
        raise IntentError(Problem(source, "", "InvalidValue", message))
    return documents[0] if documents else Document(None, source, 1)


def _from_json(value: Any, source: str) -> Atlas:
    document = Document(value, source, 1)
    if "vertices" in value and "edges" in value:
        return atlas_of(topology_of(value, source))
    if isinstance(value.get("nodes"), list):
        return _foreign(*tables.read(document))
    return build(_sheet(document), document)


def _foreign(sheet: Sheet, document: Document, warnings: list[str]) -> Atlas:
    return replace(build(sheet, document, warnings), foreign=True)


def _sheet(document: Document) -> Sheet:
    try:
        return msgspec.convert(document.value, Sheet)
    except msgspec.ValidationError as error:
        said, _, path = str(error).partition(" - at `$")
        path = path.rstrip("`").lstrip(".").replace("[...]", "")
        raise refused(document, [(path, "InvalidValue", said)]) from None
