# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: T201 - as programs for Ryu are written
"""Prints the topology that ryu.topology finds by LLDP, and what changes."""

import json

from ryu.base import app_manager
from ryu.controller.handler import set_ev_cls
from ryu.lib import hub
from ryu.topology import event
from ryu.topology.api import get_link, get_switch


class Links(app_manager.RyuApp):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.thread = hub.spawn(self.look)

    @set_ev_cls(event.EventLinkDelete)
    def lost(self, ev):
        print("lost", ev.link.src.dpid, ev.link.dst.dpid, flush=True)

    def look(self):
        while True:
            hub.sleep(0.5)
            switches = sorted(switch.dp.id for switch in get_switch(self, None))
            links = sorted([link.src.dpid, link.dst.dpid] for link in get_link(self, None))
            print(json.dumps({"switches": switches, "links": links}), flush=True)
