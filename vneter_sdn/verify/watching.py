# SPDX-License-Identifier: Apache-2.0
"""A proof that holds a fleet to assertions, too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice

from vneter_sdn.errors import DecodeError
from vneter_sdn.model.fields import TRACKED
from vneter_sdn.model.flow import BridgeState, Flow, FlowKey, Group
from vneter_sdn.model.snapshot import Key, Snapshot
from vneter_sdn.pipeline import punts
from vneter_sdn.pipeline.registers import DENIED, ISOLATED, RULE, TENANT
from vneter_sdn.pipeline.tables import table
from vneter_sdn.policy.rule import Rule
from vneter_sdn.simulate.meaning import Meaning
from vneter_sdn.verify.asserted import Asserted, asserted
from vneter_sdn.verify.assertions import Court, Pairs
from vneter_sdn.verify.checks import Excuse, by_policy
from vneter_sdn.verify.findings import Finding
from vneter_sdn.verify.fleet import Wiring
from vneter_sdn.verify.packets import Packets
from vneter_sdn.verify.proof import Proof, Verdict
from vneter_sdn.verify.state import Dropped, Punted

MOST = 5
"""Findings about one assertion that are worth telling."""
_VERDICTS = frozenset(table(f"{way}_verdict").id for way in ("egress", "ingress"))
_REFUSALS = ("drop", "reject")
_QUIET = ("no_action", "nothing")
_INVALID = TRACKED["inv"]
_STATES = frozenset(table(f"{way}_state").id for way in ("egress", "ingress"))


class Said:
    """Whether a drop is what a policy says: by the rules that numbers on bridges stand for."""

    def __init__(self, rules: Mapping[int, Mapping[int, Rule]]) -> None:
        """Of the rules of every tenant, by their numbers and the tenant's."""
        self._rules = rules

    def __call__(self, end: Dropped | Punted) -> bool:
        """Whether it is."""
        if by_policy(end):
            return True
        if isinstance(end, Punted):
            return _is_told(end)
        flow = end.flow if end.reason in _QUIET else None
        if flow is None:
            return False
        held = {term.field: term for term in flow.match}
        if flow.table in _STATES:
            said = held.get("ct_state")
            return "ct_label" in held or (said is not None and bool(said.value & _INVALID))
        number, tenant = held.get(RULE.field), held.get(TENANT.field)
        if flow.table not in _VERDICTS or number is None or tenant is None:
            return False
        rule = self._rules.get(tenant.value, {}).get(number.value)
        return number.value in (ISOLATED, DENIED) if rule is None else rule.verdict in _REFUSALS


def _is_told(end: Punted) -> bool:
    """Whether the controller is told of a refusal."""
    try:
        said = punts.decode(end.action.userdata)
    except DecodeError:
        return False
    return isinstance(said, punts.Decided) and said.verdict in _REFUSALS


class Watch(Proof):
    """Bridges, what was proven of them, and the assertions that they are held to.

    Args:
        states: what bridges hold.
        wiring: how they are joined.
        snapshot: what was asked for.
        meaning: who is where.
        excused: drops that a policy says.
    """

    def __init__(
        self,
        states: Mapping[str, BridgeState],
        wiring: Wiring,
        snapshot: Snapshot,
        meaning: Meaning,
        excused: Excuse = by_policy,
    ) -> None:
        super().__init__(states, wiring, meaning, excused)
        self.snapshot = snapshot
        self.cases = {case.key: case for case in asserted(snapshot, self.known)}
        self._touched: Mapping[Key, Packets] = {}

    @property
    def touched(self) -> Mapping[Key, Packets]:
        """By endpoint, packets that the last change was about."""
        return self._touched

    def assertions(self) -> Iterator[Finding]:
        """What is against any assertion, at most `MOST` of each."""
        court = Court(self.new, self.known, self.snapshot)
        for case in self.cases.values():
            yield from islice(court.judge(case), MOST)

    def change(
        self,
        flows: Mapping[str, Mapping[FlowKey, Flow | None]],
        snapshot: Snapshot,
        meaning: Meaning,
        *,
        groups: Mapping[str, Mapping[int, Group | None]] | None = None,
        wiring: Wiring | None = None,
        excused: Excuse | None = None,
    ) -> Verdict:
        """Take in a change, and prove what it touches, and every assertion that it is about.

        Args:
            flows: by host and place, what is there now; None: nothing any more.
            snapshot: what is asked for now.
            meaning: who is where now.
            groups: by host and number, likewise.
            wiring: how bridges are joined now, when that changed.
            excused: drops that a policy says now.
        """
        if excused is not None:
            self.excused = excused
        self._touched = {}
        verdict = self.update(flows, meaning, groups=groups, wiring=wiring)
        regions, self.snapshot = _regions(self.snapshot), snapshot
        moved = regions != _regions(snapshot)
        before, self.cases = (
            self.cases,
            {case.key: case for case in asserted(snapshot, self.known)},
        )
        court = Court(self.new, self.known, snapshot)
        found = [
            finding
            for case in self.cases.values()
            for finding in islice(
                self._judged(court, case, None if moved else before.get(case.key)), MOST
            )
        ]
        return replace(verdict, findings=(*verdict.findings, *found)) if found else verdict

    def _judged(self, court: Court, case: Asserted, before: Asserted | None) -> Iterator[Finding]:
        """What the change makes of one assertion."""
        if before is None or before.spec != case.spec:
            yield from court.judge(case)
            return
        new = frozenset(case.sources) - frozenset(before.sources)
        whom = frozenset(case.targets) - frozenset(before.targets)
        edge = case.spec.source.cidr is not None or case.spec.target.cidr is not None
        if edge:
            yield from court.judge(case)
            return
        if new:
            yield from court.judge(case, Pairs(sources=new))
        if whom:
            yield from court.judge(case, Pairs(targets=whom))
        yield from court.judge(case, only=self._touched)

    def _about(self, regions: Mapping[Key, Packets]) -> None:
        self._touched = regions


def _regions(snapshot: Snapshot) -> dict[str, str]:
    hosts = ((key.name, stored) for key, stored in snapshot.objects.items() if key.kind == "Host")
    return {name: stored.spec.region for name, stored in hosts}
