# SPDX-License-Identifier: Apache-2.0
"""``vneterctl kinds`` and ``vneterctl explain``: the schema, for reading."""

from __future__ import annotations

import textwrap
from inspect import cleandoc

from vneter_sdn.cli.output import Form, structured
from vneter_sdn.cli.targets import kind_named, known_kinds
from vneter_sdn.cli.terminal import Usage, columns, paint
from vneter_sdn.northbound.fields import FieldRow, field_rows


def kinds(how: Form) -> None:
    """Print every kind."""
    items = [
        {
            "kind": kind.name,
            "plural": kind.plural,
            "short": list(kind.short),
            "tenanted": kind.tenanted,
            "meaning": (kind.spec.__doc__ or "").split("\n")[0],
        }
        for kind in known_kinds()
    ]
    if not how.for_people:
        print(structured({"items": items}, how))
        return
    rows = [["KIND", "PLURAL", "SHORT", "TENANT", "MEANING"]]
    for one in items:
        belongs = "yes" if one["tenanted"] else "no"
        short = ",".join(one["short"])
        rows.append([one["kind"], one["plural"], short, belongs, one["meaning"]])
    print("\n".join(columns(rows)[0 if how.headers else 1 :]))


def explain(subject: str) -> None:
    """Print what a kind, or one field of it, means: ``network``, ``network.spec.vni``.

    Raises:
        Usage: there is no such kind or field.
    """
    word, _, path = subject.partition(".")
    kind = kind_named(word)
    rows = field_rows(kind)
    if path:
        rows = _chosen(rows, path, kind.name)
    else:
        print(paint(kind.name, "bold"))
        print(f"{textwrap.indent(cleandoc(kind.spec.__doc__ or ''), '  ')}\n")
    for row in rows:
        print("\n".join(_lines(row)))


def _chosen(rows: list[FieldRow], path: str, kind: str) -> list[FieldRow]:
    for candidate in (path, f"spec.{path}"):
        found = [
            row for row in rows if row.path == candidate or row.path.startswith(candidate + ".")
        ]
        if found:
            return found
    names = ", ".join(row.path for row in rows)
    raise Usage(f"a {kind} has no field {path!r}", f"it has {names}")


def _lines(row: FieldRow) -> list[str]:
    default = {"required": ", required", "": ""}.get(row.default, f", default {row.default}")
    text = textwrap.wrap(row.description, 92, initial_indent="      ", subsequent_indent="      ")
    return [f"  {paint(row.path, 'bold')}  <{row.type}>{default}", *text]
