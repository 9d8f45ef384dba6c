# SPDX-License-Identifier: Apache-2.0
"""Topology Zoo's GML and SNDlib's networks, with the quirks they have."""

import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vneter_sdn.errors import IntentError
from vneter_sdn.graph.atlas import Demand, atlas_from, read_demands

ZOO = """graph [
  DateObtained "3/02/11"
  Network "Somewhere"
  label "Some &amp; where"
  # a comment
  hierarchic 1
  node [
    id 0
    label "S&#227;o Paulo"
    Country "Brazil"
    Longitude -46.63611
    Internal 1
    Latitude -23.5475
  ]
  node [ id 1 label "None" Internal 0 ]
  node [ id 2 label "None" hyperedge 1 ]
  node [ id 30 label "Rio" Longitude -43.2075 Latitude -22.90278 ]
  node [ id 4 label "Rio" ]
  node [ id 5 ]
  edge [ source 0 target 30 LinkSpeed "2.5" LinkSpeedUnits "G" LinkSpeedRaw 2500000000.0 ]
  edge [ source 0 target 30 LinkLabel "155 Mbps" ]
  edge [ source 0 target 1 LinkSpeed "34" LinkSpeedUnits "M" ]
  edge [ source 1 target 2 LinkLabel "1-20Gbps" LinkNote "two
lines" ]
  edge [ source 30 target 30 LinkLabel "ring" ]
]
"""


def gml(text):
    return atlas_from(text.encode() if isinstance(text, str) else text, "zoo.gml")


def table(document):
    return atlas_from(json.dumps(document).encode(), "net.json")


def test_a_zoo_file_is_read_with_its_quirks():
    made = gml(ZOO)
    found = {edge.name: edge for edge in made.topology.edges}

    assert made.name == "Some & where"
    assert made.switches == ("sao-paulo", "n1", "n2", "rio", "rio-2", "n5")
    assert made.label("sao-paulo") == "São Paulo"
    assert made.find("São Paulo") == made.find("0") == "sao-paulo"
    assert made.find("30") == "rio"
    assert found["sao-paulo>rio"].capacity == 2500
    assert found["sao-paulo#1>rio#1"].capacity == 155
    assert found["sao-paulo>n1"].capacity == 34
    assert found["n1>n2"].capacity is None
    assert found["sao-paulo>rio"].latency == pytest.approx(1.79, abs=0.02)  # 358 km of glass
    assert found["sao-paulo>n1"].latency is None
    tags = {vertex.host: vertex.tags for vertex in made.topology.vertices}
    assert (tags["n1"], tags["n2"]) == ({"external"}, {"hyperedge"})
    assert [warning.partition(": ")[0] for warning in made.warnings] == [
        "zoo.gml:25",
        "it falls into 3 parts without a link between them",
    ]


def test_directed_gml_goes_one_way():
    made = gml("graph [ directed 1 node [ id 0 ] node [ id 1 ] edge [ source 0 target 1 ] ]")
    assert {edge.name: edge.usable for edge in made.topology.edges} == {
        "n0>n1": True,
        "n1>n0": False,
    }


