# SPDX-License-Identifier: Apache-2.0
"""Answers packets whose TTL ended at a gateway with an ICMP error, out of the port they came by.

The flow that punts says in its user data who the answer is from (`pipeline.punts`). Frames are
tenants' bytes: they are read by `southbound.openflow.punt` alone.
"""

from __future__ import annotations

from typing import Any

from os_ken.base.app_manager import OSKenApp
from os_ken.controller import ofp_event
from os_ken.controller.handler import MAIN_DISPATCHER, set_ev_cls
from os_ken.ofproto import ofproto_v1_4, ofproto_v1_5

from vneter_sdn.errors import DecodeError
from vneter_sdn.model.flow import Output
from vneter_sdn.pipeline import punts
from vneter_sdn.southbound.openflow import punt


class IcmpErrors(OSKenApp):
    """One packet in, one packet out, or none."""

    OFP_VERSIONS = (ofproto_v1_4.OFP_VERSION, ofproto_v1_5.OFP_VERSION)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.answered = self.ignored = 0

    @set_ev_cls(ofp_event.EventOFPPacketIn, MAIN_DISPATCHER)
    def packet_in(self, event: Any) -> None:
        """Answer, when the packet says why it was punted and may be answered (RFC 1122 §3.2.2)."""
        msg = event.msg
        try:
            reason = punts.decode(msg.userdata)
        except DecodeError:
            reason = None
        answer = None
        if isinstance(reason, punts.TtlExpired):
            answer = punt.time_exceeded(msg.data, reason.gateway, reason.gateway_mac)
        port = msg.match.get("in_port")
        if answer is None or not port:
            self.ignored += 1
            return
        self.answered += 1
        msg.datapath.packet_out(answer, (Output(port),))
