# SPDX-License-Identifier: Apache-2.0
"""Connections get their answers; a bridge that does not remember what it has to is found."""

from collections import Counter
from dataclasses import replace

import pytest
from change_world import prover, scenario
from verify_world import SCENARIOS, world

from vneter_sdn.daemon.changing import BridgeChange, Step
from vneter_sdn.model.fields import TRACKED
from vneter_sdn.model.flow import Conntrack, Flow, Resubmit, match
from vneter_sdn.model.snapshot import Delta
from vneter_sdn.pipeline.tables import table
from vneter_sdn.verify.replies import unanswered

GATEWAY, SWITCH = table("gateway").id, table("switch").id
STATE, ONWARD, ZONE = 250, 251, 7
KNOWN = (TRACKED["est"] | TRACKED["trk"],) * 2


@pytest.mark.parametrize("name", SCENARIOS)
def test_all_connections_of_scenarios_are_answered(name):
    place = world(name)
    assert list(unanswered(place.fabric(), place.directory)) == []


def stateful(place, opener, *, remembers):
    """Only one endpoint opens connections; all others' packets pass where they are known."""
    begins = (Conntrack(commit=True, zone=ZONE),) if remembers else ()
    own = match(eth_type=0x800, in_port=opener.port)
    return place.with_(
        opener.host,
        add=(
            Flow(GATEWAY, 50, match(eth_type=0x800), (Conntrack(table=STATE, zone=ZONE),)),
            Flow(STATE, 9, match(eth_type=0x800, ct_state=KNOWN), (), ONWARD),
            Flow(STATE, 5, own, begins, ONWARD),
            Flow(ONWARD, 1, (), (Resubmit(SWITCH),)),
        ),
    )


@pytest.mark.parametrize("remembers", [True, False])
def test_a_bridge_that_forgets_is_found(remembers):
    sound = world("single-host")
    opener = next(iter(sound.meaning.stations.values()))
    place = stateful(sound, opener, remembers=remembers)
    found = list(unanswered(place.fabric(), place.directory, [opener]))
    assert bool(found) != remembers
    for finding in found:
        assert place.send(finding.example).reached == ()


def past(place, host, flow):
    """The same place, where packets that a flow takes go nowhere."""
    return place.with_(host, remove=(flow,), add=(replace(flow, actions=(), goto=None),))


@pytest.mark.parametrize(
    ("name", "where", "knows"),
    [("policies", "ingress_verdict", "ct_label"), ("multi-path", "path", "ct_mark")],
)
def test_what_follows_first_packets_arrives_too(name, where, knows):
    """First packets pass by other flows, and answers by other tables."""
    place = world(name)
    proof = prover(scenario(name))
    found = Counter()
    for host, state in sorted(place.states.items()):
        for key, flow in sorted(state.flows.items()):
            if flow.table == table(where).id and any(t.field == knows for t in flow.match):
                faulty = past(place, host, flow)
                lost = list(unanswered(faulty.fabric(), place.directory))
                about = [one for one in lost if "of which what follows" in one.about]
                found[bool(about)] += 1
                bridges = {host: BridgeChange(flows={key: (flow, faulty.states[host].flows[key])})}
                step = Step(proof.bench.snapshot, proof.bench.snapshot, Delta(), bridges)
                assert bool(proof.take(step, ("answers",)).verdict.findings) == bool(lost)
                back = BridgeChange(flows={key: (faulty.states[host].flows[key], flow)})
                proof.take(replace(step, bridges={host: back}))
    assert found[True]
