# SPDX-License-Identifier: Apache-2.0
"""Proofs about a fleet: isolation, no loops, no black holes, of all packets.

A check says nothing where there is nothing to say: no finding is a proof, under what its fabric
assumes (`walk.Around`: what the connection tracker answers, which ports are up).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import chain

from vneter_sdn.compile.features.pin import OWN_DIRECTION
from vneter_sdn.errors import DecodeError
from vneter_sdn.model.fields import ETH_IP, ETH_IPV6
from vneter_sdn.model.flow import Flow, MeterAction
from vneter_sdn.pipeline import punts
from vneter_sdn.pipeline.complaints import Complaint, Fault
from vneter_sdn.pipeline.priorities import EXCEPTION, OVERRIDE
from vneter_sdn.pipeline.tables import table
from vneter_sdn.simulate.fleet import PortOf
from vneter_sdn.simulate.meaning import Station
from vneter_sdn.verify.answered import answered
from vneter_sdn.verify.expected import Directory, Expected, expectations, meant_for, one
from vneter_sdn.verify.findings import Finding, dropped_words, example_of
from vneter_sdn.verify.fleet import Anywhere, End, Fabric, Looped, Lost, Reached, Replied, Trace
from vneter_sdn.verify.packets import Cube, Packets
from vneter_sdn.verify.punted import punted
from vneter_sdn.verify.restraint import Restrained
from vneter_sdn.verify.state import Dropped, Punted
from vneter_sdn.verify.values import Rest, everything, holds, less, masked

_PATH = table("path").id
_LOCAL = masked(48, 0b10 << 40, 0b11 << 40)
"""MACs that can be locators: locally administered, of one receiver."""
Excuse = Callable[[Dropped | Punted], bool]


def entering(station: Station) -> Packets:
    """All packets that can come in by an endpoint's port."""
    return Packets(({"in_port": one(station.port), "tun_id": one(0)},))


# ---- isolation and loops


def isolation(fabric: Fabric, known: Directory) -> Iterator[Finding]:
    """Packets that leave at an endpoint of another tenant, or by a port that is nobody's.

    And those that leave anywhere with a MAC or an address that is not their sender's: policies go
    by addresses. Every packet is considered, by every endpoint's port and by those that are
    nobody's.
    """
    bridges = Restrained(fabric)
    for station in known.stations:
        leaks = partial(_leaking, station, whose=known.whose)
        yield from bridges.findings(station.host, entering(station), leaks)
    for host in fabric.walkers:
        for trace in fabric.traces(host, unclaimed(fabric, known, host)):
            if isinstance(trace.end, Reached | Anywhere):
                yield nobodys(host, trace)


def nobodys(host: str, trace: Trace) -> Finding:
    """Packets of nobody that reach somebody."""
    return _finding("leak", "what comes by a port of nobody reaches somebody", host, trace)


def unclaimed(fabric: Fabric, known: Directory, host: str) -> Packets:
    """All packets by ports of a host that are neither endpoints' nor lead to other bridges."""
    claimed = {at.port for at in known.whose if at.host == host}
    ports = Rest(32, frozenset(claimed | fabric.wiring.links(host) | {0}))
    return Packets(({"in_port": ports, "tun_id": one(0)},))


def leak(station: Station, trace: Trace, whose: Mapping[PortOf, Station]) -> Finding | None:
    """What is wrong with where packets of an endpoint end, as to isolation."""
    end = trace.end
    if isinstance(end, Anywhere):
        return _finding("leak", f"{station.key} chooses the port", station.host, trace)
    if not isinstance(end, Reached):
        return None
    target = whose.get(end.at)
    if target is not None and target.tenant == station.tenant:
        return None
    whom = f"{target.key} of another tenant" if target else f"a port of nobody, {end.at}"
    return _finding("leak", f"{station.key} reaches {whom}", station.host, trace)


def _leaking(station: Station, trace: Trace, whose: Mapping[PortOf, Station]) -> Finding | None:
    return leak(station, trace, whose) or disguised(station, trace)


def disguised(station: Station, trace: Trace) -> Finding | None:
    """What is wrong with packets that an endpoint sends as somebody else, and that arrive."""
    if not isinstance(trace.end, Reached):
        return None
    foreign = [part for cube in trace.packets.cubes for part in _not_own(station, cube)]
    if not foreign:
        return None
    about = f"what {station.key} sends in another's name arrives"
    shown = trace._replace(packets=Packets(tuple(foreign)))
    return _finding("leak", about, station.host, shown)


