# SPDX-License-Identifier: Apache-2.0
r"""Field selectors: ``spec.network=web,metadata.name!=x,status.conditions[Ready]=False``.

All terms must hold. A path leads into the manifest: a name goes into an object, ``[x]`` into a
map, into the list member whose ``type`` or ``name`` is x, or into the member at a place. A
condition is its status, so ``status.conditions[Ready]`` needs no ``.status``. Of a list, any
member may be meant: ``spec.prefixes=10.0.0.0/24``. ``!=`` also holds where there is nothing.
Values are text as JSON writes it, without quotes; ``\`` goes before a comma, a backslash, or an
equals sign with which a value begins.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import msgspec

from vneter_sdn.errors import IntentError, Problem
from vneter_sdn.model.advice import nearest
from vneter_sdn.model.kinds import Kind
from vneter_sdn.northbound.fields import field_rows

_TERM = re.compile(
    r"\s*(?P<path>[A-Za-z][A-Za-z0-9]*(?:\.[A-Za-z0-9_/-]+|\[[^\[\]=!,]+\])*)\s*"
    r"(?P<sign>==|=|!=)(?P<value>(?:[^,\\]|\\[,\\=])*)(?P<end>,|\Z)",
    re.ASCII,
)
_STEP = re.compile(r"\.?([A-Za-z0-9_/-]+)|\[([^\]]+)\]")
_IDENTITY = ("apiVersion", "kind")
_MAPS = ("any", "map", "object", "array")


@dataclass(frozen=True, slots=True)
class Term:
    """One thing that must hold."""

    path: tuple[str, ...]
    """Steps from the top of the manifest; what was in brackets begins with ``[``."""
    value: str
    negated: bool = False

    def holds(self, manifest: Mapping[str, Any]) -> bool:
        """Whether a manifest is so."""
        return (self.value in _texts(_at(manifest, self.path))) is not self.negated


@dataclass(frozen=True, slots=True)
class FieldSelector:
    """All terms together; without any it selects everything."""

    terms: tuple[Term, ...] = ()

    @property
    def of_status(self) -> bool:
        """Whether it asks for anything in the status."""
        return any(term.path[0] == "status" for term in self.terms)

    def selects(self, manifest: Mapping[str, Any]) -> bool:
        """Whether every term holds."""
        return all(term.holds(manifest) for term in self.terms)


def parse_fields(text: str, *kinds: Kind) -> FieldSelector:
    """Read a selector for objects of these kinds.

    Raises:
        IntentError: ``InvalidSelector``, with the position at fault; ``UnknownField``: none of the
            kinds has such a field. One that is misspelt must not select everything.
    """
    terms: list[Term] = []
    position, more = 0, bool(text.strip())
    while more:
        found = _TERM.match(text, position)
        if found is None:
            raise _invalid(text, position)
        terms.append(_term(found, kinds))
        position, more = found.end(), found["end"] == ","
    return FieldSelector(tuple(terms))


def _term(found: re.Match[str], kinds: tuple[Kind, ...]) -> Term:
    path = tuple(name or f"[{inner}" for name, inner in _STEP.findall(found["path"]))
    if kinds and not any(_known(kind, path) for kind in kinds):
        names = ", ".join(kind.name for kind in kinds)
        near = nearest(found["path"], {path for kind in kinds for path in _fields(kind)}, 0.75)
        meant = f"did you mean {near}?" if near else "vneterctl explain lists what there is"
        text = f"{names} has no field {found['path'][:80]!r}; {meant}"
        raise IntentError(Problem("selector", "fieldSelector", "UnknownField", text))
    value = re.sub(r"\\(.)", r"\1", found["value"])
    return Term(path, value, found["sign"] == "!=")


def _known(kind: Kind, path: tuple[str, ...]) -> bool:
    if len(path) == 1 or path[0] == "status":
        return path[0] in _IDENTITY or len(path) > 1
    fields = _fields(kind)
    for length in range(len(path), 1, -1):
        sort = fields.get(".".join(path[:length]))
        if sort is not None:
            return length == len(path) or any(word in sort for word in _MAPS)
    return False


@cache
def _fields(kind: Kind) -> dict[str, str]:
    return {row.path: row.type for row in field_rows(kind)}


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for position, step in enumerate(path):
        if isinstance(value, list) and not step.startswith("["):
            rest = path[position:]
            return [one for member in value for one in _members(_at(member, rest))]
        value = _step(value, step)
        if value is None:
            return None
    return value


def _step(value: Any, step: str) -> Any:
    name = step.removeprefix("[")
    if isinstance(value, Mapping):
        return value.get(name)
    if not isinstance(value, list):
        return None
    for member in value:
        if isinstance(member, Mapping) and name in {member.get("type"), member.get("name")}:
            return member
    return value[int(name)] if name.isdecimal() and int(name) < len(value) else None


def _members(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _texts(value: Any) -> Iterator[str]:
    for one in _members(value):
        if isinstance(one, str):
            yield one
        elif isinstance(one, Mapping):
            yield from [one["status"]] if {"type", "status"} <= one.keys() else []
        elif not isinstance(one, list):
            yield msgspec.json.encode(one).decode()


def _invalid(text: str, position: int) -> IntentError:
    message = (
        f"not a field selector at character {position + 1} of {text[:200]!r}; "
        "write spec.network=web, metadata.name!=x, status.conditions[Ready]=False, joined by commas"
    )
    return IntentError(Problem("selector", "fieldSelector", "InvalidSelector", message))
