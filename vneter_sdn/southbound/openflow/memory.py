# SPDX-License-Identifier: Apache-2.0
"""Bridges in memory that behave like Open vSwitch, for tests and dry runs of the whole engine."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from vneter_sdn.errors import BundleRejected
from vneter_sdn.model.flow import (
    ANY,
    CONTROLLER,
    Action,
    Flow,
    FlowKey,
    Group,
    GroupAction,
    Meter,
    MeterAction,
)
from vneter_sdn.reconcile.apply import apply
from vneter_sdn.reconcile.diff import referred
from vneter_sdn.reconcile.plan import BridgePlan, Observed, Step, Verb
from vneter_sdn.southbound.openflow.bridges import (
    BridgeConnected,
    BridgeDisconnected,
    BridgeEvent,
    Deliver,
    PacketArrived,
    PortChanged,
)
from vneter_sdn.southbound.openflow.decode import PacketIn
from vneter_sdn.southbound.openflow.events import Reason
from vneter_sdn.southbound.openflow.measurements import (
    Echoed,
    FlowsCounted,
    Measurement,
    PortsCounted,
)
from vneter_sdn.southbound.openflow.multipart import FlowCounters, Port, PortCounters
from vneter_sdn.southbound.openflow.quarantine import OUT_OF_METERS
from vneter_sdn.southbound.openflow.upkeep import DesiredBridge, Report, Upkeep, Wire

MAX_TABLE = 253
"""Tables 0..253 take flows; 254 is Open vSwitch's own."""
MAX_METERS = 1 << 18
"""Meters of all bridges of a datapath together (userspace, Open vSwitch 3.1)."""


class MemoryBridge(Wire):
    """One bridge. Bundles are atomic; a flow to a missing table, group or meter is refused."""

    def __init__(self, queue: deque[Callable[[], None]], clock: Callable[[], float]) -> None:
        self.observed = Observed()
        self.plans: list[BridgePlan] = []
        """Every plan it confirmed."""
        self.refuse: Callable[[Step], tuple[int, int] | None] = lambda step: None
        """A fault to inject: the error for a step."""
        self.room = MAX_METERS
        """How many meters it takes."""
        self.ports: tuple[Port, ...] = ()
        self.counters: dict[int, PortCounters] = {}
        """What its ports carried, by number."""
        self.matched: dict[FlowKey, FlowCounters] = {}
        """What its flows matched; of others, nothing yet."""
        self.sent: list[tuple[bytes, tuple[Action, ...], int]] = []
        self.upkeep: Upkeep | None = None
        self._queue, self._clock = queue, clock

    def read_back(self) -> None:
        """Read everything the bridge holds."""
        self._queue.append(self._seen)

    def send_plan(self, plan_id: int, plan: BridgePlan) -> None:
        """Carry out a plan."""
        self._queue.append(lambda: self._carry_out(plan_id, plan))

    def _seen(self) -> None:
        if self.upkeep is not None:
            self.upkeep.seen(self.observed, self._clock())

    def _carry_out(self, plan_id: int, plan: BridgePlan) -> None:
        kept = self.upkeep
        if kept is None:
            return
        try:
            for step in plan:
                self._strike(step)
            self.observed = carried_out(plan, self.observed, self.room)
        except StepRefused as refused:
            kept.rejected(plan_id, (refused.kind, refused.code), refused.step, self._clock())
            return
        self.plans.append(plan)
        kept.confirmed(plan_id, self._clock())

    def _strike(self, step: Step) -> None:
        fault = self.refuse(step)
        if fault is not None:
            raise StepRefused(step, *fault)


class StepRefused(BundleRejected):
    """A bridge refused a plan because of one step."""

    def __init__(self, step: Step, kind: int, code: int, what: str = "") -> None:
        super().__init__(kind, code, what)
        self.step = step


def carried_out(plan: BridgePlan, observed: Observed, room: int = MAX_METERS) -> Observed:
    """What a bridge holds after a plan, checked the way Open vSwitch checks.

    Raises:
        StepRefused: a step refers to a table, group or meter that is not there by then, or is one
            meter more than there is ``room`` for.
    """
    groups, meters = set(observed.groups), set(observed.meters)
    for step in plan:
        if isinstance(step.thing, Meter) and step.verb is Verb.ADD and len(meters) >= room:
            raise StepRefused(step, *OUT_OF_METERS, "no room for another meter")
        try:
            _judge(step, groups, meters)
        except BundleRejected as refused:
            raise StepRefused(step, refused.kind, refused.code, refused.what) from None
    return apply(plan, observed)


