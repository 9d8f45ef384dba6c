# SPDX-License-Identifier: Apache-2.0
"""Which packets flows of policy tables can be about: those that the rules take that they are of.

A rule whose flows change is about the packets that it took, or takes now. An address that becomes
somebody else's is about the packets of that address that any rule takes which names either.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from vneter_sdn.model.flow import Action, Conjunction, Conntrack, Flow, Punt, SetField
from vneter_sdn.model.policy_kinds import Direction
from vneter_sdn.model.snapshot import Key
from vneter_sdn.pipeline.registers import LOCAL, PEER, RULE, TENANT
from vneter_sdn.pipeline.tables import table
from vneter_sdn.simulate.meaning import Station
from vneter_sdn.verify.expected import Directory
from vneter_sdn.verify.expressions import INSIDE
from vneter_sdn.verify.index import BridgeIndex, TableIndex
from vneter_sdn.verify.packets import Cube, cube_of, overlap
from vneter_sdn.verify.values import Values, holds, meet, some
from vneter_sdn.verify.written import STAGES, WAYS, PolicyView, is_clause, loaded, place_of, port_of

_FIRST: dict[int, Direction] = {table(way).id: way for way in WAYS}
_PEER: dict[int, Direction] = {table(f"{way}_peer").id: way for way in WAYS}
_STATE: dict[int, Direction] = {table(f"{way}_state").id: way for way in WAYS}
_VERDICT: dict[int, Direction] = {table(f"{way}_verdict").id: way for way in WAYS}
POLICED = frozenset((*_FIRST, *_PEER, *_STATE, *_VERDICT, *STAGES))
"""Tables that policies are asked in."""
AT: dict[Direction, int] = {"egress": table("egress").id, "ingress": table("switch").id}
"""A table of the sender's bridge behind which all policies of a direction are."""
_PORTS = (f"{name}_{end}" for name in ("tcp", "udp", "sctp") for end in ("src", "dst"))
_HEADERS = frozenset(
    (
        *("eth_type", "ip_proto", "ip_src", "ip_dst", "ipv6_src", "ipv6_dst", *_PORTS),
        *("icmp_type", "icmp_code", "icmpv6_type", "icmpv6_code"),
    )
)
"""What packets bring along unchanged, from wherever they come."""


_THEN: dict[Direction, int] = {"egress": table("switch").id, "ingress": table("output").id}
_OWN = frozenset((LOCAL.field, PEER.field, RULE.field))


class About(NamedTuple):
    """Packets of some endpoints, as they come in."""

    sources: frozenset[Key]
    packets: Cube
    at: int
    free: bool = False
    """Whether what is changed only says if packets go on, and not where."""


class Unpoliced(BridgeIndex):
    """A bridge that asks no policies: every packet goes on.

    Args:
        index: the bridge.
        told: every packet goes on twice: as it is, and as if policies had asked the tracker.
    """

    def __init__(self, index: BridgeIndex, told: bool = False) -> None:
        self.groups = index.groups
        self._index = index
        self._open = {
            table(way).id: TableIndex.of([_past(table(way).id, then, told)])
            for way, then in _THEN.items()
        }

    def table(self, number: int) -> TableIndex:
        """One table; those where policies begin lead past them."""
        return self._open.get(number) or self._index.table(number)

    def tables(self) -> tuple[int, ...]:
        """Numbers of tables that hold flows."""
        return self._index.tables()


def _past(number: int, then: int, told: bool) -> Flow:
    return Flow(number, 1, (), (Conntrack(table=then),) if told else (), then)


def is_tame(flow: Flow) -> bool:
    """Whether a flow of a policy table only says if packets go on: as the contracts have it."""
    way = _way(flow.table)
    onward = {number for number in POLICED if _way(number) == way} | {_THEN[way], None}
    return flow.goto in onward and all(_is_quiet(action, onward) for action in flow.actions)


