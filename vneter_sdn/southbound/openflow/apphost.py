# SPDX-License-Identifier: Apache-2.0
"""Runs os-ken applications on the sessions of this package.

os-ken's own controller (listener, handshake, parsers fed with raw bytes) is not started. Apps are
given ordinary os-ken events with ordinary os-ken messages, made only from what the validator
accepted, and a datapath whose ``send_msg`` goes out through our connection. A handler that raises,
waits too long or falls behind costs itself one event and is counted.

An app may say of which punts it wants to hear: ``PUNTS``, beginnings of user data. The others do
not enter its queue, so a flood of these costs it nothing.
"""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable
from typing import Any

import eventlet
from os_ken.base.app_manager import AppManager, OSKenApp
from os_ken.controller import ofp_event
from os_ken.controller.handler import CONFIG_DISPATCHER, DEAD_DISPATCHER, MAIN_DISPATCHER
from os_ken.ofproto import ofproto_parser

from vneter_sdn.model.flow import CONTROLLER, Action
from vneter_sdn.southbound.openflow import decode, rare
from vneter_sdn.southbound.openflow.bridges import (
    BridgeConnected,
    BridgeDisconnected,
    BridgeEvent,
    OpenFlowBridges,
    PacketArrived,
)
from vneter_sdn.southbound.openflow.tally import Complaints
from vneter_sdn.southbound.openflow.wire import HEADER, Type

_LOG = logging.getLogger(__name__)
PATIENCE = 5.0
"""Seconds a handler may wait for something before it is given up."""
_FIRST_XID = 0x8000_0001
_NO_BUFFER = 0xFFFFFFFF
_ALL = (b"",)


class HostedDatapath(rare.Datapath):
    """What apps see of a bridge; os-ken's ``Datapath`` as far as apps use it."""

    def __init__(self, bridges: OpenFlowBridges, dpid: int, version: int, peer: str) -> None:
        super().__init__(version)
        self.id, self.address = dpid, (peer, 0)
        self.state = CONFIG_DISPATCHER
        self.is_active = True
        self._bridges = bridges
        self._xid = _FIRST_XID

    def set_xid(self, msg: Any) -> int:
        """Give a message a transaction id out of the range kept for apps."""
        self._xid = _FIRST_XID if self._xid >= 0xFFFF_FFFE else self._xid + 1
        msg.set_xid(self._xid)
        return self._xid

    def send_msg(self, msg: Any, close_socket: bool = False) -> bool:
        """Serialise and send; False when the bridge is away or too much is waiting."""
        del close_socket
        if msg.xid is None:
            self.set_xid(msg)
        msg.serialize()
        return self.is_active and self._bridges.send_message(self.id, bytes(msg.buf))

    def packet_out(
        self, frame: bytes, actions: tuple[Action, ...], in_port: int = CONTROLLER
    ) -> bool:
        """Send a frame through actions of ours."""
        return self._bridges.packet_out(self.id, frame, actions, in_port)


class AppHost:
    """Hosts apps on the bridges of a process."""

    def __init__(self, bridges: OpenFlowBridges, patience: float = PATIENCE) -> None:
        self._bridges, self._patience = bridges, patience
        self._apps: list[OSKenApp] = []
        self._datapaths: dict[int, HostedDatapath] = {}
        self._complaints = Complaints(_LOG)
        self._manager = AppManager()
        bridges.subscribe(self._heard)
        bridges.tap(self._tapped)

    def start(self, app: type[OSKenApp], **arguments: Any) -> OSKenApp:
        """Make an app, handing it what it needs by keyword, and start its loop."""
        made = self._manager.instantiate(app, **arguments)
        for handlers in made.event_handlers.values():
            handlers[:] = [self._guarded(made.name, handler) for handler in handlers]
        made.start()
        self._apps.append(made)
        return made

    def close(self) -> None:
        """Stop every app."""
        self._apps.clear()
        self._manager.close()

    def send(self, event: Any, state: str | None = None, userdata: bytes | None = None) -> None:
        """Put an event into the queue of every app that handles it; full queues drop it.

        ``userdata``: of a punted packet.
        """
        for app in self._apps:
            if userdata is not None and not userdata.startswith(getattr(app, "PUNTS", _ALL)):
                continue
            if not any(True for _ in app.get_handlers(event, state)):
                continue
            if app.events.qsize() >= app.events.maxsize:
                self._bridges.tally.count("dropped", app.name)
                continue
            app._send_event(event, state)  # noqa: SLF001 - os-ken's way in from outside

    def _guarded(self, name: str, handler: Callable[[Any], None]) -> Callable[[Any], None]:
        @functools.wraps(handler)
        def run(event: Any) -> None:
            try:
                with eventlet.Timeout(self._patience):
                    handler(event)
            except (Exception, eventlet.Timeout) as failed:  # noqa: BLE001 - an app is anybody's code
                self._bridges.tally.count("exceptions", name)
                kind = f"{type(event).__name__} {type(failed).__name__}"
                if self._complaints.say(name, kind, str(failed), logging.ERROR):
                    _LOG.debug("%s failed", name, exc_info=failed)

        return run

    def _heard(self, event: BridgeEvent) -> None:
        match event:
            case BridgeConnected(dpid=dpid, version=version, peer=peer):
                datapath = HostedDatapath(self._bridges, dpid, version, peer)
                self._datapaths[dpid] = datapath
                parser = datapath.ofproto_parser
                features = parser.OFPSwitchFeatures(datapath, dpid, 0, 254, 0, 0)
                self.send(ofp_event.ofp_msg_to_ev(features), CONFIG_DISPATCHER)
                self._change(datapath, MAIN_DISPATCHER)
            case BridgeDisconnected(dpid=dpid):
                gone = self._datapaths.pop(dpid, None)
                if gone is not None:
                    gone.is_active = False
                    self._change(gone, DEAD_DISPATCHER)
            case PacketArrived(dpid=dpid, packet=packet):
                datapath_of = self._datapaths.get(dpid)
                if datapath_of is not None:
                    event = _packet_in(datapath_of, packet)
                    self.send(event, MAIN_DISPATCHER, packet.userdata)

    def _change(self, datapath: HostedDatapath, state: str) -> None:
        changed = ofp_event.EventOFPStateChange(datapath)
        changed.state = state
        datapath.state = state
        self.send(changed, state)

    def _tapped(self, dpid: int, version: int, raw: bytes) -> None:
        """Any other message, parsed by os-ken; the session's validator has accepted it."""
        datapath = self._datapaths.get(dpid)
        _, kind, length, xid = HEADER.unpack_from(raw)
        if datapath is None or not self._apps or kind in (Type.PACKET_IN, Type.EXPERIMENTER):
            return
        msg = ofproto_parser.msg(datapath, version, kind, length, xid, raw)
        if msg is not None:
            self.send(ofp_event.ofp_msg_to_ev(msg), MAIN_DISPATCHER)


def _packet_in(datapath: HostedDatapath, packet: decode.PacketIn) -> Any:
    """The event of a punted packet; ``msg.userdata`` is what its Punt action carried.

    ``msg.arrived`` is when it came, on the monotonic clock.
    """
    parser = datapath.ofproto_parser
    msg = parser.OFPPacketIn(
        datapath,
        buffer_id=_NO_BUFFER,
        total_len=packet.total,
        reason=packet.reason,
        table_id=packet.table,
        cookie=packet.cookie,
        match=parser.OFPMatch(in_port=packet.in_port),
        data=packet.data,
    )
    msg.userdata, msg.arrived = packet.userdata, time.monotonic()
    return ofp_event.ofp_msg_to_ev(msg)
