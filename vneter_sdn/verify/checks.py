# SPDX-License-Identifier: Apache-2.0
"""Proofs about a fleet: isolation, no loops, no black holes, of all packets.

A check says nothing where there is nothing to say: no finding is a proof, under what its fabric
assumes (`walk.Around`: what the connection tracker answers, which ports are up).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from vneter_sdn.errors import DecodeError
from vneter_sdn.model.addresses import IPAddress
from vneter_sdn.model.fields import (
    ETH_ARP,
    ETH_IP,
    ETH_IPV6,
    PROTO_ICMP,
    PROTO_ICMPV6,
    PROTO_UDP,
)
from vneter_sdn.model.flow import Flow
from vneter_sdn.model.snapshot import Key
from vneter_sdn.pipeline import punts
from vneter_sdn.pipeline.complaints import Complaint, Fault
from vneter_sdn.pipeline.priorities import MISS
from vneter_sdn.pipeline.tables import table
from vneter_sdn.simulate.fleet import PortOf
from vneter_sdn.simulate.meaning import Gateway, Meaning, Station
from vneter_sdn.verify.findings import Finding, dropped_words, example_of
from vneter_sdn.verify.fleet import Anywhere, End, Fabric, Looped, Lost, Reached, Replied, Trace
from vneter_sdn.verify.packets import Cube, Packets, without
from vneter_sdn.verify.state import Dropped, Punted
from vneter_sdn.verify.values import Rest, Values, everything, less, masked

_PATH = table("path").id
_LOCAL = masked(48, 0b10 << 40, 0b11 << 40)
"""MACs that can be locators: locally administered, of one receiver."""
Excuse = Callable[[Dropped | Punted], bool]


def one(value: int) -> Values:
    """A single value."""
    return frozenset((value,))


def entering(station: Station) -> Packets:
    """All packets that can come in by an endpoint's port."""
    return Packets(({"in_port": one(station.port), "tun_id": one(0)},))


@dataclass(frozen=True, slots=True)
class Directory:
    """Who is where, to be found by port, network and tenant."""

    meaning: Meaning
    whose: Mapping[PortOf, Station]
    networks: Mapping[Key, tuple[Station, ...]]
    tenants: Mapping[str, tuple[Station, ...]]

    @classmethod
    def of(cls, meaning: Meaning) -> Directory:
        """Linear in endpoints."""
        networks: defaultdict[Key, list[Station]] = defaultdict(list)
        tenants: defaultdict[str, list[Station]] = defaultdict(list)
        for station in meaning.stations.values():
            networks[station.network].append(station)
            tenants[station.tenant].append(station)
        return cls(
            meaning,
            {PortOf(s.host, s.port): s for s in meaning.stations.values()},
            {key: tuple(members) for key, members in networks.items()},
            {name: tuple(members) for name, members in tenants.items()},
        )

    @property
    def stations(self) -> Iterable[Station]:
        """All of them."""
        return self.meaning.stations.values()


# ---- isolation and loops


def isolation(fabric: Fabric, known: Directory) -> Iterator[Finding]:
    """Packets that leave at an endpoint of another tenant, or by a port that is nobody's.

    Every packet by every endpoint's port is considered, and by every port that is nobody's.
    """
    for station in known.stations:
        for trace in fabric.traces(station.host, entering(station)):
            found = leak(station, trace, known.whose)
            if found is not None:
                yield found
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


def loops(fabric: Fabric, known: Directory) -> Iterator[Finding]:
    """Packets of endpoints that go round: see `fleet`. Within a bridge, those that find no end."""
    for station in known.stations:
        for trace in fabric.traces(station.host, entering(station)):
            found = loop(station.host, trace)
            if found is not None:
                yield found


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


@dataclass(frozen=True, slots=True)
class Expected:
    """Packets of an endpoint that something has to come of."""

    what: str
    packets: Packets
    field: str = ""
    """Field that says whom they are for; empty: an answer is expected."""


