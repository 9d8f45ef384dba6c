# SPDX-License-Identifier: Apache-2.0
"""Leaving policies aside finds what following packets through them finds, no more and no less."""

from functools import cache
from random import Random

import pytest
from change_world import bench, labelled, manifest, policy, rule, shop
from verify_faults import FAULTS
from verify_world import SCENARIOS, world

from vneter_sdn.model.flow import BridgeState, Conntrack, Flow, Output, Resubmit, SetField
from vneter_sdn.model.flow import match as matching
from vneter_sdn.pipeline.registers import LOCAL, NETWORK
from vneter_sdn.pipeline.tables import table
from vneter_sdn.simulate.meaning import meaning_of
from vneter_sdn.verify.checks import entering, isolation, leak, loop, loops
from vneter_sdn.verify.expected import Directory
from vneter_sdn.verify.facts import exactly
from vneter_sdn.verify.fleet import CUTS, Fabric
from vneter_sdn.verify.proof import Proof
from vneter_sdn.verify.restraint import Restrained
from vneter_sdn.verify.tracking import ANYTHING, NEW
from vneter_sdn.verify.walk import Around, all_up
from vneter_sdn.verify.written import loaded

pytestmark = pytest.mark.timeout(400)
FIRST, CLASSIFY = 0xFFFF, table("classify").id
"""A priority above all others; and a table."""


def plain(fabric, known):
    """What is wrong, every endpoint being followed through policies."""
    for station in known.stations:
        for trace in fabric.traces(station.host, entering(station)):
            found = leak(station, trace, known.whose) or loop(station.host, trace)
            if found is not None:
                yield found


def quick(fabric, known):
    bridges = Restrained(fabric)
    for station in known.stations:
        yield from bridges.findings(
            station.host,
            entering(station),
            lambda trace, one=station: leak(one, trace, known.whose) or loop(one.host, trace),
        )


def words(findings):
    return [str(one) for one in findings]


# ---- scenarios


@pytest.mark.parametrize("name", SCENARIOS)
def test_policies_are_left_aside_in_every_scenario(name):
    assert Restrained(world(name).fabric(ANYTHING)).is_sure


def test_they_are_not_where_the_tracker_knows_what_they_commit():
    assert not Restrained(world("policies").fabric(NEW)).is_sure


@pytest.mark.parametrize("name", ["overlapping-tenants", "multi-path", "routers-and-lengths"])
def test_faults_of_scenarios_are_found_as_by_following_everybody(name):
    wrong = 0
    for fault in FAULTS:
        faulty = fault(world(name), Random(f"{name} {fault.__name__}"))
        if faulty is not None:
            fabric = faulty.fabric(ANYTHING)
            found = words(quick(fabric, faulty.directory))
            assert found == words(plain(fabric, faulty.directory)), fault.__name__
            wrong += bool(found)
    assert wrong


# ---- policies that do more than they may, and forwarding that goes by them


@cache
def place():
    """Two tenants on two bridges, one of which has a policy."""
    web, db = labelled(app="web"), labelled(app="db")
    more = [
        policy("p", web, ingress=[rule("drop", db, 80)], egress=[rule("allow", db, 5432)]),
        manifest("Tenant", "blue", {}),
        manifest("Network", "pods", {"prefixes": ["10.0.1.0/24"]}, "blue"),
        manifest("Endpoint", "b1", {"network": "pods", "host": "h1"}, "blue", {}),
    ]
    kept = [one for one in shop(*more) if one["metadata"]["name"] not in ("web2", "db2", "ops1")]
    return bench(kept)


@cache
def directory():
    return Directory.of(meaning_of(place().snapshot))


def states_with(*flows):
    """What bridges hold, with flows more on the first one."""
    states = dict(place().states())
    held = states["h1"]
    more = held.flows | {flow.key: flow for flow in flows}
    return {**states, "h1": BridgeState(more, held.groups, held.meters)}


def fabric(*flows):
    return Fabric.of(states_with(*flows), place().wiring(), Around(ANYTHING, all_up, CUTS))


def flow(name, matched=(), *actions, goto=None):
    number = table(goto).id if goto else None
    return Flow(table(name).id, FIRST, matching(**dict(matched)), tuple(actions), number)


