# SPDX-License-Identifier: Apache-2.0
"""What happened to objects, in order, from any recent position on.

There is no queue for anybody: what is kept is the snapshots that somebody looked at, at most
`KEPT` of them, and whoever reads brings a position along. So a reader that stalls holds up and
costs nobody; once its position is no longer kept it is told so, and begins with a new list.

Snapshots share what did not change, so that keeping them costs little, and what differs between
two of them is found in O(changes).
"""

from __future__ import annotations

import re
import secrets
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import msgspec

from vneter_sdn.errors import Gone
from vneter_sdn.model.snapshot import Key, Snapshot
from vneter_sdn.northbound import listed
from vneter_sdn.store.port import Store

KEPT = 1024
"""Snapshots from which a reader may go on."""
_WARM = 20_000
"""Events of recent steps that are kept ready, for other readers; or else those of the last step."""
_FORM = re.compile(r"([0-9a-f]{8})-(\d{1,15})-(\d{1,15})", re.ASCII)


class Position(NamedTuple):
    """Between two events: ``step`` is the snapshot known, ``offset`` events after it are, too."""

    step: int
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Event:
    """What happened to one object between two snapshots."""

    key: Key
    before: bytes | None
    """Its manifest, as JSON; None when there was none."""
    after: bytes | None
    revision: int
    """Of the store, afterwards."""
    then: Position
    """From here on is everything after it."""

    @property
    def type(self) -> Literal["added", "modified", "deleted"]:
        """What it was."""
        if self.before is None:
            return "added"
        return "deleted" if self.after is None else "modified"


class Feed:
    """The changes of one store. Safe to share between threads; has none of its own."""

    def __init__(self, store: Store, kept: int = KEPT) -> None:
        """Follow a store; ``kept`` snapshots may be gone on from."""
        self._store, self._kept = store, kept
        self._epoch = secrets.token_hex(4)
        self._lock, self._working = threading.Lock(), threading.Lock()
        self._snapshots: dict[int, Snapshot] = {}
        self._warm: OrderedDict[int, list[Event]] = OrderedDict()
        self._newest = 0

    def now(self) -> tuple[Position, Snapshot]:
        """The newest snapshot, and the position from which on everything after it is read.

        Raises:
            StoreUnavailable: as the store does.
        """
        with self._lock:
            snapshot = self._store.snapshot()  # inside: another's may not be overtaken
            if self._snapshots.get(self._newest) is not snapshot:
                self._newest += 1
                self._snapshots[self._newest] = snapshot
                self._snapshots.pop(self._newest - self._kept, None)
            return Position(self._newest), snapshot

    def after(self, position: Position) -> tuple[list[Event], Position]:
        """What happened next, in order; nothing when nothing did. Waits for nobody.

        Not all that happened since: read on from the position answered.

        Raises:
            Gone: the position is not kept any more.
            StoreUnavailable: as the store does.
        """
        self.now()
        with self._lock:
            before = self._snapshots.get(position.step)
            after = self._snapshots.get(position.step + 1)
        if before is None:
            raise Gone("what happened since then is not kept any more; list, then watch from there")
        if after is None:
            return [], position
        events = self._between(position.step, before, after)
        return events[position.offset :], Position(position.step + 1)

    def wait(self, position: Position, timeout: float) -> None:
        """Wait until something happened after a position; at most ``timeout`` seconds."""
        with self._lock:
            snapshot = self._snapshots.get(position.step)
            newest = self._newest
        if snapshot is not None and newest == position.step:
            self._store.wait(snapshot, timeout)

    def written(self, position: Position) -> str:
        """A position as text that means nothing to others."""
        return f"{self._epoch}-{position.step}-{position.offset}"

    def read(self, text: str) -> Position:
        """The position that `written` wrote.

        Raises:
            ValueError: nobody ever wrote that.
            Gone: another process did, or one that is not here any more.
        """
        found = _FORM.fullmatch(text)
        if found is None:
            raise ValueError(text)
        position = Position(int(found[2]), int(found[3]))
        if found[1] != self._epoch or position.step > self._newest:
            raise Gone("the position is of a server that was restarted; list, then watch")
        return position

    def _between(self, step: int, before: Snapshot, after: Snapshot) -> list[Event]:
        events = self._warm.get(step)
        if events is not None:
            return events
        with self._working:  # all readers want the same now: one works it out
            events = self._warm.get(step)
            if events is None:
                events = self._warm[step] = _events(step, before, after)
            while len(self._warm) > 1 and sum(map(len, self._warm.values())) > _WARM:
                self._warm.popitem(last=False)
            return events


def _events(step: int, before: Snapshot, after: Snapshot) -> list[Event]:
    events: list[Event] = []
    for key in sorted(listed.touched(before, after)):
        was, is_now = listed.listed(before, key), listed.listed(after, key)
        if was != is_now:
            then = Position(step, len(events) + 1)
            events.append(Event(key, _json(was), _json(is_now), after.revision, then))
    return events


def _json(manifest: Mapping[str, Any] | None) -> bytes | None:
    return None if manifest is None else msgspec.json.encode(manifest)
