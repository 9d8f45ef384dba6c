# SPDX-License-Identifier: Apache-2.0
"""Our own topology files: what they say, what is refused, and that writing loses nothing."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from vneter_sdn.errors import IntentError, NotFound
from vneter_sdn.graph.atlas import (
    Demand,
    atlas_from,
    atlas_of,
    atlas_text,
    read_atlas,
    read_demands,
)
from vneter_sdn.graph.atlas.exchange import topology_document, topology_of
from vneter_sdn.graph.topology import Edge, Topology, Vertex

TOPOLOGIES = Path(__file__).parents[2] / "topologies"
ROUTED = {"three-sites"}
"""Those whose segments only the fleet's router joins."""


def atlas(text, source="net.yaml"):
    return atlas_from(text.encode() if isinstance(text, str) else text, source)


def edges(made):
    return {edge.name: edge for edge in made.topology.edges}


WHOLE = """
name: two
description: two switches, two links
hosts: [h1]
switches: [s1, s2]
nodes:
  s1: {label: "New York", id: "7", at: [-74, 40.7], site: a, region: us, tags: [x], drained: true}
links:
  - [h1, s1]
  - {ends: [s1, s2], capacity: 1000, latency: 2.5, loss: 0.01, cost: 3, price: 0.2, mtu: 9000,
     encrypted: true, tags: [gold], risks: [duct], jitter: 1}
  - {ends: [s1, s2], medium: tunnel}
demands:
  - [h1, s2, 12.5]
  - {from: s2, to: h1, mbps: 3}
prefixes: {s1: 192.0.2.0/24}
mtu: 1500
"""


def test_all_that_a_file_says_is_in_the_graph():
    made = atlas(WHOLE)

    assert (made.name, made.end_hosts, made.switches) == ("two", ("h1",), ("s1", "s2"))
    assert made.demands == (Demand("h1", "s2", 12.5), Demand("s2", "h1", 3))
    assert (made.mtu, dict(made.prefixes)) == (1500, {"s1": "192.0.2.0/24"})
    assert (
        Vertex("s1", 1, site="a", region="us", tags=frozenset({"x"}), drained=True)
        in made.topology.vertices
    )
    assert [vertex.host for vertex in made.topology.vertices] == ["h1", "s1", "s2"]
    forth = Edge(
        name="s1>s2", reverse="s2>s1", source="s1", target="s2", medium="wire", cost=3,
        latency=2.5, loss=0.01, capacity=1000, price=0.2, mtu=9000, encrypted=True,
        tags=frozenset({"gold"}), risks=frozenset({"duct"}),
    )  # fmt: skip
    back = replace(forth, name="s2>s1", reverse="s1>s2", source="s2", target="s1")
    found = edges(made)
    assert (found["s1>s2"], found["s2>s1"]) == (forth, back)
    assert found["s1#1>s2#1"].encapsulation == "geneve"
    assert len(found) == 6


def test_parallel_links_have_names_of_their_own():
    made = atlas("switches: [a, b]\nlinks: [[a, b], [b, a], [a, b]]")
    assert sorted(edges(made)) == ["a#1>b#1", "a#2>b#2", "a>b", "b#1>a#1", "b#2>a#2", "b>a"]
    assert all(edges(made)[edge.reverse].reverse == edge.name for edge in made.topology.edges)


def test_ports_name_wires():
    made = atlas("switches: [a, b]\nlinks: [{ends: [a, b], ports: [eth1, eth7]}]")
    assert sorted(edges(made)) == ["a:eth1>b:eth7", "b:eth7>a:eth1"]
    assert edges(made)["b:eth7>a:eth1"].port == "eth7"


def test_two_one_way_links_are_one_that_differs_by_direction():
    made = atlas(
        "switches: [a, b]\nlinks:\n"
        "  - {ends: [a, b], oneWay: true, latency: 1}\n"
        "  - {ends: [b, a], oneWay: true, latency: 9}\n"
    )
    assert {edge.name: edge.latency for edge in made.topology.edges} == {"a>b": 1, "b>a": 9}
    assert all(edge.usable for edge in made.topology.edges)


def test_the_other_way_of_a_one_way_link_is_disabled():
    made = atlas("switches: [a, b]\nlinks: [{ends: [a, b], oneWay: true}]")
    assert {edge.name: edge.usable for edge in made.topology.edges} == {"a>b": True, "b>a": False}


def test_a_link_to_itself_is_left_out_and_said():
    made = atlas("switches: [a, b]\nlinks:\n  - [a, b]\n  - [b, b]\n")
    assert sorted(edges(made)) == ["a>b", "b>a"]
    assert made.warnings == ("net.yaml:4: the link from b to itself is left out: no path needs it",)


