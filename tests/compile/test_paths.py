# SPDX-License-Identifier: Apache-2.0
"""Policies on packets: shares, pinning, the way back, and what no packet may do."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from fabric import ACK, NETWORK, SYN, Fabric, intent_of

from vneter_sdn.compile.network import compile_alone
from vneter_sdn.graph.colours import assign
from vneter_sdn.graph.route import hosts, parse, text
from vneter_sdn.graph.topology import Observation
from vneter_sdn.model.colours import coloured
from vneter_sdn.model.path_kinds import PathConstraints
from vneter_sdn.model.snapshot import Key, Pools
from vneter_sdn.pipeline.cookies import Cookie, object_bits
from vneter_sdn.pipeline.locator import FIRST, Locator
from vneter_sdn.pipeline.reserved import share_group, tree_group
from vneter_sdn.pipeline.tables import table

DIAMOND = [(1, 2), (2, 4), (1, 3), (3, 4)]
UPPER, LOWER = ("h1", "h2", "h4"), ("h1", "h3", "h4")
SYN_ACK = SYN | ACK
TWO = {"paths": 2, "objective": "hops", "sharing": "equal"}


def diamond(**policy):
    intent = intent_of(4, DIAMOND)
    intent.policy("spread", 5, tenants=("red",), **(TWO | policy))
    return intent


def edges(fabric, *passed):
    """Names of the edges along some hosts."""
    found = {(e.source, e.target): e.name for e in fabric.edges()}
    return [found[pair] for pair in pairwise(passed)]


def choices(fabric, number=5, source="h1", bridge=4):
    """Some of the hash values that the group of a policy deals out, evenly."""
    group = fabric.compiler.bridge(source).groups[share_group(number, bridge)]
    return range(0, sum(bucket.weight for bucket in group.buckets), 16)


def test_new_connections_are_spread_and_each_keeps_its_path():
    fabric = Fabric.of(diamond())
    total = choices(fabric)
    ways = {n: fabric.way(1, 4, 1000 + n, choice=n) for n in total}
    assert set(ways.values()) == {UPPER, LOWER}
    for n, way in ways.items():
        assert fabric.way(1, 4, 1000 + n, flags=ACK, choice=n + 128) == way


def test_replies_return_by_the_path_of_the_connection():
    fabric = Fabric.of(diamond())
    for n in choices(fabric):
        way = fabric.way(1, 4, 1000 + n, choice=n)
        for choice in (0, 255):
            back = fabric.way(4, 1, 80, 1000 + n, flags=SYN_ACK, choice=choice)
            assert back == way[::-1]


def test_whoever_answers_can_begin_as_well():
    fabric = Fabric.of(diamond())
    ways = {fabric.way(4, 1, 2000 + n, choice=n) for n in choices(fabric, 5, "h4", 1)}
    assert ways == {UPPER[::-1], LOWER[::-1]}


def test_weights_are_those_of_the_selection():
    intent = diamond(sharing="unequal", objective="cost")
    for name in ("h1-11-h3-10", "h3-11-h4-11"):
        key = Key("Link", "", name)
        intent.put(key, replace_spec(intent.objects[key].spec, cost=3))
    fabric = Fabric.of(intent)
    taken = [fabric.way(1, 4, 1000 + n, choice=n) for n in choices(fabric)]
    assert taken.count(UPPER) == 3 * taken.count(LOWER) > 0


def replace_spec(spec, **changes):
    return type(spec)(**{f: getattr(spec, f) for f in spec.__struct_fields__} | changes)


def colours_of(compiler):
    """What a store would keep."""
    given = assign({}, compiler.wanted_paths())
    return {(Pools.PATH, text(r)): coloured(text(r), c) for r, c in given.items()}


def test_reweighting_moves_no_connection():
    intent = diamond()
    fabric = Fabric.of(intent)
    intent.allocations |= colours_of(fabric.compiler)
    ways = {n: fabric.way(1, 4, 1000 + n, choice=n) for n in choices(fabric)}
    for n in ways:
        fabric.way(4, 1, 80, 1000 + n, flags=SYN_ACK)
    intent.policy("spread", 5, tenants=("red",), **TWO | {"paths": 1})
    fabric.take(compile_alone(intent.snapshot()))
    assert len(choices(fabric)) == 1
    for n, way in ways.items():
        assert fabric.way(1, 4, 1000 + n, flags=ACK) == way
        assert fabric.way(4, 1, 80, 1000 + n, flags=ACK) == way[::-1]


def test_a_path_at_rest_carries_what_is_pinned_to_it_and_nothing_new():
    intent = diamond()
    fabric = Fabric.of(intent)
    intent.allocations |= colours_of(fabric.compiler)
    assert fabric.way(1, 4, choice=0) != fabric.way(1, 4, 1001, choice=255)
    intent.policy("spread", 5, tenants=("red",), **TWO | {"paths": 1})
    (kept,) = {
        r for r in compile_alone(intent.snapshot()).wanted_paths() if passes(r, UPPER, LOWER)
    }
    (resting,) = {p for p in paths_of(intent) if passes(p, UPPER, LOWER)} - {kept}
    place = (Pools.PATH, text(resting))
    intent.allocations[place] = replace(intent.allocations[place], released=1.0)
    fabric.take(compile_alone(intent.snapshot()))
    new = hosts(kept)
    assert {fabric.way(1, 4, 3000 + n, choice=n) for n in (0, 255)} == {new}
    pinned = {fabric.way(1, 4, flags=ACK), fabric.way(1, 4, 1001, flags=ACK)}
    assert pinned == {UPPER, LOWER}
    del intent.allocations[place]
    fabric.take(compile_alone(intent.snapshot()))
    assert {fabric.way(1, 4, flags=ACK), fabric.way(1, 4, 1001, flags=ACK)} == {new}


def passes(route, *ways):
    return hosts(route) in ways


def paths_of(intent):
    return [parse(value) for pool, value in intent.allocations if pool == Pools.PATH]


def test_a_connection_whose_path_died_is_given_another_and_stays_there():
    intent = diamond()
    fabric = Fabric.of(intent)
    first = fabric.way(1, 4)
    fabric.way(4, 1, 80, 1000, flags=SYN_ACK)
    down = edges(fabric, *first)[0]
    fabric.kill(down)
    assert fabric.way(1, 4, flags=ACK)[-1] == "h4", "the bridges alone"
    fabric.compiler.observe_links({down: Observation(up=False)})
    fabric.take(fabric.compiler)
    second = fabric.way(1, 4, flags=ACK)
    assert second not in ((), first)
    assert fabric.way(4, 1, 80, 1000, flags=ACK) == second[::-1]
    fabric.kill()
    fabric.compiler.observe_links({down: Observation()})
    fabric.take(fabric.compiler)
    assert fabric.way(1, 4, flags=ACK) == second
    assert fabric.way(4, 1, 80, 1000, flags=ACK) == second[::-1]


def test_every_single_failure_is_repaired_on_every_path():
    fabric = Fabric.of(diamond())
    for edge in fabric.edges():
        fabric.kill(edge.name)
        for choice in choices(fabric):
            fabric.connections = {}
            assert fabric.way(1, 4, choice=choice)
            assert fabric.way(4, 1, 80, 1000, flags=SYN_ACK, choice=choice)


def secret(wires, **constraints):
    """A policy that wants encryption; some wires have it."""
    intent = intent_of(4, DIAMOND)
    for name in wires:
        key = Key("Link", "", name)
        intent.put(key, replace_spec(intent.objects[key].spec, encrypted=True))
    limits = PathConstraints(encrypted=True, **constraints)
    intent.policy("secret", 6, tenants=("red",), objective="hops", constraints=limits)
    return intent


def test_a_repair_never_uses_what_the_policy_forbids():
    fabric = Fabric.of(secret(["h1-10-h2-10", "h2-11-h4-10"]))
    assert fabric.way(1, 4) == UPPER
    assert "h3" not in fabric.way(1, 4, 1001)
    for down in edges(fabric, *UPPER):
        fabric.kill(down)
        for flags in (SYN, ACK):
            assert fabric.way(1, 4, flags=flags) == ()


def test_a_policy_that_nothing_satisfies_has_its_packets_dropped_and_counted():
    fabric = Fabric.of(secret(["h1-10-h2-10"]))
    assert fabric.way(1, 2) == ("h1", "h2")
    found = fabric.send(1, fabric.packet(1, 4))
    assert not found.reached
    assert found.hops == ("h1",)
    chosen = fabric.compiler.chosen_paths(Key("PathPolicy", "", "secret"), "h1", "h4")
    assert chosen.routes == ()
    assert chosen.refusal
    (drop,) = [
        flow
        for flow in fabric.compiler.bridge("h1").flows.values()
        if flow.table == table("path").id
        and not flow.actions
        and flow.goto is None
        and any(Locator.of(t.value).bridge == 4 for t in flow.match if t.field == "eth_dst")
    ]
    assert Cookie.of(drop.cookie).object == object_bits(Key("PathPolicy", "", "secret"))


def test_a_connection_does_not_stay_on_a_path_that_its_policy_came_to_forbid():
    intent = diamond()
    fabric = Fabric.of(intent)
    intent.allocations |= colours_of(fabric.compiler)
    fabric.way(1, 4, choice=0)
    fabric.way(1, 4, 1001, choice=255)
    for name in ("h1-11-h3-10", "h3-11-h4-11"):
        key = Key("Link", "", name)
        intent.put(key, replace_spec(intent.objects[key].spec, encrypted=True))
    wants = PathConstraints(encrypted=True)
    intent.policy("spread", 5, tenants=("red",), **TWO, constraints=wants)
    fabric.take(compile_alone(intent.snapshot()))
    assert fabric.way(1, 4, flags=ACK) == LOWER
    assert fabric.way(1, 4, 1001, flags=ACK) == LOWER


def test_without_a_policy_nothing_is_tracked():
    fabric = Fabric.of(intent_of(4, DIAMOND))
    fabric.cut_off()
    assert not any(held.held for held in fabric.connections.values())


def test_a_policy_for_ports_is_about_these_alone_both_ways():
    fabric = Fabric.of(diamond(ports=("tcp/80", "tcp/8000-8003")))
    for port, about in ((80, True), (8002, True), (8004, False), (22, False)):
        fabric.connections = {}
        assert fabric.way(1, 4, 1000, port, choice=255) == (LOWER if about else UPPER)
        assert bool(fabric.connections["h1"].held) == about
        assert fabric.way(4, 1, port, 1000, flags=SYN_ACK) == (LOWER if about else UPPER)[::-1]


def test_a_policy_for_endpoints_is_about_these_alone_both_ways():
    intent = intent_of(4, DIAMOND)
    for number, role in ((1, "client"), (4, "server")):
        key = Key("Endpoint", "red", f"e{number}")
        intent.put(key, intent.objects[key].spec, {"role": role})
    labels = {"source_labels": {"role": "client"}, "target_labels": {"role": "server"}}
    intent.policy("pair", 7, **TWO, **labels)
    fabric = Fabric.of(intent)
    for one, other, about in ((1, 4, True), (4, 1, True), (1, 2, False), (3, 4, False)):
        fabric.connections = {}
        assert fabric.way(one, other)
        assert bool(fabric.connections[f"h{one}"].held) == about


def test_the_policy_of_the_highest_priority_wins():
    intent = diamond(paths=1)
    intent.policy("web", 9, priority=3, networks=("red/web",), **TWO)
    intent.policy("last", 8, priority=1, **TWO | {"paths": 1})
    fabric = Fabric.of(intent)
    assert {fabric.way(1, 4, 1000 + n, choice=n) for n in choices(fabric, 9)} == {
        UPPER,
        LOWER,
    }


def test_groups_depend_on_nothing_but_what_they_are_for():
    compiler = Fabric.of(diamond()).compiler
    assert share_group(5, 4) in compiler.bridge("h1").groups
    assert tree_group(FIRST, 4) in compiler.bridge("h1").groups
    assert tree_group(63, 0x7FFF) < share_group(0, 0)


def test_other_tenants_are_not_led_by_it_and_see_nothing():
    intent = diamond()
    intent.tenant("blue", 7 + (1 << 16))
    intent.network("blue", "web", 6000, "10.1.0.0/24")
    for number in range(1, 5):
        address = f"10.1.0.{number + 1}"
        intent.endpoint("blue", f"e{number}", "web", address, host=f"h{number}", port=2)
    fabric = Fabric.of(intent)
    assert not fabric.cut_off()
    packet = fabric.packet(1, 4)
    found = fabric.send(1, packet.at(1))
    assert [(a.host, a.port) for a in found.reached] == [("h4", 1)]
    assert NETWORK.tenant == "red"


@pytest.mark.parametrize("colour", [0, 1, 2, 62, 63])
def test_a_forged_colour_goes_nowhere(colour):
    fabric = Fabric.of(diamond())
    for slot in range(12):
        forged = fabric.packet(1, 4).with_(eth_dst=Locator(colour, 4, slot).mac)
        assert fabric.send(1, forged).hops == ("h1",)


def test_a_path_over_a_host_that_is_gone_is_dead_and_claims_nothing():
    intent = diamond(paths=1)
    intent.path(7, "h1:eth77>h9:eth1", "h9:eth2>h4:eth78")
    intent.path(8, "h1:eth10>h2:eth10", "h2:eth99>h4:eth98")
    fabric = Fabric.of(intent)
    assert fabric.compiler.hosts() == ("h1", "h2", "h3", "h4")
    assert fabric.way(1, 4)
    assert not fabric.cut_off()


def test_several_tunnels_of_a_pair_are_several_paths():
    intent = intent_of(2)
    for number in (1, 2):
        addresses = tuple(f"192.0.{nic}.{number}" for nic in (2, 3))
        intent.host(f"h{number}", number, tunnel_addresses=addresses)
    intent.policy("both", 4, **TWO)
    fabric = Fabric.of(intent)
    names = [edge.name for edge in fabric.compiler.links("h1")]
    assert names == ["h1#1>h2#1", "h1>h2"]
    weights = choices(fabric, 4, "h1", 2)
    assert len(weights) == 16
    for name in names:
        fabric.kill(name)
        for n in weights:
            assert fabric.way(1, 2, 1000 + n, choice=n) == ("h1", "h2")


def test_a_repair_is_no_path_that_replies_are_to_take():
    fabric = Fabric.of(diamond())
    fabric.kill(edges(fabric, "h1", "h2")[0])
    assert fabric.way(1, 4, choice=0) == LOWER
    assert fabric.connections["h1"].held
    assert not fabric.connections["h4"].held
    assert fabric.way(4, 1, 80, 1000, flags=SYN_ACK)
