# SPDX-License-Identifier: Apache-2.0
"""What msgspec finds wrong with a value, in words that say what would be right."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec

_PATTERN = re.compile(r"Expected `str` matching regex (?P<quote>['\"])(?P<pattern>.*)(?P=quote)$")
_ENUM = re.compile(r"Invalid enum value (?P<value>.*)$", re.DOTALL)
_LENGTH = re.compile(r"Expected `(?P<what>str|array|object)` of length (?P<bound>.*)$")
_UNITS = {"str": "characters", "array": "entries", "object": "entries"}


def reworded(what: str, struct: Any, path: str = "") -> str:
    """``what`` msgspec said of a field of a Struct (``prefixes[0]``), in words."""
    if found := _PATTERN.match(what):
        # It is printed as repr() prints it.
        meaning = {repr(known)[1:-1]: said for known, said in _described(struct).items()}.get(
            found["pattern"]
        )
        return f"is not written as it has to be. {meaning}" if meaning else "is malformed"
    if found := _ENUM.match(what):
        return f"{found['value']} is none of {', '.join(_words(struct, path))}"
    if found := _LENGTH.match(what):
        bound = found["bound"].replace("<=", "at most").replace(">=", "at least")
        return f"expected {bound} {_UNITS[found['what']]}"
    return what.replace("`", "").replace("Expected", "expected", 1)


@cache
def _described(struct: Any) -> dict[str, str]:
    """What each regular expression in a Struct stands for."""
    return {
        meta.pattern: meta.description
        for part in _parts(struct)
        if get_origin(part) is Annotated
        for meta in part.__metadata__
        if meta.pattern and meta.description
    }


@cache
def _words(struct: Any, path: str) -> tuple[str, ...]:
    """The words that a field may be."""
    name = re.split(r"[.\[]", path, maxsplit=1)[0]
    types = [one.type for one in msgspec.structs.fields(struct) if one.encode_name == name]
    parts = (part for field in types for part in _parts(field))
    return tuple(word for part in parts if get_origin(part) is Literal for word in get_args(part))


@cache
def struct_in(type_: Any) -> Any:
    """The Struct that a field may be; None when it is none."""
    inner = type_
    while get_origin(inner) is Annotated:
        inner = inner.__origin__
    options = (inner,) if isinstance(inner, type) else get_args(inner)
    structs = [one for one in options if isinstance(one, type) and issubclass(one, msgspec.Struct)]
    return structs[0] if structs else None


def _parts(struct: Any) -> Iterator[Any]:
    """Every type within the fields of a Struct, or within one type."""
    if isinstance(struct, type) and issubclass(struct, msgspec.Struct):
        for field in msgspec.structs.fields(struct):
            yield from _parts(field.type)
        return
    yield struct
    inner = (struct.__origin__,) if get_origin(struct) is Annotated else get_args(struct)
    if get_origin(struct) is not Literal:
        for part in inner:
            yield from _parts(part)