def _not_own(station: Station, cube: Cube) -> Iterator[Cube]:
    """Those of a cube that bear a MAC or an address that is not an endpoint's; 0 is nobody's."""
    sources = cube.get("eth_src")
    if sources != one(station.mac):
        mac = less(everything(48) if sources is None else sources, one(station.mac))
        if mac:
            yield {**cube, "eth_src": mac}
    for kind, name, bits, version in (
        (ETH_IP, "ip_src", 32, 4),
        (ETH_IPV6, "ipv6_src", 128, 6),
    ):
        kinds = cube.get("eth_type")
        if kinds is not None and not holds(kinds, kind):
            continue
        own = frozenset((0, *(int(a) for a in station.in_network if a.version == version)))
        held = cube.get(name)
        if isinstance(held, frozenset) and held <= own:
            continue
        others = less(everything(bits) if held is None else held, own)
        if others:
            yield {**cube, "eth_type": one(kind), name: others}


def loops(fabric: Fabric, known: Directory) -> Iterator[Finding]:
    """Packets of endpoints that go round: see `fleet`. Within a bridge, those that find no end."""
    bridges = Restrained(fabric)
    for station in known.stations:
        yield from bridges.findings(station.host, entering(station), partial(loop, station.host))


def loop(host: str, trace: Trace) -> Finding | None:
    """What is wrong with the way of packets, as to loops."""
    end = trace.end
    if isinstance(end, Looped):
        until = " until its TTL is over" if end.fading else ""
        return _finding("loop", f"goes round by {' > '.join(end.hosts)}{until}", host, trace)
    if isinstance(end, Dropped) and end.reason == "limit":
        return _finding("loop", dropped_words(end), host, trace)
    return None


def transit_loops(fabric: Fabric) -> Iterator[Finding]:
    """Frames with any locator, whoever wrote it, that come in from other bridges and go round."""
    for host in fabric.walkers:
        for trace in fabric.traces(host, between(fabric, host)):
            found = loop(host, trace)
            if found is not None:
                yield found


def between(fabric: Fabric, host: str) -> Packets:
    """Frames with any locator by any port of a host that leads to another bridge, without a key."""
    ports = fabric.wiring.links(host)
    return Packets(({"eth_dst": _LOCAL, "in_port": ports, "tun_id": one(0)},) if ports else ())


# ---- black holes


def black_holes(
    fabric: Fabric, known: Directory, excused: Excuse | None = None
) -> Iterator[Finding]:
    """Packets for somebody of the sender's tenant, or for the gateway, that do not arrive.

    And those that the controller is to be told of, and is not, or is told otherwise.

    Args:
        fabric: one whose tracker says ``NEW``, for packets that begin connections.
        known: who is where.
        excused: whether a drop is what a policy says; `by_policy` when None.
    """
    excused = excused or by_policy
    for station in known.stations:
        for wanted in chain(expectations(station, known), punted(station, known)):
            yield from unmet(fabric, station, wanted, known.whose, excused)


def by_policy(end: Dropped | Punted) -> bool:
    """Whether a drop is what a path policy asked for: no path is one that it takes."""
    return isinstance(end, Dropped) and end.flow is not None and is_refusal(end.flow)


def is_too_long(end: Punted) -> bool:
    """Whether the controller is told that a packet is too long for where it is going."""
    said = _said(end)
    return isinstance(said, Complaint) and said.fault is Fault.TOO_LONG


def goes_on(end: Punted, target: Station) -> bool:
    """Whether the controller only looks at what is for an endpoint.

    At an answer of DNS, which it lets go on when it has; or at a copy, to write an audit line.
    """
    said = _said(end)
    if isinstance(said, punts.Names):
        return PortOf(end.host, said.port) == PortOf(target.host, target.port)
    return isinstance(said, punts.Decided) and said.verdict == "allow"


def _said(end: Punted) -> punts.Reason | None:
    try:
        return punts.decode(end.action.userdata)
    except DecodeError:
        return None


def is_refusal(flow: Flow) -> bool:
    """Whether a flow is there to drop what a path policy has no path for.

    Not one that leads somewhere else and was made to drop: it has another priority, or is about
    one direction alone.
    """
    held = {term.field: (term.value, term.mask) for term in flow.match}
    rank = OVERRIDE if "ct_mark" in held else EXCEPTION
    drops = not flow.actions and flow.goto is None
    both_ways = held.get("ct_state") != OWN_DIRECTION
    return flow.table == _PATH and drops and flow.priority == rank and both_ways


