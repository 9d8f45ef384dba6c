# SPDX-License-Identifier: Apache-2.0
"""What is drained is empty exactly when packets between all endpoints keep away from it."""

from __future__ import annotations

from itertools import pairwise, permutations

from fabric import Fabric, intent_of
from hypothesis import given, settings
from hypothesis import strategies as st

from vneter_sdn.compile.network import compile_alone
from vneter_sdn.model.snapshot import Key

PAIRS = [(a, b) for a in range(1, 5) for b in range(a + 1, 5)]


def _with(spec, **changes):
    known = {name: getattr(spec, name) for name in spec.__struct_fields__}
    return type(spec)(**(known | changes))


def drain(intent, *keys):
    for key in keys:
        intent.put(key, _with(intent.objects[key].spec, drained=True))


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_link_that_says_it_is_empty_is_passed_by_nobody(data):
    wires = data.draw(st.lists(st.sampled_from(PAIRS), min_size=3, max_size=6, unique=True))
    intent = intent_of(4, wires)
    if data.draw(st.booleans()):
        intent.policy("spread", 5, tenants=("red",), paths=2)
    links = sorted(key for key in intent.objects if key.kind == "Link")
    drained = data.draw(st.lists(st.sampled_from(links), min_size=1, max_size=2, unique=True))
    drain(intent, *drained)
    fabric = Fabric.of(intent)
    passed = set()
    for one, other in permutations(range(1, 5), 2):
        for sport in range(1000, 1008):
            hosts = fabric.way(one, other, sport, choice=sport * 31 % 256)
            passed |= {frozenset(pair) for pair in pairwise(hosts)}
    for key in drained:
        spec, usage = intent.objects[key].spec, fabric.compiler.usage(key)
        assert len(usage.edges) == 2
        assert (frozenset((spec.source, spec.target)) in passed) == bool(usage.paths)
        assert usage.stuck == usage.paths


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(PAIRS), min_size=3, max_size=6, unique=True), st.integers(1, 4))
def test_a_bridge_that_says_so_is_passed_by_nobody(wires, number):
    intent = intent_of(4, wires)
    host = Key("Host", "", f"h{number}")
    drain(intent, host)
    fabric = Fabric.of(intent)
    ways = (fabric.way(one, other) for one, other in permutations(range(1, 5), 2))
    through = any(host.name in way[1:-1] for way in ways)
    usage = fabric.compiler.usage(host)
    assert bool(usage.paths) == through
    assert usage.endpoints == 1


def test_what_is_not_drained_is_not_looked_at():
    intent = intent_of(2, [(1, 2)])
    compiler = compile_alone(intent.snapshot())
    link = next(key for key in intent.objects if key.kind == "Link")
    assert compiler.usage(link) is None
    assert compiler.usage(Key("Host", "", "h1")) is None


def test_a_tunnel_is_found_by_its_addresses():
    intent = intent_of(3, tunnels=("h1", "h2", "h3"))
    for number in (1, 2):
        key = Key("Host", "", f"h{number}")
        addresses = (f"192.0.2.{number}", f"198.51.100.{number}")
        intent.put(key, _with(intent.objects[key].spec, tunnel_addresses=addresses))
    intent.link("second", source="h1", target="h2", source_address="198.51.100.1",
                target_address="198.51.100.2", drained=True)  # fmt: skip
    intent.link("first", source="h2", target="h1", drained=True)
    compiler = compile_alone(intent.snapshot())
    found = {name: compiler.usage(Key("Link", "", name)).edges for name in ("first", "second")}
    assert found["first"] == {"h1>h2", "h2>h1"}
    assert found["second"] == {"h1#1>h2#1", "h2#1>h1#1"}
