# SPDX-License-Identifier: Apache-2.0
"""Who is where, and what of everybody's packets has to arrive, or to be answered by flows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from vneter_sdn.model.addresses import IPAddress
from vneter_sdn.model.fields import (
    ETH_ARP,
    ETH_IP,
    ETH_IPV6,
    LENGTH,
    PROTO_ICMP,
    PROTO_ICMPV6,
    PROTO_UDP,
)
from vneter_sdn.model.flow import Punt
from vneter_sdn.model.snapshot import Key
from vneter_sdn.simulate.fleet import PortOf
from vneter_sdn.simulate.meaning import Gateway, Meaning, Station
from vneter_sdn.verify.answered import Answer, Fields
from vneter_sdn.verify.packets import Cube, Packets, without
from vneter_sdn.verify.values import Rest, Values, above, everything, less, masked

ETHERNET = 14
"""Octets of the header that an MTU leaves out."""


def one(value: int) -> Values:
    """A single value."""
    return frozenset((value,))


@dataclass(frozen=True, slots=True)
class Directory:
    """Who is where, to be found by port, network and tenant."""

    meaning: Meaning
    whose: Mapping[PortOf, Station]
    networks: Mapping[Key, tuple[Station, ...]]
    tenants: Mapping[str, tuple[Station, ...]]
    routers: Mapping[str, tuple[Gateway, ...]]
    """Gateways, by tenant."""
    owned: Mapping[tuple[str, int], frozenset[int]]
    """Addresses that are somebody's, by tenant and version."""
    unforwarded: Mapping[tuple[str, int], frozenset[int]]
    """Addresses that the router forwards nothing to, by tenant and version: those of gateways, and
    those that mean everybody of a network (RFC 1812 §4.2.3.1)."""

    @classmethod
    def of(cls, meaning: Meaning) -> Directory:
        """Linear in endpoints."""
        networks: defaultdict[Key, list[Station]] = defaultdict(list)
        tenants: defaultdict[str, list[Station]] = defaultdict(list)
        owned: defaultdict[tuple[str, int], set[int]] = defaultdict(set)
        routers: defaultdict[str, list[Gateway]] = defaultdict(list)
        for station in meaning.stations.values():
            networks[station.network].append(station)
            tenants[station.tenant].append(station)
            for address in station.addresses:
                owned[station.tenant, address.version].add(int(address))
        unforwarded: defaultdict[tuple[str, int], set[int]] = defaultdict(set)
        for key, gateway in meaning.gateways.items():
            routers[key.tenant].append(gateway)
            for version, end in _ends(gateway):
                unforwarded[key.tenant, version].add(end)
        return cls(
            meaning,
            {PortOf(s.host, s.port): s for s in meaning.stations.values()},
            {key: tuple(members) for key, members in networks.items()},
            {name: tuple(members) for name, members in tenants.items()},
            {name: tuple(members) for name, members in routers.items()},
            _frozen(owned),
            _frozen(unforwarded),
        )

    @property
    def stations(self) -> Iterable[Station]:
        """All of them."""
        return self.meaning.stations.values()


def _frozen(sets: Mapping[tuple[str, int], set[int]]) -> Mapping[tuple[str, int], frozenset[int]]:
    return {key: frozenset(values) for key, values in sets.items()}


def _ends(gateway: Gateway) -> Iterator[tuple[int, int]]:
    """Addresses that nothing is forwarded to, with their version."""
    for address in gateway.addresses:
        yield address.version, int(address)
    for prefix in gateway.prefixes:
        if prefix.version == 4:
            yield 4, int(prefix.network_address)
            yield 4, int(prefix.broadcast_address)


@dataclass(frozen=True, slots=True)
class Expected:
    """Packets of an endpoint that something has to come of."""

    what: str
    packets: Packets
    field: str = ""
    """Field that says whom they are for; empty: an answer is expected, or what follows."""
    told: frozenset[Punt] = frozenset()
    """What the controller is to be told of them, in any of these words; empty: nothing."""
    limit: int = 0
    """The meter of whose packets it is told, where they come in; 0: none."""
    answers: tuple[Answer, ...] = ()
    """What an answer says that is expected."""


