# SPDX-License-Identifier: Apache-2.0
"""What policies make of all packets of an endpoint, whoever is at the other end.

A gate is put together of three parts, each walked on flows once for all who share these: what is
said of connections, before it is asked who is at the other end; rules, with the identity at the
other end a field that may hold anything, so that those whom rules do not tell apart stay one set;
and what becomes of packets that a rule decided. Endpoints of whom flows say the same, but for port
and identity, have the same gate, wherever they are: that is found by comparing those flows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property, lru_cache
from typing import Any, NamedTuple

from vneter_sdn.model.fields import ETH_IP, ETH_IPV6, PROTO_ICMP, PROTO_ICMPV6, PROTO_TCP
from vneter_sdn.model.flow import Flow, Punt, SetField
from vneter_sdn.model.policy_kinds import Direction
from vneter_sdn.pipeline.registers import LOCAL, OUT_PORT, PEER, RULE, TENANT
from vneter_sdn.pipeline.tables import table
from vneter_sdn.verify.expressions import Held
from vneter_sdn.verify.forwarding import Ends, Irregular
from vneter_sdn.verify.identities import (
    FIRST,
    FLAGS,
    PEERS,
    RULED,
    STAGES_OF,
    STATE,
    TIERS,
    VERDICT,
    Known,
    PolicyTables,
)
from vneter_sdn.verify.index import BridgeIndex, TableIndex
from vneter_sdn.verify.packets import Cube, Packets, merged, overlap, width
from vneter_sdn.verify.reach import BEGINNING
from vneter_sdn.verify.state import Committed, Dropped, Punted, State
from vneter_sdn.verify.tracking import NEW, Tracking, known, starting_flags
from vneter_sdn.verify.values import Rest, Values, everything, holds, less, meet
from vneter_sdn.verify.walk import Around, Walker, all_up

THEN: dict[Direction, int] = {"egress": table("switch").id, "ingress": table("output").id}
"""Where packets go on that policies let through."""
PORT: dict[Direction, str] = {"egress": "in_port", "ingress": OUT_PORT.field}
_TOLD = frozenset((PEER.field, "ip_src", "ip_dst", "ipv6_src", "ipv6_dst"))
_TRACKED = ("ct_state", "ct_zone", "ct_mark", "ct_label")
Label = tuple[int, int, int | None]
"""Mark and label that a connection was committed with on the way, and the zone; None: in none."""
NO_LABEL: Label = (0, 0, None)
End = Dropped | Punted
_PEER_OPEN = frozenset((PEER.field,))


class Part(NamedTuple):
    """What becomes of some packets in some tables."""

    cubes: tuple[Cube, ...]
    at: int | None
    """The table that they come to; None when they end."""
    end: End | None
    held: tuple[tuple[str, int], ...]
    """What is asked of them from there on: who is here, what the tracker said, the rule."""
    label: Label = NO_LABEL
    """What the bridge remembers of them from now on."""


Parts = tuple[Part, ...]


@dataclass(frozen=True, eq=False)
class Gate:
    """What becomes of packets of an endpoint. One gate is the same object wherever it is."""

    way: Direction
    before: Parts
    """To where it is asked who is at the other end."""
    rules: Mapping[int, Parts]
    """By identity here, what rules decide."""
    after: Mapping[tuple[tuple[str, int], ...], Parts]
    """By rule and by what the tracker said, what becomes of packets then."""

    @cached_property
    def labels(self) -> tuple[Label, ...]:
        """What is remembered of IP packets that begin connections and go on."""
        found = (label for label, cube in self._passing if meet(cube.get("eth_type", _IP), _IP))
        return tuple(dict.fromkeys(found))

    @cached_property
    def _passing(self) -> list[tuple[Label, Cube]]:
        found: list[tuple[Label, Cube]] = []
        for first in self.before:
            begun = _met(first.cubes, BEGINNING)
            if first.at == THEN[self.way]:
                found += ((NO_LABEL, cube) for cube in begun)
            elif first.at == PEERS[self.way] and begun:
                found += self._decided(first, begun)
        return found

    def _decided(self, first: Part, begun: list[Cube]) -> Iterator[tuple[Label, Cube]]:
        for rule in self.rules[_local(first)]:
            if rule.at == VERDICT[self.way]:
                met = _met(begun, rule.cubes)
                for last in self.after[_asked(first, rule)] if met else ():
                    if last.at == THEN[self.way]:
                        yield from ((last.label, cube) for cube in _met(met, last.cubes))
            elif rule.at == THEN[self.way]:
                yield from ((NO_LABEL, cube) for cube in _met(begun, rule.cubes))

    def beginning(self, label: Label | None = None) -> tuple[Cube, ...]:
        """Packets that begin connections and go on; ``label``: those of whom that is remembered."""
        found = self._begun.get(label)
        if found is None:
            cubes = (cube for held, cube in self._passing if label in (None, held))
            found = self._begun[label] = tuple(merged(cubes))
        return found

    @cached_property
    def _begun(self) -> dict[Label | None, tuple[Cube, ...]]:
        return {}

    @cached_property
    def _between(self) -> dict[tuple[object, ...], Packets]:
        return {}

    def between(self, who: int, ends: Ends, label: Label | None = None) -> Packets:
        """Packets that begin connections and go on, between two addresses.

        Args:
            who: the identity that the one at the other end has.
            ends: the addresses.
            label: see `beginning`.
        """
        version, *both = ends
        names = f"{version}_src", f"{version}_dst"
        asked = [(n, v) for n, v in zip(names, both, strict=True) if n in self._named]
        place = (who, version, *asked, label)
        found = self._between.get(place)
        if found is None:
            kind = ETH_IP if version == "ip" else ETH_IPV6
            wanted = [*asked, (PEER.field, who), ("eth_type", kind)]
            cubes = [
                {n: v for n, v in cube.items() if n not in _TOLD}
                for cube in self.beginning(label)
                if all(n not in cube or holds(cube[n], value) for n, value in wanted)
            ]
            found = self._between[place] = Packets(tuple(cubes))
        return found

    @cached_property
    def _named(self) -> frozenset[str]:
        return frozenset(name for _, cube in self._passing for name in cube)

    def ends(self, excused: Callable[[End], bool]) -> Iterator[tuple[End, list[Cube]]]:
        """Packets that do not go on, though no rule says so: of all, not only of first ones."""
        for first in self.before:
            if first.end is not None and not excused(first.end):
                yield first.end, list(first.cubes)
            for rule in self.rules[_local(first)] if first.at == PEERS[self.way] else ():
                if rule.end is not None and not excused(rule.end):
                    yield rule.end, _met(first.cubes, rule.cubes)
                for last in self.after[_asked(first, rule)] if rule.at == VERDICT[self.way] else ():
                    if last.end is not None and not excused(last.end):
                        yield last.end, _met(_met(first.cubes, rule.cubes), last.cubes)


def _met(some: Iterable[Cube], others: Iterable[Cube]) -> list[Cube]:
    rest = list(others)
    both = (overlap(a, b) for a in some for b in rest)
    return [cube for cube in both if cube is not None]


def _local(part: Part) -> int:
    return next((value for name, value in part.held if name == LOCAL.field), 0)


def _asked(first: Part, rule: Part) -> tuple[tuple[str, int], ...]:
    """What the last table asks: what the tracker said, and the rule."""
    decided = next((v for n, v in rule.held if n == RULE.field), None)
    if decided is None:
        decided = next((v for n, v in first.held if n == RULE.field), 0)
    said = tuple((n, v) for n, v in first.held if n in _TRACKED)
    return (*said, (RULE.field, decided))


# ---- walking the parts

_AT = {Punt(b"comes to table %d" % number): number for number in (*RULED, *THEN.values())}
_MARKS = {number: punt for punt, number in _AT.items()}


@cache
def _marked(number: int) -> TableIndex:
    """A table that tells who comes to it."""
    return TableIndex.of([Flow(number, 1, (), (_MARKS[number],))])


class _Few(BridgeIndex):
    """Some tables of a bridge, of which packets may leave."""

    def __init__(self, tables: Mapping[int, Iterable[Flow]]) -> None:
        self.groups = {}
        self._few = {number: TableIndex.of(flows) for number, flows in tables.items()}

    def table(self, number: int) -> TableIndex:
        """One table."""
        found = self._few.get(number)
        return _marked(number) if found is None else found


def _walked(
    tables: Mapping[int, Iterable[Flow]], state: State, tracking: Tracking = NEW
) -> Iterator[Part]:
    """What becomes of packets in some tables, the first of which they come to."""
    walker = Walker(_Few(tables), Around(tracking, all_up))
    first = min(tables)
    found: dict[tuple[object, ...], list[Cube]] = {}
    ends: dict[tuple[object, ...], End] = {}
    for after in walker.table(state, first, 0):
        cubes = list(Packets(tuple(after.cubes)).existing())
        marks = [e for e in after.events if isinstance(e, Punted) and e.action in _AT]
        if len(marks) > 1:
            raise Irregular
        kept = _remembered(after) if marks else NO_LABEL
        if marks:
            number = _AT[marks[0].action]
            if number in tables or (number < first and number not in THEN.values()):
                raise Irregular
            place: tuple[object, ...] = (number, _numbers(marks[0].held), kept)
        else:
            over = [e for e in after.events if isinstance(e, Dropped | Punted)]
            end: End = over[-1] if over else Dropped("", first, "nothing", after.trail[-1].flow)
            place = (None, (), id(end))
            ends[place] = end
        found.setdefault(place, []).extend(cubes)
    for place, cubes in found.items():
        if cubes:
            at, held, kept_or = place
            last = NO_LABEL if place in ends else kept_or
            yield Part(tuple(merged(cubes)), at, ends.get(place), held, last)  # type: ignore[arg-type]


def _numbers(held: Held) -> tuple[tuple[str, int], ...]:
    found = []
    for name in (LOCAL.field, RULE.field, *_TRACKED):
        value = held.get(name)
        if value is not None:
            if not isinstance(value, int):
                raise Irregular
            found.append((name, value))
    return tuple(found)


def _remembered(state: State) -> Label:
    commits = [event for event in state.events if isinstance(event, Committed)]
    if not commits:
        return NO_LABEL
    mark, label, zone = commits[-1].mark, commits[-1].label, commits[-1].zone
    if not (isinstance(mark, int) and isinstance(label, int) and isinstance(zone, int)):
        raise Irregular
    return mark, label, zone


_SYN, _ACK = 2, 16
_IP: Values = frozenset((ETH_IP, ETH_IPV6))
_ANSWERS: tuple[Cube, ...] = (
    {"eth_type": _IP, "ip_proto": frozenset((PROTO_TCP,)), "tcp_flags": frozenset((_ACK,))},
    {
        "eth_type": frozenset((ETH_IP,)),
        "ip_proto": frozenset((PROTO_ICMP,)),
        "icmp_type": frozenset((0,)),
    },
    {
        "eth_type": frozenset((ETH_IPV6,)),
        "ip_proto": frozenset((PROTO_ICMPV6,)),
        "icmpv6_type": frozenset((129,)),
    },
    {"eth_type": _IP, "ip_proto": Rest(8, frozenset((PROTO_TCP, PROTO_ICMP, PROTO_ICMPV6)))},
)
"""What answers the first packets of connections."""


@lru_cache(maxsize=1)
def _packets() -> list[Cube]:
    """All packets, but of TCP segments one for all whose flags nobody tells apart."""
    starting = starting_flags()
    alike: dict[tuple[bool, int], int] = {}
    for flags in range(1 << width("tcp_flags")):
        alike.setdefault((flags in starting, flags & FLAGS), flags)
    chosen = frozenset((*alike.values(), _SYN))
    tcp: Values = frozenset((PROTO_TCP,))
    return [
        {"ip_proto": tcp, "tcp_flags": chosen},
        {"ip_proto": less(everything(width("ip_proto")), tcp)},
    ]


# ---- all of them

_READ = RULED - frozenset(PEERS.values())
"""Tables that gates are made of; who has which address is none of their affair."""
_MOST = 50_000
"""Parts, and gates, that are remembered."""
_Memory = dict[tuple[object, ...], tuple[Parts, tuple[object, ...]]]


class Gates:
    """Gates of all bridges, kept as long as the flows behind them are there.

    Args:
        indexes: bridges.
    """

    def __init__(self, indexes: Mapping[str, BridgeIndex]) -> None:
        self._indexes = indexes
        self._known = Known()
        self._tables: dict[str, PolicyTables] = {}
        self._places: dict[str, dict[tuple[object, ...], Gate]] = {}
        self._alike: dict[tuple[object, ...], Gate] = {}
        self._parts: _Memory = {}
        """With the flows they are of, whose identities stand for them."""

    def tables(self, host: str) -> PolicyTables:
        """Policy tables of a bridge."""
        found = self._tables.get(host)
        if found is None:
            index = self._indexes[host]
            found = self._tables[host] = PolicyTables(index, self._known)
            self._places[host] = {}
            index.watchers.append(lambda before, after: self._changed(host, before, after))
        return found

    def _changed(self, host: str, before: Flow | None, after: Flow | None) -> None:
        flow = before or after
        if flow is not None and flow.table in _READ:
            self._places[host].clear()

    def wild(self, hosts: Iterable[str]) -> bool:
        """Whether policy tables of some bridges do more than say whether packets go on."""
        return any(self.tables(host).wild for host in hosts)

    def of(
        self, host: str, way: Direction, port: int, tenant: int, label: Label = NO_LABEL
    ) -> Gate:
        """The gate of an endpoint.

        Args:
            host: whose bridge.
            way: direction.
            port: its port there.
            tenant: number of its tenant.
            label: what its connections were committed with before, on the same bridge.

        Raises:
            Irregular: flows do otherwise than a gate can say.
        """
        tables = self.tables(host)
        place = (way, port, tenant, label)
        found = self._places[host].get(place)
        if found is None:
            found = self._places[host][place] = self._gate(tables, way, (port, tenant), label)
        return found

    def _gate(
        self, tables: PolicyTables, way: Direction, whose: tuple[int, int], label: Label
    ) -> Gate:
        before = self._before(tables, way, whose, label)
        asked = [part for part in before if part.at == PEERS[way]]
        here = tables.identities(way, whose[0])
        rules = {
            who: self._rules(tables, way, who or next(iter(here)), whose[1])
            for who in ({0} if len(here) == 1 and asked else set(map(_local, asked)))
        }
        after: dict[tuple[tuple[str, int], ...], Parts] = {}
        for part in asked:
            for rule in rules[_local(part)]:
                said = _asked(part, rule)
                if rule.at == VERDICT[way] and said not in after:
                    after[said] = self._after(tables, way, said, whose[1])
        # Who is here is of no account once what rules say of them is known.
        key = (
            way,
            *((p.at, id(p.end), id(p.cubes), id(rules.get(_local(p)))) for p in before),
            frozenset((said, id(parts)) for said, parts in after.items()),
        )
        found = self._alike.get(key)
        if found is None:
            _bounded(self._alike)
            found = self._alike[key] = Gate(way, before, rules, after)
        return found

    def _before(
        self, tables: PolicyTables, way: Direction, whose: tuple[int, int], label: Label
    ) -> Parts:
        return self._begun(tables, way, whose, Tracking("new", 0, *label[:2]), _packets())

    def answers(
        self, host: str, way: Direction, port: int, tenant: int, label: Label
    ) -> Iterator[Part]:
        """What becomes of answers before any rule is asked: those that do not just go on.

        Args:
            host: whose bridge.
            way: the direction that answers go.
            port: the port of who gave them, or gets them.
            tenant: number of its tenant.
            label: what the connections were committed with there.
        """
        mark, written, zone = label
        said = NEW if zone is None else known(mark=mark, label=written, reply=True, zone=zone)
        parts = self._begun(self.tables(host), way, (port, tenant), said, _ANSWERS)
        return (part for part in parts if part.at != THEN[way])

    def _begun(
        self,
        tables: PolicyTables,
        way: Direction,
        whose: tuple[int, int],
        tracking: Tracking,
        packets: Sequence[Cube],
    ) -> Parts:
        port, tenant = whose
        first, state = tables.first(way, port), tables.state(way)
        alone = len(tables.identities(way, port)) == 1
        shape = frozenset(_renamed(flow, way, alone) for flow in first)
        key = (way, tenant, tracking, id(packets), shape, frozenset(map(id, state)))

        def walked() -> Iterator[Part]:
            held = {TENANT.field: tenant, PORT[way]: port}
            few = {FIRST[way]: first, STATE[way]: state}
            for part in _walked(few, State(packets, held), tracking):
                kept = (one for one in part.held if not alone or one[0] != LOCAL.field)
                yield part._replace(held=tuple(kept))

        return self._remember(key, walked, (*first, *state))

    def _rules(self, tables: PolicyTables, way: Direction, who: int, tenant: int) -> Parts:
        """All tables of rules, one after the other."""
        stages = [self._stage(tables, number, who, tenant) for number in STAGES_OF[way]]
        key = (way, *map(id, stages))

        def joined() -> Iterator[Part]:
            waiting: dict[int | None, list[Part]] = {
                TIERS[way]: [Part(({},), TIERS[way], None, ())]
            }
            for number, stage in zip(STAGES_OF[way], stages, strict=True):
                for before in waiting.pop(number, []):
                    for part in stage:
                        cubes = _met(before.cubes, part.cubes)
                        if cubes:
                            held = part.held or before.held
                            one = part._replace(cubes=tuple(cubes), held=held)
                            waiting.setdefault(one.at, []).append(one)
            for parts in waiting.values():
                yield from _gathered(parts)

        return self._remember(key, joined, (), tuple(stages))

    def _stage(self, tables: PolicyTables, number: int, who: int, tenant: int) -> Parts:
        key = (number, tenant, tables.about(number, who))
        found = self._parts.get(key)
        if found is not None:
            return found[0]
        flows = tables.rules(number, who)

        def walked() -> Iterator[Part]:
            held = {TENANT.field: tenant, LOCAL.field: who}
            for part in _walked({number: flows}, State([{}], held, _PEER_OPEN)):
                yield part._replace(held=tuple(h for h in part.held if h[0] == RULE.field))

        return self._remember(key, walked, flows)

    def _after(
        self,
        tables: PolicyTables,
        way: Direction,
        said: tuple[tuple[str, int], ...],
        tenant: int,
    ) -> Parts:
        flows = tables.verdicts(way, dict(said)[RULE.field])
        key = (way, tenant, said, frozenset(map(id, flows)))

        def walked() -> Iterator[Part]:
            state = State([{}], {TENANT.field: tenant, **dict(said)}, _PEER_OPEN)
            return _walked({VERDICT[way]: flows}, state)

        return self._remember(key, walked, flows)

    def _remember(
        self,
        key: tuple[object, ...],
        compute: Callable[[], Iterator[Part]],
        flows: tuple[Flow, ...],
        parts: tuple[Parts, ...] = (),
    ) -> Parts:
        found = self._parts.get(key)
        if found is None:
            _bounded(self._parts)
            found = self._parts[key] = tuple(compute()), (*flows, *parts)
        return found[0]


def _bounded(memory: dict[tuple[object, ...], Any]) -> None:
    if len(memory) > _MOST:
        memory.clear()


def _gathered(parts: Iterable[Part]) -> Iterator[Part]:
    """In as few as there are ends of them."""
    found: dict[tuple[object, ...], list[Part]] = {}
    for part in parts:
        found.setdefault((part.at, id(part.end), part.held), []).append(part)
    for some in found.values():
        cubes = merged(cube for part in some for cube in part.cubes)
        yield some[0]._replace(cubes=tuple(cubes))


def _renamed(flow: Flow, way: Direction, alone: bool) -> tuple[object, ...]:
    """A flow, whatever port it is about; and whoever is there, if there is one identity alone."""
    actions = tuple(
        replace(action, value=0)
        if alone and isinstance(action, SetField) and action.field == LOCAL.field
        else action
        for action in flow.actions
    )
    return (
        flow.priority,
        tuple(term for term in flow.match if term.field != PORT[way]),
        any(term.field == PORT[way] for term in flow.match),
        actions,
        flow.goto,
    )
