# SPDX-License-Identifier: Apache-2.0
"""What every store promises.

One contract suite holds `memory.MemoryStore` and `ovsdb.OvsdbStore` to it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from vneter_sdn.model.access import AuditEntry, Credential
from vneter_sdn.model.journal import Change, Recorded, Verification
from vneter_sdn.model.snapshot import Binding, Delta, Key, Revision, Snapshot, Status

ChainName = Literal["revisions", "audit"]
"""The chains there are."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One object to write or delete."""

    verb: Literal["apply", "create", "replace", "delete"]
    """``apply`` creates or replaces; ``create`` refuses an object that exists, ``replace`` one that
    does not."""
    key: Key
    manifest: Mapping[str, Any] | None = None
    """The manifest as given (plain JSON values); None for ``delete``."""
    origin: str = ""
    """Where it came from, for messages: ``net.yaml document 3``."""
    revision: int | None = None
    """At which it must be, whatever its manifest says; 0 is that there is none."""
    asked: Any = None
    """What an idempotency key stands for, where that is not the manifest: the patch that made it.
    """


Allow = Callable[[Sequence[Edit]], None]


def anything(_edits: Sequence[Edit]) -> None:
    """Refuse nothing."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What one transaction did."""

    revision: int
    """The store's revision after it; unchanged when nothing differed."""
    created: tuple[Key, ...] = ()
    updated: tuple[Key, ...] = ()
    deleted: tuple[Key, ...] = ()
    unchanged: tuple[Key, ...] = ()
    notes: tuple[str, ...] = ()
    """What is wrong with it although it was done, for people."""
    diff: tuple[Change, ...] = ()
    """Of a dry run: each object before and after. What was written, `Store.revision` tells."""
    replayed: bool = False
    """This was answered before, to a request with the same idempotency key; nothing was done."""
    proven: float | None = None
    """Seconds that it took to prove it before it was written; None where that was not asked."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request with an idempotency key: `vneter_sdn.store.once` makes them."""

    author: str
    key: str
    fingerprint: str
    """Of what is asked."""

    @property
    def place(self) -> tuple[str, str]:
        """Keys of different authors have nothing in common."""
        return self.author, self.key


@dataclass(frozen=True, slots=True)
class Retention:
    """What a store keeps of the past. What is over is pruned beside later changes, bit by bit.

    Zero keeps for ever.
    """

    revisions: int = 10_000
    """Revisions kept; a few more, until it is worth while."""
    seconds: float = 0.0
    """Age at which a revision is pruned."""
    audit: int = 10_000
    """Entries of the audit chain."""
    requests: float = 86_400.0
    """Seconds for which idempotency keys are known; at least."""


