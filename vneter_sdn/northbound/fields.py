# SPDX-License-Identifier: Apache-2.0
"""The fields of a kind, one row each, as ``vneterctl explain`` and the reference show them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from vneter_sdn.model.kinds import Kind
from vneter_sdn.northbound.schemas import components


@dataclass(frozen=True, slots=True)
class FieldRow:
    """One field."""

    path: str
    """``spec.prefixes``; of a member of a list, ``spec.ingress.action``."""
    type: str
    """``integer 1..16777215``, ``array of string, at most 2``."""
    default: str
    """As JSON; ``required`` where there is none, empty where it is absent by default."""
    description: str


def field_rows(kind: Kind) -> list[FieldRow]:
    """The fields of a kind's metadata and spec, in order."""
    schemas = components()
    metadata = list(_rows(schemas["Metadata"], "metadata"))
    return metadata + list(_rows(schemas[kind.spec.__name__], "spec"))


def _rows(schema: dict[str, Any], prefix: str) -> Iterator[FieldRow]:
    required = schema.get("required", ())
    for name, field in schema["properties"].items():
        default = "required" if name in required else _default(field)
        path = f"{prefix}.{name}"
        yield FieldRow(path, _phrase(field), default, field.get("description", ""))
        for part in _within(field):
            yield from _rows(part, path)


def _within(field: dict[str, Any]) -> list[dict[str, Any]]:
    """The schemas of the objects with fields of their own that a field may be, or have in it."""
    if "$ref" in field:
        return [components()[field["$ref"].rpartition("/")[2]]]
    options = [*field.get("anyOf", ()), *field.get("allOf", ()), *_some(field.get("items"))]
    return [part for one in options for part in _within(one)]


def _some(items: Any) -> list[dict[str, Any]]:
    return [items] if isinstance(items, dict) else []


def _default(field: dict[str, Any]) -> str:
    value = field.get("default")
    if _within(field) and isinstance(value, dict):
        return ""  # that of each field is told below
    return "" if value is None or (hasattr(value, "__len__") and not value) else json.dumps(value)


def _phrase(field: dict[str, Any]) -> str:
    if "enum" in field:
        return " | ".join(str(value) for value in field["enum"])
    if "anyOf" in field:
        return " | ".join(_phrase(one) for one in field["anyOf"] if one.get("type") != "null")
    if "$ref" in field or "allOf" in field:
        return "object"
    kind: str = field.get("type", "any")
    if kind == "array":
        return f"array of {_phrase(field.get('items', {}))}{_count(field)}"
    if kind == "object":
        values = field.get("additionalProperties")
        return f"map to {_phrase(values)}" if isinstance(values, dict) else "object"
    low, high = field.get("minimum"), field.get("maximum")
    if "exclusiveMinimum" in field and high is not None:
        return f"{kind} above {_number(field['exclusiveMinimum'])}, up to {_number(high)}"
    bounded = low is not None and high is not None
    return f"{kind} {_number(low)}..{_number(high)}" if bounded else kind


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else str(value)


def _count(field: dict[str, Any]) -> str:
    low, high = field.get("minItems"), field.get("maxItems")
    if low and high:
        return f", {low} to {high}"
    return f", at most {high}" if high else ""
