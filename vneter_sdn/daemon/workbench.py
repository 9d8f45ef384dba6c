# SPDX-License-Identifier: Apache-2.0
"""A compiled copy of what is stored, which follows it, and on which changes are proven first."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import inf
from typing import Any, Protocol

from vneter_sdn.compile.extents import KINDS
from vneter_sdn.compile.facts import CLOCK, RESOLVED
from vneter_sdn.compile.query import Fact
from vneter_sdn.daemon.breath import here_to_stay, let_go, uncollected
from vneter_sdn.daemon.changing import Bench
from vneter_sdn.daemon.picture import Picture
from vneter_sdn.daemon.verifying import Judged, Prover, in_words, rule_of
from vneter_sdn.engine.names import reported_names
from vneter_sdn.errors import Problem, VneterError
from vneter_sdn.model.snapshot import Delta, Snapshot
from vneter_sdn.policy.schedule import next_change
from vneter_sdn.store.port import Edit
from vneter_sdn.verify.assertions import ASSERTION, subject_of
from vneter_sdn.verify.findings import Finding

CHECKED = ("isolation", "assertions")
_REASONS = {"leak": "BreaksIsolation", ASSERTION: "BreaksAssertion"}
_MOST = 5
"""Findings that an answer tells."""


@dataclass(frozen=True, slots=True)
class Proven:
    """What was proven of a change."""

    problems: tuple[Problem, ...]
    """What it breaks; or why that is not known."""
    seconds: float


class Proving(Protocol):
    """Whatever proves changes before they are written."""

    def prove(self, edits: Sequence[Edit], snapshot: Snapshot) -> Proven:
        """Prove that tenants stay isolated and that every Assertion holds.

        Args:
            edits: the change.
            snapshot: what is stored without it.
        """

    def close(self) -> None:
        """It is not asked again."""


class Workbench:
    """A `Proving` in this process. What it keeps is made when it is first asked."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        """Nothing is compiled yet; ``clock`` gives POSIX seconds."""
        self._clock = clock
        self._prover: Prover | None = None
        self._preparing: Iterator[None] = iter(())
        self._stays = False
        """Whether what is kept was said to be here to stay."""
        self._beside = _Beside()

    def prove(self, edits: Sequence[Edit], snapshot: Snapshot) -> Proven:
        """See `Proving.prove`; what is not acceptable at all breaks nothing.

        Raises:
            Exception: the proof failed; the next one begins anew.
        """
        began = time.perf_counter()
        try:
            prover, _ = self.followed(snapshot)
            judged = prover.take(prover.bench.take(edits), CHECKED)
            # Whether it is written is not known yet; next time, what was written is followed.
            problems = tuple(_told(prover, judged.verdict.findings))
        except VneterError:
            # The store says what is wrong with it, and why, better than a proof does.
            problems = ()
        except BaseException:
            self.forget()
            raise
        return Proven(problems, time.perf_counter() - began)

    def followed(self, snapshot: Snapshot) -> tuple[Prover, Judged | None]:
        """The proof of a snapshot, and of what led to it; None: of all that is there."""
        before, self._beside = self._beside, _Beside.of(snapshot, self._clock())
        if self._prover is None or before.edges != self._beside.edges:
            self.forget()
            compiler = Picture.of_fleet(snapshot).compiler
            compiler.update({Fact(CLOCK, ""): self._beside.clock})
            self._prover = Prover(Bench(snapshot, compiler, alone=False))
            self._preparing = self._prover.prepare()
            return self._prover, None
        self._preparing = self._prover.prepare()
        delta = difference(self._prover.bench.snapshot, snapshot)
        step = self._prover.bench.move(snapshot, delta, more=before.until(self._beside))
        return self._prover, self._prover.take(step, CHECKED)

    def prepare(self, seconds: float) -> bool:
        """Get ready for changes to come, for so long; whether there is more to do."""
        until = time.perf_counter() + seconds
        with uncollected():
            more = any(time.perf_counter() >= until for _ in self._preparing)
        if self._prover is not None and not more and not self._stays:
            self._stays = True
            here_to_stay()  # or a proof waits for seconds while the collector looks at all of it
        return more

    def stirs(self, snapshot: Snapshot) -> bool:
        """Whether proofs may be others now, by what is no object: clocks, names, ports, wires."""
        return self._beside.stirs(_Beside.of(snapshot, self._clock()))

    @property
    def ready(self) -> bool:
        """Whether there is something compiled to begin with."""
        return self._prover is not None

    def forget(self) -> None:
        """Begin anew: what is kept may be wrong."""
        self._prover, self._preparing = None, iter(())
        if self._stays:
            self._stays = False
            let_go()

    def close(self) -> None:
        """See `Proving.close`."""
        self.forget()


@dataclass(frozen=True, slots=True)
class _Beside:
    """What is compiled besides what is asked for."""

    clock: float = 0.0
    change: float = 0.0
    """When the window of a policy begins or ends next, after that."""
    names: Mapping[Fact, tuple[str, ...]] = field(default_factory=dict)
    """What DNS names stand for."""
    edges: frozenset[str] = frozenset()
    """Wires that were found; that they are up is taken for granted."""
    tunnels: Mapping[str, Any] = field(default_factory=dict)
    """By host, ports of tunnels."""

    @classmethod
    def of(cls, snapshot: Snapshot, clock: float) -> _Beside:
        """As it is told now. O(statuses and policies)."""
        names: dict[Fact, tuple[str, ...]] = {}
        edges, tunnels = set(), {}
        for key, status in snapshot.statuses.items():
            if key.kind == "Tenant":
                for name, ends in reported_names(status).items():
                    names[Fact(RESOLVED, f"{key.name}/{name}")] = tuple(sorted(ends))
            elif key.kind == "Link":
                edges.add(str(status.details.get("edge")))
            elif key.kind == "Host":
                held = status.details.get("tunnels")
                ports = held if isinstance(held, Mapping) else {}
                tunnels[key.name] = {name: one["port"] for name, one in ports.items()}
        return cls(clock, _next_change(snapshot, clock), names, frozenset(edges), tunnels)

    def stirs(self, now: _Beside) -> bool:
        """Whether anything is otherwise."""
        same = (self.names, self.edges, self.tunnels) == (now.names, now.edges, now.tunnels)
        return not same or self.change <= now.clock

    def until(self, now: _Beside) -> Mapping[Fact, Any]:
        """Facts that are others now."""
        gone = {fact: None for fact in self.names if fact not in now.names}
        return {Fact(CLOCK, ""): now.clock, **gone, **now.names}


def _next_change(snapshot: Snapshot, clock: float) -> float:
    since = datetime.fromtimestamp(clock, UTC)
    found = (
        next_change(stored.spec.schedule, since)
        for key, stored in snapshot.objects.items()
        if key.kind in KINDS and stored.spec.schedule
    )
    return min((one.timestamp() for one in found if one is not None), default=inf)


def difference(before: Snapshot, after: Snapshot) -> Delta:
    """What two snapshots differ in. O(n), of comparisons by identity where nothing changed."""
    return Delta(
        frozenset(_differing(before.objects, after.objects)),
        frozenset(_differing(before.allocations, after.allocations)),
        frozenset(_differing(before.bindings, after.bindings)),
        frozenset(_differing(before.statuses, after.statuses)),
    )


def _differing(before: Mapping[Any, Any], after: Mapping[Any, Any]) -> Iterator[Any]:
    if before is after:
        return
    for key, value in after.items():
        held = before.get(key)
        if held is not value and held != value:
            yield key
    yield from (key for key in before if key not in after)


def _told(prover: Prover, found: Sequence[Finding]) -> Iterator[Problem]:
    """What is wrong, each once, with a packet that shows it."""
    apart: dict[tuple[str, str], Finding] = {}
    for one in found:
        apart.setdefault((one.kind, one.about), one)
    found = tuple(apart.values())
    for one in found[:_MOST]:
        about = subject_of(one) if one.kind == ASSERTION else "change"
        yield Problem(about, "", _REASONS[one.kind], in_one_line(prover, one))
    if len(found) > _MOST:
        more = f"and {len(found) - _MOST} faults more; `vneterctl verify` tells all"
        yield Problem("change", "", "More", more)


def in_one_line(prover: Prover, finding: Finding) -> str:
    """What is wrong, with a packet that shows it, its way, and who decided."""
    text = finding.about
    if finding.kind == ASSERTION:
        text = text.removeprefix(f"{subject_of(finding)}: ")
    words = []
    if finding.example is not None:
        words.append(f"for example {in_words(prover, finding.example)}")
    if finding.hops:
        words.append(f"over {' > '.join(finding.hops)}")
    rules = [rule for step in finding.trail if (rule := rule_of(prover, step.flow))]
    if rules:
        words.append(f"by {', '.join(dict.fromkeys(rules))}")
    return f"{text} ({'; '.join(words)})" if words else text
