# SPDX-License-Identifier: Apache-2.0
"""What `query.Database` is made of: everything that can be read, and who reads it."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vneter_sdn.compile.query import Query

EMPTY: frozenset[Any] = frozenset()
MISSING: Any = object()


@dataclass(slots=True, eq=False, kw_only=True)
class Cell:
    """Something that can be read: who reads it."""

    readers: dict[Memo, None] = field(default_factory=dict)


@dataclass(slots=True, eq=False, kw_only=True)
class Memo(Cell):
    """The value of one query for one key, and what it read to get there."""

    query: Query[Any, Any]
    key: Hashable
    value: Any = MISSING
    reads: dict[Cell, None] = field(default_factory=dict)
    dirty: bool = True
    pinned: bool = False
    elements: dict[Hashable, Element] | None = None
    """Elements of the value that somebody reads, and not all of it."""

    def __lt__(self, other: Memo) -> bool:
        return self.query.rank < other.query.rank

    @property
    def wanted(self) -> bool:
        """Whether anybody needs it."""
        return self.pinned or bool(self.readers) or bool(self.elements)

    def element(self, key: Hashable) -> Element:
        """One element, to be read."""
        if self.elements is None:
            self.elements = {}
        found = self.elements.get(key)
        if found is None:
            found = self.elements[key] = Element(memo=self, key=key)
        return found

    def drop(self, element: Element) -> None:
        """Nobody reads an element any more."""
        if self.elements is not None:
            self.elements.pop(element.key, None)

    def differing(self, before: Any) -> Iterator[Element]:
        """Elements that are read, and were something else in the value before."""
        held, after = self.elements, self.value
        if not held:
            return
        if before is MISSING:
            yield from held.values()
        elif isinstance(after, frozenset):
            yield from [held[key] for key in before ^ after if key in held]
        else:
            for key, one in [*held.items()]:
                was, now = before.get(key), after.get(key)
                if was is not now and was != now:  # sets are compared whole even with themselves
                    yield one


@dataclass(slots=True, eq=False, kw_only=True)
class Element(Cell):
    """Whether something is in a set, or what is at a key of a mapping, that is a query's value."""

    memo: Memo
    key: Hashable

    @property
    def value(self) -> Any:
        """True or False of a set; of a mapping what is there, or None."""
        held: Any = self.memo.value
        return held.get(self.key) if isinstance(held, Mapping) else self.key in held


@dataclass(slots=True, eq=False, kw_only=True)
class Input(Cell):
    """A fact or an index entry; kept while it has a value or readers."""

    home: dict[Any, Any] = field(default_factory=dict)
    place: Hashable = None
    value: Any = MISSING


@dataclass(slots=True, eq=False, kw_only=True)
class Entry(Input):
    """An entry of an index: its value is a set of keys, never empty, that only grows and shrinks.

    Readers keep what they read, so they get a frozen copy, made once for all that read between two
    changes: filing is O(1) whatever the size, which matters when thousands of facts arrive at once.
    """

    frozen: frozenset[Any] | None = None

    def keys(self) -> frozenset[Any]:
        """The keys filed here, as a value."""
        if self.value is MISSING:
            return EMPTY
        if self.frozen is None:
            self.frozen = frozenset(self.value)
        return self.frozen

    def file(self, key: Hashable, *, present: bool) -> None:
        """Add or remove a key."""
        held: set[Any] = set() if self.value is MISSING else self.value
        if present:
            held.add(key)
        else:
            held.discard(key)
        self.value = held or MISSING
        self.frozen = None
