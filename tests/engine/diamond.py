# SPDX-License-Identifier: Apache-2.0
"""The whole controller over a diamond of four bridges of paper, joined by wires."""

from __future__ import annotations

from datetime import UTC, datetime

import paper
from paper import edit

from vneter_sdn.engine.paths import READINGS
from vneter_sdn.engine.port import Channel, LinksDue
from vneter_sdn.graph.topology import Observation
from vneter_sdn.model.flow import MeterAction
from vneter_sdn.model.snapshot import Binding, Key
from vneter_sdn.pipeline.reserved import ANSWERS, RATES
from vneter_sdn.telemetry.links import Edge, LinkSeen, PortSeen
from vneter_sdn.telemetry.survey import LinksSeen, PortsSeen

_RATES = range(RATES, ANSWERS)
HOSTS = ("s1", "s2", "s3", "s4")
WIRES = (("s1", "s2"), ("s2", "s4"), ("s1", "s3"), ("s3", "s4"))


def rfc(seconds):
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class World(paper.World):
    """A diamond of wires, the upper way cheaper, an endpoint at both ends."""

    def __init__(self):
        self.now = 1_000_000
        super().__init__()
        self.apply(*(edit("Host", h, datapathId=f"{n:016x}") for n, h in enumerate(HOSTS, 1)))
        self.apply(*(self.wire(*wire) for wire in WIRES))
        self.apply(edit("Tenant", "red"), edit("Network", "web", "red", prefixes=["10.0.0.0/24"]))
        self.apply(*(edit("Endpoint", f"e{n}", "red", network="web") for n in (1, 4)))
        found = [(Key("Endpoint", "red", f"e{n}"), f"s{n}") for n in (1, 4)]
        self.store.bind([Binding(k, h, "v1", 1, n) for n, (k, h) in enumerate(found, 1)])
        self.connect()

    def connect(self):
        """Bridges show their ports, and confirm what they are told."""
        for host in HOSTS:
            peers = [b if a == host else a for a, b in WIRES if host in (a, b)]
            ports = {self.port(p): PortSeen(10 + n, True) for n, p in enumerate(peers)}
            self.hear(PortsSeen(host, ports), Channel(host, True, "OpenFlow15"))
        self.confirm()

    @staticmethod
    def port(peer):
        return f"to-{peer}"

    def wire(self, one, other, **spec):
        cost = {"cost": 3} if "s3" in (one, other) else {}
        ends = {"source": one, "sourcePort": self.port(other)}
        ends |= {"target": other, "targetPort": self.port(one)}
        return edit(
            "Link", f"{one}-{other}", medium="wire", capacityMbps=100, **ends, **cost, **spec
        )

    def clock(self):
        return rfc(self.now)

    def confirm(self):
        """Everybody confirms, wave after wave."""
        for _ in range(20):
            super().confirm()

    def links(self, *wires, busy=False, up=True):
        """What is seen of wires, both ways."""
        found = {}
        for one, other in wires:
            for a, b in ((one, other), (other, one)):
                name = f"{a}:{self.port(b)}>{b}:{self.port(a)}"
                edge = Edge(name, a, b, "wire", self.port(b), self.port(a))
                state = "up" if up else "down"
                found[name] = LinkSeen(edge, Observation(up=up), state, busy=busy)
        self.hear(LinksSeen(found))

    def report_links(self, times=READINGS):
        for _ in range(times):
            self.hear(LinksDue())

    def status(self, key):
        return self.store.snapshot().statuses[key]

    def condition(self, key, kind):
        found = {c.type: c for c in self.status(key).conditions}
        return (found[kind].status, found[kind].reason) if kind in found else None

    def message(self, key, kind):
        return next(c.message for c in self.status(key).conditions if c.type == kind)

    def metered(self, host):
        """Flows that reservations limit."""
        flows = self.southbound.flows[host].state.flows.values()
        return [
            flow
            for flow in flows
            if any(isinstance(one, MeterAction) and one.meter in _RATES for one in flow.actions)
        ]
