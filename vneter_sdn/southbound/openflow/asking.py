# SPDX-License-Identifier: Apache-2.0
"""What a session asks besides its plans: whether the peer lives, what ports and flows carried."""

from __future__ import annotations

from collections import deque
from itertools import islice
from struct import Struct

from vneter_sdn.southbound.openflow.decode import MultipartReply
from vneter_sdn.southbound.openflow.events import Counted, FlowsCounted
from vneter_sdn.southbound.openflow.multipart import FlowCounters, PortCounters, flow_counters

OUTSTANDING = 16
"""Echo requests remembered."""
MAX_COUNTED = 1 << 16
"""Ports or flows whose counters are taken of one reply; more would fill our memory."""
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


class PortCount:
    """One question for the counters of every port."""

    def __init__(self) -> None:
        self._found: list[PortCounters] = []

    def take(self, reply: MultipartReply, raw: bytes) -> Counted | None:
        """Take one part; all counters once it was the last."""
        room = MAX_COUNTED - len(self._found)
        self._found += [i for i in reply.items if isinstance(i, PortCounters)][:room]
        return None if reply.more else Counted(tuple(self._found))


class FlowCount:
    """One question for the counters of some flows."""

    def __init__(self) -> None:
        self._found: list[FlowCounters] = []

    def take(self, reply: MultipartReply, raw: bytes) -> FlowsCounted | None:
        """Take one part; all counters once it was the last.

        Raises:
            DecodeError: a length lies.
        """
        self._found += islice(flow_counters(raw, 16, raw[0]), MAX_COUNTED - len(self._found))
        return None if reply.more else FlowsCounted(tuple(self._found))


class Counts:
    """Questions for counters that are out, one of each kind at most."""

    def __init__(self) -> None:
        self._out: dict[int, PortCount | FlowCount] = {}

    def may(self, kind: type[PortCount | FlowCount]) -> bool:
        """Whether none of this kind is out."""
        return not any(isinstance(count, kind) for count in self._out.values())

    def asked(self, xid: int, count: PortCount | FlowCount) -> None:
        """A question went out."""
        self._out[xid] = count

    def refused(self, xid: int) -> bool:
        """An error came: the question is over. Whether it was one of these."""
        return self._out.pop(xid, None) is not None

    def owns(self, xid: int) -> bool:
        """Whether a reply belongs here."""
        return xid in self._out

    def take(self, reply: MultipartReply, raw: bytes) -> tuple[Counted | FlowsCounted, ...]:
        """Take one part of a reply; what was asked for, once it is whole.

        Raises:
            DecodeError: a length lies.
        """
        found = self._out[reply.xid].take(reply, raw)
        if found is None:
            return ()
        del self._out[reply.xid]
        return (found,)
