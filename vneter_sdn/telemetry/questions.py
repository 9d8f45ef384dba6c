# SPDX-License-Identifier: Apache-2.0
"""Questions sent around a lab: how often, and which frames are our own that came back.

A question goes out of every port that may be a workload's, and so perhaps over a wire that is not
known to be one yet. At its far end it comes in again: that says nothing of who is there.
"""

from __future__ import annotations

from collections.abc import Container
from ipaddress import IPv4Address

Place = tuple[int, int]
"""Datapath id and port: a name of a bridge may change between a question and its repetition."""
RATE, BURST = 50.0, 100.0
"""Questions per second, and at once."""
EACH = 0.3
"""Seconds between two questions for one address."""
MEMORY = 5.0
"""Seconds that a question is known again."""
MOST = 4096
"""Questions, and addresses, that are remembered."""
COMPARED = 42
"""Octets of a frame that tell a question: Ethernet and ARP, without padding."""


class Questions:
    """Remembers what was asked."""

    def __init__(self) -> None:
        self._asked: dict[bytes, tuple[Place, float]] = {}
        self._last: dict[IPv4Address, float] = {}
        self._tokens, self._filled = BURST, 0.0

    def ours(self, frame: bytes, place: Place, now: float) -> bool:
        """Whether a frame is a question of ours that came back, by another port than at first."""
        source, at = self._asked.get(frame[:COMPARED], (place, now))
        return source != place and now - at < MEMORY

    def forget(self, stay: Container[int]) -> None:
        """Forget what was asked by others than these datapath ids, and when."""
        self._asked = {frame: one for frame, one in self._asked.items() if one[0][0] in stay}
        self._last.clear()

    def may_ask(self, address: IPv4Address, frame: bytes, place: Place, now: float) -> bool:
        """Whether to send a question around now; it is remembered if so."""
        self._tokens = min(BURST, self._tokens + max(0.0, now - self._filled) * RATE)
        self._filled = now
        if self._tokens < 1 or now - self._last.get(address, -EACH) < EACH:
            return False
        self._tokens -= 1
        if len(self._asked) >= MOST:
            del self._asked[next(iter(self._asked))]
        if len(self._last) >= MOST:
            del self._last[next(iter(self._last))]
        self._last[address] = now
        self._asked.pop(frame[:COMPARED], None)
        self._asked[frame[:COMPARED]] = (place, now)
        return True
