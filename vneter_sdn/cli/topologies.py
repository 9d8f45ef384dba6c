# SPDX-License-Identifier: Apache-2.0
"""``vneterctl topology``: the graph as it is, or that of a file, to read, to draw, to convert."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from vneter_sdn.cli.output import Form, form, structured
from vneter_sdn.cli.patience import patience
from vneter_sdn.cli.terminal import columns, paint

if TYPE_CHECKING:
    from vneter_sdn.client import Client
    from vneter_sdn.graph.atlas import Atlas

FORMATS = ("text", "wide", "json", "yaml", "dot", "svg", "jsonpath")


def show(connect: Callable[[], Client], file: str, output: str) -> None:
    """Print a topology in one of `FORMATS`; what is odd about it goes to standard error.

    Args:
        connect: makes a client; not called when there is a file.
        file: a topology file in any form that `graph.atlas` reads; the server's graph when empty.
        output: ``yaml`` writes a topology file, ``json`` what ``GET /v1/topology`` answers.

    Raises:
        Usage: there is no such format.
        IntentError: the file is not acceptable.
    """
    how = form(output, FORMATS)
    atlas = _read(file) if file else live(connect())
    for warning in atlas.warnings if file else ():
        print(paint("warning:", "yellow", sys.stderr), warning, file=sys.stderr)
    sys.stdout.write(rendered(atlas, how))


def live(client: Client) -> Atlas:
    """The server's graph; measured values stay as they are."""
    from vneter_sdn.graph.atlas import atlas_of
    from vneter_sdn.graph.atlas.exchange import topology_of

    with patience("reading the graph"):
        topology = topology_of(client.topology(), "GET /v1/topology")
    return replace(atlas_of(topology), topology=topology)


def rendered(atlas: Atlas, how: Form) -> str:
    """A topology in one of `FORMATS`."""
    from vneter_sdn.graph import drawing
    from vneter_sdn.graph.atlas import atlas_text
    from vneter_sdn.graph.atlas.exchange import topology_document

    if how.name == "yaml":
        return atlas_text(atlas)
    if how.name in {"json", "jsonpath"}:
        return structured(topology_document(atlas.topology), how) + "\n"
    if how.name == "dot":
        return drawing.dot(atlas)
    if how.name == "svg":
        from vneter_sdn.graph.drawing_svg import svg

        return svg(atlas)
    return _text(atlas, wide=how.name == "wide")


def _read(file: str) -> Atlas:
    from vneter_sdn.graph.atlas import atlas_from, read_atlas
    from vneter_sdn.model.jsontext import MAX_BYTES

    if file == "-":
        return atlas_from(sys.stdin.buffer.read(MAX_BYTES + 1), "-")
    return read_atlas(Path(file))


def _text(atlas: Atlas, *, wide: bool) -> str:
    from vneter_sdn.graph import drawing

    edges = drawing.edge_rows(atlas, wide=wide)
    counted = {
        "switches": len(atlas.switches),
        "hosts": len(atlas.end_hosts),
        "links": len(edges) - 1,
        "demands": len(atlas.demands),
    }
    told = [
        paint(drawing.shown(atlas.name), "bold"),
        *([f"  {drawing.shown(atlas.description)}"] if atlas.description else []),
        "  " + ", ".join(f"{count} {what}" for what, count in counted.items()),
        "",
        *columns(drawing.vertex_rows(atlas, wide=wide)),
        "",
        *(columns(edges) if len(edges) > 1 else ["there are no links"]),
    ]
    return "\n".join(told) + "\n"
