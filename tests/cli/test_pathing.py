# SPDX-License-Identifier: Apache-2.0
"""``vneterctl path``, on files and against a server."""

from __future__ import annotations

import json

import pytest
import yaml

FILE = """\
switches: [a, b, c, d]
links:
  - {ends: [a, b], latency: 1, cost: 1, capacity: 100, risks: [duct]}
  - {ends: [b, d], latency: 1, cost: 1, capacity: 40}
  - {ends: [a, c], latency: 2, cost: 2, capacity: 100, risks: [duct]}
  - {ends: [c, d], latency: 2, cost: 2, capacity: 100, encrypted: true}
  - {ends: [a, d], latency: 9, cost: 1, capacity: 10}
"""
GML = """\
graph [
  multigraph 1
  node [ id 0 label "New York" ]
  node [ id 1 label "Chicago" ]
  node [ id 2 label "Denver" ]
  edge [ source 0 target 1 ]
  edge [ source 1 target 2 ]
  edge [ source 1 target 2 ]
]
"""
PATH = {
    *("nodes", "labels", "edges", "hops", "cost", "latencyMs", "price", "loss"),
    *("bottleneckMbps", "mtu", "objective"),
}


@pytest.fixture
def file(tmp_path):
    (tmp_path / "net.yaml").write_text(FILE, "utf-8")
    return tmp_path / "net.yaml"


@pytest.fixture
def asked(vneterctl, file):
    """What a question about the file is answered in JSON, and the exit code."""

    def ask(*arguments):
        ended = vneterctl("path", "--topology", file, *arguments, "-o", "json")
        return ended.code, json.loads(ended.out)

    return ask


def nodes(paths):
    return ["".join(path["nodes"]) for path in paths]


def test_the_best_paths_in_order(asked):
    code, found = asked("a", "d", "-k", "9", "--objective", "latency")
    assert code == 0
    assert nodes(found["paths"]) == ["abd", "acd", "ad"]
    assert [path["objective"] for path in found["paths"]] == [2, 4, 9]
    assert found["backup"] is found["refusal"] is None


def test_json_has_the_documented_form(asked, vneterctl):
    _, found = asked("a", "d", "--disjoint", "link", "--objective", "latency=1,price=0.5")
    (path,), backup = found["paths"], found["backup"]
    assert set(found) == {
        *("source", "target", "objective", "paths", "backup", "rejected", "refusal", "shortfall")
    }
    assert (found["source"], found["target"]) == ("a", "d")
    assert found["objective"] == {"latency": 1, "price": 0.5}
    assert set(path) == PATH | {"weight", "steps"}
    assert set(backup) == PATH
    assert all(set(one) == PATH | {"reason"} for one in found["rejected"])
    assert path["edges"] == ["a>b", "b>d"]
    assert (path["cost"], path["latencyMs"], path["bottleneckMbps"]) == (2, 2, 40)
    assert [step["edge"] for step in path["steps"]] == path["edges"]
    assert [step["adds"]["latency"] for step in path["steps"]] == [1, 1]
    for name in (*PATH, "weight", "steps", "reason", "nearest", *path["steps"][0]):
        assert f'"{name}"' in vneterctl("path", "--help").out


def test_a_disjoint_pair_has_the_least_sum(asked):
    _, found = asked("a", "d", "--disjoint", "node", "--objective", "latency")
    assert nodes([*found["paths"], found["backup"]]) == ["abd", "acd"]
    _, found = asked("a", "d", "--disjoint", "risk", "--objective", "latency")
    assert nodes([*found["paths"], found["backup"]]) == ["abd", "ad"]
    _, found = asked("a", "d", "--disjoint", "link", "-k", "3")
    assert sorted(nodes(found["paths"])) == ["abd", "acd", "ad"]


def test_what_cannot_be_disjoint_is_said(vneterctl, tmp_path):
    (tmp_path / "zoo.gml").write_text(GML, "utf-8")
    ended = vneterctl(
        *("path", "--topology", tmp_path / "zoo.gml", "New York", "denver"),
        *("--disjoint", "link", "-o", "json"),
    )
    found = json.loads(ended.out)
    assert ended.code == 0
    assert found["paths"][0]["labels"] == ["New York", "Chicago", "Denver"]
    assert found["backup"] is None
    assert "every way crosses link new-york>chicago" in found["shortfall"]


def test_a_refusal_is_an_exit_code_and_says_what_would_do(asked, vneterctl, file):
    code, found = asked("a", "d", "--objective", "latency", "--max-latency", "1.5")
    assert code == 1
    assert found["paths"] == []
    assert found["refusal"]["constraints"] == ["maxLatencyMs"]
    assert found["refusal"]["nearest"][0]["value"] == "2"
    assert found["refusal"]["edges"] == ["a>b", "b>d"]
    assert found["rejected"][0]["reason"].startswith("maxLatencyMs 1.5: it has 2")
    ended = vneterctl("path", "--topology", file, "a", "d", "--max-latency", "1.5")
    assert ended.code == 1
    assert "the quickest path a>b>d takes 2 ms; maxLatencyMs 2 would do" in ended.err


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--max-hops", "1"], "ad"),
        (["--min-bandwidth", "50"], "acd"),
        (["--waypoint", "c"], "acd"),
        (["--objective", "latency"], "abd"),
        (["--objective", "cost"], "ad"),
        (["--objective", "hops"], "ad"),
        (["--objective", "latency", "--max-hops", "1"], "ad"),
        (["--objective", "latency", "--waypoint", "c,b"], None),
        (["--encrypted"], None),
        (["--max-loss", "0"], "ad"),
        (["--max-price", "0"], "ad"),
        (["--region", "eu"], None),
        (["--require", "gold"], None),
        (["--avoid", "gold"], "ad"),
        (["--min-mtu", "100000"], None),
    ],
)
def test_options_reach_the_choice(asked, options, expected):
    code, found = asked("a", "d", *options)
    assert code == (0 if expected else 1)
    assert nodes(found["paths"]) == ([expected] if expected else [])


