# SPDX-License-Identifier: Apache-2.0
"""A persistent map: an update shares all but O(log n) of the map it came from.

A hash trie with 32-way branches and leaves of up to 64 entries in a plain dict, so reads are
almost as quick as a dict's and an update copies about a kilobyte, whatever the size.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

_BITS, _WAYS, _LEAF, _DEPTH = 5, 32, 64, 12


class _Gone:
    """The value of a key that an update removes."""


GONE: Any = _Gone()


class PersistentMap(Mapping[K, V], Generic[K, V]):
    """An immutable mapping with cheap updated copies. Iteration order is arbitrary."""

    __slots__ = ("_root", "_size")

    def __init__(self, entries: Mapping[K, V] | None = None) -> None:
        self._root: Any = _grown(dict(entries or {}), 0)
        self._size = len(entries or {})

    def __getitem__(self, key: K) -> V:
        node, digest = self._root, hash(key)
        while type(node) is tuple:
            node = node[digest & 31]
            digest >>= _BITS
        value: V = node[key]
        return value

    def get(self, key: K, default: Any = None) -> Any:
        """The value of a key, or the default."""
        node, digest = self._root, hash(key)
        while type(node) is tuple:
            node = node[digest & 31]
            digest >>= _BITS
        return node.get(key, default)

    def __contains__(self, key: object) -> bool:
        return self.get(key, GONE) is not GONE  # type: ignore[arg-type]

    def _leaves(self) -> Iterator[dict[K, V]]:
        pending = [self._root]
        while pending:
            node = pending.pop()
            if type(node) is tuple:
                pending.extend(node)
            else:
                yield node

    def __iter__(self) -> Iterator[K]:
        for leaf in self._leaves():
            yield from leaf

    def items(self) -> Any:
        """Every (key, value), in one pass; the view of a dict."""
        return {key: value for leaf in self._leaves() for key, value in leaf.items()}.items()

    def values(self) -> Any:
        """Every value, in one pass."""
        return [value for leaf in self._leaves() for value in leaf.values()]

    def __len__(self) -> int:
        return self._size

    def updated(self, changes: Mapping[K, Any]) -> PersistentMap[K, V]:
        """A copy with these values set, or removed where the value is ``GONE``.

        O(len(changes) · log n), or O(n) when most of the map changes.
        """
        if len(changes) * 8 > self._size:
            merged: dict[K, V] = {}
            for leaf in self._leaves():
                merged.update(leaf)
            for key, value in changes.items():
                if value is GONE:
                    merged.pop(key, None)
                else:
                    merged[key] = value
            return PersistentMap(merged)
        root, size = self._root, self._size
        for key, value in changes.items():
            root, difference = _put(root, hash(key), 0, key, value)
            size += difference
        copy: PersistentMap[K, V] = PersistentMap.__new__(PersistentMap)
        copy._root, copy._size = root, size
        return copy

    def differing(self, other: PersistentMap[K, V]) -> set[K]:
        """The keys whose values differ, or that only one of the two has.

        O(changes · log n) between a map and one updated from it: what they share is not looked at.
        """
        found: set[K] = set()
        pending: list[tuple[Any, Any]] = [(self._root, other._root)]
        while pending:
            one, two = pending.pop()
            if one is two:
                continue
            if type(one) is tuple and type(two) is tuple:
                pending.extend(zip(one, two, strict=True))
                continue
            old, new = _flat(one), _flat(two)
            found.update(key for key in old.keys() | new.keys() if _differ(old, new, key))
        return found


def _put(node: Any, digest: int, depth: int, key: Any, value: Any) -> tuple[Any, int]:
    """The node with one change made, and by how many entries it grew."""
    if type(node) is tuple:
        way = digest & 31
        child, difference = _put(node[way], digest >> _BITS, depth + 1, key, value)
        return (*node[:way], child, *node[way + 1 :]), difference
    leaf = dict(node)
    if value is GONE:
        return leaf, -1 if leaf.pop(key, GONE) is not GONE else 0
    leaf[key] = value
    return _grown(leaf, depth), len(leaf) - len(node)


def _grown(leaf: dict[Any, Any], depth: int) -> Any:
    """The leaf, or a branch of smaller ones when it has grown too large."""
    if len(leaf) <= _LEAF or depth >= _DEPTH:
        return leaf
    parts: list[dict[Any, Any]] = [{} for _ in range(_WAYS)]
    shift = depth * _BITS
    for key, value in leaf.items():
        parts[hash(key) >> shift & 31][key] = value
    return tuple(_grown(part, depth + 1) for part in parts)


def _flat(node: Any) -> dict[Any, Any]:
    """Every entry below a node."""
    if type(node) is dict:
        return node
    return {key: value for child in node for key, value in _flat(child).items()}


def _differ(old: dict[Any, Any], new: dict[Any, Any], key: Any) -> bool:
    one, two = old.get(key, GONE), new.get(key, GONE)
    return one is not two and bool(one != two)
