# SPDX-License-Identifier: Apache-2.0
"""From a manifest (plain JSON values) to an object of its kind, or every reason why not."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from math import isfinite
from typing import Any

import msgspec

from vneter_sdn.admission.wording import reworded, struct_in
from vneter_sdn.errors import Problem
from vneter_sdn.model.advice import advice
from vneter_sdn.model.fieldpaths import below
from vneter_sdn.model.kinds import API_VERSION, KINDS, Kind, Metadata
from vneter_sdn.model.snapshot import Key, Object

_TOP = ("apiVersion", "kind", "metadata", "spec", "status")
_WHERE = re.compile(r"^(?P<what>.*?)(?: - at (?P<key>`key` in )?`\$(?P<path>.*?)`)?$", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_DEEPEST = 32
_MOST = 50
"""Problems of one sort that are told of one object."""
_SEARCHED = 1000
"""Members of a map that are looked at for the one at fault."""


class Malformed(Exception):
    """The manifest cannot be read; carries every problem."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("malformed manifest")
        self.problems = problems


def parse(key: Key, manifest: Any, origin: str = "") -> tuple[Object, int | None]:
    """The object a manifest describes, and the revision it names.

    ``status``, and the ``uid`` and ``created`` of the metadata, are ignored.

    Raises:
        Malformed: with every problem found; nothing else is ever raised, whatever the manifest.
    """
    name = f"{key} ({origin})" if origin else str(key)
    problems = list(islice(_unprintable(manifest, name), _MOST))
    if problems:
        raise Malformed(problems)
    kind = KINDS.get(key.kind)
    if not isinstance(manifest, Mapping) or kind is None:
        raise Malformed([_shape_problem(key, manifest, name)])
    problems += _envelope(key, manifest, name)
    metadata, faults = converted(manifest.get("metadata", {}), Metadata, "metadata", name)
    problems += faults
    spec, faults = converted(manifest.get("spec", {}), kind.spec, "spec", name)
    problems += faults
    if metadata is not None:
        problems += _identity(key, kind, metadata, name)
    if problems or metadata is None:
        raise Malformed(problems)
    labels, annotations = dict(metadata.labels), dict(metadata.annotations)
    return Object(key=key, spec=spec, labels=labels, annotations=annotations), metadata.revision


def _shape_problem(key: Key, manifest: Any, name: str) -> Problem:
    if not isinstance(manifest, Mapping):
        text = f"a manifest is an object with {', '.join(_TOP[:4])}, not {_json_type(manifest)}"
        return Problem(name, "", "WrongType", text)
    return Problem(name, "kind", "UnknownKind", _unknown("kind", key.kind, KINDS))


def _unprintable(value: Any, name: str, path: str = "", depth: int = 0) -> Iterator[Problem]:
    """Text that no database can hold, numbers that JSON has not, and nesting without end."""
    if depth > _DEEPEST:
        yield Problem(name, path, "TooDeep", f"nested more than {_DEEPEST} levels deep")
    elif isinstance(value, str):
        if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
            text = "holds NUL or a surrogate, which is not valid UTF-8 text; remove it"
            yield Problem(name, path, "BadText", text)
    elif isinstance(value, float) and not isfinite(value):
        text = "is no number that JSON has; leave it out, or give a finite one"
        yield Problem(name, path, "BadNumber", text)
    elif isinstance(value, Mapping):
        for field, child in value.items():
            label = field if isinstance(field, str) else repr(field)
            if not isinstance(field, str):
                text = f"field names are text, not {_json_type(field)}; quote it"
                yield Problem(name, path, "WrongType", text)
            clean = label.encode("utf-8", "backslashreplace").decode()
            yield from _unprintable(label, name, path, depth + 1)
            yield from _unprintable(child, name, below(path, clean), depth + 1)
    elif isinstance(value, list | tuple):
        for position, child in enumerate(value):
            yield from _unprintable(child, name, f"{path}[{position}]", depth + 1)


def _envelope(key: Key, manifest: Mapping[str, Any], name: str) -> Iterator[Problem]:
    for field in islice((one for one in manifest if one not in _TOP), _MOST):
        yield Problem(name, below("", field), "UnknownField", _unknown("field", field, _TOP))
    for field in ("apiVersion", "kind", "metadata"):
        if field not in manifest:
            yield Problem(name, field, "Missing", "is required")
    version = manifest.get("apiVersion", API_VERSION)
    if version != API_VERSION:
        text = f"{version!r} is not supported; write {API_VERSION}"
        yield Problem(name, "apiVersion", "UnsupportedVersion", text)
    if manifest.get("kind", key.kind) != key.kind:
        text = f"{manifest['kind']!r} was given where a {key.kind} is expected"
        yield Problem(name, "kind", "KindMismatch", text)


def _identity(key: Key, kind: Kind, metadata: Metadata, name: str) -> Iterator[Problem]:
    if metadata.name != key.name:
        text = f"{metadata.name!r} was given where {key.name!r} is expected; names never change"
        yield Problem(name, "metadata.name", "NameMismatch", text)
    given = metadata.tenant or ""
    if kind.tenanted and not given:
        text = f"objects of kind {kind.name} belong to a tenant; name it here"
        yield Problem(name, "metadata.tenant", "Missing", text)
    elif not kind.tenanted and given:
        text = f"objects of kind {kind.name} belong to no tenant; remove it"
        yield Problem(name, "metadata.tenant", "NotTenanted", text)
    elif given != key.tenant:
        text = f"{given!r} was given where {key.tenant!r} is expected; objects never move"
        yield Problem(name, "metadata.tenant", "NameMismatch", text)


