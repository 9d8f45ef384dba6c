# SPDX-License-Identifier: Apache-2.0
"""Rules of policies that are never reached, or contradict each other, in the words of policies."""

import pytest
from change_world import change, labelled, policy, prover, rule, shop

WEB, DB, OPS = labelled(app="web"), labelled(app="db"), labelled(app="ops")
ANYBODY = {"endpoints": {}}


def told(manifests, *checks):
    return [one.about for one in prover(manifests).full(checks or ("shadowed", "conflicts"))]


def test_a_rule_below_one_that_takes_all_of_it_is_never_reached():
    first = policy("q", DB, priority=1.0, ingress=[rule("drop", OPS)])
    then = policy("p", DB, priority=2.0, ingress=[rule("allow", WEB), rule("allow", OPS, 80)])
    assert told(shop(first, then)) == [
        "Policy shop/p ingress[1] is never reached: Policy shop/q ingress[0] takes all of it"
    ]
    later = policy("q", DB, priority=3.0, ingress=[rule("drop", OPS)])
    assert told(shop(later, then)) == []


def test_several_may_take_all_of_it_together():
    first = policy("q", DB, priority=1.0, ingress=[rule("drop", OPS), rule("allow", WEB)])
    then = policy("p", DB, priority=2.0, ingress=[rule("drop", {"endpoints": {"matchExpressions": [
        {"key": "app", "operator": "In", "values": ["ops", "web"]}]}})])  # fmt: skip
    (about,) = told(shop(first, then))
    assert about.startswith("Policy shop/p ingress[0] is never reached: ")
    assert about.endswith("take all of it")


def test_part_of_a_rule_is_not_all_of_it():
    first = policy("q", DB, priority=1.0, ingress=[rule("drop", OPS, 80)])
    then = policy("p", DB, priority=2.0, ingress=[rule("allow", OPS)])
    assert told(shop(first, then)) == []


def test_rules_of_one_priority_that_decide_otherwise_contradict_each_other():
    one = policy("a", DB, ingress=[rule("allow", WEB)])
    other = policy("b", DB, ingress=[rule("drop", None, 80)])
    (about,) = told(shop(one, other), "conflicts")
    assert about.startswith(
        "Policy shop/a ingress[0] (allow) and Policy shop/b ingress[0] (drop) are of one priority"
    )
    apart = policy("b", DB, ingress=[rule("drop", OPS, 80)])
    assert told(shop(one, apart)) == []
    ranked = policy("b", DB, priority=6.0, ingress=[rule("drop", None, 80)])
    assert told(shop(one, ranked)) == []


def test_rules_that_add_up_do_not_contradict_each_other():
    some = [
        policy("deny", DB, tier="kubernetes", isolates=["ingress"]),
        policy("web", DB, tier="kubernetes", isolates=["ingress"], ingress=[rule("allow", WEB)]),
        policy(
            "all", DB, tier="kubernetes", isolates=["ingress"], ingress=[rule("allow", ANYBODY)]
        ),
    ]
    assert told(shop(*some)) == []


def test_a_change_that_puts_a_rule_above_others_tells_which_it_hides():
    proof = prover(shop(policy("p", DB, priority=2.0, ingress=[rule("allow", OPS, 80)])))
    hides = policy("q", DB, priority=1.0, ingress=[rule("drop", OPS)])
    found = change(proof, [hides], ("shadowed",)).verdict.findings
    assert [one.about for one in found] == [
        "Policy shop/p ingress[0] is never reached: Policy shop/q ingress[0] takes all of it"
    ]
    assert change(proof, [policy("r", WEB, ingress=[rule("drop", OPS)])]).verdict.findings == ()


ADDED = {
    "everything is allowed": [[rule("allow")]],
    "nobody but everybody": [[rule("allow", ANYBODY)], [rule("allow", ANYBODY, 80)]],
    "one allows all, another some": [[rule("allow")], [rule("allow", None, 80)]],
    "one allows a port to all, another to some": [
        [rule("allow", None, 80)],
        [rule("allow", OPS, 80)],
    ],
}


@pytest.mark.parametrize("ingress", ADDED.values(), ids=ADDED.keys())
def test_what_isolates_adds_up_and_hides_nobody(ingress):
    some = [
        policy(f"k{n}", DB, tier="kubernetes", isolates=["ingress"], ingress=rules)
        for n, rules in enumerate(ingress)
    ]
    assert told(shop(*some)) == []


def test_a_rule_of_which_another_takes_a_part_is_reached():
    def ports(first, last):
        return [{"protocol": "tcp", "port": first, "endPort": last}]

    first = {"action": "allow", "ports": ports(22, 23)}
    then = {"action": "drop", "ports": ports(22, 25)}
    assert told(shop(policy("p", DB, ingress=[first, then]))) == []
    hidden = {"action": "drop", "ports": ports(22, 23)}
    assert told(shop(policy("p", DB, ingress=[first, hidden]))) == [
        "Policy shop/p ingress[1] is never reached: Policy shop/p ingress[0] takes all of it"
    ]


@pytest.mark.parametrize("about", [[DB], []], ids=["some", "everybody"])
def test_a_default_that_rules_leave_nothing_to_is_no_rule(about):
    base = policy("base", DB, tier="baseline", ingress=[rule("allow")])
    base["spec"]["appliesTo"] = about
    assert told(shop(base, defaults={"defaultIngress": "drop"})) == []
