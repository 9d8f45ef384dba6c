# SPDX-License-Identifier: Apache-2.0
"""A graph as the JSON that ``GET /v1/topology`` answers, and back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

import msgspec

from vneter_sdn.errors import IntentError, Problem
from vneter_sdn.graph.topology import Edge, Topology, Vertex

_Part = TypeVar("_Part", Vertex, Edge)
_HUMP = re.compile(r"_([a-z])")


def topology_document(topology: Topology) -> dict[str, Any]:
    """A graph as JSON: ``{"vertices", "edges"}``, each with all its attributes in camelCase."""
    return {
        "vertices": [_json(vertex) for vertex in topology.vertices],
        "edges": [_json(edge) for edge in topology.edges],
    }


def topology_of(document: Mapping[str, Any], source: str = "topology") -> Topology:
    """The graph that `topology_document` wrote; attributes it does not know are passed over.

    Raises:
        IntentError: it is not in that form.
    """
    try:
        vertices = [_part(Vertex, one) for one in document["vertices"]]
        edges = [_part(Edge, one) for one in document["edges"]]
    except (KeyError, TypeError, AttributeError, msgspec.ValidationError) as error:
        message = f"no graph as GET /v1/topology answers: {error}"
        raise IntentError(Problem(source, "", "InvalidValue", message)) from None
    return Topology(
        tuple(sorted(vertices, key=lambda one: one.host)),
        tuple(sorted(edges, key=lambda one: (one.source, one.target, one.name))),
    )


def _json(part: Vertex | Edge) -> dict[str, Any]:
    return {key: _plain(getattr(part, name)) for name, key in _NAMES[type(part)].items()}


def _plain(value: Any) -> Any:
    if isinstance(value, frozenset):
        return sorted(value)
    return list(value) if isinstance(value, tuple) else value


def _part(kind: type[_Part], said: Mapping[str, Any]) -> _Part:
    known = _NAMES[kind]
    return msgspec.convert({name: said[key] for name, key in known.items() if key in said}, kind)


def _camel(name: str) -> str:
    return _HUMP.sub(lambda match: match[1].upper(), name)


_NAMES: dict[type[Any], dict[str, str]] = {
    kind: {one.name: _camel(one.name) for one in fields(kind)} for kind in (Vertex, Edge)
}
"""How JSON names each attribute."""
