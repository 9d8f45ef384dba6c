# SPDX-License-Identifier: Apache-2.0
"""Changes to one JSON value: JSON Patch (RFC 6902) and JSON Merge Patch (RFC 7396). Pure.

Our own, for what packages for it leave to their callers: a bound on what ``copy`` makes of a small
patch (each may double the value), a pointer to the operation at fault, and ``true`` is not 1.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from vneter_sdn.errors import Conflict, IntentError, Problem
from vneter_sdn.model import jsontext
from vneter_sdn.northbound.origins import steps_of

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
MOST_OPERATIONS = 1000
MOST_VALUES = 200_000
"""Values that a patched document, and all that was put into it, come to at most."""
_INDEX = re.compile(r"0|[1-9][0-9]{0,9}", re.ASCII)
_POINTER = re.compile(r"(/([^~/]|~[01])*)*", re.ASCII)


class TestFailed(Conflict):
    """The document is not what an operation ``test`` says; ``problems`` says which."""

    __test__ = False

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problems = (problem,)


def merged(target: Any, patch: Any) -> Any:
    """RFC 7396 §2: members of the patch replace those of the target; null takes out."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


def patched(document: Any, operations: Any) -> Any:
    """RFC 6902: the document after all operations, or nothing at all. What is given stays as it is.

    Problems name their place in the patch: field ``[3].path``.

    Raises:
        IntentError: an operation is malformed, or leads nowhere; or the result is too large.
        TestFailed: an operation ``test`` says otherwise.
    """
    if not isinstance(operations, list):
        raise IntentError(Problem("patch", "", "WrongType", "expected an array of operations"))
    if len(operations) > MOST_OPERATIONS:
        text = f"at most {MOST_OPERATIONS} operations"
        raise IntentError(Problem("patch", "", "TooLarge", text))
    work = _Work(document)
    for number, operation in enumerate(operations):
        work.number = number
        work.do(operation)
    return work.root


class _Work:
    """A document while it is being patched."""

    def __init__(self, document: Any) -> None:
        self.number, self._left = 0, MOST_VALUES
        self.root = self._own(document, 0)

    def do(self, operation: Any) -> None:
        """One operation."""
        if not isinstance(operation, Mapping):
            raise self._wrong("", "WrongType", "an operation is an object with op and path")
        sort = operation.get("op")
        does = _SORTS.get(sort) if isinstance(sort, str) else None
        if does is None:
            raise self._wrong("op", "UnknownOperation", f"one of {', '.join(_SORTS)}")
        does(self, operation)

    def add(self, operation: Mapping[str, Any]) -> None:
        path = self._path(operation, "path")
        self._put(path, self._own(self._value(operation), len(path)))

    def remove(self, operation: Mapping[str, Any]) -> None:
        self._take(self._path(operation, "path"), "path")

    def replace(self, operation: Mapping[str, Any]) -> None:
        path = self._path(operation, "path")
        value = self._own(self._value(operation), len(path))
        self._at(path, "path")
        if path:
            self._take(path, "path")
        self._put(path, value)

    def move(self, operation: Mapping[str, Any]) -> None:
        path, source = self._path(operation, "path"), self._path(operation, "from")
        if path[: len(source)] == source and path != source:
            raise self._wrong("path", "InvalidPath", "a value cannot be moved into itself")
        self._at(source, "from")
        if path != source:
            self._put(path, self._own(self._take(source, "from"), len(path)))

    def copy(self, operation: Mapping[str, Any]) -> None:
        path, source = self._path(operation, "path"), self._path(operation, "from")
        self._put(path, self._own(self._at(source, "from"), len(path)))

    def test(self, operation: Mapping[str, Any]) -> None:
        value = self._value(operation)
        found = self._at(self._path(operation, "path"), "path")
        if not same(found, value):
            text = "the object has another value there"
            raise TestFailed(self._problem("value", "TestFailed", text))

    def _path(self, operation: Mapping[str, Any], name: str) -> list[str]:
        text = operation.get(name)
        if not isinstance(text, str) or _POINTER.fullmatch(text) is None:
            reason = "Missing" if name not in operation else "InvalidPath"
            raise self._wrong(name, reason, "a JSON pointer (RFC 6901), as /spec/prefixes/0")
        return steps_of(text)

    def _value(self, operation: Mapping[str, Any]) -> Any:
        if "value" not in operation:
            raise self._wrong("value", "Missing", f"{operation['op']} needs a value")
        return operation["value"]

    def _at(self, path: list[str], name: str) -> Any:
        value = self.root
        for step in path:
            if isinstance(value, dict) and step in value:
                value = value[step]
            elif isinstance(value, list) and _INDEX.fullmatch(step) and int(step) < len(value):
                value = value[int(step)]
            else:
                raise self._wrong(name, "NoSuchPath", f"there is no {step[:80]!r} there")
        return value

    def _put(self, path: list[str], value: Any) -> None:
        if not path:
            self.root = value
            return
        holder, leaf = self._at(path[:-1], "path"), path[-1]
        if isinstance(holder, dict):
            holder[leaf] = value
        elif isinstance(holder, list) and leaf == "-":
            holder.append(value)
        elif isinstance(holder, list) and _INDEX.fullmatch(leaf) and int(leaf) <= len(holder):
            holder.insert(int(leaf), value)
        else:
            raise self._wrong("path", "NoSuchPath", f"there is no place {leaf[:80]!r} there")

    def _take(self, path: list[str], name: str) -> Any:
        value = self._at(path, name)
        if not path:
            raise self._wrong(name, "InvalidPath", "the whole object cannot be taken out")
        holder = self._at(path[:-1], name)
        del holder[path[-1] if isinstance(holder, dict) else int(path[-1])]
        return value

    def _own(self, value: Any, depth: int) -> Any:
        """A copy of a value that is to stand at a depth, as long as there is room for it."""
        self._left -= 1
        if self._left < 0:
            raise self._wrong("", "TooLarge", f"more than {MOST_VALUES} values")
        if not isinstance(value, dict | list):
            return value
        if depth >= jsontext.DEPTH:
            raise self._wrong("", "TooDeep", f"nested deeper than {jsontext.DEPTH} levels")
        if isinstance(value, list):
            return [self._own(one, depth + 1) for one in value]
        return {name: self._own(one, depth + 1) for name, one in value.items()}

    def _wrong(self, name: str, reason: str, text: str) -> IntentError:
        return IntentError(self._problem(name, reason, text))

    def _problem(self, name: str, reason: str, text: str) -> Problem:
        return Problem("patch", f"[{self.number}].{name}".rstrip("."), reason, text)


_SORTS: dict[str, Callable[[_Work, Mapping[str, Any]], None]] = {
    "add": _Work.add,
    "remove": _Work.remove,
    "replace": _Work.replace,
    "move": _Work.move,
    "copy": _Work.copy,
    "test": _Work.test,
}


def same(one: Any, two: Any) -> bool:
    """Whether two JSON values are equal (RFC 6902 §4.6): 1 is 1.0, and true is not 1."""
    if isinstance(one, dict) and isinstance(two, dict):
        return one.keys() == two.keys() and all(same(one[name], two[name]) for name in one)
    if isinstance(one, list) and isinstance(two, list):
        return len(one) == len(two) and all(map(same, one, two))
    return isinstance(one, bool) is isinstance(two, bool) and bool(one == two)
