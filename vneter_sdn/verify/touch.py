# SPDX-License-Identifier: Apache-2.0
"""Which packets a flow can be about: who may send them, and what they are when they come in.

Wider than the truth at worst, so that nothing that a change is about is left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from vneter_sdn.model.flow import CheckLength, Conntrack, Copy, DecTtl, Flow, SetField
from vneter_sdn.model.snapshot import Key
from vneter_sdn.pipeline.registers import NETWORK, TENANT
from vneter_sdn.pipeline.tables import BY_ID, table
from vneter_sdn.simulate.meaning import Station
from vneter_sdn.verify.expected import Directory
from vneter_sdn.verify.expressions import INSIDE
from vneter_sdn.verify.index import KNOWN, BridgeIndex
from vneter_sdn.verify.packets import Cube, width
from vneter_sdn.verify.policed import POLICED, Policed
from vneter_sdn.verify.values import Values, masked

_CLASSIFY, _ARRIVAL, _DELIVER = (table(n).id for n in ("classify", "arrival", "deliver"))
_TRANSIT, _SWITCH, _ROUTE = table("transit").id, table("switch").id, table("route").id
_COMPLAINTS, _COMPLAIN = table("complaints").id, table("complain").id
_TO_GATEWAYS = frozenset((table("size").id, _ROUTE, _COMPLAINTS))
"""Where `switch` leads what is for a gateway's MAC."""
_WHOLE = (1 << 48) - 1
_UNKNOWN: frozenset[int] = frozenset((-1,))
_EVERYBODYS = frozenset(table(n).id for n in ("entry", "classify"))
"""Tables that all packets come to; those of endpoints by ports that say whose they are."""
_UNCHANGED = frozenset(("eth_type", "ip_proto", "vlan_vid"))
"""Fields that no bridge writes to."""
_FROM_OTHERS = frozenset(
    table(n).id
    for n in ("arrival", "deliver", "remember", "follow", "transit", "output", "answers")
)
"""Tables that packets of other bridges come to as well."""
_TRACKED = frozenset(("ct_state", "ct_zone", "ct_mark", "ct_label"))
"""What the connection tracker writes."""
_WRITERS = {table("switch").id: NETWORK.field, table("route").id: TENANT.field}
"""Where locators are written, and the register that says for whom."""
Locators = tuple[int, int]
"""Locators by value and mask."""


class Touch(NamedTuple):
    """Packets of endpoints that a change may be about."""

    sources: frozenset[Key]
    packets: Cube
    """By what they are when they come in."""
    at: int = 0
    """The table of their bridge behind which the change is."""
    free: bool = False
    """Whether it is about if packets go on, and not where: see `policed`."""


class Origins:
    """Fields that somebody may have written by the time packets come to a table.

    What the first table writes does not count: it says whose packets they are.
    """

    def __init__(self, flows: Iterable[Flow]) -> None:
        self._edges: dict[tuple[int, int], set[str]] = {}
        self._before: dict[int, frozenset[str]] | None = None
        self.add(flows)

    def add(self, flows: Iterable[Flow]) -> None:
        """Take in flows."""
        for flow in flows:
            if flow.table != _CLASSIFY and (flow.goto is not None or flow.actions):
                self._add(flow)

    def _add(self, flow: Flow) -> None:
        onward: list[tuple[int, frozenset[str]]] = []
        if flow.goto is not None:
            onward.append((flow.goto, frozenset()))
        written: set[str] = set()
        for action in flow.actions:
            match action:
                case SetField(field=name) | Copy(target=name) | CheckLength(field=name):
                    written.add(name)
                case DecTtl():
                    written.add("ip_ttl")
                case Conntrack(table=int(number)):
                    onward.append((number, _TRACKED))
        for number, told in onward:
            held = self._edges.setdefault((flow.table, number), set())
            if not written | told <= held or self._before is None:
                held |= written | told
                self._before = None

    def before(self, number: int) -> frozenset[str]:
        """What may have been written before a table, on its own bridge."""
        if self._before is None:
            self._before = self._closed()
        return self._before.get(number, frozenset())

    def _closed(self) -> dict[int, frozenset[str]]:
        found: defaultdict[int, frozenset[str]] = defaultdict(frozenset)
        while True:
            changed = False
            for (source, target), written in self._edges.items():
                more = found[target] | found[source] | written
                changed = changed or more != found[target]
                found[target] = more
            if not changed:
                return dict(found)