def meant_for(target: Station, field: str) -> Values:
    """What a field holds in packets for an endpoint."""
    if field == "eth_dst":
        return one(target.mac)
    version = 4 if field == "ip_dst" else 6
    return frozenset(int(a) for a in target.addresses if a.version == version)


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
            groups = _by_length(others, gateway, known)
            yield from _routed(station, groups, gateway, version, sender)


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
    ETH_IP: ({"ip_proto": one(PROTO_UDP), "udp_dst": one(68)},),
    ETH_IPV6: (
        {"ip_proto": one(PROTO_ICMPV6), "icmpv6_type": frozenset(range(133, 138))},
        {"ip_proto": one(PROTO_ICMPV6), "icmpv6_type": one(0), "ip_ttl": one(255)},
        {"ip_proto": one(0)},
        {"ip_proto": one(PROTO_UDP), "udp_dst": one(546)},
    ),
}
"""What has rules of its own: neighbour discovery, also in fragments (whose type is not seen); IPv6
whose headers are cut off; what only servers of DHCP say."""


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
    station: Station,
    others: Iterable[tuple[Cube, Iterable[Station]]],
    gateway: Gateway,
    version: int,
    sender: Cube,
) -> Iterator[Expected]:
    """What goes by the gateway, to others by what they take, or to itself."""
    ip, source = ("ip_dst", "ip_src") if version == 4 else ("ipv6_dst", "ipv6_src")
    own = frozenset(int(a) for a in station.addresses if a.version == version)
    faces = frozenset(int(a) for a in gateway.addresses if a.version == version)
    if not own or not faces:
        return
    by: Cube = {"eth_dst": one(gateway.mac), source: own, "ip_ttl": Rest(8, frozenset((0, 1)))}
    for taken, some in others:
        there = frozenset(int(a) for o in some for a in o.addresses if a.version == version)
        if there - own:
            yield _expected("what is routed", sender, {**by, **taken, ip: there - own}, ip)
    protocol, kind = ("icmp", 8) if version == 4 else ("icmpv6", 128)
    echo: Cube = {
        "ip_proto": one(PROTO_ICMP if version == 4 else PROTO_ICMPV6),
        f"{protocol}_type": one(kind),
        f"{protocol}_code": one(0),
    }
    answer = Answer(
        {},
        ip,
        dict.fromkeys(faces, gateway.mac),
        ("eth_src",),
        (source,),
        {
            "eth_dst": frozenset((station.mac,)),
            ip: own,
            f"{protocol}_type": frozenset((0 if version == 4 else 129,)),
        },
    )
    asked = _expected("an echo request to the gateway", sender, {**by, ip: faces, **echo}, "")
    yield replace(asked, answers=(answer,))


def _by_length(
    others: Iterable[Station], gateway: Gateway, known: Directory
) -> list[tuple[Cube, Iterable[Station]]]:
    """Endpoints by the packets that their networks take of those of a gateway's network."""
    routers = known.routers.get(gateway.network.tenant, ())
    narrow = {one_of.network: one_of.mtu for one_of in routers if one_of.mtu < gateway.mtu}
    if not narrow:
        return [({}, others)]
    groups: defaultdict[int, list[Station]] = defaultdict(list)
    for other in others:
        groups[narrow.get(other.network, 0)].append(other)
    return [(fitting(mtu) if mtu else {}, some) for mtu, some in groups.items()]


def fitting(mtu: int) -> Cube:
    """What is no longer than a network takes."""
    longer = above(LENGTH.bits, mtu + ETHERNET)
    return {LENGTH.name: less(everything(LENGTH.bits), longer)}


def _asking(
    station: Station, peers: Iterable[Station], gateway: Gateway | None, version: int
) -> Iterator[Expected]:
    """ARP and neighbour solicitations for others of the network."""
    own = frozenset(int(a) for a in station.in_network if a.version == version)
    known = {int(a): peer.mac for peer in peers for a in peer.in_network if a.version == version}
    if gateway is not None:
        known |= {int(a): gateway.mac for a in gateway.addresses if a.version == version}
    known = {address: mac for address, mac in known.items() if address not in own}
    if not known:
        return
    base: Cube = {"in_port": one(station.port), "tun_id": one(0), "vlan_vid": one(0)}
    base = {**base, "eth_src": one(station.mac), "eth_dst": _unreserved()}
    to: Fields = {"eth_dst": frozenset((station.mac,))}
    if version == 4:
        arp: Cube = {
            "eth_type": one(ETH_ARP),
            "arp_op": one(1),
            "arp_sha": one(station.mac),
            "arp_spa": own,
            "arp_tpa": frozenset(known),
        }
        to = {**to, "arp_op": frozenset((2,)), "arp_tha": to["eth_dst"], "arp_tpa": own}
        said = Answer({}, "arp_tpa", known, ("eth_src", "arp_sha"), ("arp_spa",), to)
        yield Expected("an ARP request", Packets(({**base, **arp},)), answers=(said,))
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
    to = {**to, "icmpv6_type": frozenset((136,)), "ipv6_dst": own}
    what = "nd_target", known
    sources = "ipv6_src", "nd_target"
    bare = Answer({"nd_sll": one(0)}, *what, ("eth_src",), sources, to)
    to = {**to, "nd_options_type": frozenset((2,))}
    told = Answer({"nd_sll": one(station.mac)}, *what, ("eth_src", "nd_tll"), sources, to)
    packets = Packets(({**base, **solicitation},))
    yield Expected("a neighbour solicitation", packets, answers=(bare, told))


def _unreserved() -> Values:
    """Destinations that bridges do not keep to one link (IEEE 802.1Q §8.6.3)."""
    return less(everything(48), masked(48, 0x0180C2_000000, 0xFFFFFF_000000))