def test_gml_that_is_not_utf8_is_latin_1():
    made = gml(b'graph [ node [ id 0 label "Z\xfcrich" ] ]')
    assert made.label("zurich") == "Zürich"
    assert "not UTF-8" in made.warnings[0]


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("", "zoo.gml:1", "0 are there"),
        ("graph [ node [ id 0 ]", "zoo.gml:1", "ends too early"),
        ("graph [\n node [ id 0 ] ] ]", "zoo.gml:2", "']' without"),
        ("graph [\n\n node [ label \"a ] ]", "zoo.gml:3", "no closing quote"),
        ("graph [ [ ] ]", "zoo.gml:1", "a key is wanted"),
        ("graph [\n node [ label \"a\" ] ]", "zoo.gml:2", "no id"),
        ("graph [ node [ id 1 ]\n node [ id 1 ] ]", "zoo.gml:2", "second node has the id 1"),
        ("graph [ node [ id 1 ]\nedge [ source 1 target 2 ] ]", "zoo.gml:2", "target is 2"),
        ("graph [ node [ id 1 ]\nedge [ source 1 ] ]", "zoo.gml:2", "no target"),
        ("graph [ node [ id 1 ] node [ id 2 ]\nedge [ source 1 target 2 LinkSpeedRaw 0 ] ]",
         "zoo.gml:2", "capacity of 0 Mbit/s"),
        ("graph [ node [ id 1 ] node [ id 2 ]\nedge [ source 1 target 2 capacity -3 ] ]",
         "zoo.gml:2", "capacity of -3 Mbit/s"),
        ("graph " + "[ a " * 50, "zoo.gml:1", "nested deeper"),
    ],
)  # fmt: skip
def test_bad_gml_is_refused_with_its_line(text, place, message):
    with pytest.raises(IntentError) as caught:
        gml(text)
    assert caught.value.problems[0].object == place
    assert message in caught.value.problems[0].message


_WORDS = st.sampled_from(
    ["graph", "node", "edge", "id", "label", "source", "target", "[", "]", '"x"', '"', "0", "1",
     "-1e9", "LinkSpeedRaw", "Longitude", "Latitude", "x", "#", "\n", "&#0;", "nan", "1e999"]
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.lists(_WORDS, max_size=60).map(" ".join))
def test_any_gml_is_a_topology_or_refused(text):
    try:
        made = gml(f"graph [ {text} ]")
    except IntentError:
        return
    assert made.switches


SNDLIB = {
    "name": "three",
    "source": "SNDlib",
    "nodes": [["at1.at", 16.373, 48.209], ["ch1.ch", 6.14, 46.204], ["de1.de", 8.684, 50.112]],
    "link_fields": ["src", "dst", "weight", "bw", "delay"],
    "links": [[0, 1, 1, 40000, 4019], [1, 0, 2, 10000, 4019], [1, 2, 1, 40000, None],
              [2, 1, 1, 40000, None]],
    "demands": [[0, 2, 3003], [2, 0, 134.5], [1, 1, 5], [0, 1, 0]],
}  # fmt: skip


def test_a_table_of_links_is_read():
    made = table(SNDLIB)
    found = {edge.name: edge for edge in made.topology.edges}

    assert made.switches == ("at1-at", "ch1-ch", "de1-de")
    assert made.find("at1.at") == made.find("0") == "at1-at"
    assert (found["at1-at>ch1-ch"].cost, found["ch1-ch>at1-at"].cost) == (1, 2)
    assert (found["at1-at>ch1-ch"].capacity, found["ch1-ch>at1-at"].capacity) == (40000, 10000)
    assert found["at1-at>ch1-ch"].latency == 4.019
    assert found["ch1-ch>de1-de"].latency == pytest.approx(2.36, abs=0.05)
    assert made.demands == (Demand("at1-at", "de1-de", 3003), Demand("de1-de", "at1-at", 134.5))
    assert made.warnings == ("demands of nothing, or of a node to itself, are left out: 2",)


def test_columns_come_in_any_order_and_rows_as_objects():
    made = table(
        {
            "nodes": ["a", {"name": "b"}, ["c"]],
            "link_fields": ["dst", "src"],
            "links": [[1, 0], {"source": "b", "target": "c", "latency": 7, "capacity": 3}],
            "demands": [{"src": "a", "dst": 2, "value": 1}],
        }
    )
    found = {edge.name: edge for edge in made.topology.edges}
    assert set(found) == {"a>b", "b>a", "b>c", "c>b"}
    assert (found["c>b"].latency, found["c>b"].capacity, found["a>b"].latency) == (7, 3, None)
    assert all(edge.usable for edge in found.values())
    assert "taken to go both ways" in made.warnings[0]


