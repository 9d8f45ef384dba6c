# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: RUF012, T201 - as programs for Ryu are written
"""A hub in OpenFlow 1.0, with an option of its own."""

from ryu import cfg
from ryu.base import app_manager
from ryu.controller import ofp_event
from ryu.controller.handler import CONFIG_DISPATCHER, MAIN_DISPATCHER, set_ev_cls
from ryu.lib.mac import haddr_to_bin
from ryu.ofproto import ofproto_v1_0

CONF = cfg.CONF
CONF.register_cli_opts([cfg.StrOpt("greeting", default="none")])


class Hub(app_manager.RyuApp):
    OFP_VERSIONS = [ofproto_v1_0.OFP_VERSION]

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        print("greeting", CONF.greeting, haddr_to_bin("02:00:00:00:00:01").hex(), flush=True)

    @set_ev_cls(ofp_event.EventOFPSwitchFeatures, CONFIG_DISPATCHER)
    def features(self, ev):
        dp = ev.msg.datapath
        print("ports", sorted(port.name.decode() for port in ev.msg.ports.values()), flush=True)
        dp.send_msg(
            dp.ofproto_parser.OFPFlowStatsRequest(
                dp, 0, dp.ofproto_parser.OFPMatch(), 0xFF, dp.ofproto.OFPP_NONE
            )
        )

    @set_ev_cls(ofp_event.EventOFPFlowStatsReply, MAIN_DISPATCHER)
    def flows(self, ev):
        print("flows", [flow.actions[0].port for flow in ev.msg.body], flush=True)

    @set_ev_cls(ofp_event.EventOFPPacketIn, MAIN_DISPATCHER)
    def packet_in(self, ev):
        msg = ev.msg
        dp = msg.datapath
        actions = [dp.ofproto_parser.OFPActionOutput(dp.ofproto.OFPP_FLOOD)]
        dp.send_msg(
            dp.ofproto_parser.OFPPacketOut(
                datapath=dp,
                buffer_id=msg.buffer_id,
                in_port=msg.in_port,
                actions=actions,
                data=msg.data,
            )
        )
