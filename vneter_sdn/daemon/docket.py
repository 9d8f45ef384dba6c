# SPDX-License-Identifier: Apache-2.0
"""Which assertions hold, kept up to date as what is stored changes."""

from __future__ import annotations

from collections.abc import Mapping

from vneter_sdn.daemon.verifying import Judged, Prover
from vneter_sdn.daemon.workbench import in_one_line
from vneter_sdn.model.policy_kinds import AssertionSpec
from vneter_sdn.model.snapshot import Key
from vneter_sdn.verify.assertions import ASSERTION, Court, subject_of
from vneter_sdn.verify.findings import Finding


class Docket:
    """What is known of every assertion."""

    def __init__(self) -> None:
        """Of none yet."""
        self.against: dict[Key, str | None] = {}
        """What is wrong with those that do not hold; empty for those that do, None for those of
        which it could not be found out. Those that are open are not here."""
        self.open: dict[Key, None] = {}
        """To be judged as a whole, in this order."""
        self._specs: dict[Key, AssertionSpec] = {}

    def take(self, prover: Prover, judged: Judged | None) -> None:
        """Take in a change. Of assertions that held, only what it touches was asked.

        Args:
            prover: what is there.
            judged: what led to it from what was there the last time; None: whatever.
        """
        told: dict[str, Finding] = {}
        for finding in judged.verdict.findings if judged is not None else ():
            if finding.kind == ASSERTION:
                told.setdefault(subject_of(finding), finding)
        before, specs, self.against, self.open = self.against, self._specs, {}, {}
        self._specs = {key: case.spec for key, case in prover.watch.cases.items()}
        for key, spec in self._specs.items():
            found = told.get(str(key))
            if found is not None:
                self.against[key] = in_one_line(prover, found)
            elif judged is not None and before.get(key) == "" and specs.get(key) == spec:
                self.against[key] = ""
            else:
                self.open[key] = None

    def settle(self, prover: Prover, key: Key) -> None:
        """Judge one that is open, as a whole."""
        watch = prover.watch
        court = Court(watch.new, watch.known, watch.snapshot)
        found = next(court.judge(watch.cases[key]), None)
        self._close(key, "" if found is None else in_one_line(prover, found))

    def give_up(self, key: Key) -> None:
        """It could not be found out; after the next change it is tried again."""
        self._close(key, None)

    def _close(self, key: Key, text: str | None) -> None:
        del self.open[key]
        self.against[key] = text

    def said(self) -> Mapping[str, str | None]:
        """By name, what is against each."""
        return {key.name: text for key, text in self.against.items()}
