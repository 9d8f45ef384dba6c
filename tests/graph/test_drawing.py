# SPDX-License-Identifier: Apache-2.0
"""Topologies as tables, DOT and SVG: small ones exactly, all others as valid and whole."""

import re
import shutil
import subprocess
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vneter_sdn.graph.atlas import atlas_from, atlas_of, read_atlas
from vneter_sdn.graph.drawing import dot, edge_rows, lines, rate, vertex_rows
from vneter_sdn.graph.drawing_layout import layout
from vneter_sdn.graph.drawing_svg import svg
from vneter_sdn.graph.topology import Edge, Topology, Vertex

TOPOLOGIES = Path(__file__).parents[2] / "topologies"
SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = ['"]; x [label="', "<script>alert(1)</script>", "a\\", "&lt;", "]]>", "\x1b[31mred",
           "\ud7ff\u202e\ufffe\n\t"]  # fmt: skip


def drawn(text):
    return atlas_from(text.encode(), "net.yaml")


SMALL = drawn("""
name: small
hosts: [h1]
switches: [s1, s2]
nodes:
  s1: {label: "New York", region: us, at: [-74, 40.7]}
  s2: {drained: true, at: [-87, 41.9]}
links:
  - [h1, s1]
  - {ends: [s1, s2], capacity: 2500, latency: 5.7, cost: 3, risks: [duct]}
  - {ends: [s1, s2], disabled: true}
  - {ends: [s2, s1], capacity: 10, oneWay: true}
  - {ends: [s1, s2], capacity: 20, oneWay: true}
""")


def test_the_table_of_nodes():
    assert vertex_rows(SMALL, wide=True) == [
        ["NODE", "KIND", "LINKS", "LABEL", "SITE", "REGION", "TAGS"],
        ["s1", "switch", "3", "New York", "-", "us", "-"],
        ["s2", "switch, drained", "2", "-", "-", "-", "-"],
        ["h1", "host", "1", "-", "-", "-", "-"],
    ]


def test_the_table_of_links_has_one_row_unless_directions_differ():
    assert edge_rows(SMALL) == [
        ["FROM", "", "TO", "COST", "LATENCY", "CAPACITY", "USED", "STATE"],
        ["h1", "<->", "s1", "1", "-", "-", "-", "up"],
        ["s1", "<->", "s2", "1", "-", "-", "-", "disabled"],
        ["s1", "->", "s2", "1", "-", "20 Mbit/s", "-", "up"],
        ["s1", "<->", "s2", "3", "5.7 ms", "2.5 Gbit/s", "-", "up"],
        ["s2", "->", "s1", "1", "-", "10 Mbit/s", "-", "up"],
    ]
    wide = edge_rows(SMALL, wide=True)
    assert wide[4][8:] == ["wire", "-", "-", "-", "-", "-", "duct", "s1>s2"]


def test_what_is_measured_is_shown():
    up = Edge(
        name="a>b", reverse="b>a", source="a", target="b", utilisation=0.42, loss=0.005, mtu=1500,
        encapsulation="geneve", encrypted=True, capacity=1000, reserved=250, price=0.1,
    )  # fmt: skip
    down = replace(up, name="b>a", reverse="a>b", source="b", target="a", up=False)
    live = Topology((Vertex("a", 1), Vertex("b", 2)), (up, down))
    atlas = replace(atlas_of(live), topology=live)
    assert edge_rows(atlas, wide=True)[1:] == [
        ["a", "->", "b", "1", "-", "1 Gbit/s", "42%", "up", "tunnel geneve, encrypted", "0.50%",
         "0.1", "1500", "250 Mbit/s", "-", "-", "a>b"],
        ["b", "->", "a", "1", "-", "1 Gbit/s", "42%", "down", "tunnel geneve, encrypted", "0.50%",
         "0.1", "1500", "250 Mbit/s", "-", "-", "b>a"],
    ]  # fmt: skip
    picture = ET.fromstring(svg(atlas))
    strokes = [(one.get("class"), one.get("stroke")) for one in picture.iterfind(f"{SVG}path")][:2]
    assert strokes == [("link up one", "#2e9e5b"), ("link down one", "#2e9e5b")]


def test_the_dot_graph():
    text = """
switches: [s1, s2]
nodes: {s1: {label: "New York", at: [1, 2]}}
links: [{ends: [s1, s2], capacity: 1500}, {ends: [s1, s2], oneWay: true}]
"""
    assert dot(drawn(text)) == (
        'graph "net" {\n'
        "  graph [overlap=false, splines=true];\n"
        '  node [fontname="sans-serif", shape=box, style=rounded];\n'
        '  edge [fontname="sans-serif", fontsize=10];\n'
        '  "s1" [label="New York", pos="1,2"];\n'
        '  "s2" [label="s2"];\n'
        '  "s1" -- "s2" [label="", dir="forward", tooltip="s1#1>s2#1"];\n'
        '  "s1" -- "s2" [label="1.5 Gbit/s", tooltip="s1>s2"];\n'
        "}\n"
    )


