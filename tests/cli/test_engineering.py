# SPDX-License-Identifier: Apache-2.0
"""vneterctl te: plans for topology files, near the bound on real networks."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from vneter_sdn.model import traffic
from vneter_sdn.model.snapshot import Key, Status
from vneter_sdn.model.traffic import Volume

TOPOLOGIES = Path(__file__).parents[2] / "topologies"
TRIANGLE = """\
switches: [a, b, c]
links:
  - {ends: [a, b], capacity: 100}
  - {ends: [a, c], capacity: 100}
  - {ends: [c, b], capacity: 100}
"""


@pytest.fixture
def triangle(tmp_path):
    path = tmp_path / "triangle.yaml"
    path.write_text(TRIANGLE)
    return path


def demands(tmp_path, text):
    path = tmp_path / "demands.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", ["abilene", "geant"])
def test_published_demands_come_within_three_percent_of_the_bound(vneterctl, name):
    ended = vneterctl("te", "--topology", TOPOLOGIES / f"{name}.yaml", "-o", "json")
    assert ended.code == 0, ended.err
    use = json.loads(ended.out)["max_utilisation"]
    assert use["lp_bound"] <= use["ours"] <= use["lp_bound"] * 1.03
    assert use["lp_bound"] < use["ecmp"] <= use["shortest_path"]


def test_the_document_adds_up(vneterctl, triangle, tmp_path):
    wanted = demands(tmp_path, "[[a, b, 120], [c, b, 10]]")
    arguments = ("te", "--topology", triangle, "--demands", wanted, "-o", "json")
    plan = json.loads(vneterctl(*arguments).out)
    assert plan["max_utilisation"]["shortest_path"] == pytest.approx(1.2)
    assert plan["max_utilisation"]["lp_bound"] == pytest.approx(0.65, abs=1e-3)
    loads = {}
    for path in plan["paths"]:
        assert path["mbps"] == pytest.approx(path["demand_mbps"] * path["share"])
        for ends in zip(path["nodes"], path["nodes"][1:], strict=False):
            loads[ends] = loads.get(ends, 0) + path["mbps"]
    assert max(loads.values()) / 100 == pytest.approx(plan["max_utilisation"]["ours"])
    assert {(link["source"], link["target"]): link["mbps"] for link in plan["links"]} == {
        (a, b): pytest.approx(loads.get((a, b), 0)) for a in "abc" for b in "abc" if a != b
    }


def test_a_bound_on_moves_is_kept(vneterctl, triangle, tmp_path):
    first = ("te", "--topology", triangle, "-o", "json", "--demands")
    plan = tmp_path / "plan.json"
    plan.write_text(vneterctl(*first, demands(tmp_path, "[[a, b, 10], [c, b, 90]]")).out)
    later = (*first, demands(tmp_path, "[[a, b, 150]]"), "--previous", plan, "--max-moves")
    still, moved = (json.loads(vneterctl(*later, n).out) for n in (0, 2))
    assert (still["moved"], still["max_utilisation"]["ours"]) == (0, pytest.approx(1.5))
    assert (moved["moved"], moved["max_utilisation"]["ours"]) == (2, pytest.approx(0.75))


def test_text_tells_the_bound_and_csv_the_paths(vneterctl, triangle, tmp_path):
    wanted = demands(tmp_path, "[[a, b, 50]]")
    ended = vneterctl("te", "--topology", triangle, "--demands", wanted)
    assert "bound (any routing)   25.0 %" in ended.out
    written = vneterctl("te", "--topology", triangle, "--demands", wanted, "-o", "csv").out
    rows = list(csv.DictReader(io.StringIO(written)))
    assert {row["path"] for row in rows} == {"a > b", "a > c > b"}


def test_without_demands_a_gravity_model_is_said_to_be_used(vneterctl, triangle):
    ended = vneterctl("te", "--topology", triangle)
    assert ended.code == 0
    assert "gravity" in ended.err


def test_demands_that_are_all_nothing_are_no_reason_to_invent_others(vneterctl, tmp_path):
    path = tmp_path / "idle.yaml"
    path.write_text("switches: [a, b]\nlinks: [[a, b]]\ndemands: [[a, b, 0], [a, a, 5]]\n")
    plan = json.loads(vneterctl("te", "--topology", path, "-o", "json").out)
    assert plan["demands"] == "topology"
    assert plan["paths"] == []
    assert set(plan["max_utilisation"].values()) == {0}


def test_demands_without_a_way_are_named(vneterctl, tmp_path):
    path = tmp_path / "parts.yaml"
    path.write_text("switches: [a, b, c]\nlinks: [[a, b]]\ndemands: [[a, c, 1], [a, b, 1]]\n")
    ended = vneterctl("te", "--topology", path, "-o", "json")
    assert [d["target"] for d in json.loads(ended.out)["unrouted"]] == ["c"]
    assert "a to c" in vneterctl("te", "--topology", path).err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--demands", "missing.yaml"], 1, "cannot be read"),
        (["--max-moves", "3"], 2, "--previous"),
        (["--previous", "missing.json"], 1, "cannot be read"),
        (["-o", "xml"], 2, "text, json, yaml, csv"),
        (["-k", "0"], 2, "-k"),
    ],
)
def test_bad_input_is_refused(vneterctl, triangle, arguments, code, message):
    ended = vneterctl("te", "--topology", triangle, *arguments)
    assert ended.code == code
    assert message in ended.err
    assert not ended.out


@pytest.mark.parametrize("text", ["", "[]", "{", '{"paths": [{"edges": 3}]}', "[" * 100_000])
def test_what_is_no_plan_is_refused(vneterctl, triangle, tmp_path, text):
    plan = tmp_path / "plan.json"
    plan.write_text(text)
    ended = vneterctl("te", "--topology", triangle, "--previous", plan)
    assert (ended.code, ended.out) == (1, "")
    assert "no plan" in ended.err


ZOO = """\
graph [
  node [ id 0 label "New York" ]
  node [ id 1 label "Paris" ]
  node [ id 2 label "Paris" ]
  edge [ source 0 target 1 ]
  edge [ source 1 target 2 ]
]
"""


def test_nodes_are_called_as_their_file_does_in_plans_and_in_paths(vneterctl, tmp_path):
    zoo, own = tmp_path / "zoo.gml", tmp_path / "own.yaml"
    zoo.write_text(ZOO)
    own.write_text(
        "switches: [a, b]\nnodes: {a: {label: New York}}\nlinks: [[a, b]]\ndemands: [[a, b, 1]]"
    )
    wanted = tmp_path / "d.csv"
    wanted.write_text("from,to,mbps\n0,2,7\n")
    plan = json.loads(vneterctl("te", "--topology", zoo, "--demands", wanted, "-o", "json").out)
    found = json.loads(vneterctl("path", "--topology", zoo, "0", "2", "-o", "json").out)
    assert (
        plan["paths"][0]["nodes"] == found["paths"][0]["nodes"] == ["New York", "paris", "paris-2"]
    )
    assert (found["source"], found["target"]) == ("New York", "paris-2")
    assert plan["nodes"][0] == {"name": "New York", "label": "New York", "id": "0"}
    plan = json.loads(vneterctl("te", "--topology", own, "-o", "json").out)
    found = json.loads(vneterctl("path", "--topology", own, "New York", "b", "-o", "json").out)
    assert plan["paths"][0]["nodes"] == found["paths"][0]["nodes"] == ["a", "b"]
    assert found["paths"][0]["labels"] == ["New York", "b"]


def test_end_hosts_carry_nobody_elses_traffic(vneterctl, tmp_path):
    path = tmp_path / "n.yaml"
    path.write_text(
        "hosts: [h]\nswitches: [a, b, c]\nlinks: [[a, h], [h, b], [a, c], [c, b]]\n"
        "demands: [[a, b, 100]]"
    )
    plan = json.loads(vneterctl("te", "--topology", path, "-o", "json").out)
    assert [one["nodes"] for one in plan["paths"]] == [["a", "c", "b"]]


def test_networks_that_count_in_small_units(vneterctl, tmp_path):
    path = tmp_path / "n.json"
    path.write_text('{"nodes": ["a", "b"], "links": [[0, 1, 1, 1e10]], "demands": [[0, 1, 1e9]]}')
    plan = json.loads(vneterctl("te", "--topology", path, "-o", "json").out)
    assert plan["max_utilisation"]["ours"] == pytest.approx(0.1)


def test_thirds_are_nearly_thirds(vneterctl, tmp_path):
    path = tmp_path / "n.yaml"
    link = "{ends: [a, b], capacity: 100}"
    path.write_text(f"switches: [a, b]\nlinks: [{link}, {link}, {link}]\ndemands: [[a, b, 300]]")
    use = json.loads(vneterctl("te", "--topology", path, "-o", "json").out)["max_utilisation"]
    assert use["lp_bound"] == pytest.approx(1)
    assert use["ours"] <= 1.01


def test_help_tells_every_field(vneterctl, triangle, tmp_path):
    plan = json.loads(vneterctl("te", "--topology", triangle, "-o", "json").out)
    told = vneterctl("te", "--help").out
    fields = {*plan, *plan["max_utilisation"], *plan["paths"][0], *plan["links"][0]}
    assert not [name for name in (*fields, *plan["nodes"][0]) if f'"{name}"' not in told]


@pytest.fixture
def measured(vneterctl, store, server, tmp_path):
    """A controller with a ring of four hosts, and an engineered policy that was measured."""
    wires = (("r1", "r2"), ("r2", "r3"), ("r3", "r4"), ("r4", "r1"))
    objects = [
        {"kind": "Host", "metadata": {"name": f"r{n}"}, "spec": {"datapathId": f"{n:016x}"}}
        for n in range(1, 5)
    ]
    for one, other in wires:
        spec = {"source": one, "sourcePort": f"w-{other}", "target": other}
        spec |= {"targetPort": f"w-{one}", "medium": "wire", "capacityMbps": 100}
        objects.append({"kind": "Link", "metadata": {"name": f"{one}-{other}"}, "spec": spec})
    for name, sharing in (("p", "engineered"), ("q", "equal")):
        objects.append(
            {"kind": "PathPolicy", "metadata": {"name": name}, "spec": {"sharing": sharing}}
        )
    demand = {"source": "r2", "target": "r4", "mbps": 10}
    objects.append({"kind": "Demand", "metadata": {"name": "d"}, "spec": demand})
    file = tmp_path / "ring.yaml"
    documents = (json.dumps({"apiVersion": "vneter.io/v1", **one}) for one in objects)
    file.write_text("\n---\n".join(documents))
    assert vneterctl("apply", "-f", file).code == 0
    matrix = {("r1", "r3"): Volume(80, 2), ("r2", "r4"): Volume(50, 0)}
    route = "r1:w-r2>r2:w-r1 r2:w-r3>r3:w-r2"
    details = {
        "measured": traffic.told(matrix),
        "measuredAt": "2026-01-02T03:04:05Z",
        "unmeasured": ["r4"],
        "plan": {"r1>r3": [{"route": route, "weight": 256}]},
    }
    store.report([Status(Key("PathPolicy", "", "p"), 1, (), details)])


def test_the_traffic_of_a_controller_is_planned_as_it_is_measured(vneterctl, measured):
    ended = vneterctl("te", "-o", "json")
    assert ended.code == 0, ended.err
    found = json.loads(ended.out)
    sent = {(p["source"], p["target"]): p["demand_mbps"] for p in found["paths"]}
    assert sent == {("r1", "r3"): 80, ("r3", "r1"): 2, ("r2", "r4"): 10}, "declared comes first"
    assert found["demands"] == "declared and measured"
    assert found["max_utilisation"]["ours"] < found["max_utilisation"]["shortest_path"]
    assert any("as of 2026-01-02T03:04:05Z" in note for note in found["notes"])
    assert any("r4" in note for note in found["notes"])
    still = json.loads(vneterctl("te", "-o", "json", "--max-moves", "0", "--policy", "p").out)
    [kept] = [p for p in still["paths"] if (p["source"], p["target"]) == ("r1", "r3")]
    assert kept["nodes"] == ["r1", "r2", "r3"], "the plan in force"


def test_only_engineered_policies_have_traffic(vneterctl, measured):
    assert "not engineered" in vneterctl("te", "--policy", "q").err
    assert vneterctl("te", "--policy", "none").code
