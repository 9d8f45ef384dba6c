# SPDX-License-Identifier: Apache-2.0
"""What every store promises.

One contract suite holds `memory.MemoryStore` and `ovsdb.OvsdbStore` to it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from vneter_sdn.model.access import Credential
from vneter_sdn.model.snapshot import Binding, Delta, Key, Revision, Snapshot, Status


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
    proven: float | None = None
    """Seconds that it took to prove it before it was written; None where that was not asked."""


class Store(Protocol):
    """The database of intent. Every method raises StoreUnavailable when it cannot be reached."""

    def snapshot(self) -> Snapshot:
        """The newest state known here; never older than this client's own last write.

        While the database is not reached, that is the last one seen. It brings an index along
        (`vneter_sdn.admission.index.IndexedSnapshot`), so that `status_of` is quick.
        """

    def apply(
        self, edits: Sequence[Edit], *, author: str, message: str = "", dry_run: bool = False
    ) -> Applied:
        """Admit and write all edits in one durable transaction, or none.

        Raises:
            IntentError: an edit is malformed or breaks a rule; names every problem found.
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

    def revisions(self, limit: int = 100, before: int | None = None) -> tuple[Revision, ...]:
        """The journal, newest first; only entries numbered below ``before``, when given."""

    def credentials(self) -> tuple[Credential, ...]:
        """Every credential, sorted by name; as `snapshot`, the last ones known."""

    def credential(self, name: str) -> Credential | None:
        """One credential; O(1) and without a query, so that each request may ask."""

    def issue(self, credential: Credential) -> None:
        """Write a new credential; durable. The revision stays.

        Raises:
            Conflict: there is one of that name.
        """

    def revoke(self, name: str) -> None:
        """Delete a credential; durable. The revision stays.

        Raises:
            NotFound: there is none of that name.
        """

    def close(self) -> None:
        """Release connections; the store is not used again."""
