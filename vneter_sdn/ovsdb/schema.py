# SPDX-License-Identifier: Apache-2.0
"""What a database schema says of its columns (RFC 7047 §3.2): enough to decode and to diff."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from uuid import UUID

from vneter_sdn.errors import DecodeError
from vneter_sdn.ovsdb.values import (
    _INTEGER,
    Atom,
    Value,
    _short,
    decode_uuid,
    map_items,
    set_items,
)

UNLIMITED = 1 << 62
_DEFAULTS: dict[str, Atom] = {
    "string": "",
    "integer": 0,
    "real": 0.0,
    "boolean": False,
    "uuid": UUID(int=0),
}


@dataclass(frozen=True, slots=True)
class Column:
    """The type of a column."""

    name: str
    key: str
    """``string``, ``integer``, ``real``, ``boolean`` or ``uuid``."""
    value: str | None = None
    """Type of a map's values; None when the column is no map."""
    minimum: int = 1
    maximum: int = 1

    @property
    def scalar(self) -> bool:
        """Exactly one atom; everything else is a ``frozenset`` or a ``dict``."""
        return self.value is None and self.minimum == self.maximum == 1

    @property
    def composite(self) -> bool:
        """More than one element: ``modify`` carries a difference, not the new value."""
        return self.maximum > 1

    @property
    def default(self) -> Value:
        """The value of a column that an insert leaves out (RFC 7047 §5.2.1)."""
        if self.value is not None:
            return MappingProxyType({})
        if self.scalar:
            return _DEFAULTS[self.key]
        return frozenset([_DEFAULTS[self.key]] if self.minimum else [])

    def decode(self, raw: Any) -> Value:
        """A value of this column, of the right shape whatever its number of elements.

        Raises:
            DecodeError: wrong type, more elements than allowed, or an element twice.
        """
        atom = _ATOMS[self.key]
        if self.scalar:
            return atom(raw)
        if self.value is not None:
            return self._decode_map(raw, atom, _ATOMS[self.value])
        items = set_items(raw)
        decoded = frozenset([atom(item) for item in items])
        if len(decoded) != len(items):
            raise DecodeError(f"column {self.name}: an element twice")
        if len(items) > self.maximum and not self.composite:
            raise DecodeError(f"column {self.name}: {len(items)} elements")
        return decoded

    def _decode_map(self, raw: Any, key: _Decode, value: _Decode) -> Mapping[Any, Any]:
        items = map_items(raw)
        decoded = {key(name): value(item) for name, item in items}
        if len(decoded) != len(items):
            raise DecodeError(f"column {self.name}: a key twice")
        return decoded


@dataclass(frozen=True, slots=True)
class Schema:
    """The tables of a database."""

    name: str
    version: str
    tables: Mapping[str, Mapping[str, Column]]

    @classmethod
    def parse(cls, raw: Any) -> Schema:
        """From the JSON of ``get_schema`` or of an ``.ovsschema`` file.

        Raises:
            DecodeError: not a database schema.
        """
        document = _object(raw, "schema")
        tables = {}
        for name, table in _object(document.get("tables"), "tables").items():
            columns = _object(_object(table, name).get("columns"), f"{name}.columns")
            tables[name] = MappingProxyType(
                {column: _column(column, _object(spec, column)) for column, spec in columns.items()}
            )
        return cls(
            _text(document.get("name"), "name"),
            _text(document.get("version", ""), "version"),
            MappingProxyType(tables),
        )


_Decode = Callable[[Any], Atom]


def _string(raw: Any) -> Atom:
    if type(raw) is not str:
        raise DecodeError(f"not a string: {_short(raw)}")
    return raw


def _integer(raw: Any) -> Atom:
    if type(raw) is not int or raw not in _INTEGER:
        raise DecodeError(f"not a 64-bit integer: {_short(raw)}")
    return raw


def _real(raw: Any) -> Atom:
    if type(raw) is not float and (type(raw) is not int or raw not in _INTEGER):
        raise DecodeError(f"not a real: {_short(raw)}")
    return float(raw)


def _boolean(raw: Any) -> Atom:
    if type(raw) is not bool:
        raise DecodeError(f"not a boolean: {_short(raw)}")
    return raw


_ATOMS: dict[str, _Decode] = {
    "string": _string,
    "integer": _integer,
    "real": _real,
    "boolean": _boolean,
    "uuid": decode_uuid,
}


def _column(name: str, spec: dict[str, Any]) -> Column:
    kind = spec.get("type")
    if isinstance(kind, str):
        return Column(name, _atomic(kind, name))
    kind = _object(kind, f"type of {name}")
    value = kind.get("value")
    minimum, maximum = kind.get("min", 1), kind.get("max", 1)
    maximum = UNLIMITED if maximum == "unlimited" else maximum
    if type(minimum) is not int or type(maximum) is not int or not 0 <= minimum <= 1 <= maximum:
        raise DecodeError(f"schema: bounds of {name[:40]}")
    key = _atomic(kind.get("key"), name)
    return Column(name, key, None if value is None else _atomic(value, name), minimum, maximum)


def _atomic(base: Any, name: str) -> str:
    kind = base.get("type") if isinstance(base, dict) else base
    if not isinstance(kind, str) or kind not in _ATOMS:
        raise DecodeError(f"schema: unknown type of {name[:40]}")
    return kind


def _object(raw: Any, what: str) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise DecodeError(f"schema: {what[:40]} is not an object")
    return raw


def _text(raw: Any, what: str) -> str:
    if not isinstance(raw, str):
        raise DecodeError(f"schema: {what} is not a string")
    return raw
