# SPDX-License-Identifier: Apache-2.0
"""Turns a bridge's coming and going, and changes of its ports, into one call each on a session.

The session is injected: anything with the three methods of `BridgeSession` will do.
"""

from __future__ import annotations

from typing import Any, Protocol

from os_ken.base.app_manager import OSKenApp
from os_ken.controller import ofp_event
from os_ken.controller.handler import DEAD_DISPATCHER, MAIN_DISPATCHER, set_ev_cls
from os_ken.ofproto import ofproto_v1_4, ofproto_v1_5


class BridgeSession(Protocol):
    """What this app calls."""

    def bridge_up(self, dpid: int) -> None:
        """A bridge is connected and read back."""

    def bridge_down(self, dpid: int) -> None:
        """A bridge went away."""

    def port_changed(self, dpid: int, number: int, up: bool) -> None:
        """A port came or went, or its link did."""


class Bridges(OSKenApp):
    """Bridges up and down, ports up and down."""

    OFP_VERSIONS = (ofproto_v1_4.OFP_VERSION, ofproto_v1_5.OFP_VERSION)

    def __init__(self, *args: Any, session: BridgeSession, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.session = session

    @set_ev_cls(ofp_event.EventOFPStateChange, [MAIN_DISPATCHER, DEAD_DISPATCHER])
    def state_changed(self, event: Any) -> None:
        """A bridge came or went."""
        if event.state == MAIN_DISPATCHER:
            self.session.bridge_up(event.datapath.id)
        else:
            self.session.bridge_down(event.datapath.id)

    @set_ev_cls(ofp_event.EventOFPPortStatus, MAIN_DISPATCHER)
    def port_status(self, event: Any) -> None:
        """A port was added, deleted or modified (OpenFlow 1.5.1 §7.4.3)."""
        msg, ofproto = event.msg, event.msg.datapath.ofproto
        gone = msg.reason == ofproto.OFPPR_DELETE
        down = msg.desc.config & ofproto.OFPPC_PORT_DOWN or msg.desc.state & ofproto.OFPPS_LINK_DOWN
        self.session.port_changed(msg.datapath.id, msg.desc.port_no, not (gone or down))
