# SPDX-License-Identifier: Apache-2.0
"""Whether assertions hold, as the controller's loop reports it: the condition ``Holds``.

Somebody else finds out (`vneter_sdn.daemon.judgements`), after a while; until then it is Unknown.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from typing import Any

from vneter_sdn.engine.port import AssertionsJudged
from vneter_sdn.engine.reports import accepted
from vneter_sdn.model.snapshot import Condition, Delta, Key, Object, Snapshot, Status

_LOG = logging.getLogger(__name__)
HOLDS = "Holds"
LONGEST = 1000
"""Characters of a message."""


def _holds(status: str, reason: str, message: str = "") -> Condition:
    return Condition(HOLDS, status, reason, message[:LONGEST])


_WAITING = _holds("Unknown", "Proving", "it is being found out")


class Assertions:
    """What the controller knows of assertions."""

    def __init__(self) -> None:
        """Nothing, and nobody finds out."""
        self.asked = False
        """Whether somebody finds out."""
        self.seconds: float | None = None
        """How long that took the last time."""
        self._held: dict[Key, Condition] = {}
        self._revisions: dict[Key, int] = {}

    def renewed(self) -> Assertions:
        """One that knows the same; what there is, it is told again."""
        fresh = Assertions()
        fresh.asked, fresh.seconds = self.asked, self.seconds
        fresh._held, fresh._revisions = self._held, self._revisions
        return fresh

    def take(self, snapshot: Snapshot, delta: Delta) -> None:
        """Take in what changed in the store."""
        for key in delta.objects:
            if key.kind != "Assertion":
                continue
            stored = snapshot.objects.get(key)
            if stored is None:
                self._held.pop(key, None)
                self._revisions.pop(key, None)
            elif self._revisions.get(key) != stored.revision:
                self._revisions[key] = stored.revision
                self._held[key] = _reported(stored, snapshot.statuses.get(key))

    def judged(self, said: AssertionsJudged) -> frozenset[Key]:
        """Take in what was found out; the assertions of which that is news."""
        self.seconds = said.seconds
        news = set()
        for key, before in self._held.items():
            found = self._found(key, said)
            if found is not None and found != before:
                self._held[key] = found
                news.add(key)
                _log(key, before, found)
        return frozenset(news)

    def _found(self, key: Key, said: AssertionsJudged) -> Condition | None:
        if said.against is None:
            return _holds("Unknown", "NotProven", said.why)
        if key.name not in said.against or said.revision < self._revisions[key]:
            return None
        text = said.against[key.name]
        if text is None:
            return _holds("Unknown", "NotProven", said.why)
        return _holds("False", "Broken", text) if text else _holds("True", "Proven")

    def said(self, key: Key) -> tuple[tuple[Condition, ...], Mapping[str, Any]]:
        """Conditions and details of an assertion."""
        found = self._held.get(key)
        if found is None or not self.asked:
            return accepted(), {}
        return (*accepted(), found), {"holds": found.status}

    def counts(self) -> Mapping[str, int]:
        """How many hold, do not, and may or may not: by the status of the condition."""
        found = Counter(one.status for one in self._held.values()) if self.asked else Counter()
        return {status: found[status] for status in ("True", "False", "Unknown")}


def _reported(stored: Object, status: Status | None) -> Condition:
    """What was said of it as it is now; after a restart, that stands until it is found out anew."""
    if status is not None and status.observed_revision == stored.revision:
        for one in status.conditions:
            if one.type == HOLDS:
                return _holds(one.status, one.reason, one.message)
    return _WAITING


def _log(key: Key, before: Condition, found: Condition) -> None:
    if found.status == "False":
        _LOG.warning("%s does not hold: %s", key, found.message)
    elif found.status == "Unknown":
        _LOG.warning("whether %s holds is not known: %s", key, found.message)
    elif before.status == "False":
        _LOG.info("%s holds again", key)
