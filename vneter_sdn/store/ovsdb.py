# SPDX-License-Identifier: Apache-2.0
"""The store in an OVSDB database: embedded, or a RAFT cluster.

One thread (or greenthread) per store owns the connection: it follows the monitor, publishes
snapshots, and carries out what callers hand it. Callers wait on a condition. Everything that
waits is injected (`Concurrency`), so this runs on plain threads and on eventlet.

A transaction names the revision it was judged against, so it is carried out once or not at all:
after a lost race it is judged again; after a lost connection the journal tells whether it
happened.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from random import SystemRandom
from typing import Any, TypeVar
from uuid import uuid4

from vneter_sdn.admission.admit import Admission, admit, sweep
from vneter_sdn.admission.allocation import indexed
from vneter_sdn.admission.colours import recoloured
from vneter_sdn.errors import OvsdbError, SessionClosed, StoreUnavailable, VneterError
from vneter_sdn.model.instants import rfc3339
from vneter_sdn.model.pace import Breathe, on_and_on
from vneter_sdn.model.snapshot import Binding, Delta, Key, Revision, Snapshot, Status
from vneter_sdn.ovsdb.client import PLAIN
from vneter_sdn.ovsdb.operations import Operation, commit, delete, insert, wait
from vneter_sdn.ovsdb.transport import Network, TlsFiles
from vneter_sdn.store import rows
from vneter_sdn.store.connection import Connection, Unreachable, connect
from vneter_sdn.store.history import History
from vneter_sdn.store.jobs import Job, uncollected
from vneter_sdn.store.mirror import advanced
from vneter_sdn.store.port import Applied, Edit
from vneter_sdn.store.reports import JOURNAL, applied, journal_text, news

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
News = tuple[dict[Key, Binding | None], dict[Key, Status | None]]
"""Bindings and statuses to write; None removes."""

_ATTEMPTS = 64
"""Lost races and lost connections that one call bears before it gives up."""


@dataclass(frozen=True, slots=True)
class Concurrency:
    """How to run beside others and how to wait for them."""

    threads: Any = threading
    """Module-like, with ``Thread`` and ``Condition``; ``eventlet.green.threading`` on eventlet."""
    network: Network = PLAIN
    """Sockets and select."""
    clock: Callable[[], float] = time.time
    """POSIX seconds, for what is written."""
    breathe: Breathe = on_and_on
    """Lets others run while much arrives at once, where threads do not run by themselves."""


class OvsdbStore:
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

    def __init__(
        self,
        remotes: str,
        *,
        concurrency: Concurrency | None = None,
        tls: TlsFiles | None = None,
        patience: float = 5.0,
    ) -> None:
        self._use = concurrency or Concurrency()
        self._remotes = [remote.strip() for remote in remotes.split(",") if remote.strip()]
        self._tls, self._patience = tls, patience
        self._changed = self._use.threads.Condition()
        self._history = History(indexed(Snapshot()))
        self._jobs: deque[Job] = deque()
        self._connection: Connection | None = None
        self._why = "not yet connected"
        self._jitter = SystemRandom()
        self._expected: Admission | None = None
        self._closed = False
        self._loaded = self._reading = False
        self._thread = self._use.threads.Thread(target=self._run, name="vneter-store", daemon=True)
        self._thread.start()
        self._await_load(self._use.network.clock() + patience)
        if not self._loaded:
            self.close()
            raise StoreUnavailable(f"{remotes}: {self._why}")

    def _await_load(self, until: float) -> None:
        """Wait for the first snapshot.

        Patience is for a database that does not answer. A large one takes long to read; to give
        up on it would be to begin the same work again, beside the first.
        """
        with self._changed:
            while not self._loaded and (left := until - self._use.network.clock()) > 0:
                self._changed.wait_for(lambda: self._loaded or self._reading, left)
                self._changed.wait_for(lambda: self._loaded or not self._reading)

    @property
    def connected(self) -> bool:
        """Whether the database is reached right now; snapshots grow old while it is not."""
        return self._connection is not None

    def snapshot(self) -> Snapshot:
        """The newest state; the last one known while the database is not reached."""
        if self._closed:
            raise StoreUnavailable("the store is closed")
        return self._history.newest

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

    def wait(self, after: Snapshot, timeout: float) -> tuple[Snapshot, Delta] | None:
        """Wait until the state differs; see `Store.wait`."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._closed or self._history.newest is not after, timeout
            )
            if self._closed:
                raise StoreUnavailable("the store is closed")
            if self._history.newest is after:
                return None
            return self._history.newest, self._history.since(after)

    def revisions(self, limit: int = 100, before: int | None = None) -> tuple[Revision, ...]:
        """The journal, newest first; see `Store.revisions`."""
        return self._call(lambda connection: connection.revisions(limit, before))

    def close(self) -> None:
        """Close the connection; callers that wait get StoreUnavailable."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        while self._thread.is_alive() and self._connection is not None:
            self._connection.client.interrupt()
            self._thread.join(0.05)

    # What callers hand over, and the thread that takes it.

    def _call(self, work: Callable[[Connection], _T]) -> _T:
        job = Job(work, self._use.network.clock() + self._patience)
        with self._changed:
            if self._closed:
                raise StoreUnavailable("the store is closed")
            self._jobs.append(job)
            self._changed.notify_all()
            while not (job.done or job.started or self._closed):
                if self._use.network.clock() >= job.until:
                    self._jobs.remove(job)
                    raise StoreUnavailable(self._why or "the database is busy")
                if self._connection is not None:
                    self._connection.client.interrupt()
                self._changed.wait(0.05)  # the connection may be another by then
            self._changed.wait_for(lambda: job.done or self._closed)
        if not job.done:
            raise StoreUnavailable("the store was closed meanwhile")
        if job.error is not None:
            raise job.error
        result: _T = job.result
        return result

    def _run(self) -> None:
        failures = 0
        while not self._closed:
            try:
                with uncollected():
                    self._connection = self._connect()
                failures = 0
                self._serve(self._connection)
            except (Unreachable, SessionClosed, VneterError) as error:
                self._lost(error)
            except Exception as error:  # noqa: BLE001 -- this thread must outlive its mistakes
                _log.exception("the store's connection failed unexpectedly")
                self._lost(error)
            failures += 1
            self._pause(min(2.0, 0.05 * 2 ** min(failures, 6)))
        self._lost(StoreUnavailable("closed"))

    def _connect(self) -> Connection:
        use = self._use
        connection, first = connect(
            self._remotes, use.network, self._tls, self._reached, use.breathe
        )
        if connection.mirror.revision < self._history.newest.revision:
            connection.client.close()
            raise Unreachable(
                f"the database went back from revision {self._history.newest.revision} to "
                f"{connection.mirror.revision}; restart the controller to go on with it"
            )
        gone: dict[str, dict[Any, Any]] = {
            "Object": dict.fromkeys(self._history.newest.objects),
            "Allocation": dict.fromkeys(self._history.newest.allocations),
            "Binding": dict.fromkeys(self._history.newest.bindings),
            "Status": dict.fromkeys(self._history.newest.statuses),
        }
        self._publish(connection, {table: {**gone[table], **first[table]} for table in gone})
        with self._changed:
            self._loaded, self._reading = True, False
            self._changed.notify_all()
        return connection

    def _reached(self) -> None:
        with self._changed:
            self._reading = True
            self._changed.notify_all()

    def _lost(self, error: BaseException) -> None:
        connection, self._connection = self._connection, None
        self._why = str(error)
        with self._changed:
            self._reading = False
            self._changed.notify_all()
        if connection is not None:
            connection.client.close()
            if not self._closed:
                _log.warning("the database was lost: %s", error)

    def _pause(self, seconds: float) -> None:
        """Wait before connecting again; fail the jobs whose patience is over."""
        now = self._use.network.clock()
        with self._changed:
            for job in list(self._jobs):
                if now >= job.until:
                    self._jobs.remove(job)
                    job.error, job.done = StoreUnavailable(self._why), True
            self._changed.notify_all()
            if not self._closed:
                self._changed.wait(seconds)

    def _serve(self, connection: Connection) -> None:
        while not self._closed:
            self._drain(connection, None if not self._jobs else 0.0)
            while not self._closed and (job := next(iter(self._jobs), None)):
                self._do(job, connection)

    def _do(self, job: Job, connection: Connection) -> None:
        """Carry out the first job; one that loses the connection stays first."""
        with self._changed:
            if job not in self._jobs:
                return
            job.started = True
            self._changed.notify_all()
        try:
            with uncollected():
                job.result = job.work(connection)
        except SessionClosed:
            raise
        except Exception as error:  # noqa: BLE001 -- it belongs to the caller
            job.error = error
        with self._changed:
            self._jobs.remove(job)
            job.done = True
            self._changed.notify_all()

    # Work on the connection, in its thread.

    def _drain(self, connection: Connection, timeout: float | None = 0.0) -> None:
        """Take over the updates that arrived."""
        for change in connection.client.poll(timeout):
            self._publish(connection, connection.mirror.take(change))

    def _publish(self, connection: Connection, found: dict[str, dict[Any, Any]]) -> None:
        newest, revision = self._history.newest, connection.mirror.revision
        step = advanced(newest, found, revision, self._expected, self._use.breathe)
        if step is not None:
            with self._changed:
                self._history.advance(*step)
                self._changed.notify_all()

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
        while len(attempts) < _ATTEMPTS:
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
        raise StoreUnavailable(f"lost {_ATTEMPTS} races against other writers; try again")

    def _stand_back(self, attempt: int) -> None:
        """Let other writers go first for a moment, longer after more lost races."""
        with self._changed:
            self._changed.wait(self._jitter.uniform(0.0, min(0.1, 0.001 * attempt)))

    def _catch_up(self, connection: Connection, revision: int) -> None:
        """Take over updates until this revision is seen."""
        until = self._use.network.clock() + connection.client.limits.deadline
        while self._history.newest.revision < revision:
            if self._use.network.clock() > until:
                connection.client.close()
                raise SessionClosed(f"revision {revision} never arrived")
            self._drain(connection, 0.1)

    def _repeat(
        self, connection: Connection, operations: Callable[[Connection], list[Operation]]
    ) -> None:
        """Write what no revision guards, looking again as long as others were first."""
        refusal = ""
        for _ in range(_ATTEMPTS):
            self._drain(connection)
            wanted = operations(connection)
            if not wanted:
                return
            try:
                connection.transact(wanted)
            except OvsdbError as error:
                refusal = str(error)
                self._drain(connection, 0.05)
            else:
                self._drain(connection)
                return
        raise StoreUnavailable(f"it was refused again and again: {refusal}")
