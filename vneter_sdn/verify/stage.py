# SPDX-License-Identifier: Apache-2.0
"""One table of rules of one bridge, to be found by the identities that its flows are about.

What rules say of an endpoint's packets depends on few flows: those that name its identity, the
other clauses of their conjunctions, and those that name none. Everything else cannot be met.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import NamedTuple

from vneter_sdn.model.flow import Conjunction, Flow
from vneter_sdn.verify.facts import Known


class About(NamedTuple):
    """What packets of an endpoint may meet in a table of rules; equal where it is the same.

    By numbers of flows (`facts.Facts`), so that it is told apart what they say and not whose.
    """

    own: frozenset[int]
    """Flows that match its identity, without that."""
    shared: frozenset[frozenset[int]]
    """Other clauses of their conjunctions."""
    plain: frozenset[int]


class Stage:
    """The flows of one table of rules."""

    def __init__(self, known: Known) -> None:
        self._known = known
        self.local: defaultdict[int, dict[int, Flow]] = defaultdict(dict)
        """By the identity of the endpoint here that they match; by identity of the flow."""
        self.shared: defaultdict[int, dict[int, Flow]] = defaultdict(dict)
        """By conjunction, those that match no such identity."""
        self.plain: dict[int, Flow] = {}
        """Those of no conjunction that match none."""
        self.named: defaultdict[int, dict[int, Flow]] = defaultdict(dict)
        """By the identity at the other end that they match."""
        self.deciding: defaultdict[int, dict[int, Flow]] = defaultdict(dict)
        """By the number of the rule that they decide by."""
        self.members: defaultdict[int, dict[int, Flow]] = defaultdict(dict)
        """By conjunction, those that match an identity here."""
        self._clauses: defaultdict[int, Counter[tuple[int, int]]] = defaultdict(Counter)
        """By conjunction: how many flows that match no identity here are which clause of how
        many."""
        self._unsure: set[int] = set()
        """Conjunctions of which it is to be found out whether they are open."""
        self._open: set[int] = set()
        self._tokens: dict[int, frozenset[int]] = {}
        self._found: dict[int, About] = {}

    def note(self, flow: Flow, count: int) -> frozenset[int] | None:
        """One flow more, or less.

        Returns:
            Identities here of whose packets some may meet other flows than before; None: anybody's.
        """
        # Whom a flow is about may hang on the flow itself: it may be what opens a conjunction.
        before = self.whom(flow)
        self._hold(flow, count)
        after = self.whom(flow)
        whom = None if before is None or after is None else before | after
        if whom is None:
            self._found.clear()
        for identity in whom or ():
            self._found.pop(identity, None)
        return whom

    def fill(self, flow: Flow) -> None:
        """One flow more, before anything was asked."""
        self._hold(flow, 1)

    def _hold(self, flow: Flow, count: int) -> None:
        facts = self._known(flow)
        if facts.here is not None:
            homes = [self.local[facts.here], *(self.members[n] for n in facts.numbers)]
        else:
            homes = [self.shared[n] for n in facts.numbers] or [self.plain]
            self._count(flow, facts.numbers, count)
        if facts.there is not None:
            homes.append(self.named[facts.there])
        if facts.rule is not None:
            homes.append(self.deciding[facts.rule])
        for home in homes:
            if count > 0:
                home[id(flow)] = flow
            else:
                home.pop(id(flow), None)

    def _count(self, flow: Flow, numbers: frozenset[int], count: int) -> None:
        for number in numbers:
            self._tokens.pop(number, None)
            self._unsure.add(number)
        for action in flow.actions:
            if isinstance(action, Conjunction):
                self._clauses[action.id][action.clause, action.of] += count

    def about(self, identity: int) -> About:
        """What packets of an endpoint here may meet, whatever its identity is called."""
        found = self._found.get(identity)
        if found is None:
            mine = self.local.get(identity, {})
            numbers = self._numbers(mine)
            found = self._found[identity] = About(
                frozenset(self._known(flow).unnamed for flow in mine.values()),
                frozenset(self._token(number) for number in numbers),
                frozenset(self._known(flow).number for flow in self.plain.values()),
            )
        return found

    def flows(self, identity: int) -> tuple[Flow, ...]:
        """The flows of that."""
        mine = self.local.get(identity, {})
        held = {**mine, **self.plain}
        for number in self._numbers(mine):
            held |= self.shared.get(number, {})
        return tuple(held.values())

    def _numbers(self, mine: Mapping[int, Flow]) -> set[int]:
        numbers = {number for flow in mine.values() for number in self._known(flow).numbers}
        for number in tuple(self._unsure):
            self.is_open(number)
        return numbers | self._open

    def _token(self, number: int) -> frozenset[int]:
        """What a conjunction is made of besides identities here."""
        found = self._tokens.get(number)
        if found is None:
            flows = self.shared.get(number, {}).values()
            found = self._tokens[number] = frozenset(self._known(flow).number for flow in flows)
        return found

    def is_open(self, number: int) -> bool:
        """Whether a conjunction can be met without a flow that matches an identity here."""
        if number in self._unsure:
            self._unsure.discard(number)
            held = [place for place, times in self._clauses[number].items() if times > 0]
            met = {clause for clause, _ in held}
            if self.shared.get(number) and met.issuperset(
                clause for _, of in held for clause in range(1, of + 1)
            ):
                self._open.add(number)
            else:
                self._open.discard(number)
        return number in self._open

    def whom(self, flow: Flow) -> frozenset[int] | None:
        """Identities here of whose packets some may meet a flow; None for anybody's."""
        facts = self._known(flow)
        if facts.here is not None:
            return frozenset((facts.here,))
        if not facts.numbers or any(self.is_open(number) for number in facts.numbers):
            return None
        return frozenset(
            local
            for number in facts.numbers
            for one in self.members.get(number, {}).values()
            if (local := self._known(one).here) is not None
        )
