# SPDX-License-Identifier: Apache-2.0
"""Labs on eventlet: adopts bridges, learns endpoints, and asks around for those not known yet.

Adoption is for ``vneterctl up --lab``; learning wherever a network says so. Both are edits of the
store like anybody's, in a greenthread of their own.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import eventlet
import eventlet.event

from vneter_sdn.config import Settings
from vneter_sdn.engine.adoption import Newcomer, adoption, founding
from vneter_sdn.engine.learning import AUTHOR, Claim, Learning, is_locator
from vneter_sdn.errors import Conflict, IntentError, NotFound
from vneter_sdn.model.flow import Output
from vneter_sdn.model.snapshot import Key, Pools, Snapshot
from vneter_sdn.southbound.openflow import punt
from vneter_sdn.southbound.openflow.bridges import (
    BridgeConnected,
    BridgeDisconnected,
    BridgeEvent,
    OpenFlowBridges,
    PortChanged,
)
from vneter_sdn.southbound.openflow.multipart import Port
from vneter_sdn.southbound.openflow.ports import FIRST_RESERVED
from vneter_sdn.southbound.openflow.present import Present
from vneter_sdn.southbound.openflow.tally import Complaints
from vneter_sdn.southbound.openflow.target import loopback
from vneter_sdn.store.port import Edit, Store
from vneter_sdn.telemetry.questions import Questions
from vneter_sdn.telemetry.survey import End

_log = logging.getLogger(__name__)
LOCAL = 0xFFFF_FFFE
"""Port of the bridge itself (OpenFlow 1.5.1 §7.2.1.2)."""
IDLE, SETTLE = 1.0, 0.02
"""Seconds between looks at what time alone changes, and that what comes together is waited for."""
PATIENCE = 0.5
"""Seconds that a bridge waits at most for who was behind it in another lab to be forgotten.

