# SPDX-License-Identifier: Apache-2.0
"""What the journal of intent keeps of each revision: every object before and after."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from vneter_sdn.model.snapshot import Key, Revision


class Version(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What people wrote of an object at one revision, and which object it was."""

    spec: Any
    """Plain JSON values with defaults filled in; or the Struct of its kind, before it is stored."""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    uid: str = ""
    created: str = ""
    """RFC 3339, UTC."""


class Change(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One object of one revision."""

    kind: str
    tenant: str = ""
    name: str
    before: Version | None = None
    """None when the revision created it."""
    after: Version | None = None
    """None when the revision deleted it."""
    lost: dict[str, str] = {}
    """Numbers and addresses that it owned before and not after, by pool."""

    @property
    def key(self) -> Key:
        """The object."""
        return Key(self.kind, self.tenant, self.name)

    @property
    def verb(self) -> str:
        """``created``, ``updated`` or ``deleted``."""
        if self.before is None:
            return "created"
        return "deleted" if self.after is None else "updated"


@dataclass(frozen=True, slots=True)
class Recorded:
    """One revision, whole."""

    revision: Revision
    diff: tuple[Change, ...]
    """Empty for revisions of releases that kept none; then ``position`` is 0."""
    position: int
    """In the chain: 1, 2, 3…"""
    previous: str
    """Digest of the revision before."""


@dataclass(frozen=True, slots=True)
class Verification:
    """Whether a chain of digests is whole."""

    chain: str
    """``revisions`` or ``audit``."""
    entries: int
    """That were looked at, up to the broken one."""
    pruned: int
    """Entries before the oldest one that is kept; the chain begins with their digest."""
    head: str
    """Digest of the newest entry. Whoever keeps it elsewhere can tell a chain forged whole."""
    broken: int | None = None
    """Number of the first revision (position of the first audit entry) that is not as it was."""
    reason: str = ""
    """For people: what is wrong there."""
