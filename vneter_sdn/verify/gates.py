# SPDX-License-Identifier: Apache-2.0
"""What policies make of all packets of an endpoint, whoever is at the other end.

A gate is put together of three parts, each walked on flows once for all who share these: what is
said of connections, before it is asked who is at the other end; rules, with the identity at the
other end a field that may hold anything, so that those whom rules do not tell apart stay one set;
and what becomes of packets that a rule decided. Endpoints of whom flows say the same, but for port
and identity, have the same gate, wherever they are: that is found by comparing those flows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from vneter_sdn.model.flow import Flow, SetField
from vneter_sdn.model.policy_kinds import Direction
from vneter_sdn.pipeline.registers import LOCAL, PEER, RULE, TENANT
from vneter_sdn.verify.facts import FIRST, PEERS, STAGES_OF, STATE, VERDICT, Known
from vneter_sdn.verify.gate import Gate
from vneter_sdn.verify.identities import PolicyTables, Question
from vneter_sdn.verify.index import BridgeIndex
from vneter_sdn.verify.packets import Cube
from vneter_sdn.verify.parts import (
    ANSWERS,
    LATER,
    NO_LABEL,
    PORT,
    THEN,
    Kept,
    Label,
    Part,
    Parts,
    Said,
    all_packets,
    local,
    met,
    said,
    walked,
)
from vneter_sdn.verify.sieve import Sieve
from vneter_sdn.verify.state import State
from vneter_sdn.verify.tracking import NEW, Tracking, known
from vneter_sdn.verify.written import WAYS

_PEER_OPEN = frozenset((PEER.field,))
_MOST = 50_000
"""Parts, and gates, that are remembered."""
_Place = tuple[int, int, Label]
"""The port of an endpoint, the number of its tenant, and what connections were committed with."""


class _Held:
    """Gates of a bridge one way, and what was asked of its tables for each."""

    def __init__(self) -> None:
        self.gates: dict[_Place, Gate] = {}
        self._asked: defaultdict[Question, set[_Place]] = defaultdict(set)

    def hold(self, place: _Place, gate: Gate, asked_for: Iterable[Question]) -> None:
        """Keep a gate until the answer to one of the questions may be another one."""
        self.gates[place] = gate
        for question in asked_for:
            self._asked[question].add(place)

    def drop(self, question: Question) -> None:
        """The answer may be another one."""
        if question.whom is None:
            self.gates.clear()
            self._asked.clear()
        for place in self._asked.pop(question, ()):
            self.gates.pop(place, None)


class Gates:
    """Gates of all bridges, kept as long as the flows behind them are there.

    Args:
        indexes: bridges.
    """

    def __init__(self, indexes: Mapping[str, BridgeIndex]) -> None:
        self._indexes = indexes
        self._known = Known()
        self._tables: dict[str, PolicyTables] = {}
        self._held: dict[tuple[str, Direction], _Held] = {}
        self._sieve = Sieve()
        self._alike: dict[tuple[object, ...], Gate] = {}
        self._parts: dict[tuple[object, ...], Parts] = {}
        self._saids: dict[tuple[int, ...], tuple[object, object, tuple[Said, ...]]] = {}
        """With what the identities in the key are of."""

    def tables(self, host: str) -> PolicyTables:
        """Policy tables of a bridge."""
        found = self._tables.get(host)
        if found is None:
            self._held |= {(host, way): _Held() for way in WAYS}
            found = self._tables[host] = PolicyTables(
                self._indexes[host],
                self._known,
                lambda way, question: self._held[host, way].drop(question),
            )
        return found

    def wild(self, hosts: Iterable[str]) -> bool:
        """Whether policy tables of some bridges do more than say whether packets go on."""
        return any(self.tables(host).wild for host in hosts)

    def of(
        self, host: str, way: Direction, port: int, tenant: int, label: Label = NO_LABEL
    ) -> Gate:
        """The gate of an endpoint.

        Args:
            host: whose bridge.
            way: direction.
            port: its port there.
            tenant: number of its tenant.
            label: what its connections were committed with before, on the same bridge.

        Raises:
            Irregular: flows do otherwise than a gate can say.
        """
        tables = self.tables(host)
        place, held = (port, tenant, label), self._held[host, way]
        found = held.gates.get(place)
        if found is None:
            found = self._gate(tables, way, (port, tenant), label)
            held.hold(place, found, self._questions(tables, way, port, found))
        return found

    def _questions(
        self, tables: PolicyTables, way: Direction, port: int, gate: Gate
    ) -> Iterator[Question]:
        """What was asked of a bridge's tables for a gate."""
        yield Question(FIRST[way], port)
        for identity in tables.identities(way, port):
            yield from (Question(number, identity) for number in STAGES_OF[way])
        for what in gate.after:
            yield Question(VERDICT[way], dict(what)[RULE.field])

    def _gate(
        self, tables: PolicyTables, way: Direction, whose: tuple[int, int], label: Label
    ) -> Gate:
        before = self._before(tables, way, whose, label)
        open_ = [part for part in before if part.at == PEERS[way]]
        here = tables.identities(way, whose[0])
        stages = {
            who: tuple(
                self._stage(tables, number, who or next(iter(here)), whose[1])
                for number in STAGES_OF[way]
            )
            for who in ({0} if len(here) == 1 and open_ else set(map(local, open_)))
        }
        after = {
            what: self._after(tables, way, what, whose[1])
            for part in open_
            for what in self._asked(part, stages[local(part)])
        }
        # Who is here is of no account once what rules say of them is known.
        key = (
            way,
            id(before),
            *((who, *map(id, some)) for who, some in stages.items()),
            *map(id, after.values()),
        )
        found = self._alike.get(key)
        if found is None:
            _bounded(self._alike)
            found = self._alike[key] = Gate(way, before, stages, after, self._sieve)
        return found

    def _asked(self, first: Part, stages: tuple[Parts, ...]) -> tuple[Said, ...]:
        """What the last table may be asked of packets that some rules decide."""
        key = (id(first.held), *map(id, stages))
        found = self._saids.get(key)
        if found is None:
            _bounded(self._saids)
            parts = (part for stage in stages for part in stage)
            rules = {v: None for part in parts for n, v in part.held if n == RULE.field}
            every = tuple(said(first, rule) for rule in (None, *rules))
            found = self._saids[key] = first.held, stages, every
        return found[2]

    def _before(
        self, tables: PolicyTables, way: Direction, whose: tuple[int, int], label: Label
    ) -> Parts:
        return self._begun(tables, way, whose, Tracking("new", 0, *label[:2]), all_packets())

    def answers(
        self, host: str, way: Direction, port: int, tenant: int, label: Label
    ) -> Iterator[Part]:
        """What becomes of answers before any rule is asked: those that do not just go on.

        Args:
            host: whose bridge.
            way: the direction that answers go.
            port: the port of who gave them, or gets them.
            tenant: number of its tenant.
            label: what the connections were committed with there.
        """
        mark, written, zone = label
        answer = NEW if zone is None else known(mark=mark, label=written, reply=True, zone=zone)
        parts = self._begun(self.tables(host), way, (port, tenant), answer, ANSWERS)
        return (part for part in parts if part.at != THEN[way])

    def later(
        self,
        place: tuple[str, Direction],
        whose: tuple[int, int],
        kept: Kept,
    ) -> Iterator[Part]:
        """What becomes of packets that follow those that began connections, and do not go on.

        Args:
            place: whose bridge, and which direction.
            whose: the port of an endpoint, and the number of its tenant.
            kept: those that began them, as they were committed there.
        """
        host, way = place
        mark, written, zone = kept.label
        after = NEW if zone is None else known(mark=mark, label=written, zone=zone)
        tables = self.tables(host)
        for part in self._begun(tables, way, whose, after, LATER):
            if kept.rule is not None and part.at == PEERS[way]:
                for last in self._after(tables, way, said(part, kept.rule), whose[1]):
                    if last.at != THEN[way] and kept.go_on(met(part.cubes, last.cubes)):
                        yield last
            elif part.at != THEN[way] and kept.go_on(part.cubes):
                yield part

    def _begun(
        self,
        tables: PolicyTables,
        way: Direction,
        whose: tuple[int, int],
        tracking: Tracking,
        packets: Sequence[Cube],
    ) -> Parts:
        port, tenant = whose
        first, state = tables.first(way, port), tables.state(way)
        alone = len(tables.identities(way, port)) == 1
        shape = frozenset(_renamed(flow, way, alone) for flow in first)
        key = (way, tenant, tracking, id(packets), shape, self._known.numbers(state))

        def parts() -> Iterator[Part]:
            held = {TENANT.field: tenant, PORT[way]: port}
            few = {FIRST[way]: first, STATE[way]: state}
            for part in walked(few, State(packets, held), tracking):
                kept = (one for one in part.held if not alone or one[0] != LOCAL.field)
                yield part._replace(held=tuple(kept))

        return self._remember(key, parts)

    def _stage(self, tables: PolicyTables, number: int, who: int, tenant: int) -> Parts:
        key = (number, tenant, tables.about(number, who))
        found = self._parts.get(key)
        if found is not None:
            return found
        flows = tables.rules(number, who)

        def parts() -> Iterator[Part]:
            held = {TENANT.field: tenant, LOCAL.field: who}
            for part in walked({number: flows}, State([{}], held, _PEER_OPEN)):
                yield part._replace(held=tuple(h for h in part.held if h[0] == RULE.field))

        return self._remember(key, parts)

    def _after(
        self,
        tables: PolicyTables,
        way: Direction,
        what: Said,
        tenant: int,
    ) -> Parts:
        flows = tables.verdicts(way, dict(what)[RULE.field])
        key = (way, tenant, what, self._known.numbers(flows))

        def parts() -> Iterator[Part]:
            state = State([{}], {TENANT.field: tenant, **dict(what)}, _PEER_OPEN)
            return walked({VERDICT[way]: flows}, state)

        return self._remember(key, parts)

    def _remember(self, key: tuple[object, ...], compute: Callable[[], Iterator[Part]]) -> Parts:
        found = self._parts.get(key)
        if found is None:
            _bounded(self._parts)
            found = self._parts[key] = tuple(compute())
        return found


def _bounded(memory: dict[Any, Any]) -> None:
    if len(memory) > _MOST:
        memory.clear()


def _renamed(flow: Flow, way: Direction, alone: bool) -> tuple[object, ...]:
    """A flow, whatever port it is about; and whoever is there, if there is one identity alone."""
    actions = tuple(
        replace(action, value=0)
        if alone and isinstance(action, SetField) and action.field == LOCAL.field
        else action
        for action in flow.actions
    )
    return (
        flow.priority,
        tuple(term for term in flow.match if term.field != PORT[way]),
        any(term.field == PORT[way] for term in flow.match),
        actions,
        flow.goto,
    )