class Store(Protocol):
    """The database of intent. Every method raises StoreUnavailable when it cannot be reached."""

    def snapshot(self) -> Snapshot:
        """The newest state known here; never older than this client's own last write.

        While the database is not reached, that is the last one seen. It brings an index along
        (`vneter_sdn.admission.index.IndexedSnapshot`), so that `status_of` is quick.
        """

    def apply(
        self,
        edits: Sequence[Edit],
        *,
        author: str,
        message: str = "",
        dry_run: bool = False,
        idempotency_key: str = "",
    ) -> Applied:
        """Admit and write all edits in one durable transaction, or none.

        Args:
            edits: what is asked for.
            author: who asks, for the journal.
            message: why.
            dry_run: judge, write nothing; the answer has the diff.
            idempotency_key: 1 to 128 printable characters; the same author's same request with the
                same key is done once, and gets the same answer for as long as keys are kept. What
                was refused is not kept. A dry run has no use for it.

        Raises:
            IntentError: an edit is malformed or breaks a rule; names every problem found. Reason
                ``KeyReused`` when the key came with another request before.
            Conflict: a manifest names a revision that is not current, or ``create`` finds the
                object there already.
            NotFound: ``delete`` or ``replace`` of an object that does not exist.
        """

    def sweep(self) -> Applied:
        """Retry allocations that found their pool exhausted; forget releases that have rested.

        Raises the revision when it changed anything, and leaves no trace in the journal.
        """

    def colour(self, assigned: Mapping[str, int], released: Collection[str] = ()) -> None:
        """Write which routes have which colour; durable. The revision stays.

        A route that has a colour keeps it, whatever is asked for, so read the answer from the
        snapshot: `Pools.PATH` (`vneter_sdn.model.colours`). Released ones rest 120 s, then
        `sweep` forgets them; until then, colouring one revives it with the colour it had.

        Raises:
            ValueError: a colour is not 1 to 63.
        """

    def bind(self, bound: Sequence[Binding], unbound: Sequence[Key] = ()) -> None:
        """Write where endpoints are. Older sequences never replace newer ones.

        Bindings of endpoints that do not exist are dropped. The revision stays.
        """

    def report(self, statuses: Sequence[Status], gone: Collection[Key] = ()) -> None:
        """Write what the controller observed; statuses of deleted objects are dropped.

        A status replaces the whole one before it. The revision stays. Links are found as well as
        declared: their statuses need no object, and stay until they are named in ``gone`` (those
        of links that have an object then go with that only).
        """

    def wait(self, after: Snapshot, timeout: float) -> tuple[Snapshot, Delta] | None:
        """Wait until the state differs from ``after``; None when ``timeout`` seconds pass first.

        The delta names exactly the keys whose rows differ from ``after`` to the snapshot returned;
        it may be empty when changes cancelled each other out.
        """

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
        """Make specs, labels and annotations of all objects what they were at a revision.

        One new revision, admitted like any `apply`; its message begins ``rollback to N``. Objects
        that are made again have a new uid, and the numbers and addresses they had, where those are
        free. 0 is the state before the first revision.

        Args:
            number: of the revision.
            author: who asks, for the journal.
            message: why.
            dry_run: judge, write nothing; the answer has the diff.
            idempotency_key: as in `apply`.
            allow: called with the edits before they are written, maybe in another thread, maybe
                more than once; it raises to refuse them.

        Raises:
            NotFound: there was no such revision yet, or what came after it was pruned.
            IntentError: what was then breaks a rule that holds now.
        """

    def edits_back_to(self, number: int) -> tuple[Edit, ...]:
        """What `rollback` would apply now. Raises NotFound as it does."""

    def remembered(self, asked: Request) -> Applied | None:
        """What a request was answered; None when its key is not known.

        Raises:
            IntentError: reason ``KeyReused``, as `apply` does.
        """

    def revisions(
        self, limit: int = 100, before: int | None = None, *, author: str = "", about: str = ""
    ) -> tuple[Revision, ...]:
        """The journal, newest first.

        Args:
            limit: how many at most.
            before: only entries numbered below this one.
            author: only those of this author.
            about: only those that changed this object: ``Network red/web``.
        """

    def revision(self, number: int) -> Recorded:
        """One revision with its diff.

        Raises:
            NotFound: there is none, or it was pruned.
        """

    def verify(self, chain: ChainName = "revisions") -> Verification:
        """Recompute a chain of digests from its anchor to its head. O(chain)."""

    def audit(self, entries: Sequence[AuditEntry]) -> None:
        """Append to the audit chain, durably. The revision stays; the oldest entries are pruned.

        Time, position and digest of what is given do not count. An answer that was lost may lead
        to an entry twice, never to none.
        """

    def audited(self, limit: int = 100, before: int | None = None) -> tuple[AuditEntry, ...]:
        """The audit chain, newest first; only positions below ``before``, when given."""

    def credentials(self) -> tuple[Credential, ...]:
        """Every credential, sorted by name; as `snapshot`, the last ones known."""

    def credential(self, name: str) -> Credential | None:
        """One credential; O(1) and without a query, so that each request may ask."""

    def issue(self, credential: Credential) -> None:
        """Write a new credential; durable. The revision stays.

        Raises:
            Conflict: there is one of that name.
            IntentError: a text holds NUL or a surrogate.
        """

    def revoke(self, name: str) -> None:
        """Delete a credential; durable. The revision stays.

        Raises:
            NotFound: there is none of that name.
        """

    def close(self) -> None:
        """Release connections; the store is not used again."""
