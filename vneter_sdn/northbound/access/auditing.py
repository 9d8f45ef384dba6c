# SPDX-License-Identifier: Apache-2.0
"""What was refused, into the store's audit chain, without anybody waiting for it.

Anybody on the network may be refused as often as they like, so how much of it is written is
bounded; what is not written is counted, and that is written.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from vneter_sdn.errors import VneterError
from vneter_sdn.model.access import AuditEntry
from vneter_sdn.northbound.access import tokens
from vneter_sdn.northbound.access.identity import NOBODY
from vneter_sdn.northbound.access.throttle import Throttle
from vneter_sdn.northbound.wire.gateway import crowd_of

_LOG = logging.getLogger("vneter.api")
BURST, EVERY = 20, 60.0
"""Refusals of one address, or of somebody who is known, that are written at once, and seconds until
one more is."""
STRANGERS = 50
"""The same of all that are not known, together: a log of so many entries that anybody may fill is
one that forgets whatever they like."""
_WAITING = 1000
_TOGETHER = 100
_LONGEST = 200


class Log(Protocol):
    """The part of a store that is needed here."""

    def audit(self, entries: Sequence[AuditEntry]) -> None:
        """Append to the audit chain."""


class Auditor:
    """Writes refusals on a thread of its own."""

    def __init__(self, log: Log, clock: Callable[[], float] = time.monotonic) -> None:
        """Write to a store's chain; ``clock`` gives seconds that never go back."""
        self._log, self._lock = log, threading.Lock()
        self._each, self._dropped = Throttle(clock, BURST, EVERY), 0
        self._strangers = Throttle(clock, STRANGERS, EVERY)
        self._waiting: queue.Queue[AuditEntry | None] = queue.Queue(_WAITING)
        self._thread: threading.Thread | None = None
        self._closed = False

    def refused(self, author: str, action: str, why: str, source: str) -> None:
        """Note what somebody may not do. Waits for nothing."""
        with self._lock:
            if self._closed:
                return
            if self._over(author, source):
                self._dropped += 1
                return
            if self._thread is None:
                self._thread = threading.Thread(target=self._write, name="api-audit", daemon=True)
                self._thread.start()
        outcome = plain(f"refused: {why}")
        entry = AuditEntry(plain(author), plain(action), "", outcome, plain(source))
        try:
            self._waiting.put_nowait(entry)
        except queue.Full:
            with self._lock:
                self._dropped += 1

    def _over(self, author: str, source: str) -> bool:
        """Whether one more is only counted."""
        stranger = author.startswith(NOBODY.name)
        if self._each.failed(crowd_of(source) if stranger else author) > 0:
            return True
        return stranger and self._strangers.failed("") > 0

    def close(self) -> None:
        """Write what waits, and end."""
        with self._lock:
            self._closed = True
            thread = self._thread
        if thread is not None:
            self._waiting.put(None)
            thread.join(timeout=2.0)

    def _write(self) -> None:
        while (entry := self._waiting.get()) is not None:
            entries: list[AuditEntry | None] = [entry]
            while entries[-1] is not None and len(entries) < _TOGETHER:
                try:
                    entries.append(self._waiting.get_nowait())
                except queue.Empty:
                    break
            self._append([one for one in entries if one is not None])
            if entries[-1] is None:
                return
        self._append([])  # how many were dropped at last

    def _append(self, entries: list[AuditEntry]) -> None:
        with self._lock:
            dropped, self._dropped = self._dropped, 0
        if dropped:
            outcome = f"refused: {dropped} more requests, too many to be written"
            entries.append(AuditEntry("several", "several", outcome=outcome))
        if not entries:
            return
        try:
            self._log.audit(entries)
        except VneterError as error:
            _LOG.error("%d refusals are not in the audit log: %s", len(entries), error)


def plain(text: str, longest: int = _LONGEST) -> str:
    """Text that others chose, as it may stand in a log."""
    known = tokens.without_secrets(text)[:longest]
    return "".join(char if char.isprintable() else "?" for char in known)
