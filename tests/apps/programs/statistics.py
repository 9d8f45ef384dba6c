# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: T201 - as programs for Ryu are written
"""Polls flow and port statistics of all switches, as the traffic monitor of the Ryu book does.

Its name is that of a module of Python's, and it sleeps by `time.sleep` in a green thread: both were
always possible.
"""

import time

from ryu.controller import ofp_event
from ryu.controller.handler import DEAD_DISPATCHER, MAIN_DISPATCHER, set_ev_cls
from ryu.lib import hub
from switching import Switching


class Monitor(Switching):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.datapaths = {}
        self.monitor_thread = hub.spawn(self._monitor)

    @set_ev_cls(ofp_event.EventOFPStateChange, [MAIN_DISPATCHER, DEAD_DISPATCHER])
    def changed(self, ev):
        if ev.state == MAIN_DISPATCHER:
            self.datapaths[ev.datapath.id] = ev.datapath
            if ev.datapath.id == 1:
                ev.datapath.send_msg(
                    ev.datapath.ofproto_parser.OFPTableFeaturesStatsRequest(ev.datapath)
                )
        elif ev.datapath.id in self.datapaths:
            del self.datapaths[ev.datapath.id]
            print("gone", ev.datapath.id, flush=True)

    def _monitor(self):
        while True:
            for dp in list(self.datapaths.values()):
                ofproto, parser = dp.ofproto, dp.ofproto_parser
                dp.send_msg(parser.OFPFlowStatsRequest(dp))
                dp.send_msg(parser.OFPPortStatsRequest(dp, 0, ofproto.OFPP_ANY))
                dp.send_msg(parser.OFPDescStatsRequest(dp))
                dp.send_msg(parser.OFPBarrierRequest(dp))
            time.sleep(0.3)

    @set_ev_cls(ofp_event.EventOFPFlowStatsReply, MAIN_DISPATCHER)
    def flows(self, ev):
        for stat in ev.msg.body:
            if stat.priority == 1:
                port = stat.instructions[0].actions[0].port
                print("flow", ev.msg.datapath.id, stat.match["eth_dst"], port, flush=True)

    @set_ev_cls(ofp_event.EventOFPPortStatsReply, MAIN_DISPATCHER)
    def ports(self, ev):
        received = sum(stat.rx_packets for stat in ev.msg.body)
        print("ports", ev.msg.datapath.id, len(ev.msg.body), received, flush=True)

    @set_ev_cls(ofp_event.EventOFPDescStatsReply, MAIN_DISPATCHER)
    def description(self, ev):
        print("description", ev.msg.body.hw_desc.decode(), flush=True)

    @set_ev_cls(ofp_event.EventOFPTableFeaturesStatsReply, MAIN_DISPATCHER)
    def capabilities(self, ev):
        print("tables", len(ev.msg.body), flush=True)
