# SPDX-License-Identifier: Apache-2.0
"""What the server answers, as values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

from vneter_sdn.client.journal import differences_of
from vneter_sdn.model.kinds import KINDS, Kind
from vneter_sdn.model.scalars import Spec
from vneter_sdn.model.snapshot import Condition, Key, Object, Status
from vneter_sdn.northbound.resources import key_of, object_of
from vneter_sdn.store.port import Applied

Manifest = dict[str, Any]
"""An object as it is written and read: apiVersion, kind, metadata, spec and status."""
S = TypeVar("S", bound=Spec)


@dataclass(frozen=True, slots=True)
class Item(Generic[S]):
    """One object, with its spec as the Struct of its kind."""

    stored: Object
    status: Status
    manifest: Manifest
    """As it was read."""
    etag: str = ""
    """Of this state of it, for ``if_match``; objects of lists have none."""

    @property
    def key(self) -> Key:
        """Who it is."""
        return self.stored.key

    @property
    def spec(self) -> S:
        """What is asked for, defaults filled in."""
        found: S = self.stored.spec
        return found

    @property
    def revision(self) -> int:
        """Of the store, that last changed it."""
        return self.stored.revision

    def condition(self, kind: str) -> Condition | None:
        """Its condition of one type."""
        return next((one for one in self.status.conditions if one.type == kind), None)


def item_of(manifest: Manifest, etag: str = "") -> Item[Any]:
    """A manifest, read.

    Raises:
        KeyError, msgspec.ValidationError: it is no manifest of a kind known here.
    """
    told = dict(manifest.get("status", {}))
    conditions = msgspec.convert(told.pop("conditions", ()), tuple[Condition, ...])
    observed = int(told.pop("observedRevision", 0) or 0)
    stored = object_of(manifest)
    return Item(stored, Status(stored.key, observed, conditions, told), manifest, etag)


def kind_of(spec: type[Spec]) -> Kind:
    """The kind whose specs are of a Struct.

    Raises:
        KeyError: no kind's are.
    """
    return _BY_SPEC[spec]


_BY_SPEC = {kind.spec: kind for kind in KINDS.values()}


def applied_of(document: Mapping[str, Any]) -> Applied:
    """What a transaction did, from the server's answer."""

    def keys(group: str) -> tuple[Key, ...]:
        found = document.get(group, ())
        return tuple(Key(one["kind"], one.get("tenant", ""), one["name"]) for one in found)

    return Applied(
        document["revision"],
        created=keys("created"),
        updated=keys("updated"),
        deleted=keys("deleted"),
        unchanged=keys("unchanged"),
        notes=tuple(str(note) for note in document.get("notes", ())),
        diff=differences_of(document.get("diff", ())),
        proven=document.get("proven"),
    )


@dataclass(frozen=True, slots=True)
class Change:
    """Something a watch saw."""

    sort: str
    """``added``, ``modified`` or ``deleted``; ``synced`` once when all that was there is told."""
    manifest: Manifest
    """The object as it is now; as it was, when it is deleted; empty for ``synced``."""
    revision: int = 0
    """Of the store, at that time."""

    @property
    def key(self) -> Key:
        """Which object."""
        return key_of(self.manifest)


@dataclass(frozen=True, slots=True)
class Page:
    """Some objects of a list."""

    items: Sequence[Manifest]
    revision: int
    """Of the store, when the list was made."""
    position: str
    """Where a watch has to begin to tell what came after it."""


def page_of(document: Mapping[str, Any]) -> tuple[Page, str]:
    """A page, and what to ask the next one with; empty when it is the last.

    Raises:
        KeyError, TypeError: it is no list.
    """
    items, metadata = document["items"], document["metadata"]
    for item in items:
        item["metadata"]["name"]
    position, after = metadata.get("position", ""), metadata.get("continue", "")
    return Page(items, int(metadata["revision"]), str(position)), str(after)
