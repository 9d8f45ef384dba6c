# SPDX-License-Identifier: Apache-2.0

"""Raises for every packet, and now and then computes for ever; and yet its switch goes on."""

from ryu.controller import ofp_event
from ryu.controller.handler import MAIN_DISPATCHER, set_ev_cls
from switching import Switching


class Faulty(Switching):
    count = 0

    @set_ev_cls(ofp_event.EventOFPPacketIn, MAIN_DISPATCHER)
    def packet_in(self, ev):
        super().packet_in(ev)
        self.count += 1
        while self.count == 1:
            pass
        raise ValueError("a bug in a handler")
