# SPDX-License-Identifier: Apache-2.0
"""The in-memory twin of the database: the same promises, without durability."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence

from vneter_sdn.admission.admit import Admission, admit, sweep
from vneter_sdn.admission.advance import carried_out, with_colours, with_reports
from vneter_sdn.admission.allocation import indexed
from vneter_sdn.admission.colours import recoloured
from vneter_sdn.errors import Conflict, NotFound, StoreUnavailable
from vneter_sdn.model.access import AuditEntry, Credential
from vneter_sdn.model.journal import Recorded, Verification
from vneter_sdn.model.snapshot import Binding, Delta, Key, Revision, Snapshot, Status
from vneter_sdn.store import once
from vneter_sdn.store.history import History
from vneter_sdn.store.journal import would
from vneter_sdn.store.memory_journal import MemoryJournal
from vneter_sdn.store.port import Allow, Applied, ChainName, Edit, Request, Retention, anything
from vneter_sdn.store.reports import applied, journal_text, news, require_clean
from vneter_sdn.store.rewind import message_of


class MemoryStore:
    """A `vneter_sdn.store.port.Store` in this process; safe to share between threads."""

    def __init__(
        self, clock: Callable[[], float] = time.time, retention: Retention | None = None
    ) -> None:
        """Start empty; ``clock`` gives POSIX seconds."""
        self._clock = clock
        self._changed = threading.Condition()
        self._history = History(indexed(Snapshot()))
        self._journal = MemoryJournal(retention or Retention())
        self._credentials: dict[str, Credential] = {}
        self._closed = False

    def snapshot(self) -> Snapshot:
        """The newest state."""
        with self._changed:
            self._check()
            return self._history.newest

    def apply(
        self,
        edits: Sequence[Edit],
        *,
        author: str,
        message: str = "",
        dry_run: bool = False,
        idempotency_key: str = "",
    ) -> Applied:
        """Admit and write all edits at once, or none; see `Store.apply`."""
        asked = once.apply_asked(author, idempotency_key, edits, message)

        def judge(now: float) -> Admission:
            return admit(self._history.newest, edits, now)

        return self._carry_out(judge, author, message, None if dry_run else asked, dry_run)

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

        def judge(now: float) -> Admission:
            newest = self._history.newest
            back = self._journal.rewound(number, newest.revision)
            edits = back.edits(newest)
            allow(edits)
            return admit(newest, edits, now, back.lost)

        told = message_of(number, message)
        return self._carry_out(judge, author, told, None if dry_run else asked, dry_run)

    def edits_back_to(self, number: int) -> tuple[Edit, ...]:
        """What a rollback would apply; see `Store.edits_back_to`."""
        with self._changed:
            self._check()
            newest = self._history.newest
            return self._journal.rewound(number, newest.revision).edits(newest)

    def remembered(self, asked: Request) -> Applied | None:
        """What a request was answered; see `Store.remembered`."""
        with self._changed:
            self._check()
            return self._journal.answer(asked, self._clock())

    def _carry_out(
        self,
        judge: Callable[[float], Admission],
        author: str,
        message: str,
        asked: Request | None,
        dry_run: bool,
    ) -> Applied:
        with self._changed:
            self._check()
            now = self._clock()
            if known := self._journal.answer(asked, now):
                return known
            before = self._history.newest
            admission = judge(now)
            if dry_run:
                return would(before, admission)
            self._write(admission)
            if not admission.empty:
                self._journal.write(before, admission, now, author, message)
            done = applied(admission, self._history.newest.revision)
            self._journal.remember(asked, done, now)
            return done

    def sweep(self) -> Applied:
        """Forget rested releases and retry exhausted allocations; see `Store.sweep`."""
        with self._changed:
            self._check()
            admission = sweep(self._history.newest, self._clock())
            self._write(admission)
            return applied(admission, self._history.newest.revision)

    def colour(self, assigned: Mapping[str, int], released: Collection[str] = ()) -> None:
        """Write which routes have which colour; see `Store.colour`."""
        with self._changed:
            self._check()
            changes = recoloured(self._history.newest, assigned, released, self._clock())
            if changes:
                self._history.advance(*with_colours(self._history.newest, changes))
                self._changed.notify_all()

    def bind(self, bound: Sequence[Binding], unbound: Sequence[Key] = ()) -> None:
        """Write where endpoints are; see `Store.bind`."""
        with self._changed:
            self._check()
            self._report(bound, unbound, (), ())

    def report(self, statuses: Sequence[Status], gone: Collection[Key] = ()) -> None:
        """Write what was observed; see `Store.report`."""
        with self._changed:
            self._check()
            self._report((), (), statuses, gone)

    def wait(self, after: Snapshot, timeout: float) -> tuple[Snapshot, Delta] | None:
        """Wait until the state differs; see `Store.wait`."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._closed or self._history.newest is not after, timeout
            )
            self._check()
            if self._history.newest is after:
                return None
            return self._history.newest, self._history.since(after)

    def revisions(
        self, limit: int = 100, before: int | None = None, *, author: str = "", about: str = ""
    ) -> tuple[Revision, ...]:
        """The journal, newest first; see `Store.revisions`."""
        with self._changed:
            self._check()
            return self._journal.revisions(limit, before, journal_text(author), about)

    def revision(self, number: int) -> Recorded:
        """One revision with its diff; see `Store.revision`."""
        with self._changed:
            self._check()
            return self._journal.revision(number)

    def verify(self, chain: ChainName = "revisions") -> Verification:
        """Recompute a chain of digests; see `Store.verify`."""
        with self._changed:
            self._check()
            return self._journal.verify(chain)

    def audit(self, entries: Sequence[AuditEntry]) -> None:
        """Append to the audit chain; see `Store.audit`."""
        with self._changed:
            self._check()
            self._journal.audit(entries, self._clock())

    def audited(self, limit: int = 100, before: int | None = None) -> tuple[AuditEntry, ...]:
        """The audit chain, newest first; see `Store.audited`."""
        with self._changed:
            self._check()
            return self._journal.audited(limit, before)

    def credentials(self) -> tuple[Credential, ...]:
        """Every credential; see `Store.credentials`."""
        with self._changed:
            self._check()
            return tuple(self._credentials[name] for name in sorted(self._credentials))

    def credential(self, name: str) -> Credential | None:
        """One credential; see `Store.credential`."""
        with self._changed:
            self._check()
            return self._credentials.get(name)

    def issue(self, credential: Credential) -> None:
        """Write a new credential; see `Store.issue`."""
        require_clean(credential)
        with self._changed:
            self._check()
            if credential.name in self._credentials:
                raise Conflict(f"there is a credential {credential.name} already")
            self._credentials[credential.name] = credential

    def revoke(self, name: str) -> None:
        """Delete a credential; see `Store.revoke`."""
        with self._changed:
            self._check()
            if self._credentials.pop(name, None) is None:
                raise NotFound(f"there is no credential {name}")

    def close(self) -> None:
        """Wake whoever waits; they and all later callers get StoreUnavailable."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _check(self) -> None:
        if self._closed:
            raise StoreUnavailable("the store is closed")

    def _write(self, admission: Admission) -> None:
        if not admission.empty:
            self._history.advance(*carried_out(self._history.newest, admission))
            self._changed.notify_all()

    def _report(
        self,
        bound: Sequence[Binding],
        unbound: Sequence[Key],
        statuses: Sequence[Status],
        gone: Collection[Key],
    ) -> None:
        newest = self._history.newest
        bindings, changed = news(newest, bound, unbound, statuses, gone)
        if bindings or changed:
            delta = Delta(bindings=frozenset(bindings), statuses=frozenset(changed))
            self._history.advance(with_reports(newest, bindings, changed), delta)
            self._changed.notify_all()
