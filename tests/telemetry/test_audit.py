# SPDX-License-Identifier: Apache-2.0
"""Lines of the audit log."""

from __future__ import annotations

import json

from vneter_sdn.model.snapshot import Key
from vneter_sdn.pipeline.punts import Decided
from vneter_sdn.pipeline.registers import DENIED, ISOLATED
from vneter_sdn.policy.rule import Rule, Stage
from vneter_sdn.southbound.openflow.punt import Icmp, Ports
from vneter_sdn.telemetry.audit import Limit, Line, syslog, text

RULE = Rule(
    policy=Key("Policy", "red", "web"),
    direction="ingress",
    number=0,
    stage=Stage.TIERED,
    order=(250, 5.0, "web"),
    verdict="reject",
    applied=(),
)


def line(rule=RULE, number=17, transport=None, verdict="reject", endpoint="x.a"):
    return Line(
        tenant="red",
        source="198.51.100.7",
        target="10.0.0.2",
        source_endpoint="",
        target_endpoint=endpoint,
        protocol=6 if isinstance(transport, Ports) else 1,
        transport=transport,
        decision=Decided("ingress", verdict, 1, number, log=True),
        rule=rule,
        host="h1",
    )


def test_a_line_says_it_all():
    told = line(transport=Ports(1234, 80)).told("2027-01-31T08:00:00.000Z")
    assert json.loads(text(told)) == {
        "time": "2027-01-31T08:00:00.000Z",
        "tenant": "red",
        "from": "198.51.100.7",
        "to": "x.a",
        "source": "198.51.100.7",
        "target": "10.0.0.2",
        "protocol": "tcp",
        "sourcePort": 1234,
        "targetPort": 80,
        "verdict": "rejected",
        "rule": "Policy red/web ingress[0]",
        "policy": "Policy red/web",
        "direction": "ingress",
        "host": "h1",
    }


def test_what_denies_for_want_of_a_rule_has_a_name():
    for number, why in ((ISOLATED, "ingress isolation"), (DENIED, "ingress default")):
        told = line(rule=None, number=number, verdict="drop", transport=Icmp(8, 0)).told("now")
        assert (told["rule"], told["policy"], told["verdict"]) == (why, "", "dropped")
        assert (told["protocol"], told["type"], told["code"]) == ("icmp", 8, 0)
    assert line(rule=None, number=99).told("now")["rule"] == ""


def test_lines_are_one_line_whatever_is_in_them():
    assert "\n" not in text(line(endpoint="a\nb").told("now"))


def test_syslog_is_as_the_rfc_has_it():
    assert syslog("{}", "2027-01-31T08:00:00.000Z", "h") == (
        b"<134>1 2027-01-31T08:00:00.000Z h vneter - audit - {}"
    )


def test_what_is_too_much_is_counted():
    limit = Limit(10)
    assert sum(limit.may(0.0) for _ in range(25)) == 10
    assert limit.settled() == 15
    assert limit.settled() == 0
    assert sum(limit.may(0.5) for _ in range(25)) == 5
    assert limit.settled() == 20
    slow = Limit(0.5)
    assert [slow.may(now) for now in (0.0, 1.0, 2.0, 3.0, 4.0)] == [True, False, True, False, True]
    assert not Limit(0).may(9.0)