def black_holes(
    fabric: Fabric, known: Directory, excused: Excuse | None = None
) -> Iterator[Finding]:
    """Packets for somebody of the sender's tenant, or for the gateway, that do not arrive.

    Args:
        fabric: one whose tracker says ``NEW``, for packets that begin connections.
        known: who is where.
        excused: whether a drop is what a policy says; `by_policy` when None.
    """
    excused = excused or by_policy
    for station in known.stations:
        for wanted in expectations(station, known):
            yield from unmet(fabric, station, wanted, known.whose, excused)


def by_policy(end: Dropped | Punted) -> bool:
    """Whether a drop is what was asked for: by a path policy, or by the target's network.

    No path is one that the policy takes, or the network takes no packets of that length, which the
    sender is told.
    """
    if isinstance(end, Punted):
        return is_too_long(end)
    return end.flow is not None and is_refusal(end.flow)


def is_too_long(end: Punted) -> bool:
    """Whether the controller is told that a packet is too long for where it is going."""
    try:
        said = punts.decode(end.action.userdata)
    except DecodeError:
        return False
    return isinstance(said, Complaint) and said.fault is Fault.TOO_LONG


def is_refusal(flow: Flow) -> bool:
    """Whether a flow is there to drop what a path policy has no path for."""
    return flow.table == _PATH and not flow.actions and flow.goto is None and flow.priority != MISS


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
    if not wanted.field:
        right = isinstance(trace.end, Replied)
        return (trace.packets, nobody) if right else (nobody, trace.packets)
    target = whose.get(trace.end.at) if isinstance(trace.end, Reached) else None
    if target is None:
        return nobody, trace.packets
    meant = Packets(({wanted.field: meant_for(target, wanted.field)},))
    assert isinstance(trace.end, Reached)
    if trace.end.held.get("eth_dst", target.mac) != target.mac:
        return nobody, trace.packets
    return trace.packets.meet(meant), trace.packets.less(meant)


def meant_for(target: Station, field: str) -> Values:
    """What a field holds in packets for an endpoint."""
    if field == "eth_dst":
        return one(target.mac)
    version = 4 if field == "ip_dst" else 6
    return frozenset(int(a) for a in target.addresses if a.version == version)


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
        case _:
            about += "is answered, but not by whom it is for"
    flows = (end.flow,) if isinstance(end, Dropped) and end.flow else ()
    return _finding(kind, about, station.host, trace._replace(packets=packets), flows)


def _finding(
    kind: str, about: str, host: str, trace: Trace, flows: tuple[Flow, ...] = ()
) -> Finding:
    shown = example_of(host, trace.packets.cubes, trace.choices, trace.up)
    return Finding(kind, about, shown, trace.hops, trace.trail, flows)


def expectations(station: Station, known: Directory) -> Iterator[Expected]:
    """What an endpoint may expect of the fleet, before any policy. O(endpoints of its tenant)."""
    gateway = known.meaning.gateways.get(station.network)
    peers = [s for s in known.networks.get(station.network, ()) if s.mac != station.mac]
    others = [s for s in known.tenants.get(station.tenant, ()) if s.key != station.key]
    for version in (4, 6):
        sender = sent_by(station, station.in_network, version)
        if sender is None:
            continue
        if peers:
            macs = frozenset(peer.mac for peer in peers)
            yield _expected("what is for peers", sender, {"eth_dst": macs}, "eth_dst")
        yield from _asking(station, peers, gateway, version)
        if gateway is not None:
            yield from _routed(station, others, gateway, version, sender)


def sent_by(station: Station, addresses: Iterable[IPAddress], version: int) -> Cube | None:
    """IP packets from an endpoint's addresses, as it may send them; None without any such."""
    own = frozenset(int(a) for a in addresses if a.version == version)
    if not own:
        return None
    return {
        "in_port": one(station.port),
        "tun_id": one(0),
        "vlan_vid": one(0),
        "eth_src": one(station.mac),
        "eth_type": one(ETH_IP if version == 4 else ETH_IPV6),
        "ip_src" if version == 4 else "ipv6_src": own,
    }


