# SPDX-License-Identifier: Apache-2.0
"""The journal, the audit chain and the kept answers of a store in memory. Its store locks it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from vneter_sdn.admission.admit import Admission
from vneter_sdn.model.access import AuditEntry
from vneter_sdn.model.journal import Recorded, Verification
from vneter_sdn.model.snapshot import Revision, Snapshot
from vneter_sdn.store import changes, journal
from vneter_sdn.store.chain import (
    Chain,
    Entry,
    Walk,
    sealed_audit,
    sealed_revision,
    with_audit,
    with_revision,
)
from vneter_sdn.store.once import replayed
from vneter_sdn.store.port import Applied, ChainName, Request, Retention
from vneter_sdn.store.rewind import Rewind, begun


@dataclass(frozen=True, slots=True)
class _Audited:
    entry: AuditEntry
    previous: str


class MemoryJournal:
    """What a store keeps of its past."""

    def __init__(self, retention: Retention) -> None:
        self._retention = retention
        self._chain, self._audit = Chain("revisions"), Chain("audit")
        self._entries: list[Entry] = []
        self._audited: list[_Audited] = []
        self._answers: dict[tuple[str, str], tuple[str, Applied, float]] = {}

    def write(
        self, snapshot: Snapshot, admission: Admission, now: float, author: str, message: str
    ) -> None:
        """Append a revision."""
        entry = journal.entry_of(snapshot, admission, now, author, message)
        self._chain, entry = with_revision(self._chain, entry)
        self._entries.append(entry)
        self._prune(now)

    def audit(self, entries: Iterable[AuditEntry], now: float) -> None:
        """Append audit entries."""
        for entry in entries:
            previous = self._audit.head
            self._audit, sealed = with_audit(self._audit, journal.noted(entry, now))
            self._audited.append(_Audited(sealed, previous))
        over = journal.excess(self._audit, self._retention.audit)
        if over:
            last = self._audited[over - 1].entry
            del self._audited[:over]
            self._audit = _pruned(self._audit, last.digest, last.position, 0)

    def audited(self, limit: int, before: int | None) -> tuple[AuditEntry, ...]:
        """Audit entries, newest first."""
        every = (one.entry for one in self._audited)
        found = [entry for entry in every if before is None or entry.position < before]
        return tuple(reversed(found[max(0, len(found) - limit) :]))

    def revisions(
        self, limit: int, before: int | None, author: str, about: str
    ) -> tuple[Revision, ...]:
        """The journal, newest first."""
        found = [
            entry.revision
            for entry in self._entries
            if (before is None or entry.revision.number < before)
            and (not author or entry.revision.author == author)
            and (not about or about in entry.objects)
        ]
        return tuple(reversed(found[max(0, len(found) - limit) :]))

    def revision(self, number: int) -> Recorded:
        """One revision with its diff."""
        for entry in self._entries:
            if entry.revision.number == number:
                return journal.recorded(entry)
        raise journal.absent(number, self._chain)

    def rewound(self, number: int, revision: int) -> Rewind:
        """What was at a revision."""
        back = begun(number, self._chain, revision)
        for entry in self._entries:
            if entry.revision.number > number:
                back.take(entry.revision.number, changes.read(entry.diff))
        return back

    def verify(self, name: ChainName) -> Verification:
        """Recompute a chain."""
        if name == "audit":
            walk = Walk(self._audit)
            for one in self._audited:
                walk.take(sealed_audit(one.entry, one.previous))
            return walk.end(self._audit)
        walk = Walk(self._chain)
        for entry in self._entries:
            walk.take(sealed_revision(entry))
        return walk.end(self._chain)

    def answer(self, asked: Request | None, now: float) -> Applied | None:
        """What a request was answered before."""
        kept = self._answers.get(asked.place) if asked else None
        if asked is None or kept is None or kept[2] < journal.oldest_answer(self._retention, now):
            return None
        return replayed(asked, kept[0], kept[1])

    def remember(self, asked: Request | None, answer: Applied, now: float) -> None:
        """Keep an answer; forget those that are over."""
        if asked is not None:
            limit = journal.oldest_answer(self._retention, now)
            for place in [place for place, kept in self._answers.items() if kept[2] < limit]:
                del self._answers[place]
            self._answers[asked.place] = (asked.fingerprint, answer, now)
            while len(self._answers) > journal.ANSWERS:
                del self._answers[next(iter(self._answers))]

    def _prune(self, now: float) -> None:
        over = journal.excess(self._chain, self._retention.revisions)
        while over < len(self._entries) - 1 and journal.too_old(
            self._entries[over].revision.time, now, self._retention
        ):
            over += 1
        if over:
            last = self._entries[over - 1]
            del self._entries[:over]
            told = last.revision
            self._chain = _pruned(self._chain, told.digest, last.position, told.number)


def _pruned(chain: Chain, anchor: str, position: int, number: int) -> Chain:
    return Chain(chain.name, chain.head, chain.length, anchor, position, number)
