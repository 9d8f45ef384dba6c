# SPDX-License-Identifier: Apache-2.0
"""A bounded pool of threads that serve requests."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

Job = Callable[[], None]


class Workers:
    """At most so many threads, begun when they are needed.

    They do not keep the process from ending: what is still under way when a server's patience is
    over is given up.
    """

    def __init__(self, limit: int) -> None:
        """Begin none yet."""
        self._limit = limit
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._begun = self._idle = 0

    def do(self, job: Job) -> None:
        """Have a thread do it, as soon as one is free; ``job`` may not raise."""
        with self._lock:
            if self._idle > 0:
                self._idle -= 1
            elif self._begun < self._limit:
                self._begun += 1
                name = f"api-{self._begun}"
                threading.Thread(target=self._work, name=name, daemon=True).start()
            else:
                self._idle -= 1  # whoever is free next has this to do already
        self._jobs.put(job)

    def end(self) -> None:
        """Let threads end when they have nothing left to do."""
        with self._lock:
            for _ in range(self._begun):
                self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
            del job
            with self._lock:
                self._idle += 1
