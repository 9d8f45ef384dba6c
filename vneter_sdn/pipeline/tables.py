# SPDX-License-Identifier: Apache-2.0
"""Tables with their numbers, and flows that keep the contracts of theirs.

A table refuses a flow that breaks its contract, in a unit test rather than on a bridge.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass

from vneter_sdn.errors import PipelineError
from vneter_sdn.model.fields import ETH_IP, ETH_IPV6, TRACKED
from vneter_sdn.model.flow import (
    Action,
    CheckLength,
    Conjunction,
    Conntrack,
    Copy,
    DecTtl,
    Flow,
    GroupAction,
    Match,
    Output,
    OutputField,
    Resubmit,
    SetField,
    match,
)
from vneter_sdn.pipeline import priorities
from vneter_sdn.pipeline.contracts import CONTRACTS, Contract


@dataclass(frozen=True, slots=True)
class Table:
    """A table with its number."""

    id: int
    contract: Contract

    @property
    def name(self) -> str:
        """As in ``ovs-ofctl --names``."""
        return self.contract.name

    def flow(
        self,
        priority: int,
        matched: dict[str, int | tuple[int, int]],
        *actions: Action,
        goto: str | None = None,
        cookie: int = 0,
    ) -> Flow:
        """A flow of this table.

        Raises:
            PipelineError: it matches, sets, sends or goes where the contract does not allow.
        """
        contract = self.contract
        if any(isinstance(action, Conjunction) for action in actions):
            self._check_clauses(actions, goto)
        if not matched.keys() <= contract.matches:
            self._refuse("match", matched.keys() - contract.matches)
        for action in actions:
            self._check(action)
            if isinstance(action, Conntrack):
                self._check_tracked(action, match(**matched))
        if goto and goto not in contract.goes_to:
            self._refuse("go to", {goto})
        return Flow(
            self.id,
            priority,
            match(**matched),
            tuple(actions),
            table(goto).id if goto else None,
            cookie,
        )

    def miss(self, cookie: int = 0) -> Flow:
        """The flow for everything no other flow takes."""
        return Flow(
            self.id,
            priorities.MISS,
            (),
            (),
            table(self.contract.miss).id if self.contract.miss else None,
            cookie,
        )

    def _check(self, action: Action) -> None:
        contract = self.contract
        match action:
            case SetField(field=written) | Copy(target=written) | CheckLength(field=written):
                if written not in contract.sets:
                    self._refuse("set", {written})
            case DecTtl():
                if "ip_ttl" not in contract.sets:
                    self._refuse("set", {"ip_ttl"})
            case Output() | OutputField() | GroupAction():
                if not contract.outputs:
                    self._refuse("send", {"a packet"})
            case Resubmit(table=number):
                if BY_ID[number].name not in contract.goes_to:
                    self._refuse("go to", {BY_ID[number].name})
            case Conntrack():
                self._check_conntrack(action)

    def _check_conntrack(self, action: Conntrack) -> None:
        for written in action.actions:
            self._check(written)
        if action.table is not None and BY_ID[action.table].name not in self.contract.goes_to:
            self._refuse("go to", {BY_ID[action.table].name})

    def _check_tracked(self, action: Conntrack, matched: Match) -> None:
        """What Open vSwitch asks of a flow that tracks (OFPBAC_MATCH_INCONSISTENT otherwise)."""
        values = {term.field: term.value for term in matched}
        if values.get("eth_type") not in (ETH_IP, ETH_IPV6):
            self._refuse("track", {"what it does not match as IP"})
        if action.commit and values.get("ct_state", 0) & TRACKED["inv"]:
            self._refuse("commit", {"what it matches as invalid"})

    def _check_clauses(self, actions: Sequence[Action], goto: str | None) -> None:
        """What Open vSwitch asks of clauses of conjunctions."""
        if "conj_id" not in self.contract.matches:
            self._refuse("have", {"conjunctions"})
        if goto or not all(isinstance(action, Conjunction) for action in actions):
            self._refuse("do", {"more than be a clause"})

    def _refuse(self, verb: str, stray: Set[str]) -> None:
        raise PipelineError(f"{self.name} may not {verb} {', '.join(sorted(stray))}")


STEP = 5
TABLES: tuple[Table, ...] = tuple(
    Table(number * STEP, contract) for number, contract in enumerate(CONTRACTS)
)
BY_ID: dict[int, Table] = {t.id: t for t in TABLES}
_BY_NAME: dict[str, Table] = {t.name: t for t in TABLES}


def table(name: str | None) -> Table:
    """The table of a name.

    Raises:
        PipelineError: there is none.
    """
    try:
        return _BY_NAME[name or ""]
    except KeyError:
        raise PipelineError(f"no table named {name}") from None


def table_names() -> tuple[str, ...]:
    """Names by number, for OVSDB ``Flow_Table``; unused numbers are empty."""
    return tuple(BY_ID[n].name if n in BY_ID else "" for n in range(TABLES[-1].id + 1))
