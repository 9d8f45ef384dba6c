# SPDX-License-Identifier: Apache-2.0
"""vneterctl trace, offline: the verdict, who decided, and the way there."""

from __future__ import annotations

import json

import pytest

PODS = """\
apiVersion: v1
kind: Pod
metadata: {name: a, namespace: x, labels: {app: web}}
spec: {nodeName: one}
---
apiVersion: v1
kind: Pod
metadata: {name: b, namespace: x}
spec: {nodeName: two}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web, namespace: x}
spec:
  podSelector: {matchLabels: {app: web}}
  ingress: [{ports: [{port: 80}]}]
---
apiVersion: crd.antrea.io/v1beta1
kind: NetworkPolicy
metadata: {name: names, namespace: x}
spec:
  tier: application
  priority: 5
  appliedTo: [{podSelector: {matchLabels: {app: web}}}]
  egress:
  - {name: partner, action: Allow, to: [{fqdn: api.example.com}]}
  - {name: rest, action: Drop, to: [{ipBlock: {cidr: 198.51.100.0/24}}]}
"""


@pytest.fixture
def trace(vneterctl, tmp_path):
    """What the command says of a packet, as JSON."""
    path = tmp_path / "pods.yaml"
    path.write_text(PODS, "utf-8")

    def ask(source, target, *words, code=0):
        ended = vneterctl(
            "trace", "--from", source, "--to", target, "--offline", path, "-o", "json", *words
        )
        assert ended.code == code, ended.err
        return json.loads(ended.out) if not code else ended.err

    return ask


def test_what_is_let_through(trace):
    found = trace("x/b", "x/a", "--tcp", "80")
    assert found["allowed"]
    assert found["rule"] == found["ingress"]["title"] == "NetworkPolicy x/web ingress[0]"
    assert found["egress"]["because"] == "unasked"
    assert found["ingress"]["stages"] == ["tiered", "isolation"]
    first, last = found["hops"]
    assert (first["host"], last["host"]) == ("two", "one")
    assert found["delivered"]["host"] == "one"
    (sent,) = first["sent"]
    assert (sent["edge"], sent["medium"], sent["cost"]) == ("two>one", "tunnel", 1)
    assert found["cost"] == 1
    assert {one["field"] for one in first["rewrites"]} == {"eth_dst", "tun_id"}
    met = [one["table"] for one in last["tables"]]
    assert met[:2] == ["entry", "classify"]
    assert met[-1] == "output"
    said = {one["table"]: one["of"] for one in last["tables"]}
    assert said["ingress_verdict"] == "NetworkPolicy x/web"


def test_what_is_not(trace):
    found = trace("x/b", "x/a", "--udp", "53")
    assert not found["allowed"]
    assert found["delivered"] is None
    assert found["rule"] == "NetworkPolicy x/web (isolates ingress)"
    assert found["ingress"]["because"] == "isolation"
    assert not found["ingress"]["passes"]
    assert found["hops"][-1]["drops"][0]["table"] == "ingress_verdict"


def test_by_ipv6(trace):
    assert "ipv6_src=" in trace("x/b", "x/a", "--tcp", "80", "-6")["packet"]
    assert trace("x/b", "x/a", "--icmp", "-6")["port"] == "icmpv6/128"


def test_addresses_outside_and_names(trace):
    resolved = ("--resolve", "api.example.com=198.51.100.9")
    found = trace("x/a", "api.example.com", "--tcp", "443", *resolved)
    assert found["to"] == "198.51.100.9"
    assert found["rule"] == "NetworkPolicy x/names egress[0] partner"
    assert "policies alone" in found["note"]
    assert [hop["host"] for hop in found["hops"]] == ["one"]
    other = trace("x/a", "198.51.100.8", "--tcp", "443", *resolved)
    assert other["rule"] == "NetworkPolicy x/names egress[1] rest"
    back = trace("2001:db8::1", "x/a", "--icmp")
    assert back["port"] == "icmpv6/128"
    assert back["rule"] == "NetworkPolicy x/web (isolates ingress)"


def test_to_itself(trace):
    assert trace("x/a", "x/a", "--tcp", "1")["rule"] == "self"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("x/a", "x/b"), 2, "which packet?"),
        (("x/a", "x/b", "--tcp", "1", "--icmp"), 2, "which packet?"),
        (("x/*", "x/b", "--icmp"), 2, "'x/*' selects 2 ends: x/a, x/b"),
        (("x/a", "y/b", "--icmp"), 3, "'y/b' selects nobody"),
        (("x/a", "db.example.com", "--icmp"), 2, "--resolve db.example.com=ADDRESS"),
        (("198.51.100.1", "198.51.100.2", "--icmp"), 2, "between two addresses outside"),
        (("x/a", "x/b", "--icmp", "--live"), 2, "manifests have no bridges"),
        (("x/a", "x/b", "--icmp", "--inject"), 2, "manifests have no bridges"),
        (("x/a", "x/b", "--tcp", "0"), 2, "--tcp"),
    ],
)
def test_what_makes_no_sense_is_said(trace, words, code, said):
    assert said in trace(*words, code=code)


def test_for_reading(vneterctl, tmp_path):
    path = tmp_path / "pods.yaml"
    path.write_text(PODS, "utf-8")
    words = ("--from", "x/b", "--to", "x/a", "--tcp", "80", "--offline", path)
    lines = vneterctl("trace", *words).out.splitlines()
    assert lines[0] == "x/b -> x/a tcp/80: allowed (NetworkPolicy x/web ingress[0])"
    assert "  egress: no policy is about it" in lines
    assert "  ingress: NetworkPolicy x/web ingress[0]  [tiered > isolation]" in lines
    assert any(line.endswith("to one by tunnel two>one, cost 1") for line in lines)
    assert lines[-1].startswith("delivered on one, port ")
