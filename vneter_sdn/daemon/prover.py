# SPDX-License-Identifier: Apache-2.0
"""The proving process: a compiled copy of what is stored, and proofs of it, beside everybody else.

``python -m vneter_sdn.daemon.prover SETTINGS.json changes|assertions``. Whoever starts it reads and
writes lines of JSON, and it ends when its standard input does:

changes
    ``{"number", "revision", "edits": [[verb, [kind, tenant, name], manifest, origin]]}`` is
    answered by ``{"number", "problems": [[object, field, reason, message]], "seconds"}``;
    ``{"ready": true}`` is said once something is compiled.
assertions
    ``{"revision", "against": {name: text}, "seconds"}`` is said after every change, and whenever
    more was found out; the text is empty for what holds, and null where that was not found out in
    time, or ``against`` itself when nothing was.

A proof that takes too long is ended by an alarm, so no time is lost to it afterwards; what is kept
is thrown away with it, and made again when nobody waits.
"""

from __future__ import annotations

import atexit
import gc
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

from vneter_sdn.config import Settings
from vneter_sdn.daemon import dumps
from vneter_sdn.daemon.children import die_with_parent
from vneter_sdn.daemon.docket import Docket
from vneter_sdn.daemon.handover import read_settings, tls_files
from vneter_sdn.daemon.lines import Lines
from vneter_sdn.daemon.verifying import Prover
from vneter_sdn.daemon.workbench import Proven, Workbench, difference
from vneter_sdn.errors import Problem, StoreUnavailable
from vneter_sdn.model.snapshot import Delta, Key, Snapshot
from vneter_sdn.store.ovsdb import OvsdbStore
from vneter_sdn.store.port import Edit, Store
from vneter_sdn.telemetry import logs

_LOG = logging.getLogger(__name__)
POLITENESS = 10
"""What is added to its niceness: whoever forwards or stores something goes first."""
LOOK = 0.2
"""Seconds between two looks at the store."""
QUIET, LONGEST = 0.5, 3.0
"""Seconds without a change, and at most, before assertions are judged."""
BEHIND = 5.0
"""Seconds that the store here may be behind that of who asks."""
REST = 5.0
"""How many times the limit is rested after a proof that took too long."""


class OutOfTimeError(Exception):
    """A proof took too long."""


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """End what is done here after some time. In the main thread only.

    Raises:
        OutOfTimeError: it took longer.
    """

    def ring(*_: object) -> None:
        raise OutOfTimeError

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class Changes:
    """Proves changes that somebody asks about.

    Args:
        store: what is there, which is followed.
        lines: to who asks.
        limit: seconds that a proof may take.
    """

    def __init__(self, store: Store, lines: Lines, limit: float) -> None:
        self._store, self._lines, self._limit = store, lines, limit
        self._bench = Workbench()

    def turn(self) -> None:
        """Answer a question, or get ready for the next one."""
        if not self._bench.ready:
            self._bench.followed(self._store.snapshot())
            self._lines.say({"ready": True})
        more = self._bench.prepare(LOOK)
        asked = self._lines.next(0.0 if more else LOOK)
        if asked is not None:
            proven = self._answer(asked)
            problems = [[p.object, p.field, p.reason, p.message] for p in proven.problems]
            seconds = round(proven.seconds, 4)
            self._lines.say({"number": asked["number"], "problems": problems, "seconds": seconds})

    def _answer(self, asked: Mapping[str, Any]) -> Proven:
        began = time.perf_counter()
        edits = [Edit(verb, Key(*key), what, origin) for verb, key, what, origin in asked["edits"]]
        snapshot = self._at(asked["revision"])
        try:
            with limited(self._limit):
                return self._bench.prove(edits, snapshot)
        except OutOfTimeError:
            text = f"it is not proven: that takes longer than {self._limit:g} s (verify_limit)"
        except Exception:  # noqa: BLE001 -- a fault of the proof's is what is answered
            _LOG.exception("the proof failed")
            text = "it is not proven, for the proof itself failed; the controller's log says more"
        self._bench.forget()
        problem = Problem("change", "", "NotProven", text)
        return Proven((problem,), time.perf_counter() - began)

    def _at(self, revision: int) -> Snapshot:
        """What is stored, as new as who asks knows it."""
        deadline = time.monotonic() + BEHIND
        snapshot = self._store.snapshot()
        while snapshot.revision < revision and time.monotonic() < deadline:
            changed = self._store.wait(snapshot, LOOK)
            snapshot = changed[0] if changed else snapshot
        return snapshot