def test_coordinates_off_the_earth_are_for_drawing_only():
    made = table({**SNDLIB, "nodes": [["a", 500, 100], ["b", 1, 2], ["c", 3, 4]]})
    found = {edge.name: edge for edge in made.topology.edges}
    assert made.nodes["a"].at == (500, 100)
    assert found["b>c"].latency is None


def test_nodes_with_ids_are_referred_to_by_them_and_called_by_their_labels(tmp_path):
    """The node-link form of networkx; numbers are ids there, never places in the list."""
    document = {
        "directed": False,
        "multigraph": True,
        "graph": {},
        "nodes": [{"id": 20, "label": "Oslo"}, {"id": 10, "label": "10"}, {"id": 1}],
        "links": [
            {"source": 20, "target": 10, "key": 0, "capacity": 5, "weight": 2},
            {"source": 10, "target": 20, "key": 1, "LinkSpeedRaw": 7e6},
            {"source": 10, "target": 1, "key": 0},
        ],
        "demands": [{"source": 20, "target": 1, "demand": 3}],
    }
    made = table(document)
    assert [made.known_as(name) for name in made.switches] == ["Oslo", "10", "1"]
    found = {edge.name: edge for edge in made.topology.edges}
    assert set(found) == {"oslo>10", "10>oslo", "oslo#1>10#1", "10#1>oslo#1", "10>1", "1>10"}
    assert all(edge.usable for edge in found.values())
    assert (found["10>oslo"].cost, found["10>oslo"].capacity) == (2, 5)
    assert found["oslo#1>10#1"].capacity == 7
    assert made.demands == (Demand("oslo", "1", 3),)
    assert made.warnings == ()
    (tmp_path / "d.json").write_text('[[20, 1, 3], {"src": "Oslo", "dst": 10, "bw": 1}]')
    told = read_demands(tmp_path / "d.json", made)
    assert told == (Demand("oslo", "1", 3), Demand("oslo", "10", 1))
    with pytest.raises(IntentError, match="0 is no index and no name"):
        table({**document, "links": [{"source": 0, "target": 1}]})


def test_a_number_is_a_place_in_the_list_where_names_are_numbers_too(tmp_path):
    made = table({"nodes": ["2", "1", "0"], "links": [[0, 1], ["0", "1"]], "demands": [[0, 1, 5]]})
    assert {edge.name for edge in made.topology.edges} == {"2>1", "1>2", "0>1", "1>0"}
    assert made.demands == (Demand("2", "1", 5),)
    (tmp_path / "d.yaml").write_text("[[0, 1, 5], ['0', '1', 6]]")
    told = read_demands(tmp_path / "d.yaml", made)
    assert told == (Demand("2", "1", 5), Demand("0", "1", 6))


@pytest.mark.parametrize(("directed", "back"), [(True, False), (False, True), (None, True)])
def test_a_table_says_whether_links_go_both_ways(directed, back):
    said = {} if directed is None else {"directed": directed}
    made = table({"nodes": ["a", "b"], "links": [[0, 0], [0, 1]], **said})
    found = {edge.name: edge.usable for edge in made.topology.edges}
    assert found == {"a>b": True, "b>a": back}
    assert ("taken to go both ways" in made.warnings[0]) == (directed is None)
    assert "to itself" in made.warnings[-1]