def converted(value: Any, type_: Any, path: str, name: str) -> tuple[Any, list[Problem]]:
    """The value as a Struct, or None and every problem: field by field once the whole fails.

    Args:
        value: plain JSON.
        type_: the Struct.
        path: of the value, in what holds it.
        name: what problems are said to be of.
    """
    try:
        return msgspec.convert(value, type_), []
    except msgspec.ValidationError as error:
        whole = _problem(error, path, name, type_)
    if not isinstance(value, Mapping):
        return None, [whole]
    fields = {field.encode_name: field for field in msgspec.structs.fields(type_)}
    problems = [
        Problem(name, below(path, given), "UnknownField", _unknown("field", given, fields))
        for given in islice((one for one in value if one not in fields), _MOST)
    ]
    for field in fields.values():
        if field.encode_name in value:
            problems += _in_field(
                value[field.encode_name], field, below(path, field.encode_name), name, type_
            )
        elif field.required:
            at = below(path, field.encode_name)
            problems.append(Problem(name, at, "Missing", "is required"))
    return None, problems or [whole]


def _in_field(value: Any, field: Any, path: str, name: str, type_: Any) -> list[Problem]:
    """Every problem of one field of a Struct, and of the Struct that it may itself be."""
    try:
        msgspec.convert(value, field.type)
    except msgspec.ValidationError as error:
        within = struct_in(field.type)
        if within is not None and isinstance(value, Mapping):
            return converted(value, within, path, name)[1]
        inside = field.encode_name
        members = islice(_members(value, field.type, error, path), _MOST)
        found = [_problem(fault, at, name, type_, inside, "") for fault, at in members]
        return found or [_problem(error, path, name, type_, inside)]
    return []


def _members(
    value: Any, type_: Any, error: msgspec.ValidationError, path: str
) -> Iterator[tuple[msgspec.ValidationError, str]]:
    """What is wrong with members of a map, which msgspec calls ``[...]``, and where they stand."""
    key, where = _where(error)
    prefix, dots, _ = where.partition("[...]")
    steps = [int(step) if step.isdigit() else step for step in re.findall(r"[^.\[\]]+", prefix)]
    if not (key or dots) or (key and dots):
        return
    for given in islice(_at(value, steps), _SEARCHED):
        try:
            msgspec.convert(_with_only(value, steps, given), type_)
        except msgspec.ValidationError as fault:
            key, found = _where(fault)
            if found == prefix and key:
                yield fault, below(path + prefix, given)
            elif found.startswith(f"{prefix}[...]"):
                yield fault, below(path + prefix, given) + found.removeprefix(f"{prefix}[...]")


def _at(value: Any, steps: list[str | int]) -> Any:
    for step in steps:
        value = value[step]
    return value


def _with_only(value: Any, steps: list[str | int], key: str) -> Any:
    """The same value, with one member of the map that steps lead to, and no other."""
    if not steps:
        return {key: value[key]}
    first, rest = steps[0], steps[1:]
    inner = _with_only(value[first], rest, key)
    if isinstance(value, Mapping):
        return {**value, first: inner}
    return [inner if place == first else one for place, one in enumerate(value)]


def _where(error: msgspec.ValidationError) -> tuple[bool, str]:
    """Whether it is a key that is wrong; and the path as msgspec has it, without ``$``."""
    found = _WHERE.match(str(error))
    return (bool(found["key"]), found["path"] or "") if found else (False, "")


def _problem(
    error: msgspec.ValidationError,
    path: str,
    name: str,
    type_: Any,
    inside: str = "",
    where: str | None = None,
) -> Problem:
    """What msgspec found, in our words: ``Expected `int`, got `str` - at `$.mtu```.

    Args:
        error: as msgspec has it.
        path: of the value that it is about.
        name: what the problem is said to be of.
        type_: the Struct that the value is, or is a field of.
        inside: name of that field.
        where: within the value; what msgspec says, if not given.
    """
    found = _WHERE.match(str(error))
    what = found["what"] if found else str(error)
    where = _where(error)[1] if where is None else where
    unknown = _UNKNOWN.match(what)
    if unknown:
        names = [field.encode_name for field in msgspec.structs.fields(type_)]
        at = below(f"{path}{where}".lstrip("."), unknown[1])
        return Problem(name, at, "UnknownField", _unknown("field", unknown[1], names))
    reason = "WrongType" if ", got " in what else "InvalidValue"
    text = reworded(what, type_, f"{inside}{where}".lstrip("."))
    return Problem(name, f"{path}{where}".lstrip("."), reason, text)


def _unknown(what: str, given: Any, valid: Any) -> str:
    return f"there is no {what} {str(given)[:64]!r}; {advice(given, valid)}"


def _json_type(value: Any) -> str:
    names = {dict: "an object", list: "an array", str: "text", bool: "a boolean"}
    if value is None:
        return "null"
    return names.get(type(value), "a number" if isinstance(value, int | float) else "that")