def test_parts_without_a_link_between_them_are_said():
    made = atlas("switches: [a, b, c, d]\nlinks: [[a, b], [b, c]]")
    assert made.warnings == (
        "it falls into 2 parts without a link between them: a and 2 more, d and 0 more",
    )


_TWICE = """switches: [a, b]
links:
  - {ends: [a, b], ports: [e1, e1]}
  - {ends: [a, b], ports: [e1, e2]}
"""
_BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"b{n}: &b{n} [{','.join([f'*b{n - 1}' if n else '*a'] * 9)}]\n" for n in range(12)
)


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("switches: [a, b]\nlinks:\n- {ends: [a, b], capacity: 0}", "net.yaml:3",
         "the link a - b has a capacity of 0 Mbit/s"),
        ("switches: [a, b]\nlinks:\n- {ends: [a, b], capacity: -5}", "net.yaml:3",
         "leave it out where that is not known"),
        ("switches: [a, b]\nlinks: [{ends: [a, b], latency: -1}]", "net.yaml:2", "latency of -1"),
        ("switches: [a, b]\nlinks: [{ends: [a, b], loss: 1.5}]", "net.yaml:2", "loss of 1.5"),
        ("switches: [a, b]\nlinks: [{ends: [a, b], cost: 0}]", "net.yaml:2", "cost of 0"),
        ("switches: [a, b]\nlinks: [{ends: [a, b], mtu: 100}]", "net.yaml:2", "mtu of 100"),
        ("switches: [a]\nhosts: [a]", "net.yaml:1", "'a' is there already"),
        ("switches:\n- a\n- a", "net.yaml:3", "'a' is there already"),
        ("switches: [A]", "net.yaml:1", "put other text in its label"),
        ("switches: [a]\nlinks: [[a, x]]", "net.yaml:2", "'x' is neither a host nor a switch"),
        ("switches: [a]\nnodes: {x: {label: X}}", "net.yaml:2", "list it among them"),
        ("switches: [a]\nnodes: {a: {at: [0, 1e10]}}", "net.yaml:2", "beyond 1e+09"),
        ("switches: [a]\ndemands: [[a, x, 1]]", "net.yaml:2", "'x' is neither"),
        ("switches: [a, b]\ndemands: [[a, b, -1]]", "net.yaml:2", "is -1 Mbit/s"),
        ("switches: [a]\nprefixes: {b: 10.0.0.0/8}", "net.yaml:2", "'b' is no switch"),
        (_TWICE, "net.yaml:4", "port e1 of a has a link already"),
        ("switches: [a, b]\nlinks: [{ends: [a, b], ports: ['a>b', e1]}]", "net.yaml:2",
         "no name of an interface"),
        ("switches: [a, b]\nlinks: [{ends: [a, b], wide: 1}]", "net.yaml:2", "field `wide`"),
        ("switches: [a, b]\nlinks: [[a, b, c]]", "net.yaml:2", "length 2"),
        ("description: none", "net.yaml:1", "no hosts and no switches"),
        ("", "net.yaml:1", "Expected `object`"),
        ("switches: [a]\n---\nswitches: [b]", "net.yaml", "holds 2 documents"),
        (b"switches: [a]\nname: \xff", "net.yaml", "line 2: not UTF-8 at byte 20"),
        (_BOMB, "net.yaml", "aliases expanded"),
        (b"#" * 50_000_000, "net.yaml", "larger than"),
        ("[" * 5000, "net.yaml", "nested deeper"),
    ],
)  # fmt: skip
def test_a_bad_file_is_refused_with_its_place(text, place, message):
    with pytest.raises(IntentError) as caught:
        atlas(text)
    [problem] = caught.value.problems
    assert problem.object == place
    assert message in problem.message


def test_every_fault_is_told_at_once_and_the_rest_counted():
    links = "\n".join("  - {ends: [a, b], capacity: 0}" for _ in range(30))
    with pytest.raises(IntentError) as caught:
        atlas(f"switches: [a, b]\nlinks:\n{links}")
    assert [problem.object for problem in caught.value.problems[:2]] == ["net.yaml:3", "net.yaml:4"]
    assert caught.value.problems[-1].message == "and 10 more faults"


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(IntentError, match="No such file"):
        read_atlas(tmp_path / "none.yaml")
    with pytest.raises(IntentError, match="Is a directory"):
        read_atlas(tmp_path)


@pytest.mark.parametrize("said", ["s1", "New York", "7", "new york", "NEW-YORK"])
def test_a_node_is_found_by_name_label_id_and_slug(said):
    assert atlas(WHOLE).find(said) == "s1"


