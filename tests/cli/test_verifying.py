# SPDX-License-Identifier: Apache-2.0
"""vneterctl verify and plan: offline on manifests of ours and of Kubernetes, and of a server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

SCENARIOS = Path(__file__).parents[2] / "flows" / "scenarios"
SQL = """\
apiVersion: vneter.io/v1
kind: Assertion
metadata: {name: sql}
spec:
  source: {endpoints: {matchLabels: {app: web}}}
  target: {endpoints: {matchLabels: {app: db}}}
  ports: [{port: 5432}]
"""
DENY = """\
apiVersion: vneter.io/v1
kind: Policy
metadata: {name: deny, tenant: shop}
spec:
  tier: application
  appliesTo: [{endpoints: {matchLabels: {app: db}}}]
  ingress: [{action: drop, ports: [{port: 5432}]}]
"""
PODS = """\
apiVersion: v1
kind: Namespace
metadata: {name: x, labels: {ns: x}}
---
apiVersion: v1
kind: Pod
metadata: {name: a, namespace: x, labels: {pod: a}}
spec: {containers: [{name: c, image: i}]}
---
apiVersion: v1
kind: Pod
metadata: {name: b, namespace: x, labels: {pod: b}}
spec: {containers: [{name: c, image: i}]}
"""
ISOLATE = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny, namespace: x}
spec:
  podSelector: {matchLabels: {pod: b}}
"""


@pytest.fixture
def shop(tmp_path):
    """A directory with the scenario of policies, and a file to write a change to."""
    where = tmp_path / "shop"
    where.mkdir()
    for name in ("topology.yaml", "intent.yaml"):
        text = (SCENARIOS / "policies" / name).read_text("utf-8")
        (where / name).write_text(text, "utf-8")
    return where


def written(tmp_path, text):
    path = tmp_path / "change.yaml"
    path.write_text(text, "utf-8")
    return path


def test_what_is_there_is_proven(vneterctl, shop):
    ended = vneterctl("verify", "--offline", shop)
    assert ended.code == 0, ended.err + ended.out
    assert "proven for all packets of 3 endpoints" in ended.out


def test_a_change_that_breaks_an_assertion_is_told_with_a_packet(vneterctl, shop, tmp_path):
    (shop / "sql.yaml").write_text(SQL, "utf-8")
    change = written(tmp_path, DENY)
    ended = vneterctl("verify", "--offline", shop, "-f", change)
    assert ended.code == 1
    assert "assertion: Assertion sql: Endpoint shop/web1 cannot open tcp/5432" in ended.out
    assert "tcp/5432 from Endpoint shop/web1 on h1 to Endpoint shop/db1" in ended.out
    assert "over    h1 > h2" in ended.out
    assert "Policy shop/deny ingress[0]: drop" in ended.out
    assert "reachability lost: 2 pairs" in ended.out
    ended = vneterctl("verify", "--offline", shop, "-f", change, "-o", "json")
    told = json.loads(ended.out)
    assert ended.code == 1
    assert told["holds"] is False
    first = told["findings"][0]
    assert first["check"] == "assertions"
    assert first["packet"]["fields"]["tcp_dst"] == 5432
    assert first["trail"][-1]["rule"] == "Policy shop/deny ingress[0]: drop"
    lost = {(one["from"], one["to"]) for one in told["reachability"]["lost"]}
    assert lost == {("prod/web1", "prod/db1"), ("prod/web2", "prod/db1")}
    assert told["reachability"]["gained"] == []


def test_only_what_is_asked_is_checked(vneterctl, shop, tmp_path):
    (shop / "sql.yaml").write_text(SQL, "utf-8")
    change = written(tmp_path, DENY)
    checks = ("--check", "isolation,loops")
    assert vneterctl("verify", "--offline", shop, "-f", change, *checks).code == 0
    ended = vneterctl("verify", "--offline", shop, "--check", "luck")
    assert ended.code == 2
    assert "no check 'luck'" in ended.err
    ended = vneterctl("verify", "--offline", shop, "--delete")
    assert (ended.code, ended.out) == (2, "")
    assert "--delete of what?" in ended.err


def test_all_of_a_change_can_be_proven(vneterctl, shop, tmp_path):
    (shop / "deny.yaml").write_text(DENY, "utf-8")
    change = written(tmp_path, SQL)
    ended = vneterctl("verify", "--offline", shop, "-f", change, "--full", "-o", "json")
    assert ended.code == 1
    assert json.loads(ended.out)["findings"][0]["check"] == "assertions"