@pytest.mark.parametrize(
    ("mbps", "said"),
    [(0.064, "64 kbit/s"), (1, "1 Mbit/s"), (999, "999 Mbit/s"), (9920, "9.92 Gbit/s"),
     (1e6, "1 Tbit/s")],
)  # fmt: skip
def test_rates_have_the_unit_that_makes_them_short(mbps, said):
    assert rate(mbps) == said


@pytest.mark.parametrize("path", sorted(TOPOLOGIES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_topology_here_is_drawn(path):
    atlas = read_atlas(path)
    picture = ET.fromstring(svg(atlas))
    width, height = (float(picture.get(name)) for name in ("width", "height"))
    circles = list(picture.iterfind(f"{SVG}circle"))
    assert {one.get("id") for one in circles} == {one.host for one in atlas.topology.vertices}
    assert all(0 < float(one.get("cx")) < width for one in circles)
    assert all(0 < float(one.get("cy")) < height for one in circles)
    assert len({(one.get("cx"), one.get("cy")) for one in circles}) == len(circles)
    links = [one for one in picture.iterfind(f"{SVG}path") if one.find(f"{SVG}title") is not None]
    assert len(links) == len(lines(atlas)) == len(atlas.links)
    assert svg(atlas) == svg(atlas)
    assert dot(atlas).count(" -- ") == len(links)


def test_parallel_links_are_not_drawn_on_one_another():
    picture = ET.fromstring(svg(drawn("switches: [a, b]\nlinks: [[a, b], [a, b], [b, a]]")))
    paths = [one.get("d") for one in picture.iterfind(f"{SVG}path") if len(one)]
    assert len(paths) == len(set(paths)) == 3


def test_a_picture_needs_nothing_from_elsewhere():
    text = svg(SMALL)
    assert re.findall(r"https?://[^\"]*", text) == ["http://www.w3.org/2000/svg"]
    assert not re.search(r"<script|<image|<use|@import|url\((?!#)|\son\w+=", text)


def _named(label):
    topology = Topology(
        (Vertex("a", 1), Vertex("b", 2, tags=frozenset({label}))),
        (Edge(name="a>b", reverse="b>a", source="a", target="b", tags=frozenset({label})),),
    )
    made = atlas_of(topology, name=label)
    labelled = {name: type(node)(label=label) for name, node in made.nodes.items()} or {
        "a": type(SMALL.nodes["s1"])(label=label)
    }
    return replace(made, topology=topology, nodes=labelled, name=label, description=label)


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(HOSTILE) | st.text(max_size=12))
def test_no_label_is_taken_for_a_command(label):
    atlas = _named(label)
    picture = ET.fromstring(svg(atlas))
    assert {one.tag for one in picture.iter()} <= {
        SVG + tag
        for tag in ["svg", "title", "style", "defs", "marker", "path", "rect", "circle", "text"]
    }
    statements = dot(atlas).splitlines()
    assert len(statements) == 8
    for line in statements:
        assert re.fullmatch(r'([^"]|"([^"\\]|\\.)*")*', line)
    for row in (*vertex_rows(atlas, wide=True), *edge_rows(atlas, wide=True)):
        assert not any(ord(letter) < 32 for cell in row for letter in cell)


@pytest.mark.skipif(not shutil.which("dot"), reason="Graphviz is not installed")
@pytest.mark.parametrize("label", HOSTILE)
def test_graphviz_reads_what_we_write(label):
    ended = subprocess.run(
        ["dot", "-Tsvg"], input=dot(_named(label)).encode(), capture_output=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, b"")


@pytest.mark.parametrize(
    "text",
    [
        "switches: [a]",
        "switches: [a, b]",
        "hosts: [a]",
        "switches: [a, b, c, d, e]\nlinks: [[a, b], [c, d], [d, e], [e, c]]",
        "switches: [a, b]\nnodes: {a: {at: [0, 0]}, b: {at: [0, 0]}}\nlinks: [[a, b]]",
        "switches: [a, b]\nnodes: {a: {at: [1e9, -1e9]}, b: {at: [0, 1]}}",
        "hosts: [h]\nswitches: [a]\nnodes: {a: {at: [5, 5]}}",
    ],
)
def test_odd_topologies_are_drawn_as_well(text):
    picture = svg(drawn(text))
    assert ET.fromstring(picture).tag == f"{SVG}svg"
    assert not re.search(r"\b(nan|inf)\b", picture.split("</style>")[1])


def test_a_fabric_is_drawn_in_layers():
    points = layout(read_atlas(TOPOLOGIES / "leaf-spine.yaml"))
    levels = {name.rstrip("0123456789"): y for name, (_, y) in points.items()}
    assert levels["h"] < levels["leaf"] < levels["spine"]


def test_a_large_topology_is_drawn():
    names = [f"n{number}" for number in range(900)]
    ring = ", ".join(f"[{one}, {other}]" for one, other in zip(names, names[7:], strict=False))
    chain = ", ".join(f"[{one}, {other}]" for one, other in pairwise(names))
    picture = ET.fromstring(svg(drawn(f"switches: [{', '.join(names)}]\nlinks: [{ring}, {chain}]")))
    assert len(list(picture.iterfind(f"{SVG}circle"))) == 900
