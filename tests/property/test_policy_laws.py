# SPDX-License-Identifier: Apache-2.0
"""Compiled flows decide as the plain evaluator does, by the same rule, whatever the policies."""

from dataclasses import replace
from ipaddress import ip_address

from hypothesis import HealthCheck, Phase, given, settings
from policy_worlds import OUTSIDE, Policed, worlds

from vneter_sdn.pipeline.registers import ALLOWED, DENIED, ISOLATED
from vneter_sdn.policy.evaluate import Connection, evaluate
from vneter_sdn.policy.rule import RuleBook, Stage
from vneter_sdn.simulate.attempts import Wanted, between, inwards, outwards, pair_of

CONNECTIONS = (
    Connection(6, 80),
    Connection(6, 8080),
    Connection(17, 53),
    Connection(17, 80),
    Connection(132, 80),
    Connection(1),
    Connection(58, icmp_type=128),
)


def wanted_of(connection):
    return Wanted(
        connection.protocol,
        connection.port,
        connection.icmp_type,
        connection.icmp_code,
        connection.version,
    )


def agrees(policed, source, target, connection, attempt):
    """Both ways came out as they should, by the rule they should."""
    answer = evaluate(policed.plain, source, target, connection)
    asked = (source, target, connection, answer)
    assert attempt.allowed == answer.allowed, (asked, attempt.decided)
    endpoints = {"egress": source, "ingress": target}
    for way, decision in (("egress", answer.egress), ("ingress", answer.ingress)):
        if way == "ingress" and answer.egress.verdict != "allow":
            assert attempt.decided[way] is None, asked
            continue
        if decision.because == "outside":
            continue
        tenant = endpoints[way].tenant
        _named(policed, tenant, way, decision, attempt.decided[way], asked)


def _named(policed, tenant, way, decision, number, asked):
    """The number on the bridge stands for who decided."""
    if decision.because == "rule":
        rule = policed.compiler.rules(tenant).get(number)
        assert rule is not None, (asked, number)
        if rule.stage is not Stage.ISOLATION:
            assert rule == decision.rule, asked
        elif rule != decision.rule:  # rules of this stage have no order: any that allows may
            book = RuleBook((rule,), policed.plain.book.isolations)
            alone = evaluate(replace(policed.plain, book=book), *asked[:3])
            assert getattr(alone, way).rule == rule, (asked, rule)
    elif decision.because == "isolation":
        assert number == ISOLATED, asked
    elif decision.because == "host" and way == "egress":
        assert number == ISOLATED, asked  # which keeps nobody from their own host
    elif decision.verdict != "allow":
        assert number == DENIED, asked
    else:
        assert number in (None, 0, ALLOWED), (asked, number)


def every_decision_agrees(policed):
    assert not policed.compiler.clashes
    tried = 0
    for source in policed.stations:
        for target in policed.stations:
            if source.key == target.key or source.tenant != target.tenant:
                continue
            for connection in CONNECTIONS:
                pair = pair_of(source.addresses, target.addresses, wanted_of(connection))
                if pair is None:
                    continue
                asked = replace(connection, version=pair[0].version)
                attempt = between(policed.fleet, policed.meaning, source, target, wanted_of(asked))
                assert not attempt.delivery.ambiguities
                agrees(policed, source.key, target.key, asked, attempt)
                tried += 1
        for address in OUTSIDE:
            tried += _outside(policed, source, ip_address(address))
    return tried


def _outside(policed, station, address):
    numbers = policed.numbers(station.tenant)
    tried = 0
    for connection in CONNECTIONS:
        asked = replace(connection, version=address.version)
        if not any(a.version == address.version for a in station.addresses):
            continue
        if connection.protocol == (58 if address.version == 4 else 1):
            continue
        out = outwards(policed.fleet, numbers, station, address, wanted_of(asked))
        agrees(policed, station.key, str(address), asked, out)
        into = inwards(policed.fleet, numbers, address, station, wanted_of(asked))
        agrees(policed, str(address), station.key, asked, into)
        tried += 2
    return tried


# A world takes a tenth of a second to compile, so a smaller one that fails, too, hours to find.
UNSHRUNK = (Phase.explicit, Phase.reuse, Phase.generate)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), phases=UNSHRUNK)
@given(manifests=worlds())
def test_flows_decide_as_written(manifests):
    assert every_decision_agrees(Policed.of(manifests))
