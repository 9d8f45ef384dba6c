# SPDX-License-Identifier: Apache-2.0
"""What policies report: where they are held, what met them, when they are in force."""

from __future__ import annotations

import pytest
from diamond import World, rfc
from paper import edit

from vneter_sdn.compile.features.police import TABLES, decided
from vneter_sdn.engine.names import NamesAnswered
from vneter_sdn.engine.port import Channel, Tick
from vneter_sdn.model.snapshot import Key
from vneter_sdn.telemetry.rules import Decision, Reading, RulesCounted

POLICY = Key("Policy", "red", "web")
TENANT = Key("Tenant", "", "red")
ALLOWS = "Policy red/web ingress[0] clients"
DROPS = "Policy red/web ingress[1]"


@pytest.fixture
def world():
    return World()


def web(**spec):
    rules = [
        {"name": "clients", "ports": [{"port": 80}]},
        {"action": "drop"},
    ]
    return edit("Policy", "web", "red", **{"ingress": rules, **spec})


def reading(world, host, packets, *, rule, begins, seconds=10.0):
    """What one flow of a bridge's counts, by number of the rule."""
    for flow in world.southbound.flows[host].state.flows.values():
        found = decided(flow.key)
        if found and found[0] == "ingress" and found[2:] == (rule, begins):
            return Reading(flow.key, Decision(*found), seconds, packets, packets * 100)
    raise AssertionError(f"no flow for {rule}")


def number(world, title):
    rules = world.controller._compiler.rules("red")
    return next(n for n, rule in rules.items() if rule.title == title)


def counted(world, host, *readings):
    world.hear(RulesCounted(host, TABLES[1], readings))


def counters(world, key=POLICY):
    return world.status(key).details.get("counters", {})


def test_where_a_policy_is_held_and_whether(world):
    world.apply(web())
    assert world.condition(POLICY, "Realised") == ("False", "Programming")
    assert world.message(POLICY, "Realised") == "waiting for s1, s4"
    world.confirm()
    assert world.condition(POLICY, "Realised") == ("True", "Confirmed")
    assert world.condition(POLICY, "Ready") == ("True", "Accepted")
    told = world.status(POLICY).details
    assert (told["endpoints"], told["rules"], told["bridges"]) == (2, 2, 2)
    assert told["flows"] > 4
    world.hear(Channel("s4", False))
    assert world.condition(POLICY, "Realised") == ("False", "Programming")
    world.hear(Channel("s4", True, "OpenFlow15"))
    world.confirm()
    assert world.condition(POLICY, "Realised") == ("True", "Confirmed")


def test_isolation_counts_as_held_too(world):
    world.apply(web(tier="kubernetes", isolates=["ingress"], ingress=[]))
    assert world.condition(POLICY, "Realised") == ("False", "Programming")
    world.confirm()
    assert world.condition(POLICY, "Realised") == ("True", "Confirmed")
    assert world.status(POLICY).details["flows"] == 0


def test_nobody_to_be_about(world):
    world.apply(web(appliesTo=[{"endpoints": {"matchLabels": {"no": "body"}}}]))
    assert world.condition(POLICY, "Realised") == ("True", "NoEndpoints")


def test_counts_are_summed_over_bridges_and_never_go_back(world):
    world.apply(web())
    allows, drops = number(world, ALLOWS), number(world, DROPS)
    counted(
        world,
        "s1",
        reading(world, "s1", 3, rule=allows, begins=True),
        reading(world, "s1", 7, rule=allows, begins=False),
        reading(world, "s1", 5, rule=drops, begins=False),
    )
    counted(world, "s4", reading(world, "s4", 2, rule=allows, begins=True))
    assert counters(world)[ALLOWS] == {"connections": 5, "packets": 12, "bytes": 1200}
    assert counters(world)[DROPS] == {"connections": 0, "packets": 5, "bytes": 500}
    counted(world, "s4", reading(world, "s4", 1, rule=allows, begins=True, seconds=1.0))
    assert counters(world)[ALLOWS]["connections"] == 6
    counted(world, "s4", reading(world, "s4", 4, rule=allows, begins=True, seconds=11.0))
    assert counters(world)[ALLOWS]["connections"] == 9


