# SPDX-License-Identifier: Apache-2.0
"""What policies, groups, tiers, namespaces and assertions may say."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from vneter_sdn.admission.draft import Draft
from vneter_sdn.model.snapshot import Key
from vneter_sdn.pipeline import priorities


def policy(world: Any, name: str = "p", **spec: Any) -> Any:
    return world.edit("Policy", name, **spec)


def group(world: Any, name: str, *members: dict[str, Any]) -> Any:
    return world.edit("Group", name, members=list(members))


def test_endpoints_are_in_namespaces_of_their_tenant(world: Any) -> None:
    refused = world.refused(world.endpoint("e1", namespace="x"))
    assert refused == {("spec.namespace", "UnknownReference")}
    world.apply(world.edit("Namespace", "x"), world.endpoint("e1", namespace="x"))
    assert world.refused(world.delete("Namespace", "x")) == {("", "InUse")}


def test_names_of_ports_mean_one_port(world: Any) -> None:
    web, other = {"name": "web", "port": 80}, {"name": "web", "port": 81}
    assert world.refused(world.endpoint("e", ports=[web, other])) == {
        ("spec.ports[1].name", "Duplicate")
    }
    world.apply(world.endpoint("e", ports=[web, {**other, "protocol": "udp"}]))
    assert world.refused(world.endpoint("f", ports=[{"name": "web", "port": 0}]))


@pytest.mark.parametrize(
    ("spec", "field", "reason"),
    [
        ({"tier": "ours"}, "spec.tier", "UnknownReference"),
        ({"ingress": [{"peers": [{}]}]}, "spec.ingress[0].peers[0]", "Missing"),
        (
            {"ingress": [{"peers": [{"cidr": "10.0.0.0/33"}]}]},
            "spec.ingress[0].peers[0].cidr",
            "BadPrefix",
        ),
        (
            {"egress": [{"peers": [{"cidr": "10.0.0.0/8", "excluded": ["11.0.0.0/8"]}]}]},
            "spec.egress[0].peers[0].excluded[0]",
            "OutsideBlock",
        ),
        (
            {"ingress": [{"ports": [{"port": 80, "endPort": 79}]}]},
            "spec.ingress[0].ports[0].endPort",
            "BelowPort",
        ),
        (
            {"ingress": [{"peers": [{"group": "g"}]}]},
            "spec.ingress[0].peers[0].group",
            "UnknownReference",
        ),
        ({"isolates": ["ingress"]}, "spec.isolates", "NotIsolating"),
    ],
)
def test_policies_that_make_no_sense_change_nothing(
    world: Any, spec: dict[str, Any], field: str, reason: str
) -> None:
    assert world.refused(policy(world, **spec)) == {(field, reason)}


def test_a_port_is_no_zero(world: Any) -> None:
    refused = world.refused(policy(world, ingress=[{"ports": [{"port": 0}]}]))
    assert {field for field, _ in refused} == {"spec.ingress[0].ports[0].port"}


def test_groups_in_a_circle_are_refused_whichever_closes_it(world: Any) -> None:
    world.apply(group(world, "a", {"group": "b"}), group(world, "b", {"endpoints": {}}))
    assert world.refused(group(world, "b", {"group": "a"})) == {
        ("spec.members[0].group", "CircularGroups")
    }
    assert world.refused(world.delete("Group", "b")) == {("", "InUse")}


def test_tiers_have_places_of_their_own(world: Any) -> None:
    world.apply(world.edit("Tier", "mine", priority=30), policy(world, tier="mine"))
    assert world.refused(world.edit("Tier", "other", priority=30)) == {
        ("spec.priority", "PriorityInUse")
    }
    assert world.refused(world.edit("Tier", "platform", priority=31)) == {
        ("metadata.name", "BuiltIn")
    }
    assert world.refused(world.delete("Tier", "mine")) == {("", "InUse")}


def test_cluster_policies_name_the_tenants_whose_groups_they_mean(world: Any) -> None:
    world.apply(group(world, "g", {"endpoints": {}}))
    rule = {"peers": [{"group": "g"}]}
    assert world.refused(world.edit("ClusterPolicy", "c", ingress=[rule])) == {
        ("spec.tenants", "Missing")
    }
    world.apply(world.edit("ClusterPolicy", "c", ingress=[rule], tenants=["red"]))


def test_assertions_are_about_endpoints_at_one_end_at_least(world: Any) -> None:
    outside = {"cidr": "192.0.2.0/24"}
    assert world.refused(world.edit("Assertion", "a", source=outside, target=outside)) == {
        ("spec.target.cidr", "NoEndpoints")
    }
    both = {**outside, "tenant": "red"}
    assert world.refused(world.edit("Assertion", "a", source=both, target={})) == {
        ("spec.source.cidr", "TooMany")
    }
    world.apply(world.edit("Assertion", "a", source=outside, target={"tenant": "red"}))


@pytest.mark.parametrize(
    ("spec", "field", "reason"),
    [
        ({"target": {"cidr": "10.0.0.0/33"}}, "spec.target.cidr", "BadPrefix"),
        ({"source": {"cidr": "nonsense"}}, "spec.source.cidr", "BadPrefix"),
        ({"ports": [{}, {"port": 80, "endPort": 79}]}, "spec.ports[1].endPort", "BelowPort"),
        ({"ports": [{"endPort": 79}]}, "spec.ports[0].endPort", "WithoutPort"),
        ({"ports": [{"port": "web", "endPort": 79}]}, "spec.ports[0].endPort", "NamedRange"),
        ({"ports": [{"protocol": "icmp", "port": 80}]}, "spec.ports[0].port", "NoPorts"),
        ({"ports": [{"icmpType": 8}]}, "spec.ports[0].icmpType", "NoIcmpTypes"),
        (
            {"source": {"endpoints": {"matchExpressions": [{"key": "a", "operator": "In"}]}}},
            "spec.source.endpoints.matchExpressions[0].values",
            "Missing",
        ),
        ({"expect": "denied", "regions": ["eu"]}, "spec.regions", "NotHere"),
        ({"target": {"cidr": "192.0.2.0/24"}, "regions": ["eu"]}, "spec.regions", "NotHere"),
    ],
)
def test_assertions_that_could_not_fail_are_refused(
    world: Any, spec: dict[str, Any], field: str, reason: str
) -> None:
    edit = world.edit("Assertion", "a", **{"source": {"tenant": "red"}, "target": {}, **spec})
    assert world.refused(edit) == {(field, reason)}


def test_more_rules_than_places_are_refused(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(priorities, "RULES", 5)
    world.apply(policy(world, "p", ingress=[{}] * 3, egress=[{}] * 5))
    world.apply(policy(world, "k", tier="kubernetes", ingress=[{}] * 5))
    refused = world.refused(policy(world, "q", ingress=[{}] * 2), policy(world, "r", ingress=[{}]))
    assert refused == {("spec.ingress", "TooManyRules")}
    world.apply(policy(world, "q", ingress=[{}] * 2))
    everybody = world.edit("ClusterPolicy", "c", tenant="", egress=[{}])
    assert world.refused(everybody) == {("spec.egress", "TooManyRules")}
    world.apply(policy(world, "p", ingress=[{}] * 3, egress=[{}] * 4), everybody)


def test_many_policies_are_counted_once(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not by each of them: 3,000 at once are no more work than one by one."""
    looked = Counter[str]()
    look = Draft.object

    def counted(draft: Draft, key: Key) -> Any:
        looked[key.kind] += 1
        return look(draft, key)

    monkeypatch.setattr(Draft, "object", counted)
    world.apply(*(policy(world, f"p{number}", ingress=[{}]) for number in range(100)))
    assert looked["Policy"] < 100 * 30
