# SPDX-License-Identifier: Apache-2.0
"""Turns each question that endpoints ask the edge of their network into one call on a session."""

from __future__ import annotations

from typing import Any, Protocol

from os_ken.base.app_manager import OSKenApp
from os_ken.controller import ofp_event
from os_ken.controller.handler import MAIN_DISPATCHER, set_ev_cls
from os_ken.ofproto import ofproto_v1_4, ofproto_v1_5

from vneter_sdn.errors import DecodeError
from vneter_sdn.pipeline import punts


class EdgeSession(Protocol):
    """What this app calls; ``frame`` is the start of the packet, or all."""

    def asked(self, dpid: int, reason: punts.Asked, frame: bytes, total: int) -> None:
        """An endpoint asks for something. ``total``: length of the packet."""


class Edge(OSKenApp):
    """One packet in, one call, or none."""

    OFP_VERSIONS = (ofproto_v1_4.OFP_VERSION, ofproto_v1_5.OFP_VERSION)

    def __init__(self, *args: Any, session: EdgeSession, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.session = session

    @set_ev_cls(ofp_event.EventOFPPacketIn, MAIN_DISPATCHER)
    def packet_in(self, event: Any) -> None:
        """Pass on what endpoints ask."""
        msg = event.msg
        try:
            reason = punts.decode(bytes(msg.userdata))
        except DecodeError:
            return
        if isinstance(reason, punts.Asked):
            self.session.asked(msg.datapath.id, reason, bytes(msg.data), msg.total_len)
