# SPDX-License-Identifier: Apache-2.0
"""Policy tables of one bridge, to be found by the identities that their flows are about.

What policies say of an endpoint's packets depends on few of a bridge's flows: those that name its
identity, the other clauses of their conjunctions, and those that name none. Everything else cannot
be met. A flow is found here by what it matches, never by who wrote it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import NamedTuple

from vneter_sdn.model.fields import TRACKED
from vneter_sdn.model.flow import Conntrack, Flow, SetField
from vneter_sdn.model.policy_kinds import Direction
from vneter_sdn.pipeline.registers import LOCAL
from vneter_sdn.verify.facts import (
    FIRST,
    PEER_OF,
    PEERS,
    RULED,
    SORTED,
    STAGES_OF,
    STATE,
    VERDICT,
    Address,
    Known,
    exactly,
)
from vneter_sdn.verify.index import BridgeIndex
from vneter_sdn.verify.stage import About, Stage
from vneter_sdn.verify.written import STAGES, WAYS, loaded

_Homes = defaultdict[int | None, dict[int, Flow]]
_WAY_OF: dict[int, Direction] = {
    **{number: way for way in WAYS for number in (FIRST[way], STATE[way], VERDICT[way])},
    **STAGES,
}


class Question(NamedTuple):
    """What was asked of a bridge's policy tables."""

    table: int
    whom: int | None
    """The port, the identity or the rule that it was about; None: all."""


