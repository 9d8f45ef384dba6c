# SPDX-License-Identifier: Apache-2.0
"""Laws of the plain evaluator, and how it explains itself."""

from dataclasses import replace
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from vneter_sdn.model.policy_kinds import PolicyRule, PolicySpec
from vneter_sdn.model.snapshot import Key, Object
from vneter_sdn.policy.evaluate import Connection, Party, PortName, World, evaluate
from vneter_sdn.policy.rules import rule_book

SPACES = ("x", "y")
PODS = ("a", "b")


def parties() -> tuple[Party, ...]:
    return tuple(
        Party(
            Key("Endpoint", "red", f"{space}.{pod}"),
            space,
            {"pod": pod},
            (PortName("web", 6, 80 + number),),
            (f"10.0.{SPACES.index(space)}.{number + 1}",),
            "h1",
        )
        for space in SPACES
        for number, pod in enumerate(PODS)
    )


SELECTOR = st.sampled_from(
    [
        {},
        {"matchLabels": {"pod": "a"}},
        {"matchExpressions": [{"key": "pod", "operator": "NotIn", "values": ["a"]}]},
    ]
)
SPACE = st.sampled_from([{}, {"matchLabels": {"kubernetes.io/metadata.name": "x"}}])
PEER = st.one_of(
    st.fixed_dictionaries({"namespaces": SPACE, "endpoints": SELECTOR}),
    st.just({"cidr": "10.0.0.0/16", "excluded": ["10.0.1.0/24"]}),
    st.just({"cidr": "198.51.100.0/24"}),
    st.just({"sameLabels": ["kubernetes.io/metadata.name"]}),
)
PORT = st.sampled_from([{"port": 80}, {"port": "web"}, {"port": 80, "endPort": 81}, {}])
ACTION = st.sampled_from(["allow", "drop", "reject", "pass"])


def rules(action: st.SearchStrategy[str]) -> st.SearchStrategy[list[dict[str, Any]]]:
    one = st.fixed_dictionaries(
        {"action": action},
        optional={"peers": st.lists(PEER, max_size=2), "ports": st.lists(PORT, max_size=2)},
    )
    return st.lists(one, max_size=3)


APPLIED = st.lists(st.fixed_dictionaries({"namespaces": SPACE, "endpoints": SELECTOR}), max_size=2)
TIERED = st.fixed_dictionaries(
    {
        "tier": st.sampled_from(["emergency", "application", "baseline"]),
        "priority": st.sampled_from([1.0, 2.0]),
        "appliesTo": APPLIED,
        "ingress": rules(ACTION),
        "egress": rules(ACTION),
    }
)
ISOLATING = st.fixed_dictionaries(
    {
        "tier": st.just("kubernetes"),
        "appliesTo": APPLIED,
        "isolates": st.sampled_from([[], ["ingress"], ["egress"], ["ingress", "egress"]]),
        "ingress": rules(st.just("allow")),
        "egress": rules(st.just("allow")),
    }
)
POLICIES = st.lists(TIERED | ISOLATING, max_size=4)


def world(specs: list[dict[str, Any]]) -> World:
    stored = [
        Object(key=Key("Policy", "red", f"p{n}"), spec=msgspec.convert(spec, PolicySpec))
        for n, spec in enumerate(specs)
    ]
    hosts = {"h1": ("192.0.2.1",)}
    return World(parties=parties(), book=rule_book(stored), hosts=hosts)


def reachable(one: World) -> set[tuple[Any, Any, int]]:
    ends: list[Key | str] = [*(party.key for party in one.parties), "198.51.100.7"]
    return {
        (source, target, port)
        for source in ends
        for target in ends
        for port in (80, 81)
        if evaluate(one, source, target, Connection(6, port)).allowed
    }