def test_sharing(asked):
    _, found = asked("a", "d", "-k", "2", "--objective", "latency", "--sharing", "unequal")
    assert [path["weight"] for path in found["paths"]] == [2, 1]


def test_for_reading(vneterctl, file):
    ended = vneterctl("path", "--topology", file, "a", "d", "--objective", "latency", "-k", "2")
    assert ended.code == 0
    for words in (
        "1. a>b>d: objective 2, 2 hops, 2 ms, 1 of 2 shares",
        "ADDS",
        "latency 1",
        "not chosen:",
        "latency 9, 7 more than the best",
    ):
        assert words in ended.out


def test_end_hosts_carry_nobody_elses_traffic(vneterctl, tmp_path):
    (tmp_path / "n.yaml").write_text(
        "hosts: [h]\nswitches: [a, b, c]\nlinks: [[a, h], [h, b], [a, c], [c, b]]\n", "utf-8"
    )
    ended = vneterctl("path", "--topology", tmp_path / "n.yaml", "a", "b", "-k", "5", "-o", "yaml")
    assert nodes(yaml.safe_load(ended.out)["paths"]) == ["acb"]


def test_a_policy_in_a_file_and_options_over_it(asked, tmp_path):
    manifest = tmp_path / "gold.yaml"
    manifest.write_text(
        "apiVersion: vneter.io/v1\nkind: PathPolicy\nmetadata: {name: gold}\n"
        "spec: {objective: latency, paths: 2, constraints: {maxLatencyMs: 5}}\n",
        "utf-8",
    )
    _, found = asked("a", "d", "--policy", manifest)
    assert nodes(found["paths"]) == ["abd", "acd"]
    _, found = asked("a", "d", "--policy", manifest, "-k", "1", "--waypoint", "c")
    assert nodes(found["paths"]) == ["acd"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["a", "a"], 2),
        (["a", "x"], 3),
        (["a", "d", "--objective", "speed"], 2),
        (["a", "d", "--objective", "latency=fast"], 2),
        (["a", "d", "--objective", "latency=-1"], 2),
        (["a", "d", "--disjoint", "rack"], 2),
        (["a", "d", "--sharing", "half"], 2),
        (["a", "d", "-o", "xml"], 2),
        (["a", "d", "-k", "0"], 2),
        (["a", "d", "--max-latency", "nan"], 2),
        (["a", "d", "--min-bandwidth", "nan"], 2),
        (["a", "d", "--waypoint", "y"], 3),
    ],
)
def test_wrong_command_lines(vneterctl, file, arguments, code):
    ended = vneterctl("path", "--topology", file, *arguments)
    assert ended.code == code
    assert ended.err
    assert ended.out == ""


def test_nodes_that_are_not_there_are_told_where_to_look(vneterctl, file, tmp_path):
    ended = vneterctl("path", "--topology", file, "a", "dd")
    assert "near it are 'd'" in ended.err
    assert "vneterctl topology --topology" in ended.err
    (tmp_path / "d.csv").write_text("a,x,1")
    ended = vneterctl("te", "--topology", file, "--demands", tmp_path / "d.csv")
    assert ended.code == 3
    assert "no node 'x'" in ended.err
    assert "vneterctl topology --topology" in ended.err


FLEET = """\
apiVersion: vneter.io/v1
kind: Tenant
metadata: {name: red}
spec: {}
---
apiVersion: vneter.io/v1
kind: Network
metadata: {name: web, tenant: red}
spec: {prefixes: [10.0.0.0/24]}
---
apiVersion: vneter.io/v1
kind: PathPolicy
metadata: {name: gold}
spec: {objective: latency, paths: 2, sharing: unequal}
"""
HOST = """\
---
apiVersion: vneter.io/v1
kind: Host
metadata: {name: HOST}
spec: {ovsdb: "unix:/run/HOST.sock", tunnelAddresses: [192.0.2.NUMBER]}
---
apiVersion: vneter.io/v1
kind: Endpoint
metadata: {name: at-HOST, tenant: red}
spec: {network: web, host: HOST}
"""


def test_against_a_server_between_endpoints(vneterctl, server, tmp_path):
    hosts = (HOST.replace("HOST", f"h{n}").replace("NUMBER", str(n)) for n in (1, 2, 3))
    (tmp_path / "fleet.yaml").write_text(FLEET + "".join(hosts), "utf-8")
    assert vneterctl("apply", "-f", tmp_path / "fleet.yaml").code == 0
    ended = vneterctl("path", "red/at-h1", "red/at-h2", "--policy", "gold", "-o", "json")
    assert ended.code == 0, ended.err
    found = json.loads(ended.out)
    assert nodes(found["paths"]) == ["h1h2", "h1h3h2"]
    assert [path["weight"] for path in found["paths"]] == [2, 1]
    assert vneterctl("path", "h1", "h9").code == 3
    assert vneterctl("path", "red/at-h1", "red/nobody").code == 3
    assert vneterctl("path", "h1", "h2", "--policy", "lead").code == 3
