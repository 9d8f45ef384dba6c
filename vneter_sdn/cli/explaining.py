# SPDX-License-Identifier: Apache-2.0
"""``vneterctl kinds`` and ``vneterctl explain``: the schema, for reading."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Sequence
from dataclasses import asdict
from inspect import cleandoc

from vneter_sdn.cli.output import Form, structured
from vneter_sdn.cli.targets import kind_named, known_kinds
from vneter_sdn.cli.terminal import Usage, columns, paint
from vneter_sdn.model.advice import nearest
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
    if how.name == "name":
        print("\n".join(str(one["plural"]) for one in items))
        return
    if not how.for_people:
        print(structured({"items": items}, how))
        return
    rows = [["KIND", "PLURAL", "SHORT", "TENANT", "MEANING"]]
    for one in items:
        belongs = "yes" if one["tenanted"] else "no"
        short = ",".join(one["short"])
        rows.append([one["kind"], one["plural"], short, belongs, one["meaning"]])
    print("\n".join(columns(rows)[0 if how.headers else 1 :]))


def explain(subject: str, how: Form) -> None:
    """Print what a kind, or one field of it, means: ``network``, ``network.spec.vni``.

    Raises:
        Usage: there is no such kind or field.
    """
    word, _, path = subject.partition(".")
    kind = kind_named(word)
    rows = field_rows(kind)
    if not how.for_people:
        chosen = _chosen(rows, path, kind.name) if path else rows
        print(structured({"kind": kind.name, "items": [asdict(row) for row in chosen]}, how))
        return
    if path:
        rows = _chosen(rows, path, kind.name)
        within = dict.fromkeys(row.path for row in rows[:1])
    else:
        print(paint(kind.name, "bold"))
        print(f"{textwrap.indent(cleandoc(kind.spec.__doc__ or ''), '  ')}\n")
        within = {}
    for row in _near(rows, within):
        print("\n".join(_lines(row)))
        if "array of object" in row.type and row.path not in within:
            print(f"      `vneterctl explain {kind.name.lower()}.{row.path}` has its fields.")


def _near(rows: Sequence[FieldRow], asked: Collection[str]) -> list[FieldRow]:
    """Fields without those of members of lists, but of lists that are asked for."""
    lists = [r.path for r in rows if "array of object" in r.type and r.path not in asked]
    return [row for row in rows if not row.path.startswith(tuple(f"{one}." for one in lists))]


def _chosen(rows: list[FieldRow], path: str, kind: str) -> list[FieldRow]:
    for candidate in (path, f"spec.{path}"):
        found = [
            row for row in rows if row.path == candidate or row.path.startswith(candidate + ".")
        ]
        if found:
            return found
    whole = f"`vneterctl explain {kind.lower()}` has all"
    names = {row.path.removeprefix("spec."): row.path for row in rows}
    near = nearest(path.removeprefix("spec."), names, 0.6)
    hint = f"did you mean {names[near]}? {whole}" if near else whole
    raise Usage(f"a {kind} has no field {path!r}", hint)


def _lines(row: FieldRow) -> list[str]:
    default = {"required": ", required", "": ""}.get(row.default, f", default {row.default}")
    text = textwrap.wrap(row.description, 92, initial_indent="      ", subsequent_indent="      ")
    return [f"  {paint(row.path, 'bold')}  <{row.type}>{default}", *text]
