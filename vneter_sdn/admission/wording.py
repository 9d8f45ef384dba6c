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
    """What each regular expression in a Struct stands for: its own words, or its field's."""
    found: dict[str, str] = {}
    around: dict[str, str] = {}
    for part in _parts(struct):
        if get_origin(part) is Annotated:
            said = next((meta.description for meta in part.__metadata__ if meta.description), "")
            for inner in _parts(part, deeply=False):
                for meta in inner.__metadata__ if get_origin(inner) is Annotated else ():
                    if meta.pattern and said:
                        (found if inner is part else around).setdefault(meta.pattern, said)
    return around | found


@cache
def _words(struct: Any, path: str) -> tuple[str, ...]:
    """The words that a field may be, however deep in a Struct: ``ingress[0].action``."""
    types: list[Any] = [struct]
    for name in re.findall(r"(?:^|\.)([^.\[]+)", path):
        within = [one for type_ in types for one in _parts(type_, deeply=False) if _is_struct(one)]
        fields = [field for one in within for field in msgspec.structs.fields(one)]
        types = [field.type for field in fields if field.encode_name == name]
    parts = (part for type_ in types for part in _parts(type_, deeply=False))
    words = (word for part in parts if get_origin(part) is Literal for word in get_args(part))
    return tuple(dict.fromkeys(words))


@cache
def struct_in(type_: Any) -> Any:
    """The Struct that a field may be; None when it is none."""
    inner = type_
    while get_origin(inner) is Annotated:
        inner = inner.__origin__
    options = (inner,) if isinstance(inner, type) else get_args(inner)
    structs = [one for one in options if _is_struct(one)]
    return structs[0] if structs else None


def _is_struct(type_: Any) -> bool:
    return isinstance(type_, type) and issubclass(type_, msgspec.Struct)


def _parts(type_: Any, deeply: bool = True) -> Iterator[Any]:
    """Every type within a type; ``deeply``, those within Structs too, and not the Structs."""
    if _is_struct(type_) and deeply:
        for field in msgspec.structs.fields(type_):
            yield from _parts(field.type)
        return
    yield type_
    inner = (type_.__origin__,) if get_origin(type_) is Annotated else get_args(type_)
    if get_origin(type_) is not Literal:
        for part in inner:
            yield from _parts(part, deeply)
