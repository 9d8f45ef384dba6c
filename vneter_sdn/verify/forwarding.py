# SPDX-License-Identifier: Apache-2.0
"""Where packets that begin connections go when policies let all of them pass.

Senders are sorted out on their own bridge, all of a bridge at once: by what the first tables let in
of each, and by the constants that these write. From there on all senders with the same constants
are one set, and are followed to each endpoint once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import islice, permutations
from typing import NamedTuple

from vneter_sdn.model.fields import ETH_IP, ETH_IPV6
from vneter_sdn.model.flow import Flow, Punt
from vneter_sdn.model.snapshot import Key
from vneter_sdn.pipeline.tables import table
from vneter_sdn.simulate.meaning import Station
from vneter_sdn.verify.expected import Directory, meant_for, one
from vneter_sdn.verify.expressions import INSIDE
from vneter_sdn.verify.fleet import ONWARD, Fabric, Reached, Trace
from vneter_sdn.verify.heads import Heads, Until
from vneter_sdn.verify.index import TableIndex
from vneter_sdn.verify.narrowing import Cubes, Narrowing
from vneter_sdn.verify.packets import Cube, Packets, overlap, real
from vneter_sdn.verify.reach import BEGINNING, addressed
from vneter_sdn.verify.state import Punted, State
from vneter_sdn.verify.tracking import NEW
from vneter_sdn.verify.values import Rest
from vneter_sdn.verify.walk import Around, Walker, all_up

_INSIDE_OF = table("neighbour").id
"""Where packets come to whose sender is beyond doubt."""
_UNTIL = table("steer").id
"""Where packets come to that leave for another bridge."""
_IN = Punt(b"is let in")
_TOLD = TableIndex.of([Flow(_INSIDE_OF, 1, (), (_IN,))])
_ADDRESSING = frozenset(
    (
        *("in_port", "tun_id", "vlan_vid", "eth_src", "eth_dst", "ip_ttl", "ip_dscp"),
        *("ip_src", "ip_dst", "ipv6_src", "ipv6_dst"),
    )
)
"""What says who sends to whom, and nothing of what."""
_BEFOREHAND = 20_000
"""Ways between bridges that are followed before they are asked for."""
Constants = frozenset[tuple[str, int]]
Ends = tuple[str, int, int]
"""``ip`` or ``ipv6``, and the addresses of the source and of the target."""
Addresses = tuple[tuple[str, int], ...]
"""Each with ``ip`` or ``ipv6``."""


class Irregular(Exception):
    """Bridges do otherwise than sets of senders can be followed."""


class _Entrance(NamedTuple):
    cubes: Cubes
    held: Constants


class _Way(NamedTuple):
    """What comes of packets of all senders of a kind for one endpoint."""

    good: Cubes
    bad: Cubes
    """Of which some, depending on which buckets are taken, end elsewhere."""


class Forwarding:
    """Forwarding without policies, kept until something of it changes.

    Args:
        fabric: bridges that ask no policies, whose tracker says ``NEW``.
        known: who is where.
    """

    def __init__(self, fabric: Fabric, known: Directory) -> None:
        around = Around(NEW, all_up, ONWARD)
        walkers = {host: Walker(w.index, around, host) for host, w in fabric.walkers.items()}
        self._fabric, self._known = Fabric(walkers, fabric.wiring), known
        self._entrances: dict[str, dict[int, tuple[_Entrance, ...]]] = {}
        self._ways: dict[tuple[str, Constants, Key, Key], _Way] = {}
        self._pairs: dict[tuple[Key, Key], dict[Ends, Packets]] = {}
        self._shaped: dict[tuple[Key, Key], tuple[Packets, ...]] = {}
        self._heads = Heads(_UNTIL)
        self._narrow = Narrowing()
        self._alike: dict[tuple[int, ...], tuple[list[Cubes], Packets]] = {}
        self._same: dict[object, Packets] = {}

    def between(self, source: Station, target: Station) -> Mapping[Ends, Packets]:
        """What of the packets that begin connections arrives, by addresses: but for those, alike.

        Equal sets are the same object.

        Raises:
            Irregular: it cannot be said in this way.
        """
        pair = source.key, target.key
        found = self._pairs.get(pair)
        if found is None:
            found = self._pairs[pair] = self._found(source, target)
        return found

    def prepare(self) -> Iterator[None]:
        """Read what will be asked for, step by step."""
        with suppress(Irregular):
            for host, walker in self._fabric.walkers.items():
                walker.prepare(_INSIDE_OF)
                yield
                if host not in self._entrances:
                    self._entrances[host] = self._entering(host)
                    yield
            for source, target in islice(self._neighbours(), _BEFOREHAND):
                for entrance in self._entrance(source):
                    self._way(source, entrance.held, target)
                yield

    def _neighbours(self) -> Iterator[tuple[Station, Station]]:
        """From each bridge to each other one, of each network somebody there."""
        for some in self._known.tenants.values():
            first = {(station.network, station.host): station for station in reversed(some)}
            yield from permutations(first.values(), 2)

    def _found(self, source: Station, target: Station) -> dict[Ends, Packets]:
        found: dict[Ends, Packets] = {}
        for ends in ends_of(source, target):
            there = self._at(ends, source, target)
            if there.cubes:
                found[ends] = there
        return found

    def _at(self, ends: Ends, source: Station, target: Station) -> Packets:
        """Packets between two addresses, but for what says so.

        An endpoint sends to its own network with all of its addresses; by the gateway with those
        that are known everywhere.
        """
        name, ours, theirs = ends
        kind = ETH_IP if name == "ip" else ETH_IPV6
        ends_at = (f"{name}_src", ours), (f"{name}_dst", theirs), ("eth_type", kind)
        given = ("in_port", source.port), ("eth_src", source.mac), *ends_at
        direct = (*given, ("eth_dst", target.mac))
        routed = any(int(own) == ours for own in source.addresses)
        parts: list[Cubes] = []
        for entrance in self._entrance(source):
            way = self._way(source, entrance.held, target)
            if source.network == target.network:
                parts += (self._narrow.to(c, direct) for c in (entrance.cubes, *way))
            if routed:
                parts.append(self._narrow.to(entrance.cubes, given))
                parts += (self._narrow.to(cubes, given, target.mac) for cubes in way)
        place = tuple([id(part) for part in parts])
        found = self._alike.get(place)
        if found is None:
            found = self._alike[place] = parts, self._joined(parts)
        return found[1]

    def _joined(self, parts: list[Cubes]) -> Packets:
        """What enters, arrives, may end elsewhere: three by three. Equal ones are one object."""
        kept: dict[frozenset[tuple[str, object]], Cube] = {}
        for n in range(0, len(parts), 3):
            enters, good, bad = parts[n : n + 3]
            for cube in Packets(tuple(_met(enters, good))).less(Packets(bad)).cubes:
                rest = {name: v for name, v in cube.items() if name not in _ADDRESSING}
                kept[frozenset(rest.items())] = rest
        return self._same.setdefault(frozenset(kept), Packets(tuple(kept.values())))

    def _entrance(self, source: Station) -> tuple[_Entrance, ...]:
        here = self._entrances.get(source.host)
        if here is None:
            here = self._entrances[source.host] = self._entering(source.host)
        return here.get(source.port, ())

    def _entering(self, host: str) -> dict[int, tuple[_Entrance, ...]]:
        """What the first tables let in, by port."""
        ports = frozenset(at.port for at in self._known.whose if at.host == host)
        walker = self._fabric.walkers[host]
        gate = Walker(Until(walker.index, _INSIDE_OF, _TOLD), walker.around, host)
        begins: Cube = {
            "in_port": ports,
            "tun_id": one(0),
            "vlan_vid": one(0),
            "eth_type": frozenset((ETH_IP, ETH_IPV6)),
        }
        found: defaultdict[int, list[_Entrance]] = defaultdict(list)
        for state in gate.table(State([begins]), 0, 0):
            for event in state.events:
                if isinstance(event, Punted) and event.action is _IN:
                    if len(state.events) > 1:
                        raise Irregular
                    held = _constants(event.held)
                    for port, cubes in _by_port(state.cubes):
                        found[port].append(_Entrance(tuple(cubes), held))
        return {port: tuple(entrances) for port, entrances in found.items()}

    def _way(self, source: Station, held: Constants, target: Station) -> _Way:
        place = source.host, held, source.network, target.key
        found = self._ways.get(place)
        if found is None:
            good, bad = self._followed(source, held, target)
            found = self._ways[place] = _Way(self._narrow.one(good), self._narrow.one(bad))
        return found

    def _followed(
        self, source: Station, held: Constants, target: Station
    ) -> tuple[list[Cube], list[Cube]]:
        good: list[Cube] = []
        bad: list[Cube] = []
        for trace in self._traces(source, held, target):
            end = trace.end
            there = self._known.whose.get(end.at) if isinstance(end, Reached) else None
            if there is not None and there.key == target.key:
                good += trace.packets.cubes
            elif there is None and (trace.choices or trace.up):
                bad += trace.packets.cubes
        return good, bad

    def _traces(self, source: Station, held: Constants, target: Station) -> Iterator[Trace]:
        """Where packets from a bridge end, whichever port they came in by."""
        # One by one, so that what tables look up is one value.
        for number, packets in enumerate(self._beginning(source.network, target)):
            about = number, source.network, target.key, held
            begin = State(packets.cubes, dict(held))
            walker, host = self._fabric.walkers[source.host], source.host
            head = self._heads.of(about, walker, _INSIDE_OF, begin)
            if head.onward is None:
                yield from self._fabric.traces(host, packets, _INSIDE_OF, dict(held))
            else:
                for cubes, now in head.onward:
                    yield from self._fabric.traces(host, Packets(cubes), _UNTIL, now)

    def _beginning(self, network: Key, target: Station) -> tuple[Packets, ...]:
        """First packets of connections to an endpoint, from somebody of a network."""
        found = self._shaped.get((network, target.key))
        if found is None:
            base: Cube = {"tun_id": one(0), "vlan_vid": one(0)}
            found = self._shaped[network, target.key] = tuple(
                Packets(tuple(_met(_met([base], [shape]), BEGINNING)))
                for shape in self._shapes(network, target)
            )
        return found

    def _shapes(self, network: Key, target: Station) -> Iterator[Cube]:
        """Packets for an endpoint, from somebody of a network: directly, or by the gateway."""
        if network == target.network:
            for cube in addressed(target):
                yield {**cube, "eth_type": one(ETH_IP if "ip_dst" in cube else ETH_IPV6)}
        gateway = self._known.meaning.gateways.get(network)
        for name, kind in (("ip_dst", ETH_IP), ("ipv6_dst", ETH_IPV6)) if gateway else ():
            version = 4 if kind == ETH_IP else 6
            faces = gateway and any(a.version == version for a in gateway.addresses)
            values = meant_for(target, name)
            if gateway and faces and values:
                yield {
                    "eth_dst": one(gateway.mac),
                    "eth_type": one(kind),
                    name: values,
                    "ip_ttl": Rest(8, frozenset((0, 1))),
                }


def _constants(held: Mapping[str, object]) -> Constants:
    found: set[tuple[str, int]] = set()
    for name, value in held.items():
        if name not in INSIDE or not isinstance(value, int):
            raise Irregular
        found.add((name, value))
    return frozenset(found)


def _by_port(cubes: Iterable[Cube]) -> Iterator[tuple[int, list[Cube]]]:
    found: defaultdict[int, list[Cube]] = defaultdict(list)
    for cube in cubes:
        ports = cube["in_port"]
        if not isinstance(ports, frozenset):
            raise Irregular
        for port in ports:
            found[port].append({**cube, "in_port": one(port)})
    yield from found.items()


def _met(some: Iterable[Cube], others: Iterable[Cube]) -> list[Cube]:
    rest = list(others)
    both = (overlap(a, b) for a in some for b in rest)
    return [cube for cube in both if cube is not None and real(cube) is not None]


def numbered(station: Station) -> Iterator[tuple[str, int]]:
    """Addresses that an endpoint has in its network: ``ip`` or ``ipv6``, and the number."""
    for address in station.in_network:
        yield "ip" if address.version == 4 else "ipv6", int(address)


def ends_between(ours: Addresses, theirs: Addresses) -> Iterator[Ends]:
    """Addresses of two endpoints that they may talk by."""
    for version, source in ours:
        for other, target in theirs:
            if version == other:
                yield version, source, target


def ends_of(source: Station, target: Station) -> Iterator[Ends]:
    """The same, of endpoints."""
    return ends_between(tuple(numbered(source)), tuple(numbered(target)))
