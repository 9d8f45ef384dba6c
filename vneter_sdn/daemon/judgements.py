# SPDX-License-Identifier: Apache-2.0
"""Has a process beside the core find out which assertions hold, while there are any.

The core does none of it, and nobody who writes waits for it: the process follows the store by
itself (`vneter_sdn.daemon.prover`), and what it finds out is an event like any other.
"""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

import eventlet
from eventlet.hubs import trampoline

from vneter_sdn.config import Settings
from vneter_sdn.daemon.handover import settings_file
from vneter_sdn.daemon.lines import Lines
from vneter_sdn.daemon.proofs import command, ended, started
from vneter_sdn.engine.port import AssertionsJudged, Event
from vneter_sdn.model.snapshot import Key, Snapshot

_LOG = logging.getLogger(__name__)
IDLE = 1.0
"""Seconds between two looks for something to do."""
LINGER = 60.0
"""Seconds after which the process ends when there are no assertions any more."""
BACK_OFF = 10.0
"""Seconds until it is started again after it ended by itself."""


def green(descriptor: int, seconds: float) -> bool:
    """A `vneter_sdn.daemon.lines.Wait` that lets others run."""
    try:
        trampoline(descriptor, read=True, timeout=seconds)
    except eventlet.Timeout:
        return False
    return True


class Judgements:
    """Keeps that process running.

    Args:
        settings: where it reads its own, and how long it may take.
        deliver: takes events for the engine; must not block.
    """

    def __init__(self, settings: Settings, deliver: Callable[[Event], None]) -> None:
        self._file: Path = settings_file(settings.run_dir)
        self._limit, self._deliver = settings.assertion_limit, deliver
        self._wanted: set[Key] = set()
        self._process: subprocess.Popen[bytes] | None = None
        self._lines: Lines | None = None
        self._alone, self._over = 0.0, False

    def stored(self, snapshot: Snapshot, changed: Iterable[Key] | None) -> None:
        """The intent changed. ``changed``: keys of objects, None for all."""
        for key in snapshot.objects if changed is None else changed:
            if key.kind == "Assertion":
                (self._wanted.add if key in snapshot.objects else self._wanted.discard)(key)

    def run(self) -> None:
        """Hear what it says, until this is closed."""
        while not self._over:
            self._alone = 0.0 if self._wanted else self._alone + IDLE
            if not self._limit or self._alone > LINGER:
                self._end()
            if self._wanted and self._limit and self._lines is None:
                self._process, self._lines = started(command(str(self._file), "assertions"), green)
            if self._lines is None:
                eventlet.sleep(IDLE)
                continue
            try:
                self._hear(self._lines)
            except (EOFError, OSError):
                if self._over:
                    return
                _LOG.error("the proving process ended; it is started again")
                self._end()
                why = "the process that finds out ended; it is started again"
                self._deliver(AssertionsJudged(0, None, 0.0, why))
                eventlet.sleep(BACK_OFF)

    def _hear(self, lines: Lines) -> None:
        said = lines.next(IDLE)
        if said is None:
            return
        why = f"it could not be found out within {self._limit:g} s (assertion_limit)"
        self._deliver(AssertionsJudged(said["revision"], said["against"], said["seconds"], why))

    def close(self) -> None:
        """End the process, and start none any more."""
        self._over = True
        self._end()

    def _end(self) -> None:
        process, self._process, self._lines = self._process, None, None
        if process is not None:
            ended(process)
