# SPDX-License-Identifier: Apache-2.0
"""What the objects were at a revision, from the diffs of all that came after. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from vneter_sdn.errors import IntentError, NotFound, Problem
from vneter_sdn.model.journal import Change, Version
from vneter_sdn.model.kinds import API_VERSION
from vneter_sdn.model.snapshot import Key, Object, Snapshot
from vneter_sdn.store.chain import Chain
from vneter_sdn.store.port import Edit

_encode = msgspec.json.Encoder(order="sorted").encode
Preferred = dict[Key, dict[str, str]]
"""Values of pools that objects had, and get again where they are free."""


@dataclass(slots=True)
class Rewind:
    """Collects diffs, oldest first; what it holds of an object is what was there at ``number``."""

    number: int
    seen: int
    """The newest revision whose diff was taken."""
    before: dict[Key, Version | None] = field(default_factory=dict)
    lost: Preferred = field(default_factory=dict)

    def take(self, number: int, changes: Iterable[Change]) -> None:
        """The next revision."""
        for change in changes:
            self.before.setdefault(change.key, change.before)
            held = self.lost.setdefault(change.key, {})
            for pool, value in change.lost.items():
                held.setdefault(pool, value)
        self.seen = number

    def edits(self, snapshot: Snapshot) -> tuple[Edit, ...]:
        """What leads from a snapshot back, in the order of keys."""
        found = []
        for key in sorted(self.before):
            then, now = self.before[key], snapshot.objects.get(key)
            if then is None:
                if now is not None:
                    found.append(Edit("delete", key))
            elif now is None:
                found.append(Edit("create", key, _manifest(key, then)))
            elif not _same(then, now):
                found.append(Edit("replace", key, _manifest(key, then)))
        return tuple(found)


def begun(number: int, chain: Chain, revision: int) -> Rewind:
    """Begin to go back from a store at ``revision``.

    Raises:
        IntentError: it is no number of a revision.
        NotFound: there is no such revision yet, or what came after it is not kept.
    """
    if number < 0:
        text = f"{number} is no revision; 0 is the state before the first"
        raise IntentError(Problem("rollback", "revision", "OutOfRange", text))
    if number > revision:
        raise NotFound(f"there is no revision {number} yet; the newest is {revision}")
    require_kept(number, chain)
    return Rewind(number, number)


def require_kept(number: int, chain: Chain) -> None:
    """Refuse to go back further than diffs reach.

    Raises:
        NotFound: what came after the revision is not kept.
    """
    if number < chain.floor:
        text = f"the history of revision {number} was pruned, or kept by an older release, without "
        text += f"diffs; the oldest to roll back to is {chain.floor}"
        raise NotFound(text)


def foreign_row(number: int) -> NotFound:
    """The refusal to go back over a revision that an older release wrote beside this one."""
    text = f"revision {number} was written by an older release, without a diff; what was before it"
    return NotFound(text + " is not known")


def message_of(number: int, message: str) -> str:
    """What the journal says of a rollback; never nothing, for it may delete much."""
    return f"rollback to {number}" + (f": {message}" if message else "")


def _same(then: Version, now: Object) -> bool:
    if (then.labels, then.annotations) != (now.labels, now.annotations):
        return False
    return _encode(then.spec) == _encode(now.spec)


def _manifest(key: Key, then: Version) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": key.name}
    if key.tenant:
        metadata["tenant"] = key.tenant
    if then.labels:
        metadata["labels"] = dict(then.labels)
    if then.annotations:
        metadata["annotations"] = dict(then.annotations)
    return {
        "apiVersion": API_VERSION,
        "kind": key.kind,
        "metadata": metadata,
        "spec": then.spec,
    }
