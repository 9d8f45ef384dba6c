# SPDX-License-Identifier: Apache-2.0
"""A client of the database that stays attached: one thread, its jobs, and the newest snapshot.

One thread (or greenthread) owns the connection: it follows the monitor, publishes snapshots, and
carries out what callers hand it. Callers wait on a condition. Everything that waits is injected
(`Concurrency`), so this runs on plain threads and on eventlet.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import SystemRandom
from typing import Any, TypeVar

from vneter_sdn.admission.admit import Admission
from vneter_sdn.admission.allocation import indexed
from vneter_sdn.errors import OvsdbError, SessionClosed, StoreUnavailable, VneterError
from vneter_sdn.model.access import Credential
from vneter_sdn.model.pace import Breathe, on_and_on
from vneter_sdn.model.snapshot import Delta, Snapshot
from vneter_sdn.ovsdb.client import PLAIN
from vneter_sdn.ovsdb.operations import Operation
from vneter_sdn.ovsdb.transport import Network, TlsFiles
from vneter_sdn.store.connection import Connection, Unreachable, connect
from vneter_sdn.store.history import History
from vneter_sdn.store.jobs import Job, uncollected
from vneter_sdn.store.mirror import advanced

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

ATTEMPTS = 64
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


class Attached:
    """A connection that is kept, and what was seen over it; safe to share between threads."""

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
        self._owing = False
        """Whether something is left to do that nobody waits for."""
        self._credentials: Mapping[str, Credential] = {}
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
        self._check()
        return self._history.newest

    def credentials(self) -> tuple[Credential, ...]:
        """Every credential; see `Store.credentials`."""
        self._check()
        held = self._credentials
        return tuple(held[name] for name in sorted(held))

    def credential(self, name: str) -> Credential | None:
        """One credential; see `Store.credential`."""
        self._check()
        return self._credentials.get(name)

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

    def _check(self) -> None:
        if self._closed:
            raise StoreUnavailable("the store is closed")

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
            self._drain(connection, None if not (self._jobs or self._owing) else 0.0)
            while not self._closed and (job := next(iter(self._jobs), None)):
                self._do(job, connection)
            owing, self._owing = self._owing and not self._closed, False
            self._owing = owing and self._tidy(connection)

    def _tidy(self, connection: Connection) -> bool:
        """Do a little of what nobody waits for; whether there is more."""
        return False

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
        self._credentials = connection.mirror.credentials
        step = advanced(newest, found, revision, self._expected, self._use.breathe)
        if step is not None:
            with self._changed:
                self._history.advance(*step)
                self._changed.notify_all()

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
        for _ in range(ATTEMPTS):
            self._drain(connection)
            wanted = operations(connection)
            if not wanted:
                return
            try:
                connection.transact(wanted)
            except OvsdbError as error:
                if error.error == "I/O error":  # a full disk; nobody was first
                    raise connection.refused(error) from error
                refusal = str(error)
                self._drain(connection, 0.05)
            else:
                self._drain(connection)
                return
        raise StoreUnavailable(f"it was refused again and again: {refusal}")
