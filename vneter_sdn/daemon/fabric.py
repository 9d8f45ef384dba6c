# SPDX-License-Identifier: Apache-2.0
"""The engine's southbound, for real: OpenFlow and OVSDB sessions, and events translated."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from vneter_sdn.compile.network import controller_target
from vneter_sdn.daemon.highwater import Highwater
from vneter_sdn.daemon.sessions import Deliver, Interfaces
from vneter_sdn.daemon.watch import Watch
from vneter_sdn.engine.port import (
    Blocked,
    Channel,
    Claimed,
    Confirmed,
    Database,
    Desired,
    Event,
    LeftOut,
    Tunnels,
)
from vneter_sdn.engine.port import Refused as NotHeld
from vneter_sdn.model.kinds import HostSpec
from vneter_sdn.model.rows import HostRows
from vneter_sdn.reconcile.plan import Step, Verb
from vneter_sdn.southbound.openflow.bridges import (
    BridgeConnected,
    BridgeDisconnected,
    BridgeEvent,
    OpenFlowBridges,
    PeerRefused,
)
from vneter_sdn.southbound.openflow.events import Reason
from vneter_sdn.southbound.openflow.present import Present
from vneter_sdn.southbound.openflow.quarantine import Culprit
from vneter_sdn.southbound.openflow.upkeep import Blocked as FlowsBlocked
from vneter_sdn.southbound.openflow.upkeep import (
    DesiredBridge,
    Held,
    InSync,
    Quarantined,
    Refused,
)

_log = logging.getLogger(__name__)
_VERSIONS = {5: "OpenFlow14", 6: "OpenFlow15"}


CLAIMED = 60.0
"""Seconds after its last claim that a second bridge of one datapath id is reported."""
GRACE = 10.0
"""Seconds that a bridge has to connect before it is reported away."""


@dataclass
class _Managed:
    spec: HostSpec
    number: int
    """Datapath id that the engine has for it."""
    dpid: int
    """Datapath id that its bridge has."""
    session: Any
    door: str = ""
    heard: bool = False
    claims: int = 0
    """How often somebody else claimed its datapath id."""
    desired: DesiredBridge | None = None
    rows: HostRows | None = None
    doubted: bool = False
    """Whether the intent is suspect, and the bridge has not taken it over yet."""
    confused: bool | None = None
    """Whether its datapath may mix up megaflows: its database says so, or its spec without one."""


class Fabric:
    """Sessions with every host; implements `vneter_sdn.engine.port.Southbound`."""

    def __init__(
        self,
        bridges: OpenFlowBridges,
        open_session: Callable[[str, HostSpec, Deliver], Any],
        deliver: Callable[[Event], None],
        later: Callable[[float, Callable[[], None]], Any],
        highwater: Highwater,
        watch: Watch,
    ) -> None:
        """Start with no host.

        Args:
            bridges: OpenFlow.
            open_session: ``(host, spec, deliver)`` starts an OVSDB session and returns it.
            deliver: takes every event; must not block.
            later: calls a function after so many seconds.
            highwater: what bridges confirmed, for the shrink guard of this life and the next.
            watch: told of every host, and of what its database says of interfaces.
        """
        self._highwater, self._watch = highwater, watch
        self._later = later
        self._bridges = bridges
        self._open_session = open_session
        self._deliver = deliver
        self._hosts: dict[str, _Managed] = {}
        self._by_dpid: dict[int, str] = {}
        self._by_door: dict[str, str] = {}
        self._new: set[str] = set()
        self._present = Present()
        bridges.subscribe(self._heard)

    def manage(self, host: str, spec: HostSpec, dpid: int) -> None:
        """Open sessions with a host, or open them anew when it is to be reached in another way."""
        known = self._hosts.get(host)
        if known is not None and _ways(known.spec) == _ways(spec) and known.number == dpid:
            known.spec = spec
            return
        self.release(host)
        managed = _Managed(spec, dpid, dpid, self._open_session(host, spec, self._told))
        if spec.ovsdb is None:
            managed.confused = spec.datapath_type == "netdev"
        self._hosts[host] = managed
        self._by_dpid[dpid] = host
        self._watch.manage(host, dpid, database=spec.ovsdb is not None)
        managed.doubted = self._highwater.mark.suspect
        self._remember(dpid)
        self._open_door(host)
        self._meet(dpid)
        self._later(GRACE, lambda: self._give_up_waiting(host, managed))

    def _meet(self, dpid: int) -> None:
        """Hear of a bridge that connected before it was known whose it is."""
        bridge = self._present.bridge(dpid)
        if bridge is not None:
            self._watch.connected(bridge)
            self._heard(bridge)

    def _remember(self, dpid: int) -> None:
        mark = self._highwater.mark
        self._bridges.confirmed(dpid, mark.revision, mark.suspect)

    def _give_up_waiting(self, host: str, managed: _Managed) -> None:
        if self._hosts.get(host) is managed and not managed.heard:
            message = f"the bridge did not connect within {GRACE:.0f} s"
            self._deliver(Channel(host, False, "", "Connecting", message))

    def _told(self, event: Event | Interfaces) -> None:
        """What a session says. A local host that answers has a directory to put a socket in."""
        if isinstance(event, Interfaces):
            self._watch.interfaces(event.host, event.purposes)
            return
        if isinstance(event, Tunnels):
            self._watch.tunnels(event.host, event.tunnels)
        if isinstance(event, Database) and event.connected and event.host in self._hosts:
            if event.dpid is not None:
                self._recognise(event.host, event.dpid)
                self._hosts[event.host].confused = event.confused
            self._open_door(event.host)
        self._deliver(event)

    def _recognise(self, host: str, dpid: int) -> None:
        """Go by the datapath id a bridge has: one that is somebody else's keeps its own."""
        managed = self._hosts[host]
        if dpid == managed.dpid or dpid in self._by_dpid:
            return
        _log.info("%s: its bridge is %016x, not %016x", host, dpid, managed.dpid)
        self._close_door(managed)
        self._bridges.forget(managed.dpid)
        self._by_dpid.pop(managed.dpid, None)
        managed.dpid = dpid
        self._by_dpid[dpid] = host
        self._watch.manage(host, dpid, database=managed.spec.ovsdb is not None)
        self._remember(dpid)
        self._meet(dpid)
        if managed.desired is not None:
            self._bridges.desire(dpid, replace(managed.desired, changed=None))

    def _open_door(self, host: str) -> None:
        managed = self._hosts[host]
        target = controller_target(managed.spec, "")
        if managed.door or not target.startswith("unix:"):
            return
        try:
            self._bridges.listen(target, frozenset({managed.dpid}))
        except OSError as failed:
            _log.error("%s: cannot listen on %s: %s", host, target, failed)
            self._deliver(Channel(host, False, "", "CannotListen", f"{target}: {failed}"))
            return
        managed.door = target
        self._by_door[target] = host

    def release(self, host: str) -> None:
        """Close sessions with a host; what it holds stays as it is."""
        managed = self._hosts.pop(host, None)
        if managed is None:
            return
        managed.session.close()
        self._watch.release(host)
        if self._by_dpid.get(managed.dpid) == host:
            del self._by_dpid[managed.dpid]
            self._bridges.forget(managed.dpid)
        self._close_door(managed)

    def _close_door(self, managed: _Managed) -> None:
        if managed.door:
            self._by_door.pop(managed.door, None)
            self._bridges.unlisten(managed.door)
            managed.door = ""

    def desire_rows(self, host: str, rows: HostRows) -> None:
        """What the host's database should hold."""
        managed = self._hosts[host]
        managed.rows = rows
        managed.session.set_desired(rows, keep_tunnels=managed.doubted)

    def desire_flows(self, host: str, desired: Desired) -> None:
        """What the host's bridge should hold."""
        managed = self._hosts[host]
        managed.desired = DesiredBridge(
            desired.state,
            desired.revision,
            desired.changed,
            epoch=desired.epoch,
            renews=managed.confused,
        )
        self._bridges.desire(managed.dpid, managed.desired)

    def _heard(self, event: BridgeEvent) -> None:
        self._present.heard(event)
        if isinstance(event, PeerRefused):
            self._turned_away(event)
            return
        host = self._by_dpid.get(event.dpid)
        if host is not None:
            self._log(host, event)
            if isinstance(event, InSync | Quarantined):
                self._highwater.confirmed(event.revision)
                self._trust(host)
        translated = None if host is None else _translated(host, event)
        if host is not None and translated is not None:
            self._hosts[host].heard = True
            self._deliver(translated)

    def _trust(self, host: str) -> None:
        """Its bridge took the intent over, so its database may follow."""
        managed = self._hosts[host]
        if managed.doubted:
            managed.doubted = False
            if managed.rows is not None:
                self.desire_rows(host, managed.rows)

    def _turned_away(self, event: PeerRefused) -> None:
        """Report a refused peer on the host it may be; it says nothing of one that is connected."""
        host = (
            self._by_door.get(event.listener)
            or self._by_dpid.get(event.dpid)
            or (None if event.dpid else self._at(event.peer.partition(":")[2]))
        )
        if host is None:
            return
        if event.reason is Reason.DUPLICATE_DATAPATH:
            self._claimed(host, event)
        if self._bridges.observed(self._hosts[host].dpid) is not None:
            return
        self._hosts[host].heard = True
        message = f"{event.peer} was refused: {event.message}"
        self._deliver(Channel(host, False, "", str(event.reason), message))

    def _claimed(self, host: str, event: PeerRefused) -> None:
        """Report who else claims a bridge's datapath id, until nobody has for a while."""
        managed = self._hosts[host]
        managed.claims += 1
        claims = managed.claims
        message = f"{event.peer} claims it too and is refused: {event.message}"
        self._deliver(Claimed(host, message))

        def over() -> None:
            if self._hosts.get(host) is managed and managed.claims == claims:
                self._deliver(Claimed(host, ""))

        self._later(CLAIMED, over)

    def _at(self, address: str) -> str | None:
        """The host at an address, which is all that is known of who failed at TLS."""
        found = [
            name for name, managed in self._hosts.items() if address in _addresses(managed.spec)
        ]
        return found[0] if len(found) == 1 else None

    def _log(self, host: str, event: BridgeEvent) -> None:
        """One line when a bridge comes, is in sync for the first time, or goes."""
        match event:
            case BridgeConnected(version=version, peer=peer):
                self._new.add(host)
                _log.info("%s: bridge connected from %s, %s", host, peer, _VERSIONS.get(version))
            case BridgeDisconnected(reason=reason, message=message):
                _log.warning("%s: bridge went away: %s (%s)", host, message, reason)
            case InSync(plan=plan) if host in self._new:
                self._new.discard(host)
                done = ", ".join(f"{n} {what}" for what, n in plan.tally().items())
                _log.info("%s: in sync; %s", host, done or "nothing had to change")
            case _:
                pass