class PolicyTables:
    """Policy tables of one bridge, kept up to date. Each is read when it is first asked for.

    Args:
        index: the bridge.
        known: facts of flows.
        stirred: told of each question whose answer may be another one now.
    """

    def __init__(
        self,
        index: BridgeIndex,
        known: Known,
        stirred: Callable[[Direction, Question], None] = lambda _way, _question: None,
    ) -> None:
        self._index, self._known, self._stirred = index, known, stirred
        self.wild = sum(known(flow).wild for number in RULED for flow in index.flows(number))
        """Flows that do more than say whether packets go on."""
        self._mixes: bool | None = None
        self._stages: dict[int, Stage] = {}
        self._peers: dict[Direction, dict[Address, dict[int, Flow]]] = {}
        self._whose: dict[Direction, defaultdict[int, set[Address]]] = {}
        self._whom: dict[Direction, dict[Address, int]] = {}
        self._homes: dict[int, _Homes] = {}
        index.watchers.append(self.note)

    def note(self, before: Flow | None, after: Flow | None) -> None:
        """A flow took the place of another."""
        for flow, count in ((before, -1), (after, 1)):
            if flow is not None and flow.table in RULED:
                self.wild += count * self._known(flow).wild
                if flow.table not in STAGES:
                    self._mixes = None
                self._note(flow, count)

    def _note(self, flow: Flow, count: int) -> None:
        number = flow.table
        if number in self._stages:
            whom = self._stages[number].note(flow, count)
            for identity in (None,) if whom is None else whom:
                self._stirred(STAGES[number], Question(number, identity))
        elif number not in PEER_OF:
            name = SORTED.get(number)
            value = None if name is None else exactly(flow, name)
            self._stirred(_WAY_OF[number], Question(number, value))
        if number in PEER_OF and PEER_OF[number] in self._peers:
            self._note_peer(PEER_OF[number], flow, count)
        elif number in self._homes:
            _kept(self._homes[number][exactly(flow, SORTED[number])], flow, count)

    def _note_peer(self, way: Direction, flow: Flow, count: int) -> None:
        address = self._known(flow).address
        if address is None:
            return
        held, whose = self._peers[way].setdefault(address, {}), self._whose[way]
        whose[self._whom[way].get(address, 0)].discard(address)
        _kept(held, flow, count)
        now = self._whom[way][address] = _first(held, self._known)
        whose[now].add(address)

    def _stage(self, number: int) -> Stage:
        found = self._stages.get(number)
        if found is None:
            found = self._stages[number] = Stage(self._known)
            for flow in self._index.flows(number):
                found.fill(flow)
        return found

    def _addresses(self, way: Direction) -> dict[Address, dict[int, Flow]]:
        found = self._peers.get(way)
        if found is None:
            found = self._peers[way] = {}
            self._whose[way], self._whom[way] = defaultdict(set), {}
            for flow in self._index.flows(PEERS[way]):
                self._note_peer(way, flow, 1)
        return found

    def _sorted(self, number: int, value: int | None) -> dict[int, Flow]:
        home = self._homes.get(number)
        if home is None:
            home = self._homes[number] = defaultdict(dict)
            for flow in self._index.flows(number):
                home[exactly(flow, SORTED[number])][id(flow)] = flow
        return home.get(value, {})

    # ---- what is asked

    def peer(self, way: Direction, address: Address) -> int:
        """The identity that an address at the other end has; 0 for none."""
        self._addresses(way)
        return self._whom[way].get(address, 0)

    def whose(self, way: Direction) -> Mapping[int, Collection[Address]]:
        """Addresses at the other end, by their identity; some of 0 have none any more."""
        self._addresses(way)
        return self._whose[way]

    def single(self, flow: Flow) -> bool:
        """Whether a flow gives an address an identity, and is the only one that does."""
        address = self._known(flow).address
        way = PEER_OF.get(flow.table)
        if address is None or way is None:
            return False
        return len(self._addresses(way).get(address, ())) == 1

    def first(self, way: Direction, port: int) -> tuple[Flow, ...]:
        """Where policies of an endpoint begin."""
        number = FIRST[way]
        both = self._sorted(number, port), self._sorted(number, None)
        return tuple(flow for held in both for flow in held.values())

    def state(self, way: Direction) -> tuple[Flow, ...]:
        """What is said of connections."""
        return tuple(self._index.flows(STATE[way]))

    def about(self, number: int, identity: int) -> About:
        """What packets of an endpoint here may meet of a table of rules."""
        return self._stage(number).about(identity)

    def rules(self, number: int, identity: int) -> tuple[Flow, ...]:
        """The flows of that."""
        return self._stage(number).flows(identity)

    def verdicts(self, way: Direction, rule: int) -> tuple[Flow, ...]:
        """Where what a rule decides is acted on."""
        both = self._sorted(VERDICT[way], rule), self._sorted(VERDICT[way], None)
        return tuple(flow for held in both for flow in held.values())

    @property
    def mixes(self) -> bool:
        """Whether what is remembered of packets on their way out is asked on their way in."""
        if self._mixes is None:
            wrote = {"ct_mark": 0, "ct_label": 0}
            for flow in self._of_state("egress"):
                for action in flow.actions:
                    for write in action.actions if isinstance(action, Conntrack) else ():
                        if isinstance(write, SetField):
                            wrote[write.field] |= write.mask
                        else:
                            wrote[write.target] |= -1
            self._mixes = any(
                term.mask & wrote.get(term.field, 0)
                for flow in self._of_state("ingress")
                if not _is_of_replies(flow)
                for term in flow.match
            )
        return self._mixes

    def _of_state(self, way: Direction) -> Iterator[Flow]:
        yield from self._index.flows(STATE[way])
        yield from self._index.flows(VERDICT[way])

    def whom(self, flow: Flow) -> frozenset[int] | None:
        """Identities here of whose packets some may meet a flow of a rule; None: anybody's."""
        return self._stage(flow.table).whom(flow)

    def deciders(self, way: Direction, number: int) -> frozenset[int] | None:
        """Identities here that a rule of some number is about; None: anybody's."""
        found: set[int] = set()
        for stage in STAGES_OF[way]:
            held = self._stage(stage)
            for flow in held.deciding.get(number, {}).values():
                whom = held.whom(flow)
                if whom is None:
                    return None
                found |= whom
        return frozenset(found)

    def identities(self, way: Direction, port: int) -> frozenset[int]:
        """Identities that an endpoint has here; more than one where its flows differ."""
        flows = self.first(way, port)
        return frozenset(who for f in flows if (who := loaded(f, LOCAL.field)) is not None)

    def apart(self, way: Direction, one: int, other: int) -> frozenset[int] | None:
        """Identities here whose rules tell two identities at the other end apart; None: anybody's.

        Two are alike where the flows that name them are equal but for that name.
        """
        found: set[int] = set()
        for number in STAGES_OF[way]:
            stage = self._stage(number)
            ours = {self._known(f).unheard: f for f in stage.named.get(one, {}).values()}
            theirs = {self._known(f).unheard: f for f in stage.named.get(other, {}).values()}
            for shape in ours.keys() ^ theirs.keys():
                whom = stage.whom(ours.get(shape) or theirs[shape])
                if whom is None:
                    return None
                found |= whom
        return frozenset(found)


def _first(held: Mapping[int, Flow], known: Known) -> int:
    """The identity that an address gets by the first of some flows."""
    if not held:
        return 0
    return known(max(held.values(), key=lambda flow: flow.priority)).whom


_REPLY = TRACKED["rpl"]


def _is_of_replies(flow: Flow) -> bool:
    """Whether a flow is about replies alone."""
    return any(term.field == "ct_state" and term.value & _REPLY for term in flow.match)


def _kept(home: dict[int, Flow], flow: Flow, count: int) -> None:
    if count > 0:
        home[id(flow)] = flow
    else:
        home.pop(id(flow), None)
