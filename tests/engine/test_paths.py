# SPDX-License-Identifier: Apache-2.0
"""Policies, reservations and draining through the whole controller, on bridges of paper."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from vneter_sdn.compile.network import Compiler
from vneter_sdn.engine.controller import Controller
from vneter_sdn.engine.paths import READINGS
from vneter_sdn.engine.port import Channel, Confirmed, LinksDue, Stored
from vneter_sdn.graph.topology import Observation
from vneter_sdn.model.flow import MeterAction
from vneter_sdn.model.snapshot import Binding, Delta, Key
from vneter_sdn.store.memory import MemoryStore
from vneter_sdn.store.port import Edit
from vneter_sdn.telemetry.links import Edge, LinkSeen, PortSeen
from vneter_sdn.telemetry.survey import LinksSeen, PortsSeen

HOSTS = ("s1", "s2", "s3", "s4")
WIRES = (("s1", "s2"), ("s2", "s4"), ("s1", "s3"), ("s3", "s4"))
POLICY, HOLD = Key("PathPolicy", "", "p"), Key("Reservation", "", "hold")


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
        flows = self.southbound.flows[host].state.flows.values()
        return [f for f in flows if any(isinstance(a, MeterAction) for a in f.actions)]


@pytest.fixture
def world():
    return World()


def test_a_policy_tells_its_paths_weights_and_colours(world):
    world.apply(edit("PathPolicy", "p", tenants=["red"], paths=2, sharing="unequal"))
    assert world.condition(POLICY, "Satisfied") == ("True", "Satisfied")
    found = world.status(POLICY).details
    routes = found["paths"]["s1>s4"]["routes"]
    assert [one["weight"] for one in routes] == [3, 1]
    assert {one["colour"] for one in routes} == set(found["colours"])
    assert (found["pairs"], found["unsatisfied"], found["dropped"]) == (2, 0, 0)


def test_a_policy_that_nothing_satisfies_names_what_blocks_and_what_would_do(world):
    world.apply(edit("PathPolicy", "p", tenants=["red"], constraints={"maxHops": 1}))
    assert world.condition(POLICY, "Satisfied") == ("False", "NoPath")
    message = world.message(POLICY, "Satisfied")
    assert "maxHops" in message
    assert "maxHops 2 would do" in message
    assert world.status(POLICY).details["dropped"] == 2


def test_a_link_that_goes_changes_what_a_policy_says(world):
    world.apply(edit("PathPolicy", "p", tenants=["red"]))
    world.apply(world.wire("s1", "s2", disabled=True), world.wire("s3", "s4", disabled=True))
    assert world.condition(POLICY, "Satisfied") == ("False", "NoPath")
    assert "disabled" in world.message(POLICY, "Satisfied")
    assert world.status(POLICY).details["dropped"] == 0
    world.links(("s1", "s3"), up=False)
    world.apply(world.wire("s1", "s2"))
    assert world.condition(POLICY, "Satisfied") == ("True", "Satisfied")


def hold(name="hold", **spec):
    ends = {"tenant": "red", "source": "e1", "target": "e4", "rateMbps": 60}
    return edit("Reservation", name, **(ends | spec))


def test_a_reservation_is_admitted_and_metered(world):
    world.apply(hold())
    assert world.condition(HOLD, "Admitted") == ("True", "Admitted")
    assert world.condition(HOLD, "Active") == ("True", "Within")
    world.confirm()
    assert world.metered("s1")
    assert world.metered("s4")
    assert not world.metered("s2")


def test_who_comes_later_is_told_which_edge_is_full(world):
    world.apply(hold("first"), hold("second"))
    world.apply(hold())
    assert world.condition(HOLD, "Admitted") == ("False", "Full")
    assert "has 40 of 100 Mbit/s left, 60 are needed" in world.message(HOLD, "Admitted")
    world.store.apply([Edit("delete", Key("Reservation", "", "first"))], author="test")
    world.settle()
    assert world.condition(HOLD, "Admitted") == ("True", "Admitted")
    assert world.condition(Key("Reservation", "", "second"), "Admitted")[0] == "True"


def test_windows_open_and_close_with_the_clock(world):
    world.apply(hold(start=rfc(world.now + 100), end=rfc(world.now + 200)))
    assert world.condition(HOLD, "Active") == ("False", "NotYet")
    assert not world.controller.rolling or world.southbound.flows
    for later, state in ((150, ("True", "Within")), (250, ("False", "Over"))):
        world.now = 1_000_000 + later
        assert world.controller.rolling
        world.hear()
        world.confirm()
        assert world.condition(HOLD, "Active") == state
        assert bool(world.metered("s1")) == (state[0] == "True")
        assert not world.controller.rolling


def test_a_promise_that_a_failure_breaks_is_degraded_and_kept_again_afterwards(world):
    world.apply(hold("first"), hold())
    before = world.status(HOLD).details["routes"]
    others = world.status(Key("Reservation", "", "first")).details["routes"]
    lower = ("s1", "s3") if "s3" in before[0]["route"] else ("s1", "s2")
    world.links(lower, up=False)
    assert world.condition(HOLD, "Admitted") == ("False", "Degraded")
    world.links(("s2", "s4"))
    assert world.condition(HOLD, "Admitted") == ("False", "Degraded")
    world.links(lower)
    assert world.condition(HOLD, "Admitted") == ("True", "Admitted")
    assert world.status(HOLD).details["routes"] == before
    assert world.status(Key("Reservation", "", "first")).details["routes"] == others


def test_a_restart_moves_no_reservation(world):
    world.apply(hold("first"))
    world.apply(hold())
    world.store.apply([Edit("delete", Key("Reservation", "", "first"))], author="test")
    world.settle()
    before = world.status(HOLD).details["routes"]
    world.fresh()
    world.settle()
    assert world.status(HOLD).details["routes"] == before


LINK = Key("Link", "", "s1-s2")


def test_a_link_is_drained_once_model_bridges_and_counters_agree(world):
    world.links(*WIRES, busy=True)
    world.report_links()
    assert world.condition(LINK, "Drained") is None
    world.apply(world.wire("s1", "s2", drained=True))
    assert world.condition(LINK, "Drained") == ("False", "Programming")
    world.confirm()
    assert world.condition(LINK, "Drained") == ("False", "Counting")
    world.report_links()
    assert world.condition(LINK, "Drained") == ("False", "StillPassing")
    world.links(*WIRES, busy=False)
    assert world.condition(LINK, "Drained") == ("True", "Empty")
    world.apply(world.wire("s1", "s2"))
    assert world.condition(LINK, "Drained") is None


def test_readings_from_before_it_was_empty_do_not_count(world):
    world.links(*WIRES, busy=False)
    world.report_links()
    world.apply(world.wire("s1", "s2", drained=True))
    world.confirm()
    world.report_links(READINGS - 1)
    assert world.condition(LINK, "Drained") == ("False", "Counting")
    world.report_links(1)
    assert world.condition(LINK, "Drained") == ("True", "Empty")


def test_who_has_no_other_way_is_named(world):
    world.links(*WIRES)
    world.apply(world.wire("s1", "s3", drained=True), world.wire("s1", "s2", drained=True))
    world.confirm()
    assert world.condition(LINK, "Drained") == ("False", "OnlyWay")
    assert "s1 to s2" in world.message(LINK, "Drained")


def test_a_path_at_rest_still_uses_a_link(world):
    world.links(*WIRES)
    world.apply(edit("PathPolicy", "p", tenants=["red"], paths=1))
    world.apply(world.wire("s1", "s2", drained=True))
    world.confirm()
    assert world.condition(LINK, "Drained") == ("False", "InUse")


def test_a_bridge_is_drained_when_nobody_passes_and_nobody_is_there(world):
    world.links(*WIRES)
    world.report_links()
    for host, found in (("s2", ("True", "Empty")), ("s4", ("False", "EndpointsHere"))):
        number = HOSTS.index(host) + 1
        world.apply(edit("Host", host, datapathId=f"{number:016x}", drained=True))
        world.confirm()
        world.report_links()
        assert world.condition(Key("Host", "", host), "Drained") == found
