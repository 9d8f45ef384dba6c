# SPDX-License-Identifier: Apache-2.0
"""``vneterctl verify``: proofs about what bridges hold, or would hold after a change."""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from vneter_sdn.cli.output import TEXT, form, structured
from vneter_sdn.cli.patience import patience
from vneter_sdn.cli.terminal import REFUSED, Answer, Usage, paint
from vneter_sdn.cli.trying import (
    Asked,
    bench_of,
    change_lines,
    change_values,
    counted,
    names_of,
    taken,
)

if TYPE_CHECKING:
    from vneter_sdn.daemon.changing import Step
    from vneter_sdn.daemon.verifying import Judged, Prover
    from vneter_sdn.verify.findings import Finding

MOST = 50
"""Findings that are told; the first of very many say what is wrong."""


def verify(asked: Asked, checks: Sequence[str], output: str, *, full: bool, verbose: bool) -> None:
    """Prove, and print what does not hold.

    Raises:
        Usage: there is no such check or format.
        IntentError: manifests are malformed or not acceptable.
        Answer: something does not hold (exit code 1).
    """
    how = form(output, TEXT)
    wanted = _checks(checks)
    from vneter_sdn.daemon.verifying import Prover

    clock = _Clock()
    with patience("proving it for all packets"):
        bench = bench_of(asked)
        clock.lap("compile")
        judged: Judged | None = None
        prover = Prover(bench) if not (asked.files and full) else None
        found: list[Finding] = []
        if asked.files:
            if prover is None:
                step = taken(bench, asked)
                clock.lap("change")
                prover = Prover(bench)
                found = list(islice(prover.full(wanted), MOST + 1))
            else:
                clock.lap("index")
                step = taken(bench, asked)
                clock.lap("change")
                judged = prover.take(step, wanted)
                found = list(judged.verdict.findings)
        else:
            step = None
            found = list(islice(prover.full(wanted), MOST + 1))
        clock.lap("prove")
    report = _Report(prover, wanted, found, step, judged, clock.laps)
    print(report.text(verbose) if how.for_people else structured(report.values(), how))
    if found:
        raise Answer(REFUSED)


def _checks(names: Sequence[str]) -> tuple[str, ...]:
    from vneter_sdn.daemon.verifying import CHECKS

    words = [word.strip() for name in names for word in name.split(",") if word.strip()]
    unknown = [word for word in words if word not in CHECKS]
    if unknown:
        raise Usage(f"no check {unknown[0]!r}", f"--check takes {', '.join(CHECKS)}")
    return tuple(dict.fromkeys(words)) or tuple(CHECKS)


class _Clock:
    """Seconds of each part."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name] = round(now - self._last, 4)
        self._last = now


class _Report:
    """What there is to tell."""

    def __init__(
        self,
        prover: Prover,
        checks: Collection[str],
        found: Sequence[Finding],
        step: Step | None,
        judged: Judged | None,
        laps: dict[str, float],
    ) -> None:
        self._prover, self._checks, self._found = prover, checks, found
        self._step, self._judged, self._laps = step, judged, laps

    def values(self) -> dict[str, Any]:
        """For programs."""
        from vneter_sdn.daemon.verifying import told

        values: dict[str, Any] = {
            "holds": not self._found,
            "checks": list(self._checks),
            "findings": [told(self._prover, one) for one in self._found[:MOST]],
            "endpoints": len(self._prover.watch.known.meaning.stations),
            "assertions": len(self._prover.watch.cases),
            "seconds": self._laps,
        }
        if self._judged is not None and self._step is not None:
            names = {**names_of(self._step.before), **names_of(self._step.after)}
            values["followed"] = self._judged.verdict.sources
            values["reachability"] = change_values(self._judged.verdict.change, names)
        return values

    def text(self, verbose: bool) -> str:
        """For people."""
        return "\n".join(self._lines(verbose))

    def _lines(self, verbose: bool) -> Iterator[str]:
        from vneter_sdn.daemon.verifying import lines_of

        for note in self._step.notes if self._step else ():
            print(f"note: {note}", file=sys.stderr)
        alike: defaultdict[tuple[str, str], list[Finding]] = defaultdict(list)
        for one in self._found[:MOST]:
            alike[one.kind, one.about].append(one)
        for first, *others in alike.values():
            yield from _painted(lines_of(self._prover, first, flows=verbose))
            if others:
                yield f"  and with {counted(len(others), 'other packet')} (-o json has them all)"
        if len(self._found) > MOST:
            yield f"… and more; the first {MOST} are shown"
        if self._judged is not None and self._step is not None:
            change = self._judged.verdict.change
            yield from change_lines(change, self._step, everything=verbose)
        yield self._verdict()
        yield f"in {', '.join(f'{what} {took:.2f} s' for what, took in self._laps.items())}"

    def _verdict(self) -> str:
        checks = ", ".join(self._checks)
        known = self._prover.watch
        endpoints = counted(len(known.known.meaning.stations), "endpoint")
        if self._found:
            more = "" if len(self._found) <= MOST else "more than "
            number = min(len(self._found), MOST)
            return paint(f"{more}{counted(number, 'fault')} found ({checks})", "red")
        scope = f"all packets of {endpoints}"
        if self._judged is not None:
            followed = counted(self._judged.verdict.sources, "endpoint")
            scope = f"all packets that the change is about, of {followed} out of {endpoints}"
        held = counted(len(known.cases), "assertion")
        return paint(f"proven for {scope}: {checks} ({held})", "green")


def _painted(lines: Iterable[str]) -> Iterator[str]:
    for number, line in enumerate(lines):
        yield line if number else paint(line, "red")