def port_of(name):
    return next(s.port for s in directory().stations if s.key.name == name)


def mac_of(name):
    return next(s.mac for s in directory().stations if s.key.name == name)


def leaking():
    """Sends to the other tenant's endpoint."""
    return Output(port_of("b1"))


def tracked(**more):
    return {"ct_state": (0x20, 0x20), **more}


def network_of_b1():
    classified = (f for f in place().states()["h1"].flows.values() if f.table == CLASSIFY)
    mine = next(f for f in classified if exactly(f, "in_port") == port_of("b1"))
    return loaded(mine, NETWORK.field) & NETWORK.mask


def identity():
    """What policies call the endpoint that they are about."""
    first = (f for f in place().states()["h1"].flows.values() if f.table == table("egress").id)
    return next(found for f in first if (found := loaded(f, LOCAL.field)) is not None)


UDP_7 = {"eth_type": 0x800, "ip_proto": 17, "udp_dst": 7}
MORE = {
    "a verdict sends": lambda: [flow("egress_verdict", {}, leaking())],
    "a verdict writes whose network it is": lambda: [
        flow(
            "egress_verdict",
            UDP_7,
            SetField(NETWORK.field, network_of_b1(), NETWORK.mask),
            SetField("eth_dst", mac_of("b1"), (1 << 48) - 1),
            goto="switch",
        )
    ],
    "a verdict sends packets back": lambda: [
        flow("egress_state", UDP_7, Conntrack(zone=1, table=table("egress").id)),
        flow("egress", UDP_7, Conntrack(zone=1, table=table("egress_state").id)),
    ],
    "forwarding goes by who sends": lambda: [
        flow("switch", {**UDP_7, LOCAL.field: identity()}, leaking()),
    ],
    "what policies wrote is come back with": lambda: [
        flow("entry", UDP_7, Resubmit(table("classify").id), goto="edge"),
        flow("edge", {**UDP_7, LOCAL.field: identity()}, leaking()),
    ],
}
"""Policies that do more than hold back, and forwarding that goes by what they write."""
NO_MORE = {
    "forwarding goes by what policies asked the tracker": lambda: [
        flow("switch", tracked(eth_type=0x800), leaking()),
    ],
    "and by what it said of a connection": lambda: [
        flow("switch", tracked(ct_mark=7), leaking()),
    ],
    "forwarding leaks by itself": lambda: [flow("switch", {}, leaking())],
}
"""Faults that are there without policies as well."""


@pytest.mark.parametrize("misdeed", MORE)
def test_policies_that_do_more_are_followed(misdeed):
    faulty = fabric(*MORE[misdeed]())
    assert not Restrained(faulty).is_sure
    wanted = words(plain(faulty, directory()))
    assert wanted
    assert words(quick(faulty, directory())) == wanted


@pytest.mark.parametrize("misdeed", NO_MORE)
def test_what_is_wrong_without_policies_is_looked_for_with_them(misdeed):
    faulty = fabric(*NO_MORE[misdeed]())
    assert Restrained(faulty).is_sure
    wanted = words(plain(faulty, directory()))
    assert wanted
    assert words(quick(faulty, directory())) == wanted


def test_what_policies_hide_is_no_fault():
    faulty = fabric(flow("egress"), flow("ingress"), flow("switch", {"eth_type": 0x800}, leaking()))
    assert words(plain(faulty, directory())) == words(quick(faulty, directory())) == []


def test_nothing_is_wrong_with_the_place_itself():
    assert Restrained(fabric()).is_sure
    assert words(quick(fabric(), directory())) == words(plain(fabric(), directory())) == []


@pytest.mark.parametrize("misdeed", ["a verdict sends", "forwarding leaks by itself"])
def test_checks_and_proofs_go_by_it(misdeed):
    flows, known = {**MORE, **NO_MORE}[misdeed](), directory()
    faulty = fabric(*flows)
    wanted = sorted(words(plain(faulty, known)))
    assert sorted(words([*isolation(faulty, known), *loops(faulty, known)])) == wanted
    proof = Proof(states_with(*flows), place().wiring(), known.meaning)
    assert sorted(o for o in words(proof.full()) if o.startswith(("leak", "loop"))) == wanted