def test_another_life_counts_on(world):
    world.apply(web())
    allows = number(world, ALLOWS)
    counted(world, "s1", reading(world, "s1", 10, rule=allows, begins=True))
    world.fresh()
    world.settle()
    world.connect()
    counted(world, "s1", reading(world, "s1", 12, rule=allows, begins=True, seconds=20.0))
    assert counters(world)[ALLOWS]["connections"] == 12
    counted(world, "s1", reading(world, "s1", 1, rule=allows, begins=True, seconds=1.0))
    assert counters(world)[ALLOWS]["connections"] == 13


def test_denials_for_want_of_a_rule_are_the_tenants(world):
    world.apply(edit("Tenant", "red", defaultIngress="drop"), web(ingress=[{}]))
    counted(world, "s1", reading(world, "s1", 4, rule=3, begins=False))
    assert counters(world, TENANT) == {
        "ingress default": {"connections": 0, "packets": 4, "bytes": 400}
    }


def test_a_schedule_begins_and_ends_by_itself(world):
    window = {"start": rfc(world.now + 60), "end": rfc(world.now + 120)}
    world.apply(web(schedule=[window]))
    assert world.condition(POLICY, "Realised") == ("True", "NotInForce")
    assert not world.controller._compiler.rules("red")
    assert not world.controller.rolling
    world.now += 60
    assert world.controller.rolling
    world.hear(Tick(1.0))
    assert len(world.controller._compiler.rules("red")) == 2
    world.confirm()
    assert world.condition(POLICY, "Realised") == ("True", "Confirmed")
    world.now += 60
    world.hear(Tick(2.0))
    assert not world.controller._compiler.rules("red")


def test_what_a_policy_does_not_say_any_more_is_not_reported(world):
    world.apply(web())
    world.confirm()
    rule = number(world, ALLOWS)
    counted(world, "s1", reading(world, "s1", 3, rule=rule, begins=True))
    assert counters(world)[ALLOWS]["packets"] == 3
    world.apply(web(ingress=[{"name": "others", "ports": [{"port": 80}]}]))
    world.confirm()
    assert ALLOWS not in {title.text for title in world.controller.policies.totals()}
    assert ALLOWS not in counters(world)
    world.fresh()
    world.connect()
    assert ALLOWS not in counters(world)


def test_an_answer_is_let_go_once_its_bridge_holds_what_follows(world):
    peers = [{"domain": "www.example.com"}]
    world.apply(edit("Policy", "web", "red", egress=[{"peers": peers}, {"action": "drop"}]))
    world.confirm()
    heard = []

    def answered(names, host="s1"):
        world.hear(NamesAnswered("red", names, host, heard.append))

    answered({"www.example.com": {"192.0.2.1": 60}})
    assert heard == []
    answered({"www.example.com": {"192.0.2.1": 60}})
    assert heard == [], "the bridge does not hold it yet"
    world.confirm()
    assert heard == [True, True]
    answered({"www.example.com": {"192.0.2.1": 60}})
    answered({"www.example.com": {"192.0.2.2": 60}}, host="s2")
    assert heard == [True, True, False, False], "known; and nobody there is asked about"
    world.now += 2
    world.hear(Tick(0.0))
    known = world.status(TENANT).details["names"]
    assert list(known["www.example.com"]) == ["192.0.2.1", "192.0.2.2"]


def test_a_rule_put_in_between_moves_none_nor_does_another_life(world):
    def apply(*numbers):
        rules = ((n, [{"ports": [{"port": n}]}]) for n in numbers)
        world.apply(*(edit("Policy", f"p{n}", "red", priority=n, ingress=i) for n, i in rules))
        return world.southbound.flows["s1"].state.flows

    before = dict(apply(10, 20, 30))
    after = dict(apply(15))
    assert before.items() < after.items()
    world.fresh()
    world.settle()
    assert world.southbound.flows["s1"].state.flows == after
