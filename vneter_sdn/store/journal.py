# SPDX-License-Identifier: Apache-2.0
"""The journal as both stores keep it: what an admission leaves behind, and what is over. Pure."""

from __future__ import annotations

from dataclasses import replace

from vneter_sdn.admission.admit import Admission
from vneter_sdn.errors import NotFound
from vneter_sdn.model.access import AuditEntry
from vneter_sdn.model.instants import posix, rfc3339
from vneter_sdn.model.journal import Recorded
from vneter_sdn.model.snapshot import Revision, Snapshot
from vneter_sdn.store import changes
from vneter_sdn.store.chain import Chain, Entry
from vneter_sdn.store.port import Applied, Retention
from vneter_sdn.store.reports import applied, journal_text

BATCH = 128
"""Rows that are pruned at once."""
ANSWERS = 20_000
"""Answers that are kept for idempotency keys, however young they are; a few more for a while."""
COUNTED = 256
"""Answers after which a client counts them."""


def entry_of(
    snapshot: Snapshot, admission: Admission, now: float, author: str, message: str
) -> Entry:
    """What the journal says of an admission; not yet sealed."""
    made = changes.changes_of(snapshot, admission)
    told = Revision(
        snapshot.revision + 1,
        journal_text(author),
        rfc3339(now),
        journal_text(message),
        admission.changes(),
    )
    return Entry(told, tuple(sorted(changes.objects_of(made))), changes.written(made))


def would(snapshot: Snapshot, admission: Admission) -> Applied:
    """The answer to a dry run."""
    diff = changes.plain(changes.changes_of(snapshot, admission))
    return replace(applied(admission, snapshot.revision), diff=diff)


def recorded(entry: Entry) -> Recorded:
    """A revision as callers see it."""
    return Recorded(entry.revision, changes.read(entry.diff), entry.position, entry.previous)


def noted(entry: AuditEntry, now: float) -> AuditEntry:
    """An audit entry as it is written; not yet sealed."""
    return AuditEntry(
        author=journal_text(entry.author),
        action=journal_text(entry.action),
        object=journal_text(entry.object),
        outcome=journal_text(entry.outcome),
        source=journal_text(entry.source),
        time=rfc3339(now),
    )


def absent(number: int, chain: Chain) -> NotFound:
    """The refusal to show a revision that is not in the journal."""
    if 0 < number <= chain.floor:
        return NotFound(f"revision {number} is not kept: it was pruned, or changed no object")
    return NotFound(f"there is no revision {number}, or it changed no object")


def excess(chain: Chain, kept: int) -> int:
    """How many entries are over by their number; 0 until it is worth while."""
    over = chain.length - chain.pruned - kept if kept > 0 else 0
    return over if over >= min(BATCH, max(1, kept // 8)) else 0


def oldest_answer(retention: Retention, now: float) -> float:
    """Since when answers are kept."""
    return now - retention.requests if retention.requests > 0 else 0.0


def too_old(time: str, now: float, retention: Retention) -> bool:
    """Whether a revision of this time is over."""
    try:
        return retention.seconds > 0 and posix(time) < now - retention.seconds
    except ValueError:
        return False
