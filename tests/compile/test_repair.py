# SPDX-License-Identifier: Apache-2.0
"""Packets over wires and tunnels, and around what fails, with nobody but the bridges to help."""

from __future__ import annotations

import pytest
from fabric import Fabric, intent_of

from vneter_sdn.compile.network import compile_snapshot
from vneter_sdn.graph.topology import Observation
from vneter_sdn.model.flow import ANY, BridgeState, Flow, GroupAction, Output
from vneter_sdn.pipeline.locator import BLUE, RED, Locator
from vneter_sdn.pipeline.reserved import ALWAYS, TREES, tree_group, use_of
from vneter_sdn.pipeline.tables import table
from vneter_sdn.simulate.bridge import Surroundings, run
from vneter_sdn.simulate.packet import raw

RING = [(1, 2), (2, 3), (3, 4), (4, 5), (5, 1)]
LEAVES = [(leaf, spine) for leaf in (1, 2, 3, 4) for spine in (5, 6)]
MESHED = [(1, 2), (2, 3), (3, 4), (4, 1), (1, 3)]
MIXED = [(1, 2), (2, 3)]
EVERYWHERE = ("h1", "h2", "h3", "h4")

SHAPES = {
    "ring": intent_of(5, RING),
    "leaf-spine": intent_of(6, LEAVES),
    "meshed": intent_of(4, MESHED),
    "tunnels": intent_of(4, tunnels=EVERYWHERE),
    "wires and tunnels": intent_of(4, MIXED, tunnels=EVERYWHERE),
    "parallel wires": intent_of(2, [(1, 2), (1, 2), (1, 2)]),
}
LINE = intent_of(4, [(1, 2), (2, 3), (3, 4)])


def forgetful(fabric):
    fabric.connections = {}
    return fabric


@pytest.mark.parametrize("shape", [*SHAPES, "line"])
def test_everybody_reaches_everybody(shape):
    assert not Fabric.of(SHAPES.get(shape, LINE)).cut_off()


@pytest.mark.parametrize("shape", SHAPES)
def test_every_single_failure_is_repaired_by_the_bridges_alone(shape):
    fabric = Fabric.of(SHAPES[shape])
    for edge in fabric.edges():
        fabric.kill(edge.name)
        assert not forgetful(fabric).cut_off(), edge.name


def test_two_failures_may_lose_packets_and_never_circle():
    fabric = Fabric.of(SHAPES["leaf-spine"])
    edges = [edge.name for edge in fabric.edges()]
    for one in edges[:8]:
        for other in edges:
            fabric.kill(one, other)
            for source, target in ((1, 2), (3, 1), (5, 6)):
                fabric.way(source, target)


def test_where_there_is_no_other_way_there_is_no_group():
    for host in (compiler := Fabric.of(LINE).compiler).hosts():
        assert compiler.bridge(host).groups.keys() == {ALWAYS}


def test_a_bridge_that_nobody_reaches_has_no_flow_elsewhere():
    compiler = Fabric.of(intent_of(3, [(1, 2)])).compiler
    alone = Locator(0, 3, 0).mac
    assert not [
        t for f in compiler.bridge("h1").flows.values() for t in f.match if t.value == alone
    ]


def test_a_group_watches_the_next_edge_and_moves_packets_to_a_repair_tree():
    compiler = Fabric.of(SHAPES["ring"]).compiler
    first, second, last = compiler.bridge("h1").groups[tree_group(0, 2)].buckets
    assert first.actions == (Output(10),)
    assert first.watch_port == 10
    moved, out = second.actions
    assert Locator.of(moved.value).colour in (RED, BLUE)
    assert (out, second.watch_port) == (Output(11), 11)
    assert (last.actions, last.watch_port, last.watch_group) == (first.actions, ANY, ALWAYS)


@pytest.mark.parametrize(("down", "port"), [((), 10), ((10,), 11), ((11,), 10), ((10, 11), 10)])
def test_when_all_ports_seem_dead_packets_go_on_as_if_none_were(down, port):
    held = Fabric.of(SHAPES["ring"]).compiler.bridge("h1")
    flow = Flow(0, 1, (), (GroupAction(tree_group(0, 2)),))
    bridge = BridgeState({flow.key: flow}, held.groups)
    result = run(bridge, raw(1, 2, 0x1234).at(99), Surroundings(live=lambda n: n not in down))
    assert [sent.port for sent in result.outputs] == [port]


