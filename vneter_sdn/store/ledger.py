# SPDX-License-Identifier: Apache-2.0
"""The journal, the audit chain and kept answers in the database: what to read, what to write.

None of it is monitored: rows are read when somebody asks, some at a time.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import msgspec

from vneter_sdn.errors import DecodeError, OvsdbError, StoreUnavailable
from vneter_sdn.model.access import AuditEntry
from vneter_sdn.model.journal import Recorded, Verification
from vneter_sdn.model.snapshot import Revision
from vneter_sdn.ovsdb.operations import (
    Condition,
    Operation,
    by_uuid,
    delete,
    insert,
    select,
    update,
    wait,
)
from vneter_sdn.ovsdb.values import Row
from vneter_sdn.store import changes, journal, rows
from vneter_sdn.store.chain import Chain, Entry, Walk
from vneter_sdn.store.connection import Connection
from vneter_sdn.store.once import answer_of, answer_text, replayed
from vneter_sdn.store.port import Applied, ChainName, Request, Retention
from vneter_sdn.store.rewind import Rewind, foreign_row, require_kept

_PAGE = 64
"""Rows read at once where all are read."""
_LIGHT = ["number", "author", "time", "message", "changes", "digest"]
_WHOLE = [*_LIGHT, "objects", "diff", "position", "previous"]
_TABLES = {"revisions": "Revision", "audit": "Audit"}


def page(
    connection: Connection, limit: int, before: int | None, author: str = "", about: str = ""
) -> tuple[Revision, ...]:
    """Journal entries, newest first. Looks at windows of numbers, each twice as long."""
    newest = connection.mirror.revision
    high = newest + 1 if before is None else min(before, newest + 1)
    below: list[Condition] = [] if before is None else [("number", "<", before)]
    also: list[Condition] = [("author", "==", author)] if author else []
    also += [("objects", "includes", frozenset([about]))] if about else []
    found: list[Revision] = []
    for low in _windows(high, 2 * limit):
        where = [("number", ">=", low), *below, *also]
        below = [("number", "<", low)]
        part = [rows.revision_of(row) for row in _select(connection, "Revision", where, _LIGHT)]
        found += sorted(part, key=lambda entry: entry.number, reverse=True)
        if len(found) >= limit:
            break
    return tuple(found[:limit])


def _windows(high: int, size: int) -> Iterator[int]:
    """Where ranges begin, downwards to 0; the first one is open at its end."""
    while high > 0:
        high, size = max(0, high - size), size * 2
        yield high


def recorded(connection: Connection, number: int) -> Recorded:
    """One revision with its diff.

    Raises:
        NotFound: it is not in the journal.
    """
    found = _select(connection, "Revision", [("number", "==", number)], _WHOLE)
    if not found:
        raise journal.absent(number, connection.mirror.chain("revisions"))
    with _readable(number):
        return journal.recorded(rows.entry_of(found[0]))


@contextmanager
def _readable(number: int) -> Iterator[None]:
    """Raise StoreUnavailable where a row of the journal holds what nobody wrote."""
    try:
        yield
    except (DecodeError, msgspec.DecodeError) as error:
        text = f"revision {number} of the journal cannot be read: {error}; verify its chain"
        raise StoreUnavailable(text) from error


def rewind(connection: Connection, back: Rewind, revision: int) -> None:
    """Take the next diffs after ``back.seen``, `_PAGE` at most, up to a revision.

    Raises:
        NotFound: some of it was pruned meanwhile, or written without a diff.
    """
    top = min(revision, back.seen + _PAGE)
    where = [("number", ">", back.seen), ("number", "<=", top)]
    chain, found = _beside(connection, "revisions", where, ["number", "position", "diff"])
    require_kept(back.number, chain)
    for row in sorted(found, key=lambda row: _integer(row, "number")):
        if not _integer(row, "position"):
            raise foreign_row(_integer(row, "number"))
        with _readable(_integer(row, "number")):
            diff = changes.read(changes.unpacked(str(row["diff"])))
        back.take(_integer(row, "number"), diff)
    back.seen = max(back.seen, top)


def appended(connection: Connection, entry: Entry, chained: Chain, uid: str) -> list[Operation]:
    """The operations that append a sealed revision; they fail where another one was first."""
    absent = wait("Revision", [("uid", "==", uid)])
    return [
        absent,
        *_moved(connection, chained),
        insert("Revision", rows.entry_row(entry, uid)),
    ]


def audited(
    connection: Connection, entries: Sequence[tuple[AuditEntry, str]], chained: Chain
) -> list[Operation]:
    """The operations that append sealed audit entries, each with the digest before it."""
    told = [insert("Audit", rows.audit_row(entry, previous)) for entry, previous in entries]
    return [*_moved(connection, chained), *told]


def is_audited(connection: Connection, digests: Sequence[str]) -> bool:
    """Whether an entry with one of some digests is there."""
    return any(
        _select(connection, "Audit", [("digest", "==", digest)], ["position"]) for digest in digests
    )


def audit_page(connection: Connection, limit: int, before: int | None) -> tuple[AuditEntry, ...]:
    """Audit entries, newest first."""
    newest = connection.mirror.chain("audit").length
    high = newest + 1 if before is None else min(before, newest + 1)
    where = [("position", ">=", high - limit), ("position", "<", high)]
    found = [rows.audit_of(row)[0] for row in _select(connection, "Audit", where, None)]
    return tuple(sorted(found, key=lambda entry: entry.position, reverse=True))


def _moved(connection: Connection, chain: Chain) -> list[Operation]:
    """Write the ends of a chain, where they are as they were seen."""
    where = by_uuid(connection.mirror.chains[chain.name][0])
    seen = rows.chain_row(connection.mirror.chain(chain.name))
    return [wait("Chain", where, seen), update("Chain", where, rows.chain_row(chain))]


class Verifying:
    """Recomputes a chain, `_PAGE` rows a step, so that others are served in between."""

    def __init__(self, name: ChainName) -> None:
        self._name: ChainName = name
        self._last: Chain | None = None
        self._walk = Walk(Chain(name))

    def step(self, connection: Connection) -> Verification | None:
        """Look at some more; what came of it, once that was all."""
        if self._last is None:
            self._last, _ = _beside(connection, self._name, [("position", "<", 0)], ["position"])
            self._walk = Walk(self._last)
        last, walk = self._last, self._walk
        if walk.broken or walk.position >= last.length:
            for number in _strays(connection, self._name):
                walk.stray(number)
            return walk.end(last)
        top = min(walk.position + _PAGE, last.length)
        where = [("position", ">", walk.position), ("position", "<=", top)]
        chain, found = _beside(connection, self._name, where, None)
        walk.skip(chain)
        for row in sorted(found, key=lambda row: _integer(row, "position")):
            walk.take(_SEALED[self._name](row))
        walk.go_on(top)
        return None


def _strays(connection: Connection, name: ChainName) -> list[int]:
    """Rows that stand where the chain was pruned, or beside it; those of older releases may."""
    number = "number" if name == "revisions" else "position"
    where = [("position", "<=", connection.mirror.chain(name).pruned)]
    chain, found = _beside(connection, name, where, sorted({"position", number}))
    return sorted(
        _integer(row, number)
        for row in found
        if _integer(row, "position") or _integer(row, number) > chain.floor or name == "audit"
    )


_SEALED: dict[str, Callable[[Row], Any]] = {
    "revisions": rows.sealed_revision_row,
    "audit": rows.sealed_audit_row,
}


def answer(connection: Connection, asked: Request | None, oldest: float) -> Applied | None:
    """What a request was answered, at ``oldest`` or later.

    Raises:
        IntentError: its key came with another request.
    """
    if asked is None:
        return None
    where = [("author", "==", asked.author), ("key", "==", asked.key), ("time", ">=", oldest)]
    for row in _select(connection, "Request", where, ["fingerprint", "result"]):
        kept = answer_of(changes.unpacked(str(row["result"])))
        return replayed(asked, str(row["fingerprint"]), kept)
    return None


def remember(asked: Request | None, done: Applied, now: float, oldest: float) -> list[Operation]:
    """The operations that keep an answer; they fail where another one is kept."""
    if asked is None:
        return []
    mine: list[Condition] = [("author", "==", asked.author), ("key", "==", asked.key)]
    row = {
        "author": asked.author,
        "key": asked.key,
        "fingerprint": asked.fingerprint,
        "result": changes.packed(answer_text(done)),
        "time": now,
    }
    over = delete("Request", [*mine, ("time", "<", oldest)])
    return [over, wait("Request", mine), insert("Request", row)]


def _beside(
    connection: Connection, name: str, where: Sequence[Condition], columns: list[str] | None
) -> tuple[Chain, Sequence[Row]]:
    """Rows of a chain, and its ends at the same instant."""
    ends, found = connection.transact(
        [select("Chain", [("name", "==", name)]), select(_TABLES[name], where, columns)]
    )
    return rows.chain_of((ends.rows or ())[0]), found.rows or ()


def _select(
    connection: Connection, table: str, where: Sequence[Condition], columns: list[str] | None
) -> Sequence[Row]:
    return connection.transact([select(table, where, columns)])[0].rows or ()


def _integer(row: Row, column: str) -> int:
    return int(str(row[column]))


def tidy(connection: Connection, retention: Retention, now: float, *, count: bool) -> bool:
    """Prune `journal.BATCH` rows of each sort at most; whether there may be more to prune.

    One small transaction for each sort. One that is refused, because another client was first, is
    left until something is written again. With ``count``, kept answers are counted, too.
    """
    oldest = journal.oldest_answer(retention, now)
    batches = (
        _old_revisions(connection, retention, now),
        _old_audit(connection, retention),
        _old_answers(connection, oldest, count=count),
    )
    try:
        for operations in filter(None, batches):
            connection.transact(operations)
    except OvsdbError:
        return False
    return any(batches)


def _old_revisions(connection: Connection, retention: Retention, now: float) -> list[Operation]:
    chain = connection.mirror.chain("revisions")
    over = journal.excess(chain, retention.revisions)
    if not over and retention.seconds <= 0:
        return []
    where = [
        ("position", ">", chain.pruned),
        ("position", "<=", min(chain.pruned + journal.BATCH, chain.length - 1)),
    ]
    found = _select(connection, "Revision", where, ["number", "position", "digest", "time"])
    last: Row | None = None
    for row in sorted(found, key=lambda row: _integer(row, "position")):
        counted = _integer(row, "position") <= chain.pruned + over
        if not counted and not journal.too_old(str(row["time"]), now, retention):
            break
        last = row
    if last is None:
        return []
    return _legacy(connection) or _cut(connection, chain, last, _integer(last, "number"))


def _legacy(connection: Connection) -> list[Operation]:
    """Delete the oldest rows of releases before: they go before anything of the chain does."""
    found = _select(connection, "Revision", [("position", "==", 0)], ["number"])
    numbers = sorted(_integer(row, "number") for row in found)[: journal.BATCH]
    if not numbers:
        return []
    return [delete("Revision", [("position", "==", 0), ("number", "<=", numbers[-1])])]


def _old_audit(connection: Connection, retention: Retention) -> list[Operation]:
    chain = connection.mirror.chain("audit")
    over = min(journal.excess(chain, retention.audit), journal.BATCH)
    if not over:
        return []
    where = [("position", "==", chain.pruned + over)]
    found = _select(connection, "Audit", where, ["position", "digest"])
    return _cut(connection, chain, found[0], 0) if found else []


def _cut(connection: Connection, chain: Chain, last: Row, floor: int) -> list[Operation]:
    """Delete what is not after a row, whose digest becomes the anchor."""
    position = _integer(last, "position")
    where = [("position", ">", 0), ("position", "<=", position)]
    shorter = replace(chain, anchor=str(last["digest"]), pruned=position, floor=floor)
    return [*_moved(connection, shorter), delete(_TABLES[chain.name], where)]


def _old_answers(connection: Connection, oldest: float, *, count: bool) -> list[Operation]:
    where: list[Condition] = [] if count else [("time", "<", oldest)]
    found = _select(connection, "Request", where, ["time"]) if count or oldest else ()
    times = sorted(float(str(row["time"])) for row in found)
    over = max(len(times) - journal.ANSWERS, bisect_left(times, oldest))
    if over <= 0:
        return []
    last = times[min(over, journal.BATCH) - 1]
    return [delete("Request", [("time", "<=", last)])]
