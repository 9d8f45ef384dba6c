# SPDX-License-Identifier: Apache-2.0
"""A store that proves what is written to it, before it is written: the setting ``verify_applies``.

Proven is that tenants stay isolated and that every Assertion holds, for all packets that a change
is about. A compiled copy of the network is kept beside the store for that, and follows it; it is
made when the first change comes, which therefore takes longer.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from vneter_sdn.daemon.changing import Bench
from vneter_sdn.daemon.picture import Picture
from vneter_sdn.daemon.verifying import Judged, Prover, in_words, rule_of
from vneter_sdn.errors import IntentError, Problem, VneterError
from vneter_sdn.model.snapshot import Binding, Delta, Key, Revision, Snapshot, Status
from vneter_sdn.store.port import Applied, Edit, Store
from vneter_sdn.verify.findings import Finding

_LOG = logging.getLogger(__name__)
CHECKED = ("isolation", "assertions")
_REASONS = {"leak": "BreaksIsolation", "assertion": "BreaksAssertion"}
_MOST = 5
"""Findings that an answer tells."""


class VerifiedStore:
    """A `vneter_sdn.store.port.Store` that refuses, or remarks on, what breaks a proof.

    Args:
        store: where it is written.
        enforce: refuse; else `Applied.notes` say what is wrong.
    """

    def __init__(self, store: Store, *, enforce: bool) -> None:
        self._store, self._enforce = store, enforce
        self._proving = threading.Lock()
        self._prover: Prover | None = None

    def apply(
        self, edits: Sequence[Edit], *, author: str, message: str = "", dry_run: bool = False
    ) -> Applied:
        """Admit, prove and write all edits at once, or none; see `Store.apply`.

        Raises:
            IntentError: as `Store.apply`; and when tenants would not be isolated any more, or an
                Assertion would not hold, with a packet that shows it.
        """
        with self._proving:
            problems = self._problems(edits)
            if problems and self._enforce:
                raise IntentError(*problems)
            applied = self._store.apply(edits, author=author, message=message, dry_run=dry_run)
        for problem in problems:
            _LOG.warning("applied, though: %s", problem)
        return replace(applied, notes=(*applied.notes, *map(str, problems)))

    def _problems(self, edits: Sequence[Edit]) -> list[Problem]:
        """What the edits break."""
        try:
            prover = self._followed(self._store.snapshot())
            step = prover.bench.take(edits)
            judged = prover.take(step, CHECKED)
            # Whether it is written is not known yet; next time, what was written is followed.
            return list(_told(prover, judged))
        except VneterError:
            # Not acceptable at all: the store says so, and why, better than a proof does.
            return []
        except Exception:  # noqa: BLE001 -- a fault of the proof's is no reason to end the server
            self._prover = None
            _LOG.exception("the proof failed")
            text = "it could not be proven, for the proof itself failed; the log says more"
            return [Problem("change", "", "NotProven", text)]

    def _followed(self, snapshot: Snapshot) -> Prover:
        """The proof of what is stored now."""
        if self._prover is None:
            picture = Picture.of_fleet(snapshot)
            self._prover = Prover(Bench(snapshot, picture.compiler, alone=False))
            return self._prover
        prover = self._prover
        delta = difference(prover.bench.snapshot, snapshot)
        if delta != Delta():
            prover.take(prover.bench.move(snapshot, delta), CHECKED)
        return prover

    # ---- everything else is the store's

    def snapshot(self) -> Snapshot:
        """See `Store.snapshot`."""
        return self._store.snapshot()

    def sweep(self) -> Applied:
        """See `Store.sweep`."""
        return self._store.sweep()

    def colour(self, assigned: Mapping[str, int], released: Collection[str] = ()) -> None:
        """See `Store.colour`."""
        self._store.colour(assigned, released)

    def bind(self, bound: Sequence[Binding], unbound: Sequence[Key] = ()) -> None:
        """See `Store.bind`."""
        self._store.bind(bound, unbound)

    def report(self, statuses: Sequence[Status], gone: Collection[Key] = ()) -> None:
        """See `Store.report`."""
        self._store.report(statuses, gone)

    def wait(self, after: Snapshot, timeout: float) -> tuple[Snapshot, Delta] | None:
        """See `Store.wait`."""
        return self._store.wait(after, timeout)

    def revisions(self, limit: int = 100, before: int | None = None) -> tuple[Revision, ...]:
        """See `Store.revisions`."""
        return self._store.revisions(limit, before)

    def close(self) -> None:
        """See `Store.close`."""
        self._store.close()


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


def _told(prover: Prover, judged: Judged) -> Iterator[Problem]:
    """What is wrong, with a packet that shows it."""
    found = judged.verdict.findings
    for one in found[:_MOST]:
        title, colon, rest = one.about.partition(": ")
        about = one.kind == "assertion" and bool(colon)
        message = f"{rest if about else one.about}{_shown(prover, one)}"
        yield Problem(title if about else "change", "", _REASONS[one.kind], message)
    if len(found) > _MOST:
        more = f"and {len(found) - _MOST} faults more; `vneterctl verify` tells all"
        yield Problem("change", "", "More", more)


def _shown(prover: Prover, finding: Finding) -> str:
    words = []
    if finding.example is not None:
        words.append(f"for example {in_words(prover, finding.example)}")
    if finding.hops:
        words.append(f"over {' > '.join(finding.hops)}")
    rules = [rule for step in finding.trail if (rule := rule_of(prover, step.flow))]
    if rules:
        words.append(f"by {', '.join(dict.fromkeys(rules))}")
    return f" ({'; '.join(words)})" if words else ""
