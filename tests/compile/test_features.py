# SPDX-License-Identifier: Apache-2.0
"""What is where: presence, blocks, moves, and mistakes."""

from __future__ import annotations

import pytest
from intent import Intent

from vneter_sdn.compile.bridges import Bridges, Unit, digest
from vneter_sdn.compile.features import BY_ID, FEATURES
from vneter_sdn.compile.features.unit import Part
from vneter_sdn.compile.network import compile_snapshot
from vneter_sdn.errors import PipelineError
from vneter_sdn.model.flow import Flow, FlowKey, Output
from vneter_sdn.model.snapshot import Binding, Key
from vneter_sdn.pipeline.cookies import Cookie, object_bits
from vneter_sdn.pipeline.reserved import tree_group
from vneter_sdn.pipeline.text import flow_text

BLOCKS = [("10.1.0.0/26", "h1"), ("10.1.0.64/26", "h2"), ("10.1.0.192/26", "-")]
A, B = Key("Endpoint", "red", "a"), Key("Endpoint", "red", "b")


@pytest.fixture
def intent():
    intent = Intent()
    for bridge in (1, 2, 3):
        intent.host(f"h{bridge}", bridge)
    intent.tenant("red", 7)
    intent.network("red", "web", 5000, "10.1.0.0/24", blocks=BLOCKS)
    intent.endpoint("red", "a", "web", "10.1.0.2", host="h1", port=1)
    intent.endpoint("red", "b", "web", "10.1.0.66", host="h2", port=1)
    return intent


def compiled(intent):
    return compile_snapshot(intent.snapshot())


def texts(compiler, host, table="", key=None):
    flows = compiler.bridge(host).flows.values()
    return [
        text
        for flow in flows
        if f"table={table}" in (text := flow_text(flow, named=True))
        and (key is None or Cookie.of(flow.cookie).object == object_bits(key))
    ]


def test_a_bridge_without_the_tenant_knows_nothing_of_it(intent):
    found = texts(compiled(intent), "h3")
    assert not [text for text in found if "reg1=" in text or "reg2=" in text]
    assert [text for text in found if "table=transit" in text and text.endswith("group:1979711489")]
    towards = compiled(intent).bridge("h3").groups[tree_group(0, 1)]
    assert towards.buckets[0].actions == (Output(32769),)


def test_a_remote_block_is_one_route(intent):
    before = len(texts(compiled(intent), "h1", "route"))
    for number in range(67, 90):
        intent.endpoint("red", f"b{number}", "web", f"10.1.0.{number}", host="h2", port=number)
    assert len(texts(compiled(intent), "h1", "route")) == before


def test_an_endpoint_that_moved_has_a_route_of_its_own_everywhere(intent):
    intent.bindings[B] = Binding(B, "h1", "x", 9, 9)
    compiler = compiled(intent)
    (route,) = texts(compiler, "h1", "route", B)
    assert "nw_dst=10.1.0.66 " in route
    assert "goto_table:deliver" in route
    assert not texts(compiler, "h2", "", B)
    assert texts(compiler, "h1", "switch", B)[0].endswith("goto_table:ingress")


def test_an_endpoint_of_no_block_is_routed_to_where_it_is(intent):
    intent.endpoint("red", "c", "web", "10.1.0.200", host="h2", port=3)
    compiler = compiled(intent)
    (away,) = texts(compiler, "h1", "route", Key("Endpoint", "red", "c"))
    (here,) = texts(compiler, "h2", "route", Key("Endpoint", "red", "c"))
    assert away.endswith("goto_table:steer")
    assert here.endswith("goto_table:deliver")


def test_an_unbound_endpoint_is_nowhere(intent):
    del intent.bindings[B]
    compiler = compiled(intent)
    assert not [host for host in compiler.hosts() if texts(compiler, host, "", B)]
    assert compiler.holders(B) == frozenset()


def test_a_binding_to_an_unknown_host_counts_for_nothing(intent):
    intent.bindings[B] = Binding(B, "gone", "x", 9, 9)
    assert compiled(intent).holders(B) == frozenset()


