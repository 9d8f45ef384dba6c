# SPDX-License-Identifier: Apache-2.0
"""Every bridge the engine talks to over OpenFlow: it says what each should hold, and is told.

`Bridges` is the port; `OpenFlowBridges` the real one, on eventlet; `MemoryBridges`, in
`memory`, its twin. One contract suite holds both to the same promises.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import inf
from typing import Protocol

import eventlet
import eventlet.event

from vneter_sdn.model.flow import CONTROLLER, Action
from vneter_sdn.reconcile.plan import BridgePlan, Observed
from vneter_sdn.southbound.openflow import decode, events, rare
from vneter_sdn.southbound.openflow.connection import Connection
from vneter_sdn.southbound.openflow.events import Reason
from vneter_sdn.southbound.openflow.listener import Listener
from vneter_sdn.southbound.openflow.measurements import (
    Echoed,
    FlowsCounted,
    Measurement,
    PortsCounted,
)
from vneter_sdn.southbound.openflow.multipart import Port
from vneter_sdn.southbound.openflow.session import Terms
from vneter_sdn.southbound.openflow.tally import Complaints, Tally, guarded
from vneter_sdn.southbound.openflow.target import Target
from vneter_sdn.southbound.openflow.tls import Credentials
from vneter_sdn.southbound.openflow.upkeep import (
    DesiredBridge,
    Drifted,
    InSync,
    Refused,
    Report,
    Upkeep,
    Wire,
)
from vneter_sdn.southbound.openflow.wire import V14, V15

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BridgeConnected:
    """A bridge is connected and read back; nothing of it was changed yet."""

    dpid: int
    version: int
    """Wire version: 5 for OpenFlow 1.4, 6 for 1.5."""
    peer: str
    ports: tuple[Port, ...]


@dataclass(frozen=True, slots=True)
class BridgeDisconnected:
    """A bridge went away."""

    dpid: int
    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class PeerRefused:
    """Somebody connected and was not let in; ``listener`` says through which door."""

    listener: str
    peer: str
    reason: Reason
    message: str
    dpid: int = 0
    """Datapath id it claimed, true or not; 0 when it did not get that far."""


@dataclass(frozen=True, slots=True)
class PacketArrived:
    """A bridge punted a packet."""

    dpid: int
    packet: decode.PacketIn


@dataclass(frozen=True, slots=True)
class PortChanged:
    """A port came (reason 0), went (1) or changed (2)."""

    dpid: int
    reason: int
    port: Port


BridgeEvent = (
    Report | BridgeConnected | BridgeDisconnected | PeerRefused | PacketArrived | PortChanged
)
Deliver = Callable[[BridgeEvent], None]


class Bridges(Protocol):
    """What the engine needs of bridges."""

    def subscribe(self, deliver: Deliver) -> None:
        """Hand every later event to ``deliver``, in order per bridge. It must not block."""
        ...

    def measure(self, deliver: Callable[[Measurement], None]) -> None:
        """Hand every later measurement to ``deliver``. It must not block."""
        ...

    def ping(self, dpid: int) -> None:
        """Send an echo request; `Echoed` follows if the bridge is connected and lives."""
        ...

    def count_ports(self, dpid: int) -> None:
        """Ask what every port has carried; `PortsCounted` follows if the bridge is connected."""
        ...

    def count_flows(self, dpid: int, table: int, cookie: int, mask: int) -> None:
        """Ask what flows of a table matched whose cookie agrees; `FlowsCounted` follows."""
        ...

    def desire(self, dpid: int, desired: DesiredBridge) -> None:
        """Want a bridge to hold this, now or whenever it connects."""
        ...

    def forget(self, dpid: int) -> None:
        """Want nothing of a bridge any more; what it holds stays."""
        ...

    def observed(self, dpid: int) -> Observed | None:
        """What a connected bridge holds, as of its last confirmation; None when not connected."""
        ...

    def packet_out(
        self, dpid: int, frame: bytes, actions: tuple[Action, ...], in_port: int = CONTROLLER
    ) -> bool:
        """Send a frame out of a bridge; False when it was dropped."""
        ...


@dataclass(frozen=True, slots=True)
class Upkeeping:
    """How bridges are kept. Times in seconds."""

    terms: Terms = field(default_factory=Terms)
    audit: float = 0.0
    """Between read-backs that look for changes behind our back; 0 for never."""
    probe: float = 1.0
    """Within which the holder of a datapath id must answer when somebody else claims it."""
    claims_per_second: int = 5
    insecure_lab: bool = False
    credentials: Credentials | None = None


class _SessionWire(Wire):
    """Upkeep's side of a connection."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def read_back(self) -> None:
        self.connection.session.read_back(time.monotonic())
        self.connection.wake()

    def send_plan(self, plan_id: int, plan: BridgePlan) -> None:
        self.connection.session.send_plan(plan_id, plan, time.monotonic())
        self.connection.wake()


