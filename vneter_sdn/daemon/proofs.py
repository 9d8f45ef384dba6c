# SPDX-License-Identifier: Apache-2.0
"""Proofs of changes in a process of their own, which neither stops nor outlives who asks."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress

from vneter_sdn.daemon.lines import Lines, Wait, selected
from vneter_sdn.daemon.workbench import Proven
from vneter_sdn.errors import Problem
from vneter_sdn.model.snapshot import Snapshot
from vneter_sdn.store.port import Edit

_LOG = logging.getLogger(__name__)
GRACE = 2.0
"""Seconds that an answer may come after the limit, since who proves keeps to it, too."""
ENDING = 5.0
"""Seconds that the process has to end."""


def command(settings: str, role: str) -> tuple[str, ...]:
    """How the proving process is started; see `vneter_sdn.daemon.prover`."""
    return (sys.executable, "-W", "ignore", "-m", "vneter_sdn.daemon.prover", settings, role)


def started(words: Sequence[str], wait: Wait = selected) -> tuple[subprocess.Popen[bytes], Lines]:
    """Start the proving process; what it is asked and says goes by lines."""
    process = subprocess.Popen(
        words,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
        start_new_session=True,
    )
    source, sink = process.stdout, process.stdin
    assert source is not None
    assert sink is not None
    return process, Lines(source.fileno(), sink.fileno(), wait)


def ended(process: subprocess.Popen[bytes]) -> None:
    """End the proving process."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(ENDING)
    if process.poll() is None:
        process.kill()
        process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


class DistantProofs:
    """A `vneter_sdn.daemon.workbench.Proving` in another process; for one thread at a time.

    Args:
        settings: file of settings.
        limit: seconds that an answer may take.
    """

    def __init__(self, settings: str, limit: float) -> None:
        self._command, self._limit = command(settings, "changes"), limit
        self._number, self._ready = 0, False
        self._started: tuple[subprocess.Popen[bytes], Lines] | None = None
        self._lines()  # it has much to compile before it can answer

    def prove(self, edits: Sequence[Edit], snapshot: Snapshot) -> Proven:
        """See `Proving.prove`."""
        began = time.perf_counter()
        self._number += 1
        asked = {
            "number": self._number,
            "revision": snapshot.revision,
            "edits": [[e.verb, list(e.key), e.manifest, e.origin] for e in edits],
        }
        try:
            lines = self._lines()
            lines.say(asked)
            return self._answer(lines, began)
        except (OSError, EOFError):
            _LOG.exception("the proving process ended")
            self.close()
            return _unknown("it is not proven, for the proving process ended; try again", began)

    def _answer(self, lines: Lines, began: float) -> Proven:
        deadline = began + self._limit + GRACE
        while (left := deadline - time.perf_counter()) > 0:
            said = lines.next(left)
            if said is None:
                break
            self._ready = self._ready or bool(said.get("ready"))
            if said.get("number") == self._number:
                problems = tuple(Problem(*one) for one in said["problems"])
                return Proven(problems, said["seconds"])
        if not self._ready:
            return _unknown(
                "it is not proven: all that is there is still compiled; try again", began
            )
        text = f"it is not proven: that takes longer than {self._limit:g} s (verify_limit)"
        return _unknown(text, began)

    def _lines(self) -> Lines:
        if self._started is None or self._started[0].poll() is not None:
            self._ready = False
            self._started = started(self._command)
        return self._started[1]

    def close(self) -> None:
        """End the process."""
        if self._started is not None:
            (process, _), self._started = self._started, None
            ended(process)


def _unknown(text: str, began: float) -> Proven:
    return Proven((Problem("change", "", "NotProven", text),), time.perf_counter() - began)
