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
from vneter_sdn.pipeline.punts import Service

CONFIGURING = (Service.DHCP, Service.DHCPV6, Service.ROUTER)
"""Services that configure an endpoint; all others are asked about names."""


class EdgeSession(Protocol):
    """What this app calls; ``frame`` is the start of the packet, or all."""

    def asked(self, dpid: int, reason: punts.Asked, frame: bytes, total: int) -> None:
        """An endpoint asks for something. ``total``: length of the packet."""


class Edge(OSKenApp):
    """One packet in, one call, or none: of what configures endpoints. Names queue apart."""

    OFP_VERSIONS = (ofproto_v1_4.OFP_VERSION, ofproto_v1_5.OFP_VERSION)
    PUNTS = tuple(bytes([punts.ASKED, service]) for service in CONFIGURING)

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


class Names(Edge):
    """The same of names, so that a flood of these fills its own queue, and costs no lease."""

    PUNTS = tuple(bytes([punts.ASKED, one]) for one in Service if one not in CONFIGURING)
