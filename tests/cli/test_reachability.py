# SPDX-License-Identifier: Apache-2.0
"""vneterctl reachability: the cases of tests/policy through the command, and what it takes."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parents[1] / "policy"))
from case_files import Case, load

CASES = {case.name: case for case in load()}
SAMPLE = sorted(CASES)[::9]
PODS = """\
apiVersion: v1
kind: Pod
metadata: {name: a, namespace: x, labels: {app: web, example.com/tier: front}}
spec: {nodeName: one}
---
apiVersion: v1
kind: Pod
metadata: {name: b, namespace: x, labels: {app: db}}
spec: {nodeName: two}
---
apiVersion: v1
kind: Namespace
metadata: {name: y, labels: {team: y}}
---
apiVersion: v1
kind: Pod
metadata: {name: a, namespace: y, labels: {app: web}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web, namespace: x}
spec:
  podSelector: {matchLabels: {app: web}}
  policyTypes: [Ingress, Egress]
  ingress:
  - from:
    - podSelector: {}
    - ipBlock: {cidr: 198.51.100.0/24}
    - ipBlock: {cidr: "2001:db8::/32"}
    ports: [{port: 8080}]
"""


@pytest.fixture
def pods(tmp_path):
    path = tmp_path / "pods.yaml"
    path.write_text(PODS, "utf-8")
    return path


@pytest.fixture
def matrix(vneterctl, pods):
    """Rows of the command by from, to and port."""

    def ask(*words):
        ended = vneterctl("reachability", "--offline", pods, "-o", "json", *words)
        assert ended.code == 0, ended.err
        return {(row["from"], row["to"], row["port"]): row for row in json.loads(ended.out)}

    return ask


def _said(case: Case, vneterctl, directory: Path, way: list[str]):
    path = directory / "case.yaml"
    path.write_text(yaml.safe_dump_all(case.manifests), "utf-8")
    names = [f"{name}={','.join(found)}" for name, found in case.domains.items()]
    words = [word for name in names for word in ("--resolve", name)]
    ended = vneterctl(
        "reachability", "--offline", directory, "--ports", ",".join(case.ports), "-o", "json",
        *words, *way,
    )  # fmt: skip
    assert ended.code == 0, ended.err
    return {(row["from"], row["to"], row["port"]): row for row in json.loads(ended.out)}


@pytest.mark.parametrize("name", SAMPLE)
def test_a_sample_of_the_cases(vneterctl, tmp_path, name):
    case = CASES[name]
    everybody = [f"--from={end}" for end in ("*", *case.outside)]
    everybody += [f"--to={end}" for end in ("*", *case.outside)]
    found = _said(case, vneterctl, tmp_path, everybody if case.outside else [])
    rows = list(case.rows())
    assert len(found) == len(rows)
    wrong = []
    for row in rows:
        said = found[row.source, row.target, row.port]
        if said["rule"] != "no such address" and said["allowed"] != (row.verdict == "allow"):
            wrong.append(f"{row}: {said}")
        if row.source == row.target:
            assert said == {**said, "allowed": True, "rule": "self"}
    assert not wrong, "\n".join(wrong[:10])


def test_the_shape_of_a_row(matrix):
    rows = matrix("--ports", "tcp/8080,udp/53")
    assert len(rows) == 3 * 3 * 2
    assert rows["x/b", "x/a", "tcp/8080"] == {
        "from": "x/b",
        "to": "x/a",
        "port": "tcp/8080",
        "allowed": True,
        "rule": "NetworkPolicy x/web ingress[0]",
    }
    said = {key: row["rule"] for key, row in rows.items()}
    assert said["x/b", "x/a", "udp/53"] == "NetworkPolicy x/web (isolates ingress)"
    assert said["x/a", "x/b", "udp/53"] == "NetworkPolicy x/web (isolates egress)"
    assert said["x/b", "y/a", "udp/53"] == "default"
    assert said["x/a", "x/a", "udp/53"] == "self"
    assert list(rows) == sorted(rows, key=lambda key: key[:2])


def test_without_ports_those_that_are_named(vneterctl, matrix, tmp_path):
    assert {port for _, _, port in matrix()} == {"tcp/8080"}
    plain = tmp_path / "other" / "plain.yaml"
    plain.parent.mkdir()
    plain.write_text("---\n".join(PODS.split("---\n")[:2]), "utf-8")
    ended = vneterctl("reachability", "--offline", plain, "-o", "json")
    assert {row["port"] for row in json.loads(ended.out)} == {"tcp/80"}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("*", ["x/a", "x/b", "y/a"]),
        ("x/a", ["x/a"]),
        ("x/*", ["x/a", "x/b"]),
        ("*/a", ["x/a", "y/a"]),
        ("cluster/x/b", ["x/b"]),
        ("app=web", ["x/a", "y/a"]),
        ("app in (db,cache)", ["x/b"]),
        ("app!=web", ["x/b"]),
        ("ns:team=y", ["y/a"]),
        ("ns:!team", ["x/a", "x/b"]),
        ("ns:kubernetes.io/metadata.name=x", ["x/a", "x/b"]),
        ("x/*,app=db", ["x/b"]),
        ("x/b,y/a", ["x/b", "y/a"]),
        ("label:example.com/tier", ["x/a"]),
        ("example.com/tier=front", ["x/a"]),
    ],
)
def test_selectors(matrix, text, names):
    assert [key[0] for key in matrix("--from", text, "--to", "y/a")] == names


def test_addresses_outside(matrix):
    rows = matrix("--from", "198.51.100.7,203.0.113.1", "--from", "2001:0db8::7")
    said = {key[:2]: (row["allowed"], row["rule"]) for key, row in rows.items()}
    assert said["198.51.100.7", "x/a"] == (True, "NetworkPolicy x/web ingress[0]")
    assert said["203.0.113.1", "x/a"] == (False, "NetworkPolicy x/web (isolates ingress)")
    assert said["2001:db8::7", "x/a"] == (True, "NetworkPolicy x/web ingress[0]")
    assert said["203.0.113.1", "x/b"] == (True, "default")
    back = matrix("--from", "x/*", "--to", "10.0.0.1", "--ports", "tcp/1")
    assert back["x/a", "10.0.0.1", "tcp/1"]["rule"] == "NetworkPolicy x/web (isolates egress)"
    assert back["x/b", "10.0.0.1", "tcp/1"]["allowed"]


def test_an_address_of_an_endpoint_is_the_endpoint(vneterctl, tmp_path):
    case = CASES[SAMPLE[0]]
    (tmp_path / "w.yaml").write_text(yaml.safe_dump_all(case.manifests), "utf-8")
    words = ("--from", "10.244.1.11", "--to", "fd00:10:244:1::12", "--ports", "6:tcp/80,icmpv6/128")
    ended = vneterctl("reachability", "--offline", tmp_path, *words, "-o", "json")
    rows = json.loads(ended.out)
    assert [(row["from"], row["to"], row["port"]) for row in rows] == [
        ("x/a", "x/b", "6:tcp/80"),
        ("x/a", "x/b", "icmpv6/128"),
    ]


def test_tenants_are_apart_and_names_say_which(vneterctl, red, tmp_path):
    one = red.read_text("utf-8").replace("{network: web}", "{network: web, host: h1}")
    host = (
        "---\napiVersion: vneter.io/v1\nkind: Host\nmetadata: {name: h1}\n"
        'spec: {ovsdb: "unix:/run/h1.sock", tunnelAddresses: [192.0.2.1]}\n'
    )
    path = tmp_path / "two" / "both.yaml"
    path.parent.mkdir()
    path.write_text("---\n".join([one, one.replace("red", "blue")]) + host, "utf-8")
    ended = vneterctl("reachability", "--offline", path, "-o", "json")
    assert ended.code == 0, ended.err
    said = {
        (row["from"], row["to"]): (row["allowed"], row["rule"]) for row in json.loads(ended.out)
    }
    assert said == {
        ("blue/a", "blue/a"): (True, "self"),
        ("blue/a", "red/a"): (False, "tenants"),
        ("red/a", "blue/a"): (False, "tenants"),
        ("red/a", "red/a"): (True, "self"),
    }


def test_namespaces_of_the_same_name_are_told_apart(vneterctl, tmp_path):
    documents = [
        {"kind": kind, "metadata": {"name": name} | tenanted, "spec": spec}
        for tenant in ("red", "blue")
        for kind, name, tenanted, spec in (
            ("Tenant", tenant, {}, {}),
            ("Network", "n", {"tenant": tenant}, {"prefixes": ["10.0.0.0/24"]}),
            ("Namespace", "x", {"tenant": tenant}, {}),
            ("Endpoint", "x.a", {"tenant": tenant}, {"network": "n", "namespace": "x"}),
        )
    ]
    path = tmp_path / "own.yaml"
    path.write_text(
        yaml.safe_dump_all({"apiVersion": "vneter.io/v1", **one} for one in documents), "utf-8"
    )
    ended = vneterctl("reachability", "--offline", path, "--to", "red/x/a", "-o", "json")
    rows = {row["from"]: row["rule"] for row in json.loads(ended.out)}
    assert rows == {"blue/x/a": "not attached", "red/x/a": "self"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--ports", "tcp"), "'tcp' is no port"),
        (("--ports", "tcp/0"), "'tcp/0' is no port"),
        (("--ports", "tcp/80/1"), "'tcp/80/1' is no port"),
        (("--ports", "http/80"), "'http/80' is no port"),
        (("--ports", "icmp/256"), "'icmp/256' is no port"),
        (("--from", "web1"), "'web1' names nobody"),
        (("--from", "x/"), "'x/' names nobody"),
        (("--to", "app=="), "selects nobody"),
        (("--to", "app=(a"), "'app=(a' is no condition on labels"),
        (("--to", "ns:"), "'ns:' names nobody"),
        (("--to", "label: "), "'label:' names nobody"),
        (("--to", ","), "an empty selector selects nobody"),
        (("--to", "w/*"), "'w/*' selects nobody"),
        (("--from", "198.51.100.7", "--to", "198.51.100.8"), "between two addresses outside"),
        (("--resolve", "x"), "'x' resolves nothing"),
        (("-o", "xml"), "no output format 'xml'"),
    ],
)
def test_what_makes_no_sense_is_said(vneterctl, pods, words, said):
    ended = vneterctl("reachability", "--offline", pods, *words)
    assert ended.code in {2, 3}
    assert said in ended.err
    assert not ended.out


def test_files_are_put_together_and_others_passed_over(vneterctl, tmp_path):
    first, *rest = PODS.split("---\n")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "one.yml").write_text(first, "utf-8")
    (tmp_path / "d" / "two.json").write_text(json.dumps(yaml.safe_load(rest[0])), "utf-8")
    (tmp_path / "d" / "notes.txt").write_text("{", "utf-8")
    listed = {
        "apiVersion": "v1",
        "kind": "List",
        "items": [yaml.safe_load(one) for one in rest[1:3]],
    }
    (tmp_path / "more.yaml").write_text(
        yaml.safe_dump_all([listed, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}}]),
        "utf-8",
    )
    ended = vneterctl("reachability", "--offline", tmp_path / "d", tmp_path / "more.yaml")
    assert ended.code == 0, ended.err
    assert ended.out.splitlines()[0].split() == ["FROM", "TO", "PORT", "ALLOWED", "RULE"]
    assert len(ended.out.splitlines()) == 1 + 9
    assert "ConfigMap of v1 is left out" in ended.err
    assert "9 of 9 allowed" in ended.err
    lone = vneterctl("reachability", tmp_path / "d")
    assert lone.code == 2
    assert "write --offline before" in lone.err


def test_a_grid(vneterctl, pods):
    ended = vneterctl("reachability", "--offline", pods, "-o", "grid")
    assert "x/b         .   .   ." in ended.out
    assert "y/a         X   .   ." in ended.out


def test_of_what_a_controller_stores(server, vneterctl, pods):
    text = PODS.replace("spec: {nodeName: one}\n", "").replace("spec: {nodeName: two}\n", "")
    pods.write_text(text, "utf-8")
    applied = vneterctl("apply", "-f", pods)
    assert applied.code == 0, applied.err
    ended = vneterctl("reachability", "--from", "x/*", "--to", "y/a", "-o", "json")
    assert ended.code == 0, ended.err
    assert {row["rule"] for row in json.loads(ended.out)} == {"not attached"}


_NODES = """\
---
apiVersion: v1
kind: Node
metadata: {name: one}
status: {addresses: [{type: InternalIP, address: 192.0.2.11}]}
---
apiVersion: v1
kind: Node
metadata: {name: two}
status: {addresses: [{type: InternalIP, address: 192.0.2.12}]}
---
apiVersion: v1
kind: Pod
metadata: {name: near, namespace: x, labels: {app: db}}
spec: {nodeName: one, hostNetwork: true}
---
apiVersion: v1
kind: Pod
metadata: {name: far, namespace: x, labels: {app: db}}
spec: {nodeName: two, hostNetwork: true}
---
apiVersion: v1
kind: Pod
metadata: {name: lost, namespace: x, labels: {app: db}}
spec: {hostNetwork: true}
"""


def test_pods_on_the_network_of_their_node_are_that_node(pods, matrix) -> None:
    """No selector is about them; their own node always reaches a pod; the others go by address."""
    pods.write_text(PODS + _NODES, "utf-8")
    rows = matrix("--ports", "tcp/8080")
    assert len(rows) == 6 * 6
    assert rows["x/b", "x/a", "tcp/8080"]["allowed"]
    assert rows["x/near", "x/a", "tcp/8080"]["rule"] == "host"
    for name in ("x/far", "x/lost"):
        row = rows[name, "x/a", "tcp/8080"]
        assert (row["allowed"], row["rule"]) == (False, "NetworkPolicy x/web (isolates ingress)")
        assert not rows["x/a", name, "tcp/8080"]["allowed"]
        assert rows[name, "x/near", "tcp/8080"]["allowed"]
        assert rows[name, "y/a", "tcp/8080"]["allowed"]


def test_a_block_of_nodes_is_about_pods_on_their_networks(pods, matrix) -> None:
    pods.write_text((PODS + _NODES).replace("198.51.100.0/24", "192.0.2.12/32"), "utf-8")
    rows = matrix("--ports", "tcp/8080", "--from", "x/far", "--from", "x/lost", "--to", "x/*")
    allowed = {pair for pair, row in rows.items() if row["allowed"] and pair[1] == "x/a"}
    assert allowed == {("x/far", "x/a", "tcp/8080")}


@pytest.mark.parametrize("family", [4, 6])
def test_pods_of_any_ranges_of_addresses(family: int, pods, matrix) -> None:
    """Some of which no one network holds; and IPv6 pods are given no IPv4 to speak by."""
    places = {
        4: ("10.0.0.5", "172.16.0.5", "192.168.0.5"),
        6: ("fd00::5", "fd01::5", "2001:db8::5"),
    }
    text = PODS.replace("2001:db8::/32", "fd01::5/128").replace("198.51.100.0/24", "172.16.0.0/12")
    text = text.replace("- podSelector: {}\n    ", "")
    for name, address in zip(("x/a", "x/b", "y/a"), places[family], strict=True):
        namespace, _, pod = name.partition("/")
        text = text.replace(
            f"metadata: {{name: {pod}, namespace: {namespace}",
            f"status: {{podIP: '{address}'}}\nmetadata: {{name: {pod}, namespace: {namespace}",
        )
    pods.write_text(text, "utf-8")
    rows = matrix("--ports", "tcp/8080", "--to", "x/a")
    assert {pair[0] for pair, row in rows.items() if row["allowed"]} == {"x/a", "x/b"}


def test_a_matrix_beside_the_manifests_is_left_out(vneterctl, pods) -> None:
    ask = ("reachability", "--offline", pods.parent, "--ports", "tcp/8080", "-o", "json")
    before = vneterctl(*ask)
    (pods.parent / "expected.json").write_text(before.out, "utf-8")
    again = vneterctl(*ask)
    assert again.out == before.out
    assert "left out, it is a matrix" in again.err


def test_long_names_of_pods_are_shown_whole(pods, matrix) -> None:
    name = "frontend-of-the-shop-in-its-second-year-7d8f9c6b5d-" + "x" * 40
    pods.write_text(
        PODS.replace("{name: b, namespace: x", f"{{name: {name}, namespace: x"), "utf-8"
    )
    rows = matrix("--ports", "tcp/8080", "--from", f"x/{name}")
    assert {pair[0] for pair in rows} == {f"x/{name}"}
    assert rows[f"x/{name}", "x/a", "tcp/8080"]["allowed"]


def test_addresses_for_documentation_are_nobodys(pods, matrix) -> None:
    """Hosts that nobody declares have others, or what comes from there would be let in."""
    rows = matrix(
        "--ports", "tcp/8080", "--from", "192.0.2.1", "--from", "192.0.2.2", "--to", "x/a"
    )
    assert {row["rule"] for row in rows.values()} == {"NetworkPolicy x/web (isolates ingress)"}


_SERVICES = """\
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: y}
spec: {clusterIP: 10.96.0.10, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: dns, namespace: y}
spec: {clusterIP: 10.96.0.11, ports: [{port: 53, protocol: UDP}]}
---
apiVersion: v1
kind: Service
metadata: {name: headless, namespace: y}
spec: {clusterIP: None, ports: []}
---
apiVersion: crd.antrea.io/v1beta1
kind: ClusterNetworkPolicy
metadata: {name: p, annotations: {vneter.io/egress-rules: "7,7,7,7"}}
spec:
  priority: 1
  appliedTo: [{podSelector: {matchLabels: {app: db}}}]
  egress:
  - {action: Drop, toServices: [{name: web, namespace: y}, {name: dns, namespace: y}]}
  - {action: Allow, toServices: [{name: headless, namespace: y}]}
  - {action: Drop, to: [{ipBlock: {cidr: 203.0.113.0/24}}], name: far}
