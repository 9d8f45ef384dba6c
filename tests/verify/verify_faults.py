# SPDX-License-Identifier: Apache-2.0
"""Faults of every kind, put into a compiled scenario; each is one that packets meet."""

from dataclasses import replace

from verify_world import met

from vneter_sdn.model.flow import Bucket, GroupAction, Output, SetField
from vneter_sdn.pipeline.registers import NETWORK, OUT_PORT, TENANT
from vneter_sdn.pipeline.tables import table

DROP = {"actions": (), "goto": None}


def flows(world, host, name):
    """Flows of a table besides its miss, in an order that does not change."""
    number = table(name).id
    held = [f for f in world.states[host].flows.values() if f.table == number and f.priority > 1]
    return sorted(held, key=lambda flow: (flow.priority, flow.match, repr(flow.actions)))


def stations(world, host):
    return [s for s in world.meaning.stations.values() if s.host == host]


def used(world, host, name):
    """Flows of a table that packets from somebody to somebody of this scenario meet."""
    return [flow for flow in flows(world, host, name) if (host, flow) in met(world.name)]


def put(world, host, flow, **changes):
    return world.with_(host, remove=(flow,), add=(replace(flow, **changes),))


def pick(rng, options):
    options = list(options)
    return rng.choice(options) if options else None


def anywhere(world, rng, name, wanted=lambda flow: True):
    return pick(
        rng,
        [(h, f) for h in sorted(world.states) for f in used(world, h, name) if wanted(f)],
    )


def transit(world, rng):
    return anywhere(world, rng, "transit")


def delete_transit(world, rng):
    found = transit(world, rng)
    return found and world.with_(found[0], remove=(found[1],))


def delete_of(name):
    def fault(world, rng):
        found = anywhere(world, rng, name)
        return found and world.with_(found[0], remove=(found[1],))

    fault.__name__ = f"delete_{name}"
    return fault


def bucket_elsewhere(world, rng):
    """The first bucket of a fast-failover group leads to nowhere."""
    found = transit(world, rng)
    if not found:
        return None
    host, flow = found
    numbers = [a.group for a in flow.actions if isinstance(a, GroupAction)]
    if not numbers:
        return put(world, host, flow, actions=(*flow.actions[:-1], Output(0x7FFE)))
    group = world.states[host].groups[numbers[0]]
    first = group.buckets[0]
    actions = tuple(Output(0x7FFE) if isinstance(a, Output) else a for a in first.actions)
    changed = (Bucket(actions, first.weight, first.watch_port, first.watch_group),)
    return world.with_(host, groups=(replace(group, buckets=(*changed, *group.buckets[1:])),))


def two_transit_flows(world, rng):
    """Two bridges send packets for a third, or for one of them, to each other."""
    links = [*world.wires]
    for host, rows in sorted(world.rows.items()):
        for tunnel in rows.tunnels:
            back = [t.ofport for t in world.rows[tunnel.peer].tunnels if t.peer == host]
            ends = (type(links[0]) if links else None), host
            links += [((host, tunnel.ofport), (tunnel.peer, p)) for p in back if ends]
    options = []
    for near, far in links:
        ours = {f.match: f for f in used(world, near[0], "transit")}
        theirs = {f.match: f for f in used(world, far[0], "transit")}
        options += [(near, far, ours[m], theirs[m]) for m in sorted(ours.keys() & theirs.keys())]
    found = pick(rng, options)
    if not found:
        return None
    near, far, ours, theirs = found
    changed = put(world, near[0], ours, actions=(*ours.actions[:-1], Output(near[1])))
    return put(changed, far[0], theirs, actions=(*theirs.actions[:-1], Output(far[1])))


def swap_slots(world, rng):
    """Two slots of one bridge, of two tenants if there are, mean each other."""
    for host in rng.sample(sorted(world.states), len(world.states)):
        found = used(world, host, "arrival")
        other = [
            (a, b)
            for a in found
            for b in found
            if a.goto == b.goto and a.actions != b.actions and a.match != b.match
        ]
        different = [(a, b) for a, b in other if tenant_of(a) != tenant_of(b)]
        chosen = pick(rng, different or other)
        if chosen:
            one, two = chosen
            changed = put(world, host, one, actions=two.actions)
            return put(changed, host, two, actions=one.actions)
    return None


