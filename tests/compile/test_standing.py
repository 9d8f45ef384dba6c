# SPDX-License-Identifier: Apache-2.0
"""While the graph stands, packets take the edges of now, and repairs stay what they were."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from vneter_sdn.compile.facts import ALLOCATION, GUESSING, link_facts
from vneter_sdn.compile.network import Compiler
from vneter_sdn.compile.query import Fact
from vneter_sdn.compile.standing import SHARDS, shard_of, standing_facts
from vneter_sdn.compile.ways import ways
from vneter_sdn.graph.topology import Observation, wire_edge
from vneter_sdn.model.flow import ANY, GroupAction, Output
from vneter_sdn.model.kinds import HostSpec, LinkSpec
from vneter_sdn.model.snapshot import Key, Pools
from vneter_sdn.pipeline.locator import BLUE, DEFAULT, RED, Locator
from vneter_sdn.pipeline.reserved import tree_group

HOSTS = tuple(f"h{number}" for number in range(1, 8))
RING = tuple(zip(HOSTS, HOSTS[1:] + HOSTS[:1], strict=True))
DOWN = Observation(up=False)


def fabric(chords, costs=()):
    """Facts of hosts in a ring with some chords, and both edges of each link."""
    facts = {Fact(GUESSING, ""): True}
    for number, host in enumerate(HOSTS, 1):
        facts[Fact("Host", Key("Host", "", host))] = HostSpec(ovsdb=f"unix:/run/{host}")
        facts[Fact(ALLOCATION, (Pools.BRIDGE, str(number)))] = f"Host {host}"
    links = []
    for place, (one, other) in enumerate([*RING, *chords]):
        ports = f"eth{2 * place + 1}", f"eth{2 * place + 2}"
        spec = LinkSpec(
            medium="wire", source=one, target=other, source_port=ports[0], target_port=ports[1],
            cost=costs[place] if costs else 1,
        )  # fmt: skip
        facts[Fact("Link", Key("Link", "", f"l{place}"))] = spec
        links.append((wire_edge(one, ports[0], other, ports[1]),
                      wire_edge(other, ports[1], one, ports[0])))  # fmt: skip
    return facts, links


chords = st.lists(
    st.sampled_from([("h1", "h3"), ("h2", "h6"), ("h4", "h7"), ("h1", "h4")]), max_size=4
)
fabrics = chords.flatmap(
    lambda found: st.lists(st.integers(1, 4), min_size=7 + len(found), max_size=7 + len(found)).map(
        lambda costs: fabric(found, costs)
    )
)


def everywhere(deviations):
    return dict.fromkeys(range(SHARDS), deviations)


def compiled(*facts):
    compiler = Compiler()
    compiler.update({name: value for found in facts for name, value in found.items()})
    return compiler


def of(compiler, target):
    return compiler._database.fresh(ways, target).value


@settings(max_examples=60, deadline=None)
@given(fabrics, st.data())
def test_next_edges_are_those_of_now_and_repairs_those_of_before(found, data):
    facts, links = found
    compiler = compiled(facts)
    failed = data.draw(st.sampled_from(links))
    before = {target: of(compiler, target) for target in HOSTS}
    seen = dict.fromkeys(failed, DOWN)
    compiler.observe_links(seen, everywhere(dict.fromkeys(failed, True)))
    now = compiled(facts, link_facts(seen))
    for target in HOSTS:
        after, fresh = of(compiler, target), of(now, target)
        edges = {host: way.edge for host, way in after[DEFAULT].items()}
        assert edges == {host: way.edge for host, way in fresh[DEFAULT].items()}
        for colour in (RED, BLUE):
            kept = before[target].get(colour, {})
            assert {h: after[colour][h] for h in kept} == kept
        for host, way in after[DEFAULT].items():
            if way.edge == before[target][DEFAULT][host].edge:
                assert way == before[target][DEFAULT][host]
    assert compiler.clashes == ()


@settings(max_examples=40, deadline=None)
@given(fabrics, st.data())
def test_what_bridges_hold_is_what_the_ways_say(found, data):
    """An overlay holds the place of what is below, and gives it back."""
    facts, links = found
    compiler = compiled(facts)
    at_first = {host: compiler.bridge(host) for host in HOSTS}
    failed = data.draw(st.sampled_from(links))
    seen, stands = dict.fromkeys(failed, DOWN), everywhere(dict.fromkeys(failed, True))
    compiler.observe_links(seen, stands)
    anew = compiled(facts, link_facts(seen), standing_facts(stands))
    for host in HOSTS:
        assert compiler.bridge(host) == anew.bridge(host)
        assert compiler.digest(host) == anew.digest(host)
    compiler.observe_links(dict.fromkeys(failed), everywhere({}))
    for host in HOSTS:
        assert compiler.bridge(host) == at_first[host]
    compiler.observe_links(seen, everywhere({}))
    settled = compiled(facts, link_facts(seen))
    for host in HOSTS:
        assert compiler.bridge(host) == settled.bridge(host)
        assert compiler.digest(host) == settled.digest(host)


def watches(group):
    """The ports that buckets watch, save the one that is left when all are down."""
    return [bucket.watch_port for bucket in group.buckets if bucket.watch_port != ANY]


def test_the_first_bridge_sends_the_other_way_round_at_once():
    facts, links = fabric([])
    compiler = compiled(facts)
    forth, back = links[0]
    group = tree_group(DEFAULT, HOSTS.index("h2") + 1)
    port = compiler.ports("h1")
    around = next(name for name in port if name != forth)

    def watched():
        return watches(compiler.bridge("h1").groups[group])

    assert watched() == [port[forth], port[around]]
    compiler.observe_links({forth: DOWN, back: DOWN}, everywhere({forth: True, back: True}))
    flows = compiler.bridge("h1").flows.values()
    towards = (("eth_dst", Locator(DEFAULT, 2, 0).mac),)
    sent = [f for f in flows if [(t.field, t.value) for t in f.match[:1]] == list(towards)]
    assert sent[0].actions[-1] == Output(port[around]), "the only other way is known to fail"
    assert compiler.clashes == ()


def test_packets_are_told_another_way_on_every_bridge_that_has_one():
    facts, links = fabric([("h1", "h4"), ("h2", "h6")])
    compiler = compiled(facts)
    failed = links[0]
    compiler.observe_links(dict.fromkeys(failed, DOWN), everywhere(dict.fromkeys(failed, True)))
    for number, target in enumerate(HOSTS, 1):
        for host, way in of(compiler, target)[DEFAULT].items():
            group = compiler.bridge(host).groups.get(tree_group(DEFAULT, number))
            ports = compiler.ports(host)
            if way.repair:
                told = watches(group)
                assert told == [ports[way.edge], ports[way.repair]]


def test_a_way_that_has_a_repair_leads_to_it_whether_or_not_there_was_one_before():
    facts, links = fabric([])
    for up in (False, True):
        compiler = compiled(facts, link_facts(dict.fromkeys(links[0], Observation(up=not up))))
        stands = everywhere(dict.fromkeys(links[0], not up))
        compiler.observe_links(dict.fromkeys(links[0], Observation(up=up)), stands)
        repaired = set()
        for number, target in enumerate(HOSTS, 1):
            towards = [("eth_dst", Locator(DEFAULT, number, 0).mac)]
            for host, way in of(compiler, target)[DEFAULT].items():
                flows = compiler.bridge(host).flows.values()
                (flow,) = (f for f in flows if [(t.field, t.value) for t in f.match] == towards)
                group, port = tree_group(DEFAULT, number), compiler.ports(host)[way.edge]
                assert flow.actions[-1] == (GroupAction(group) if way.repair else Output(port))
                repaired.add(bool(way.repair))
        assert repaired == {True, False}


def test_shards_follow_one_by_one():
    facts, links = fabric([("h1", "h4")])
    compiler = compiled(facts)
    seen = dict.fromkeys(links[0], DOWN)
    compiler.observe_links(seen, everywhere(dict.fromkeys(links[0], True)))
    now = compiled(facts, link_facts(seen))
    for target in HOSTS:
        compiler.observe_links({}, {shard_of(target): {}})
        assert of(compiler, target) == of(now, target)
    for host in HOSTS:
        assert compiler.bridge(host) == now.bridge(host)


def test_a_failure_runs_few_queries_while_the_graph_stands():
    facts, links = fabric([])
    compiler, other = compiled(facts), compiled(facts)
    seen = dict.fromkeys(links[0], DOWN)
    changed = compiler.observe_links(seen, everywhere(dict.fromkeys(links[0], True)))
    everything = other.observe_links(seen)
    assert sum(map(len, changed.values())) < sum(map(len, everything.values()))
