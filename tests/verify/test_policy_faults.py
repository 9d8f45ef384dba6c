# SPDX-License-Identifier: Apache-2.0
"""Policies without a fault are as the evaluator says; what is not, is told with a packet."""

import pytest
from change_world import change, labelled, policy, prover, rule, shop
from policy_faults import deleted_rule
from policy_traffic import PROBES, Traffic, sound, with_fault

from vneter_sdn.daemon.verifying import Prover
from vneter_sdn.policy.evaluate import Connection, evaluate
from vneter_sdn.policy.worlds import world_of
from vneter_sdn.simulate.packet import Packet
from vneter_sdn.verify.faithful import unfaithful


@pytest.fixture(scope="module")
def proof():
    return Prover(sound())


def packet(wanted):
    name = {6: "tcp_dst", 17: "udp_dst"}.get(wanted.protocol)
    held = {name: wanted.port} if name else {"icmp_type": wanted.icmp_type}
    return Packet(eth_type=0x800, ip_proto=wanted.protocol, **held)


def test_what_is_proven_is_what_the_evaluator_says(proof):
    snapshot, known = proof.bench.snapshot, proof.watch.known
    addresses = {s.key: [str(a) for a in s.addresses] for s in known.stations}
    world = world_of(snapshot.objects.values(), addresses=addresses)
    reach = proof.watch.reach()
    for source in known.stations:
        for target in known.stations:
            if source.key == target.key:
                continue
            for wanted in PROBES:
                connection = Connection(wanted.protocol, wanted.port)
                said = evaluate(world, source.key, target.key, connection).allowed
                proven = packet(wanted) in reach[source.key, target.key]
                assert proven == said, (source.key, target.key, wanted)


def test_nothing_is_wrong_without_a_fault(proof):
    assert [str(one) for one in proof.full()] == []


def test_who_is_let_through_against_a_policy_is_told_with_a_packet(proof):
    web, ops = labelled(app="web"), labelled(app="ops")
    denied = policy("p", web, ingress=[rule("drop", ops, 443)])
    place = prover(shop(denied)).bench
    (fault, *_) = deleted_rule(place)
    known = proof.watch.known
    found = list(Prover(with_fault(place, fault)).full(("policies",)))
    assert found
    for one in found:
        assert "can open ip tcp/443 to Endpoint shop/web" in one.about
        assert "which Policy shop/p ingress[0] refuses" in one.about
        assert one.example.packet["tcp_dst"] == 443
        assert _reaches(place, fault, one.example)
        assert not _reaches(place, {}, one.example)
    assert known


def _reaches(place, fault, example):
    return bool(Traffic(place, fault).sent(example).reached)


def test_only_some_packets_of_a_port_range_are_enough(proof):
    wide = [{"action": "drop", "ports": [{"protocol": "tcp", "port": 1024, "endPort": 2047}]}]
    place = prover(shop(policy("p", labelled(app="db"), ingress=wide))).bench
    assert list(Prover(place).full(("policies",))) == []
    later = change(
        Prover(place), [policy("p", labelled(app="db"), ingress=[rule("drop", None, 9)])]
    )
    assert later.verdict.change.gained.allowed
    watch = proof.watch
    assert list(unfaithful(later.step.after, watch.new, watch.known)) != []
