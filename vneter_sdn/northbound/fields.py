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
    """``spec.prefixes``."""
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
        parts = [_phrase(field), field.get("description", "")]
        yield FieldRow(f"{prefix}.{name}", parts[0], default, parts[1])


def _default(field: dict[str, Any]) -> str:
    value = field.get("default")
    return "" if value is None or (hasattr(value, "__len__") and not value) else json.dumps(value)


def _phrase(field: dict[str, Any]) -> str:
    if "enum" in field:
        return " | ".join(str(value) for value in field["enum"])
    if "anyOf" in field:
        return " | ".join(_phrase(one) for one in field["anyOf"] if one.get("type") != "null")
    kind: str = field.get("type", "any")
    if kind == "array":
        return f"array of {_phrase(field.get('items', {}))}{_count(field)}"
    if kind == "object":
        values = field.get("additionalProperties")
        return f"map to {_phrase(values)}" if isinstance(values, dict) else "object"
    low, high = field.get("minimum"), field.get("maximum")
    return f"{kind} {low}..{high}" if low is not None and high is not None else kind


def _count(field: dict[str, Any]) -> str:
    low, high = field.get("minItems"), field.get("maxItems")
    if low and high:
        return f", {low} to {high}"
    return f", at most {high}" if high else ""
