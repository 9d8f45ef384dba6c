# SPDX-License-Identifier: Apache-2.0
"""JSON-RPC messages of OVSDB (RFC 7047 §4, ovsdb-server(7) §4.1): total validation, plain values.

Every function takes what `framing.Splitter` yields, so JSON that is well formed but may lie, and
either returns a value of the types below or raises `DecodeError`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any
from uuid import UUID

import msgspec

from vneter_sdn.errors import DecodeError, OvsdbError
from vneter_sdn.ovsdb.schema import Column, Schema
from vneter_sdn.ovsdb.values import Row, Value, _short, decode_uuid, decode_uuid_text, decode_value

Id = str | int
ZERO_TXN = str(UUID(int=0))
"""No transaction: ``monitor_cond_since`` then sends everything."""


@dataclass(frozen=True, slots=True)
class Request:
    """The peer asks something."""

    id: Id
    method: str
    params: list[Any]


@dataclass(frozen=True, slots=True)
class Notification:
    """The peer tells something."""

    method: str
    params: list[Any]


@dataclass(frozen=True, slots=True)
class Reply:
    """The peer answers; exactly one of ``result`` and ``error`` means something."""

    id: Id
    result: Any
    error: Any


@dataclass(frozen=True, slots=True)
class Result:
    """What one operation of a transaction did; fields that do not apply are None."""

    count: int | None = None
    """Rows changed, by update, mutate and delete."""
    uuid: UUID | None = None
    """The row that an insert made."""
    rows: tuple[Row, ...] | None = None
    """What a select found, decoded without a schema."""


@dataclass(frozen=True, slots=True)
class RowChange:
    """One row of an update."""

    kind: str
    """``initial``, ``insert``, ``modify`` or ``delete``."""
    columns: Row = field(default_factory=lambda: MappingProxyType({}))
    """For initial and insert: the values that are not the default. For modify: per column, the
    new value where the column holds at most one element, else the difference. Empty for delete."""


@dataclass(frozen=True, slots=True)
class Update:
    """What a monitor reports: the initial contents, or one transaction."""

    database: str
    tables: Mapping[str, Mapping[UUID, RowChange]]
    last_txn: str = ZERO_TXN
    """For resuming with ``monitor_cond_since``."""
    full: bool = False
    """True when it is everything there is; false when it continues from what came before."""


_SHAPES = {
    frozenset({"id", "method", "params"}),
    frozenset({"id", "result", "error"}),
    frozenset({"id", "result"}),
    frozenset({"id", "error"}),
    frozenset({"method", "params"}),
}
_ID_LENGTH = 128


def decode_message(raw: Any) -> Request | Notification | Reply:
    """Tell the three kinds of message apart (RFC 7047 §4, JSON-RPC 1.0).

    Raises:
        DecodeError: none of them.
    """
    if type(raw) is not dict or frozenset(raw) not in _SHAPES:
        raise DecodeError(f"no JSON-RPC message: {_short(raw)}")
    identity = raw.get("id")
    if "method" not in raw:
        return Reply(_identity(identity), raw.get("result"), raw.get("error"))
    method, params = raw["method"], raw["params"]
    if type(method) is not str or type(params) is not list:
        raise DecodeError("method or params of the wrong type")
    if identity is None:
        return Notification(method, params)
    return Request(_identity(identity), method, params)


def _identity(raw: Any) -> Id:
    if type(raw) is int or (type(raw) is str and len(raw) <= _ID_LENGTH):
        return raw
    raise DecodeError(f"unusable message id: {_short(raw)}")


def encode_request(identity: Id | None, method: str, params: Sequence[Any]) -> bytes:
    """A request, or a notification when ``identity`` is None."""
    return msgspec.json.encode({"id": identity, "method": method, "params": params})


def encode_reply(identity: Id, result: Any, error: Any = None) -> bytes:
    """An answer to a request of the peer."""
    return msgspec.json.encode({"id": identity, "result": result, "error": error})


def decode_results(raw: Any, operations: int) -> list[Result]:
    """The results of a transaction that was committed (RFC 7047 §4.1.3).

    Args:
        raw: ``result`` of the reply.
        operations: how many operations were sent.

    Raises:
        OvsdbError: the server refused; nothing was changed.
        DecodeError: not the results of that many operations.
    """
    if type(raw) is not list or len(raw) > operations + 1:
        raise DecodeError(f"not the results of {operations} operations: {_short(raw)}")
    for index, item in enumerate(raw):
        if type(item) is dict and item.get("error") is not None:
            raise refusal(item, index)
    if len(raw) != operations:
        raise DecodeError(f"{len(raw)} results of {operations} operations")
    return [_result(item) for item in raw]


def refusal(raw: Any, index: int | None = None) -> OvsdbError:
    """An error object (or string) of the server as an exception, its texts bounded."""
    if isinstance(raw, dict):
        error, details = raw.get("error"), raw.get("details", "")
    else:
        error, details = raw, ""
    if not isinstance(error, str) or not isinstance(details, str):
        raise DecodeError(f"not an error: {_short(raw)}")
    return OvsdbError(error[:256], details[:2048], index)


def _result(raw: Any) -> Result:
    if type(raw) is not dict:
        raise DecodeError(f"not a result: {_short(raw)}")
    count, rows = raw.get("count"), raw.get("rows")
    if count is not None and type(count) is not int:
        raise DecodeError("count is not an integer")
    if rows is not None and (type(rows) is not list or any(type(row) is not dict for row in rows)):
        raise DecodeError("rows are not objects")
    return Result(
        count,
        decode_uuid(raw["uuid"]) if "uuid" in raw else None,
        None if rows is None else tuple(_plain_row(row) for row in rows),
    )


def _plain_row(raw: dict[str, Any]) -> Row:
    return MappingProxyType({column: decode_value(value) for column, value in raw.items()})


Watched = Mapping[str, Mapping[str, Column]]
"""Columns that a monitor watches, by table and name."""


def watched_columns(schema: Schema, requests: Mapping[str, Sequence[str] | None]) -> Watched:
    """The types of what is to be monitored; tables and columns the server has not are left out.

    None stands for every column of a table.
    """
    watched = {}
    for table, names in requests.items():
        columns = schema.tables.get(table)
        if columns is not None:
            chosen = columns if names is None else [name for name in names if name in columns]
            watched[table] = MappingProxyType(
                {name: columns[name] for name in chosen if not name.startswith("_")}
            )
    return MappingProxyType(watched)


_KINDS = ("initial", "insert", "modify", "delete")


def decode_table_updates(raw: Any, watched: Watched) -> Mapping[str, Mapping[UUID, RowChange]]:
    """``<table-updates2>`` of ovsdb-server(7) §4.1.14.

    Raises:
        DecodeError: of another shape, or about something that is not watched.
    """
    if type(raw) is not dict:
        raise DecodeError(f"not table updates: {_short(raw)}")
    tables = {}
    for table, rows in raw.items():
        columns = watched.get(table)
        if columns is None or type(rows) is not dict:
            raise DecodeError(f"update of a table that is not monitored: {_short(table)}")
        tables[table] = {
            decode_uuid_text(uuid): _row_change(change, columns) for uuid, change in rows.items()
        }
    return tables


def _row_change(raw: Any, columns: Mapping[str, Column]) -> RowChange:
    if type(raw) is dict and len(raw) == 1:
        ((kind, row),) = raw.items()
        if kind == "delete":
            return RowChange("delete")
        if kind in _KINDS and type(row) is dict:
            return RowChange(kind, MappingProxyType(_typed_row(row, columns)))
    raise DecodeError(f"not a row update: {_short(raw)}")


def _typed_row(raw: dict[str, Any], columns: Mapping[str, Column]) -> dict[str, Value]:
    row = {}
    for name, value in raw.items():
        column = columns.get(name)
        if column is None:
            raise DecodeError(f"update of a column that is not monitored: {_short(name)}")
        row[name] = column.decode(value)
    return row


def decode_since(raw: Any, watched: Watched, database: str) -> Update:
    """The answer to ``monitor_cond_since``: ``[found, last-txn-id, table-updates2]``."""
    if type(raw) is not list or len(raw) != 3 or type(raw[0]) is not bool:
        raise DecodeError("not an answer to monitor_cond_since")
    last = str(decode_uuid_text(raw[1]))
    return Update(database, decode_table_updates(raw[2], watched), last, full=not raw[0])
