# SPDX-License-Identifier: Apache-2.0
"""The store in an OVSDB database: embedded, or a RAFT cluster.

A transaction names the revision it was judged against, so it is carried out once or not at all:
after a lost race it is judged again; after a lost connection the journal tells whether it
happened.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from uuid import uuid4

from vneter_sdn.admission.admit import Admission, admit, sweep
from vneter_sdn.admission.colours import recoloured
from vneter_sdn.errors import Conflict, NotFound, OvsdbError, StoreUnavailable, VneterError
from vneter_sdn.model.access import Credential
from vneter_sdn.model.instants import rfc3339
from vneter_sdn.model.snapshot import Binding, Key, Revision, Status
from vneter_sdn.ovsdb.operations import Operation, commit, delete, insert, wait
from vneter_sdn.store import rows
from vneter_sdn.store.attached import ATTEMPTS, Attached, Concurrency
from vneter_sdn.store.connection import Connection
from vneter_sdn.store.port import Applied, Edit
from vneter_sdn.store.reports import JOURNAL, applied, journal_text, news

__all__ = ["Concurrency", "OvsdbStore"]
News = tuple[dict[Key, Binding | None], dict[Key, Status | None]]
"""Bindings and statuses to write; None removes."""


class OvsdbStore(Attached):
    """A `vneter_sdn.store.port.Store` in a database; safe to share between threads.

    Args:
        remotes: ``ssl:a:6641,ssl:b:6641``, ``unix:PATH``: all members of one cluster, or one
            server. With a cluster, only its leader is used.
        concurrency: threads and sockets.
        tls: key and certificates, for ``ssl:``.
        patience: seconds for which a call waits for a lost database before StoreUnavailable.

    Raises:
        StoreUnavailable: the database was not reached within ``patience`` seconds.
    """

    def apply(
        self, edits: Sequence[Edit], *, author: str, message: str = "", dry_run: bool = False
    ) -> Applied:
        """Admit and write all edits in one durable transaction; see `Store.apply`."""

        def judge() -> Admission:
            return admit(self._history.newest, edits, self._use.clock())

        if dry_run:
            return self._call(lambda connection: self._dry(connection, judge))
        uid = str(uuid4())

        def journal(admission: Admission) -> list[Operation]:
            entry = Revision(
                self._history.newest.revision + 1,
                journal_text(author),
                rfc3339(self._use.clock()),
                journal_text(message),
                admission.changes(),
            )
            absent = wait("Revision", [("uid", "==", uid)])
            kept = [("number", "<", entry.number - JOURNAL)]
            trim = [delete("Revision", kept)] if entry.number % 256 == 0 else []
            return [absent, insert("Revision", rows.revision_row(entry, uid)), *trim]

        attempts: dict[int, Admission] = {}
        return self._call(lambda connection: self._write(connection, judge, journal, uid, attempts))

    def sweep(self) -> Applied:
        """Forget rested releases and retry exhausted allocations; see `Store.sweep`."""

        def judge() -> Admission:
            return sweep(self._history.newest, self._use.clock())

        return self._call(lambda connection: self._write(connection, judge, lambda _: [], "", {}))

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

    def revisions(self, limit: int = 100, before: int | None = None) -> tuple[Revision, ...]:
        """The journal, newest first; see `Store.revisions`."""
        return self._call(lambda connection: connection.revisions(limit, before))

    def issue(self, credential: Credential) -> None:
        """Write a new credential; see `Store.issue`."""
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

    def _dry(self, connection: Connection, judge: Callable[[], Admission]) -> Applied:
        admission = self._judged(connection, judge)
        return applied(admission, self._history.newest.revision)

    def _judged(self, connection: Connection, judge: Callable[[], Admission]) -> Admission:
        """The judgement; what writes nothing is not checked by a commit, so it is checked here."""
        while True:
            self._drain(connection)
            refusal: VneterError | None = None
            try:
                admission = judge()
                if not admission.empty:
                    return admission
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
        judge: Callable[[], Admission],
        journal: Callable[[Admission], list[Operation]],
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
            admission = self._judged(connection, judge)
            newest = self._history.newest
            if admission.empty:
                return applied(admission, newest.revision)
            operations = connection.mirror.guarded(newest, admission) + journal(admission)
            attempts[newest.revision + 1] = self._expected = admission
            try:
                connection.transact([*operations, commit()])
                self._catch_up(connection, newest.revision + 1)
            except OvsdbError as error:
                if error.error != "timed out":
                    raise connection.refused(error) from error
                self._catch_up(connection, newest.revision + 1)
                self._stand_back(len(attempts))
            else:
                return applied(admission, newest.revision + 1)
            finally:
                self._expected = None
        raise StoreUnavailable(f"lost {ATTEMPTS} races against other writers; try again")
