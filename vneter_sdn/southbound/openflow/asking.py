# SPDX-License-Identifier: Apache-2.0
"""What a session asks besides its plans: whether the peer lives, and what its ports carried."""

from __future__ import annotations

from collections import deque
from struct import Struct

from vneter_sdn.southbound.openflow.decode import MultipartReply
from vneter_sdn.southbound.openflow.multipart import PortCounters

OUTSTANDING = 16
"""Echo requests remembered."""
MAX_COUNTED = 1 << 16
"""Ports whose counters are taken of one reply; more would fill our memory."""
_SENT = Struct("!d")


class Echoes:
    """Echo requests that are out; each carries the time it was sent, which its answer repeats."""

    def __init__(self) -> None:
        self._out: deque[tuple[float, bytes]] = deque(maxlen=OUTSTANDING)

    def sent(self, now: float) -> bytes:
        """The data of a new request."""
        data = _SENT.pack(now)
        self._out.append((now, data))
        return data

    def answered(self, data: bytes) -> float | None:
        """When the request of an answer was sent; None for an answer to nothing of ours.

        Answers come in order, so whatever was asked before is answered or lost.
        """
        if all(known != data for _, known in self._out):
            return None
        while True:
            sent, known = self._out.popleft()
            if known == data:
                return sent


class Count:
    """One question for the counters of every port."""

    def __init__(self, xid: int) -> None:
        self.xid = xid
        self._found: list[PortCounters] = []

    def take(self, reply: MultipartReply) -> tuple[PortCounters, ...] | None:
        """Take one part; all counters once it was the last."""
        room = MAX_COUNTED - len(self._found)
        self._found += [i for i in reply.items if isinstance(i, PortCounters)][:room]
        return None if reply.more else tuple(self._found)
