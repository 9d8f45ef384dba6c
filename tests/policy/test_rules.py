# SPDX-License-Identifier: Apache-2.0
"""Policies, tiers and groups of our own kinds: rules in normal form, and every refusal."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from vneter_sdn.errors import IntentError, Problem
from vneter_sdn.model.kinds import HostSpec
from vneter_sdn.model.policy_kinds import (
    ClusterPolicySpec,
    GroupSpec,
    PolicySpec,
    Selector,
    TierSpec,
)
from vneter_sdn.model.snapshot import Key, Object
from vneter_sdn.policy.rule import Alike, Block, Domain, Ports, RuleBook, Scope, Stage
from vneter_sdn.policy.rules import rule_book


def policy(name: str = "p", tenant: str = "red", **spec: Any) -> Object:
    return Object(key=Key("Policy", tenant, name), spec=msgspec.convert(spec, PolicySpec))


def cluster_policy(name: str = "p", **spec: Any) -> Object:
    return Object(key=Key("ClusterPolicy", "", name), spec=msgspec.convert(spec, ClusterPolicySpec))


def group(name: str, *members: dict[str, Any], tenant: str = "red") -> Object:
    spec = msgspec.convert({"members": members}, GroupSpec)
    return Object(key=Key("Group", tenant, name), spec=spec)


def tier(name: str, priority: int) -> Object:
    return Object(key=Key("Tier", "", name), spec=TierSpec(priority=priority))


def host(name: str, address: str, **labels: str) -> Object:
    spec = HostSpec(ovsdb=f"unix:/{name}", tunnel_addresses=(address,))
    return Object(key=Key("Host", "", name), spec=spec, labels=labels)


def problems(*objects: Object) -> tuple[Problem, ...]:
    with pytest.raises(IntentError) as caught:
        rule_book(objects)
    return caught.value.problems


WEB = {"matchLabels": {"app": "web"}}
ONLY_WEB = Selector(match_labels={"app": "web"})


def test_every_form_of_whom() -> None:
    peers = [
        {"namespaces": WEB},
        {"endpoints": WEB},
        {"namespaces": {}, "endpoints": WEB},
        {"cidr": "10.0.0.7/8", "excluded": ["10.1.0.0/16"]},
        {"domain": "*.Example.COM."},
        {"sameLabels": ["org"], "endpoints": WEB},
        {"hosts": {"matchLabels": {"zone": "a"}}},
    ]
    hosts = (host("h1", "192.0.2.1", zone="a"), host("h2", "2001:db8::2", zone="a"))
    other = host("h3", "192.0.2.3", zone="b")
    (rule,) = rule_book([policy(egress=[{"peers": peers}]), *hosts, other]).rules
    assert rule.applied == (Scope(),)
    assert rule.peers == (
        Scope(namespaces=ONLY_WEB),
        Scope(endpoints=ONLY_WEB),
        Block("10.0.0.0/8", ("10.1.0.0/16",)),
        Domain("*.example.com"),
        Alike(("org",), ONLY_WEB),
        Block("192.0.2.1/32"),
        Block("2001:db8::2/128"),
    )


def test_every_form_of_ports() -> None:
    ports = [
        {"protocol": "tcp"},
        {"protocol": "udp", "port": 53},
        {"port": 80, "endPort": 90},
        {"protocol": "sctp", "port": "web"},
        {"protocol": "icmp", "icmpType": 8, "icmpCode": 0},
        {"protocol": "icmpv6"},
    ]
    (rule,) = rule_book([policy(ingress=[{"ports": ports}])]).rules
    assert rule.ports == (
        Ports(6),
        Ports(17, 53, 53),
        Ports(6, 80, 90),
        Ports(132, name="web"),
        Ports(1, icmp_type=8, icmp_code=0),
        Ports(58),
    )


def test_absent_and_empty_peers_differ() -> None:
    rules = rule_book([policy(ingress=[{}, {"peers": []}])]).rules
    assert [rule.peers for rule in rules] == [None, ()]


def test_rules_are_in_the_order_in_which_they_are_asked() -> None:
    book = rule_book(
        [
            tier("first", 0),
            policy("late", tier="baseline-admin", ingress=[{}]),
            policy("np", tier="kubernetes", isolates=["ingress"], ingress=[{}]),
            policy("b", ingress=[{}, {}]),
            policy("a", ingress=[{}]),
            policy("urgent", priority=1, ingress=[{}]),
            policy("z", tier="first", ingress=[{}]),
            cluster_policy("b", ingress=[{}]),
        ]
    )
    assert [rule.title for rule in book.rules] == [
        "Policy red/z ingress[0]",
        "Policy red/urgent ingress[0]",
        "Policy red/a ingress[0]",
        "ClusterPolicy b ingress[0]",
        "Policy red/b ingress[0]",
        "Policy red/b ingress[1]",
        "Policy red/np ingress[0]",
        "Policy red/late ingress[0]",
    ]
    stages = [rule.stage for rule in book.rules]
    assert stages == [Stage.TIERED] * 6 + [Stage.ISOLATION, Stage.BASELINE]
    assert [isolation.policy.name for isolation in book.isolations] == ["np"]


def test_whose_rules_they_are() -> None:
    book = rule_book(
        [
            policy(ingress=[{}]),
            cluster_policy("all", ingress=[{}]),
            cluster_policy("two", tenants=["red", "blue"], ingress=[{}]),
        ]
    )
    assert {rule.policy.name: rule.tenants for rule in book.rules} == {
        "p": ("red",),
        "all": (),
        "two": ("red", "blue"),
    }
    assert [rule.concerns("green") for rule in book.rules] == [True, False, False]


def test_groups_are_those_of_each_tenant() -> None:
    book = rule_book(
        [
            group("g", {"endpoints": WEB}),
            group("g", {"cidr": "10.0.0.0/8"}, tenant="blue"),
            cluster_policy(tenants=["red", "blue"], ingress=[{"peers": [{"group": "g"}]}]),
        ]
    )
    assert {rule.tenants: rule.peers for rule in book.rules} == {
        ("red",): (Scope(endpoints=ONLY_WEB),),
        ("blue",): (Block("10.0.0.0/8"),),
    }


def test_groups_within_groups_are_counted_once() -> None:
    """Each contains the one below twice: 2^40 members, were they not put together."""
    groups = [group("g0", {"endpoints": WEB})]
    for number in range(1, 41):
        below = {"group": f"g{number - 1}"}
        groups.append(group(f"g{number}", below, below))
    (rule,) = rule_book([*groups, policy(ingress=[{"peers": [{"group": "g40"}]}])]).rules
    assert rule.peers == (Scope(endpoints=ONLY_WEB),)


def test_circular_groups_are_named() -> None:
    found = problems(
        group("a", {"group": "b"}),
        group("b", {"group": "c"}, {"endpoints": WEB}),
        group("c", {"group": "a"}),
        group("d", {"group": "d"}),
        group("e", {"group": "a"}),
        policy(ingress=[{"peers": [{"group": "e"}]}]),
    )
    texts = {one.object: one.message for one in found if one.reason == "CircularGroups"}
    assert "a → b → c → a" in texts["Group red/a"]
    assert "c → a → b → c" in texts["Group red/c"]
    assert "d → d" in texts["Group red/d"]
    assert "Group red/e" not in texts, "it is in no circle itself"
    assert "a → b → c → a" in texts["Policy red/p"]


def test_only_policies_in_force() -> None:
    windows = [{"start": "2027-01-01T00:00:00Z", "end": "2028-01-01T00:00:00Z"}]
    stored = policy(schedule=windows, ingress=[{}])
    assert rule_book([stored], datetime(2026, 1, 1, tzinfo=UTC)) == RuleBook()
    assert rule_book([stored], datetime(2027, 6, 1, tzinfo=UTC)).rules
    assert rule_book([stored]).rules, "without a time, whatever the schedule"


@pytest.mark.parametrize(
    ("spec", "field", "reason"),
    [
        ({"tier": "nowhere"}, "spec.tier", "UnknownTier"),
        ({"isolates": ["ingress"]}, "spec.isolates", "NotIsolating"),
        ({"appliesTo": [{}]}, "spec.appliesTo[0]", "Missing"),
        ({"appliesTo": [{"cidr": "10.0.0.0/8"}]}, "spec.appliesTo[0].cidr", "NotEndpoints"),
        ({"appliesTo": [{"group": "no"}]}, "spec.appliesTo[0].group", "UnknownReference"),
        ({"tier": "kubernetes", "ingress": [{"action": "drop"}]}, "spec.ingress[0].action", "Only"),
        ({"ingress": [{"peers": [{"domain": "a.b"}]}]}, "spec.ingress[0].peers[0].domain", "Only"),
        (
            {"egress": [{"peers": [{"cidr": "10.0.0.0"}]}]},
            "spec.egress[0].peers[0].cidr",
            "BadPrefix",
        ),
        (
            {"egress": [{"peers": [{"cidr": "10.0.0.0/8", "excluded": ["11.0.0.0/16"]}]}]},
            "spec.egress[0].peers[0].excluded[0]",
            "OutsideBlock",
        ),
        (
            {"egress": [{"peers": [{"endpoints": {}, "excluded": ["11.0.0.0/16"]}]}]},
            "spec.egress[0].peers[0].excluded",
            "WithoutCidr",
        ),
        (
            {"egress": [{"peers": [{"group": "g", "cidr": "10.0.0.0/8"}]}]},
            "spec.egress[0].peers[0]",
            "TooMany",
        ),
        (
            {"egress": [{"peers": [{"domain": "*a*a*a*a*a*b"}]}]},
            "spec.egress[0].peers[0].domain",
            "BadDomain",
        ),
        (
            {"ingress": [{"ports": [{"port": 80, "endPort": 79}]}]},
            "spec.ingress[0].ports[0].endPort",
            "BelowPort",
        ),
        (
            {"ingress": [{"ports": [{"port": "web", "endPort": 79}]}]},
            "spec.ingress[0].ports[0].endPort",
            "NamedRange",
        ),
        (
            {"ingress": [{"ports": [{"endPort": 79}]}]},
            "spec.ingress[0].ports[0].endPort",
            "WithoutPort",
        ),
        (
            {"ingress": [{"ports": [{"protocol": "icmp", "port": 1}]}]},
            "spec.ingress[0].ports[0].port",
            "NoPorts",
        ),
        (
            {"ingress": [{"ports": [{"icmpType": 8}]}]},
            "spec.ingress[0].ports[0].icmpType",
            "NoIcmpTypes",
        ),
        (
            {"appliesTo": [{"endpoints": {"matchExpressions": [{"key": "a", "operator": "In"}]}}]},
            "spec.appliesTo[0].endpoints.matchExpressions[0].values",
            "Missing",
        ),
        (
            {"schedule": [{"start": "2027-01-01T00:00:00Z", "end": "2026-01-01T00:00:00Z"}]},
            "spec.schedule[0].end",
            "EndsBeforeStart",
        ),
        ({"schedule": [{"start": "now"}]}, "spec.schedule[0].start", "BadTime"),
    ],
)
def test_refused(spec: dict[str, Any], field: str, reason: str) -> None:
    (found,) = problems(policy(**spec))
    assert (found.object, found.field) == ("Policy red/p", field)
    assert found.reason.startswith(reason)


def test_every_problem_is_told_at_once() -> None:
    bad = policy(
        tier="nowhere",
        appliesTo=[{}],
        ingress=[{"ports": [{"port": 2, "endPort": 1}]}],
        egress=[{"peers": [{"cidr": "x"}]}],
    )
    found = problems(bad, policy("q", tier="nowhere"), tier("emergency", 3), tier("t", 50))
    assert len(found) == 7
    assert {one.object for one in found} == {
        *("Policy red/p", "Policy red/q", "Tier emergency", "Tier t")
    }


def test_a_cluster_policy_says_whose_groups() -> None:
    (found,) = problems(cluster_policy(ingress=[{"peers": [{"group": "g"}]}]))
    assert (found.field, found.reason) == ("spec.tenants", "Missing")


def test_tiers_have_priorities_of_their_own() -> None:
    found = problems(tier("a", 7), tier("b", 7))
    assert [(one.object, one.field) for one in found] == [("Tier b", "spec.priority")]
    assert rule_book([tier("a", 220)]) == RuleBook()
    (found_,) = problems(tier("a", 220), cluster_policy(tier="cluster-admin"))
    assert found_.object == "Tier a"


def test_ten_thousand_rules() -> None:
    rules = [
        {"peers": [{"cidr": f"10.{n >> 8}.{n & 255}.0/24"}], "ports": [{"port": 1 + n}]}
        for n in range(10_000)
    ]
    assert len(rule_book([policy(ingress=rules)]).rules) == 10_000
