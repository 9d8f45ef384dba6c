# SPDX-License-Identifier: Apache-2.0
"""A mapping that differs a little from another one, for as much as it differs."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, KeysView, Mapping, ValuesView
from typing import Generic, TypeVar, cast

K = TypeVar("K")
V = TypeVar("V")
_MISSING = object()
_RECENT, _MOST = 256, 8
"""Changes that are copied each time; and together no more than one in so many."""


class Layered(Mapping[K, V]):
    """What ``base`` says, but for what ``over`` says, the first of these before the others.

    A bridge of tens of thousands of flows is looked at after each change, and kept until the next:
    a copy of it each time would cost more than the change, and go on costing, as long as the
    collector of garbage looks at what is young. Who goes through all of it pays for one.

    Args:
        base: never changed again by anybody.
        over: the same; None takes something away.
        size: how many there are.
    """

    __slots__ = ("_base", "_merged", "_over", "_size")

    def __init__(self, base: dict[K, V], over: tuple[dict[K, V | None], ...], size: int) -> None:
        self._base, self._over, self._size = base, over, size
        self._merged: dict[K, V] | None = None

    def __getitem__(self, key: K) -> V:
        for layer in self._over:
            found = layer.get(key, _MISSING)
            if found is None:
                raise KeyError(key)
            if found is not _MISSING:
                return cast("V", found)
        return self._base[key]

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[K]:
        return iter(self._all())

    def keys(self) -> KeysView[K]:
        """As of a dict."""
        return self._all().keys()

    def values(self) -> ValuesView[V]:
        """As of a dict."""
        return self._all().values()

    def items(self) -> ItemsView[K, V]:
        """As of a dict."""
        return self._all().items()

    def _all(self) -> dict[K, V]:
        if self._merged is None:
            merged = self._base.copy()
            for layer in reversed(self._over):
                for key, value in layer.items():
                    if value is None:
                        merged.pop(key, None)
                    else:
                        merged[key] = value
            self._merged = merged
        return self._merged


class Layers(Generic[K, V]):
    """What a dict that changes was at some times.

    Args:
        truth: the dict; whoever changes it says so with `note`.
    """

    __slots__ = ("_base", "_older", "_recent", "_truth")

    def __init__(self, truth: dict[K, V]) -> None:
        self._truth = truth
        self._base: dict[K, V] | None = None
        self._older: dict[K, V | None] = {}
        self._recent: dict[K, V | None] = {}

    def note(self, key: K, value: V | None) -> None:
        """Something is at a place now; None for nothing."""
        self._recent[key] = value

    def frozen(self) -> Mapping[K, V]:
        """What the dict is now, whatever it will be. O(recent changes), mostly."""
        if len(self._recent) > _RECENT:
            self._older, self._recent = {**self._older, **self._recent}, {}
        if self._base is None or len(self._older) * _MOST > len(self._base):
            self._base, self._older, self._recent = self._truth.copy(), {}, {}
        over = tuple(layer for layer in (self._recent.copy(), self._older) if layer)
        return Layered(self._base, over, len(self._truth)) if over else self._base