@settings(max_examples=60, deadline=None)
@given(POLICIES, st.fixed_dictionaries({"appliesTo": APPLIED, "ingress": rules(st.just("allow"))}))
def test_one_more_rule_that_allows_takes_nothing_away(
    specs: list[dict[str, Any]], more: dict[str, Any]
) -> None:
    before = reachable(world(specs))
    after = reachable(world([*specs, {"tier": "kubernetes", **more}]))
    assert before <= after


@settings(max_examples=60, deadline=None)
@given(POLICIES, APPLIED)
def test_one_more_isolation_gives_nothing(
    specs: list[dict[str, Any]], applied: list[dict[str, Any]]
) -> None:
    """Unless it keeps traffic from a baseline or a default that drops it: there is none here."""
    specs = [spec for spec in specs if spec["tier"] != "baseline"]
    more = {"tier": "kubernetes", "appliesTo": applied, "isolates": ["ingress", "egress"]}
    assert reachable(world([*specs, more])) <= reachable(world(specs))


@settings(max_examples=60, deadline=None)
@given(POLICIES)
def test_what_always_holds(specs: list[dict[str, Any]]) -> None:
    one = world(specs)
    for party in one.parties:
        assert evaluate(one, party.key, party.key, Connection(6, 80)).allowed, "itself"
        own = evaluate(one, "192.0.2.1", party.key, Connection(6, 80))
        assert own.allowed, "its host"
        assert own.ingress.because == "host"
        blue = replace(party, key=Key("Endpoint", "blue", "other"), addresses=())
        apart = replace(one, parties=(*one.parties, blue))
        assert not evaluate(apart, blue.key, party.key, Connection(6, 80)).allowed, "tenants"
        assert not evaluate(apart, party.key, blue.key, Connection(6, 80)).allowed, "tenants"


@settings(max_examples=60, deadline=None)
@given(POLICIES)
def test_an_address_stands_for_the_endpoint_that_has_it(specs: list[dict[str, Any]]) -> None:
    one = world(specs)
    first, last = one.parties[0], one.parties[-1]
    by_key = evaluate(one, first.key, last.key, Connection(6, 80))
    by_address = evaluate(one, first.key, last.addresses[0], Connection(6, 80))
    assert by_key == by_address


def test_it_says_who_decided_and_how_it_came_to_that() -> None:
    one = world(
        [
            {"tier": "emergency", "ingress": [{"action": "pass"}]},
            {"tier": "kubernetes", "isolates": ["ingress"], "ingress": [{"ports": [{"port": 81}]}]},
        ]
    )
    a, b = one.parties[0].key, one.parties[1].key
    refused = evaluate(one, a, b, Connection(6, 80))
    assert refused.egress.because == "default"
    assert refused.deciding.title == "Policy red/p1 ingress isolation"
    assert refused.deciding.path == (
        "TIERED: pass by Policy red/p0 ingress[0]",
        "ISOLATION: isolated by Policy red/p1, and no rule allows it",
    )
    allowed = evaluate(one, a, b, Connection(6, 81))
    assert allowed.deciding.title == "Policy red/p1 ingress[0]"


def test_the_defaults_of_a_tenant_decide_last() -> None:
    one = replace(world([]), defaults={"red": ("reject", "allow")})
    answer = evaluate(one, one.parties[0].key, one.parties[1].key, Connection(6, 80))
    assert (answer.ingress.verdict, answer.ingress.because) == ("reject", "default")
    assert evaluate(one, one.parties[0].key, "198.51.100.7", Connection(6, 80)).allowed


def test_a_rule_of_its_own_for_whom_it_is_about() -> None:
    """Rules may be about others than their policy is."""
    pods = {"endpoints": {"matchLabels": {"pod": "b"}}}
    given_ = {"appliesTo": [{"endpoints": {"matchLabels": {"pod": "a"}}}]}
    one = world([{**given_, "ingress": [{"action": "drop", "appliesTo": [pods]}]}])
    a, b = one.parties[0].key, one.parties[1].key
    assert evaluate(one, b, a, Connection(6, 80)).allowed
    assert not evaluate(one, a, b, Connection(6, 80)).allowed
    assert PolicyRule().applies_to is None