def test_weights_need_not_be_whole_and_nothing_counts_as_one():
    links = [[0, 1, 0.4], [1, 0, 2.6], [0, 2, 0], [2, 0, 3.0]]
    made = table({"nodes": ["a", "b", "c"], "links": links})
    costs = {edge.name: edge.cost for edge in made.topology.edges}
    assert costs == {"a>b": 0.4, "b>a": 2.6, "a>c": 1, "c>a": 3}
    assert isinstance(costs["c>a"], int)
    assert any("count as 1" in warning for warning in made.warnings)
    edge = 'edge [ source 0 target 1 weight 2.5 ] edge [ source 1 target 0 cost "4" ]'
    made = gml(f"graph [ node [ id 0 ] node [ id 1 ] {edge} ]")
    assert sorted(edge.cost for edge in made.topology.edges) == [2.5, 2.5, 4, 4]


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"links": [[0, 9, 1, 1, 1]]}, "links[0]"),
        ({"links": [["nobody", 1, 1, 1, 1]]}, "links[0]"),
        ({"links": [[0, 1, 1, 0, 1]]}, "links[0].capacity"),
        ({"links": [[0, 1, 1, -4, 1]]}, "links[0].capacity"),
        ({"links": [[0, 1, 1, "much", 1]]}, "links[0]"),
        ({"links": [[0, 1, -1, 1, 1]]}, "links[0].cost"),
        ({"links": [[True, 1]]}, "links[0]"),
        ({"links": 4}, "links"),
        ({"links": [4]}, "links[0]"),
        ({"link_fields": 4}, "link_fields"),
        ({"demands": [[0, 1]]}, "demands[0]"),
        ({"demands": [[0, 1, -2]]}, "demands[0]"),
        ({"nodes": []}, "links[0]"),
        ({"nodes": [["x"], ["x"], ["y"]], "links": [["x", "y"]]}, "links[0]"),
    ],
)
def test_a_bad_table_is_refused_with_the_row(change, place):
    with pytest.raises(IntentError) as caught:
        table({**SNDLIB, **change})
    assert caught.value.problems[0].field == place


NATIVE = """?SNDlib native format; type: network; version: 1.0
# network testnet

META (
  granularity = 5min (or so)
  unit = MBITPERSEC
)
NODES (
  N1 ( 16.4 48.2 )
  N_2 ( 6.1 46.2 ) # a comment
  N3
)
LINKS (
  L1 ( N1 N_2 ) 155.0 0.0 0.0 0.0 ( 622.0 9.0 )
  L2 (N1 N_2) 0.0 0.0 0.0 0.0 ( 622.0 9.0 2488.0 20.0 )
  L3 ( N_2 N3 ) 0.0 0.0 0.0 0.0 ( )
)
DEMANDS (
  D1 ( N1 N_2 ) 1 81.5 UNLIMITED
  D2 ( N_2 N1 ) 1 0.5 5
)
ADMISSIBLE_PATHS (
  D1 (
    P0 ( L1 )
  )
)
"""


@pytest.mark.parametrize("name", ["net.txt", "net", "net.yaml"])
def test_sndlibs_native_text_is_read(name, tmp_path):
    made = atlas_from(NATIVE.encode(), name)
    found = {edge.name: edge for edge in made.topology.edges}
    assert made.switches == ("n1", "n-2", "n3")
    assert made.find("N_2") == "n-2"
    assert (found["n1>n-2"].capacity, found["n-2#1>n1#1"].capacity) == (155, 2488)
    assert found["n-2>n3"].capacity is found["n-2>n3"].latency is None
    assert found["n1>n-2"].latency == pytest.approx(4.05, abs=0.1)
    assert made.demands == (Demand("n1", "n-2", 81.5), Demand("n-2", "n1", 0.5))
    (tmp_path / "d.txt").write_text(NATIVE)
    assert read_demands(tmp_path / "d.txt", made) == made.demands


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        (NATIVE.replace("(N1 N_2)", "( N1 N9 )"), "net.txt:15", "L2 leads to 'N9', which is no"),
        (NATIVE.replace("155.0", "many"), "net.txt:14", "'many' is no number"),
        (NATIVE.replace("155.0", "-155"), "net.txt:14", "capacity of -155 Mbit/s"),
        (NATIVE.replace("81.5 UNLIMITED", ""), "net.txt:19", "D1 does not say how much"),
        (NATIVE.replace("  N3\n", "  N1\n"), "net.txt:11", "second node is called 'N1'"),
        (NATIVE.replace("  N3\n", "  N3 ( 1 )\n"), "net.txt:11", "a node is"),
        (NATIVE.replace("L1 ( N1", "L1 N1"), "net.txt:14", "are wanted"),
        (NATIVE.replace("NODES (", "KNOTS ("), "net.txt:1", "no section NODES"),
        (NATIVE.replace("NODES (", "nodes:"), "net.txt:8", "a section `NAME (` is wanted"),
        (NATIVE[:-3], "net.txt:25", "ends too early"),
    ],
)
def test_bad_native_text_is_refused_with_its_line(text, place, message):
    with pytest.raises(IntentError) as caught:
        atlas_from(text.encode(), "net.txt")
    assert caught.value.problems[0].object == place
    assert message in caught.value.problems[0].message


