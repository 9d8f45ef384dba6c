# SPDX-License-Identifier: Apache-2.0
"""What bridges answer on the spot says what is so, and what they forward is as it was sent."""

from dataclasses import replace

import pytest
from verify_faults import used
from verify_world import edit, world

from vneter_sdn.model.flow import SetField
from vneter_sdn.verify.checks import black_holes
from vneter_sdn.verify.fleet import Wiring
from vneter_sdn.verify.proof import Proof

NAME = "dual-stack-routing"
WRITTEN = [
    *(("neighbour", 0x806, name) for name in ("eth_src", "arp_sha", "arp_spa", "arp_op")),
    *(("neighbour", 0x86DD, name) for name in ("eth_src", "ipv6_src")),
    *(("gateway", 0x800, name) for name in ("eth_src", "ip_src", "icmp_type")),
    *(("gateway", 0x86DD, name) for name in ("eth_src", "ipv6_src", "icmpv6_type")),
]


def flows(place, name, kind):
    """Flows of a table that packets of a kind meet, by host."""
    return [
        (host, flow)
        for host in sorted(place.states)
        for flow in used(place, host, name)
        if ("eth_type", kind) in {term[:2] for term in flow.match}
    ]


def instead(place, host, flow, actions):
    return place.with_(host, remove=(flow,), add=(replace(flow, actions=tuple(actions)),))


def judged(faulty):
    """What both proofs say of a fault: all that is wrong, and whether the change is."""
    place = world(NAME)
    proof = Proof(place.states, Wiring.of(place.rows, place.wires), place.meaning)
    changed, groups = edit(place, faulty)
    found = list(black_holes(faulty.fabric(), faulty.directory))
    return found, proof.update(changed, place.meaning, groups=groups).findings


@pytest.mark.parametrize(("name", "kind", "field"), WRITTEN)
def test_answers_that_say_something_else_are_found(name, kind, field):
    place = world(NAME)
    writes = [
        (host, flow)
        for host, flow in flows(place, name, kind)
        if any(isinstance(a, SetField) and a.field == field for a in flow.actions)
    ]
    host, flow = writes[0]
    wrong = [
        replace(a, value=a.value ^ 1) if isinstance(a, SetField) and a.field == field else a
        for a in flow.actions
    ]
    faulty = instead(place, host, flow, wrong)
    found, changed = judged(faulty)
    assert {one.kind for one in found} == {one.kind for one in changed} == {"black_hole"}
    for one in found:
        (was,), (now,) = place.send(one.example).replies, faulty.send(one.example).replies
        assert was.get(field, 0) != now.get(field, 0)


@pytest.mark.parametrize("field", ["eth_dst", "arp_tha", "arp_tpa"])
def test_answers_to_somebody_else_are_found(field):
    place = world(NAME)
    host, flow = flows(place, "neighbour", 0x806)[0]
    kept = [a for a in flow.actions if getattr(a, "target", "") != field]
    assert len(kept) < len(flow.actions)
    found, changed = judged(instead(place, host, flow, kept))
    assert found
    assert changed


@pytest.mark.parametrize("field", ["ip_dst", "ip_src"])
def test_what_is_forwarded_is_as_it_was_sent(field):
    place = world(NAME)
    host, flow = flows(place, "deliver", 0x800)[0]
    rewritten = SetField(field, 0x0A0000FE, 0xFFFFFFFF)
    found, changed = judged(instead(place, host, flow, (rewritten, *flow.actions)))
    assert {one.kind for one in found} == {one.kind for one in changed} == {"misdelivery"}