def test_a_node_that_is_not_there_is_told_with_those_near_it():
    with pytest.raises(NotFound, match=r"two has no node 'New Yrok'; near it are 'New York'"):
        atlas(WHOLE).find("New Yrok")


def test_a_label_of_several_nodes_is_no_answer():
    made = atlas("switches: [a, b]\nnodes: {a: {label: X}, b: {label: X}}")
    with pytest.raises(IntentError, match="use one of these names"):
        made.find("X")


_NAMES = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,6}[a-z0-9])?", fullmatch=True)
_TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=12)
_NUMBERS = st.floats(1e-6, 1e6) | st.integers(1, 10**6).map(float)


@st.composite
def atlases(draw):
    names = draw(st.lists(_NAMES, min_size=2, max_size=8, unique=True))
    cut = draw(st.integers(0, len(names) - 1))
    ends = st.permutations(names).map(lambda order: order[:2])
    link = st.fixed_dictionaries(
        {"ends": ends},
        optional={
            "capacity": _NUMBERS,
            "latency": _NUMBERS,
            "loss": st.floats(0, 1),
            "cost": st.integers(1, 0xFFFFFF),
            "price": _NUMBERS,
            "mtu": st.integers(1280, 65535),
            "encrypted": st.booleans(),
            "tags": st.lists(_TEXT, max_size=3),
            "oneWay": st.booleans(),
            "medium": st.sampled_from(["wire", "tunnel"]),
            "disabled": st.booleans(),
        },
    )
    place = st.tuples(st.floats(-180, 180), st.floats(-90, 90))
    node = st.fixed_dictionaries({}, optional={"label": _TEXT, "at": place, "region": _TEXT})
    return atlas(
        json.dumps(
            {
                "name": draw(_TEXT),
                "description": draw(_TEXT),
                "hosts": names[:cut],
                "switches": names[cut:],
                "links": draw(st.lists(link, max_size=10)),
                "nodes": draw(st.dictionaries(st.sampled_from(names), node)),
                "demands": draw(st.lists(st.tuples(ends, _NUMBERS).map(lambda d: [*d[0], d[1]]))),
            }
        ),
        "x.json",
    )


@settings(max_examples=100, deadline=None)
@given(atlases())
def test_what_is_written_reads_the_same(made):
    again = atlas(atlas_text(made), "x.yaml")
    assert again == replace(made, warnings=again.warnings)
    assert atlas_text(again) == atlas_text(made)


@pytest.mark.parametrize(
    "word", ["no", "Yes", "on", "true", "NULL", "nan", "1e3", "0x10", "~", "12:30"]
)
def test_words_that_yaml_takes_for_else_stay_words(word):
    made = atlas(json.dumps({"name": word, "switches": ["no"], "nodes": {"no": {"label": word}}}))
    text = atlas_text(made)
    assert yaml.safe_load(text) == {
        "name": word,
        "switches": ["no"],
        "nodes": {"no": {"label": word}},
    }
    assert atlas(text) == made


@settings(max_examples=60, deadline=None)
@given(atlases())
def test_every_edge_has_a_reverse_that_has_it(made):
    found = edges(made)
    assert len(found) == len(made.topology.edges)
    for edge in made.topology.edges:
        back = found[edge.reverse]
        assert (back.reverse, back.source, back.target) == (edge.name, edge.target, edge.source)


@settings(max_examples=60, deadline=None)
@given(atlases())
def test_a_graph_comes_back_from_json(made):
    document = topology_document(made.topology)
    assert topology_of(document) == made.topology


def test_a_live_graph_becomes_a_file():
    up = Edge(name="a>b", reverse="b>a", source="a", target="b", latency=1.5, encapsulation="vxlan")
    down = replace(up, name="b>a", reverse="a>b", source="b", target="a", up=False)
    live = Topology((Vertex("a", 5, region="eu"), Vertex("b", 2)), (up, down))
    made = atlas(atlas_text(atlas_of(live)))
    assert made.switches == ("b", "a")
    assert edges(made)["a>b"] == up
    assert edges(made)["b>a"] == replace(down, up=True, disabled=True)


def test_json_as_the_server_answers_it_is_read(tmp_path):
    path = tmp_path / "live.json"
    path.write_text(json.dumps(topology_document(atlas(WHOLE).topology)))
    assert edges(read_atlas(path)).keys() == edges(atlas(WHOLE)).keys()