def test_repair_trees_are_held_only_where_repaired_packets_pass():
    compiler = Fabric.of(SHAPES["tunnels"]).compiler
    held = [use_of(g) for host in compiler.hosts() for g in compiler.bridge(host).groups]
    assert all(use.first == TREES or use == use_of(ALWAYS) for use in held)
    flows = [f for host in compiler.hosts() for f in compiler.bridge(host).flows.values()]
    colours = [
        Locator.of(t.value).colour for f in flows if f.table == table("transit").id for t in f.match
    ]
    assert 0 < len([c for c in colours if c]) < len([c for c in colours if not c])


def test_what_is_seen_to_be_down_is_not_used_and_comes_back():
    fabric = Fabric.of(SHAPES["ring"])
    before = {host: fabric.compiler.bridge(host) for host in fabric.compiler.hosts()}
    edge = next(e.name for e in fabric.edges() if (e.source, e.target) == ("h1", "h2"))
    fabric.compiler.observe_links({edge: Observation(up=False)})
    fabric.take(fabric.compiler)
    assert fabric.way(1, 2) == ("h1", "h5", "h4", "h3", "h2")
    assert not fabric.cut_off()
    fabric.compiler.observe_links({edge: Observation()})
    assert {h: fabric.compiler.bridge(h) for h in fabric.compiler.hosts()} == before


def test_a_latency_that_changes_changes_nothing_where_cost_counts():
    compiler = Fabric.of(SHAPES["ring"]).compiler
    edge = compiler.links("h1")[0].name
    runs = compiler.runs
    assert compiler.observe_links({edge: Observation(latency=3.0)}) == {}
    assert compiler.runs - runs < 10


def test_a_direct_tunnel_that_is_down_is_relayed_by_a_third_host():
    fabric = Fabric.of(SHAPES["tunnels"])
    assert fabric.way(1, 2) == ("h1", "h2")
    fabric.kill("h1>h2")
    relayed = forgetful(fabric).way(1, 2)
    assert len(relayed) == 3
    fabric.compiler.observe_links({"h1>h2": Observation(up=False)})
    fabric.take(fabric.compiler)
    assert len(fabric.way(1, 2)) == 3


def test_wires_without_a_known_port_are_not_used_until_both_ends_are_known():
    intent = intent_of(2, [(1, 2)], tunnels=("h1", "h2"))
    compiler = compile_snapshot(intent.snapshot())
    assert {p for h in ("h1", "h2") for p in compiler.ports(h).values()} == {32769, 32770}
    compiler.observe_ports("h2", {"other": 1})
    compiler.observe_ports("h1", {"eth10": 7})
    assert 7 in compiler.ports("h1").values()
    assert compiler.bridge("h1").groups.keys() == {ALWAYS}
    compiler.observe_ports("h2", {"eth10": 8})
    assert compiler.bridge("h1").groups.keys() > {ALWAYS}


def test_ports_that_nobody_told_of_yet_are_taken_to_be_there():
    """As after a restart, when one bridge is back before another."""
    intent = intent_of(3, [(1, 2), (2, 3), (3, 1)])
    whole = compile_snapshot(intent.snapshot())
    for number in (1, 2, 3):
        ports = {e.port: int(e.port[3:]) for e in whole.links(f"h{number}")}
        whole.observe_ports(f"h{number}", ports)
    one = compile_snapshot(intent.snapshot())
    one.observe_ports("h1", {e.port: int(e.port[3:]) for e in one.links("h1")})
    assert one.bridge("h1") == whole.bridge("h1")


@pytest.mark.parametrize("shape", ["ring", "tunnels"])
def test_a_forged_locator_goes_nowhere(shape):
    fabric = Fabric.of(SHAPES[shape])
    own = fabric.packet(1, 2)["eth_src"]
    for colour in (0, 1, RED, BLUE):
        for slot in range(20):
            forged = Locator(colour, 2, slot).mac
            found = fabric.send(1, fabric.packet(1, 2).with_(eth_dst=forged))
            assert not found.reached
            assert found.hops == ("h1",)
            assert not fabric.send(1, raw(own, forged, 0x88B5)).reached


def test_discovery_frames_are_punted_from_any_port_but_an_endpoints():
    fabric = Fabric.of(SHAPES["ring"])
    frame = raw(0x0200_0000_0099, 0x0180_C200_000E, 0x88CC)
    bridge = fabric.fleet.bridges["h1"]
    for port in (10, 11, 77):
        ((_, punt),) = run(bridge, frame.at(port)).punts
        assert punt.userdata == b"\x02"
    assert not run(bridge, frame.at(1)).punts
