# SPDX-License-Identifier: Apache-2.0
"""What a change of policies alone makes of who may open connections to whom.

Flows of policies say whether packets go on, and nothing else (`policed.is_tame`, and that is asked
of every flow). So what arrives is what forwarding delivers, of what the gate of the sender lets
out, of what the gate of the receiver lets in: `forwarding` and `gates`, each for everybody at once.
A change is about the endpoints whose gates are other ones than before, and about those whose
address has another identity where rules tell the two apart.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import NamedTuple

from vneter_sdn.model.flow import ZONE_BITS, Flow
from vneter_sdn.model.policy_kinds import Direction
from vneter_sdn.model.snapshot import Key
from vneter_sdn.pipeline.registers import NETWORK, PEER, RULE, TENANT
from vneter_sdn.pipeline.tables import table
from vneter_sdn.simulate.meaning import Station
from vneter_sdn.verify.checks import Excuse
from vneter_sdn.verify.expected import Directory
from vneter_sdn.verify.facts import (
    FIRST,
    PEERS,
    STATE,
    VERDICT,
    Address,
    address_of,
    exactly,
)
from vneter_sdn.verify.fleet import Fabric
from vneter_sdn.verify.forwarding import Addresses, Forwarding, Irregular, numbered
from vneter_sdn.verify.gate import Gate
from vneter_sdn.verify.gates import Gates
from vneter_sdn.verify.index import BridgeIndex
from vneter_sdn.verify.packets import Cube, without
from vneter_sdn.verify.parts import NO_LABEL, PORT, Label
from vneter_sdn.verify.values import Values, holds
from vneter_sdn.verify.written import STAGES, WAYS, loaded

_CLASSIFY, _ARRIVAL = table("classify").id, table("arrival").id
_WAY: dict[int, Direction] = {
    **{number: way for way in WAYS for number in (FIRST[way], STATE[way], VERDICT[way])},
    **{number: way for way, number in PEERS.items()},
    **STAGES,
}
_ENDS: tuple[tuple[Direction, str], ...] = (("egress", "dst"), ("ingress", "src"))
HEADERS = {(way, ip): f"{ip}_{end}" for way, end in _ENDS for ip in ("ip", "ipv6")}
"""Fields of the address at the other end, by direction and IP version."""
_BOTH: tuple[tuple[Direction, Direction], ...] = (("egress", "ingress"), ("ingress", "egress"))
_ZONES = (1 << ZONE_BITS) - 1
Flows = Iterable[tuple[str, Flow]]


class Place(NamedTuple):
    """The gate of an endpoint."""

    station: Station
    way: Direction


class Moved(NamedTuple):
    """An address at the other end that may have another identity."""

    host: str
    way: Direction
    address: Address


class Touched:
    """What flows are about, in one state of the bridges."""

    def __init__(self) -> None:
        self.ports: set[tuple[str, Direction, int]] = set()
        self.identities: defaultdict[tuple[str, Direction], set[int]] = defaultdict(set)
        self.tenants: defaultdict[tuple[str, Direction], set[int | None]] = defaultdict(set)
        """Whose endpoints it is about, all of them; None: all of everybody."""
        self.moved: set[Moved] = set()

    @property
    def hosts(self) -> frozenset[str]:
        """Bridges whose gates may be others than before."""
        places = (*self.identities, *self.tenants)
        return frozenset((*(h for h, _ in places), *(h for h, _, _ in self.ports)))


class Rulings:
    """Gates and forwarding of a fleet, kept from change to change.

    Args:
        indexes: bridges.
        free: the same bridges without policies, with a tracker that says ``NEW``.
        known: who is where.
    """

    def __init__(self, indexes: Mapping[str, BridgeIndex], free: Fabric, known: Directory) -> None:
        self.indexes = indexes
        self.gates = Gates(indexes)
        self.settle(free, known)

    def settle(self, free: Fabric, known: Directory) -> None:
        """Forwarding, or who is where, is not as it was."""
        self.known = known
        self.forwarding = Forwarding(free, known)
        self._numbers: dict[str, dict[int, int]] = {}
        self._here: defaultdict[str, list[Station]] = defaultdict(list)
        self._owners: Mapping[tuple[int, str, int], list[Station]] | None = None
        self._addresses: dict[Key, Addresses] = {}
        for station in known.stations:
            self._here[station.host].append(station)

    def prepare(self) -> Iterator[None]:
        """Read what will be asked for, step by step."""
        for host in tuple(self.indexes):
            tables = self.gates.tables(host)
            yield
            for way in WAYS:
                tables.whose(way)
                yield
        yield from self.forwarding.prepare()
        with suppress(Irregular):
            self._owned()
            for station in tuple(self.known.stations):
                for way in WAYS:
                    self.gate(Place(station, way))
                    yield

    # ---- who is who

    def number(self, station: Station) -> int:
        """The number of an endpoint's tenant, as its bridge has it.

        Raises:
            Irregular: it has none, or another one by where packets come from.
        """
        here = self._numbers.get(station.host)
        if here is None:
            here = self._numbers[station.host] = self._classified(station.host)
        found = here.get(station.port)
        if found is None:
            raise Irregular
        return found

    def _classified(self, host: str) -> dict[int, int]:
        """Numbers of tenants by port, if what comes from other bridges gets the same ones."""
        found: dict[int, int] = {}
        networks: defaultdict[int | None, set[int]] = defaultdict(set)
        for flow in self.indexes[host].flows(_CLASSIFY):
            port, number = exactly(flow, "in_port"), loaded(flow, TENANT.field)
            if port is not None and number is not None:
                found[port] = number & TENANT.mask
                networks[loaded(flow, NETWORK.field)].add(number & TENANT.mask)
        for flow in self.indexes[host].flows(_ARRIVAL):
            number = loaded(flow, TENANT.field)
            if number is not None and networks[loaded(flow, NETWORK.field)] - {number}:
                return {}
        return found

    def addresses(self, station: Station) -> Addresses:
        """Addresses that an endpoint has in its network."""
        found = self._addresses.get(station.key)
        if found is None:
            found = self._addresses[station.key] = tuple(numbered(station))
        return found

    def _owned(self) -> Mapping[tuple[int, str, int], list[Station]]:
        """Endpoints by their addresses: all of them, or Irregular."""
        if self._owners is None:
            found: defaultdict[tuple[int, str, int], list[Station]] = defaultdict(list)
            for station in self.known.stations:
                number = self.number(station)
                for version, value in self.addresses(station):
                    found[number, version, value].append(station)
            self._owners = found
        return self._owners

    def owners(self, address: Address) -> Collection[Station]:
        """Endpoints that have an address."""
        version = address.field.partition("_")[0]
        return self._owned().get((address.tenant, version, address.value), ())

    # ---- what flows are about

    def touch(self, flows: Flows) -> Touched:
        """What flows are about that are on the bridges.

        Raises:
            Irregular: about everything.
        """
        found = Touched()
        for host, flow in flows:
            tables, way = self.gates.tables(host), _WAY[flow.table]
            whom: frozenset[int] | None = None
            if flow.table == FIRST[way]:
                port = exactly(flow, PORT[way])
                if port is not None:
                    found.ports.add((host, way, port))
                    continue
            elif flow.table == PEERS[way]:
                address = address_of(flow, way)
                if address is None:
                    raise Irregular
                found.moved.add(Moved(host, way, address))
                continue
            elif flow.table in STAGES:
                whom = tables.whom(flow)
            elif flow.table == VERDICT[way]:
                number = exactly(flow, RULE.field)
                whom = tables.deciders(way, number) if number else None
            if whom is None:
                found.tenants[host, way].add(exactly(flow, TENANT.field))
            else:
                found.identities[host, way] |= whom
        return found

    def moving(self, flows: Flows) -> Iterator[Moved]:
        """Addresses that flows give an identity."""
        for host, flow in flows:
            way = _WAY[flow.table]
            address = address_of(flow, way) if flow.table == PEERS[way] else None
            if address is not None:
                yield Moved(host, way, address)

    def affected(self, touched: Touched) -> set[Place]:
        """Gates that touched flows are about, as endpoints have identities in this state."""
        found = set()
        for host in touched.hosts:
            tables = self.gates.tables(host)
            for way in WAYS:
                place = host, way
                tenants = touched.tenants.get(place, set())
                wanted = touched.identities.get(place, set())
                for station in self._here[host]:
                    if (
                        (host, way, station.port) in touched.ports
                        or None in tenants
                        or (tenants and self.number(station) in tenants)
                        or (wanted and not wanted.isdisjoint(tables.identities(way, station.port)))
                    ):
                        found.add(Place(station, way))
        return found

    def named(self, moved: Iterable[Moved]) -> dict[Moved, int]:
        """Identities that addresses have in this state."""
        return {one: self.gates.tables(one.host).peer(one.way, one.address) for one in moved}

    def told_apart(
        self, before: Mapping[Moved, int], after: Mapping[Moved, int]
    ) -> dict[Place, set[Address]]:
        """Endpoints whose rules tell the identities apart that addresses have before and after."""
        found: defaultdict[Place, set[Address]] = defaultdict(set)
        whom: dict[tuple[str, Direction, int, int], frozenset[int] | None] = {}
        for one, was in before.items():
            now = after[one]
            if was == now:
                continue
            tables, pair = self.gates.tables(one.host), (one.host, one.way, was, now)
            if pair not in whom:
                whom[pair] = tables.apart(one.way, was, now)
            wanted = whom[pair]
            for station in self._here[one.host] if wanted is None or wanted else ():
                if self.number(station) == one.address.tenant and (
                    wanted is None
                    or not wanted.isdisjoint(tables.identities(one.way, station.port))
                ):
                    found[Place(station, one.way)].add(one.address)
        return found

    def gate(self, place: Place, label: Label = NO_LABEL) -> Gate:
        """The gate of an endpoint in this state."""
        station, way = place
        return self.gates.of(station.host, way, station.port, self.number(station), label)

    def answers_in_doubt(self, station: Station) -> bool:
        """Whether what follows the first packets of an endpoint might not pass its own gates.

        Of those that it gets, too; answers, and what comes after them.
        """
        number, host = self.number(station), station.host
        whose = station.port, number
        for way, back in _BOTH:
            for kept in self.gate(Place(station, way)).kept:
                lost = self.gates.answers(host, back, station.port, number, kept.label)
                later = self.gates.later((host, way), whose, kept)
                zone = kept.label[2]
                if (zone is not None and zone != number & _ZONES) or any(lost) or any(later):
                    return True
        return False

    # ---- pairs

    def others(self, place: Place, cubes: Collection[Cube]) -> set[Station]:
        """Endpoints at the other end of some packets of a gate."""
        station, way = place
        number, tables = self.number(station), self.gates.tables(station.host)
        found: set[Station] = set()
        wanted = [_asked(cube, way) for cube in cubes]
        for identity, addresses in tables.whose(way).items():
            fitting = [a for peers, a in wanted if peers is None or holds(peers, identity)]
            for address in addresses if fitting and identity else ():
                if address.tenant == number and _any_holds(fitting, address):
                    found.update(self.owners(address))
        fitting = [a for peers, a in wanted if peers is None or holds(peers, 0)]
        if fitting:
            found |= set(self._strangers(place, fitting))
        found.discard(station)
        return {one for one in found if one.tenant == station.tenant}

    def _strangers(self, place: Place, wanted: list[Cube]) -> Iterator[Station]:
        """Endpoints with an address that has no identity."""
        station, way = place
        number, tables = self.number(station), self.gates.tables(station.host)
        for other in self.known.tenants.get(station.tenant, ()):
            for version, value in self.addresses(other):
                address = Address(number, HEADERS[way, version], value)
                if not tables.peer(way, address) and _any_holds(wanted, address):
                    yield other
                    break

    def concerned(self, place: Place, before: Gate, after: Gate) -> set[Station]:
        """Endpoints for whom two gates differ."""
        if before is after:
            return set()
        ours, theirs = before.beginning(), after.beginning()
        found = self.others(place, [*_less(theirs, ours), *_less(ours, theirs)])
        if self.gates.tables(place.station.host).mixes:
            # What the one gate has the tracker remember is what the other one is told.
            here = self._here[place.station.host]
            found |= {s for s in here if s.tenant == place.station.tenant}
        found.discard(place.station)
        return found


def astray(gate: Gate, excused: Excuse) -> list[Cube]:
    """Packets of a gate that neither go on nor are dropped as a rule says."""
    return [cube for end, cubes in gate.ends(excused) for cube in cubes]


def _asked(cube: Cube, way: Direction) -> tuple[Values | None, Cube]:
    names = HEADERS[way, "ip"], HEADERS[way, "ipv6"]
    return cube.get(PEER.field), {name: cube[name] for name in names if name in cube}


def _any_holds(wanted: Iterable[Cube], address: Address) -> bool:
    return any(
        address.field not in values or holds(values[address.field], address.value)
        for values in wanted
    )


def _less(ours: Collection[Cube], theirs: Collection[Cube]) -> list[Cube]:
    left = list(ours)
    for cube in theirs:
        left = without(left, cube)
        if not left:
            break
    return left
