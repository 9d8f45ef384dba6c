# SPDX-License-Identifier: Apache-2.0
"""Chains of digests: each entry is sealed with the digest of the one before. Pure.

SHA-256 over the JSON array ``[digest before, position, …content…]``. Pruning keeps the digest of
the newest pruned entry, the anchor, so that what is left still verifies. Whoever can write the
whole database can forge a whole chain; only a head kept elsewhere tells that.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

import msgspec

from vneter_sdn.model.access import AuditEntry
from vneter_sdn.model.journal import Verification
from vneter_sdn.model.snapshot import Revision

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Chain:
    """Both ends of a chain."""

    name: str
    head: str = ""
    """Digest of the newest entry."""
    length: int = 0
    """Entries ever chained; the position of the newest."""
    anchor: str = ""
    """Digest of the newest entry that was pruned."""
    pruned: int = 0
    """Its position."""
    floor: int = 0
    """Of revisions: the newest one whose diff is not kept."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One revision as it is stored."""

    revision: Revision
    objects: tuple[str, ...]
    """What it changed, sorted: ``Network red/web``."""
    diff: str
    """As `store.changes` writes it."""
    position: int = 0
    previous: str = ""


@dataclass(frozen=True, slots=True)
class Sealed:
    """What there is to verify of an entry."""

    number: int
    """What people call it."""
    position: int
    previous: str
    digest: str
    content: tuple[Any, ...]


def seal(previous: str, position: int, content: Iterable[Any]) -> str:
    """The digest of an entry."""
    return sha256(_encode([previous, position, *content])).hexdigest()


def sealed_revision(entry: Entry) -> Sealed:
    """A revision as it is verified."""
    told = entry.revision
    content = (
        *(told.number, told.author, told.time, told.message),
        *(told.changes, entry.objects, entry.diff),
    )
    return Sealed(told.number, entry.position, entry.previous, told.digest, content)


def sealed_audit(entry: AuditEntry, previous: str) -> Sealed:
    """An audit entry as it is verified."""
    content = (entry.time, entry.author, entry.action, entry.object, entry.outcome, entry.source)
    return Sealed(entry.position, entry.position, previous, entry.digest, content)


def with_revision(chain: Chain, entry: Entry) -> tuple[Chain, Entry]:
    """The chain with one more revision, and the revision sealed."""
    position = chain.length + 1
    placed = replace(entry, position=position, previous=chain.head)
    digest = seal(chain.head, position, sealed_revision(placed).content)
    entry = replace(placed, revision=replace(entry.revision, digest=digest))
    return replace(chain, head=digest, length=position), entry


def with_audit(chain: Chain, entry: AuditEntry) -> tuple[Chain, AuditEntry]:
    """The chain with one more entry, and the entry sealed."""
    position = chain.length + 1
    placed = replace(entry, position=position)
    digest = seal(chain.head, position, sealed_audit(placed, chain.head).content)
    return replace(chain, head=digest, length=position), replace(placed, digest=digest)


class Walk:
    """Follows a chain entry by entry, in the order of positions, from its anchor to its head."""

    def __init__(self, chain: Chain) -> None:
        self._name, self._digest, self.position = chain.name, chain.anchor, chain.pruned
        self._pruned, self._number, self._entries = chain.pruned, chain.floor, 0
        self._broken: tuple[int, str] | None = None

    @property
    def broken(self) -> bool:
        """Whether the rest need not be looked at."""
        return self._broken is not None

    def skip(self, chain: Chain) -> None:
        """Go on from the anchor, where more was pruned meanwhile than was looked at."""
        if chain.pruned > self.position:
            self._digest, self.position, self._pruned = chain.anchor, chain.pruned, chain.pruned

    def take(self, found: Sealed) -> None:
        """The next entry that is there."""
        if self._broken:
            return
        self._entries += 1
        if found.position != self.position + 1:
            self._break(found.number, "what was before it is missing, or it was put in between")
        elif found.previous != self._digest:
            self._break(found.number, "it does not follow what is before it")
        elif seal(found.previous, found.position, found.content) != found.digest:
            self._break(found.number, "it is not what was written")
        self._digest, self.position, self._number = found.digest, found.position, found.number

    def go_on(self, position: int) -> None:
        """Every entry up to a position was taken."""
        if self.position < position:
            self._break(self._number, "what was after it is missing")

    def stray(self, number: int) -> None:
        """An entry that is there without being part of the chain."""
        self._break(number, "it was never part of the chain")

    def end(self, chain: Chain) -> Verification:
        """What came of it, once every entry up to a chain's head was taken."""
        pruned = self.position > chain.length  # meanwhile, and more was written
        if not pruned and (self.position, self._digest) != (chain.length, chain.head):
            self._break(self._number, "what was after it is missing")
        number, reason = self._broken or (None, "")
        return Verification(self._name, self._entries, self._pruned, chain.head, number, reason)

    def _break(self, number: int, reason: str) -> None:
        self._broken = self._broken or (number, reason)
