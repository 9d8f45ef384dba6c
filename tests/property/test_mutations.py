# SPDX-License-Identifier: Apache-2.0
"""The laws notice: each mutation of the compiled flows breaks the law that speaks of it."""

from dataclasses import replace

import pytest
from fleet_intents import FOURS, SIXES, TENANTS, EndpointPlan, Plan, world_of
from fleet_laws import (
    LAWS,
    asking,
    confinement,
    duplicate_detection,
    gateways,
    isolation,
    nobody,
    resolution,
    routing,
    silence,
    spoofing,
    switching,
    taken_addresses,
    time_to_live,
    tunnels,
    unreachable,
)

from vneter_sdn.model.flow import BridgeState, Copy, DecTtl, Output, SetField
from vneter_sdn.model.snapshot import Key
from vneter_sdn.pipeline.priorities import (
    EXCEPTION,
    EXPIRED,
    FINAL,
    HIGH,
    LOW,
    NORMAL,
    OVERRIDE,
    OWN,
)
from vneter_sdn.pipeline.tables import table

NETWORKS = {Key("Network", t, f"n{n}"): (FOURS[n], SIXES[n]) for t in TENANTS for n in (0, 1)}
PLACES = (("h1", "h1"), ("h2", "h2"), ("h1", "h3"))
PLAN = Plan(
    dict.fromkeys(("h1", "h2", "h3"), "geneve"),
    NETWORKS,
    tuple(
        EndpointPlan(network, *PLACES[(n + m) % 2 + m // 2], None if n % 2 else 90 + m, None)
        for n, network in enumerate(NETWORKS)
        for m in (0, 1, 2)
    ),
    gateways=True,
)


def each(name, change):
    """A mutation of every flow of one table; None removes a flow."""
    number = table(name).id

    def mutate(state):
        flows = [change(f) if f.table == number else f for f in state.flows.values()]
        return BridgeState({f.key: f for f in flows if f}, state.groups, state.meters)

    return mutate


def without(*fields):
    return lambda flow: replace(
        flow, match=tuple(term for term in flow.match if term.field not in fields)
    )


def inactive(kind, field=None):
    def change(flow):
        gone = [
            isinstance(a, kind) and field in (None, getattr(a, "field", None)) for a in flow.actions
        ]
        kept = tuple(a for a, is_gone in zip(flow.actions, gone, strict=True) if not is_gone)
        return replace(flow, actions=kept)

    return change


def unguarded(flow):
    return replace(flow, actions=(), goto=table("edge").id)


def dropped_at(*priorities):
    return lambda flow: None if flow.priority in priorities else flow


def flooding(flow):
    return replace(flow, actions=(*flow.actions, Output(5), Output(6), Output(0x8001)))


MUTATIONS = {
    "edge without the port": (each("edge", without("in_port")), asking),
    "edge answers nobody": (each("edge", dropped_at(NORMAL)), asking),
    "names without the port": (each("switch", without("in_port")), asking),
    "nobody may ask without an address": (each("spoof_guard", dropped_at(OVERRIDE)), asking),
    "arrival without the VNI": (each("arrival", without("reg1")), tunnels),
    "arrival keeps the locator": (each("arrival", inactive(SetField, "eth_dst")), switching),
    "classify takes no VNI from tunnels": (
        each("classify", lambda f: None if f.goto == table("arrival").id else f),
        switching,
    ),
    "route without the tenant": (each("route", without("reg2")), isolation),
    "route without dec_ttl": (each("route", inactive(DecTtl)), routing),
    "route keeps the sender's MAC": (each("route", inactive(SetField, "eth_src")), routing),
    "route expires everything": (each("route", without("ip_ttl")), routing),
    "route forgets expiry": (each("route", dropped_at(EXPIRED)), time_to_live),
    "route takes link-local sources": (
        each("route", lambda f: None if any(t.field == "ipv6_src" for t in f.match) else f),
        confinement,
    ),
    "switch without the network": (each("switch", without("reg1")), isolation),
    "switch floods": (each("switch", flooding), nobody),
    "deliver without the network": (each("deliver", without("reg1")), isolation),
    "no spoof guard": (each("spoof_guard", unguarded), spoofing),
    "spoof guard without the MAC": (each("spoof_guard", without("eth_src")), spoofing),
    "spoof guard without IP": (each("spoof_guard", without("ip_src", "ipv6_src")), spoofing),
    "spoof guard without ARP's sender": (
        each("spoof_guard", without("arp_spa", "arp_sha")),
        spoofing,
    ),
    "spoof guard without ND's options": (
        each("spoof_guard", without("nd_sll", "nd_tll")),
        spoofing,
    ),
    "spoof guard lets ND through": (each("spoof_guard", dropped_at(EXCEPTION)), spoofing),
    "spoof guard lets probes through": (
        each("spoof_guard", dropped_at(FINAL)),
        duplicate_detection,
    ),
    "neighbour without the network": (each("neighbour", without("reg1")), resolution),
    "neighbour without the target": (
        each("neighbour", without("arp_tpa", "nd_target")),
        resolution,
    ),
    "advertise says nothing": (each("advertise", inactive(Copy)), resolution),
    "gateway silent": (each("gateway", dropped_at(HIGH, NORMAL)), gateways),
    "deliver complains of nobody": (each("deliver", dropped_at(LOW)), unreachable),
    "route complains of nothing": (each("route", dropped_at(LOW)), unreachable),
    "the gateway takes everything": (each("switch", dropped_at(OWN)), silence),
    "complain without the fault": (each("complain", without("reg0")), unreachable),
    "probes are answered to nobody": (each("advertise", dropped_at(HIGH)), taken_addresses),
    "transit without VNI": (
        each("transit", lambda f: replace(f, actions=f.actions[1:])),
        switching,
    ),
}


def test_the_plan_itself_is_lawful():
    world = world_of(PLAN)
    assert len(world.stations) == 12
    for law in LAWS:
        law(world)


@pytest.mark.parametrize(("mutate", "law"), MUTATIONS.values(), ids=MUTATIONS)
def test_is_noticed(mutate, law):
    world = world_of(PLAN, mutate=mutate)
    with pytest.raises((AssertionError, ValueError)):
        law(world)
