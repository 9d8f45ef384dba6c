# SPDX-License-Identifier: Apache-2.0
"""``vneterctl get --watch``: what there is, then a line for each change."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from vneter_sdn.cli import rendering
from vneter_sdn.cli.getting import Asked
from vneter_sdn.cli.output import Form, ordered, streamed
from vneter_sdn.cli.patience import patience
from vneter_sdn.cli.targets import key_named
from vneter_sdn.cli.terminal import Layout, layout, paint, plain, terminal_width
from vneter_sdn.client.client import Client
from vneter_sdn.client.results import Change, Manifest
from vneter_sdn.errors import VneterError
from vneter_sdn.model.kinds import Kind

_COLOURS = {"added": "green", "modified": "yellow", "deleted": "red"}
Show = Callable[[Change], None]


def watch(client: Client, asked: Asked, how: Form) -> None:
    """Print objects, then every change of them, until interrupted.

    Raises:
        Usage: the format tells of a list as a whole only.
        VneterError: the server refuses, or is gone for a minute.
    """
    kind = asked.found()
    fields = _fields(kind, asked)
    tenant = asked.tenant or (key_named(kind, asked.name).tenant if "/" in asked.name else "")
    with patience(f"reading {kind.plural}"):
        pages = list(client.pages(kind.name, tenant or None, asked.selector or None, fields))
    items = [item for page in pages for item in page.items]
    show = _show(kind, items, how)
    for item in ordered(items, how.sort_by):
        show(Change("added", dict(item)))
    sys.stdout.flush()
    changes = client.watch(
        (kind.name,),
        tenant or None,
        asked.selector or None,
        fields,
        since=pages[0].position,
        trouble=trouble,
    )
    for change in changes:
        show(change)
        sys.stdout.flush()


def trouble(error: VneterError) -> None:
    """Say that the server is gone, to people."""
    print(paint("note:", "yellow", sys.stderr), f"{error}; trying again", file=sys.stderr)


def _fields(kind: Kind, asked: Asked) -> str:
    """What is asked of fields; of the one object that is named, its name."""
    if not asked.name:
        return asked.fields
    return f"metadata.name={key_named(kind, asked.name, asked.tenant).name}"


def _show(kind: Kind, items: Sequence[Manifest], how: Form) -> Show:
    if how.name == "json":
        return lambda change: print(streamed({"type": change.sort, "object": change.manifest}, how))
    if how.name == "name":
        return lambda change: print(f"{kind.name.lower()}/{rendering.path_of(change.manifest)}")
    if not how.for_people:
        return lambda change: print(streamed(change.manifest, how))
    return _rows(kind, items, how)


def _rows(kind: Kind, items: Sequence[Manifest], how: Form) -> Show:
    """As rows of a table whose columns are as wide as what was there to begin with."""
    wide = how.name == "wide"
    heading = ["CHANGE", *rendering.heading(kind, wide=wide)]
    rows = [["modified", *rendering.row(kind, item, wide=wide)] for item in items]
    made = layout([heading, *rows], terminal_width())
    if how.headers:
        print(_line(heading, made))

    def show(change: Change) -> None:
        row = rendering.row(kind, change.manifest, wide=wide)
        line = _line([change.sort, *row], made)
        print(paint(line, _COLOURS[change.sort]) if change.sort == "deleted" else line)

    return show


def _line(row: Sequence[str], made: Layout) -> str:
    return made.line([plain(cell) for cell in row], cut=terminal_width() > 0)
