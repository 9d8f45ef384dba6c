# SPDX-License-Identifier: Apache-2.0
"""The operations of a transaction (RFC 7047 §5.2), as JSON-ready dictionaries.

Rows and conditions are given as Python values and encoded here::

    client.transact("vneter", [
        wait("Root", [], {"generation": 7}),
        update("Root", [], {"generation": 8}),
        commit(durable=True),
    ])
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from vneter_sdn.ovsdb.values import NamedUuid, encode

Operation = dict[str, Any]
Condition = tuple[str, str, Any]
"""(column, function, value); functions are ``==``, ``!=``, ``includes``, ``excludes``, ``<`` …"""
Mutation = tuple[str, str, Any]
"""(column, mutator, value); mutators are ``insert``, ``delete``, ``+=``, ``-=`` …"""


def by_uuid(row: UUID | NamedUuid) -> list[Condition]:
    """The condition that selects one row."""
    return [("_uuid", "==", row)]


def insert(table: str, row: Mapping[str, Any], name: str | None = None) -> Operation:
    """Add a row; ``name`` lets other operations refer to it as ``NamedUuid(name)``."""
    operation: Operation = {"op": "insert", "table": table, "row": _row(row)}
    if name is not None:
        operation["uuid-name"] = name
    return operation


def update(table: str, where: Iterable[Condition], row: Mapping[str, Any]) -> Operation:
    """Overwrite columns of the rows that meet every condition."""
    return {"op": "update", "table": table, "where": _triples(where), "row": _row(row)}


def mutate(table: str, where: Iterable[Condition], mutations: Iterable[Mutation]) -> Operation:
    """Change sets, maps and numbers in place, whatever else is in them."""
    return {
        "op": "mutate",
        "table": table,
        "where": _triples(where),
        "mutations": _triples(mutations),
    }


def delete(table: str, where: Iterable[Condition]) -> Operation:
    """Remove the rows that meet every condition."""
    return {"op": "delete", "table": table, "where": _triples(where)}


def select(
    table: str, where: Iterable[Condition] = (), columns: Sequence[str] | None = None
) -> Operation:
    """Read the rows that meet every condition."""
    operation: Operation = {"op": "select", "table": table, "where": _triples(where)}
    if columns is not None:
        operation["columns"] = list(columns)
    return operation


def wait(
    table: str,
    where: Iterable[Condition],
    *rows: Mapping[str, Any],
    until: str = "==",
    timeout_ms: int = 0,
) -> Operation:
    """Fail the transaction unless the selected rows are (``until="=="``) exactly these.

    Compares the columns the rows name; with no rows, ``_uuid``, so that ``wait(t, where)`` says
    there is no such row. A timeout of 0 does not wait.
    """
    return {
        "op": "wait",
        "table": table,
        "where": _triples(where),
        "columns": sorted({column for row in rows for column in row} or {"_uuid"}),
        "until": until,
        "rows": [_row(row) for row in rows],
        "timeout": timeout_ms,
    }


def commit(*, durable: bool = True) -> Operation:
    """Ask that a success is on disk when it is reported (plain commits are not synced)."""
    return {"op": "commit", "durable": durable}


def comment(text: str) -> Operation:
    """Text for the server's transaction log."""
    return {"op": "comment", "comment": text}


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    return {column: encode(value) for column, value in row.items()}


def _triples(triples: Iterable[tuple[str, str, Any]]) -> list[list[Any]]:
    return [[column, function, encode(value)] for column, function, value in triples]
