# SPDX-License-Identifier: Apache-2.0
"""The OpenFlow session of one bridge, without sockets and clocks.

::

    HELLO ─► FEATURES ─► ADMISSION ─► ROLE ─► READING ─► IDLE ◄─► SENDING
                         (owner)               ▲  └────────┘
                                               └─ read_back()

Bytes, the time and plans go in; bytes and `events` come out. Whatever was in place on the bridge
stays there: a session reads, and changes only what a plan says.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from math import inf

from vneter_sdn.errors import DecodeError, PipelineError
from vneter_sdn.model.flow import CONTROLLER, Action
from vneter_sdn.reconcile.plan import BridgePlan
from vneter_sdn.southbound.openflow import decode, encode, rare, validate
from vneter_sdn.southbound.openflow.asking import Counts, Echoes, FlowCount, PortCount
from vneter_sdn.southbound.openflow.delivery import Delivery
from vneter_sdn.southbound.openflow.events import (
    Answered,
    Closed,
    Event,
    Identified,
    Opened,
    PacketIn,
    PortStatus,
    Reason,
    Rejected,
    Relayed,
)
from vneter_sdn.southbound.openflow.framing import Framer
from vneter_sdn.southbound.openflow.readback import REQUESTS, ReadBack
from vneter_sdn.southbound.openflow.terms import Phase, Terms, too_late_in
from vneter_sdn.southbound.openflow.wire import V14, V15, Role

__all__ = ["CHUNK", "Phase", "Session", "Terms"]

CHUNK = 1 << 16
"""Bytes of one chunk: some 600 flows, about 2 ms of encoding."""
_TOP_XID = 0x7FFF_FFFF
_HELLO_FAILED, _INCOMPATIBLE = 0, 0
_OUT_XID = 0x8000_0000
_HELLO_XID = 0x68656C6F
"""Text: Mininet's RemoteController asks whether anybody listens by telnet, and ends with a
traceback when it cannot read what that prints. An octet 1 or 127, marks of Mininet's own, has it
wait for ever, so our HELLO has no version bitmap (its type is 1); of adjoining versions the highest
says as much."""
_VALIDATED = {Phase.HELLO: validate.State.HELLO, Phase.FEATURES: validate.State.FEATURES}


class Session:
    """One connection of one bridge."""

    def __init__(self, terms: Terms, now: float) -> None:
        self.terms = terms
        self.phase = Phase.HELLO
        self.dpid = 0
        self.version = 0
        self._framer = Framer()
        self._first = b""
        self._urgent: deque[bytes] = deque([encode.plain_hello(_HELLO_XID, V15)])
        self._waiting = len(self._urgent[0])
        self._bulk: Iterator[bytes] | None = None
        self._xid = 0
        self._deadline: float | None = now + terms.handshake
        self._echo_at = now + terms.echo_interval
        self._echoes = Echoes()
        self._counts = Counts()
        self._missed = 0
        self._reading: ReadBack | None = None
        self._sending: Delivery | None = None
        self._events: list[Event] = []
        self._now = now

    # -- what goes in ---------------------------------------------------------------------------

    def receive(self, data: bytes, now: float) -> list[Event]:
        """Take bytes from the peer; what follows from them."""
        self._now = now
        try:
            for message in self._framed(data):
                if self.phase is Phase.CLOSED:
                    break
                state = _VALIDATED.get(self.phase, validate.State.OPEN)
                validate.check(message, state, self.version)
                self._missed = 0  # whatever says something lives
                self._take(decode.message(message), message)
        except DecodeError as broken:
            self._end(Reason.MALFORMED, str(broken))
        return self._drained()

    def ended(self, why: str, now: float) -> list[Event]:
        """The peer, or the network, closed the connection."""
        self._now = now
        self._end(Reason.PEER_CLOSED, why)
        return self._drained()

    def tick(self, now: float) -> list[Event]:
        """Let time pass: deadlines and echoes."""
        self._now = now
        if self.phase is Phase.CLOSED:
            return []
        if self._deadline is not None and now >= self._deadline:
            self._end(too_late_in(self.phase), f"in phase {self.phase.value}")
        elif now >= self._echo_at and self.version:
            self._echo()
        return self._drained()

    def wakes_at(self) -> float:
        """When `tick` has something to do, at the latest."""
        echo = self._echo_at if self.version else inf
        return echo if self._deadline is None else min(echo, self._deadline)

    def admit(self, now: float) -> list[Event]:
        """Let the peer be who it says: become its master and read back what it holds."""
        self._now = now
        if self.phase is not Phase.ADMISSION:
            return []
        self._enter(Phase.ROLE, self.terms.handshake)
        self._out(
            rare.role_request(Role.MASTER, self.terms.generation, self.version, self._next_xid())
        )
        return self._drained()

    def close(self, reason: Reason, message: str, now: float) -> list[Event]:
        """End the session from this side."""
        self._now = now
        self._end(reason, message)
        return self._drained()

    def read_back(self, now: float) -> bool:
        """Ask again for everything the bridge holds; only when idle.

        Returns:
            Whether it was asked.
        """
        self._now = now
        if self.phase is not Phase.IDLE:
            return False
        self._read()
        return True

    def send_plan(self, plan_id: int, plan: BridgePlan, now: float) -> bool:
        """Carry out a plan; only when idle. `Confirmed` or `Rejected` follows, or `Closed`.

        Returns:
            Whether it was begun.
        """
        self._now = now
        if self.phase is not Phase.IDLE:
            return False
        first = self._next_xid(Delivery.xids(plan))
        self._sending = Delivery(plan_id, plan, self.version, first)
        self.phase, self._deadline = Phase.SENDING, None
        self._bulk = self._sending.messages()
        return True

    def packet_out(
        self, frame: bytes, actions: tuple[Action, ...], in_port: int = CONTROLLER
    ) -> bool:
        """Send a frame through actions.

        Returns:
            False when the session is not open or too much is waiting; the frame is then dropped.

        Raises:
            PipelineError: an action that this version cannot say.
        """
        if not self.open or self._waiting + len(frame) > self.terms.backlog // 2:
            return False
        xid = _OUT_XID
        self._out(encode.packet_out(frame, actions, self.version, xid, in_port))
        return True

    def send_message(self, data: bytes) -> bool:
        """Send a whole message of an app; same conditions as `packet_out`."""
        if not self.open or self._waiting + len(data) > self.terms.backlog // 2:
            return False
        self._out(data)
        return True

    def probe(self, now: float) -> None:
        """Send an echo request at once; `Answered` says that the peer lives."""
        self._now = now
        if self.version and self.phase is not Phase.CLOSED:
            self._ask_for_echo()

    def count_ports(self, now: float) -> None:
        """Ask what every port has carried, unless that is asked already; `Counted` follows."""
        self._now = now
        if self.open and self._counts.may(PortCount):
            self._counts.asked(xid := self._next_xid(), PortCount())
            self._out(encode.port_counters_request(self.version, xid))

    def count_flows(self, table: int, cookie: int, mask: int, now: float) -> None:
        """The same of flows whose cookie agrees under a mask; `FlowsCounted` follows."""
        self._now = now
        if self.open and self._counts.may(FlowCount):
            self._counts.asked(xid := self._next_xid(), FlowCount())
            self._out(encode.flows_request(self.version, xid, cookie, mask, table))

    # -- what comes out -------------------------------------------------------------------------

    @property
    def open(self) -> bool:
        """Whether the bridge is ours to talk to."""
        return self.phase in (Phase.READING, Phase.IDLE, Phase.SENDING)

    def outgoing(self) -> bytes:
        """The next bytes to send, about `CHUNK` of them; empty when there are none for now."""
        if self._urgent:
            data = b"".join(self._urgent)
            self._urgent.clear()
            self._waiting = 0
            return data
        if self._bulk is None or self.phase is not Phase.SENDING:
            return b""
        return self._chunk(self._bulk)

    def pending_events(self) -> list[Event]:
        """Events that `outgoing` caused: a plan that cannot be encoded."""
        return self._drained()

    def _chunk(self, messages: Iterator[bytes]) -> bytes:
        parts, size = [], 0
        try:
            for message in messages:
                parts.append(message)
                size += len(message)
                if size >= CHUNK:
                    return b"".join(parts)
        except PipelineError as broken:
            return b"".join(parts) + self._abandon(str(broken))
        self._bulk = None
        self._deadline = self._now + self.terms.bundle
        return b"".join(parts)

    def _abandon(self, what: str) -> bytes:
        delivery = self._sending
        self._bulk, self._sending = None, None
        self._enter(Phase.IDLE, None)
        if delivery is None:
            return b""
        self._events.append(Rejected(delivery.plan_id, -1, -1, what=what))
        return delivery.discard() if delivery.open_bundle else b""

    # -- inside ---------------------------------------------------------------------------------

    def _framed(self, data: bytes) -> Iterator[bytes]:
        """Messages as they complete.

        The first one is cut alone: it says the version of the rest, which may already be there.
        """
        if self.phase is not Phase.HELLO:
            yield from self._framer.feed(data)
            return
        self._first += data
        while self.phase is Phase.HELLO and len(self._first) >= 4:
            length = max(8, int.from_bytes(self._first[2:4], "big"))
            if len(self._first) < length:
                return
            head, self._first = self._first[:length], self._first[length:]
            yield from self._framer.feed(head)
        if self.phase is not Phase.HELLO:
            rest, self._first = self._first, b""
            yield from self._framer.feed(rest)

    def _take(self, message: decode.Message, raw: bytes) -> None:
        handler = _HANDLERS.get(type(message))
        if handler is not None:
            handler(self, message, raw)
        elif self.open:
            self._events.append(Relayed(raw))

    def _hello(self, hello: decode.Hello, _raw: bytes) -> None:
        common = hello.versions & {V14, V15}
        if not common:
            offered = max((v for v in hello.versions if v < 256), default=V14)
            text = b"OpenFlow 1.5 or 1.4 is needed"
            self._out(encode.error(offered, hello.xid, _HELLO_FAILED, _INCOMPATIBLE, text))
            names = ", ".join(f"{v - 1 if v > 1 else 0}" for v in sorted(hello.versions) if v)
            self._end(Reason.OPENFLOW_VERSION, f"offers OpenFlow 1.x with x = {names or 'none'}")
            return
        self.version = self._framer.version = max(common)
        self._enter(Phase.FEATURES, self.terms.handshake)
        self._out(encode.features_request(self.version, self._next_xid()))

    def _features(self, features: decode.Features, _raw: bytes) -> None:
        if self.phase is not Phase.FEATURES:
            return
        self.dpid = features.dpid
        expected = self.terms.expected
        if expected is not None and features.dpid not in expected:
            wanted = ", ".join(f"{dpid:016x}" for dpid in sorted(expected)) or "none"
            self._end(Reason.UNEXPECTED_DATAPATH, f"is {features.dpid:016x}, may only be {wanted}")
            return
        self._enter(Phase.ADMISSION, self.terms.handshake)
        self._events.append(Identified(self.dpid, self.version))

    def _role(self, reply: decode.RoleReply, _raw: bytes) -> None:
        if self.phase is not Phase.ROLE:
            return
        if reply.role != Role.MASTER:
            self._end(Reason.NOT_MASTER, f"got role {reply.role}")
            return
        self._out(rare.set_async(self.version, _OUT_XID))
        self._out(encode.packet_in_format(self.version, _OUT_XID))
        self._out(encode.miss_send_len(self.version, _OUT_XID))
        self._events.append(Opened(self.dpid, self.version))
        self._read()

    def _role_changed(self, status: decode.RoleStatus, _raw: bytes) -> None:
        if status.role != Role.MASTER and self.phase is not Phase.CLOSED and self.open:
            self._end(Reason.NOT_MASTER, f"another controller took generation {status.generation}")

    def _error(self, error: decode.Error, raw: bytes) -> None:
        if self.phase is Phase.HELLO:
            self._end(Reason.OPENFLOW_VERSION, f"refused our HELLO with error {error.kind}")
        elif self.phase is Phase.ROLE and error.kind == 11:
            self._end(Reason.NOT_MASTER, f"generation {self.terms.generation} is stale")
        elif self._reading is not None and self._reading.owns(error.xid):
            if self._reading.refused(error.xid):
                self._read_more()
            else:
                self._end(Reason.READ_BACK_FAILED, f"error ({error.kind}, {error.code})")
        elif self._sending is not None and self._sending.owns(error.xid):
            self._sending.refused(error)
        elif self.open and not self._counts.refused(error.xid):
            self._events.append(Relayed(raw))

    def _multipart(self, reply: decode.MultipartReply, raw: bytes) -> None:
        if self._reading is not None and self._reading.owns(reply.xid):
            self._reading.take(reply)
            self._read_more()
        elif self._counts.owns(reply.xid):
            self._events += self._counts.take(reply, raw)
        elif self.open:
            self._events.append(Relayed(raw))

    def _read(self) -> None:
        self._reading = ReadBack(self.version, self._next_xid(REQUESTS))
        self._enter(Phase.READING, self.terms.read_back)
        self._out(self._reading.requests())

    def _read_more(self) -> None:
        self._deadline = self._now + self.terms.read_back
        if self._reading is not None and self._reading.complete:
            self._events.append(self._reading.seen())
            self._reading = None
            self._enter(Phase.IDLE, None)

    def _barrier(self, reply: decode.BarrierReply, raw: bytes) -> None:
        delivery = self._sending
        if delivery is None or not delivery.owns(reply.xid):
            if self.open:
                self._events.append(Relayed(raw))
            return
        if self._bulk is not None:
            return  # no barrier of this stage was sent yet
        outcome = delivery.barrier(reply.xid)
        if outcome is None:
            self._bulk, self._deadline = delivery.messages(), None
            return
        if isinstance(outcome, Rejected) and delivery.open_bundle:
            self._out(delivery.discard())
        self._sending = None
        self._enter(Phase.IDLE, None)
        self._events.append(outcome)

    def _bundle(self, reply: decode.BundleReply, raw: bytes) -> None:
        if self.open and (self._sending is None or not self._sending.owns(reply.xid)):
            self._events.append(Relayed(raw))

    def _packet(self, packet: decode.PacketIn, raw: bytes) -> None:
        if self.open:
            self._events.append(PacketIn(packet, raw))

    def _port(self, status: decode.PortStatus, raw: bytes) -> None:
        if self.open:
            self._events.append(PortStatus(status.reason, status.port, raw))

    def _echo_request(self, request: decode.EchoRequest, _raw: bytes) -> None:
        self._out(encode.echo_reply(self.version, request.xid, request.data))

    def _echo_reply(self, reply: decode.EchoReply, _raw: bytes) -> None:
        sent = self._echoes.answered(reply.data)
        if sent is not None:
            self._events.append(Answered(self._now - sent, sent))

    def _ask_for_echo(self) -> None:
        data = self._echoes.sent(self._now)
        self._out(encode.echo_request(self.version, _OUT_XID, data))

    def _echo(self) -> None:
        """One more echo is due. Misses are counted by ticks, so a stall of ours costs one."""
        self._echo_at = self._now + self.terms.echo_interval
        if self._missed >= self.terms.echo_misses:
            self._end(Reason.ECHO_TIMEOUT, f"{self._missed} echo requests without any answer")
            return
        self._missed += 1
        self._ask_for_echo()

    def _enter(self, phase: Phase, within: float | None) -> None:
        self.phase = phase
        self._deadline = None if within is None else self._now + within

    def _end(self, reason: Reason, message: str) -> None:
        if self.phase is not Phase.CLOSED:
            self.phase = Phase.CLOSED
            self._bulk = self._reading = self._sending = None
            self._events.append(Closed(reason, message))

    def _out(self, data: bytes) -> None:
        if self.phase is Phase.CLOSED:
            return
        self._urgent.append(data)
        self._waiting += len(data)
        if self._waiting > self.terms.backlog:
            self._end(Reason.SLOW_READER, f"{self._waiting} bytes wait")

    def _next_xid(self, count: int = 1) -> int:
        """A run of transaction ids whose errors matter; below the ignored ones."""
        if self._xid + count > _TOP_XID:
            self._xid = 0
        first = self._xid + 1
        self._xid += count
        return first

    def _drained(self) -> list[Event]:
        events, self._events = self._events, []
        return events


_Handler = Callable[[Session, "decode.Message", bytes], None]
_HANDLERS: dict[type, _Handler] = {
    decode.Hello: Session._hello,  # noqa: SLF001 - the table is part of the class
    decode.Features: Session._features,  # noqa: SLF001
    decode.RoleReply: Session._role,  # noqa: SLF001
    decode.RoleStatus: Session._role_changed,  # noqa: SLF001
    decode.Error: Session._error,  # noqa: SLF001
    decode.MultipartReply: Session._multipart,  # noqa: SLF001
    decode.BarrierReply: Session._barrier,  # noqa: SLF001
    decode.BundleReply: Session._bundle,  # noqa: SLF001
    decode.PacketIn: Session._packet,  # noqa: SLF001
    decode.PortStatus: Session._port,  # noqa: SLF001
    decode.EchoRequest: Session._echo_request,  # noqa: SLF001
    decode.EchoReply: Session._echo_reply,  # noqa: SLF001
}  # type: ignore[dict-item]
