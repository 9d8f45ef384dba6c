# SPDX-License-Identifier: Apache-2.0
"""OVSDB values (RFC 7047 §5.1): atoms, sets and maps, to and from plain Python values.

===================  =============================
on the wire          here
===================  =============================
string, number       ``str``, ``int``, ``float``
true, false          ``bool``
``["uuid", x]``      `uuid.UUID`
``["set", […]]``     ``frozenset``
``["map", […]]``     ``dict``
===================  =============================

Without a schema a set of one element looks like the element; `schema.Column.decode` knows better.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from vneter_sdn.errors import DecodeError

Atom = str | int | float | bool | UUID
Value = Atom | frozenset[Any] | Mapping[Any, Any]
Row = Mapping[str, Value]
"""Columns of one row, by name."""

_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)
_INTEGER = range(-(1 << 63), 1 << 63)
_NAMED = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class NamedUuid:
    """The row that an ``insert`` of the same transaction will make (``uuid-name``)."""

    name: str


def decode_uuid_text(text: Any) -> UUID:
    """A UUID in its usual form.

    Raises:
        DecodeError: anything else.
    """
    if type(text) is not str or not _UUID.fullmatch(text):
        raise DecodeError(f"not a UUID: {_short(text)}")
    return UUID(text)


def decode_uuid(raw: Any) -> UUID:
    """``["uuid", text]``."""
    if type(raw) is not list or len(raw) != 2 or raw[0] != "uuid":
        raise DecodeError(f"not a UUID: {_short(raw)}")
    return decode_uuid_text(raw[1])


def decode_atom(raw: Any) -> Atom:
    """Any one atom."""
    kind = type(raw)
    if kind is int:
        if raw not in _INTEGER:
            raise DecodeError(f"integer outside 64 bits: {_short(raw)}")
        return raw  # type: ignore[no-any-return]
    if kind is str or kind is float or kind is bool:
        return raw  # type: ignore[no-any-return]
    return decode_uuid(raw)


def set_items(raw: Any) -> list[Any]:
    """The undecoded elements of a set, which may be written as its only element."""
    if type(raw) is list and len(raw) == 2 and raw[0] == "set":
        if type(raw[1]) is not list:
            raise DecodeError(f"not a set: {_short(raw)}")
        return raw[1]
    return [raw]


def map_items(raw: Any) -> list[list[Any]]:
    """The undecoded pairs of a map."""
    if type(raw) is not list or len(raw) != 2 or raw[0] != "map" or type(raw[1]) is not list:
        raise DecodeError(f"not a map: {_short(raw)}")
    for pair in raw[1]:
        if type(pair) is not list or len(pair) != 2:
            raise DecodeError(f"not a pair of a map: {_short(pair)}")
    return raw[1]


def decode_value(raw: Any) -> Value:
    """Any value, without a schema.

    Raises:
        DecodeError: not an atom, set or map.
    """
    if type(raw) is list and len(raw) == 2:
        if raw[0] == "set":
            return frozenset(decode_atom(item) for item in set_items(raw))
        if raw[0] == "map":
            return {decode_atom(key): decode_atom(value) for key, value in map_items(raw)}
    return decode_atom(raw)


def encode(value: Any) -> Any:
    """A Python value as OVSDB JSON. Sets and maps are sorted, so equal values are equal text.

    Raises:
        TypeError: not a value of this module, `NamedUuid`, or a sequence (taken for a set).
    """
    if isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, UUID):
        return ["uuid", str(value)]
    if isinstance(value, NamedUuid):
        if not _NAMED.fullmatch(value.name):
            raise ValueError(f"not a usable uuid-name: {value.name!r}")
        return ["named-uuid", value.name]
    if isinstance(value, Mapping):
        pairs = [[encode(key), encode(item)] for key, item in value.items()]
        return ["map", sorted(pairs, key=_order)]
    if isinstance(value, frozenset | set | Sequence):
        return ["set", sorted((encode(item) for item in value), key=_order)]
    raise TypeError(f"not an OVSDB value: {value!r}")


def _order(encoded: Any) -> tuple[str, Any]:
    return (type(encoded).__name__, encoded if isinstance(encoded, list | str) else float(encoded))


def _short(raw: Any) -> str:
    """A bounded picture of something from outside, for an error message."""
    if isinstance(raw, list | dict):
        return f"{type(raw).__name__} of {len(raw)}"
    if isinstance(raw, int) and raw.bit_length() > 256:
        return f"int of {raw.bit_length()} bits"
    text = repr(raw[:40] if isinstance(raw, str) else raw)
    return text[:60]