class Touching:
    """Finds out what flows are about, in one state of the bridges.

    Args:
        indexes: bridges.
        known: who is where.
        origins: what is written where.
        links: ports of a host that lead to others.
        locators: those found before.
    """

    def __init__(
        self,
        indexes: Mapping[str, BridgeIndex],
        known: Directory,
        origins: Origins,
        links: Callable[[str], frozenset[int]],
        locators: Iterable[Locators] = (),
    ) -> None:
        self.indexes = indexes
        self.known = known
        self.origins = origins
        self.links = links
        self.locators: set[Locators] = set(locators)
        """Of transit flows that were asked about."""
        self._constants: dict[str, dict[int, dict[str, int]]] = {}
        self._gates: dict[tuple[str, int], frozenset[int] | None] = {}
        self._hosts: defaultdict[str, list[Station]] = defaultdict(list)
        for station in known.stations:
            self._hosts[station.host].append(station)
        self._policed = Policed(indexes, known, self.constants)

    def all(self, flows: Iterable[tuple[str, Flow]]) -> list[Touch]:
        """What flows of bridges are about; of transit flows, `locators` remembers it."""
        found: set[tuple[frozenset[Key], frozenset[tuple[str, Values]], int, bool]] = set()
        for host, flow in flows:
            for touch in self.of(host, flow):
                if touch.sources:
                    found.add(
                        (touch.sources, frozenset(touch.packets.items()), touch.at, touch.free)
                    )
        return [Touch(sources, dict(packets), at, free) for sources, packets, at, free in found]

    def of(self, host: str, flow: Flow) -> Iterator[Touch]:
        """What one flow is about."""
        number = flow.table
        if number in POLICED:
            yield from (Touch(*about) for about in self._policed.of(host, flow))
        elif number == _TRANSIT and [term.field for term in flow.match] == ["eth_dst"]:
            self.locators.add(flow.match[0][1:])
        elif number == _ARRIVAL:
            yield from self._arriving(flow)
        elif number in (_DELIVER, _COMPLAIN) or self._is_of_strangers(host, flow):
            yield from self._routed(self._tenants_of(flow), self._headers(flow))
        elif number in _FROM_OTHERS or number not in BY_ID:
            yield Touch(frozenset(self.known.meaning.stations), {})
        else:
            yield from self._local(host, flow)

    def _is_of_strangers(self, host: str, flow: Flow) -> bool:
        """Whether it is of complaints, and about packets that did not start at its bridge."""
        ports = {term.value for term in flow.match if term.field == "in_port"}
        return flow.table == _COMPLAINTS and (not ports or bool(ports & self.links(host)))

    def towards(self, locators: Iterable[Locators]) -> list[Touch]:
        """Packets that locators are written to: all of tenants that have somebody there."""
        numbers = {value >> 24 & 0xFFFF for value, _ in locators}
        found = []
        for host in self.known.whose:
            there = self._bridge(host.host) & numbers if numbers else ()
            if there:
                found.append(self.known.whose[host].tenant)
        keys = frozenset(s.key for name in set(found) for s in self.known.tenants[name])
        return [Touch(keys, {})] if keys else []

    def _bridge(self, host: str) -> set[int]:
        """Bridge ids that a host's own locators have."""
        flows = self.indexes[host].table(_ARRIVAL).flows if host in self.indexes else ()
        terms = (term for flow in flows for term in flow.match if term.field == "eth_dst")
        first = next(terms, None)
        return set() if first is None else {first.value >> 24 & 0xFFFF}

    def _local(self, host: str, flow: Flow) -> Iterator[Touch]:
        """A flow that endpoints' packets come to on their own bridge alone."""
        written = self.origins.before(flow.table)
        trusted = [t for t in flow.match if t.field in INSIDE and t.field not in written]
        ports = [t.value for t in flow.match if t.field == "in_port"]
        if flow.table in _EVERYBODYS and (not ports or self.links(host) & frozenset(ports)):
            kept = {n: values for n, values in self._headers(flow).items() if n in _UNCHANGED}
            yield Touch(frozenset(self.known.meaning.stations), kept)
            return
        sources = set()
        for station in self._hosts.get(host, ()):
            held = self._classified(host).get(station.port, {})
            if ports and station.port not in ports:
                continue
            if flow.table == _CLASSIFY or all(
                held.get(t.field, 0) & t.mask == t.value for t in trusted
            ):
                sources.add(station.key)
        if flow.table == _ROUTE:
            yield from self._routed(frozenset(sources), self._headers(flow))
        else:
            yield Touch(frozenset(sources), self._headers(flow), flow.table)

    def _routed(self, sources: frozenset[Key], headers: Cube) -> Iterator[Touch]:
        """Packets that are routed where they start: those for MACs that lead to the routes."""
        gates: defaultdict[frozenset[int] | None, set[Key]] = defaultdict(set)
        for key in sources:
            station = self.known.meaning.stations[key]
            vni = self.constants(station).get(NETWORK.field, 0) & NETWORK.mask
            gates[self._gate(station.host, vni)].add(key)
        for macs, keys in gates.items():
            if macs is None:
                yield Touch(frozenset(keys), headers, _ROUTE)
            elif macs:
                yield Touch(frozenset(keys), {"eth_dst": macs, **headers}, _ROUTE)

    def _gate(self, host: str, vni: int) -> frozenset[int] | None:
        """MACs whose packets go on to be routed; None for any."""
        found = self._gates.get((host, vni), _UNKNOWN)
        if found is _UNKNOWN:
            index = self.indexes[host]
            terms = [
                next((t for t in flow.match if t.field == "eth_dst"), None)
                for flow in _allowed(index, _SWITCH, NETWORK.field, vni)
                if flow.goto in _TO_GATEWAYS
            ]
            whole = all(t is not None and t.mask == _WHOLE for t in terms)
            found = frozenset(t.value for t in terms if t is not None) if whole else None
            self._gates[host, vni] = found
        return found

    def constants(self, station: Station) -> Mapping[str, int]:
        """What the first table writes to packets of an endpoint."""
        return self._classified(station.host).get(station.port, {})

    def _headers(self, flow: Flow) -> Cube:
        """What packets are when they come in, of what a flow matches."""
        written = self.origins.before(flow.table)
        return {
            term.field: masked(width(term.field), term.value, term.mask)
            for term in flow.match
            if term.field not in written
            and term.field not in INSIDE
            and term.field not in ("in_port", "tun_id")
        }

    def _classified(self, host: str) -> Mapping[int, dict[str, int]]:
        """What the first table writes, by port."""
        found = self._constants.get(host)
        if found is None:
            found = self._constants[host] = {}
            for flow in self.indexes[host].table(_CLASSIFY).flows if host in self.indexes else ():
                for term in flow.match:
                    if term.field == "in_port":
                        held = found.setdefault(term.value, {})
                        for action in flow.actions:
                            if isinstance(action, SetField):
                                held[action.field] = held.get(action.field, 0) | action.value
        return found

    def _tenants_of(self, flow: Flow) -> frozenset[Key]:
        """Endpoints of tenants whose packets a flow of arriving packets takes."""
        vnis = {t.value for t in flow.match if t.field == NETWORK.field} - {0}
        vnis |= {a.value for a in _sets(flow, NETWORK.field)}
        if not vnis:
            return frozenset(self.known.meaning.stations)
        tenants = set()
        for station in self.known.stations:
            held = self._classified(station.host).get(station.port, {})
            if held.get(NETWORK.field, 0) in vnis:
                tenants.add(station.tenant)
        return frozenset(s.key for name in tenants for s in self.known.tenants[name])

    def _arriving(self, flow: Flow) -> Iterator[Touch]:
        """By whoever writes the locators that it matches."""
        wanted = [term for term in flow.match if term.field == "eth_dst"]
        values = {a.value for a in _sets(flow, NETWORK.field)}
        tenants = {a.value for a in _sets(flow, TENANT.field)}
        if not wanted or len(values) != 1 or len(tenants) != 1:
            yield Touch(frozenset(self.known.meaning.stations), {})
            return
        whose = {NETWORK.field: next(iter(values)), TENANT.field: next(iter(tenants))}
        for host, index in self.indexes.items():
            for number, register in _WRITERS.items():
                for writer in _allowed(index, number, register, whose[register]):
                    for action in _sets(writer, "eth_dst"):
                        if action.value & wanted[0].mask == wanted[0].value:
                            yield from self._local(host, writer)


def _sets(flow: Flow, name: str) -> Iterator[SetField]:
    return (a for a in flow.actions if isinstance(a, SetField) and a.field == name)


def _allowed(index: BridgeIndex, number: int, register: str, value: int) -> Iterator[Flow]:
    """Flows of a table that a register's value allows."""
    for shape in index.table(number).shapes:
        pattern = tuple(KNOWN if name == register else "i" for name, _ in shape.terms)
        known = tuple(value & mask for name, mask in shape.terms if name == register)
        for block in shape.blocks(pattern, known):
            for hit in block.hits:
                yield from hit.flows
