# SPDX-License-Identifier: Apache-2.0
"""Turns each packet that a policy's decision punted into one call on a session.

The session is injected: anything with the methods of `DecisionSession` will do.
"""

from __future__ import annotations

from typing import Any, Protocol

from os_ken.base.app_manager import OSKenApp
from os_ken.controller import ofp_event
from os_ken.controller.handler import MAIN_DISPATCHER, set_ev_cls
from os_ken.ofproto import ofproto_v1_4, ofproto_v1_5

from vneter_sdn.errors import DecodeError
from vneter_sdn.pipeline import punts


class DecisionSession(Protocol):
    """What this app calls; ``frame`` is the start of the packet, or all."""

    def decided(self, dpid: int, port: int, reason: punts.Decided, frame: bytes) -> None:
        """A policy decided about a packet that came in by a port (0: unknown)."""

    def named(self, frame: bytes, tenant: int) -> None:
        """An answer of DNS goes to an endpoint of a tenant that has rules about names."""


class Decisions(OSKenApp):
    """One packet in, one call, or none."""

    OFP_VERSIONS = (ofproto_v1_4.OFP_VERSION, ofproto_v1_5.OFP_VERSION)

    def __init__(self, *args: Any, session: DecisionSession, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.session = session

    @set_ev_cls(ofp_event.EventOFPPacketIn, MAIN_DISPATCHER)
    def packet_in(self, event: Any) -> None:
        """Pass on what flows of policies punted."""
        msg = event.msg
        try:
            reason = punts.decode(bytes(msg.userdata))
        except DecodeError:
            return
        port = msg.match.get("in_port") or 0
        if isinstance(reason, punts.Decided):
            self.session.decided(msg.datapath.id, port, reason, bytes(msg.data))
        elif isinstance(reason, punts.Names):
            self.session.named(bytes(msg.data), reason.tenant)
