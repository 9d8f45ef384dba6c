# SPDX-License-Identifier: Apache-2.0
"""Turns each packet that a policy's decision punted into one call on a session.

Sessions are injected: anything with the methods of `DecisionSession`, or `AnswerSession`, will do.
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


class AnswerSession(Protocol):
    """What it calls with answers of DNS."""

    def answered(self, dpid: int, reason: punts.Names, frame: bytes, total: int) -> None:
        """One goes to an endpoint under rules about names. ``total``: length of the packet."""


class Decisions(OSKenApp):
    """One packet in, one call, or none."""

    OFP_VERSIONS = (ofproto_v1_4.OFP_VERSION, ofproto_v1_5.OFP_VERSION)
    PUNTS = (bytes([punts.DECIDED]), bytes([punts.NAMES]))

    def __init__(
        self, *args: Any, session: DecisionSession, answers: AnswerSession, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.session, self.answers = session, answers

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
            self.answers.answered(msg.datapath.id, reason, bytes(msg.data), msg.total_len)
