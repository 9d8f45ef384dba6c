# SPDX-License-Identifier: Apache-2.0
"""Assertions hold or do not, and what is against them is a packet that the simulator confirms."""

import pytest
from change_world import (
    assertion,
    change,
    confirmed,
    labelled,
    manifest,
    policy,
    prover,
    rule,
    scenario,
    shop,
)

WEB, DB, OPS = labelled(app="web"), labelled(app="db"), labelled(app="ops")
SQL = [{"port": 5432}]
DENY = policy("deny", DB, ingress=[rule("drop", OPS)])


def faults(manifests):
    proof = prover(manifests)
    return proof, list(proof.full(("assertions",)))


def test_what_may_connect_may():
    _, found = faults(shop(assertion("a", WEB, DB, ports=SQL)))
    assert found == []


def test_who_may_not_connect_is_shown_with_a_packet():
    proof, found = faults(shop(DENY, assertion("a", OPS, DB, ports=SQL)))
    assert {one.kind for one in found} == {"assertion"}
    assert "Assertion a: Endpoint shop/ops1 cannot open tcp/5432 to Endpoint shop/db" in str(found)
    for one in found:
        assert one.example.packet["tcp_dst"] == 5432
        assert confirmed(proof, one)[0] == set()


def test_denied_holds_where_nobody_can():
    assert faults(shop(DENY, assertion("a", OPS, DB, expect="denied")))[1] == []


def test_denied_does_not_hold_where_one_can():
    proof, found = faults(shop(DENY, assertion("a", WEB, DB, expect="denied", ports=SQL)))
    assert found
    for one in found:
        reached, _ = confirmed(proof, one)
        assert reached <= {"db1", "db2"}
        assert reached


def test_ports_are_told_apart():
    some = policy("some", DB, ingress=[rule("drop", OPS, 5432)])
    denied = {"expect": "denied"}
    _, found = faults(
        shop(some, assertion("a", OPS, DB, ports=[{"port": 5431, "endPort": 5433}], **denied))
    )
    assert found
    assert {one.example.packet["tcp_dst"] for one in found} <= {5431, 5433}
    assert faults(shop(some, assertion("a", OPS, DB, ports=SQL, **denied)))[1] == []
    assert faults(shop(some, assertion("a", OPS, DB, ports=[{"protocol": "udp"}])))[1] == []
    assert faults(shop(some, assertion("a", OPS, DB, ports=[{"protocol": "icmp"}])))[1] == []


def test_named_ports_are_those_of_the_target():
    manifests = shop(policy("p", DB, ingress=[rule("drop", WEB, 5432)]))
    for one in manifests:
        if one["metadata"]["name"] == "db1":
            one["spec"]["ports"] = [{"name": "sql", "port": 5432}]
        if one["metadata"]["name"] == "db2":
            one["spec"]["ports"] = [{"name": "sql", "port": 5433}]
    _, found = faults([*manifests, assertion("a", WEB, DB, ports=[{"port": "sql"}])])
    assert found
    assert all("db1" in one.about for one in found)


def test_namespaces_select():
    manifests = shop(DENY)
    manifests.append(manifest("Namespace", "ops", {}, "shop", {"team": "x"}))
    for one in manifests:
        if one["metadata"]["name"] == "ops1":
            one["spec"]["namespace"] = "ops"
    within = {"namespaces": {"matchLabels": {"team": "x"}}}
    assert faults([*manifests, assertion("a", within, DB)])[1]
    without = {"namespaces": {"matchLabels": {"team": "y"}}}
    assert faults([*manifests, assertion("a", without, DB)])[1] == []


@pytest.mark.parametrize("expect", ["allowed", "denied"])
def test_tenants_never_meet(expect):
    blue = [
        manifest("Tenant", "blue", {}),
        manifest("Network", "pods", {"prefixes": ["10.0.1.0/24"]}, "blue"),
        manifest("Endpoint", "b", {"network": "pods", "host": "h2"}, "blue"),
    ]
    ends = {"tenant": "shop"}, {"tenant": "blue"}
    _, found = faults([*shop(), *blue, assertion("a", *ends, expect=expect)])
    assert bool(found) == (expect == "allowed")