def test_a_change_may_delete(vneterctl, shop, tmp_path):
    (shop / "more.yaml").write_text(SQL + "---\n" + DENY, "utf-8")
    change = written(tmp_path, DENY)
    ended = vneterctl("verify", "--offline", shop, "-f", change, "--delete")
    assert ended.code == 0, ended.out
    assert "reachability gained: 2 pairs" in ended.out
    ended = vneterctl("plan", "--offline", shop, "-f", change, "--delete")
    assert ended.code == 0
    assert "- Policy shop/deny" in ended.out


def test_what_is_not_acceptable_is_refused(vneterctl, shop, tmp_path):
    change = written(tmp_path, DENY.replace("tier: application", "tier: nowhere"))
    for command in ("verify", "plan"):
        ended = vneterctl(command, "--offline", shop, "-f", change)
        assert ended.code == 1
        assert f"{change}:" in ended.err
        assert "Policy shop/deny" in ended.err


def test_a_plan_counts_and_lists(vneterctl, shop, tmp_path):
    change = written(tmp_path, DENY)
    ended = vneterctl("plan", "--offline", shop, "-f", change)
    assert ended.code == 0, ended.err
    assert "+ Policy shop/deny" in ended.out
    assert "h2: flows +" in ended.out
    assert "reachability lost: 2 pairs" in ended.out
    assert vneterctl("plan", "--offline", shop, "-f", change, "--exit-code").code == 1
    listed = vneterctl("plan", "--offline", shop, "-f", change, "-v")
    assert "table=ingress_tiers" in listed.out
    told = json.loads(vneterctl("plan", "--offline", shop, "-f", change, "-o", "json").out)
    assert told["objects"] == {"created": ["Policy shop/deny"], "updated": [], "deleted": []}
    added = told["bridges"]["h2"]["flows"]["added"]
    assert len(added) == told["totals"]["flows"]["added"] > 0
    assert {(one["from"], one["to"]) for one in told["reachability"]["lost"]} == {
        ("prod/web1", "prod/db1"),
        ("prod/web2", "prod/db1"),
    }


def test_a_plan_of_nothing_changes_nothing(vneterctl, shop):
    ended = vneterctl("plan", "--offline", shop, "-f", shop / "intent.yaml", "--exit-code")
    assert ended.code == 0, ended.out
    assert "no bridge changes" in ended.out


def test_manifests_of_kubernetes(vneterctl, tmp_path):
    (tmp_path / "pods").mkdir()
    (tmp_path / "pods" / "pods.yaml").write_text(PODS, "utf-8")
    change = written(tmp_path, ISOLATE)
    ended = vneterctl("verify", "--offline", tmp_path / "pods", "-f", change, "-o", "json")
    assert ended.code == 0, ended.out + ended.err
    told = json.loads(ended.out)
    assert {(one["from"], one["to"]) for one in told["reachability"]["lost"]} == {("x/a", "x/b")}
    more = PODS.partition("---")[2].partition("---")[2].replace("name: b", "name: c")
    written(tmp_path, more)
    told = json.loads(
        vneterctl("plan", "--offline", tmp_path / "pods", "-f", change, "-o", "json").out
    )
    assert told["objects"]["created"] == ["Endpoint cluster/x.c"]
    assert told["objects"]["updated"] == []
    assert len(told["reachability"]["gained"]) == 4


def test_of_a_server(vneterctl, store, server, red, tmp_path):
    assert vneterctl("apply", "-f", red).code == 0
    ended = vneterctl("verify")
    assert ended.code == 0, ended.err + ended.out
    before = store.snapshot()
    change = written(tmp_path, SQL)
    assert vneterctl("plan", "-f", change).code == 0
    assert store.snapshot() is before


NAMES = """\
---
apiVersion: vneter.io/v1
kind: Policy
metadata: {name: names, tenant: cluster}
spec:
  appliesTo: [{endpoints: {matchLabels: {pod: a}}}]
  egress:
  - peers: [{domain: "*.example.com"}]
"""


LOGGED = """\
---
apiVersion: vneter.io/v1
kind: Policy
metadata: {name: logged, tenant: cluster}
spec:
  ingress: &both [{ports: [{protocol: udp}], stateful: false, log: true}, {action: drop}]
  egress: *both
"""


@pytest.mark.parametrize("policy", [NAMES, LOGGED])
def test_what_the_controller_only_looks_at_arrives(vneterctl, tmp_path, policy):
    """Answers of DNS are read, and go on; of logged packets it has copies."""
    (tmp_path / "pods.yaml").write_text(PODS + policy, "utf-8")
    ended = vneterctl("verify", "--offline", tmp_path, "--check", "answers")
    assert ended.code == 0, ended.out
