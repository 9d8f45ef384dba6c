# SPDX-License-Identifier: Apache-2.0
"""Connections tried on compiled flows: whether their first packet gets there, and by which rule.

From endpoint to endpoint a packet crosses the fleet as it would on the wire. An address that is no
endpoint's has no bridge here, so such a packet meets the policies of the one end that is an
endpoint, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from vneter_sdn.model.addresses import IPAddress
from vneter_sdn.model.fields import (
    PROTO_ICMP,
    PROTO_ICMPV6,
    PROTO_SCTP,
    PROTO_TCP,
    PROTO_UDP,
)
from vneter_sdn.model.flow import Flow
from vneter_sdn.model.policy_kinds import Direction
from vneter_sdn.model.snapshot import Key, Pools, Snapshot
from vneter_sdn.pipeline.registers import NETWORK, ORIGIN, OUT_PORT, RULE, SOURCE, TENANT, Source
from vneter_sdn.pipeline.tables import BY_ID, table
from vneter_sdn.simulate.bridge import run
from vneter_sdn.simulate.fleet import Delivery, Fleet, deliver
from vneter_sdn.simulate.meaning import Gateway, Meaning, Station
from vneter_sdn.simulate.packet import Ends, Packet, ip_packet

_PORTS = {PROTO_TCP: "tcp", PROTO_UDP: "udp", PROTO_SCTP: "sctp"}
_FROM = 40000
"""Source port of what is tried."""
_SYN = 2
_OUTSIDE_MAC = 0x020000000001


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a connection is for."""

    protocol: int
    """IP protocol number."""
    port: int = 0
    icmp_type: int = 8
    icmp_code: int = 0
    version: int | None = None
    """4 or 6; None: 4 where both ends have such an address."""


class Numbers(NamedTuple):
    """What bridges call a tenant and its networks."""

    tenant: int
    networks: Mapping[Any, int]
    """VNI by key."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What became of the first packet of a connection."""

    allowed: bool
    decided: Mapping[Direction, int | None] = field(default_factory=dict)
    """Number of the rule, see `pipeline.registers.RULE`; None where no policy was asked."""
    delivery: Delivery | None = None
    """How it crossed the fleet; None when one end is outside."""
    trail: tuple[tuple[str, int, Flow], ...] = ()
    """Host, table and flow of each step."""


def packet_of(source: Ends, wanted: Wanted) -> Packet:
    """The first packet of a connection."""
    packet = ip_packet(source, wanted.protocol)
    name = _PORTS.get(wanted.protocol)
    if name:
        packet = packet.with_(**{f"{name}_src": _FROM, f"{name}_dst": wanted.port})
    if wanted.protocol == PROTO_TCP:
        packet = packet.with_(tcp_flags=_SYN)
    if wanted.protocol in (PROTO_ICMP, PROTO_ICMPV6):
        word = "icmp" if wanted.protocol == PROTO_ICMP else "icmpv6"
        packet = packet.with_(
            **{f"{word}_type": wanted.icmp_type, f"{word}_code": wanted.icmp_code}
        )
    return packet


def pair_of(
    source: Iterable[IPAddress], target: Iterable[IPAddress], wanted: Wanted
) -> tuple[IPAddress, IPAddress] | None:
    """Addresses of one family that both ends have; None when they share none."""
    versions = (wanted.version,) if wanted.version else (4, 6)
    if wanted.protocol == PROTO_ICMPV6:
        versions = (6,)
    elif wanted.protocol == PROTO_ICMP:
        versions = (4,)
    ends = [sorted(side, key=lambda a: (a.version, int(a))) for side in (source, target)]
    for version in versions:
        found = [next((a for a in side if a.version == version), None) for side in ends]
        if found[0] is not None and found[1] is not None:
            return found[0], found[1]
    return None


def first_packet(
    meaning: Meaning, source: Station, target: Station, wanted: Wanted
) -> Packet | None:
    """What an endpoint would send another, by its port; None when no address is of one family."""
    addresses = pair_of(source.addresses, target.addresses, wanted)
    if addresses is None:
        return None
    same = source.network == target.network
    gateway: Gateway | None = meaning.gateways.get(source.network)
    router = gateway.mac if gateway else 0
    ends = Ends(source.mac, target.mac if same else router, *addresses)
    return packet_of(ends, wanted).at(source.port)


