# SPDX-License-Identifier: Apache-2.0
"""On compiled bridges, `bridge.run` does what Open vSwitch does, whatever the packet."""

from itertools import chain
from pathlib import Path
from random import Random

import pytest
import yaml
from fleet_intents import FOURS, SIXES, TENANTS, EndpointPlan, Plan, compiled, snapshot_of
from fleet_packets import Vocabulary

from vneter_sdn.daemon.offline import compile_manifests
from vneter_sdn.model.snapshot import Key
from vneter_sdn.pipeline.tables import table
from vneter_sdn.simulate.bridge import run
from vneter_sdn.simulate.lookup import Datapath

PACKETS = 400
NETWORKS = {Key("Network", t, f"n{n}"): (FOURS[n], SIXES[n]) for t in TENANTS for n in (0, 1)}


def endpoint(number, network):
    """Three of each network, over three hosts, one of them not where its block is."""
    expected, bound = (("h1", "h1"), ("h2", "h2"), ("h1", "h3"))[number]
    return EndpointPlan(network, expected, bound, None if number else 90, None)


PLANS = {
    "single host": Plan(
        {"h1": "geneve"},
        NETWORKS,
        tuple(EndpointPlan(n, "h1", "h1", None, None) for n in NETWORKS for _ in "ab"),
    ),
    "two hosts, one tenant, IPv4": Plan(
        dict.fromkeys(("h1", "h2"), "gre"),
        {Key("Network", "red", "n0"): FOURS[:1]},
        tuple(
            EndpointPlan(Key("Network", "red", "n0"), h, h, None, None) for h in ("h1", "h1", "h2")
        ),
    ),
    "three hosts": Plan(
        dict.fromkeys(("h1", "h2", "h3"), "geneve"),
        NETWORKS,
        tuple(endpoint(number, network) for network in NETWORKS for number in range(3)),
    ),
    "a detour": Plan(
        dict.fromkeys(("h1", "h2", "h3"), "vxlan"),
        NETWORKS,
        tuple(endpoint(number, network) for network in NETWORKS for number in range(3)),
        gateways=True,
        apart=("h1", "h2"),
    ),
}


def ways_through(bridge, host, state, vocabulary):
    """Send packets through both; the tables that each of them met."""
    datapath = Datapath.of(state)
    ways = set()
    for _ in range(PACKETS):
        packet = vocabulary.packet(host, bridge.ports)
        result = run(datapath, packet)
        assert not bridge.disagreement(packet, result), packet
        ways.add(tuple(number for number, _ in result.trail))
    return ways


def ports_of(host, vocabulary, rows):
    stations = [station.port for station in vocabulary.stations if station.host == host]
    return (*stations, *(tunnel.ofport for tunnel in rows.tunnels))


@pytest.mark.ovs
@pytest.mark.parametrize("name", PLANS)
def test_agrees_on_compiled_bridges(sandbox, name):
    snapshot = snapshot_of(PLANS[name])
    vocabulary = Vocabulary(snapshot, Random(name))
    states, rows = compiled(snapshot)
    ways = set()
    for host, state in states.items():
        bridge = sandbox.bridge(ports_of(host, vocabulary, rows[host]))
        bridge.load(state)
        ways |= ways_through(bridge, host, state, vocabulary)
    # The packets met every table: no way through the pipeline was left out.
    tables = {number for state in states.values() for number in Datapath.of(state).shapes}
    assert set(chain(*ways)) >= tables - _untravelled(PLANS[name]), sorted(ways)


def _untravelled(plan):
    """Tables that no packet of a plan can get to; without policies, none is steered."""
    four_only = all(":" not in prefix for held in plan.networks.values() for prefix in held)
    single = len(plan.hosts) == 1
    names = ["size", "count", "path", "pin", "follow", "answers", *["advertise"] * four_only]
    names += ["arrival", "remember", "steer", "transit"] * single
    names += ["deliver"] * (len(plan.networks) == 1)
    asked = ("state", "peer", "tiers", "isolation", "baseline", "verdict")
    names += [f"{way}_{step}" for way in ("egress", "ingress") for step in asked]
    return {table(name).id for name in names}


SCENARIOS = sorted(
    path.parent
    for path in (Path(__file__).parents[2] / "flows/scenarios").glob("*/intent.yaml")
    if not {"PathPolicy", "Reservation", "Policy"} & set(path.read_text().split())
)
"""A trace ends where a packet is tracked; see ``test_agreement_conntrack.py`` for that."""


@pytest.mark.ovs
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda path: path.name)
def test_agrees_on_published_scenarios(sandbox, scenario):
    """The bridge holds the text of the files, the simulator the state they were written from."""
    documents = [
        document
        for name in ("topology.yaml", "intent.yaml")
        for document in yaml.safe_load_all((scenario / name).read_text())
    ]
    result = compile_manifests(documents)
    vocabulary = Vocabulary(result.snapshot, Random(scenario.name))
    for host in sorted({station.host for station in vocabulary.stations}):
        stations = ports_of(host, vocabulary, result.compiler.rows(host))
        links = result.compiler.ports(host).values()
        bridge = sandbox.bridge(tuple(dict.fromkeys([*stations, *links])))
        files = {kind: scenario / f"{host}.{kind}" for kind in ("flows", "groups", "meters")}
        bridge.load_text(**{kind: p.read_text() for kind, p in files.items() if p.exists()})
        assert ways_through(bridge, host, result.compiler.bridge(host), vocabulary)


def test_there_are_scenarios():
    assert len(SCENARIOS) >= 4
