# SPDX-License-Identifier: Apache-2.0
"""Faults in what cannot be forwarded, and in what the edge is asked; each is one packets meet."""

from dataclasses import replace
from functools import cache
from ipaddress import ip_address

from verify_faults import pick, put
from verify_world import world

from vneter_sdn.model.flow import CheckLength, MeterAction, Punt
from vneter_sdn.pipeline import punts
from vneter_sdn.pipeline.complaints import Complaint, Fault
from vneter_sdn.pipeline.priorities import FACE
from vneter_sdn.pipeline.registers import COMPLAINT
from vneter_sdn.pipeline.tables import table
from vneter_sdn.simulate.fleet import deliver, join
from vneter_sdn.simulate.packet import Ends, ip_packet, tcp, udp

BROADCAST, ROUTERS, SERVERS = 0xFFFF_FFFF_FFFF, 0x3333_0000_0002, 0x3333_0001_0002
NOWHERE = {4: ip_address("203.0.113.9"), 6: ip_address("2001:db8::9")}
LONG = 9000


# ---- packets that the controller is told of


def questions(station, gateway):
    for own in station.addresses:
        if own.version == 4:
            everybody = ip_address("255.255.255.255")
            faces = [a for a in gateway.addresses if a.version == 4]
            for source in (own, NOWHERE[4]):
                yield udp(Ends(station.mac, BROADCAST, source, everybody), 68, 67)
                for face in faces:
                    yield udp(Ends(station.mac, gateway.mac, source, face), 68, 67)
        for face in (a for a in gateway.addresses if a.version == own.version):
            yield udp(Ends(station.mac, gateway.mac, own, face), 2000, 53)
            yield tcp(Ends(station.mac, gateway.mac, own, face), 2000, 53, flags=2)
    for own in (a for a in station.in_network if a.version == 6):
        routers = Ends(station.mac, ROUTERS, own, ip_address("ff02::2"))
        yield ip_packet(routers, 58, ttl=255).with_(icmpv6_type=133)
        yield udp(Ends(station.mac, SERVERS, own, ip_address("ff02::1:2")), 546, 547)


def wrongs(place, station, gateway):
    """By the gateway: at an end, to nowhere, to nobody, to itself, too long."""
    routers = [g for g in place.meaning.gateways.values() if g.network.tenant == station.tenant]
    others = [s for s in place.meaning.stations.values() if s.tenant == station.tenant]
    for own in station.addresses:
        same = [a for s in others for a in s.addresses if a.version == own.version and a != own]
        faces = [a for a in gateway.addresses if a.version == own.version]
        free = [p[-2] for g in routers for p in g.prefixes if p.version == own.version]
        for target in (NOWHERE[own.version], *same, *faces, *free):
            yield tcp(Ends(station.mac, gateway.mac, own, target), 1000, 80, flags=2)
        elsewhere = [a for g in routers if g != gateway for a in g.addresses]
        for target in (a for a in elsewhere if a.version == own.version):
            yield udp(Ends(station.mac, gateway.mac, own, target), 33000, 33434, ttl=1)
        for target in (NOWHERE[own.version], *same):
            ends = Ends(station.mac, gateway.mac, own, target)
            yield udp(ends, 33000, 33434, ttl=1)
            yield udp(ends, 1, 2).with_(length=LONG)


@cache
def answered(name):
    """Flows, by host, that these packets meet if the controller is told; in order."""
    place = world(name)
    fleet = join(place.states, place.rows, place.wires)
    found = set()
    for station in place.meaning.stations.values():
        gateway = place.meaning.gateways[station.network]
        for packet in (*questions(station, gateway), *wrongs(place, station, gateway)):
            delivery = deliver(fleet, station.host, packet.at(station.port))
            if delivery.punts:
                found |= {(host, flow) for host, _, flow in delivery.trail}
    return sorted(found, key=lambda one: (one[0], one[1].key, repr(one[1].actions)))


def telling(name, wanted):
    return [(host, flow) for host, flow in answered(name) if wanted(flow)]


def of_kind(kind):
    return lambda flow: any(isinstance(action, kind) for action in flow.actions)


LOADS = {COMPLAINT.load(fault): fault for fault in Fault}


def is_finding(flow):
    """Whether it finds out that a packet cannot be forwarded."""
    return any(action in LOADS for action in flow.actions)


GUARD = table("spoof_guard").id


def _values(flow):
    return {(term.field, term.value) for term in flow.match}


def in_table(name):
    return lambda flow: flow.table == table(name).id and flow.priority > 1


