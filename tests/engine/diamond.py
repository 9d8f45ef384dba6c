# SPDX-License-Identifier: Apache-2.0
"""The whole controller over a diamond of four bridges of paper, joined by wires."""

from __future__ import annotations

from datetime import UTC, datetime

from vneter_sdn.compile.network import Compiler
from vneter_sdn.engine.controller import Controller
from vneter_sdn.engine.paths import READINGS
from vneter_sdn.engine.port import Channel, Confirmed, LinksDue, Stored
from vneter_sdn.graph.topology import Observation
from vneter_sdn.model.flow import MeterAction
from vneter_sdn.model.snapshot import Binding, Delta, Key
from vneter_sdn.pipeline.tables import table
from vneter_sdn.store.memory import MemoryStore
from vneter_sdn.store.port import Edit
from vneter_sdn.telemetry.links import Edge, LinkSeen, PortSeen
from vneter_sdn.telemetry.survey import LinksSeen, PortsSeen

HOSTS = ("s1", "s2", "s3", "s4")
WIRES = (("s1", "s2"), ("s2", "s4"), ("s1", "s3"), ("s3", "s4"))


class Southbound:
    """Takes everything."""

    def __init__(self):
        self.flows = {}

    def manage(self, host, spec, dpid): ...
    def release(self, host): ...
    def desire_rows(self, host, rows): ...
    def desire_flows(self, host, desired):
        self.flows[host] = desired


def edit(kind, name, within="", **spec):
    metadata = {"name": name} | ({"tenant": within} if within else {})
    manifest = {"apiVersion": "vneter.io/v1", "kind": kind, "metadata": metadata, "spec": spec}
    return Edit("apply", Key(kind, within, name), manifest)


def rfc(seconds):
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class World:
    """A diamond of wires, the upper way cheaper, an endpoint at both ends."""

    def __init__(self):
        self.store, self.southbound, self.now = MemoryStore(), Southbound(), 1_000_000
        self.fresh()
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

    def fresh(self):
        self.known = None
        clock = lambda: rfc(self.now)  # noqa: E731
        self.controller = Controller(self.store, self.southbound, Compiler(), clock)

    def apply(self, *edits):
        self.store.apply(edits, author="test")
        self.settle()

    def settle(self):
        for _ in range(100):
            if self.known is None:
                self.known = self.store.snapshot()
                self.controller.handle([Stored(self.known, Delta())])
            changed = self.store.wait(self.known, 0)
            if changed is None:
                return
            self.known, delta = changed
            self.controller.handle([Stored(self.known, delta)])
        raise AssertionError("it never settles")

    def hear(self, *events):
        self.controller.handle(list(events))
        self.settle()

    def confirm(self):
        for _ in range(20):
            told = {h: d.epoch for h, d in self.southbound.flows.items()}
            self.hear(*(Confirmed(host, epoch) for host, epoch in told.items()))

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
        held = self.southbound.flows[host].state.flows.values()
        flows = [flow for flow in held if flow.table == table("steer").id]
        return [f for f in flows if any(isinstance(a, MeterAction) for a in f.actions)]
