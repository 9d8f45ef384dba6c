# SPDX-License-Identifier: Apache-2.0
"""Lists in pages, all of which are of one snapshot.

The snapshot of a list that has a next page is kept for `LIFETIME` seconds after its last page was
asked for, and among the `SHELVES` last used. The token that goes on with a list names the
snapshot and the last object given, and works for that list only.
"""

from __future__ import annotations

import base64
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b

import msgspec

from vneter_sdn.errors import Gone
from vneter_sdn.model.snapshot import Key, Snapshot
from vneter_sdn.northbound.feed import Position

LIFETIME = 300.0
SHELVES = 64
_LONGEST = 1024


class Continue(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a token says."""

    epoch: str
    step: int
    asked: str
    """Digest of what the list is of."""
    tenant: str
    name: str


@dataclass(slots=True)
class Shelf:
    """One snapshot that lists are being given of."""

    snapshot: Snapshot
    position: Position
    until: float = 0.0
    keys: dict[tuple[str, str], list[Key]] = field(default_factory=dict)
    """Sorted keys by kind and tenant, as far as they were asked for."""


class Shelves:
    """Snapshots of lists under way; safe to share between threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, shelves: int = SHELVES) -> None:
        """Keep at most so many snapshots; ``clock`` gives seconds that never go back."""
        self._clock, self._room = clock, shelves
        self._epoch = secrets.token_hex(4)
        self._lock = threading.Lock()
        self._shelves: OrderedDict[int, Shelf] = OrderedDict()

    def put(self, shelf: Shelf, last: Key, asked: str) -> str:
        """Keep a snapshot for the next page; the token that asks for it."""
        step = shelf.position.step
        with self._lock:
            shelf.until = self._clock() + LIFETIME
            self._shelves[step] = shelf
            self._shelves.move_to_end(step)
            for old, one in list(self._shelves.items()):
                if len(self._shelves) > self._room or one.until < self._clock():
                    del self._shelves[old]
        token = Continue(self._epoch, step, asked, last.tenant, last.name)
        return base64.urlsafe_b64encode(msgspec.json.encode(token)).decode().rstrip("=")

    def take(self, text: str, asked: str) -> tuple[Shelf, tuple[str, str]]:
        """The snapshot to go on with, and the tenant and name after which.

        Raises:
            ValueError: that is no token, or one of another list.
            Gone: the snapshot is not kept any more.
        """
        token = _read(text)
        if token.asked != asked:
            raise ValueError("it goes on with a list that was asked for otherwise")
        with self._lock:
            shelf = self._shelves.get(token.step)
            now = self._clock()
            if token.epoch != self._epoch or shelf is None or shelf.until < now:
                what = "the list was left lying for too long, or the server was restarted"
                raise Gone(f"{what}; begin with its first page")
            shelf.until = now + LIFETIME
            self._shelves.move_to_end(token.step)
        return shelf, (token.tenant, token.name)


def digest(*asked: str) -> str:
    """What a list is of, as a few characters: the path and the selectors."""
    return blake2b("\0".join(asked).encode(), digest_size=9).hexdigest()


def _read(text: str) -> Continue:
    if len(text) > _LONGEST:
        raise ValueError("it is no token of this server's")
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        return msgspec.json.decode(data, type=Continue)
    except (ValueError, msgspec.DecodeError):
        raise ValueError("it is no token of this server's") from None