def changed(flow, kind, instead):
    """A flow whose first action of a kind is another one."""
    before = next(action for action in flow.actions if isinstance(action, kind))
    return tuple(instead(action) if action is before else action for action in flow.actions)


# ---- faults


def deleted(name, wanted):
    def fault(place, rng):
        found = pick(rng, telling(place.name, wanted))
        return found and place.with_(found[0], remove=(found[1],))

    fault.__name__ = f"delete_{name}"
    return fault


def any_of_them(flow):
    return is_finding(flow) or of_kind((CheckLength, Punt, MeterAction))(flow)


def lowered(place, rng):
    """A flow comes after the one for all that is left."""
    found = pick(rng, telling(place.name, any_of_them))
    return found and put(place, *found, priority=0)


def hidden(place, rng):
    """A flow that drops is put above one."""
    found = pick(rng, telling(place.name, any_of_them))
    if not found:
        return None
    host, flow = found
    above = replace(flow, priority=flow.priority + 1, actions=(), goto=None)
    return place.with_(host, add=(above,))


def late(place, rng):
    """What is too long is looked at after routes."""
    found = pick(rng, telling(place.name, lambda flow: is_finding(flow) and flow.priority == 1500))
    return found and put(place, *found, priority=101)


def another_length(place, rng):
    """More or less than the network takes is measured."""
    found = pick(rng, telling(place.name, of_kind(CheckLength)))
    if not found:
        return None
    host, flow = found
    by = rng.choice((-100, -1, 1, 100))
    actions = changed(flow, CheckLength, lambda check: replace(check, octets=check.octets + by))
    return put(place, host, flow, actions=actions)


def another_fault(place, rng):
    """A packet is complained of for what is not wrong with it."""
    found = pick(rng, telling(place.name, is_finding))
    if not found:
        return None
    host, flow = found
    load = next(action for action in flow.actions if action in LOADS)
    other = rng.choice([one for one in LOADS if one != load])
    actions = tuple(other if action == load else action for action in flow.actions)
    return put(place, host, flow, actions=actions)


def words_of_another(place, rng):
    """A punt says what another one ought to."""
    found = telling(place.name, of_kind(Punt))
    options = [(h, f, g) for h, f in found for _, g in found if f.actions != g.actions]
    chosen = pick(rng, options)
    return chosen and put(place, chosen[0], chosen[1], actions=chosen[2].actions)


def complaint(**words):
    """Something in the words of a complaint is another."""

    def fault(place, rng):
        def wanted(flow):
            if not of_kind(Punt)(flow):
                return False
            said = punts.decode(flow.actions[-1].userdata)
            return isinstance(said, Complaint) and ("mtu" not in words or said.mtu > 0)

        found = pick(rng, telling(place.name, wanted))
        if not found:
            return None
        host, flow = found
        said = punts.decode(flow.actions[-1].userdata)
        other = replace(said, **{name: getattr(said, name) + by for name, by in words.items()})
        actions = changed(flow, Punt, lambda punt: replace(punt, userdata=other.encode()))
        return put(place, host, flow, actions=actions)

    fault.__name__ = f"another_{'_'.join(words)}"
    return fault


def short(place, rng):
    """Less of a packet is punted than its answer needs."""
    found = pick(rng, telling(place.name, of_kind(Punt)))
    if not found:
        return None
    host, flow = found
    actions = changed(flow, Punt, lambda punt: replace(punt, max_len=64))
    return put(place, host, flow, actions=actions)


def another_meter(place, rng):
    """An endpoint's complaints count as somebody else's, or are not limited as they should."""
    found = pick(rng, telling(place.name, of_kind((MeterAction, Punt))))
    if not found:
        return None
    host, flow = found
    kind = MeterAction if of_kind(MeterAction)(flow) else Punt
    actions = changed(flow, kind, lambda action: replace(action, meter=action.meter + 1))
    return put(place, host, flow, actions=actions)


FAULTS = (
    *(deleted(name, in_table(name)) for name in ("edge", "size", "complaints", "complain")),
    deleted("finding", is_finding),
    deleted("face", lambda flow: is_finding(flow) and flow.priority == FACE),
    deleted("asking", lambda flow: flow.table == GUARD and ("udp_dst", 67) in _values(flow)),
    deleted("dns", lambda flow: in_table("switch")(flow) and of_kind(Punt)(flow)),
    lowered,
    hidden,
    late,
    another_length,
    another_fault,
    words_of_another,
    *(complaint(**{name: by}) for name, by in (("mtu", 20), ("vni", 1), ("tenant", 1))),
    complaint(gateway_mac=1),
    complaint(gateway=1),
    short,
    another_meter,
)
