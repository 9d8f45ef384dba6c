# SPDX-License-Identifier: Apache-2.0
"""Admission: from a snapshot and a batch of edits to what would be written, or every reason not to.

Pure and atomic: the batch is judged as a whole, as it will be, so the order of edits in it is free.
Cost: O(edits · log n) for the batch, save where a rule says otherwise.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from types import MappingProxyType
from typing import Any, Protocol

import msgspec

from vneter_sdn.admission import allocation
from vneter_sdn.admission.draft import Draft
from vneter_sdn.admission.index import Index
from vneter_sdn.admission.link_rules import superseded
from vneter_sdn.admission.manifest import Malformed, parse
from vneter_sdn.admission.reference_rules import unreferenced
from vneter_sdn.admission.rules import check
from vneter_sdn.errors import Conflict, IntentError, NotFound, Problem
from vneter_sdn.model.instants import rfc3339
from vneter_sdn.model.kinds import KINDS
from vneter_sdn.model.snapshot import Allocation, Key, Object, Snapshot

MOST_PROBLEMS = 1000
"""Problems of one batch that are told; with more, the rest of it is not looked at."""


class Change(Protocol):
    """One edit, as `vneter_sdn.store.port.Edit` has it."""

    @property
    def verb(self) -> str:
        """``apply``, ``create``, ``replace`` or ``delete``."""

    @property
    def key(self) -> Key:
        """The object."""

    @property
    def manifest(self) -> Mapping[str, Any] | None:
        """What was given; None for ``delete``."""

    @property
    def origin(self) -> str:
        """Where it came from."""

    @property
    def revision(self) -> int | None:
        """At which the object must be; None is any, 0 that there is none."""


class Problems(list[Problem]):
    """What is wrong with a batch, as far as it is told."""

    def __init__(self, found: Iterable[Problem] = ()) -> None:
        """Begin with some."""
        super().__init__()
        self.add(found)

    def add(self, found: Iterable[Problem]) -> None:
        """Add some.

        Raises:
            IntentError: these are enough. Else who sends garbage by the megabyte has us work, and
                answer, many times as much.
        """
        self.extend(found)
        if len(self) > MOST_PROBLEMS:
            text = f"more is wrong than the {MOST_PROBLEMS} problems told; mend those, try again"
            raise IntentError(*self[:MOST_PROBLEMS], Problem("batch", "", "TooMany", text))


@dataclass(frozen=True, slots=True)
class Admission:
    """What a batch comes to; when it is ``empty`` there is nothing to write."""

    objects: Mapping[Key, Object | None] = field(default_factory=dict)
    """New and changed objects; None is deleted."""
    allocations: Mapping[tuple[str, str], Allocation | None] = field(default_factory=dict)
    """New and changed allocations; None is forgotten."""
    created: tuple[Key, ...] = ()
    updated: tuple[Key, ...] = ()
    deleted: tuple[Key, ...] = ()
    unchanged: tuple[Key, ...] = ()
    index: Index = field(default_factory=Index, repr=False, compare=False)
    """The index of the snapshot that results."""

    @property
    def empty(self) -> bool:
        """Whether there is nothing to write."""
        return not self.objects and not self.allocations

    def changes(self, limit: int = 1000) -> tuple[str, ...]:
        """Lines for the journal: ``created Network red/web``."""
        groups = (("created", self.created), ("updated", self.updated), ("deleted", self.deleted))
        lines = [f"{verb} {key}" for verb, keys in groups for key in keys]
        more = len(lines) - limit
        return (*lines[: limit - 1], f"and {more + 1} more") if more > 0 else tuple(lines)


_ORDER = {kind: position for position, kind in enumerate(KINDS)}


def admit(
    snapshot: Snapshot,
    edits: Sequence[Change],
    now: float,
    prefer: Mapping[Key, Mapping[str, str]] = MappingProxyType({}),
) -> Admission:
    """Judge a batch of edits.

    Args:
        snapshot: the state it is judged against, never changed. When it is an `IndexedSnapshot`
            the cost does not depend on its size.
        edits: what is asked for.
        now: POSIX time.
        prefer: values of pools that objects get where they are free, rather than any.

    Raises:
        IntentError: with every problem of every edit, or the first `MOST_PROBLEMS`.
        Conflict: a manifest names a revision that is not current, or ``create`` finds the object.
        NotFound: ``delete`` or ``replace`` does not find the object.
    """
    draft = Draft(snapshot, now)
    draft.prefer = prefer
    problems = Problems(_repeated(edits))
    touched = _stage(draft, edits, problems)
    touched += _make_room(draft, touched, {edit.key for edit in edits})
    sound = [key for key in touched if _sound(draft, key, problems)]
    for key in sound:
        allocation.release(draft, key)
    for key in sound:
        problems.add(_judge(draft, key))
    if problems:
        raise IntentError(*problems)
    for key in _settling_order(draft, touched):
        allocation.settle(draft, key)
    return _admission(draft, [edit.key for edit in edits])


def sweep(snapshot: Snapshot, now: float) -> Admission:
    """Forget releases that have rested, and retry whatever found its pool exhausted.

    O(resting + pending). The result is empty when there is nothing to do.
    """
    draft = Draft(allocation.indexed(snapshot), now)
    allocation.expire(draft)
    pending = [key for key, _ in draft.lookup.members("pending", "")]
    for key in _settling_order(draft, pending):
        allocation.settle(draft, key)
    return _admission(draft, [])


def _repeated(edits: Sequence[Change]) -> Iterable[Problem]:
    first: dict[Key, str] = {}
    for position, edit in enumerate(edits):
        origin = edit.origin or f"edit {position + 1}"
        if edit.key in first:
            places = f", in {first[edit.key]} and {origin}" if edit.origin else ""
            text = f"is given twice in one batch{places}; remove one"
            yield Problem(str(edit.key), "", "Repeated", text)
        first.setdefault(edit.key, origin)


def _stage(draft: Draft, edits: Sequence[Change], problems: Problems) -> list[Key]:
    """Put every readable edit that changes something into the draft; their keys."""
    touched: list[Key] = []
    for edit in edits:
        if edit.key in draft.objects:
            continue
        current = draft.snapshot.objects.get(edit.key)
        if edit.verb == "delete" and current is None and _is_found(draft, edit.key):
            text = "was found, not declared, so there is nothing to delete; to keep paths off it, "
            text += "apply a Link of this name with disabled: true"
            problems.add([Problem(str(edit.key), "", "NotDeclared", text)])
            draft.broken.add(edit.key)
            continue
        _precondition(edit, current)
        if edit.verb == "delete":
            draft.put(edit.key, None)
            touched.append(edit.key)
            continue
        try:
            given, revision = parse(edit.key, edit.manifest, edit.origin)
        except Malformed as malformed:
            problems.add(malformed.problems)
            draft.broken.add(edit.key)
            continue
        if revision is not None:
            _at_revision(edit.key, current, revision)
        if current is None or not _same(given, current):
            draft.put(edit.key, _stamped(draft, given, current))
            touched.append(edit.key)
    return touched


def _make_room(draft: Draft, touched: Iterable[Key], asked: Collection[Key]) -> list[Key]:
    """Take out what nobody asked for and somebody now declares: links that discovery made."""
    gone = []
    for key in touched:
        stored = draft.object(key) if key.kind == "Link" else None
        for other in list(superseded(stored, draft)) if stored else ():
            if other not in asked and draft.object(other) is not None:
                draft.put(other, None)
                gone.append(other)
    return gone


def _is_found(draft: Draft, key: Key) -> bool:
    """Whether this is a link that has a status and no object."""
    return key.kind == "Link" and key in draft.snapshot.statuses


def _precondition(edit: Change, current: Object | None) -> None:
    if edit.verb == "create" and current is not None:
        raise Conflict(f"{edit.key} exists already; replace or apply it instead")
    if edit.verb in {"replace", "delete"} and current is None:
        raise NotFound(f"{edit.key} does not exist")
    if edit.revision is not None:
        _at_revision(edit.key, current, edit.revision)


def _at_revision(key: Key, current: Object | None, revision: int) -> None:
    if revision != (current.revision if current else 0):
        now_at = f"is at revision {current.revision}" if current else "does not exist"
        raise Conflict(f"{key} {now_at}, not at revision {revision}; read it again")


def _same(given: Object, current: Object) -> bool:
    return (given.spec, given.labels, given.annotations) == (
        current.spec,
        current.labels,
        current.annotations,
    )


def _stamped(draft: Draft, given: Object, current: Object | None) -> Object:
    """The object with what the store adds. Its uid is a hash, so that admission stays pure."""
    revision = draft.snapshot.revision + 1
    if current is not None:
        return msgspec.structs.replace(
            given, uid=current.uid, created=current.created, revision=revision
        )
    seed = "\0".join((*given.key, str(revision), repr(draft.now)))
    uid = _uuid8(blake2b(seed.encode(), digest_size=16).digest())
    return msgspec.structs.replace(given, uid=uid, created=rfc3339(draft.now), revision=revision)


def _uuid8(octets: bytes) -> str:
    """Any 16 octets as a UUID of version 8 (RFC 9562 §5.8)."""
    number = int.from_bytes(octets, "big") & ~(0xF << 76) & ~(0x3 << 62)
    digits = f"{number | 8 << 76 | 2 << 62:032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _sound(draft: Draft, key: Key, problems: Problems) -> bool:
    """Whether an object is well formed in itself; adds what is wrong with it to the problems."""
    stored = draft.object(key)
    found = list(check(stored, draft, local=True)) if stored else []
    problems.add(found)
    if found:
        draft.broken.add(key)
    return not found


def _judge(draft: Draft, key: Key) -> Iterable[Problem]:
    """What is wrong with a touched object among the others, as they will be."""
    stored = draft.object(key)
    return unreferenced(key, draft) if stored is None else check(stored, draft, local=False)


def _settling_order(draft: Draft, keys: Iterable[Key]) -> list[Key]:
    """Kinds in the order of references, objects that ask for something certain first.

    Endpoints of a network whose prefixes changed are settled as well.
    """
    wanted = dict.fromkeys(keys)
    for key in list(wanted):
        before, after = draft.snapshot.objects.get(key), draft.objects.get(key)
        if key.kind == "Network" and before and after and before.spec != after.spec:
            wanted.update(dict.fromkeys(draft.lookup.others("refers", key, None)))

    def order(key: Key) -> tuple[int, int]:
        spec = getattr(draft.object(key), "spec", None)
        asks = any(getattr(spec, name, None) for name in ("addresses", "mac", "vni"))
        return _ORDER.get(key.kind, len(_ORDER)), 0 if asks or key in draft.prefer else 1

    return sorted(wanted, key=order)


def _admission(draft: Draft, keys: Sequence[Key]) -> Admission:
    before = draft.snapshot.objects
    changed = dict(draft.objects)
    return Admission(
        objects=changed,
        allocations=dict(draft.allocations),
        created=tuple(key for key, stored in changed.items() if stored and key not in before),
        updated=tuple(key for key, stored in changed.items() if stored and key in before),
        deleted=tuple(key for key, stored in changed.items() if stored is None),
        unchanged=tuple(dict.fromkeys(key for key in keys if key not in changed)),
        index=draft.lookup.frozen(),
    )