def test_addresses_outside():
    block = policy("p", WEB, egress=[{"action": "drop", "peers": [{"cidr": "198.51.100.0/24"}]}])
    into = policy("q", WEB, ingress=[{"action": "drop", "peers": [{"cidr": "203.0.113.0/24"}]}])
    out, elsewhere = {"cidr": "198.51.100.0/25"}, {"cidr": "198.51.0.0/16"}
    assert faults(shop(block, into, assertion("a", WEB, out, expect="denied")))[1] == []
    assert faults(shop(block, into, assertion("a", WEB, elsewhere, expect="denied")))[1]
    assert faults(shop(block, into, assertion("a", WEB, elsewhere)))[1]
    assert faults(shop(block, into, assertion("a", WEB, {"cidr": "192.0.2.0/24"})))[1] == []
    assert (
        faults(shop(into, assertion("a", {"cidr": "203.0.113.7/32"}, WEB, expect="denied")))[1]
        == []
    )
    assert faults(shop(into, assertion("a", {"cidr": "203.0.113.7/32"}, WEB)))[1]
    assert faults(shop(into, assertion("a", {"cidr": "203.0.113.7/32"}, DB)))[1] == []


# ---- on the way

RED = {"tenant": "red"}


def relay(*more, region=("", "", "")):
    found = scenario("relay")
    for one in found:
        if one["kind"] == "Host":
            one["spec"]["region"] = region[int(one["metadata"]["name"][1]) - 1]
    return [*found, *more]


def test_a_waypoint_that_all_passes():
    assert faults(relay(assertion("a", RED, RED, waypoints=["h3"])))[1] == []


def test_a_waypoint_that_is_left_out():
    direct = [
        one for one in relay(assertion("a", RED, RED, waypoints=["h3"])) if one["kind"] != "Link"
    ]
    proof, found = faults(direct)
    assert any("without passing h3" in one.about for one in found)
    for one in found:
        reached, hosts = confirmed(proof, one)
        assert reached
        assert "h3" not in hosts


def test_some_of_several_paths_leave_a_waypoint_out():
    split = [*scenario("multi-path"), assertion("a", RED, RED, waypoints=["s2"])]
    proof, found = faults(split)
    assert any("without passing s2" in one.about for one in found)
    for one in found:
        assert "s2" not in confirmed(proof, one)[1]
    by = {"tenants": ["red"], "constraints": {"waypoints": ["s2"]}}
    assert change(proof, [manifest("PathPolicy", "spread", by)]).verdict.findings == ()
    assert list(proof.full(("assertions",))) == []


def test_regions_that_are_left():
    holds = relay(assertion("a", RED, RED, regions=["eu"]), region=("eu", "eu", "eu"))
    proof, found = faults(holds)
    assert found == []
    strays = relay(assertion("a", RED, RED, regions=["eu"]), region=("eu", "eu", "us"))
    proof, found = faults(strays)
    assert any("comes to h3 (us)" in one.about for one in found)
    for one in found:
        assert "h3" in confirmed(proof, one)[1]


def test_a_path_policy_keeps_within_a_region():
    found = scenario("multi-path")
    for one in found:
        if one["kind"] == "Host":
            one["spec"]["region"] = "us" if one["metadata"]["name"] == "s3" else "eu"
    found.append(assertion("a", RED, RED, regions=["eu"]))
    proof, faulty = faults(found)
    assert faulty
    by = {"tenants": ["red"], "constraints": {"regions": ["eu"]}}
    assert change(proof, [manifest("PathPolicy", "spread", by)]).verdict.findings == ()
    assert list(proof.full(("assertions",))) == []


# ---- after changes


def test_a_change_that_breaks_an_assertion_is_found_and_one_that_mends_it_is_not():
    proof = prover(shop(assertion("a", OPS, DB, ports=SQL)))
    broken = change(proof, [DENY])
    assert [one.kind for one in broken.verdict.findings] == ["assertion"] * 2
    assert {(p.source.name, p.target.name) for p in broken.verdict.change.lost.allowed} == {
        ("ops1", "db1"),
        ("ops1", "db2"),
    }
    mended = change(proof, [policy("deny", DB, ingress=[rule("drop", OPS, 80)])])
    assert mended.verdict.findings == ()
    assert list(proof.full(("assertions",))) == []


def test_a_label_brings_somebody_under_an_assertion():
    proof = prover(shop(DENY, assertion("a", WEB, DB)))
    spec = {"network": "pods", "host": "h1"}
    judged = change(proof, [manifest("Endpoint", "web1", spec, "shop", {"app": "ops"})])
    assert judged.verdict.findings == ()
    lost = {(p.source.name, p.target.name) for p in judged.verdict.change.lost.allowed}
    assert lost == {("web1", "db1"), ("web1", "db2")}
    spec = {"network": "pods", "host": "h2"}
    judged = change(proof, [manifest("Assertion", "a", {"source": OPS, "target": DB})])
    assert judged.verdict.findings


def test_an_assertion_that_changes_is_proven_again():
    proof = prover(shop(DENY, assertion("a", OPS, DB, expect="denied")))
    assert change(proof, [assertion("a", OPS, DB)]).verdict.findings
    assert change(proof, [assertion("a", OPS, WEB)]).verdict.findings == ()