@pytest.mark.parametrize(
    "text", ['{"vertices": [], "edges": [{}]}', '{"vertices": 1, "edges": []}',
             '{"vertices": [{"host": 1}], "edges": []}'],
)  # fmt: skip
def test_json_that_is_no_graph_is_refused(text):
    with pytest.raises(IntentError, match="no graph as GET /v1/topology answers"):
        atlas(text, "x.json")


def test_demands_of_a_file_of_their_own_name_nodes_in_any_way(tmp_path):
    path = tmp_path / "demands.yaml"
    path.write_text("[[New York, s2, 4], [7, h1, 1.5]]")
    assert read_demands(path, atlas(WHOLE)) == (Demand("s1", "s2", 4), Demand("s1", "h1", 1.5))
    path.write_text("demands: [{from: s2, to: s1, mbps: 2}]")
    assert read_demands(path, atlas(WHOLE)) == (Demand("s2", "s1", 2),)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("d.csv", "from,to,mbps\nNew York,s2,4\n7, h1 ,1.5\n"),
        ("d.csv", "s1,s2,4\r\n\r\ns1,h1,1.5\r\n"),
        ("d.tsv", "mbps\tTo\tFrom\n4\ts2\ts1\n1.5\th1\ts1\n"),
        ("d.csv", 'source;target;mbps;path\n# all of it\ns1;s2;4;x\n"s1";h1;1.5;x'),
        ("demands", "s1,s2,4\ns1,h1,1.5"),
        ("d.json", '[[7, "s2", 4], {"from": "s1", "to": "h1", "mbps": 1.5}]'),
        ("d.json", '{"demands": [["s1", "s2", 4], {"source": 7, "target": "h1", "mbps": 1.5}]}'),
        ("d.yaml", "- {source: s1, target: s2, mbps: 4}\n- [s1, h1, 1.5]\n"),
        ("d.yaml", "- {src: s1, dst: s2, value: 4, id: x}\n- {From: 7, To: h1, Demand: 1.5}\n"),
    ],
)
def test_forms_of_demands(tmp_path, name, text):
    (tmp_path / name).write_text(text, newline="")
    found = read_demands(tmp_path / name, atlas(WHOLE))
    assert found == (Demand("s1", "s2", 4), Demand("s1", "h1", 1.5))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("s1,s2", "d.csv:1: no row of from,to,mbps"),
        ("s1,s2,1\ns1,h1,fast", "d.csv:2: no row of from,to,mbps"),
        ("s1,s2,-1", "not 0 to"),
        ("s1,s2,nan", "not 0 to"),
        ('"s1,s2,1', "no row of"),
    ],
)
def test_bad_rows_of_demands_are_refused(tmp_path, text, message):
    path = tmp_path / "d.csv"
    path.write_text(text)
    with pytest.raises(IntentError, match=message):
        read_demands(path, atlas(WHOLE))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- [s1, h1, 1]\n- [s1, s2]", r"demands.yaml:2: \[1\]: .*'s2'\] is no \[from, to, mbps\]"),
        ("demands:\n- {from: s1, mbps: 3}", r"demands.yaml:2: demands\[0\]: .*is no"),
        ("[[s1, true, 1]]", "is no"),
        ("[[s1, s2, much]]", "is no"),
        ("[7]", "is no"),
        ("demands: 3", "no list of"),
        ("", "no list of"),
        ("[[s1, s2, -1]]", "not 0 to"),
        ("[[s1, s2, .nan]]", "is no"),
    ],
)
def test_bad_demands_are_refused(tmp_path, text, message):
    path = tmp_path / "demands.yaml"
    path.write_text(text)
    with pytest.raises(IntentError, match=message):
        read_demands(path, atlas(WHOLE))


@pytest.mark.parametrize("path", sorted(TOPOLOGIES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_topology_here_is_whole(path):
    made = read_atlas(path)
    assert made.description
    assert made.name == path.stem
    assert bool(made.warnings) == (path.stem in ROUTED)


def test_the_topologies_that_were_promised_are_here():
    promised = "single linear ring leaf-spine fat-tree dual-homed abilene geant"
    assert set(promised.split()) <= {path.stem for path in TOPOLOGIES.glob("*.yaml")}
    fat = read_atlas(TOPOLOGIES / "fat-tree.yaml")
    assert (len(fat.switches), len(fat.end_hosts), len(fat.links)) == (20, 16, 48)
    for name, nodes, links, demands in (("abilene", 12, 15, 132), ("geant", 22, 36, 462)):
        made = read_atlas(TOPOLOGIES / f"{name}.yaml")
        assert (len(made.switches), len(made.links), len(made.demands)) == (nodes, links, demands)
        assert all(edge.capacity and edge.latency for edge in made.topology.edges)
