# SPDX-License-Identifier: Apache-2.0
"""Who can open a connection to whom, on which ports: exactly, from what the bridges hold.

Packets that may begin a connection (a TCP SYN, an echo request, anything of other protocols) are
followed from every endpoint to all others of its tenant. What arrives, whatever buckets are chosen,
is written as packets of the fields in `SHOWN`; two such matrices are compared by their difference,
which is what a change gains and loses.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from vneter_sdn.model.fields import (
    ETH_IP,
    ETH_IPV6,
    PROTO_ICMP,
    PROTO_ICMPV6,
    PROTO_SCTP,
    PROTO_TCP,
    PROTO_UDP,
)
from vneter_sdn.model.snapshot import Key
from vneter_sdn.simulate.meaning import Station
from vneter_sdn.verify.expected import Directory, Expected, expectations, meant_for, one
from vneter_sdn.verify.fleet import Fabric, Reached
from vneter_sdn.verify.packets import ALL, NONE, Cube, Packets, overlap
from vneter_sdn.verify.values import Rest, Values, holds

SHOWN = (
    *("eth_type", "ip_proto", "tcp_dst", "udp_dst", "sctp_dst"),
    *("icmp_type", "icmp_code", "icmpv6_type", "icmpv6_code"),
)
"""Fields that say what a connection is, besides whose."""
_OTHERS = Rest(8, frozenset((PROTO_TCP, PROTO_ICMP, PROTO_ICMPV6)))
BEGINNING: tuple[Cube, ...] = (
    {"ip_proto": one(PROTO_TCP), "tcp_flags": one(2)},
    {"eth_type": one(ETH_IP), "ip_proto": one(PROTO_ICMP), "icmp_type": one(8)},
    {"eth_type": one(ETH_IPV6), "ip_proto": one(PROTO_ICMPV6), "icmpv6_type": one(128)},
    {"ip_proto": _OTHERS},
)
"""What may be the first packet of a connection."""
_BEGINNING = Packets(BEGINNING)


class Pair(NamedTuple):
    """Who opens a connection, and to whom."""

    source: Key
    target: Key


@dataclass(frozen=True, slots=True)
class Reach:
    """What every endpoint may open to every other; pairs that are not there may nothing."""

    allowed: Mapping[Pair, Packets] = field(default_factory=dict)

    def __getitem__(self, pair: Pair) -> Packets:
        return self.allowed.get(pair, NONE)

    def less(self, other: Reach) -> Reach:
        """What is allowed here and not there."""
        found = {}
        for pair, packets in self.allowed.items():
            there = other[pair]
            left = packets if there is NONE else _unless_equal(packets, there)
            if left:
                found[pair] = left
        return Reach(found)

    def lines(self) -> Iterator[str]:
        """For people: who may open what to whom."""
        for pair, packets in sorted(self.allowed.items()):
            yield f"{pair.source} > {pair.target}: {', '.join(sorted(words(packets)))}"


def _unless_equal(packets: Packets, there: Packets) -> Packets:
    return NONE if packets == there else packets.less(there)


class Change(NamedTuple):
    """What a change does to reachability."""

    gained: Reach
    lost: Reach


def change(before: Reach, after: Reach) -> Change:
    """What one has that the other has not, both ways."""
    return Change(after.less(before), before.less(after))


def reach(fabric: Fabric, known: Directory, sources: Iterable[Key] | None = None) -> Reach:
    """The matrix of a fleet, or of some sources in it.

    Args:
        fabric: one whose tracker says ``NEW``.
        known: who is where.
        sources: None for all.
    """
    found: dict[Pair, Packets] = {}
    stations = known.meaning.stations
    for key in stations if sources is None else sources:
        station = stations.get(key)
        if station is not None:
            found |= reached_from(fabric, known, station)
    return Reach(found)


def reached_from(
    fabric: Fabric, known: Directory, station: Station, within: Packets = ALL
) -> dict[Pair, Packets]:
    """What one endpoint may open to all others of its tenant; ``within``: of these packets."""
    good: defaultdict[Pair, list[Cube]] = defaultdict(list)
    bad: list[Cube] = []
    for wanted in expectations(station, known):
        if not wanted.field:
            continue
        first = wanted.packets.meet(within).meet(_BEGINNING)
        for trace in fabric.traces(station.host, first):
            target = known.whose.get(trace.end.at) if isinstance(trace.end, Reached) else None
            if target is None:
                bad += trace.packets.cubes if trace.choices or trace.up else ()
                continue
            meant = _addressed(wanted, target)
            both = (overlap(cube, one_of) for cube in trace.packets.cubes for one_of in meant)
            good[Pair(station.key, target.key)] += [cube for cube in both if cube is not None]
    found = {}
    for pair, cubes in good.items():
        allowed = Packets(tuple(cubes)).less(Packets(tuple(bad))) if bad else Packets(tuple(cubes))
        shown = allowed.only(SHOWN)
        if shown:
            found[pair] = shown
    return found


def addressed(target: Station) -> Iterator[Cube]:
    """Packets for an endpoint of one's own network: by its MAC, and by the address they bear.

    Policies go by addresses, so what is sent to its MAC with another's address is not for it.
    """
    for name, version in (("ip_dst", 4), ("ipv6_dst", 6)):
        own = frozenset(int(a) for a in target.in_network if a.version == version)
        if own:
            yield {"eth_dst": one(target.mac), name: own}


def _addressed(wanted: Expected, target: Station) -> list[Cube]:
    """Packets of those expected that are for an endpoint."""
    if wanted.field != "eth_dst":
        return [{wanted.field: meant_for(target, wanted.field)}]
    four = all(cube.get("eth_type") == one(ETH_IP) for cube in wanted.packets.cubes)
    return [cube for cube in addressed(target) if ("ip_dst" in cube) == four]


_NAMES = {
    PROTO_TCP: "tcp",
    PROTO_UDP: "udp",
    PROTO_SCTP: "sctp",
    PROTO_ICMP: "icmp",
    PROTO_ICMPV6: "icmp6",
}


def words(packets: Packets) -> Iterator[str]:
    """For people: ``ip tcp/80``, ``ipv6 udp``, ``ip proto/not 1,6,58``."""
    for cube in packets.cubes:
        ports = next((cube[name] for name in cube if name.endswith("_dst")), None)
        for family in _each(cube.get("eth_type"), _FAMILIES):
            for protocol in _each(cube.get("ip_proto"), _NAMES, "proto/"):
                yield f"{family} {protocol}" + (f"/{_numbers(ports)}" if ports else "")


_FAMILIES = {ETH_IP: "ip", ETH_IPV6: "ipv6"}


def _each(values: Values | None, names: Mapping[int, str], before: str = "") -> list[str]:
    """Values of a field by their names."""
    if isinstance(values, frozenset):
        return [names.get(value, f"{before}{value:#x}") for value in sorted(values)]
    return [f"{before}{_numbers(values)}"]


def _numbers(values: Values | None) -> str:
    """Numbers as ranges: ``80,443``, ``1000-1999``, ``not 22``, ``any``."""
    if values is None:
        return "any"
    if isinstance(values, frozenset):
        return _ranges(sorted(values))
    if values.within is not True and values.bits <= 16:
        return _ranges([value for value in range(1 << values.bits) if holds(values, value)])
    return f"not {_ranges(sorted(values.without))}" if values.without else "any"


def _ranges(numbers: list[int]) -> str:
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)