def tenant_of(flow):
    full = [a.value for a in flow.actions if isinstance(a, SetField) and a.field == TENANT.field]
    return full[0] if full else None


def lower_priority(world, rng):
    name = rng.choice(("deliver", "switch", "classify", "arrival", "route"))
    found = anywhere(world, rng, name, lambda flow: flow.goto is not None)
    if not found:
        return None
    host, flow = found
    return put(world, host, flow, priority=0)


def route_without_tenant(world, rng):
    """A route's match loses its tenant, and it comes before all others."""
    if len({s.tenant for s in world.meaning.stations.values()}) == 1:
        return None
    found = anywhere(world, rng, "route", lambda f: any(t.field == TENANT.field for t in f.match))
    if not found:
        return None
    host, flow = found
    bare = tuple(term for term in flow.match if term.field != TENANT.field)
    return put(world, host, flow, match=bare, priority=1900)


def shadowing(world, rng):
    """A flow that takes all of another's packets is put above it."""
    name = rng.choice(("spoof_guard", "neighbour", "switch", "route", "deliver", "transit"))
    found = anywhere(world, rng, name, lambda flow: len(flow.match) > 1 or name == "transit")
    if not found:
        return None
    host, flow = found
    coarser = flow.match[:-1] if len(flow.match) > 2 and name != "route" else flow.match
    above = replace(flow, match=coarser, priority=flow.priority + 5000, actions=(), goto=None)
    return world.with_(host, add=(above,))


def contradiction(world, rng):
    """A flow of the same priority says otherwise of some packets."""
    name = rng.choice(("switch", "deliver", "neighbour"))
    found = anywhere(world, rng, name, lambda flow: len(flow.match) > 2)
    if not found:
        return None
    host, flow = found
    fewer = tuple(term for term in flow.match if term.field not in ("ip_dst", "eth_dst", "arp_tpa"))
    if fewer == flow.match:
        return None
    return world.with_(host, add=(replace(flow, match=fewer, actions=(), goto=None),))


def wrong_port(world, rng):
    """What is for one endpoint is given to another."""
    name = rng.choice(("switch", "deliver", "arrival"))
    options = []
    for host in sorted(world.states):
        ports = [s.port for s in stations(world, host)]
        for flow in used(world, host, name):
            now = [a for a in flow.actions if isinstance(a, SetField) and a.field == OUT_PORT.field]
            options += [(host, flow, now[0], p) for p in [*ports, 99] if now and p != now[0].value]
    found = pick(rng, options)
    if not found:
        return None
    host, flow, now, port = found
    changed = tuple(OUT_PORT.load(port) if a == now else a for a in flow.actions)
    return put(world, host, flow, actions=changed)


def wrong_network(world, rng):
    """A port counts as another tenant's."""
    number = table("classify").id
    options = []
    for host in sorted(world.states):
        mine = [
            f
            for _, f in sorted(world.states[host].flows.items())
            if f.table == number and tenant_of(f) is not None
        ]
        options += [(host, a, b) for a in mine for b in mine if tenant_of(a) != tenant_of(b)]
    found = pick(rng, options)
    return found and put(world, found[0], found[1], actions=found[2].actions)


def wrong_vni(world, rng):
    """What is routed is said to be of a network that is not there."""
    onward = {table("deliver").id} if world.wires else {table("deliver").id, table("steer").id}
    found = anywhere(world, rng, "route", lambda flow: flow.goto in onward)
    if not found:
        return None
    host, flow = found
    changed = tuple(
        NETWORK.load(0xABCDE) if isinstance(a, SetField) and a.field == NETWORK.field else a
        for a in flow.actions
    )
    return put(world, host, flow, actions=changed)


FAULTS = (
    delete_transit,
    delete_of("deliver"),
    delete_of("arrival"),
    delete_of("switch"),
    delete_of("classify"),
    delete_of("neighbour"),
    delete_of("spoof_guard"),
    delete_of("output"),
    bucket_elsewhere,
    two_transit_flows,
    swap_slots,
    lower_priority,
    route_without_tenant,
    shadowing,
    contradiction,
    wrong_port,
    wrong_network,
    wrong_vni,
)
