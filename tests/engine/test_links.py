# SPDX-License-Identifier: Apache-2.0
"""Wires that were found become objects; links are reported; what somebody declared stays his."""

import paper
import pytest
from paper import edit

from vneter_sdn.engine.port import Channel, Claimed, LinksDue
from vneter_sdn.graph.topology import Observation
from vneter_sdn.model.snapshot import Key
from vneter_sdn.store.port import Edit
from vneter_sdn.telemetry.links import Edge, LinkSeen, PortSeen
from vneter_sdn.telemetry.survey import End, LinksSeen, PortsSeen, WireFound, WireLost


class World(paper.World):
    def __init__(self):
        super().__init__()
        hosts = [edit("Host", f"s{n}", datapathId=f"{n:016x}", bridge=f"s{n}") for n in (1, 2, 3)]
        self.apply(*hosts)

    def links(self):
        objects = self.store.snapshot().objects
        return {key.name: stored for key, stored in objects.items() if key.kind == "Link"}

    def status(self, name):
        return self.store.snapshot().statuses.get(Key("Link", "", name))


A, B, C = End("s1", "eth1"), End("s2", "eth1"), End("s3", "eth1")
NAME = "s1.eth1-s2.eth1"


def seen(one, other, state="up", **values):
    name = f"{one.host}:{one.port}>{other.host}:{other.port}"
    edge = Edge(name, one.host, other.host, "wire", one.port, other.port)
    up = state in ("up", "unknown")
    return name, LinkSeen(edge, Observation(up=up, **values), state)


def both(one, other, *state):
    return LinksSeen(dict([seen(one, other, *state), seen(other, one, *state)]))


@pytest.fixture
def world():
    return World()


def test_a_wire_that_was_found_becomes_a_link_of_discovery(world):
    world.hear(WireFound(A, B))
    [(name, link)] = world.links().items()
    assert name == NAME
    assert link.annotations == {"vneter.io/origin": "lldp"}
    assert (link.spec.source, link.spec.source_port) == ("s1", "eth1")
    assert (link.spec.target, link.spec.target_port) == ("s2", "eth1")
    assert world.store.revisions()[0].author == "discovery"
    before = world.store.snapshot().revision
    world.hear(WireLost(A, B, "lost"), WireFound(A, B))
    world.fresh()
    world.hear(WireFound(A, B))
    assert world.store.snapshot().revision == before, "known already"


def test_a_lost_one_stays_and_goes_when_its_port_is_wired_elsewhere(world):
    world.hear(WireFound(A, B))
    world.hear(WireLost(A, B, "port"))
    assert set(world.links()) == {NAME}
    world.hear(WireFound(A, C))
    assert set(world.links()) == {"s1.eth1-s3.eth1"}


def test_what_somebody_declared_is_left_alone(world):
    spec = {"medium": "wire", "source": "s2", "sourcePort": "eth1",
            "target": "s1", "targetPort": "eth1", "cost": 9}  # fmt: skip
    world.store.apply([edit("Link", "mine", **spec)], author="ada")
    world.settle()
    world.hear(WireFound(A, B))
    assert set(world.links()) == {"mine"}
    world.hear(WireLost(A, B, "lost"), WireFound(A, C))
    assert set(world.links()) == {"mine"}, "its port is taken; the other wire is not used"
    world.store.apply([Edit("delete", Key("Link", "", "mine"))], author="ada")
    world.settle()
    assert set(world.links()) == {"s1.eth1-s3.eth1"}, "once it is free"


def test_one_wire_that_is_refused_holds_up_no_other(world):
    spec = {"medium": "wire", "source": "s1", "sourcePort": "eth1",
            "target": "s2", "targetPort": "eth9"}  # fmt: skip
    world.store.apply([edit("Link", "mine", **spec)], author="ada")
    world.settle()
    world.hear(WireFound(A, B), WireFound(C, End("s3x", "eth1")), WireFound(End("s2", "eth3"), C))
    assert set(world.links()) == {"mine", "s2.eth3-s3.eth1"}


def test_links_are_reported_when_due_and_only_on_change(world):
    world.hear(both(A, B))
    assert world.status(NAME) is None
    world.hear(LinksDue())
    details = world.status(NAME).details
    assert details["state"] == "up"
    assert details["ports"] == "eth1:eth1"
    assert details["edge"] == "s1:eth1>s2:eth1"
    before = world.store.snapshot()
    world.hear(LinksDue())
    assert world.store.snapshot() is before
    forth, back = seen(A, B, "up", latency=1.5), seen(B, A, "damped", latency=2.5)
    world.hear(LinksSeen(dict([forth, back])), LinksDue())
    details = world.status(NAME).details
    assert (details["state"], details["latencyMs"]) == ("damped", 1.5)
    assert details["back"] == {"latencyMs": 2.5}
    assert {c.type: (c.status, c.reason) for c in world.status(NAME).conditions} == {
        "Ready": ("True", "Accepted"), "Up": ("False", "Damped")}  # fmt: skip
    world.hear(LinksSeen({forth[0]: None, back[0]: None}), LinksDue())
    assert world.status(NAME) is None


def test_that_one_went_down_is_reported_at_once_what_is_measured_is_not(world):
    world.hear(both(A, B), LinksDue())
    world.hear(LinksSeen(dict([seen(A, B, "up", latency=1.5), seen(B, A, "up")])))
    assert "latencyMs" not in world.status(NAME).details
    world.hear(both(A, B, "down"))
    assert world.status(NAME).details["state"] == "down"
    world.hear(both(A, B, "up"))
    assert world.status(NAME).details["state"] == "up"


def test_the_report_of_an_object_says_both(world):
    world.hear(WireFound(A, B), both(A, B), LinksDue())
    status = world.status(NAME)
    assert status.observed_revision == world.links()[NAME].revision
    assert status.details["origin"] == "lldp"
    world.fresh()
    world.settle()
    assert world.status(NAME) == status, "after a restart it stands until something is seen"


def test_paths_follow_what_is_seen(world):
    third = End("s1", "eth3"), End("s3", "eth4")
    for one, other in ((A, B), (End("s2", "eth3"), C), third):
        world.hear(WireFound(one, other))
    named = {"s1": ["eth1", "eth3"], "s2": ["eth1", "eth3"], "s3": ["eth1", "eth4"]}
    for host, names in named.items():
        world.hear(Channel(host, True, "OpenFlow15"))
        ports = {name: PortSeen(n, up=True) for n, name in enumerate(names, 1)}
        world.hear(PortsSeen(host, ports))
    compiler = world.controller._compiler
    with_all = compiler.digest("s1")
    world.hear(both(A, B, "down"))
    assert compiler.digest("s1") != with_all
    world.hear(both(*third, "down"))
    world.hear(both(*third, "up"), both(A, B, "up"))
    assert compiler.digest("s1") == with_all


def test_another_claim_of_a_datapath_id_is_a_condition_of_the_host(world):
    def condition():
        status = world.store.snapshot().statuses[Key("Host", "", "s1")]
        return {c.type: (c.status, c.reason, c.message) for c in status.conditions}

    world.hear(Channel("s1", True, "OpenFlow15"), Claimed("s1", "tcp:192.0.2.9 claims it too"))
    assert condition()["DatapathUnique"] == (
        "False", "DuplicateDatapath", "tcp:192.0.2.9 claims it too")  # fmt: skip
    world.hear(Claimed("s1", ""))
    assert "DatapathUnique" not in condition()
