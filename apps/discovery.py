# SPDX-License-Identifier: Apache-2.0
"""Turns punted discovery frames (LLDP) into one call each on a session.

Frames are anybody's bytes: nothing here looks into them. Whether one is believed is decided by
`southbound.openflow.discovery`, behind the session.
"""

from __future__ import annotations

import time
from typing import Any, Protocol

from os_ken.base.app_manager import OSKenApp
from os_ken.controller import ofp_event
from os_ken.controller.handler import MAIN_DISPATCHER, set_ev_cls
from os_ken.ofproto import ofproto_v1_4, ofproto_v1_5

from vneter_sdn.pipeline import punts


class DiscoverySession(Protocol):
    """What this app calls."""

    def frame_arrived(self, dpid: int, port: int, frame: bytes, at: float) -> None:
        """A discovery frame came in by a port, at a time of the monotonic clock."""


class Discovery(OSKenApp):
    """One packet in, one call, or none."""

    OFP_VERSIONS = (ofproto_v1_4.OFP_VERSION, ofproto_v1_5.OFP_VERSION)
    PUNTS = (bytes([punts.LLDP]),)

    def __init__(self, *args: Any, session: DiscoverySession, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.session = session

    @set_ev_cls(ofp_event.EventOFPPacketIn, MAIN_DISPATCHER)
    def packet_in(self, event: Any) -> None:
        """Pass on what our own flow punted as a discovery frame."""
        msg = event.msg
        port = msg.match.get("in_port")
        if not msg.datapath.is_active:  # by now another bridge may have its datapath id
            return
        if bytes(msg.userdata) == bytes([punts.LLDP]) and port:
            at = getattr(msg, "arrived", None) or time.monotonic()
            self.session.frame_arrived(msg.datapath.id, port, bytes(msg.data), at)