def _addresses(spec: HostSpec) -> frozenset[str]:
    """Where a host that is not local may come from."""
    scheme, _, place = (spec.ovsdb or "unix:").partition(":")
    own = () if scheme == "unix" else (place.rpartition(":")[0].strip("[]"),)
    return frozenset((*own, *map(str, spec.tunnel_addresses)))


def _ways(spec: HostSpec) -> tuple[str | None, str, str | None]:
    """What decides how a host is reached."""
    return spec.ovsdb, spec.bridge, spec.controller


def _translated(host: str, event: BridgeEvent) -> Event | None:
    match event:
        case BridgeConnected(version=version):
            return Channel(host, True, _VERSIONS.get(version, str(version)))
        case BridgeDisconnected(reason=reason, message=message):
            return Channel(host, False, "", str(reason), message)
        case InSync(epoch=epoch):
            return Confirmed(host, epoch)
        case Refused(going_on=True):
            return None  # what becomes of it follows at once
        case Refused(epoch=epoch, kind=kind, code=code, step=step, what=what):
            message = f"OpenFlow error ({kind}, {code}) {what} for {step}; trying again"
            return NotHeld(host, epoch, "BundleRejected", message)
        case Quarantined(epoch=epoch, culprits=culprits):
            return LeftOut(host, epoch, tuple((c.flow.key, _error(c)) for c in culprits))
        case FlowsBlocked(flows=flows):
            return Blocked(host, tuple(str(flow.key) for flow in flows))
        case Held(reason=reason):
            return NotHeld(host, 0, "ShrinkHeld", str(reason))
        case _:
            return None


def _error(culprit: Culprit) -> str:
    what = f" {culprit.what}" if culprit.what else ""
    step = Step(Verb.ADD, culprit.thing)
    error = f"OpenFlow error ({culprit.kind}, {culprit.code}){what} for {step}"
    return f"no room for another meter: {error}" if culprit.crowded_out else error
