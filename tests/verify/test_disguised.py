# SPDX-License-Identifier: Apache-2.0
"""Nobody speaks in another's name: policies go by addresses, so a hole in the guard is a leak."""

from dataclasses import replace

import pytest
from verify_faults import used
from verify_world import edit, world

from vneter_sdn.model.flow import match
from vneter_sdn.simulate.fleet import PortOf
from vneter_sdn.verify.checks import isolation
from vneter_sdn.verify.fleet import Wiring
from vneter_sdn.verify.proof import Proof
from vneter_sdn.verify.tracking import ANYTHING

NAME = "repair"


def wider(place, host, flow, name):
    """The same place, where a flow takes packets whatever a field of theirs is."""
    terms = {t.field: (t.value, t.mask) for t in flow.match if t.field != name}
    changed = replace(flow, match=match(**terms))
    return place.with_(host, remove=(flow,), add=(changed,))


@pytest.mark.parametrize("name", ["ip_src", "eth_src"])
def test_a_hole_in_the_guard_is_found(name):
    place = world(NAME)
    host = sorted(place.states)[0]
    guards = used(place, host, "spoof_guard")
    guard = next(flow for flow in guards if any(t.field == "ip_src" for t in flow.match))
    faulty = wider(place, host, guard, name)
    found = list(isolation(faulty.fabric(ANYTHING), faulty.directory))
    proof = Proof(place.states, Wiring.of(place.rows, place.wires), place.meaning)
    flows, groups = edit(place, faulty)
    changed = proof.update(flows, place.meaning, groups=groups).findings
    assert {one.kind for one in found} == {one.kind for one in changed} == {"leak"}
    for one in (*found, *changed):
        sender = faulty.directory.whose[PortOf(one.example.host, one.example.packet["in_port"])]
        own = {"ip_src": {int(a) for a in sender.addresses}, "eth_src": {sender.mac}}
        assert one.example.packet.get(name, 0) not in own[name]
        assert faulty.send(one.example).reached
        assert not place.send(one.example).reached
    flows, groups = edit(faulty, place)
    assert proof.update(flows, place.meaning, groups=groups).findings == ()
