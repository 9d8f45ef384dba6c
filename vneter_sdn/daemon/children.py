# SPDX-License-Identifier: Apache-2.0
"""Child processes that are started again when they die, and die when their parent does."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from vneter_sdn.errors import VneterError

_log = logging.getLogger(__name__)
_PR_SET_PDEATHSIG = 1
BACKOFF = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Seconds before the first, second, … restart in a row."""
PATIENCE = 30.0
"""Seconds that a child has to end when it is asked to: it writes and closes, and the machine may
have much else to do."""
REFUSED = 78
"""Exit code (EX_CONFIG, sysexits.h) of a child that cannot work with the settings it was given."""
STEADY = 10.0
"""A child that lived this long starts its back-off afresh."""


class Refused(VneterError):
    """A child ended at its first start, and would at every other one."""


def die_with_parent() -> None:
    """Hear SIGTERM when whoever started this process is gone, however that happens."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _ending(code: int) -> str:
    """How a process ended, from its return code (a negative one is a signal)."""
    if code >= 0:
        return f"ended with exit code {code}"
    with suppress(ValueError):
        return f"was ended by {signal.Signals(-code).name}"
    return f"was ended by signal {-code}"


@dataclass
class Child:
    """One supervised process."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    restarts: int = 0
    _process: subprocess.Popen[bytes] | None = None
    _started: float = 0.0
    _due: float = 0.0
    _attempts: int = 0

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        process = self._process
        return process.pid if process and process.poll() is None else None

    def start(self) -> None:
        """Start it; it hears SIGTERM when this process dies, however that happens."""
        self._process = subprocess.Popen(
            list(self.command),
            env={**os.environ, **self.environment},
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - no threads exist before the children
        )
        self._started = time.monotonic()

    def tend(self, now: float) -> None:
        """Start it again when it is dead and its back-off is over.

        Raises:
            Refused: there is no point in that.
        """
        process = self._process
        if process is None or process.poll() is None:
            return
        if process.returncode == REFUSED and not self.restarts:
            raise Refused(self.name)
        if not self._due:
            if now - self._started > STEADY:
                self._attempts = 0
            delay = BACKOFF[min(self._attempts, len(BACKOFF) - 1)]
            self._due = now + delay
            _log.error(
                "%s (pid %d) %s; starting it again in %.1f s",
                self.name,
                process.pid,
                _ending(process.returncode),
                delay,
            )
        elif now >= self._due:
            self._due, self._attempts, self.restarts = 0.0, self._attempts + 1, self.restarts + 1
            self.start()

    def stop(self, patience: float = PATIENCE) -> None:
        """Ask it to end, and end it when it does not."""
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            _log.warning("%s (pid %d) did not end in %.0f s", self.name, process.pid, patience)
            process.kill()
            process.wait()


def supervise(
    children: Sequence[Child], stopping: Callable[[], bool], wait: Callable[[float], object]
) -> None:
    """Tend children until ``stopping()``; then stop them, last started first."""
    try:
        while not stopping():
            wait(0.1)
            now = time.monotonic()
            for child in children:
                child.tend(now)
    finally:
        for child in reversed(children):
            child.stop()