"""


def test_rules_are_counted_as_they_were_written(vneterctl, pods, matrix) -> None:
    """A rule about Services is several of ours, or none; the rules below keep their places."""
    pods.write_text(PODS + _SERVICES, "utf-8")
    ends = ("10.96.0.10", "10.96.0.11", "203.0.113.9")
    to = [word for end in ends for word in ("--to", end)]
    rows = matrix("--from", "x/b", *to, "--ports", "tcp/80,udp/53")
    assert {(end, port): row["rule"] for (_, end, port), row in rows.items()} == {
        ("10.96.0.10", "tcp/80"): "ClusterNetworkPolicy p egress[0]",
        ("10.96.0.10", "udp/53"): "default",
        ("10.96.0.11", "tcp/80"): "default",
        ("10.96.0.11", "udp/53"): "ClusterNetworkPolicy p egress[0]",
        ("203.0.113.9", "tcp/80"): "ClusterNetworkPolicy p egress[2] far",
        ("203.0.113.9", "udp/53"): "ClusterNetworkPolicy p egress[2] far",
    }
    pods.write_text((PODS + _SERVICES).replace("ipBlock: {cidr: 203.0.113.0/24}", "group: g"))
    ended = vneterctl("reachability", "--offline", pods)
    assert f"{pods}:" in ended.err
    assert "ClusterNetworkPolicy p: spec.egress[2].to[0].group: ClusterGroup g" in ended.err
