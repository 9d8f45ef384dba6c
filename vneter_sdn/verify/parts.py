# SPDX-License-Identifier: Apache-2.0
"""What becomes of packets in some tables of policies, walked on flows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache, lru_cache
from typing import NamedTuple

from vneter_sdn.model.fields import ETH_IP, ETH_IPV6, PROTO_ICMP, PROTO_ICMPV6, PROTO_TCP
from vneter_sdn.model.flow import Flow, Punt
from vneter_sdn.model.policy_kinds import Direction
from vneter_sdn.pipeline.registers import LOCAL, OUT_PORT, RULE
from vneter_sdn.pipeline.tables import table
from vneter_sdn.verify.expressions import Held
from vneter_sdn.verify.facts import FLAGS, PEERS, RULED, STAGES_OF, TIERS, VERDICT
from vneter_sdn.verify.forwarding import Irregular
from vneter_sdn.verify.index import BridgeIndex, TableIndex
from vneter_sdn.verify.packets import Cube, Packets, merged, overlap, width
from vneter_sdn.verify.reach import BEGINNING
from vneter_sdn.verify.state import Committed, Dropped, Punted, State
from vneter_sdn.verify.tracking import NEW, Tracking, starting_flags
from vneter_sdn.verify.values import Rest, Values, everything, less
from vneter_sdn.verify.walk import Around, Walker, all_up

THEN: dict[Direction, int] = {"egress": table("switch").id, "ingress": table("output").id}
"""Where packets go on that policies let through."""
PORT: dict[Direction, str] = {"egress": "in_port", "ingress": OUT_PORT.field}
_TRACKED = ("ct_state", "ct_zone", "ct_mark", "ct_label")
Label = tuple[int, int, int | None]
"""Mark and label that a connection was committed with on the way, and the zone; None: in none."""
NO_LABEL: Label = (0, 0, None)
End = Dropped | Punted


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
Said = tuple[tuple[str, int], ...]
"""What the tracker said of packets, and the number of the rule that decided."""
Stages = Mapping[int, tuple[Parts, ...]]
"""By identity here (0: whose does not matter), what each table of rules does, one after another."""


def met(some: Iterable[Cube], others: Iterable[Cube]) -> list[Cube]:
    """What is in both."""
    rest = list(others)
    both = (overlap(a, b) for a in some for b in rest)
    return [cube for cube in both if cube is not None]


def local(part: Part) -> int:
    """The identity of who is here, where a part says so."""
    return next((value for name, value in part.held if name == LOCAL.field), 0)


def asked(first: Part, rule: Part) -> Said:
    """What the last table asks: what the tracker said, and the rule."""
    decided = next((v for n, v in rule.held if n == RULE.field), None)
    return said(first, decided)


def said(first: Part, rule: int | None) -> Said:
    """The same, of a rule; None: of what was written before any rule was asked."""
    if rule is None:
        rule = next((v for n, v in first.held if n == RULE.field), 0)
    return (*((n, v) for n, v in first.held if n in _TRACKED), (RULE.field, rule))


# ---- putting parts together


def joined(way: Direction, stages: Iterable[Parts]) -> Parts:
    """All tables of rules, one after the other."""
    waiting: dict[int | None, list[Part]] = {TIERS[way]: [Part(({},), TIERS[way], None, ())]}
    for number, stage in zip(STAGES_OF[way], stages, strict=True):
        for before in waiting.pop(number, []):
            for part in stage:
                cubes = met(before.cubes, part.cubes)
                if cubes:
                    held = part.held or before.held
                    one = part._replace(cubes=tuple(cubes), held=held)
                    waiting.setdefault(one.at, []).append(one)
    return tuple(part for parts in waiting.values() for part in _gathered(parts))


def _gathered(parts: Iterable[Part]) -> Iterator[Part]:
    """In as few as there are ends of them."""
    found: dict[tuple[object, ...], list[Part]] = {}
    for part in parts:
        found.setdefault((part.at, id(part.end), part.held), []).append(part)
    for some in found.values():
        cubes = merged(cube for part in some for cube in part.cubes)
        yield some[0]._replace(cubes=tuple(cubes))


def begun(
    way: Direction, before: Parts, rules: Mapping[int, Parts]
) -> Iterator[tuple[Said | None, list[Cube]]]:
    """Packets that begin connections, as they come to the last table; None: as they go on."""
    for first in before:
        cubes = met(first.cubes, BEGINNING)
        if cubes and first.at == THEN[way]:
            yield None, cubes
        for rule in rules[local(first)] if cubes and first.at == PEERS[way] else ():
            both = met(cubes, rule.cubes)
            if both and rule.at == VERDICT[way]:
                yield asked(first, rule), both
            elif both and rule.at == THEN[way]:
                yield None, both


def passed(
    way: Direction,
    begins: Iterable[tuple[Said | None, list[Cube]]],
    after: Mapping[Said, Parts],
) -> Iterator[tuple[Label, Cube]]:
    """Those that go on, and what is remembered of them."""
    for what, cubes in begins:
        if what is None:
            yield from ((NO_LABEL, cube) for cube in cubes)
        for last in after[what] if what is not None else ():
            if last.at == THEN[way]:
                yield from ((last.label, cube) for cube in met(cubes, last.cubes))


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


def walked(
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
ANY_IP: Values = frozenset((ETH_IP, ETH_IPV6))
ANSWERS: tuple[Cube, ...] = (
    {"eth_type": ANY_IP, "ip_proto": frozenset((PROTO_TCP,)), "tcp_flags": frozenset((_ACK,))},
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
    {"eth_type": ANY_IP, "ip_proto": Rest(8, frozenset((PROTO_TCP, PROTO_ICMP, PROTO_ICMPV6)))},
)
"""What answers the first packets of connections."""
LATER: tuple[Cube, ...] = (
    ANSWERS[0],
    {**ANSWERS[1], "icmp_type": frozenset((8,))},
    {**ANSWERS[2], "icmpv6_type": frozenset((128,))},
    ANSWERS[3],
)
"""What follows them."""


class Kept(NamedTuple):
    """Packets that begin connections and go on, and what is remembered of them."""

    rule: int | None
    """That let them; None where none was asked."""
    label: Label
    cubes: tuple[Cube, ...]

    def go_on(self, cubes: Iterable[Cube]) -> bool:
        """Whether any of these follow them: they are alike but for the flags of TCP."""
        alike = ({n: v for n, v in cube.items() if n != "tcp_flags"} for cube in self.cubes)
        return bool(met(alike, cubes))


@lru_cache(maxsize=1)
def all_packets() -> list[Cube]:
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
