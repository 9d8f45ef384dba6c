# SPDX-License-Identifier: Apache-2.0
"""What a feature is: pure generators of flows, one per kind of subject."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from vneter_sdn.compile.query import Query, View
from vneter_sdn.model.flow import Action, Flow, Group, Meter
from vneter_sdn.model.snapshot import Key
from vneter_sdn.pipeline.cookies import GENERATION, Cookie, object_bits
from vneter_sdn.pipeline.tables import table

Matched = dict[str, int | tuple[int, int]]
Frozen = tuple[tuple[str, int | tuple[int, int]], ...]
"""A match that can be a key: sorted pairs."""


@dataclass(frozen=True, slots=True)
class Part:
    """Flows, groups and meters, and the hosts whose bridges hold them all."""

    hosts: frozenset[str]
    flows: tuple[Flow, ...] = ()
    groups: tuple[Group, ...] = ()
    meters: tuple[Meter, ...] = ()


Parts = tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes flows of one unit, with its cookie."""

    cookie: int

    @classmethod
    def of(cls, feature: int, subject: Key) -> Writer:
        """For the flows of one feature for one subject."""
        return cls(Cookie(GENERATION, feature, object_bits(subject)).number)

    def __call__(
        self, name: str, priority: int, matched: Matched, *actions: Action, goto: str | None = None
    ) -> Flow:
        """A flow of the table called ``name``; see `pipeline.tables.Table.flow`."""
        return table(name).flow(priority, matched, *actions, goto=goto, cookie=self.cookie)


Generator = Callable[[View, Key, Writer], Iterator[Part]]


def on(hosts: str | Iterable[str], *flows: Flow) -> Part:
    """Flows on one host, or on several."""
    return Part(frozenset([hosts] if isinstance(hosts, str) else hosts), flows)


@dataclass(frozen=True, slots=True)
class Feature:
    """One thing the data plane does."""

    name: str
    id: int
    """In cookies: 1..255. Never reused for another feature."""
    purpose: str
    generators: Mapping[str, Generator] = field(hash=False)
    """By kind of the subject."""
    instead: Mapping[str, Generator] = field(default_factory=dict, hash=False)
    """The same; what these claim replaces what others of this feature claim in the same place."""

    def units(self) -> dict[str, Query[Key, Parts]]:
        """By kind of the subject: the query that compiles the feature for one subject."""
        return {kind: self._query(kind, made) for kind, made in self.generators.items()}

    def overlays(self) -> dict[str, Query[Key, Parts]]:
        """`units` of `instead`."""
        return {kind: self._query(f"{kind}/instead", made) for kind, made in self.instead.items()}

    def _query(self, kind: str, generator: Generator) -> Query[Key, Parts]:
        def unit(view: View, subject: Key) -> Parts:
            parts = generator(view, subject, Writer.of(self.id, subject))
            return tuple(part for part in parts if part.hosts)

        unit.__name__ = f"{self.name}/{kind}"
        return Query(unit)