_ASIDE: dict[int, tuple[Cube, ...]] = {
    ETH_IP: ({"ip_proto": one(PROTO_UDP), "udp_src": one(67), "udp_dst": one(68)},),
    ETH_IPV6: (
        {"ip_proto": one(PROTO_ICMPV6), "icmpv6_type": frozenset(range(133, 138))},
        {"ip_proto": one(PROTO_UDP), "udp_src": one(547), "udp_dst": one(546)},
    ),
}
"""What has rules of its own: neighbour discovery, and what only servers of DHCP say."""


def _expected(what: str, sender: Cube, more: Cube, field: str) -> Expected:
    """Packets for somebody, but for those with rules of their own."""
    cubes: Iterable[Cube] = [{**sender, **more}]
    return Expected(what, Packets(tuple(cubes if "ip_proto" in more else ordinary(cubes))), field)


def ordinary(cubes: Iterable[Cube]) -> Iterable[Cube]:
    """Packets of endpoints, but for those with rules of their own."""
    for ethertype, asides in _ASIDE.items():
        for aside in asides:
            cubes = without(cubes, {"eth_type": one(ethertype), **aside})
    return cubes


def _routed(
    station: Station, others: Iterable[Station], gateway: Gateway, version: int, sender: Cube
) -> Iterator[Expected]:
    """What goes by the gateway, to others or to itself."""
    ip, source = ("ip_dst", "ip_src") if version == 4 else ("ipv6_dst", "ipv6_src")
    own = frozenset(int(a) for a in station.addresses if a.version == version)
    there = frozenset(int(a) for o in others for a in o.addresses if a.version == version)
    faces = frozenset(int(a) for a in gateway.addresses if a.version == version)
    if not own or not faces:
        return
    by: Cube = {"eth_dst": one(gateway.mac), source: own, "ip_ttl": Rest(8, frozenset((0, 1)))}
    if there - own:
        yield _expected("what is routed", sender, {**by, ip: there - own}, ip)
    protocol, kind = ("icmp", 8) if version == 4 else ("icmpv6", 128)
    echo: Cube = {
        "ip_proto": one(PROTO_ICMP if version == 4 else PROTO_ICMPV6),
        f"{protocol}_type": one(kind),
        f"{protocol}_code": one(0),
    }
    yield _expected("an echo request to the gateway", sender, {**by, ip: faces, **echo}, "")


def _asking(
    station: Station, peers: Iterable[Station], gateway: Gateway | None, version: int
) -> Iterator[Expected]:
    """ARP and neighbour solicitations for others of the network."""
    own = frozenset(int(a) for a in station.in_network if a.version == version)
    known = {int(a) for peer in peers for a in peer.in_network if a.version == version}
    if gateway is not None:
        known |= {int(a) for a in gateway.addresses if a.version == version}
    known -= own
    if not known:
        return
    base: Cube = {"in_port": one(station.port), "tun_id": one(0), "vlan_vid": one(0)}
    base = {**base, "eth_src": one(station.mac), "eth_dst": _unreserved()}
    if version == 4:
        arp: Cube = {
            "eth_type": one(ETH_ARP),
            "arp_op": one(1),
            "arp_sha": one(station.mac),
            "arp_spa": own,
            "arp_tpa": frozenset(known),
        }
        yield Expected("an ARP request", Packets(({**base, **arp},)))
        return
    solicitation: Cube = {
        "eth_type": one(ETH_IPV6),
        "ip_proto": one(PROTO_ICMPV6),
        "icmpv6_type": one(135),
        "icmpv6_code": one(0),
        "ipv6_src": own,
        "nd_target": frozenset(known),
        "nd_sll": frozenset((station.mac, 0)),
    }
    yield Expected("a neighbour solicitation", Packets(({**base, **solicitation},)))


def _unreserved() -> Values:
    """Destinations that bridges do not keep to one link (IEEE 802.1Q §8.6.3)."""
    return less(everything(48), masked(48, 0x0180C2_000000, 0xFFFFFF_000000))