Hosts ask again after 1 s."""
_REFUSALS = (IntentError, Conflict, NotFound)


class Lab:
    """Adopts and learns, for one process.

    Args:
        bridges: OpenFlow.
        store: where hosts and endpoints are written.
        settings: whether this is a lab, and its prefix.
        workload: told the datapath id and port by which somebody was heard who is no bridge.
    """

    def __init__(
        self,
        bridges: OpenFlowBridges,
        store: Store,
        settings: Settings,
        workload: Callable[[int, int], None] = lambda dpid, port: None,
    ) -> None:
        self._bridges, self._store, self._settings = bridges, store, settings
        self._workload = workload
        self._present = Present()
        self._learning = Learning()
        self._questions = Questions()
        self._complaints = Complaints(_log)
        self._snapshot: Snapshot | None = None
        self._hosts: dict[int, str] = {}
        """Hosts without a database, by datapath id."""
        self._numbers: frozenset[int] = frozenset()
        self._strangers: set[int] = set()
        """Bridges that may have to be adopted."""
        self._waiting: dict[int, int | None] = {}
        """Bridges that get no flows yet, with the revision these must be of when it is known."""
        self._compiled = 0
        """Revision that bridges are desired to follow."""
        self._founded = not settings.lab
        self._wake = eventlet.event.Event()
        bridges.subscribe(self._bridge_event)

    @property
    def counts(self) -> Mapping[str, int]:
        """What became of frames that somebody was heard by, in a word each."""
        return self._learning.counts

    # -- what happens ---------------------------------------------------------------------------

    def stored(self, snapshot: Snapshot, changed: Iterable[Key] | None) -> None:
        """The intent changed. ``changed``: keys, None for all."""
        keys = tuple(snapshot.objects if changed is None else changed)
        self._snapshot = snapshot
        self._learning.index(snapshot, keys)
        if changed is None or any(key.kind == "Host" for key in keys):
            self._index_hosts(snapshot)
        self._go_on(snapshot)
        self._awake()

    def _index_hosts(self, snapshot: Snapshot) -> None:
        before = self._hosts
        self._hosts = {
            int(stored.spec.datapath_id, 16): key.name
            for key, stored in snapshot.objects.items()
            if key.kind == "Host" and stored.spec.ovsdb is None and stored.spec.datapath_id
        }
        self._numbers = frozenset(
            int(value) for pool, value in snapshot.allocations if pool == Pools.BRIDGE
        )
        for name in set(before.values()) - set(self._hosts.values()):
            self._learning.ports(name, None, time.monotonic())
        self._strangers.update(self._present)
        for dpid in self._present:
            self._ports_of(dpid)

    def _bridge_event(self, event: BridgeEvent) -> None:
        self._present.heard(event)
        match event:
            case BridgeConnected(dpid=dpid):
                self._strangers.add(dpid)
                self._ports_of(dpid)
            case PortChanged(dpid=dpid):
                self._ports_of(dpid)
            case BridgeDisconnected(dpid=dpid):
                self._strangers.discard(dpid)
                self._waiting.pop(dpid, None)
                if dpid in self._hosts:
                    self._learning.ports(self._hosts[dpid], None, time.monotonic())
            case _:
                return
        self._awake()

    def _ports_of(self, dpid: int) -> None:
        if dpid in self._hosts:
            found = {port.name: port.mac for port in self._real_ports(dpid)}
            if self._learning.ports(self._hosts[dpid], found, time.monotonic()):
                self._questions.forget(set(self._present) - {dpid})
                self._wait(dpid)

    def _wait(self, dpid: int) -> None:
        """Give a bridge of another lab no flows as long as somebody of the one before is in them.

        Who has the same addresses and is behind a port of the same name would be let in by them,
        and sent to where others were. A bridge of another name has other ports.
        """
        snapshot, same = self._snapshot, self._hosts[dpid] == self._local(dpid)
        if same and snapshot is not None and self._learning.due(snapshot, time.monotonic()):
            self._waiting[dpid] = None
            self._bridges.pause(dpid, PATIENCE)

    def compiled(self, snapshot: Snapshot) -> None:
        """Bridges are desired to hold what follows from this."""
        self._compiled = snapshot.revision
        self._go_on(snapshot)

    def _go_on(self, snapshot: Snapshot) -> None:
        """Let those go on whose flows have nobody of the lab before in them any more."""
        if None in self._waiting.values() and not self._learning.due(snapshot, time.monotonic()):
            known = self._snapshot.revision if self._snapshot else 0
            self._waiting = {dpid: needed or known for dpid, needed in self._waiting.items()}
        for dpid, needed in list(self._waiting.items()):
            if needed is not None and needed <= self._compiled:
                del self._waiting[dpid]
                self._bridges.pause(dpid, 0)

    def _real_ports(self, dpid: int) -> Iterator[Port]:
        bridge = self._present.bridge(dpid)
        for port in bridge.ports if bridge else ():
            if port.number < FIRST_RESERVED:
                yield port

    def heard(self, dpid: int, port: int, sender: punt.Sender, frame: bytes) -> None:
        """Somebody sent a frame by a port; ``frame`` is the start of it, or all."""
        host = self._hosts.get(dpid)
        name = next((p.name for p in self._real_ports(dpid) if p.number == port), None)
        if host is None or name is None or self._snapshot is None:
            return
        end, place, now = End(host, name), (dpid, port), time.monotonic()
        if is_locator(sender.destination, self._numbers) or self._questions.ours(frame, place, now):
            return
        if self._learning.is_edge(end):
            self._workload(dpid, port)
        if sender.address is not None:
            claim = Claim(end, sender.mac, sender.address, weak=sender.answers)
            if self._learning.hear(claim, self._snapshot, now):
                self._awake()
        asked = sender.asks
        if asked is None or self._learning.knows(asked) or not self._learning.is_edge(end):
            return
        if self._questions.may_ask(asked, frame, place, now):
            self._ask_around(frame, end)

    def _ask_around(self, frame: bytes, source: End) -> None:
        """Send a question out of every port that a workload may be behind, its own apart."""
        for dpid, host in sorted(self._hosts.items(), key=lambda item: item[1]):
            outputs = tuple(
                Output(port.number)
                for port in sorted(self._real_ports(dpid), key=lambda port: port.number)
                if not port.down and not port.link_down
                if self._learning.is_edge(End(host, port.name)) and End(host, port.name) != source
            )
            if outputs:
                self._bridges.packet_out(dpid, frame, outputs)

    # -- what is done ---------------------------------------------------------------------------

    def run(self) -> None:
        """Write what follows, for ever."""
        while True:
            with eventlet.Timeout(IDLE, False):
                self._wake.wait()
            self._wake = eventlet.event.Event()
            eventlet.sleep(SETTLE)
            if self._snapshot is not None:
                self.step(self._snapshot, time.monotonic())

    def _awake(self) -> None:
        if not self._wake.ready():
            self._wake.send(None)

    def step(self, snapshot: Snapshot, now: float) -> None:
        """Write what is to be written now.

        Whoever was heard has to wait for bridges that are adopted: places have other names then.
        """
        if not self._founded:
            self._founded = True
            self._write("the lab's network", [founding(snapshot, self._settings.lab_prefix)])
        if self._settings.lab and self._strangers and self._adopt():
            return
        if self._learning.due(snapshot, now):
            self._write("a learned endpoint", self._learning.edits(snapshot, now))
        self._go_on(snapshot)

    def _adopt(self) -> bool:
        """Make hosts of strangers, one by one: the name of one may depend on another's.

        Returns whether one was. What is refused is tried again at the next look.
        """
        adopted, refused = False, set()
        others = not any(dpid in self._hosts for dpid in self._present)
        while self._strangers:
            dpid = self._strangers.pop()
            bridge = self._present.bridge(dpid)
            if bridge is None or not _is_local(bridge.peer):
                continue
            names = {one: self._local(one) for one in self._present}
            edits = adoption(self._store.snapshot(), Newcomer(dpid, names[dpid]), names)
            if not self._write(f"bridge {names[dpid] or dpid}", [edits]):
                refused.add(dpid)
            elif edits:
                adopted = True
                if others:
                    self._learning.another_lab()
                    self._questions.forget(self._present)
                _log.info("bridge %s (%016x) is host %s", names[dpid], dpid, edits[-1].key.name)
        self._strangers |= refused
        return adopted

    def _local(self, dpid: int) -> str:
        """The name of a bridge's own port; empty when it told of none."""
        bridge = self._present.bridge(dpid)
        return next((one.name for one in bridge.ports if one.number == LOCAL), "") if bridge else ""

    def _write(self, what: str, groups: Sequence[Sequence[Edit]]) -> bool:
        """Write all groups, or if that is refused, those that can be. Whether all could."""
        edits = [edit for group in groups for edit in group]
        if not edits:
            return True
        try:
            self._store.apply(edits, author=AUTHOR, message=what)
        except _REFUSALS as refused:
            if len(groups) == 1:
                self._complaints.say(what, type(refused).__name__, str(refused))
                return False
            written = [self._write(what, [group]) for group in groups]
            return all(written)
        _log.debug("written: %s", ", ".join(f"{edit.verb} {edit.key}" for edit in edits))
        return True


def _is_local(peer: str) -> bool:
    """Whether a bridge connected over loopback."""
    kind, _, place = peer.partition(":")
    return kind == "tcp" and loopback(place)
