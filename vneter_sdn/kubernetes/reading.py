# SPDX-License-Identifier: Apache-2.0
"""From plain JSON values to the Structs of foreign kinds, or every reason why not.

Types and names of fields are judged here, what they hold by whoever translates them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sized
from itertools import islice
from types import NoneType, UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

import msgspec
from msgspec import Struct

from vneter_sdn.model.advice import advice
from vneter_sdn.model.fieldpaths import below
from vneter_sdn.policy.findings import Findings

Read = TypeVar("Read")
MOST_UNKNOWN = 50
"""Fields of one object that there are not, and that are told."""


class Strict(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A foreign kind, or part of one, of which every field is known."""


class Loose(Struct, frozen=True, kw_only=True, rename="camel"):
    """A foreign kind, or part of one, of which only some fields matter here."""


_WORDS = {
    str: "text",
    int: "a number without fraction",
    float: "a number",
    bool: "true or false",
    NoneType: "null",
}


def read(value: Any, type_: type[Read], path: str, findings: Findings) -> Read | None:
    """A value as a Struct, fields that are not known left out; None when a type is wrong.

    Every problem is noted.
    """
    try:
        return msgspec.convert(value, type_)
    except msgspec.ValidationError as error:
        first = str(error)
    before = len(findings.problems)
    known = _known(value, type_, path, findings)
    found = findings.problems[before:]
    if not found:
        findings.add(path, "InvalidValue", first)
    if not found or any(problem.reason != "UnknownField" for problem in found):
        return None
    try:
        return msgspec.convert(known, type_)
    except msgspec.ValidationError as error:
        findings.add(path, "InvalidValue", str(error))
        return None


def _known(value: Any, type_: Any, path: str, findings: Findings) -> Any:
    """The value without fields that are not known; problems of it and of all below are noted."""
    options = _options(type_)
    if Any in options or (value is None and NoneType in options):
        return value
    for option in options:
        origin = get_origin(option)
        if isinstance(option, type) and issubclass(option, Struct) and isinstance(value, Mapping):
            return _fields(value, option, path, findings)
        if origin is tuple and isinstance(value, list | tuple):
            each = get_args(option)[0]
            return [
                _known(item, each, f"{path}[{number}]", findings)
                for number, item in enumerate(value)
            ]
        if origin is dict and isinstance(value, Mapping):
            each = get_args(option)[1]
            return {
                key: _known(item, each, below(path, _shown(key)), findings)
                for key, item in value.items()
            }
    try:
        return msgspec.convert(value, type_)
    except msgspec.ValidationError:
        words = " or ".join(_word(option) for option in options if option is not NoneType)
        findings.add(
            path, "WrongType", f"expected {words}, got {_kind(value)}{_advice(value, options)}"
        )
        return value


def _fields(value: Mapping[Any, Any], type_: type[Struct], path: str, findings: Findings) -> Any:
    fields = {field.encode_name: field for field in msgspec.structs.fields(type_)}
    kept = {}
    for name, item in value.items():
        if name in fields:
            kept[name] = _known(item, fields[name].type, below(path, name), findings)
    if issubclass(type_, Strict):
        for name in islice((one for one in value if one not in fields), MOST_UNKNOWN):
            at = below(path, _shown(name))
            findings.add(at, "UnknownField", unknown("field", name, fields))
    for name, field in fields.items():
        if field.required and name not in value:
            findings.add(f"{path}.{name}".lstrip("."), "Missing", "is required")
    return kept


def at_most(given: Sized, most: int, path: str, findings: Findings, instead: str) -> None:
    """Note a list that is longer than there is room for, and what to write ``instead``."""
    if len(given) > most:
        text = f"has {len(given)} entries, and at most {most} are taken; {instead}"
        findings.add(path, "TooMany", text)


def unknown(what: str, given: Any, valid: Any) -> str:
    """What there is not, and what was meant perhaps: ``did you mean 'podSelector'``."""
    return f"there is no {what} {_shown(given)!r}; {advice(given, valid, 0.6)}"


def _shown(name: Any) -> str:
    return str(name)[:64].encode("utf-8", "backslashreplace").decode()


def _options(type_: Any) -> tuple[Any, ...]:
    if get_origin(type_) is Annotated:
        return _options(type_.__origin__)
    if get_origin(type_) in {Union, UnionType}:
        return tuple(inner for option in get_args(type_) for inner in _options(option))
    return (type_,)


def _word(option: Any) -> str:
    if get_origin(option) is tuple:
        return "a list"
    return _WORDS.get(option, "a map")


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"the number {str(value)[:32]}"
    if isinstance(value, str):
        return f"the text {_shown(value)!r}"
    return {NoneType: "null", list: "a list", dict: "a map"}.get(type(value), "something else")


def _advice(value: Any, options: Collection[Any]) -> str:
    """What to write instead, where that is plain."""
    number = isinstance(value, float) and value.is_integer() and abs(value) < 1 << 53
    if number and int in options:
        return f"; write {int(value)}"
    if isinstance(value, bool | int | float) and str in options:
        return "; if it is meant as text, put it in quotes"
    if isinstance(value, str) and value.isdecimal() and {int, float} & set(options):
        return "; write it without quotes"
    return ""
