# SPDX-License-Identifier: Apache-2.0
"""A change is about all packets that meet its flows, also where nobody is who sends any."""

from dataclasses import replace

import pytest
from change_world import prover, same, scenario
from verify_world import edit, met, world

from vneter_sdn.model.flow import Copy, Flow, match
from vneter_sdn.pipeline.registers import LOCAL
from vneter_sdn.pipeline.tables import table
from vneter_sdn.verify.fleet import Wiring
from vneter_sdn.verify.proof import Proof
from vneter_sdn.verify.reach import change, reach

NAME = "multi-path"


def first(place, host, name):
    """A flow of a table that packets meet."""
    flows = sorted(place.states[host].flows.values(), key=lambda flow: flow.key)
    return next(f for f in flows if f.table == table(name).id and (host, f) in met(place.name))


def dropping(place, host, name):
    flow = first(place, host, name)
    return place.with_(host, remove=(flow,), add=(replace(flow, actions=(), goto=None),))


def above_all(place, host, name):
    """What every packet that comes to a table meets first."""
    return place.with_(host, add=(Flow(table(name).id, 6000, match(eth_type=0x800)),))


def hosts():
    place = world(NAME)
    settled = {station.host for station in place.meaning.stations.values()}
    return next((host for host in sorted(place.states) if host not in settled), None), settled


def told(place, faulty):
    """A fault is found by what changed, and nothing when that is taken back."""
    proof = Proof(place.states, Wiring.of(place.rows, place.wires), place.meaning)
    flows, groups = edit(place, faulty)
    found = proof.update(flows, place.meaning, groups=groups).findings
    assert "black_hole" in {one.kind for one in found}
    flows, groups = edit(faulty, place)
    assert proof.update(flows, place.meaning, groups=groups).findings == ()


@pytest.mark.parametrize("fault", [dropping, above_all])
@pytest.mark.parametrize("name", ["entry", "classify", "arrival", "transit"])
def test_what_comes_by_bridges_that_nobody_is_on(fault, name):
    place = world(NAME)
    between, settled = hosts()
    assert between not in settled
    faulty = fault(place, between, name)
    told(place, faulty)


@pytest.mark.parametrize("name", ["egress", "ingress"])
def test_where_packets_go_that_no_policy_is_about(name):
    """The flow for the rest leads past policies, and is of no port."""
    place = world(NAME)
    host = hosts()[1].pop()
    flow = first(place, host, name)
    assert not any(term.field in ("in_port", "reg3") for term in flow.match)
    far = max(f.table for f in place.states[host].flows.values())
    told(place, place.with_(host, remove=(flow,), add=(replace(flow, goto=far),)))


def test_what_bridges_do_to_frames_that_they_send_on():
    """They end where they ended, and nobody knows any more whose they are."""
    place = world("relay")
    flow = first(place, "h2", "transit")
    kept = tuple(action for action in flow.actions if not isinstance(action, Copy))
    assert kept != flow.actions
    told(place, place.with_("h2", remove=(flow,), add=(replace(flow, actions=kept),)))


def nameless(flow):
    """Policies are asked, and of nobody."""
    kept = tuple(a for a in flow.actions if getattr(a, "field", "") != LOCAL.field)
    return None if kept == flow.actions else replace(flow, actions=kept)


def sunk(flow):
    """Below what a table does with the rest."""
    return replace(flow, priority=0) if flow.match else None


@pytest.mark.parametrize(("name", "spoil"), [("ingress", nameless), ("ingress_peer", sunk)])
def test_policies_that_do_not_know_who_is_there(name, spoil):
    watch = prover(scenario("policies")).watch
    before, moved = reach(watch.new, watch.known), 0
    for host, state in sorted(world("policies").states.items()):
        for key, flow in sorted(state.flows.items()):
            other = spoil(flow) if flow.table == table(name).id else None
            if other is not None:
                fault = {host: {key: None, other.key: other}}
                told = watch.update(fault, watch.known.meaning).change
                assert same(told, change(before, reach(watch.new, watch.known)))
                moved += bool(told.gained.allowed or told.lost.allowed)
                back = {host: {other.key: None, key: flow}}
                watch.update(back, watch.known.meaning)
    assert moved