_NATIVE_WORDS = st.sampled_from(
    ["a", "b", "(", ")", "( a b )", "( 1 2 )", "1", "-1", "1e999", "nan", "#", "\n", "\n)\n",
     "\nLINKS (\n", "\nDEMANDS (\n", "\nL ( a b ) 1 ", "\nb\n"]
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.lists(_NATIVE_WORDS, max_size=40).map(" ".join))
def test_any_native_text_is_a_topology_or_refused(text):
    try:
        made = atlas_from(f"?SNDlib\nNODES (\na\n {text}".encode(), "net.txt")
    except IntentError:
        return
    assert made.switches


XML = """<?xml version="1.0"?>
<network xmlns="http://sndlib.zib.de/network" version="1.0">
 <networkStructure>
  <nodes coordinatesType="geographical">
   <node id="N1"><coordinates><x>16.4</x><y>48.2</y></coordinates></node>
   <node id="N 2"><coordinates><x>6.1</x><y>46.2</y></coordinates></node>
  </nodes>
  <links>
   <link id="L1"><source>N1</source><target>N 2</target>
    <preInstalledModule><capacity>155.0</capacity><cost>0</cost></preInstalledModule>
    <additionalModules><addModule><capacity>622</capacity><cost>9</cost></addModule>
    </additionalModules></link>
   <link id="L2"><source>N1</source><target>N 2</target>
    <additionalModules><addModule><capacity>622</capacity></addModule>
    <addModule><capacity>2488</capacity></addModule></additionalModules></link>
  </links>
 </networkStructure>
 <demands><demand id="D1"><source>N1</source><target>N 2</target>
  <demandValue>81.5</demandValue></demand></demands>
</network>"""


def test_sndlibs_own_xml_is_read():
    made = atlas_from(XML.encode(), "net.xml")
    found = {edge.name: edge for edge in made.topology.edges}
    assert made.find("N 2") == "n-2"
    assert (found["n1>n-2"].capacity, found["n-2#1>n1#1"].capacity) == (155, 2488)
    assert found["n1>n-2"].latency == pytest.approx(4.05, abs=0.1)
    assert made.demands == (Demand("n1", "n-2", 81.5),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<network>", "no element found"),
        ("<a/>", "no <network>"),
        (XML.replace("N 2", "N1"), "second node has the id 'N1'"),
        (XML.replace("<target>N 2<", "<target>N 3<"), "'N 3', which is no node"),
        (XML.replace("155.0", "many"), "no number"),
        ('<!DOCTYPE x [<!ENTITY a "aaaa">]><network/>', "entities are not read"),
    ],
)
def test_bad_xml_is_refused(text, message):
    with pytest.raises(IntentError, match=message):
        atlas_from(text.encode(), "net.xml")


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200), st.sampled_from(["x.gml", "x.json", "x.yaml", "x.xml", "x"]))
def test_any_octets_are_a_topology_or_refused(data, source):
    with suppress(IntentError):
        assert atlas_from(data, source).topology.vertices
