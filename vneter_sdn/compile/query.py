# SPDX-License-Identifier: Apache-2.0
"""Incremental computation: facts, and memoised queries over them that record what they read.

A *fact* is a frozen value under (relation, key). A *query* is a pure function of a key and of what
it reads through its `View`: facts, the keys of an index, other queries. Each read is recorded, so
when facts change exactly the queries that read them run again; a query whose new value equals
its old one ends the wave there (early cut-off). Of a set or mapping an element can be read alone
(`View.holds`, `View.entry`): then the rest of it may change. This is the demanded computation graph
of Adapton (Hammer et al., PLDI 2014) with the red-green marking of Salsa, in eager form: queries
are ranked by order of declaration and may ask only those declared before them, so a cycle cannot be
written, and one sweep in rank order sees only final values (no glitches).

There is no invalidation code anywhere else: whoever reads through the view is kept up to date.

Complexity: `Database.update` costs O(changes + Σ (reads of the queries that run)) · log of the
number queued; memory is one edge per read. Memo entries that no output needs any more are dropped
in the same update.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from heapq import heappop, heappush
from itertools import count
from typing import Any, Generic, NamedTuple, TypeVar, cast

from vneter_sdn.compile.cells import EMPTY, MISSING, Cell, Element, Entry, Input, Memo
from vneter_sdn.errors import PipelineError
from vneter_sdn.model.pace import Breathe, on_and_on, paced

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
E = TypeVar("E", bound=Hashable)
_ranks = count()


class Fact(NamedTuple):
    """Where a fact is kept."""

    relation: str
    key: Hashable


class Index(NamedTuple):
    """A secondary index of one relation: finds keys by something that follows from the fact."""

    name: str
    relation: str
    values: Callable[[Any, Any], Iterable[Hashable]]
    """(key, fact) -> the values that find this key. Must depend on nothing else."""


class Query(Generic[K, V]):
    """A memoised pure function; see `query`."""

    __slots__ = ("function", "name", "rank")

    def __init__(self, function: Callable[[View, K], V]) -> None:
        self.function = function
        self.name = function.__name__
        self.rank = next(_ranks)

    def __repr__(self) -> str:
        return f"Query({self.name})"


def query(function: Callable[[View, K], V]) -> Query[K, V]:
    """Declare a query. It may ask only queries declared before it."""
    return Query(function)


class View:
    """What a running query sees; every look is recorded."""

    __slots__ = ("_database", "_memo")

    def __init__(self, database: Database, memo: Memo) -> None:
        self._database, self._memo = database, memo

    def get(self, relation: str, key: Hashable) -> Any:
        """The fact, or None when there is none."""
        cell = self._database.fact_cell(Fact(relation, key))
        self._record(cell)
        return None if cell.value is MISSING else cell.value

    def find(self, index: Index, value: Hashable) -> frozenset[Any]:
        """Keys of the facts that the index files under a value."""
        cell = self._database.entry_cell(index, value)
        self._record(cell)
        return cell.keys()

    def keys(self, relation: str) -> frozenset[Any]:
        """All keys of a relation."""
        return self.find(Index("", relation, _no_values), relation)

    def ask(self, asked: Query[K, V], key: K) -> V:
        """The value of another query.

        Raises:
            PipelineError: it was not declared before the one that asks (a cycle).
        """
        memo = self._memo_of(asked, key)
        self._record(memo)
        value: V = memo.value
        return value

    def holds(self, asked: Query[K, frozenset[E]], key: K, element: E) -> bool:
        """Whether something is in the set that another query answers.

        Only that is recorded: what else comes into the set or leaves it does not matter here.
        """
        found = self._memo_of(asked, key).element(element)
        self._record(found)
        value: bool = found.value
        return value

    def entry(self, asked: Query[K, Mapping[E, V]], key: K, element: E) -> V | None:
        """What is at a key of the mapping that another query answers; None for nothing.

        Only that is recorded, as for `holds`.
        """
        found = self._memo_of(asked, key).element(element)
        self._record(found)
        value: V | None = found.value
        return value

    def _memo_of(self, asked: Query[Any, Any], key: Hashable) -> Memo:
        if asked.rank >= self._memo.query.rank:
            raise PipelineError(f"{self._memo.query.name} may not ask {asked.name}: a cycle")
        return self._database.fresh(asked, key)

    @property
    def before(self) -> Any:
        """What this query answered when it last ran, or None.

        For one that brings that up to date quicker than it starts anew; its answer must not depend
        on it.
        """
        return None if self._memo.value is MISSING else self._memo.value

    def breathe(self) -> None:
        """Let others have a moment, in a query that takes more than some milliseconds."""
        self._database.breathe()

    def _record(self, cell: Cell) -> None:
        self._memo.reads[cell] = None
        cell.readers[self._memo] = None


def _no_values(key: Any, value: Any) -> Iterable[Hashable]:
    return ()


class Database:
    """Facts and everything computed from them.

    Args:
        indexes: secondary indexes; each relation also has the one of all its keys.
        outputs: per relation, the queries whose value is wanted for every key of that relation.
        breathe: called now and then during an update. It must not come back to this database:
            one update at a time, and no look at what is half done.
    """

    def __init__(
        self,
        indexes: Iterable[Index],
        outputs: Mapping[str, tuple[Query[Any, Any], ...]],
        breathe: Breathe = on_and_on,
    ) -> None:
        self.breathe = breathe
        self._indexes: dict[str, list[Index]] = {}
        for index in indexes:
            self._indexes.setdefault(index.relation, []).append(index)
        self._outputs = dict(outputs)
        self._facts: dict[Any, Input] = {}
        self._entries: dict[Any, Entry] = {}
        self._memos: dict[tuple[Query[Any, Any], Hashable], Memo] = {}
        self._queue: list[Memo] = []
        self._changed: dict[tuple[Query[Any, Any], Hashable], Any] = {}
        self._orphans: list[Memo] = []
        self.runs = 0
        """How many times a query ran, ever: what tests of incrementality count."""

    def update(
        self, facts: Mapping[Fact, Any]
    ) -> dict[tuple[Query[Any, Any], Hashable], tuple[Any, Any]]:
        """Put facts (None deletes), bring every output up to date.

        Returns:
            (query, key) of every output that changed -> (old value, new value); None stands for
            an output that was not there before, or is not any more.

        When a query raises, the error passes through; the next update goes on from there.
        """
        for fact, value in paced(facts.items(), self.breathe):
            self._put(fact, value)
        while self._queue:
            memo = self._queue[0]
            if memo.dirty and memo.wanted:
                self._run(memo)
            heappop(self._queue)
        self._collect()
        changed, self._changed = self._changed, {}
        return {
            place: (before, after)
            for place, before in paced(changed.items(), self.breathe)
            if before != (after := self._output(place))
        }

    def value(self, asked: Query[K, V], key: K) -> V | None:
        """The current value of an output, or of anything an output reads; else None."""
        return cast("V | None", self._value((asked, key)))

    def peek(self, relation: str, key: Hashable) -> Any:
        """The fact, or None; not recorded, for use outside queries."""
        cell = self._facts.get(Fact(relation, key))
        return None if cell is None or cell.value is MISSING else cell.value

    def find(self, index: Index, value: Hashable) -> frozenset[Any]:
        """Keys that an index files under a value; not recorded, for use outside queries."""
        cell = self._entries.get((index.name, value))
        return EMPTY if cell is None else cell.keys()

    @property
    def size(self) -> int:
        """Facts, index entries and memoised values held."""
        return len(self._facts) + len(self._entries) + len(self._memos)

    def _value(self, place: tuple[Query[Any, Any], Hashable]) -> Any:
        memo = self._memos.get(place)
        return None if memo is None or memo.value is MISSING else memo.value

    def _output(self, place: tuple[Query[Any, Any], Hashable]) -> Any:
        memo = self._memos.get(place)
        return None if memo is None or not memo.pinned else memo.value

    def _put(self, fact: Fact, value: Any) -> None:
        cell = self.fact_cell(fact)
        before, after = cell.value, MISSING if value is None else value
        if before is after or (before is not MISSING and after is not MISSING and before == after):
            self._release(cell)
            return
        cell.value = after
        self._dirty_readers(cell)
        self._reindex(fact, before, after)
        if before is MISSING:
            for output in self._of(fact.relation):
                self._pin(output, fact.key)
        if after is MISSING:
            for output in self._of(fact.relation):
                self._unpin(self._memos[output, fact.key])
            self._release(cell)

    def _of(self, relation: str) -> tuple[Query[Any, Any], ...]:
        return self._outputs.get(relation, ())

    def _reindex(self, fact: Fact, before: Any, after: Any) -> None:
        for index in self._indexes.get(fact.relation, ()):
            old = EMPTY if before is MISSING else frozenset(index.values(fact.key, before))
            new = EMPTY if after is MISSING else frozenset(index.values(fact.key, after))
            for value in old - new:
                self._file((index.name, value), fact.key, present=False)
            for value in new - old:
                self._file((index.name, value), fact.key, present=True)
        if (before is MISSING) != (after is MISSING):
            self._file(("", fact.relation), fact.key, present=before is MISSING)

    def _file(self, entry: Hashable, key: Hashable, *, present: bool) -> None:
        cell = self._entry(entry)
        cell.file(key, present=present)
        self._dirty_readers(cell)
        self._release(cell)

    def fact_cell(self, fact: Fact) -> Input:
        """Where a fact is or would be; for `View`."""
        cell = self._facts.get(fact)
        if cell is None:
            cell = self._facts[fact] = Input(home=self._facts, place=fact)
        return cell

    def entry_cell(self, index: Index, value: Hashable) -> Entry:
        """Where an entry of an index is or would be; for `View`."""
        return self._entry((index.name, value))

    def _entry(self, place: Hashable) -> Entry:
        cell = self._entries.get(place)
        if cell is None:
            cell = self._entries[place] = Entry(home=self._entries, place=place)
        return cell

    def fresh(self, asked: Query[Any, Any], key: Hashable) -> Memo:
        """A memo whose value is current; for `View`."""
        place = (asked, key)
        memo = self._memos.get(place)
        if memo is None:
            memo = self._memos[place] = Memo(query=asked, key=key)
        if memo.dirty:
            self._run(memo)
        return memo

    def _pin(self, output: Query[Any, Any], key: Hashable) -> None:
        memo = self._memos.get((output, key))
        if memo is None:
            memo = self._memos[output, key] = Memo(query=output, key=key)
        memo.pinned = True
        self._changed.setdefault((output, key), None)
        if memo.dirty:
            heappush(self._queue, memo)

    def _unpin(self, memo: Memo) -> None:
        memo.pinned = False
        self._note(memo)
        self._orphans.append(memo)

    def _note(self, memo: Memo) -> None:
        """Remember the value an output had before this update."""
        value = None if memo.value is MISSING else memo.value
        self._changed.setdefault((memo.query, memo.key), value)

    def _run(self, memo: Memo) -> None:
        before, held = memo.value, memo.reads
        memo.reads = {}
        self.runs += 1
        try:
            self.breathe()  # each time: some take milliseconds
            after = memo.query.function(View(self, memo), memo.key)
        except BaseException:
            memo.reads = held | memo.reads
            raise
        memo.dirty = False
        for cell in held:
            if cell not in memo.reads:
                self._forget(cell, memo)
        if before is MISSING or (before is not after and before != after):
            if memo.pinned:
                self._note(memo)
            memo.value = after
            self._dirty_readers(memo)
            for element in memo.differing(before):
                self._dirty_readers(element)

    def _dirty_readers(self, cell: Cell) -> None:
        for reader in cell.readers:
            self._enqueue(reader)

    def _enqueue(self, memo: Memo) -> None:
        if not memo.dirty:
            memo.dirty = True
            heappush(self._queue, memo)

    def _forget(self, cell: Cell, reader: Memo) -> None:
        cell.readers.pop(reader, None)
        if not cell.readers:
            if isinstance(cell, Memo):
                self._orphans.append(cell)
            elif isinstance(cell, Element):
                cell.memo.drop(cell)
                self._orphans.append(cell.memo)
            elif isinstance(cell, Input):
                self._release(cell)

    def _release(self, cell: Input) -> None:
        if cell.value is MISSING and not cell.readers:
            cell.home.pop(cell.place, None)

    def _collect(self) -> None:
        """Drop what nothing reads, and what only that read."""
        while self._orphans:
            memo = self._orphans.pop()
            if memo.wanted or (memo.query, memo.key) not in self._memos:
                continue
            del self._memos[memo.query, memo.key]
            for cell in memo.reads:
                self._forget(cell, memo)
