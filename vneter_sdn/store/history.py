# SPDX-License-Identifier: Apache-2.0
"""The newest snapshot, and what changed since recent ones: how stores answer ``wait``."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

from vneter_sdn.admission.index import IndexedSnapshot
from vneter_sdn.model.snapshot import Delta, Snapshot

_ABSENT = object()
_KEPT = 1024


class History:
    """Not locked: its store is."""

    def __init__(self, first: IndexedSnapshot) -> None:
        self.newest = first
        self._steps: deque[tuple[Snapshot, Delta]] = deque(maxlen=_KEPT)

    def advance(self, snapshot: IndexedSnapshot, delta: Delta) -> None:
        """Note the next snapshot, and what it changed in the one before."""
        self._steps.append((self.newest, delta))
        self.newest = snapshot

    def since(self, after: Snapshot) -> Delta:
        """Exactly the keys whose rows differ between ``after`` and the newest snapshot.

        O(changes) for recent snapshots, O(n) for others.
        """
        if after is self.newest:
            return Delta()
        changed: list[Delta] = []
        for before, delta in reversed(self._steps):
            changed.append(delta)
            if before is after:
                return self._exact(after, changed)
        return self._exact(after, None)

    def _exact(self, after: Snapshot, deltas: list[Delta] | None) -> Delta:
        found: dict[str, frozenset[Any]] = {}
        for name in ("objects", "allocations", "bindings", "statuses"):
            old, new = getattr(after, name), getattr(self.newest, name)
            if old is new:
                found[name] = frozenset()
            elif deltas is None:
                found[name] = _differing(old, new, {*old, *new})
            else:
                keys = {key for delta in deltas for key in getattr(delta, name)}
                found[name] = _differing(old, new, keys)
        return Delta(**found)


def _differing(
    old: Mapping[Any, Any], new: Mapping[Any, Any], keys: Iterable[Any]
) -> frozenset[Any]:
    return frozenset(key for key in keys if old.get(key, _ABSENT) != new.get(key, _ABSENT))
