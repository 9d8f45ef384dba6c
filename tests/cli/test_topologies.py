# SPDX-License-Identifier: Apache-2.0
"""``vneterctl topology``: a file or the server's graph, shown, drawn and converted."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from vneter_sdn.cli import topologies
from vneter_sdn.graph.atlas import atlas_from, read_atlas
from vneter_sdn.graph.atlas.exchange import topology_document

TOPOLOGIES = Path(__file__).parents[2] / "topologies"
GML = (
    'graph [ label "two" node [ id 0 label "New York" ] node [ id 1 ] edge [ source 0 target 1 ] ]'
)
SHOWN = """\
two
  2 switches, 0 hosts, 1 links, 0 demands

NODE       KIND     LINKS   LABEL
new-york   switch   1       New York
n1         switch   1       -

FROM         TO         COST   LATENCY   CAPACITY   USED   STATE
n1     <->   new-york   1      -         -          -      up
"""


@pytest.fixture
def zoo(tmp_path):
    path = tmp_path / "two.gml"
    path.write_text(GML)
    return path


def test_a_file_is_shown_as_aligned_tables(vneterctl, zoo):
    ended = vneterctl("topology", "--topology", zoo)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == SHOWN


def test_a_file_is_converted_to_our_form(vneterctl, zoo):
    ended = vneterctl("topology", "--topology", zoo, "-o", "yaml")
    assert atlas_from(ended.out.encode(), "x.yaml") == read_atlas(zoo)


@pytest.mark.parametrize("name", ["leaf-spine", "geant"])
def test_each_format_is_what_it_says(vneterctl, name):
    path = TOPOLOGIES / f"{name}.yaml"
    told = {
        form: vneterctl("topology", "--topology", path, "-o", form)
        for form in topologies.FORMATS[:-1]
    }
    assert {ended.code for ended in told.values()} == {0}
    assert json.loads(told["json"].out) == topology_document(read_atlas(path).topology)
    assert atlas_from(told["yaml"].out.encode(), "x.yaml") == read_atlas(path)
    assert ET.fromstring(told["svg"].out).tag.endswith("svg")
    assert told["dot"].out.startswith(f'graph "{name}" {{\n')
    assert "EDGE" in told["wide"].out
    assert "EDGE" not in told["text"].out


def test_standard_input_is_a_file_too(vneterctl):
    ended = vneterctl("topology", "--topology", "-", "-o", "dot", stdin=GML.encode())
    assert '"n1" -- "new-york"' in ended.out


def test_what_is_odd_about_a_file_is_said(vneterctl, tmp_path):
    path = tmp_path / "odd.yaml"
    path.write_text("switches: [a, b]\nlinks: [[a, a]]")
    ended = vneterctl("topology", "--topology", path)
    assert ended.code == 0
    assert f"warning: {path}:2: the link from a to itself is left out" in ended.err
    assert "there are no links" in ended.out


def test_a_bad_file_is_refused_with_its_place(vneterctl, tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text("switches: [a, b]\nlinks:\n  - {ends: [a, b], capacity: 0}")
    ended = vneterctl("topology", "--topology", path)
    assert ended.code == 1
    assert f"error: {path}:3: links[0].capacity: the link a - b has a capacity of 0" in ended.err


def test_a_format_that_is_none_is_a_usage_error(vneterctl, zoo):
    ended = vneterctl("topology", "--topology", zoo, "-o", "png")
    assert (ended.code, ended.out) == (2, "")
    assert "it is one of text, wide, json, yaml, dot, svg" in ended.err


def test_without_a_file_the_servers_graph_is_shown(capsys):
    class Paper:
        def topology(self):
            live = topology_document(read_atlas(TOPOLOGIES / "ring.yaml").topology)
            live["edges"][0] |= {"utilisation": 0.5, "up": False, "unheardOf": 1}
            return live

    topologies.show(Paper, "", "text")
    assert "50%" in capsys.readouterr().out
    topologies.show(Paper, "", "yaml")
    again = atlas_from(capsys.readouterr().out.encode(), "live.yaml")
    assert len(again.topology.edges) == 24
    assert sum(edge.disabled for edge in again.topology.edges) == 1


def test_the_servers_graph_is_asked_for(server, vneterctl):
    ended = vneterctl("topology", "-o", "json")
    assert (ended.code, json.loads(ended.out)) == (0, {"vertices": [], "edges": []})
    for form in ("text", "wide", "dot", "svg"):
        assert vneterctl("topology", "-o", form).code == 0, form
