# SPDX-License-Identifier: Apache-2.0
"""Where in a JSON Patch (RFC 6902) each value of the patched document comes from. Pure.

The patch is done once more, of nodes that remember who put them there. It only is when something
is wrong with what the patch made, so it may take as long as the patch did.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class _Node:
    """One value; of arrays and objects with all they hold."""

    origin: str = ""
    """The value in the patch, or the path of the operation that put it here; empty for neither."""
    inside: dict[str, _Node] | list[_Node] | None = None
    touched: str = ""
    """The operation that last changed anything in it."""
    gone: dict[str, str] = field(default_factory=dict)
    """Members that were taken out, and by which operation."""


def steps_of(pointer: str) -> list[str]:
    """The names that a JSON pointer leads along."""
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]


def _escaped(step: str) -> str:
    return step.replace("~", "~0").replace("/", "~1")


def _grown(value: Any, origin: str) -> _Node:
    """Nodes of a value that stands at a pointer of the patch; without one, in the document."""

    def below(step: object) -> str:
        return f"{origin}/{_escaped(str(step))}" if origin else ""

    if isinstance(value, Mapping):
        inside = {name: _grown(one, below(name)) for name, one in value.items()}
        return _Node(origin, inside)
    if isinstance(value, list):
        return _Node(origin, [_grown(one, below(place)) for place, one in enumerate(value)])
    return _Node(origin)


def _copied(node: _Node, by: str) -> _Node:
    """What ``move`` or ``copy`` put: itself comes from there; what it holds from where it did."""
    held = node.inside
    if isinstance(held, dict):
        inside: Any = {name: _copied(one, one.origin or by) for name, one in held.items()}
    else:
        inside = None if held is None else [_copied(one, one.origin or by) for one in held]
    return _Node(by, inside)


class Origins:
    """A document after a patch, which was done before and is known to be possible."""

    def __init__(self, document: Any, operations: Sequence[Mapping[str, Any]]) -> None:
        """Do the patch."""
        self._root = _grown(document, "")
        for number, operation in enumerate(operations):
            self._do(operation, f"/{number}")

    def of(self, pointer: str) -> str:
        """Where in the patch what is wrong at a place comes from; empty when it does not."""
        node, steps = self._root, steps_of(pointer)
        for position, step in enumerate(steps):
            below = _member(node, step)
            if below is None:
                if step in node.gone:
                    return node.gone[step]
                if node.origin and not node.origin.endswith("/path"):
                    return node.origin + "".join(f"/{_escaped(one)}" for one in steps[position:])
                break
            node = below
        return node.origin or node.touched

    def _do(self, operation: Mapping[str, Any], at: str) -> None:
        sort, path = operation["op"], steps_of(operation["path"])
        by = f"{at}/path"
        if sort in {"add", "replace"}:
            if sort == "replace":
                self._take(path, by)
            self._put(path, _grown(operation["value"], f"{at}/value"), by)
        elif sort == "remove":
            self._take(path, by)
        elif sort in {"move", "copy"}:
            source = steps_of(operation["from"])
            node = _copied(self._at(source), by)
            if sort == "move":
                self._take(source, f"{at}/from")
            self._put(path, node, by)

    def _at(self, path: Sequence[str]) -> _Node:
        node = self._root
        for step in path:
            below = _member(node, step)
            if below is None:
                raise AssertionError("the patch was possible before")
            node = below
        return node

    def _touch(self, path: Sequence[str], by: str) -> _Node:
        """What holds a place; all above it was changed."""
        for length in range(len(path)):
            self._at(path[:length]).touched = by
        return self._at(path[:-1])

    def _put(self, path: Sequence[str], node: _Node, by: str) -> None:
        if not path:
            self._root = node
            return
        holder, leaf = self._touch(path, by), path[-1]
        if isinstance(holder.inside, dict):
            holder.inside[leaf] = node
            holder.gone.pop(leaf, None)
        elif isinstance(holder.inside, list):
            holder.inside.insert(len(holder.inside) if leaf == "-" else int(leaf), node)

    def _take(self, path: Sequence[str], by: str) -> None:
        if not path:
            return
        holder, leaf = self._touch(path, by), path[-1]
        if isinstance(holder.inside, dict):
            del holder.inside[leaf]
            holder.gone[leaf] = by
        elif isinstance(holder.inside, list):
            del holder.inside[int(leaf)]


def _member(node: _Node, step: str) -> _Node | None:
    if isinstance(node.inside, dict):
        return node.inside.get(step)
    if isinstance(node.inside, list) and step.isdecimal() and int(step) < len(node.inside):
        return node.inside[int(step)]
    return None
