# SPDX-License-Identifier: Apache-2.0
"""A mapping that differs a little from another one, for as much as it differs."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, KeysView, Mapping, ValuesView
from typing import TypeVar, cast

K = TypeVar("K")
V = TypeVar("V")
_MISSING = object()


class Layered(Mapping[K, V]):
    """What ``base`` says, but for what ``over`` says.

    A bridge of tens of thousands of flows is looked at after each change, and kept until the next:
    a copy of it each time would cost more than the change, and go on costing, as long as the
    collector of garbage looks at what is young. Who goes through all of it pays for one.

    Args:
        base: never changed again by anybody.
        over: the same; None takes something away.
    """

    __slots__ = ("_base", "_len", "_merged", "_over")

    def __init__(self, base: dict[K, V], over: Mapping[K, V | None]) -> None:
        self._base, self._over = base, over
        more = (int(value is not None) - (key in base) for key, value in over.items())
        self._len = len(base) + sum(more)
        self._merged: dict[K, V] | None = None

    def __getitem__(self, key: K) -> V:
        found = self._over.get(key, _MISSING)
        if found is _MISSING:
            return self._base[key]
        if found is None:
            raise KeyError(key)
        return cast("V", found)

    def __len__(self) -> int:
        return self._len

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
            for key, value in self._over.items():
                if value is None:
                    merged.pop(key, None)
                else:
                    merged[key] = value
            self._merged = merged
        return self._merged
