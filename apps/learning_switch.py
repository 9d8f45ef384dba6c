# SPDX-License-Identifier: Apache-2.0
"""A learning switch: remembers by which port each address was heard, and sends only there.

Run it on any Open vSwitch or Mininet, with no controller service::

    vneterctl run apps/learning_switch.py
    mn --controller remote --switch ovsk,protocols=OpenFlow13

Bridges that make a loop need `shortest_path` instead: this one floods around it for ever.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from os_ken.base.app_manager import OSKenApp
from os_ken.controller import ofp_event
from os_ken.controller.handler import CONFIG_DISPATCHER, MAIN_DISPATCHER, set_ev_cls
from os_ken.ofproto import ofproto_v1_3

IDLE = 60
"""Seconds after which a flow that nobody uses goes."""


class LearningSwitch(OSKenApp):
    """One table of addresses per bridge."""

    OFP_VERSIONS = (ofproto_v1_3.OFP_VERSION,)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.ports: dict[int, dict[bytes, int]] = defaultdict(dict)
        """Port by address, for each datapath id."""

    @set_ev_cls(ofp_event.EventOFPSwitchFeatures, CONFIG_DISPATCHER)
    def connected(self, event: Any) -> None:
        """Ask for every packet that no flow matches."""
        datapath = event.msg.datapath
        ofproto, parser = datapath.ofproto, datapath.ofproto_parser
        self.ports.pop(datapath.id, None)
        everything = parser.OFPMatch()
        delete = {"table_id": ofproto.OFPTT_ALL, "command": ofproto.OFPFC_DELETE}
        anywhere = {"out_port": ofproto.OFPP_ANY, "out_group": ofproto.OFPG_ANY}
        datapath.send_msg(parser.OFPFlowMod(datapath, match=everything, **delete, **anywhere))
        to_us = parser.OFPActionOutput(ofproto.OFPP_CONTROLLER, ofproto.OFPCML_NO_BUFFER)
        self._flow(datapath, everything, to_us, priority=0)

    @set_ev_cls(ofp_event.EventOFPPacketIn, MAIN_DISPATCHER)
    def heard(self, event: Any) -> None:
        """Learn where the sender is; forward, and tell the bridge to do so itself next time."""
        msg = event.msg
        datapath, ofproto, parser = msg.datapath, msg.datapath.ofproto, msg.datapath.ofproto_parser
        came_by, target, sender = msg.match["in_port"], msg.data[:6], msg.data[6:12]
        if len(msg.data) < 14 or target.startswith(b"\x01\x80\xc2\0\0"):
            return  # a frame for the next bridge alone, as LLDP is (IEEE 802.1Q §8.6.3)
        known = self.ports[datapath.id]
        known[sender] = came_by
        goes_by = known.get(target, ofproto.OFPP_FLOOD)
        output = parser.OFPActionOutput(goes_by)
        if goes_by != ofproto.OFPP_FLOOD:
            match = parser.OFPMatch(in_port=came_by, eth_src=mac(sender), eth_dst=mac(target))
            self._flow(datapath, match, output, priority=1, idle_timeout=IDLE)
        datapath.send_msg(
            parser.OFPPacketOut(datapath, ofproto.OFP_NO_BUFFER, came_by, [output], msg.data)
        )

    @set_ev_cls(ofp_event.EventOFPPortStatus, MAIN_DISPATCHER)
    def port_changed(self, event: Any) -> None:
        """Forget who was behind a port that went or lost its link."""
        msg = event.msg
        datapath, ofproto, parser = msg.datapath, msg.datapath.ofproto, msg.datapath.ofproto_parser
        number = msg.desc.port_no
        if msg.reason != ofproto.OFPPR_DELETE and not msg.desc.state & ofproto.OFPPS_LINK_DOWN:
            return
        known = self.ports[datapath.id]
        self.ports[datapath.id] = {who: port for who, port in known.items() if port != number}
        delete = {"command": ofproto.OFPFC_DELETE, "out_port": number}
        mod = parser.OFPFlowMod(datapath, out_group=ofproto.OFPG_ANY, **delete)
        datapath.send_msg(mod)

    def _flow(self, datapath: Any, match: Any, action: Any, **fields: int) -> None:
        parser, apply = datapath.ofproto_parser, datapath.ofproto.OFPIT_APPLY_ACTIONS
        instructions = [parser.OFPInstructionActions(apply, [action])]
        datapath.send_msg(
            parser.OFPFlowMod(datapath, match=match, instructions=instructions, **fields)
        )


def mac(octets: bytes) -> str:
    """``02:00:00:00:00:01``."""
    return octets.hex(":")
