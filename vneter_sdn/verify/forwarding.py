# SPDX-License-Identifier: Apache-2.0
"""Where packets that begin connections go when policies let all of them pass.

Senders are sorted out on their own bridge, all of a bridge at once: by what the first tables let in
of each, and by the constants that these write. From there on all senders with the same constants
are one set, and are followed to each endpoint once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from vneter_sdn.model.fields import ETH_IP, ETH_IPV6
from vneter_sdn.model.flow import Flow, Punt
from vneter_sdn.model.snapshot import Key
from vneter_sdn.pipeline.tables import table
from vneter_sdn.simulate.meaning import Station
from vneter_sdn.verify.checks import Directory, meant_for, one
from vneter_sdn.verify.expressions import INSIDE
from vneter_sdn.verify.fleet import ONWARD, Fabric, Reached
from vneter_sdn.verify.index import BridgeIndex, TableIndex
from vneter_sdn.verify.packets import Cube, Packets, overlap, real
from vneter_sdn.verify.reach import BEGINNING, addressed
from vneter_sdn.verify.state import Punted, State
from vneter_sdn.verify.tracking import NEW
from vneter_sdn.verify.values import Rest, holds
from vneter_sdn.verify.walk import Around, Walker, all_up

_INSIDE_OF = table("neighbour").id
"""Where packets come to whose sender is beyond doubt."""
_IN = Punt(b"is let in")
_ADDRESSING = frozenset(
    (
        *("in_port", "tun_id", "vlan_vid", "eth_src", "eth_dst", "ip_ttl", "ip_dscp"),
        *("ip_src", "ip_dst", "ipv6_src", "ipv6_dst"),
    )
)
"""What says who sends to whom, and nothing of what."""
Constants = frozenset[tuple[str, int]]
Ends = tuple[str, int, int]
"""``ip`` or ``ipv6``, and the addresses of the source and of the target."""


class Irregular(Exception):
    """Bridges do otherwise than sets of senders can be followed."""


class _Entrance(NamedTuple):
    cubes: tuple[Cube, ...]
    held: Constants


class _Way(NamedTuple):
    """What comes of packets of all senders of a kind for one endpoint."""

    good: tuple[Cube, ...]
    bad: tuple[Cube, ...]
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
        self._ports: dict[tuple[str, Constants], frozenset[int]] = {}
        self._ways: dict[tuple[str, Constants, Key, Key], _Way] = {}
        self._pairs: dict[tuple[Key, Key], dict[Ends, Packets]] = {}
        self._alike: dict[frozenset[frozenset[tuple[str, object]]], Packets] = {}

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

    def _found(self, source: Station, target: Station) -> dict[Ends, Packets]:
        cubes: list[Cube] = []
        for entrance in self._entrance(source):
            way = self._way(source, entrance.held, target)
            good = _met(_met(entrance.cubes, way.good), _sent(source, target))
            if way.bad and good:
                good = list(Packets(tuple(good)).less(Packets(way.bad)).cubes)
            cubes += good
        found: dict[Ends, Packets] = {}
        for ends in ends_of(source, target):
            there = self._at(ends, cubes)
            if there.cubes:
                found[ends] = there
        return found

    def _at(self, ends: Ends, cubes: Iterable[Cube]) -> Packets:
        """Packets between two addresses, but for what says so."""
        name, source, target = ends
        kept: dict[frozenset[tuple[str, object]], Cube] = {}
        for cube in cubes:
            values = cube.get(f"{name}_src"), cube.get(f"{name}_dst")
            if any(
                held is not None and not holds(held, value)
                for held, value in zip(values, (source, target), strict=True)
            ):
                continue
            if not holds(cube["eth_type"], ETH_IP if name == "ip" else ETH_IPV6):
                continue
            rest = {n: v for n, v in cube.items() if n not in _ADDRESSING}
            kept[frozenset(rest.items())] = rest
        place = frozenset(kept)
        found = self._alike.get(place)
        if found is None:
            found = self._alike[place] = Packets(tuple(kept.values()))
        return found

    def _entrance(self, source: Station) -> tuple[_Entrance, ...]:
        here = self._entrances.get(source.host)
        if here is None:
            here = self._entrances[source.host] = self._entering(source.host)
        return here.get(source.port, ())

    def _entering(self, host: str) -> dict[int, tuple[_Entrance, ...]]:
        """What the first tables let in, by port."""
        ports = frozenset(at.port for at in self._known.whose if at.host == host)
        walker = self._fabric.walkers[host]
        gate = Walker(_Until(walker.index, _INSIDE_OF), walker.around, host)
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
                        place = host, held
                        self._ports[place] = self._ports.get(place, frozenset()) | {port}
        return {port: tuple(entrances) for port, entrances in found.items()}

    def _way(self, source: Station, held: Constants, target: Station) -> _Way:
        place = source.host, held, source.network, target.key
        found = self._ways.get(place)
        if found is None:
            found = self._ways[place] = self._followed(source, held, target)
        return found

    def _followed(self, source: Station, held: Constants, target: Station) -> _Way:
        base: Cube = {
            "in_port": self._ports[source.host, held],
            "tun_id": one(0),
            "vlan_vid": one(0),
        }
        good: list[Cube] = []
        bad: list[Cube] = []
        # One by one, so that what tables look up is one value.
        for shape in self._shapes(source.network, target):
            packets = Packets(tuple(_met(_met([base], [shape]), BEGINNING)))
            for trace in self._fabric.traces(source.host, packets, _INSIDE_OF, dict(held)):
                end = trace.end
                there = self._known.whose.get(end.at) if isinstance(end, Reached) else None
                if there is not None and there.key == target.key:
                    good += trace.packets.cubes
                elif there is None and (trace.choices or trace.up):
                    bad += trace.packets.cubes
        return _Way(tuple(good), tuple(bad))

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


class _Until(BridgeIndex):
    """A bridge whose packets are told of as they come to a table."""

    def __init__(self, index: BridgeIndex, at: int) -> None:
        self.groups = index.groups
        self._index, self._at = index, at
        self._end = TableIndex.of([Flow(at, 1, (), (_IN,))])

    def table(self, number: int) -> TableIndex:
        """One table."""
        return self._end if number == self._at else self._index.table(number)


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


def ends_of(source: Station, target: Station) -> Iterator[Ends]:
    """Addresses that two endpoints may talk by."""
    for ours in source.in_network:
        for theirs in target.in_network:
            if ours.version == theirs.version:
                yield "ip" if ours.version == 4 else "ipv6", int(ours), int(theirs)


def _sent(source: Station, target: Station) -> list[Cube]:
    """What an endpoint sends to another with its own addresses.

    In its own network with all of them; by the gateway with those that are known everywhere.
    """
    found: list[Cube] = []
    for name, version in (("ip", 4), ("ipv6", 6)):
        inside = frozenset(int(a) for a in source.in_network if a.version == version)
        own = frozenset(int(a) for a in source.addresses if a.version == version)
        mac = one(source.mac)
        if inside and source.network == target.network:
            direct = {"eth_src": mac, f"{name}_src": inside, "eth_dst": one(target.mac)}
            found.append(direct)
        if own:
            apart = Rest(48, frozenset((target.mac,)))
            found.append({"eth_src": mac, f"{name}_src": own, "eth_dst": apart})
    return found
