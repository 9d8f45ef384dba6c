# SPDX-License-Identifier: Apache-2.0
"""What processes of ours tell each other: a line of JSON at a time."""

from __future__ import annotations

import json
import os
import select
import time
from collections.abc import Callable, Mapping
from typing import Any

Wait = Callable[[int, float], bool]
"""Waits until a descriptor can be read, or so many seconds; whether it can."""


def selected(descriptor: int, seconds: float) -> bool:
    """A `Wait` that blocks its thread."""
    return bool(select.select([descriptor], [], [], seconds)[0])


class Lines:
    """Lines of JSON, by two descriptors.

    Args:
        source: where they come from.
        sink: where they go to.
        wait: how one waits for them in this process.
    """

    def __init__(self, source: int, sink: int, wait: Wait = selected) -> None:
        self._source, self._sink, self._wait = source, sink, wait
        self._held = b""

    def next(self, timeout: float) -> Any:
        """The next one; None when none comes in time.

        Raises:
            EOFError: there will be no more.
        """
        deadline = time.monotonic() + timeout
        while b"\n" not in self._held:
            left = max(0.0, deadline - time.monotonic())
            if not self._wait(self._source, left):
                return None
            more = os.read(self._source, 1 << 16)
            if not more:
                raise EOFError
            self._held += more
        line, _, self._held = self._held.partition(b"\n")
        return json.loads(line)

    def say(self, value: Mapping[str, Any]) -> None:
        """Write one."""
        data = memoryview(json.dumps(value).encode() + b"\n")
        while data:
            data = data[os.write(self._sink, data) :]
