# SPDX-License-Identifier: Apache-2.0
"""A pure copy of the monitored tables, kept current by updates (ovsdb-server(7) §4.1.14)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from uuid import UUID

from vneter_sdn.errors import DecodeError
from vneter_sdn.ovsdb.protocol import RowChange, Update, Watched
from vneter_sdn.ovsdb.schema import Column
from vneter_sdn.ovsdb.values import Row, Value

_MISSING = object()


class Replica:
    """Tables of frozen rows. Rows are replaced, never changed, so a reader may keep one.

    Args:
        watched: the columns that are monitored, as `protocol.watched_columns` gives them.
    """

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        self._tables: dict[str, dict[UUID, Row]] = {table: {} for table in watched}
        self._defaults = {
            table: {name: column.default for name, column in columns.items()}
            for table, columns in watched.items()
        }

    def table(self, name: str) -> Mapping[UUID, Row]:
        """A read-only view of a table; empty when it is not monitored."""
        return MappingProxyType(self._tables.get(name, {}))

    def apply(self, update: Update) -> frozenset[tuple[str, UUID]]:
        """Take over one update; all of it or nothing.

        Returns:
            The rows that are not what they were, as (table, row) pairs.

        Raises:
            DecodeError: it does not fit what is here (a ``modify`` of a row that is not there).
        """
        pending: dict[tuple[str, UUID], Row | None] = {}
        for table, changes in update.tables.items():
            if table not in self._tables:
                raise DecodeError(f"update of a table that is not monitored: {table[:40]}")
            rows = self._tables[table]
            for uuid, change in changes.items():
                pending[table, uuid] = self._changed(table, rows.get(uuid), change)
        if update.full:
            for table, rows in self._tables.items():
                for uuid in rows:
                    pending.setdefault((table, uuid), None)
        return self._store(pending)

    def _store(self, pending: Mapping[tuple[str, UUID], Row | None]) -> frozenset[tuple[str, UUID]]:
        changed = set()
        for (table, uuid), row in pending.items():
            rows = self._tables[table]
            if row != rows.get(uuid):
                changed.add((table, uuid))
            if row is None:
                rows.pop(uuid, None)
            else:
                rows[uuid] = row
        return frozenset(changed)

    def _changed(self, table: str, row: Row | None, change: RowChange) -> Row | None:
        if change.kind == "delete":
            return None
        if change.kind == "modify":
            if row is None:
                raise DecodeError(f"{table}: modification of a row that is not there")
            columns = self._watched[table]
            return MappingProxyType(
                {
                    **row,
                    **{
                        name: apply_difference(columns[name], row[name], difference)
                        for name, difference in change.columns.items()
                    },
                }
            )
        return MappingProxyType({**self._defaults[table], **change.columns})


def apply_difference(column: Column, old: Value, difference: Value) -> Value:
    """The new value of a column that ``modify`` reports.

    Columns of at most one element carry the new value. Sets carry the elements that come or go.
    Maps carry the pairs that come, that go, or whose value is new.
    """
    if not column.composite:
        return difference
    if isinstance(old, Mapping) and isinstance(difference, Mapping):
        return _apply_map_difference(old, difference)
    assert isinstance(old, frozenset)
    assert isinstance(difference, frozenset)
    return old ^ difference


def _apply_map_difference(
    old: Mapping[Any, Any], difference: Mapping[Any, Any]
) -> Mapping[Any, Any]:
    new = dict(old)
    for key, value in difference.items():
        if new.get(key, _MISSING) == value:
            del new[key]
        else:
            new[key] = value
    return new