def _way(number: int) -> Direction:
    return "egress" if number < _THEN["egress"] else "ingress"


def _is_quiet(action: Action, onward: set[int | None]) -> bool:
    match action:
        case SetField(field=name):
            return name in _OWN
        case Conntrack(table=number):
            return number in onward
        case Conjunction() | Punt():
            return True
    return False


Constants = Callable[[Station], Mapping[str, int]]


class Policed:
    """Finds out what flows of policy tables are about, in one state of the bridges.

    Args:
        indexes: bridges.
        known: who is where.
        constants: what the first table writes to packets of an endpoint.
    """

    def __init__(
        self, indexes: Mapping[str, BridgeIndex], known: Directory, constants: Constants
    ) -> None:
        self._indexes, self._known = indexes, known
        self._here: defaultdict[str, dict[int, Station]] = defaultdict(dict)
        self._tenants: defaultdict[int, set[str]] = defaultdict(set)
        """By the numbers that bridges have for somebody of theirs."""
        for station in known.stations:
            self._here[station.host][station.port] = station
            self._tenants[constants(station).get(TENANT.field, 0)].add(station.tenant)
        self._owners: dict[str, dict[int, list[Station]]] = {}

    def of(self, host: str, flow: Flow) -> Iterator[About]:
        """What one flow is about."""
        if is_tame(flow):
            for about in self._of(host, flow):
                yield about._replace(at=AT["ingress"], free=True)
        else:
            yield from self._of(host, flow)

    def _of(self, host: str, flow: Flow) -> Iterator[About]:
        view, number = self._indexes[host].policies, flow.table
        if number in _FIRST:
            yield from self._of_port(host, _FIRST[number], port_of(flow))
        elif number in _PEER:
            yield from self._of_peer(host, _PEER[number], view, flow)
        elif number in STAGES:
            for cube in _of_rule(view, flow):
                yield from self._of_cube(host, STAGES[number], view, cube)
        elif number in _VERDICT:
            yield from self._of_verdict(host, _VERDICT[number], view, flow)
        else:
            yield from self._of_cube(host, _STATE[number], view, cube_of(flow.match))

    def _of_port(self, host: str, way: Direction, port: int | None) -> Iterator[About]:
        """What a flow asks that an endpoint is behind; None: whoever is there."""
        if port is None:
            here = {station.tenant for station in self._here[host].values()}
            there = (one for name in here for one in self._known.tenants.get(name, ()))
            senders = self._here[host].values() if way == "egress" else there
            yield About(frozenset(station.key for station in senders), {}, AT[way])
        elif port in self._here[host]:
            yield from self._around(way, [self._here[host][port]], {}, None)

    def _of_peer(self, host: str, way: Direction, view: PolicyView, flow: Flow) -> Iterator[About]:
        identity, mine = loaded(flow, PEER.field), cube_of(flow.match)
        for place in view.naming(way, identity) if identity is not None else ():
            for cube in view.rule(place).packets():
                named = cube.get(PEER.field)
                if named is None or holds(named, identity or 0):
                    rest = {name: v for name, v in cube.items() if name != PEER.field}
                    both = overlap(rest, mine)
                    if both is not None:
                        yield from self._of_cube(host, way, view, both)

    def _of_verdict(
        self, host: str, way: Direction, view: PolicyView, flow: Flow
    ) -> Iterator[About]:
        """What a rule decides that has the number; nobody's number may be anybody's."""
        mine = cube_of(flow.match)
        decided = next((t.value for t in flow.match if t.field == RULE.field), 0)
        places = view.deciding(way, decided) if decided else []
        outer = {name: values for name, values in mine.items() if name not in INSIDE}
        for place in places:
            for cube in view.rule(place).packets():
                both = overlap(cube, outer)
                if both is not None:
                    yield from self._of_cube(host, way, view, both)
        if not places:
            yield from self._of_cube(host, way, view, mine)

    # ---- packets, by what policies know of them

    def _of_cube(self, host: str, way: Direction, view: PolicyView, cube: Cube) -> Iterator[About]:
        """Packets that meet a policy table of a bridge with such registers and headers."""
        number = self._number(cube)
        tenants = None if number is None else self._tenants.get(number, ())
        local = cube.get(LOCAL.field)
        known = view.identities[way]
        stations = [
            station
            for port, station in self._here[host].items()
            if (tenants is None or station.tenant in tenants)
            and (local is None or (port in known and holds(local, known[port])))
        ]
        headers = {name: values for name, values in cube.items() if name in _HEADERS}
        peers = cube.get(PEER.field)
        others: set[tuple[str, int]] | None = None
        if number is not None and isinstance(peers, frozenset) and 0 not in peers:
            each = (view.addresses(way, number, identity) for identity in peers)
            others = set().union(*each)
        if stations:
            yield from self._around(way, stations, headers, others)

    def _number(self, cube: Cube) -> int | None:
        numbers = cube.get(TENANT.field)
        return some(numbers) if numbers else None

    def _around(
        self,
        way: Direction,
        stations: list[Station],
        headers: Cube,
        others: set[tuple[str, int]] | None,
    ) -> Iterator[About]:
        """Packets between endpoints that policies are about and others: by headers and value."""
        if way == "egress":
            keys = frozenset(station.key for station in stations)
            for packets in _towards(headers, others, "dst"):
                yield About(keys, packets, AT[way])
            return
        by_tenant: defaultdict[str, list[Station]] = defaultdict(list)
        for station in stations:
            by_tenant[station.tenant].append(station)
        for tenant, targets in by_tenant.items():
            own = {
                (f"{'ip' if a.version == 4 else 'ipv6'}_dst", int(a))
                for station in targets
                for a in station.in_network
            }
            keys = self._senders(tenant, headers, others)
            for packets in _towards(headers, own, "dst"):
                yield About(keys, packets, AT[way])

    def _senders(
        self, tenant: str, headers: Cube, others: set[tuple[str, int]] | None
    ) -> frozenset[Key]:
        """Endpoints that may send from the addresses."""
        wanted = None if others is None else frozenset(value for _, value in others)
        for name in ("ip_src", "ipv6_src"):
            values = headers.get(name)
            if isinstance(values, frozenset):
                wanted = values if wanted is None else wanted & values
        if wanted is None:
            return frozenset(s.key for s in self._known.tenants.get(tenant, ()))
        owners = self._by_address(tenant)
        return frozenset(s.key for value in wanted for s in owners.get(value, ()))

    def _by_address(self, tenant: str) -> dict[int, list[Station]]:
        found = self._owners.get(tenant)
        if found is None:
            made: defaultdict[int, list[Station]] = defaultdict(list)
            for station in self._known.tenants.get(tenant, ()):
                for address in station.in_network:
                    made[int(address)].append(station)
            found = self._owners[tenant] = dict(made)
        return found


def _of_rule(view: PolicyView, flow: Flow) -> Iterator[Cube]:
    """What a rule takes by one of its flows; a clause alone would match far more."""
    rule, mine = view.rule(place_of(flow)), cube_of(flow.match)
    if not is_clause(flow):
        if "conj_id" not in mine:
            yield mine
            return
        del mine["conj_id"]
    for cube in rule.packets():
        both = overlap(cube, mine)
        if both is not None:
            yield both


def _towards(headers: Cube, others: set[tuple[str, int]] | None, end: str) -> Iterator[Cube]:
    """The headers with some addresses at one end."""
    if others is None:
        yield headers
        return
    for name in (f"ip_{end}", f"ipv6_{end}"):
        values: Values = frozenset(
            value for at, value in others if at.startswith(name.partition("_")[0] + "_")
        )
        if name in headers:
            values = meet(values, headers[name])
        if values:
            yield {**headers, name: values}