def test_holders_are_where_the_tenant_is(intent):
    compiler = compiled(intent)
    assert compiler.holders(A) == {"h1", "h2"}
    assert compiler.bound_on("h2") == {B}
    assert compiler.bound_on("h3") == frozenset()


def test_a_port_used_again_speaks_for_its_newest_endpoint(intent):
    intent.bindings[B] = Binding(B, "h1", "x", 1, 99)
    compiler = compiled(intent)
    assert compiler.clashes == ()
    assert texts(compiler, "h1", "classify", B)
    assert not texts(compiler, "h1", "", A)
    assert compiler.holders(A) == frozenset()


def claim(unit, *numbers):
    flows = tuple(Flow(0, number, (), (), None, len(unit)) for number in numbers)
    return Unit(unit, A), ((), (Part(frozenset(["h1"]), flows),))


def test_two_units_that_claim_one_flow_are_named_and_the_first_has_it():
    bridges = Bridges()
    bridges.apply(dict([claim("second", 1, 2)]))
    bridges.apply(dict([claim("1st", 2, 3)]))
    (clash,) = bridges.clashes()
    assert "1st of Endpoint red/a and second of Endpoint red/a both claim" in str(clash)
    assert bridges.owner("h1", clash.place).name == "1st"
    other = Bridges()
    other.apply(dict([claim("second", 1, 2), claim("1st", 2, 3)]))
    assert other.state("h1") == bridges.state("h1")
    assert other.digest("h1") == bridges.digest("h1") == digest(bridges.state("h1"))
    unit, (_, parts) = claim("1st", 2, 3)
    assert bridges.apply({unit: (parts, ())})["h1"].flows == {
        FlowKey(0, 2, ()),
        FlowKey(0, 3, ()),
    }
    assert bridges.clashes() == ()
    assert bridges.owner("h1", FlowKey(0, 2, ())).name == "second"


def test_a_digest_that_was_not_asked_for_says_all_that_changed_since():
    seldom, often = Bridges(), Bridges()
    held = {}
    for step in range(1500):
        unit, (_, parts) = claim("one" if step % 3 else "another", step // 2 % 3, 5 + step // 3 % 4)
        parts = parts if step % 4 else ()
        for each in (seldom, often):
            each.apply({unit: (held.get(unit, ()), parts)})
        held[unit] = parts
        assert often.digest("h1") == digest(often.state("h1"))
    assert seldom.state("h1") == often.state("h1")
    assert seldom.digest("h1") == often.digest("h1")


def test_a_unit_that_contradicts_itself_is_refused():
    unit, (_, (part,)) = claim("x", 1)
    contrary = Part(frozenset(["h1"]), (Flow(0, 1, (), (), 10),))
    with pytest.raises(PipelineError, match="x of Endpoint red/a claims"):
        Bridges().apply({unit: ((), (part, contrary))})


def test_a_link_changes_the_way_not_the_locator(intent):
    intent.link("l", source="h1", target="h2", disabled=True)
    compiler = compiled(intent)
    (way,) = texts(compiler, "h1", "transit", Key("Host", "", "h2"))
    assert way.endswith("output:32771"), "by way of h3, and there is no other"
    assert {tunnel.peer for tunnel in compiler.rows("h1").tunnels} == {"h3"}
    assert [t for t in texts(compiler, "h3", "transit") if "dl_dst=02:00:02" in t]


def test_an_observed_tunnel_port_is_used(intent):
    compiler = compiled(intent)
    (tunnel,) = (t for t in compiler.rows("h1").tunnels if t.peer == "h2")
    changed = compiler.observe_tunnels("h1", {tunnel.name: 17})
    assert set(changed) == {"h1"}
    assert "in_port=17 " in "".join(texts(compiler, "h1", "classify"))
    assert Output(17) in compiler.bridge("h1").groups[tree_group(0, 2)].buckets[0].actions


def test_every_flow_says_whose_it_is(intent):
    compiler = compiled(intent)
    for host in compiler.hosts():
        for flow in compiler.bridge(host).flows.values():
            cookie, unit = Cookie.of(flow.cookie), compiler.unit(host, flow.key)
            assert BY_ID[cookie.feature].name == unit.name.partition("/")[0]
            assert cookie.object == object_bits(unit.subject)
    assert len(BY_ID) == len(FEATURES)
