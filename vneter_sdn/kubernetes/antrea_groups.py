# SPDX-License-Identifier: Apache-2.0
"""Which of Antrea's groups a policy cannot be about, through the groups within them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

Name = tuple[str, str]
"""Namespace, empty for a ClusterGroup; and name."""


def wide(groups: Mapping[Name, Mapping[str, Any]]) -> set[Name]:
    """Groups of a namespace that have pods of others.

    Args:
        groups: ``spec`` of each Group and ClusterGroup, as it is written, sound or not.
    """
    return _holding(groups, lambda name, spec: bool(name[0]) and _beyond(name[0], spec))


def nodal(groups: Mapping[Name, Mapping[str, Any]]) -> set[Name]:
    """Groups that have nodes. ``groups`` as above."""
    return _holding(groups, lambda _, spec: spec.get("nodeSelector") is not None)


def _beyond(namespace: str, spec: Mapping[str, Any]) -> bool:
    reference = spec.get("serviceReference")
    there = reference.get("namespace") if isinstance(reference, Mapping) else None
    elsewhere = isinstance(there, str) and there not in {"", namespace}
    return elsewhere or spec.get("namespaceSelector") is not None


def _holding(
    groups: Mapping[Name, Mapping[str, Any]], has: Callable[[Name, Mapping[str, Any]], bool]
) -> set[Name]:
    """Groups that have something, or hold one that does; circles are no trouble."""
    above: dict[Name, list[Name]] = {}
    for name, spec in groups.items():
        for child in _children(spec):
            above.setdefault((name[0], child), []).append(name)
    found: set[Name] = set()
    todo = [name for name, spec in groups.items() if has(name, spec)]
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo += above.get(name, ())
    return found


def _children(spec: Mapping[str, Any]) -> Iterable[str]:
    children = spec.get("childGroups")
    if not isinstance(children, list | tuple):
        return ()
    return (one for one in children if isinstance(one, str))
