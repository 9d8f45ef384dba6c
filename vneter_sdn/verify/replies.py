# SPDX-License-Identifier: Apache-2.0
"""Whether connections that are let through go on: state that somebody has to remember.

Every packet that may begin a connection and arrives is answered: addresses and ports change places,
TCP acknowledges. A bridge that committed the connection on the way there knows the answer as a
reply, with what it wrote to it, in the zone that it wrote it in; a bridge that did not sees a
stranger, and does what its flows say of strangers. Once answered, what follows in the connection's
own direction has to arrive as its first packet did. Tenants may have the same addresses, so no two
may remember in one zone of a bridge.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from vneter_sdn.model.fields import ETH_IP, ETH_IPV6, PROTO_ICMP, PROTO_ICMPV6, PROTO_TCP
from vneter_sdn.model.flow import ZONE_BITS, Conntrack
from vneter_sdn.model.snapshot import Key
from vneter_sdn.simulate.fleet import PortOf
from vneter_sdn.simulate.meaning import Station
from vneter_sdn.verify.checks import goes_on, is_too_long
from vneter_sdn.verify.expected import Directory, expectations, meant_for, one, ordinary
from vneter_sdn.verify.expressions import Expression
from vneter_sdn.verify.findings import Finding, dropped_words, example_of
from vneter_sdn.verify.fleet import Fabric, Reached, Trace
from vneter_sdn.verify.packets import ALL, NONE, Cube, Packets, overlap
from vneter_sdn.verify.reach import BEGINNING
from vneter_sdn.verify.state import Committed, Dropped, Punted
from vneter_sdn.verify.tracking import NEW, Tracking
from vneter_sdn.verify.tracking import known as established
from vneter_sdn.verify.values import Rest, Values
from vneter_sdn.verify.walk import Around, Walker, all_up

_ACK = 0x10
_ACKNOWLEDGING = frozenset((0x12, _ACK))
"""SYN and ACK, which is no beginning of anything; and ACK alone, which may be taken for one."""
_BEGINNING = Packets(BEGINNING)
_SWAPPED = {
    f"{protocol}_{one_way}": f"{protocol}_{other}"
    for protocol in ("tcp", "udp", "sctp")
    for one_way, other in (("src", "dst"), ("dst", "src"))
}
Remembered = tuple[tuple[str, Committed], ...]


def unanswered(
    fabric: Fabric,
    known: Directory,
    stations: Iterable[Station] | None = None,
    only: Mapping[Key, Packets] | None = None,
) -> Iterator[Finding]:
    """Connections that arrive, and whose answers or later packets do not.

    And those of two tenants in one zone.

    Args:
        fabric: one whose tracker says ``NEW``.
        known: who is where.
        stations: who opens connections; None for everybody.
        only: by endpoint, packets to look at of those that it sends; None for all of all.
    """
    fabrics: dict[Remembered, tuple[Fabric, Fabric]] = {}
    zones = _own_zones(known)
    for station in known.stations if stations is None else stations:
        if only is not None and station.key not in only:
            continue
        chosen = ALL if only is None else only[station.key]
        for wanted in expectations(station, known):
            first = wanted.packets.meet(_BEGINNING) if wanted.field else NONE
            for trace in fabric.traces(station.host, first.meet(chosen)):
                yield from _mingled(station, trace, zones)
                target = known.whose.get(trace.end.at) if isinstance(trace.end, Reached) else None
                if target is not None:
                    held = _remembered(trace.commits)
                    if held not in fabrics:
                        fabrics[held] = (
                            _remembering(fabric, held, reply=True),
                            _remembering(fabric, held, reply=False),
                        )
                    back, on = fabrics[held]
                    ends, routed = (station, target), wanted.field != "eth_dst"
                    yield from _answered(back, known, ends, trace, routed)
                    if _is_tracked(trace):
                        yield from _gone_on(on, ends, trace)


def concerned(
    known: Directory, touched: Mapping[Key, Packets], replies: bool
) -> Mapping[Key, Packets]:
    """Packets that begin connections which a change is about.

    Args:
        known: who is where.
        touched: by endpoint, packets that the change is about.
        replies: whether it is about answers, too: then all that is for these endpoints.
    """
    if not replies:
        return touched
    tenants = {s.tenant for key in touched if (s := known.meaning.stations.get(key)) is not None}
    found: dict[Key, Packets] = {}
    for tenant in tenants:
        some = known.tenants.get(tenant, ())
        spoken_to = [s for s in some if s.key in touched]
        cubes: list[Cube] = [
            {"eth_type": one(ETH_IP), "ip_dst": _addresses(spoken_to, 4)},
            {"eth_type": one(ETH_IPV6), "ipv6_dst": _addresses(spoken_to, 6)},
        ]
        towards = Packets(tuple(cubes))
        found |= {s.key: ALL if s.key in touched else towards for s in some}
    return found


def _addresses(stations: Iterable[Station], version: int) -> frozenset[int]:
    held = (a for s in stations for a in (*s.addresses, *s.in_network))
    return frozenset(int(a) for a in held if a.version == version)


def _own_zones(known: Directory) -> dict[tuple[str, Expression], str]:
    """Zones that tenants have on bridges where somebody of theirs is: those of their numbers."""
    numbers = {key.tenant: g.number % (1 << ZONE_BITS) for key, g in known.meaning.gateways.items()}
    places = ((s.host, s.tenant) for s in known.stations if s.tenant in numbers)
    return {(host, numbers[tenant]): tenant for host, tenant in places}


def _mingled(
    station: Station, trace: Trace, zones: dict[tuple[str, Expression], str]
) -> Iterator[Finding]:
    """Connections of two tenants that one bridge remembers in one zone."""
    for commit in trace.commits:
        other = zones.setdefault((commit.host, commit.zone), station.tenant)
        if other != station.tenant:
            zone = f"zone {commit.zone}" if isinstance(commit.zone, int) else "one zone"
            about = (
                f"{commit.host} remembers connections of tenants {other} and {station.tenant} in "
                f"{zone}"
            )
            shown = example_of(station.host, trace.packets.cubes, trace.choices, trace.up)
            yield Finding("mingled", about, shown, trace.hops, trace.trail)


def _remembered(commits: Iterable[Committed]) -> Remembered:
    """What each bridge knows a connection by."""
    found = {
        c.host: replace(c, of=())
        for c in commits
        if isinstance(c.mark, int) and isinstance(c.label, int)
    }
    return tuple(sorted(found.items(), key=lambda item: item[0]))


def _remembering(fabric: Fabric, held: Remembered, *, reply: bool) -> Fabric:
    """Bridges that know a connection, for packets of one of its directions."""
    told: dict[str, Tracking] = {}
    for host, c in held:
        assert isinstance(c.mark, int)
        assert isinstance(c.label, int)
        told[host] = established(mark=c.mark, label=c.label, reply=reply, zone=c.zone)
    walkers = {
        host: Walker(walker.index, Around(told.get(host, NEW), all_up), host)
        for host, walker in fabric.walkers.items()
    }
    return Fabric(walkers, fabric.wiring)


def _is_tracked(trace: Trace) -> bool:
    """Whether any bridge asked which connection it is of; else all its packets are alike."""
    actions = (action for step in trace.trail for action in step.flow.actions)
    return any(isinstance(action, Conntrack) for action in actions)


def _gone_on(fabric: Fabric, ends: tuple[Station, Station], trace: Trace) -> Iterator[Finding]:
    """What does not arrive of packets that follow the first one, and its answer."""
    source, target = ends
    packets = Packets(tuple(_later(cube) for cube in trace.packets.cubes))
    about = f"{source.key} may open connections to {target.key}, of which what follows"
    yield from _lost(fabric, ends, packets, about)


def _lost(
    fabric: Fabric, ends: tuple[Station, Station], packets: Packets, about: str
) -> Iterator[Finding]:
    """Which packets of a connection do not arrive, from one endpoint to another."""
    source, target = ends
    for trace in fabric.traces(source.host, packets):
        end = trace.end
        if isinstance(end, Reached) and end.at == PortOf(target.host, target.port):
            continue
        if isinstance(end, Punted) and (is_too_long(end) or goes_on(end, target)):
            continue  # too long: the source is told, and sends in pieces that are not
        why = dropped_words(end) if isinstance(end, Dropped | Punted) else "goes elsewhere"
        shown = example_of(source.host, trace.packets.cubes, trace.choices, trace.up)
        yield Finding("unanswered", f"{about} {why}", shown, trace.hops, trace.trail)


def _later(cube: Cube) -> Cube:
    """What follows packets of a cube: of TCP, what acknowledges."""
    return {**cube, "tcp_flags": one(_ACK)} if cube.get("ip_proto") == one(PROTO_TCP) else cube


def _answered(
    fabric: Fabric, known: Directory, ends: tuple[Station, Station], trace: Trace, routed: bool
) -> Iterator[Finding]:
    source, target = ends
    gateway = known.meaning.gateways.get(target.network)
    if routed and gateway is None:
        return
    to = gateway.mac if routed and gateway is not None else source.mac
    answers = (_answer(cube, source, target, to) for cube in trace.packets.cubes)
    packets = Packets(tuple(ordinary(cube for cube in answers if cube is not None)))
    about = f"{source.key} may open connections to {target.key}, whose answer"
    yield from _lost(fabric, (target, source), packets, about)


def _answer(cube: Cube, source: Station, target: Station, to: int) -> Cube | None:
    """What answers packets of a cube; None where there is nothing to answer."""
    four = cube.get("eth_type") == one(ETH_IP)
    ip = "ip" if four else "ipv6"
    theirs = overlap({"a": meant_for(target, f"{ip}_dst")}, _named("a", cube.get(f"{ip}_dst")))
    if theirs is None or not theirs["a"] or "eth_type" not in cube:
        return None
    back: dict[str, Values] = {
        "in_port": one(target.port),
        "tun_id": one(0),
        "vlan_vid": one(0),
        "eth_src": one(target.mac),
        "eth_dst": one(to),
        "eth_type": cube["eth_type"],
        "ip_ttl": Rest(8, frozenset((0, 1))),
        f"{ip}_src": theirs["a"],
        f"{ip}_dst": meant_for(source, f"{ip}_dst"),
    }
    for name, other in (*_SWAPPED.items(), ("ip_proto", "ip_proto")):
        if name in cube:
            back[other] = cube[name]
    if back.get("ip_proto") == one(PROTO_TCP):
        back["tcp_flags"] = _ACKNOWLEDGING
    elif back.get("ip_proto") in (one(PROTO_ICMP), one(PROTO_ICMPV6)):
        back["icmp_type" if four else "icmpv6_type"] = one(0 if four else 129)
    return back


def _named(name: str, values: Values | None) -> Cube:
    return {} if values is None else {name: values}
