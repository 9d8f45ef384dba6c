# SPDX-License-Identifier: Apache-2.0
"""Which assertions hold, kept up to date as what is stored changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

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
        self._against: dict[Key, str] = {}
        """What is wrong with those that do not hold, and nothing for those that do."""
        self._specs: dict[Key, AssertionSpec] = {}

    def judge(self, prover: Prover, judged: Judged | None) -> Mapping[Key, str]:
        """What is against each assertion now; empty text where it holds.

        Of one that held, only what the last change touches is asked; one that did not, as a whole.

        Args:
            prover: what is there.
            judged: what led to it from what was there the last time; None: whatever.
        """
        found = judged.verdict.findings if judged is not None else ()
        told: dict[str, Finding] = {}
        for finding in found:
            if finding.kind == ASSERTION:
                told.setdefault(subject_of(finding), finding)
        watch = prover.watch
        court = Court(watch.new, watch.known, watch.snapshot)
        self._against = {
            key: self._one(prover, court, key, told.get(str(key)), judged is None)
            for key in watch.cases
        }
        self._specs = {key: case.spec for key, case in watch.cases.items()}
        return self._against

    def _one(
        self, prover: Prover, court: Court, key: Key, found: Finding | None, anew: bool
    ) -> str:
        case = prover.watch.cases[key]
        held = self._against.get(key) == "" and self._specs.get(key) == case.spec
        if found is None and (anew or not held):
            against: Iterator[Finding] = court.judge(case)
            found = next(against, None)
        return "" if found is None else in_one_line(prover, found)
