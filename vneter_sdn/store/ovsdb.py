# SPDX-License-Identifier: Apache-2.0
"""The store in an OVSDB database: embedded, or a RAFT cluster.

A transaction names the revision it was judged against, so it is carried out once or not at all:
after a lost race it is judged again; after a lost connection the journal tells whether it
happened.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple
from uuid import uuid4

from vneter_sdn.admission.admit import Admission, admit, sweep
from vneter_sdn.admission.colours import recoloured
from vneter_sdn.errors import (
    Conflict,
    NotFound,
    OvsdbError,
    SessionClosed,
    StoreUnavailable,
    VneterError,
)
from vneter_sdn.model.access import AuditEntry, Credential
from vneter_sdn.model.journal import Recorded, Verification
from vneter_sdn.model.snapshot import Binding, Key, Revision, Status
from vneter_sdn.ovsdb.operations import Operation, commit, delete, insert, wait
from vneter_sdn.ovsdb.transport import TlsFiles
from vneter_sdn.store import ledger, once, rows
from vneter_sdn.store.attached import ATTEMPTS, Attached, Concurrency
from vneter_sdn.store.chain import with_audit, with_revision
from vneter_sdn.store.connection import Connection
from vneter_sdn.store.journal import COUNTED, entry_of, noted, oldest_answer, would
from vneter_sdn.store.port import Allow, Applied, ChainName, Edit, Request, Retention, anything
from vneter_sdn.store.reports import applied, journal_text, news, require_clean
from vneter_sdn.store.rewind import Rewind, begun, message_of

__all__ = ["Concurrency", "OvsdbStore"]
Judge = Callable[[Connection], Admission]
News = tuple[dict[Key, Binding | None], dict[Key, Status | None]]
"""Bindings and statuses to write; None removes."""


class Note(NamedTuple):
    """What goes with an admission into the journal."""

    author: str
    message: str
    asked: Request | None
    """Whose answer is kept."""


class OvsdbStore(Attached):
    """A `vneter_sdn.store.port.Store` in a database; safe to share between threads.

    Args:
        remotes: ``ssl:a:6641,ssl:b:6641``, ``unix:PATH``: all members of one cluster, or one
            server. With a cluster, only its leader is used.
        concurrency: threads and sockets.
        tls: key and certificates, for ``ssl:``.
        patience: seconds for which a call waits for a lost database before StoreUnavailable.
        retention: how much of the past is kept.

    Raises:
        StoreUnavailable: the database was not reached within ``patience`` seconds.
    """

    def __init__(
        self,
        remotes: str,
        *,
        concurrency: Concurrency | None = None,
        tls: TlsFiles | None = None,
        patience: float = 5.0,
        retention: Retention | None = None,
    ) -> None:
        self._retention = retention or Retention()
        self._answered = COUNTED
        """Answers kept by this client since it counted all."""
        super().__init__(remotes, concurrency=concurrency, tls=tls, patience=patience)

    def apply(
        self,
        edits: Sequence[Edit],
        *,
        author: str,
        message: str = "",
        dry_run: bool = False,
        idempotency_key: str = "",
    ) -> Applied:
        """Admit and write all edits in one durable transaction; see `Store.apply`."""
        asked = once.apply_asked(author, idempotency_key, edits, message)

        def judge(_: Connection) -> Admission:
            return admit(self._history.newest, edits, self._use.clock())

        if dry_run:
            return self._call(lambda connection: self._dry(connection, judge))
        return self._carry_out(Note(author, message, asked), judge)

    def rollback(
        self,
        number: int,
        *,
        author: str,
        message: str = "",
        dry_run: bool = False,
        idempotency_key: str = "",
        allow: Allow = anything,
    ) -> Applied:
        """Go back to a revision, in a new one; see `Store.rollback`."""
        asked = once.rollback_asked(author, idempotency_key, number, message)
        known = asked is not None and not dry_run and self.remembered(asked) is not None
        steps = [] if known else self._read_back(number)

        def judge(connection: Connection) -> Admission:
            back = self._rewound(connection, number, steps)
            newest = self._history.newest  # which reading may have moved on
            edits = back.edits(newest)
            allow(edits)
            return admit(newest, edits, self._use.clock(), back.lost)

        if dry_run:
            return self._call(lambda connection: self._dry(connection, judge))
        return self._carry_out(Note(author, message_of(number, message), asked), judge)

    def edits_back_to(self, number: int) -> tuple[Edit, ...]:
        """What a rollback would apply; see `Store.edits_back_to`."""
        steps = self._read_back(number)

        def work(connection: Connection) -> tuple[Edit, ...]:
            return self._rewound(connection, number, steps).edits(self._history.newest)

        return self._call(work)

    def remembered(self, asked: Request) -> Applied | None:
        """What a request was answered; see `Store.remembered`."""
        return self._call(lambda connection: ledger.answer(connection, asked, self._oldest()))

    def _read_back(self, number: int) -> list[Rewind]:
        """Read what was at a revision, a page at a time: others are served in between."""
        steps: list[Rewind] = []
        while not self._call(lambda connection: self._rewind(connection, number, steps)):
            pass
        return steps

    def _rewound(self, connection: Connection, number: int, steps: list[Rewind]) -> Rewind:
        """What was at a revision; what ``steps`` holds is not read again."""
        while not self._rewind(connection, number, steps):
            pass
        return steps[0]

    def _rewind(self, connection: Connection, number: int, steps: list[Rewind]) -> bool:
        """Read some of it; whether that is all there is."""
        self._drain(connection)
        if number > self._history.newest.revision:
            self._catch_up(connection, connection.revision())
        revision = self._history.newest.revision
        if not steps:
            steps.append(begun(number, connection.mirror.chain("revisions"), revision))
        ledger.rewind(connection, steps[0], revision)
        return steps[0].seen >= revision

    def _carry_out(self, note: Note, judge: Judge) -> Applied:
        uid, attempts = str(uuid4()), dict[int, Admission]()
        return self._call(lambda connection: self._write(connection, judge, note, uid, attempts))

    def _oldest(self) -> float:
        return oldest_answer(self._retention, self._use.clock())

    def sweep(self) -> Applied:
        """Forget rested releases and retry exhausted allocations; see `Store.sweep`."""

        def judge(_: Connection) -> Admission:
            return sweep(self._history.newest, self._use.clock())

        return self._call(lambda connection: self._write(connection, judge, None, "", {}))

    def colour(self, assigned: Mapping[str, int], released: Collection[str] = ()) -> None:
        """Write which routes have which colour; see `Store.colour`."""

        def operations(connection: Connection) -> list[Operation]:
            newest, now = self._history.newest, self._use.clock()
            changes = recoloured(newest, assigned, released, now)
            return connection.mirror.colours(newest, changes) + [commit()] * bool(changes)

        self._call(lambda connection: self._repeat(connection, operations))

    def bind(self, bound: Sequence[Binding], unbound: Sequence[Key] = ()) -> None:
        """Write where endpoints are; see `Store.bind`."""
        self._note(lambda: news(self._history.newest, bound, unbound, ()))

    def report(self, statuses: Sequence[Status], gone: Collection[Key] = ()) -> None:
        """Write what was observed; see `Store.report`."""
        self._note(lambda: news(self._history.newest, (), (), statuses, gone))

    def _note(self, wanted: Callable[[], News]) -> None:
        def operations(connection: Connection) -> list[Operation]:
            return connection.mirror.reports(*wanted())

        self._call(lambda connection: self._repeat(connection, operations))

    def revisions(
        self, limit: int = 100, before: int | None = None, *, author: str = "", about: str = ""
    ) -> tuple[Revision, ...]:
        """The journal, newest first; see `Store.revisions`."""
        which = (journal_text(author), journal_text(about))
        return self._call(lambda connection: ledger.page(connection, limit, before, *which))

    def revision(self, number: int) -> Recorded:
        """One revision with its diff; see `Store.revision`."""
        return self._call(lambda connection: ledger.recorded(connection, number))

    def verify(self, chain: ChainName = "revisions") -> Verification:
        """Recompute a chain of digests; see `Store.verify`."""
        verifying, found = ledger.Verifying(chain), None
        while found is None:
            found = self._call(verifying.step)
        return found

    def audit(self, entries: Sequence[AuditEntry]) -> None:
        """Append to the audit chain; see `Store.audit`."""
        tried: list[str] = []  # whose answer may have been lost

        def operations(connection: Connection) -> list[Operation]:
            if not entries or ledger.is_audited(connection, tried):
                return []
            now, chain = self._use.clock(), connection.mirror.chain("audit")
            written = []
            for entry in entries:
                previous = chain.head
                chain, sealed = with_audit(chain, noted(entry, now))
                written.append((sealed, previous))
            tried.append(chain.head)
            self._owing = True
            return [*ledger.audited(connection, written, chain), commit()]

        self._call(lambda connection: self._repeat(connection, operations))

    def audited(self, limit: int = 100, before: int | None = None) -> tuple[AuditEntry, ...]:
        """The audit chain, newest first; see `Store.audited`."""
        return self._call(lambda connection: ledger.audit_page(connection, limit, before))

    def issue(self, credential: Credential) -> None:
        """Write a new credential; see `Store.issue`."""
        require_clean(credential)
        tried: list[Credential] = []  # whose answer may have been lost

        def operations(connection: Connection) -> list[Operation]:
            found = connection.mirror.credentials.get(credential.name)
            if found is not None and found in tried:
                return []
            tried.append(credential)
            if found is not None:
                raise Conflict(f"there is a credential {credential.name} already")
            absent = wait("Credential", [("name", "==", credential.name)])
            return [absent, insert("Credential", rows.credential_row(credential)), commit()]

        self._call(lambda connection: self._repeat(connection, operations))

    def revoke(self, name: str) -> None:
        """Delete a credential; see `Store.revoke`."""
        tried: list[str] = []

        def operations(connection: Connection) -> list[Operation]:
            if name not in connection.mirror.credentials:
                if tried:
                    return []
                raise NotFound(f"there is no credential {name}")
            tried.append(name)
            return [delete("Credential", [("name", "==", name)]), commit()]

        self._call(lambda connection: self._repeat(connection, operations))

    def _tidy(self, connection: Connection) -> bool:
        count = self._answered >= COUNTED
        more = ledger.tidy(connection, self._retention, self._use.clock(), count=count)
        if count and not more:
            self._answered = 0
        return more

    def _dry(self, connection: Connection, judge: Judge) -> Applied:
        admission = self._judged(connection, judge)
        return would(self._history.newest, admission)

    def _judged(self, connection: Connection, judge: Judge) -> Admission:
        """The judgement; what writes nothing is not checked by a commit, so it is checked here."""
        while True:
            self._drain(connection)
            refusal: VneterError | None = None
            try:
                admission = judge(connection)
                if not admission.empty:
                    return admission
            except SessionClosed:
                raise
            except VneterError as error:
                refusal = error
            revision = connection.revision()
            if revision > self._history.newest.revision:
                self._catch_up(connection, revision)
            elif refusal is not None:
                raise refusal
            else:
                return admission

    def _write(
        self,
        connection: Connection,
        judge: Judge,
        note: Note | None,
        uid: str,
        attempts: dict[int, Admission],
    ) -> Applied:
        """Judge and commit until one attempt is carried out. ``attempts`` outlives connections."""
        while len(attempts) < ATTEMPTS:
            self._drain(connection)
            if uid and attempts:
                revision = connection.find(uid)
                if revision is not None:
                    self._catch_up(connection, revision)
                    return applied(attempts[revision], revision)
            known = ledger.answer(connection, note.asked, self._oldest()) if note else None
            if known is not None:
                self._catch_up(connection, known.revision)
                return known
            admission = self._judged(connection, judge)
            newest = self._history.newest
            done = applied(admission, newest.revision + (not admission.empty))
            operations = self._operations(connection, admission, note, done, uid)
            if not operations:
                return done
            attempts[newest.revision + 1] = self._expected = admission
            try:
                connection.transact([*operations, commit()])
                self._catch_up(connection, done.revision)
            except OvsdbError as error:
                if error.error != "timed out":
                    raise connection.refused(error) from error
                self._catch_up(connection, connection.revision())
                self._stand_back(len(attempts))
            else:
                self._owing = self._owing or note is not None
                self._answered += bool(note and note.asked)
                return done
            finally:
                self._expected = None
        raise StoreUnavailable(f"lost {ATTEMPTS} races against other writers; try again")

    def _operations(
        self,
        connection: Connection,
        admission: Admission,
        note: Note | None,
        done: Applied,
        uid: str,
    ) -> list[Operation]:
        """What writes an admission, its place in the journal, and the answer to keep."""
        newest, now = self._history.newest, self._use.clock()
        operations: list[Operation] = []
        if not admission.empty:
            operations += connection.mirror.guarded(newest, admission)
        if note is not None and not admission.empty:
            entry = entry_of(newest, admission, now, note.author, note.message)
            chain, entry = with_revision(connection.mirror.chain("revisions"), entry)
            operations += ledger.appended(connection, entry, chain, uid)
        if note is not None:
            operations += ledger.remember(note.asked, done, now, self._oldest())
        return operations