def between(
    fleet: Fleet, meaning: Meaning, source: Station, target: Station, wanted: Wanted
) -> Attempt:
    """Try from endpoint to endpoint."""
    packet = first_packet(meaning, source, target, wanted)
    if packet is None:
        return Attempt(allowed=False)
    delivery = deliver(fleet, source.host, packet)
    reached = any((a.host, a.port) == (target.host, target.port) for a in delivery.reached)
    trail = tuple(delivery.trail)
    return Attempt(reached, decided(trail), delivery, trail)


def outwards(
    fleet: Fleet, numbers: Numbers, source: Station, target: IPAddress, wanted: Wanted
) -> Attempt:
    """Ask the policies of an endpoint about an address outside that it speaks to."""
    return _alone(fleet, numbers, "egress", source, target, wanted)


def inwards(
    fleet: Fleet, numbers: Numbers, source: IPAddress, target: Station, wanted: Wanted
) -> Attempt:
    """Ask the policies of an endpoint about an address outside that speaks to it."""
    return _alone(fleet, numbers, "ingress", target, source, wanted)


def _alone(
    fleet: Fleet,
    numbers: Numbers,
    way: Direction,
    here: Station,
    there: IPAddress,
    wanted: Wanted,
) -> Attempt:
    near = next((a for a in sorted(here.addresses, key=int) if a.version == there.version), None)
    if near is None or not _speaks(there.version, wanted):
        return Attempt(allowed=False)
    pair = (near, there) if way == "egress" else (there, near)
    macs = (here.mac, _OUTSIDE_MAC) if way == "egress" else (_OUTSIDE_MAC, here.mac)
    packet = packet_of(Ends(*macs, *pair), wanted)
    vni = numbers.networks[here.network]
    loads = (
        SOURCE.load(Source.ENDPOINT),
        NETWORK.load(vni),
        ORIGIN.load(vni),
        TENANT.load(numbers.tenant),
        OUT_PORT.load(here.port if way == "ingress" else 0),
    )
    registers: dict[str, int] = {}
    for load in loads:
        registers[load.field] = registers.get(load.field, 0) | load.value
    packet = packet.with_(**registers, in_port=here.port if way == "egress" else 0)
    result = run(fleet.bridges[here.host], packet, table=table(way).id)
    passed = table("switch" if way == "egress" else "output").id
    trail = tuple((here.host, number, flow) for number, flow in result.trail)
    return Attempt(any(at == passed for _, at, _ in trail), decided(trail), None, trail)


def _speaks(version: int, wanted: Wanted) -> bool:
    if wanted.version not in (None, version):
        return False
    return wanted.protocol != (PROTO_ICMPV6 if version == 4 else PROTO_ICMP)


def decided(trail: Iterable[tuple[str, int, Flow]]) -> dict[Direction, int | None]:
    """The number that each verdict table matched; None where it was not met."""
    found: dict[Direction, int | None] = {"egress": None, "ingress": None}
    ways: tuple[Direction, Direction] = ("egress", "ingress")
    for _, number, flow in trail:
        for way in ways:
            if BY_ID[number].name == f"{way}_verdict":
                values = [term.value for term in flow.match if term.field == RULE.field]
                found[way] = values[0] if values else None
    return found


def numbers_of(snapshot: Snapshot, tenant: str) -> Numbers:
    """What bridges call a tenant and its networks.

    Raises:
        KeyError: it has no number.
    """
    held = {
        (allocation.pool, allocation.owner): int(allocation.value)
        for allocation in snapshot.allocations.values()
        if allocation.pool in (Pools.TENANT, Pools.VNI) and allocation.released is None
    }
    networks = {
        key: held[Pools.VNI, str(key)]
        for key in snapshot.objects
        if key.kind == "Network" and key.tenant == tenant and (Pools.VNI, str(key)) in held
    }
    return Numbers(held[Pools.TENANT, str(Key("Tenant", "", tenant))], networks)
