# SPDX-License-Identifier: Apache-2.0
"""Whether connections that are let through get their answers: state that somebody has to remember.

Every packet that may begin a connection and arrives is answered: addresses and ports change places,
TCP acknowledges. A bridge that committed the connection on the way there knows the answer as a
reply, with what it wrote to it; a bridge that did not sees a stranger, and does what its flows say
of strangers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from vneter_sdn.model.fields import ETH_IP, PROTO_ICMP, PROTO_ICMPV6, PROTO_TCP
from vneter_sdn.simulate.fleet import PortOf
from vneter_sdn.simulate.meaning import Station
from vneter_sdn.verify.checks import Directory, expectations, meant_for, one
from vneter_sdn.verify.findings import Finding, dropped_words, example_of
from vneter_sdn.verify.fleet import Fabric, Reached, Trace
from vneter_sdn.verify.packets import Cube, Packets, overlap
from vneter_sdn.verify.reach import BEGINNING
from vneter_sdn.verify.state import Committed, Dropped, Punted
from vneter_sdn.verify.tracking import NEW, Tracking
from vneter_sdn.verify.tracking import known as established
from vneter_sdn.verify.values import Rest, Values
from vneter_sdn.verify.walk import Around, Walker, all_up

_ACK = 16
_SWAPPED = {
    f"{protocol}_{one_way}": f"{protocol}_{other}"
    for protocol in ("tcp", "udp", "sctp")
    for one_way, other in (("src", "dst"), ("dst", "src"))
}
Remembered = tuple[tuple[str, Tracking], ...]


def unanswered(
    fabric: Fabric, known: Directory, stations: Iterable[Station] | None = None
) -> Iterator[Finding]:
    """Connections that arrive, and whose answers do not.

    Args:
        fabric: one whose tracker says ``NEW``.
        known: who is where.
        stations: who opens connections; None for everybody.
    """
    fabrics: dict[Remembered, Fabric] = {}
    for station in known.stations if stations is None else stations:
        for wanted in expectations(station, known):
            first = wanted.packets.meet(Packets(BEGINNING)) if wanted.field else Packets(())
            for trace in fabric.traces(station.host, first):
                target = known.whose.get(trace.end.at) if isinstance(trace.end, Reached) else None
                if target is not None:
                    held = _remembered(trace.commits)
                    if held not in fabrics:
                        fabrics[held] = _remembering(fabric, dict(held))
                    routed = wanted.field != "eth_dst"
                    yield from _answered(fabrics[held], known, (station, target), trace, routed)


def _remembered(commits: Iterable[Committed]) -> Remembered:
    """What each bridge knows a reply by."""
    found = {
        c.host: established(mark=c.mark, label=c.label, reply=True)
        for c in commits
        if isinstance(c.mark, int) and isinstance(c.label, int)
    }
    return tuple(sorted(found.items(), key=lambda item: item[0]))


def _remembering(fabric: Fabric, held: Mapping[str, Tracking]) -> Fabric:
    walkers = {
        host: Walker(walker.index, Around(held.get(host, NEW), all_up), host)
        for host, walker in fabric.walkers.items()
    }
    return Fabric(walkers, fabric.wiring)


def _answered(
    fabric: Fabric, known: Directory, ends: tuple[Station, Station], trace: Trace, routed: bool
) -> Iterator[Finding]:
    source, target = ends
    gateway = known.meaning.gateways.get(target.network)
    if routed and gateway is None:
        return
    to = gateway.mac if routed and gateway is not None else source.mac
    answers = (_answer(cube, source, target, to) for cube in trace.packets.cubes)
    packets = Packets(tuple(cube for cube in answers if cube is not None))
    for back in fabric.traces(target.host, packets):
        end = back.end
        if isinstance(end, Reached) and end.at == PortOf(source.host, source.port):
            continue
        why = dropped_words(end) if isinstance(end, Dropped | Punted) else "goes elsewhere"
        about = f"{source.key} may open connections to {target.key}, whose answer {why}"
        shown = example_of(target.host, back.packets.cubes, back.choices, back.up)
        yield Finding("unanswered", about, shown, back.hops, back.trail)


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
        back["tcp_flags"] = one(_ACK)
    elif back.get("ip_proto") in (one(PROTO_ICMP), one(PROTO_ICMPV6)):
        back["icmp_type" if four else "icmpv6_type"] = one(0 if four else 129)
    return back


def _named(name: str, values: Values | None) -> Cube:
    return {} if values is None else {name: values}
