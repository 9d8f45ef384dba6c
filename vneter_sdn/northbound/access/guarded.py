# SPDX-License-Identifier: Apache-2.0
"""A store as one identity may use it: what it hands out is filtered, what it takes is judged.

Handlers have nothing else in their hands, so one that forgets to ask who asks still gives nothing
away. Whoever may see everything sees the store's own values, at no cost.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from time import monotonic
from typing import Any

from vneter_sdn.admission.views import View, view
from vneter_sdn.errors import Forbidden, IntentError, NotFound, Throttled
from vneter_sdn.model.access import AuditEntry
from vneter_sdn.model.journal import Change, Recorded
from vneter_sdn.model.snapshot import Delta, Key, Revision, Snapshot
from vneter_sdn.northbound.access.authorise import everywhere, may, owner_of, sees
from vneter_sdn.northbound.access.births import Births
from vneter_sdn.northbound.access.claims import usurped
from vneter_sdn.northbound.access.discretion import discreet, key_in, told
from vneter_sdn.northbound.access.identity import WRITES, Identity
from vneter_sdn.store.port import Applied, Edit, Request, Store

Who = Callable[[], Identity]
_KEPT = 32
"""Views that are kept, of the newest snapshots."""
_REVISIONS = 100
"""Revisions that are read at a time, to find those that may be seen."""
_SEARCHED = 5_000
"""Revisions that one request looks through, at most."""
_SEARCHES = 2
"""Requests that look through revisions at once: each reads many rows for a few, from the database
that everybody writes to."""
_PATIENCE = 1.0
"""Seconds that another one waits for its turn; for which strangers believe that all is well."""


class GuardedStore:
    """The part of a `vneter_sdn.store.port.Store` that requests use.

    Args:
        store: the whole.
        who: tells who asks; it raises where nobody does.
    """

    def __init__(self, store: Store, who: Who) -> None:
        self._store, self._who = store, who
        self._lock = threading.Lock()
        self._views: dict[tuple[int, Identity], View] = {}
        self._births = Births(store)
        self._answered = -math.inf
        self._searches = threading.BoundedSemaphore(_SEARCHES)

    # ---- reading

    def snapshot(self) -> Snapshot:
        """What they may see of `Store.snapshot`."""
        return self._view(self._store.snapshot(), self._who())

    def wait(self, after: Snapshot, timeout: float) -> tuple[Snapshot, Delta] | None:
        """See `Store.wait`; changes that they may not see are told as no changes at all."""
        identity = self._who()
        whole = after.whole if isinstance(after, View) else after
        changed = self._store.wait(whole, timeout)
        if changed is None:
            return None
        snapshot, delta = changed
        if identity.everywhere:
            return changed
        found = self._view(snapshot, identity)
        return found, Delta(
            objects=frozenset(key for key in delta.objects if sees(identity, key)),
            allocations=frozenset(one for one in delta.allocations if one in found.allocations),
            bindings=frozenset(key for key in delta.bindings if sees(identity, key)),
            statuses=frozenset(key for key in delta.statuses if sees(identity, key)),
        )

    def revisions(
        self, limit: int = 100, before: int | None = None, *, author: str = "", about: str = ""
    ) -> tuple[Revision, ...]:
        """Those that changed what they may see, and of each no more than that."""
        identity = self._who()
        if identity.everywhere:
            return self._store.revisions(limit, before, author=author, about=about)
        if about and not _about(identity, about):
            return ()
        if not self._searches.acquire(timeout=_PATIENCE):
            raise Throttled("many look for their part of the history; ask again in a moment", 1.0)
        try:
            return self._found(identity, limit, before, author, about)
        finally:
            self._searches.release()

    def _found(
        self, identity: Identity, limit: int, before: int | None, author: str, about: str
    ) -> tuple[Revision, ...]:
        found: list[Revision] = []
        for _ in range(_SEARCHED // _REVISIONS):
            page = self._store.revisions(_REVISIONS, before, author=author, about=about)
            found += filter(None, (self._partly(identity, one) for one in page))
            if len(found) >= limit or len(page) < _REVISIONS:
                break
            before = page[-1].number
        return tuple(found[:limit])

    def answers(self) -> int:
        """The newest revision, which is for everybody to know, from a database that answers.

        Strangers ask the database once a second at most, all together.

        Raises:
            StoreUnavailable: it does not.
        """
        if self._who().grants or monotonic() >= self._answered + _PATIENCE:
            self._store.revisions(1)
            self._answered = monotonic()
        return self._store.snapshot().revision

    def newest(self) -> Revision | None:
        """The last revision of anything that is there and that they may see.

        It costs no search, unlike `revisions`; what was deleted since does not count for those who
        may not see everything.
        """
        identity = self._who()
        if identity.everywhere:
            return next(iter(self._store.revisions(1)), None)
        view = self._view(self._store.snapshot(), identity)
        number = max((stored.revision for stored in view.objects.values()), default=0)
        try:
            return self.revision(number).revision if number else None
        except NotFound:  # pruned
            return None

    def revision(self, number: int) -> Recorded:
        """One revision, with what they may see of its diff.

        Raises:
            NotFound: there is none of which they may see anything.
        """
        identity, recorded = self._who(), self._store.revision(number)
        if identity.everywhere:
            return recorded
        revision = self._partly(identity, recorded.revision)
        diff = tuple(one for one in recorded.diff if self._knew(identity, one.key, number))
        if revision is None:
            if not diff:
                raise NotFound(f"there is no revision {number}")
            # its lines, of which the journal has so many and no more, are of others alone
            lines = tuple(_line(one) for one in diff)
            revision = replace(recorded.revision, changes=lines, message="", digest="")
        return replace(recorded, revision=revision, diff=diff)

    def verify(self, chain: Any = "revisions") -> Any:
        """See `Store.verify`; of the audit log only for those who may read it.

        Raises:
            Forbidden: they may not.
        """
        self._require("audit" if chain == "audit" else "list")
        return self._store.verify(chain)

    def audited(self, limit: int = 100, before: int | None = None) -> tuple[AuditEntry, ...]:
        """See `Store.audited`.

        Raises:
            Forbidden: they may not read the audit log.
        """
        self._require("audit")
        return self._store.audited(limit, before)

    # ---- writing

    def apply(
        self,
        edits: Sequence[Edit],
        *,
        author: str,
        message: str = "",
        dry_run: bool = False,
        idempotency_key: str = "",
    ) -> Applied:
        """See `Store.apply`.

        Raises:
            Forbidden: they may not do one of these to its object; names each of them.
        """
        identity = self._who()
        judged = self._judged(identity, edits)
        try:
            applied = self._store.apply(
                judged,
                author=author,
                message=message,
                dry_run=dry_run,
                idempotency_key=idempotency_key,
            )
        except IntentError as error:
            raise discreet(identity, error) from None
        return told(identity, applied)

    def remembered(self, asked: Request) -> Applied | None:
        """See `Store.remembered`; who asks is part of what is asked."""
        found = self._store.remembered(asked)
        return None if found is None else told(self._who(), found)

    def rollback(
        self,
        number: int,
        *,
        author: str,
        message: str = "",
        dry_run: bool = False,
        idempotency_key: str = "",
    ) -> Applied:
        """See `Store.rollback`; whoever may not write everything may go back over own changes only.

        Raises:
            Forbidden: it would change what they may not.
        """
        identity = self._who()
        try:
            applied = self._store.rollback(
                number, author=author, message=message, dry_run=dry_run,
                idempotency_key=idempotency_key,
                allow=lambda edits: self._allow(identity, edits),
            )  # fmt: skip
        except IntentError as error:
            raise discreet(identity, error) from None
        return told(identity, applied)

    def edits_back_to(self, number: int) -> tuple[Edit, ...]:
        """See `Store.edits_back_to`.

        Raises:
            Forbidden: it would change what they may not.
        """
        edits = self._store.edits_back_to(number)
        self._allow(self._who(), edits)
        return edits

    # ---- judging

    def _require(self, verb: str) -> None:
        if not everywhere(self._who(), verb):
            raise Forbidden(f"{self._who().name} may not {verb} all there is")

    def _allow(self, identity: Identity, edits: Sequence[Edit]) -> None:
        """Judge what a rollback would do, of which who asks has named nothing."""
        if all(everywhere(identity, verb) for verb in WRITES):
            return
        refused = [edit for edit in edits if _allowed(identity, edit) is None]
        own = [edit for edit in refused if sees(identity, edit.key)]
        if refused:
            raise _forbidden(identity, own, theirs=len(own) < len(refused))
        self._require_unclaimed(identity, edits)

    def _judged(self, identity: Identity, edits: Sequence[Edit]) -> list[Edit]:
        """Judge what somebody asks for by name."""
        judged = [_allowed(identity, edit) for edit in edits]
        refused = [edit for edit, may_be in zip(edits, judged, strict=True) if may_be is None]
        if refused:
            raise _forbidden(identity, refused)
        self._require_unclaimed(identity, edits)
        return [edit for edit in judged if edit is not None]

    def _require_unclaimed(self, identity: Identity, edits: Sequence[Edit]) -> None:
        if all(everywhere(identity, verb) for verb in WRITES):
            return
        objects = self._store.snapshot().objects
        for edit in edits:
            wanted = usurped(identity, edit, objects.get(edit.key))
            if wanted:
                raise Forbidden(f"{identity.name} may not give {edit.key} {wanted}")

    # ---- remembering

    def _knew(self, identity: Identity, key: Key, number: int) -> bool:
        """Whether somebody may know what a revision did to an object."""
        if not sees(identity, key):
            return False
        owner = owner_of(key)
        if not owner or any(grant.everywhere for grant in identity.grants):
            return True
        born = self._births.of(owner)
        return born is not None and born <= number

    def _partly(self, identity: Identity, revision: Revision) -> Revision | None:
        """What somebody may know of a revision; None when that is nothing.

        With only a part of its changes shown its message may be about the others, and its digest
        cannot be checked.
        """
        about = ((line, key_in(line)) for line in revision.changes)
        changes = tuple(
            line for line, key in about
            if key is not None and self._knew(identity, key, revision.number)
        )  # fmt: skip
        if not changes:
            return None
        if changes == revision.changes:
            return revision
        return replace(revision, changes=changes, message="", digest="")

    def _view(self, snapshot: Snapshot, identity: Identity) -> Snapshot:
        if identity.everywhere:
            return snapshot
        at = (id(snapshot), replace(identity, credential=None))
        with self._lock:
            kept = self._views.get(at)
            if kept is not None and kept.whole is snapshot:  # an id alone may be another's by now
                return kept
        found = view(snapshot, lambda key: sees(identity, key))
        with self._lock:
            self._views[at] = found
            while len(self._views) > _KEPT:
                del self._views[next(iter(self._views))]
        return found


def _forbidden(identity: Identity, edits: Sequence[Edit], *, theirs: bool = False) -> Forbidden:
    """The refusal of some edits; others, of what is not to be named, are among them or not."""
    named = ", ".join(f"{edit.verb} {edit.key}" for edit in edits[:10])
    more = f" and {len(edits) - 10} more" if len(edits) > 10 else ""
    others = (" and what is not theirs" if edits else "change what is not theirs") if theirs else ""
    return Forbidden(f"{identity.name} may not {named}{more}{others}")


def _allowed(identity: Identity, edit: Edit) -> Edit | None:
    """The edit that somebody may do; None when it is none.

    Who may only create does not replace by chance, nor the other way round, whatever happens to
    the object in between.
    """
    if edit.verb == "delete":
        return edit if may(identity, "delete", edit.key) else None
    create, update = (may(identity, verb, edit.key) for verb in ("create", "update"))
    if edit.verb == "apply" and create and update:
        return edit
    if edit.verb in {"apply", "create"} and create:
        return replace(edit, verb="create")
    if edit.verb in {"apply", "replace"} and update:
        return replace(edit, verb="replace")
    return None


def _line(change: Change) -> str:
    """What the journal would say of one object."""
    verb = "created" if change.before is None else "deleted" if change.after is None else "updated"
    return f"{verb} {change.key}"


def _about(identity: Identity, line: str) -> bool:
    """Whether ``Network red/web`` is what they may see."""
    key = key_in(line)
    return key is not None and sees(identity, key)