def _judge(step: Step, groups: set[int], meters: set[int]) -> None:
    match step.thing:
        case Flow() as flow if step.verb is not Verb.DELETE:
            _check(flow, groups, meters)
        case Group(group=number) as group:
            if step.verb is Verb.ADD and number in groups:
                raise BundleRejected(6, 0, "group exists")
            if step.verb is Verb.MODIFY and number not in groups:
                raise BundleRejected(6, 8, "no such group")
            if step.verb is not Verb.DELETE:
                _check_group(group, groups)
            (groups.discard if step.verb is Verb.DELETE else groups.add)(number)
        case Meter(meter=number):
            if step.verb is Verb.ADD and number in meters:
                raise BundleRejected(12, 1, "meter exists")
            if step.verb is not Verb.DELETE and not step.thing.rate:
                raise BundleRejected(12, 6, "meter without a rate")
            (meters.discard if step.verb is Verb.DELETE else meters.add)(number)


def _check_group(group: Group, groups: set[int]) -> None:
    """As Open vSwitch 3.1 does, which takes buckets that refer to missing groups; we never do."""
    watching = [b.watch_port != ANY or b.watch_group != ANY for b in group.buckets]
    if group.kind in ("all", "indirect") and any(watching):
        raise BundleRejected(6, 6, f"{group.kind} group with a watch")
    weighed = group.kind != "select" and any(bucket.weight for bucket in group.buckets)
    if weighed or (group.kind == "ff" and not all(watching)):
        raise BundleRejected(6, 1, "bucket not of this kind of group")
    if not referred(group) <= groups | {group.group}:
        raise BundleRejected(6, 8, "bucket refers to a missing group")


def _check(flow: Flow, groups: Iterable[int], meters: Iterable[int]) -> None:
    if not 0 <= flow.table <= MAX_TABLE:
        raise BundleRejected(5, 2, f"no table {flow.table}")
    if flow.goto is not None and not flow.table < flow.goto <= MAX_TABLE:
        raise BundleRejected(3, 2, f"no table {flow.goto} after {flow.table}")
    for action in flow.actions:
        if isinstance(action, GroupAction) and action.group not in groups:
            raise BundleRejected(2, 9, f"no group {action.group:#x}")
        if isinstance(action, MeterAction) and action.meter not in meters:
            raise BundleRejected(12, 3, f"no meter {action.meter:#x}")


