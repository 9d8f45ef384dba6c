# SPDX-License-Identifier: Apache-2.0
"""A store that proves what is written to it, before it is written: the setting ``verify_applies``.

Proven is that tenants stay isolated and that every Assertion holds, for all packets that a change
is about. What is not proven, because the proof failed or took too long, counts as what is wrong:
``enforce`` is a promise that nothing gets by, ``warn`` none.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from vneter_sdn.daemon.workbench import Proven, Proving
from vneter_sdn.errors import IntentError, Problem
from vneter_sdn.model.access import AuditEntry, Credential
from vneter_sdn.model.journal import Recorded, Verification
from vneter_sdn.model.snapshot import Binding, Delta, Key, Revision, Snapshot, Status
from vneter_sdn.store import once
from vneter_sdn.store.port import Allow, Applied, ChainName, Edit, Request, Store, anything

_LOG = logging.getLogger(__name__)


class VerifiedStore:
    """A `vneter_sdn.store.port.Store` that refuses, or remarks on, what breaks a proof.

    Args:
        store: where it is written.
        proving: who proves it.
        enforce: refuse; else `Applied.notes` say what is wrong.
    """

    def __init__(self, store: Store, proving: Proving, *, enforce: bool) -> None:
        self._store, self._prover, self._enforce = store, proving, enforce
        self._proving = threading.Lock()

    def apply(
        self,
        edits: Sequence[Edit],
        *,
        author: str,
        message: str = "",
        dry_run: bool = False,
        idempotency_key: str = "",
    ) -> Applied:
        """Admit, prove and write all edits at once, or none; see `Store.apply`.

        What is known by its idempotency key is not proven again.

        Raises:
            IntentError: as `Store.apply`; and when tenants would not be isolated any more, or an
                Assertion would not hold, with a packet that shows it; or when that is not known.
        """
        asked = None if dry_run else once.apply_asked(author, idempotency_key, edits, message)
        return self._known(asked) or self._prove(
            lambda: edits,
            lambda: self._store.apply(
                edits,
                author=author,
                message=message,
                dry_run=dry_run,
                idempotency_key=idempotency_key,
            ),
        )

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
        """Prove and go back to a revision; see `Store.rollback` and `apply`."""
        asked = once.rollback_asked(author, idempotency_key, number, message)
        return self._known(None if dry_run else asked) or self._prove(
            lambda: self._store.edits_back_to(number),
            lambda: self._store.rollback(
                number,
                author=author,
                message=message,
                dry_run=dry_run,
                idempotency_key=idempotency_key,
                allow=allow,
            ),
        )

    def _known(self, asked: Request | None) -> Applied | None:
        return self._store.remembered(asked) if asked else None

    def _prove(self, edits: Callable[[], Sequence[Edit]], write: Callable[[], Applied]) -> Applied:
        """Prove what some edits come to, then write it."""
        with self._proving:
            proven = self._proven(edits())
            if proven.problems and self._enforce:
                raise IntentError(*(_timed(one, proven.seconds) for one in proven.problems))
            applied = write()
        for problem in proven.problems:
            _LOG.warning("applied, though: %s", problem)
        notes = (*applied.notes, *map(str, proven.problems))
        return replace(applied, notes=notes, proven=proven.seconds)

    def _proven(self, edits: Sequence[Edit]) -> Proven:
        try:
            return self._prover.prove(edits, self._store.snapshot())
        except Exception:  # noqa: BLE001 -- a fault of the proof's is no reason to end the server
            _LOG.exception("the proof failed")
            text = "it could not be proven, for the proof itself failed; the log says more"
            return Proven((Problem("change", "", "NotProven", text),), 0.0)

    # ---- everything else is the store's

    def snapshot(self) -> Snapshot:
        """See `Store.snapshot`."""
        return self._store.snapshot()

    def sweep(self) -> Applied:
        """See `Store.sweep`."""
        return self._store.sweep()

    def colour(self, assigned: Mapping[str, int], released: Collection[str] = ()) -> None:
        """See `Store.colour`."""
        self._store.colour(assigned, released)

    def bind(self, bound: Sequence[Binding], unbound: Sequence[Key] = ()) -> None:
        """See `Store.bind`."""
        self._store.bind(bound, unbound)

    def report(self, statuses: Sequence[Status], gone: Collection[Key] = ()) -> None:
        """See `Store.report`."""
        self._store.report(statuses, gone)

    def wait(self, after: Snapshot, timeout: float) -> tuple[Snapshot, Delta] | None:
        """See `Store.wait`."""
        return self._store.wait(after, timeout)

    def edits_back_to(self, number: int) -> tuple[Edit, ...]:
        """See `Store.edits_back_to`."""
        return self._store.edits_back_to(number)

    def remembered(self, asked: Request) -> Applied | None:
        """See `Store.remembered`."""
        return self._store.remembered(asked)

    def revisions(
        self, limit: int = 100, before: int | None = None, *, author: str = "", about: str = ""
    ) -> tuple[Revision, ...]:
        """See `Store.revisions`."""
        return self._store.revisions(limit, before, author=author, about=about)

    def revision(self, number: int) -> Recorded:
        """See `Store.revision`."""
        return self._store.revision(number)

    def verify(self, chain: ChainName = "revisions") -> Verification:
        """See `Store.verify`."""
        return self._store.verify(chain)

    def audit(self, entries: Sequence[AuditEntry]) -> None:
        """See `Store.audit`."""
        self._store.audit(entries)

    def audited(self, limit: int = 100, before: int | None = None) -> tuple[AuditEntry, ...]:
        """See `Store.audited`."""
        return self._store.audited(limit, before)

    def credentials(self) -> tuple[Credential, ...]:
        """See `Store.credentials`."""
        return self._store.credentials()

    def credential(self, name: str) -> Credential | None:
        """See `Store.credential`."""
        return self._store.credential(name)

    def issue(self, credential: Credential) -> None:
        """See `Store.issue`."""
        self._store.issue(credential)

    def revoke(self, name: str) -> None:
        """See `Store.revoke`."""
        self._store.revoke(name)

    def close(self) -> None:
        """See `Store.close`."""
        self._prover.close()
        self._store.close()


def _timed(problem: Problem, seconds: float) -> Problem:
    return replace(problem, message=f"{problem.message}; that took {seconds:.2f} s to find")