def unmet(
    fabric: Fabric,
    station: Station,
    wanted: Expected,
    whose: Mapping[PortOf, Station],
    excused: Excuse,
) -> Iterator[Finding]:
    """Packets of which nothing comes, or something else."""
    arrived: list[Trace] = []
    failed: list[Trace] = []
    for trace in fabric.traces(station.host, wanted.packets):
        right, wrong = _judged(trace, wanted, whose)
        if right.cubes:
            arrived.append(trace._replace(packets=right))
        if wrong and not _is_excused(trace.end, excused):
            failed.append(trace._replace(packets=wrong))
    for trace in failed:
        left = trace.packets
        for other in arrived:
            if (other.choices, other.up) == (trace.choices, trace.up):
                left = left.less(other.packets)
        if left or (isinstance(trace.end, Reached) and trace.packets):
            yield _missing(station, wanted, trace, left if left else trace.packets, whose)


def _is_excused(end: End, excused: Excuse) -> bool:
    return isinstance(end, Dropped | Punted) and excused(end)


def _judged(
    trace: Trace, wanted: Expected, whose: Mapping[PortOf, Station]
) -> tuple[Packets, Packets]:
    """Packets that are where they should be, and others."""
    nobody = Packets(())
    if wanted.told:
        return (trace.packets, nobody) if _is_told(trace, wanted) else (nobody, trace.packets)
    if not wanted.field:
        if not isinstance(trace.end, Replied):
            return nobody, trace.packets
        if not wanted.answers:
            return trace.packets, nobody
        right = answered(trace.packets, trace.end.held, wanted.answers)
        return right, trace.packets.less(right)
    target = whose.get(trace.end.at) if isinstance(trace.end, Reached) else None
    if target is None:
        return nobody, trace.packets
    meant = Packets(({wanted.field: meant_for(target, wanted.field)},))
    assert isinstance(trace.end, Reached)
    held = trace.end.held
    if held.get("eth_dst", target.mac) != target.mac or not _AS_SENT.isdisjoint(held):
        return nobody, trace.packets
    return trace.packets.meet(meant), trace.packets.less(meant)


def _is_told(trace: Trace, wanted: Expected) -> bool:
    """Whether the controller is told the right thing; where they came in, no more than may be."""
    if not isinstance(trace.end, Punted) or trace.end.action not in wanted.told:
        return False
    if not wanted.limit or len(trace.hops) > 1:
        return True
    limit = MeterAction(wanted.limit)
    return any(limit in step.flow.actions for step in trace.trail)


_AS_SENT = frozenset(
    (
        *("eth_type", "vlan_vid", "ip_proto", "ip_src", "ip_dst", "ipv6_src", "ipv6_dst"),
        *(f"{name}_{end}" for name in ("tcp", "udp", "sctp") for end in ("src", "dst")),
        *("tcp_flags", "icmp_type", "icmp_code", "icmpv6_type", "icmpv6_code"),
    )
)
"""Fields that nobody writes to on the way to an endpoint."""
_UNTOLD = ", and the controller is not told of it"


def _missing(
    station: Station,
    wanted: Expected,
    trace: Trace,
    packets: Packets,
    whose: Mapping[PortOf, Station],
) -> Finding:
    end = trace.end
    kind, about = "black_hole", f"{wanted.what} of {station.key} "
    match end:
        case Dropped() | Punted():
            about += dropped_words(end)
        case Lost(at=port):
            about += f"is sent into port {port.port} of {port.host}, which leads nowhere"
        case Looped(hosts=hosts):
            kind, about = "loop", about + f"goes round by {' > '.join(hosts)}"
        case Reached(at=port):
            target = whose.get(port)
            kind = "misdelivery"
            about += f"reaches {target.key if target else port} instead"
        case Replied() if not wanted.field:
            about += "is answered, but not with what is so"
        case _:
            about += "is answered, but not by whom it is for"
    if wanted.told:
        kind = "untold"
        about += ", otherwise than it should" if isinstance(end, Punted) else _UNTOLD
    flows = (end.flow,) if isinstance(end, Dropped) and end.flow else ()
    return _finding(kind, about, station.host, trace._replace(packets=packets), flows)


def _finding(
    kind: str, about: str, host: str, trace: Trace, flows: tuple[Flow, ...] = ()
) -> Finding:
    shown = example_of(host, trace.packets.cubes, trace.choices, trace.up)
    return Finding(kind, about, shown, trace.hops, trace.trail, flows)