class MemoryBridges:
    """The twin of `OpenFlowBridges`. Work is queued and done by `run`, so callers see the order."""

    def __init__(self, audit: float = 0.0, *, immediate: bool = True) -> None:
        """``immediate``: run the queue after every call; otherwise only `run` does."""
        self.bridges: dict[int, MemoryBridge] = {}
        self.now = 0.0
        """The clock; `advance` moves it."""
        self._upkeeps: dict[int, Upkeep] = {}
        self._subscribers: list[Deliver] = []
        self._measuring: list[Callable[[Measurement], None]] = []
        self._queue: deque[Callable[[], None]] = deque()
        self._audit, self._immediate, self._running = audit, immediate, False

    # -- the port -------------------------------------------------------------------------------

    def subscribe(self, deliver: Deliver) -> None:
        """Hand every later event to ``deliver``."""
        self._subscribers.append(deliver)

    def measure(self, deliver: Callable[[Measurement], None]) -> None:
        """Hand every later measurement to ``deliver``."""
        self._measuring.append(deliver)

    def ping(self, dpid: int) -> None:
        """Send an echo request; `Echoed` follows if the bridge is connected and lives."""
        if self._connected(dpid):
            self._queue.append(lambda: self._measured(Echoed(dpid, self.now, 0.0)))
            self._settle()

    def count_ports(self, dpid: int) -> None:
        """Ask what every port has carried; `PortsCounted` follows if the bridge is connected."""
        if self._connected(dpid):
            counters = tuple(self.bridges[dpid].counters.values())
            self._queue.append(lambda: self._measured(PortsCounted(dpid, self.now, counters)))
            self._settle()

    def count_flows(self, dpid: int, table: int, cookie: int, mask: int) -> None:
        """Ask what flows of a table matched whose cookie agrees; `FlowsCounted` follows."""
        if self._connected(dpid):
            bridge = self.bridges[dpid]
            counters = tuple(
                bridge.matched.get(key, FlowCounters(key, flow.cookie, self.now, 0, 0))
                for key, flow in bridge.observed.flows.items()
                if flow.table == table and flow.cookie & mask == cookie
            )
            self._queue.append(lambda: self._measured(FlowsCounted(dpid, self.now, counters)))
            self._settle()

    def _connected(self, dpid: int) -> bool:
        bridge = self.bridges.get(dpid)
        return bridge is not None and bridge.upkeep is not None

    def _measured(self, measurement: Measurement) -> None:
        for deliver in self._measuring:
            deliver(measurement)

    def desire(self, dpid: int, desired: DesiredBridge) -> None:
        """Want a bridge to hold this, now or whenever it connects."""
        self._upkeep(dpid).desire(desired, self.now)
        self._settle()

    def forget(self, dpid: int) -> None:
        """Want nothing of a bridge any more; what it holds stays."""
        if dpid in self._upkeeps:
            self._upkeeps[dpid].desired = None

    def pause(self, dpid: int, seconds: float) -> None:
        """Change nothing on a bridge for so long, as what is desired is about to; 0: go on."""
        self._upkeep(dpid).pause(self.now + seconds, self.now)
        self._settle()

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
        bridge = self.bridges.get(dpid)
        if bridge is None or bridge.upkeep is None:
            return False
        bridge.sent.append((frame, actions, in_port))
        return True

    # -- the other side -------------------------------------------------------------------------

    def add(self, dpid: int) -> MemoryBridge:
        """A bridge that is not connected yet, to be given something to hold."""
        return self.bridges.setdefault(dpid, MemoryBridge(self._queue, lambda: self.now))

    def connect(self, dpid: int, ports: tuple[Port, ...] = ()) -> MemoryBridge:
        """A bridge connects, with whatever it held before."""
        bridge = self.add(dpid)
        bridge.ports, bridge.upkeep = ports or bridge.ports, self._upkeep(dpid)
        bridge.upkeep.connected(bridge)
        self._queue.append(lambda: self._announce(BridgeConnected(dpid, 6, "memory", bridge.ports)))
        bridge.read_back()
        self._settle()
        return bridge

    def disconnect(self, dpid: int, reason: Reason = Reason.PEER_CLOSED) -> None:
        """A bridge goes away, and keeps what it holds."""
        bridge = self.bridges[dpid]
        if bridge.upkeep is not None:
            bridge.upkeep.disconnected()
            bridge.upkeep = None
            self._announce(BridgeDisconnected(dpid, reason, ""))

    def restart(self, dpid: int) -> MemoryBridge:
        """A bridge is killed and comes back empty."""
        self.disconnect(dpid)
        self.bridges[dpid].observed = Observed()
        return self.connect(dpid)

    def punt(self, dpid: int, packet: PacketIn) -> None:
        """A bridge punts a packet."""
        self._announce(PacketArrived(dpid, packet))

    def change_port(self, dpid: int, reason: int, port: Port) -> None:
        """A port of a bridge changes."""
        self._announce(PortChanged(dpid, reason, port))

    def run(self) -> None:
        """Do queued work until there is none."""
        if self._running:
            return
        self._running = True
        try:
            while self._queue:
                self._queue.popleft()()
        finally:
            self._running = False

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds
        for kept in tuple(self._upkeeps.values()):
            kept.tick(self.now)
        self.run()

    def _settle(self) -> None:
        if self._immediate:
            self.run()

    def _upkeep(self, dpid: int) -> Upkeep:
        kept = self._upkeeps.get(dpid)
        if kept is None:
            kept = self._upkeeps[dpid] = Upkeep(dpid, self._announce_report, self._audit)
        return kept

    def _announce_report(self, report: Report) -> None:
        self._announce(report)

    def _announce(self, event: BridgeEvent) -> None:
        for deliver in self._subscribers:
            deliver(event)
