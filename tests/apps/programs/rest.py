# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: RUF012 - as programs for Ryu are written
"""A learning switch with a REST interface, which extends another program, as the Ryu book does."""

import json

from ryu.app.wsgi import ControllerBase, Response, WSGIApplication, route
from ryu.controller import ofp_event
from ryu.controller.handler import CONFIG_DISPATCHER, set_ev_cls
from ryu.lib import dpid as dpid_lib
from switching import Switching


class Rest(Switching):
    _CONTEXTS = {"wsgi": WSGIApplication}

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.switches = {}
        wsgi = kwargs["wsgi"]
        wsgi.register(Tables, {"app": self})
        # The older way, by the mapper itself.
        wsgi.registory["Plain"] = self
        wsgi.mapper.connect(
            "plain", "/plain", controller=Plain, action="all", conditions={"method": ["GET"]}
        )

    @set_ev_cls(ofp_event.EventOFPSwitchFeatures, CONFIG_DISPATCHER)
    def features(self, ev):
        super().features(ev)
        self.switches[ev.msg.datapath.id] = ev.msg.datapath


class Plain(ControllerBase):
    def all(self, req, **kwargs):
        return Response(content_type="text/plain", body=str(sorted(self.data.switches)))


class Tables(ControllerBase):
    def __init__(self, req, link, data, **config):
        super().__init__(req, link, data, **config)
        self.app = data["app"]

    @route(
        "tables", "/tables/{dpid}", methods=["GET"], requirements={"dpid": dpid_lib.DPID_PATTERN}
    )
    def listed(self, req, dpid, **kwargs):
        table = self.app.tables.get(dpid_lib.str_to_dpid(dpid))
        if table is None:
            return Response(status=404)
        return Response(content_type="application/json", text=json.dumps(table))

    @route(
        "tables", "/tables/{dpid}", methods=["PUT"], requirements={"dpid": dpid_lib.DPID_PATTERN}
    )
    def put(self, req, dpid, **kwargs):
        entry = req.json if req.body else {}
        self.app.tables.setdefault(dpid_lib.str_to_dpid(dpid), {})[entry["mac"]] = entry["port"]
        return Response(content_type="application/json", body=json.dumps(entry))

    @route("broken", "/broken")
    def broken(self, req, **kwargs):
        raise RuntimeError("a bug in a program")
