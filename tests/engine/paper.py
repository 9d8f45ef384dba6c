# SPDX-License-Identifier: Apache-2.0
"""The whole controller over a store in memory, and hosts of paper."""

from vneter_sdn.compile.network import Compiler
from vneter_sdn.engine.controller import Controller
from vneter_sdn.engine.port import Confirmed, Stored
from vneter_sdn.model.snapshot import Delta, Key
from vneter_sdn.store.memory import MemoryStore
from vneter_sdn.store.port import Edit


class Southbound:
    """Writes down what it is told."""

    def __init__(self):
        self.managed, self.flows, self.rows, self.told = {}, {}, {}, []

    def manage(self, host, spec, dpid):
        self.managed[host] = (spec, dpid)

    def release(self, host):
        del self.managed[host]

    def desire_rows(self, host, rows):
        self.rows[host] = rows

    def desire_flows(self, host, desired):
        self.flows[host] = desired
        self.told.append((host, desired.changed))


class World:
    """A store, a controller, and hosts that answer."""

    def __init__(self):
        self.store, self.southbound = MemoryStore(), Southbound()
        self.fresh()

    @staticmethod
    def clock():
        return "now"

    def fresh(self):
        """A new controller; of what was, it has the store."""
        self.known = None
        self.controller = Controller(self.store, self.southbound, Compiler(), self.clock)

    def apply(self, *edits):
        self.store.apply(edits, author="test")
        self.settle()

    def settle(self):
        """Tell the controller of the store until nothing moves any more."""
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

    def confirm(self, *hosts):
        """These hosts, or all, confirm what they were told."""
        told = self.southbound.flows
        self.hear(*(Confirmed(host, told[host].epoch) for host in hosts or told))

    def roll(self):
        """Confirm wave after wave until every bridge was told everything."""
        while self.controller.rolling:
            self.confirm()


def edit(kind, name, within="", /, annotations=None, **spec):
    metadata = {"name": name} | ({"tenant": within} if within else {})
    metadata |= {"annotations": annotations} if annotations else {}
    manifest = {"apiVersion": "vneter.io/v1", "kind": kind, "metadata": metadata, "spec": spec}
    return Edit("apply", Key(kind, within, name), manifest)
