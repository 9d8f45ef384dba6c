# SPDX-License-Identifier: Apache-2.0
"""Turns each frame that a lab's endpoints are learned from into one call on a session.

The session is injected: anything with the method of `LearningSession` will do.
"""

from __future__ import annotations

from typing import Any, Protocol

from os_ken.base.app_manager import OSKenApp
from os_ken.controller import ofp_event
from os_ken.controller.handler import MAIN_DISPATCHER, set_ev_cls
from os_ken.ofproto import ofproto_v1_4, ofproto_v1_5

from vneter_sdn.pipeline import punts
from vneter_sdn.southbound.openflow import punt


class LearningSession(Protocol):
    """What this app calls."""

    def heard(self, dpid: int, port: int, sender: punt.Sender, frame: bytes) -> None:
        """Somebody sent a frame by a port; ``frame`` is the start of it, or all."""


class Learning(OSKenApp):
    """One packet in, one call, or none."""

    OFP_VERSIONS = (ofproto_v1_4.OFP_VERSION, ofproto_v1_5.OFP_VERSION)
    PUNTS = (bytes([punts.LEARN]),)

    def __init__(self, *args: Any, session: LearningSession, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.session = session

    @set_ev_cls(ofp_event.EventOFPPacketIn, MAIN_DISPATCHER)
    def packet_in(self, event: Any) -> None:
        """Pass on what our own flows punted to learn from."""
        msg = event.msg
        port = msg.match.get("in_port")
        if bytes(msg.userdata) != bytes([punts.LEARN]) or not port:
            return
        if not msg.datapath.is_active:  # by now another bridge may have its datapath id
            return
        sender = punt.sender(bytes(msg.data))
        if sender is not None:
            self.session.heard(msg.datapath.id, port, sender, bytes(msg.data))