class Assertions:
    """Finds out which assertions hold, after every change.

    Args:
        store: what is there, which is followed.
        lines: to who wants to know.
        limit: seconds that each change may take, and each assertion that is judged as a whole.
    """

    def __init__(self, store: Store, lines: Lines, limit: float) -> None:
        self._store, self._lines, self._limit = store, lines, limit
        self._bench, self._docket = Workbench(), Docket()
        self._prover: Prover | None = None
        self._seen: Snapshot | None = None

    def turn(self) -> None:
        """Take in a change, or judge one assertion that is open, or wait."""
        began = time.perf_counter()
        if self._moves():
            self._settle()
            began = time.perf_counter()
            if not self._follow():
                self._say(None, began)
                self._lines.next(self._limit * REST)
                return
        elif self._docket.open:
            self._judge(next(iter(self._docket.open)))
        else:
            self._lines.next(0.0 if self._bench.prepare(LOOK) else LOOK)
            return
        self._say(self._docket.said(), began)

    def _follow(self) -> bool:
        """Take in what is stored; whether that was possible in time."""
        snapshot = self._store.snapshot()
        self._seen = snapshot
        try:
            with limited(self._limit):
                self._prover, judged = self._bench.followed(snapshot)
                self._docket.take(self._prover, judged)
        except OutOfTimeError:
            self._bench.forget()
            return False
        except Exception:  # noqa: BLE001 -- a fault of the proof's is none of the assertions'
            _LOG.exception("assertions could not be judged")
            self._bench.forget()
            return False
        return True

    def _judge(self, key: Key) -> None:
        if self._prover is None:
            return
        try:
            with limited(self._limit):
                self._docket.settle(self._prover, key)
        except OutOfTimeError:
            self._docket.give_up(key)
        except Exception:  # noqa: BLE001 -- nor is it one of the other assertions'
            _LOG.exception("%s could not be judged", key)
            self._docket.give_up(key)

    def _say(self, against: Mapping[str, str | None] | None, began: float) -> None:
        revision = self._seen.revision if self._seen is not None else 0
        seconds = round(time.perf_counter() - began, 4)
        self._lines.say({"revision": revision, "against": against, "seconds": seconds})

    def _moves(self) -> bool:
        """Whether anything changed that proofs are about."""
        now = self._store.snapshot()
        if self._seen is None or self._bench.stirs(now):
            return True
        if replace(difference(self._seen, now), statuses=frozenset()) != Delta():
            return True
        self._seen = now
        return False

    def _settle(self) -> None:
        deadline = time.monotonic() + LONGEST
        snapshot = self._store.snapshot()
        while time.monotonic() < deadline:
            changed = self._store.wait(snapshot, QUIET)
            if changed is None:
                return
            snapshot = changed[0]


def _open_store(settings: Settings) -> OvsdbStore:
    while True:
        try:
            return OvsdbStore(settings.db, tls=tls_files(settings))
        except StoreUnavailable as away:
            _LOG.warning("%s; trying again", away)
            time.sleep(LOOK)


def main() -> None:
    """Prove until nobody listens any more."""
    dumps.forbid()
    atexit.register(gc.freeze)  # or the interpreter looks through all that is left before it ends
    die_with_parent()
    os.nice(POLITENESS)
    settings, role = read_settings(sys.argv[1]), sys.argv[2]
    logs.set_up(settings.log_level, file=logs.log_file(settings.state_dir, "prover"))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    lines = Lines(sys.stdin.fileno(), os.dup(sys.stdout.fileno()))
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    store = _open_store(settings)
    work: Changes | Assertions
    if role == "changes":
        work = Changes(store, lines, settings.verify_limit)
    else:
        work = Assertions(store, lines, settings.assertion_limit)
    with suppress(EOFError, BrokenPipeError):
        while True:
            try:
                work.turn()
            except StoreUnavailable as away:
                _LOG.warning("%s", away)
                time.sleep(LOOK)
    store.close()


if __name__ == "__main__":
    main()