class OpenFlowBridges:
    """Real bridges on eventlet. Calls and deliveries are all made by greenthreads of one thread."""

    def __init__(self, upkeeping: Upkeeping | None = None, tally: Tally | None = None) -> None:
        self.tally = tally or Tally()
        self._upkeeping = upkeeping or Upkeeping()
        self._upkeeps: dict[int, Upkeep] = {}
        self._connections: dict[int, Connection] = {}
        self._listeners: dict[str, Listener] = {}
        self._subscribers: list[Deliver] = []
        self._measuring: list[Callable[[Measurement], None]] = []
        self._taps: list[Callable[[int, int, bytes], None]] = []
        self._answers: dict[Connection, list[eventlet.event.Event]] = {}
        self._generations: dict[int, int] = {}
        self._complaints = Complaints(_LOG)
        for version in (V14, V15):
            rare.datapath(version)  # imports now: later there may be no descriptor to do so
        self._timer = eventlet.spawn(self._time)

    # -- listeners ------------------------------------------------------------------------------

    def listen(self, target: str, expected: frozenset[int] | None = None) -> Listener:
        """Open a door. ``expected``: the only datapath ids that may come through it.

        Raises:
            SouthboundError: a target that is not permitted.
            OSError: it cannot be listened on.
        """
        keep = self._upkeeping
        parsed = Target.of(target, keep.insecure_lab)

        def deliver(connection: Connection, event: events.Event) -> None:
            self._take(target, connection, event)

        def refused(peer: str, why: str) -> None:
            self._announce(PeerRefused(target, peer, Reason.TLS_REFUSED, why))

        terms = replace(keep.terms, expected=expected)
        listener = Listener(parsed, terms, deliver, self.tally, keep.credentials, refused)
        self._listeners[target] = listener
        return listener

    def unlisten(self, target: str) -> None:
        """Close a door and the connections that came through it; unknown ones are ignored."""
        listener = self._listeners.pop(target, None)
        if listener is not None:
            listener.close()

    def close(self) -> None:
        """Close every door. Bridges keep what they hold."""
        for target in tuple(self._listeners):
            self.unlisten(target)
        for connection in tuple(self._connections.values()):
            connection.close(Reason.SHUTDOWN)
        self._timer.kill()

    # -- the port -------------------------------------------------------------------------------

    def subscribe(self, deliver: Deliver) -> None:
        """Hand every later event to ``deliver``, in order per bridge. It must not block."""
        self._subscribers.append(deliver)

    def measure(self, deliver: Callable[[Measurement], None]) -> None:
        """Hand every later measurement to ``deliver``. It must not block."""
        self._measuring.append(deliver)

    def ping(self, dpid: int) -> None:
        """Send an echo request; `Echoed` follows if the bridge is connected and lives."""
        if dpid in self._connections:
            self._connections[dpid].session.probe(time.monotonic())
            self._connections[dpid].wake()

    def count_ports(self, dpid: int) -> None:
        """Ask what every port has carried; `PortsCounted` follows if the bridge is connected."""
        if dpid in self._connections:
            self._connections[dpid].session.count_ports(time.monotonic())
            self._connections[dpid].wake()

    def count_flows(self, dpid: int, table: int, cookie: int, mask: int) -> None:
        """Ask what flows of a table matched whose cookie agrees; `FlowsCounted` follows."""
        if dpid in self._connections:
            self._connections[dpid].session.count_flows(table, cookie, mask, time.monotonic())
            self._connections[dpid].wake()

    def tap(self, deliver: Callable[[int, int, bytes], None]) -> None:
        """Hand (dpid, version, message) of every validated message of open bridges to apps."""
        self._taps.append(deliver)

    def desire(self, dpid: int, desired: DesiredBridge) -> None:
        """Want a bridge to hold this, now or whenever it connects."""
        self._upkeep(dpid).desire(desired, time.monotonic())

    def forget(self, dpid: int) -> None:
        """Want nothing of a bridge any more; what it holds stays."""
        kept = self._upkeeps.get(dpid)
        if kept is not None:
            kept.desired = None

    def generation(self, dpid: int, generation: int) -> None:
        """Claim to be master of a bridge with this generation from its next connection on."""
        self._generations[dpid] = generation

    def pause(self, dpid: int, seconds: float) -> None:
        """Change nothing on a bridge for so long, as what is desired is about to; 0: go on."""
        now = time.monotonic()
        self._upkeep(dpid).pause(now + seconds, now)

    def confirmed(self, dpid: int, revision: int, suspect: bool = False) -> None:
        """Tell the shrink guard which revision an earlier life of this process confirmed.

        ``suspect``: the intent is of a database that went back behind it.
        """
        self._upkeep(dpid).remember(revision, suspect)

    def observed(self, dpid: int) -> Observed | None:
        """What a connected bridge holds, as of its last confirmation; None when not connected."""
        kept = self._upkeeps.get(dpid)
        return kept.observed if kept else None

    def packet_out(
        self, dpid: int, frame: bytes, actions: tuple[Action, ...], in_port: int = CONTROLLER
    ) -> bool:
        """Send a frame out of a bridge; False when it was dropped."""
        connection = self._connections.get(dpid)
        sent = connection is not None and connection.session.packet_out(frame, actions, in_port)
        return self._sent(connection, sent)

    def version(self, dpid: int) -> int:
        """Wire version of a bridge's connection; OpenFlow 1.5's of one that has none."""
        connection = self._connections.get(dpid)
        return connection.session.version if connection is not None else V15

    def send_message(self, dpid: int, data: bytes) -> bool:
        """Send whole OpenFlow messages of an app; False when they were dropped."""
        connection = self._connections.get(dpid)
        sent = connection is not None and connection.session.send_message(data)
        return self._sent(connection, sent)

    def _sent(self, connection: Connection | None, sent: bool) -> bool:
        if connection is not None and sent:
            connection.wake()
        else:
            self.tally.count("dropped", "out")
        return sent

    # -- events of connections ------------------------------------------------------------------

    def _take(self, door: str, connection: Connection, event: events.Event) -> None:
        dpid = connection.session.dpid
        match event:
            case events.Identified():
                eventlet.spawn(self._admit, door, connection, dpid)
            case events.Answered(seconds=seconds, sent=sent):
                self.tally.rtt(seconds)
                if self._connections.get(dpid) is connection:
                    self._measured(Echoed(dpid, sent, seconds))
                for answer in self._answers.pop(connection, []):
                    answer.send(True)
            case events.Closed():
                self._closed(door, connection, event)
            case _ if self._connections.get(dpid) is connection:
                self._take_of(connection, dpid, event)

    def _take_of(self, connection: Connection, dpid: int, event: events.Event) -> None:
        """One event of the connection that holds its datapath id."""
        now = time.monotonic()
        match event:
            case events.Opened():
                self._upkeep(dpid).connected(_SessionWire(connection))
            case events.Seen():
                self._seen(connection, event, now)
            case events.Confirmed(plan_id=plan_id):
                self.tally.count("bundles", "confirmed")
                self._upkeep(dpid).confirmed(plan_id, now)
            case events.Rejected():
                self.tally.count("bundles", "rejected")
                self._upkeep(dpid).rejected(
                    event.plan_id, (event.kind, event.code), event.step, now, event.what
                )
            case events.PacketIn(packet=packet, raw=raw):
                self.tally.count("punts")
                self._announce(PacketArrived(dpid, packet))
                self._tapped(connection, raw)
            case events.PortStatus(reason=reason, port=port, raw=raw):
                self._announce(PortChanged(dpid, reason, port))
                self._tapped(connection, raw)
            case events.Counted(counters=counters):
                self._measured(PortsCounted(dpid, now, counters))
            case events.FlowsCounted(counters=matched):
                self._measured(FlowsCounted(dpid, now, matched))
            case events.Relayed(raw=raw):
                self._tapped(connection, raw)

    def _seen(self, connection: Connection, event: events.Seen, now: float) -> None:
        dpid = connection.session.dpid
        kept = self._upkeep(dpid)
        if kept.observed is None:
            self._announce(
                BridgeConnected(dpid, connection.session.version, connection.peer, event.ports)
            )
        if event.unreadable:
            self._complaints.say(
                connection.peer, "unreadable", f"{event.unreadable} flows of another release"
            )
        kept.seen(event.observed, now)

    def _closed(self, door: str, connection: Connection, event: events.Closed) -> None:
        dpid = connection.session.dpid
        for answer in self._answers.pop(connection, []):
            answer.send(False)
        if event.reason is Reason.MALFORMED:
            self.tally.count("malformed", event.message.split(" at byte")[0][:40])
        known = bool(dpid) and self._connections.get(dpid) is connection
        if event.reason is not Reason.SHUTDOWN:
            # That a bridge hung up is for whoever knows its name to say.
            usual = known and event.reason is Reason.PEER_CLOSED
            level = logging.DEBUG if usual else logging.WARNING
            self._complaints.say(connection.peer, event.reason, event.message, level)
        if known:
            del self._connections[dpid]
            self._upkeep(dpid).disconnected()
            self._announce(BridgeDisconnected(dpid, event.reason, event.message))
        else:
            self.tally.count("refused", event.reason)
            self._announce(PeerRefused(door, connection.peer, event.reason, event.message, dpid))

    def _admit(self, door: str, connection: Connection, dpid: int) -> None:
        """Let a newcomer in, unless the holder of its datapath id is alive."""
        incumbent = self._connections.get(dpid)
        if incumbent is not None and incumbent is not connection and self._alive(incumbent):
            connection.close(Reason.DUPLICATE_DATAPATH, f"{dpid:016x} is held by {incumbent.peer}")
            return
        if connection.session.phase.value != "admission":
            return
        incumbent = self._connections.get(dpid)
        if incumbent is not None:
            incumbent.close(Reason.REPLACED, f"by {connection.peer}")
        self._connections[dpid] = connection
        generation = self._generations.get(dpid)
        if generation is not None:
            connection.session.terms = replace(connection.session.terms, generation=generation)
        connection.act(connection.session.admit(time.monotonic()))

    def _alive(self, incumbent: Connection) -> bool:
        answer = eventlet.event.Event()
        self._answers.setdefault(incumbent, []).append(answer)
        incumbent.session.probe(time.monotonic())
        incumbent.wake()
        with eventlet.Timeout(self._upkeeping.probe, False):
            return bool(answer.wait())
        return False

    # -- inside ---------------------------------------------------------------------------------

    def _upkeep(self, dpid: int) -> Upkeep:
        kept = self._upkeeps.get(dpid)
        if kept is None:
            kept = self._upkeeps[dpid] = Upkeep(dpid, self._report, self._upkeeping.audit)
        return kept

    def _report(self, report: Report) -> None:
        match report:
            case InSync(plan=plan):
                for name, amount in plan.tally().items():
                    self.tally.count("flows", name, amount)
            case Drifted():
                self.tally.count("drift")
            case Refused():
                self.tally.count("rejections")
        self._announce(report)

    def _announce(self, event: BridgeEvent) -> None:
        for deliver in self._subscribers:
            guarded(self.tally, "subscriber", deliver, event)

    def _measured(self, measurement: Measurement) -> None:
        for deliver in self._measuring:
            guarded(self.tally, "measuring", deliver, measurement)

    def _tapped(self, connection: Connection, raw: bytes) -> None:
        session = connection.session
        for deliver in self._taps:
            guarded(self.tally, "tap", deliver, session.dpid, session.version, raw)

    def _time(self) -> None:
        """Retries and audits. A quarter of a second is exact enough for both."""
        while True:
            now = time.monotonic()
            for kept in tuple(self._upkeeps.values()):
                if kept.wakes_at() <= now < inf:
                    guarded(self.tally, "upkeep", kept.tick, now)
            eventlet.sleep(0.25)
