# SPDX-License-Identifier: Apache-2.0
"""What units claim on bridges, kept up to date claim by claim.

Two units that claim the same key are a mistake: of a feature, or of an admission that let two
owners have one address. It never stops the others: the unit whose name sorts first holds the key,
whatever order they came in, and the clash is reported with both names.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import NamedTuple, cast

from vneter_sdn.compile.features.unit import Part
from vneter_sdn.errors import PipelineError
from vneter_sdn.model.flow import BridgeState, Flow, FlowKey, Group, Meter
from vneter_sdn.model.pace import Breathe, on_and_on, paced
from vneter_sdn.model.snapshot import Key

Item = Flow | Group | Meter
_Claims = tuple["Unit", Sequence["_Claim"]]
_Work = tuple[list[_Claims], list[_Claims]]
"""What units take away from one bridge, and what they add."""


_UNSAID = 1 << 10
"""Changes that a digest may be behind, besides twice what the bridge holds."""


class _Claim:
    """What is to be at a place, on any number of bridges."""

    __slots__ = ("_weight", "item", "place")

    def __init__(self, place: Hashable, item: Item) -> None:
        self.place, self.item = place, item
        self._weight: int | None = None

    @property
    def weight(self) -> int:
        """`weight` of the item, worked out once, and not before somebody wants a digest."""
        if self._weight is None:
            self._weight = weight(self.item)
        return self._weight


class Unit(NamedTuple):
    """Feature and kind of subject, and the subject."""

    name: str
    subject: Key

    def __str__(self) -> str:
        return f"{self.name} of {self.subject}"


@dataclass(frozen=True, slots=True)
class Clash:
    """Units that claim the same place on one bridge; the first one has it."""

    host: str
    place: Hashable
    units: tuple[Unit, ...]

    def __str__(self) -> str:
        return f"{self.host}: {' and '.join(map(str, self.units))} both claim {self.place}"


@dataclass(frozen=True, slots=True)
class BridgeDelta:
    """What changed on one bridge."""

    flows: frozenset[FlowKey] = frozenset()
    groups: frozenset[int] = frozenset()
    meters: frozenset[int] = frozenset()
    rows: bool = False


def place_of(item: Item) -> Hashable:
    """What makes an item unique on a bridge: a flow's key, or (kind, number)."""
    match item:
        case Flow():
            return item.key
        case Group():
            return ("group", item.group)
        case Meter():
            return ("meter", item.meter)


def weight(item: Item) -> int:
    """A 128-bit hash of an item; those of a bridge are summed to its digest."""
    return int.from_bytes(blake2b(repr(item).encode(), digest_size=16).digest(), "big")


def digest_text(total: int) -> str:
    """The digest as 32 hexadecimal digits."""
    return f"{total % (1 << 128):032x}"


def digest(state: BridgeState) -> str:
    """A digest of everything a bridge holds, independent of order. O(flows)."""
    items: list[Item] = [*state.flows.values(), *state.groups.values(), *state.meters.values()]
    return digest_text(sum(weight(item) for item in items))


class _Bridge:
    """One bridge: who holds what. Units of the names in ``over`` go before others."""

    __slots__ = (
        *("before", "contested", "flows", "fresh", "others", "over", "owner", "state"),
        *("_come", "_gone", "_total"),
    )

    def __init__(self, over: Collection[str]) -> None:
        self.over = over
        self.flows: dict[Hashable, Item] = {}
        self.others: dict[Hashable, Item] = {}
        self.owner: dict[Hashable, Unit] = {}
        self.contested: dict[Hashable, dict[Unit, _Claim]] = {}
        """Places that several claim: by unit, what is to be there."""
        self.fresh = True
        """Whether nothing was harvested yet, so that all there is will be new."""
        self.before: dict[Hashable, Item | None] = {}
        """Places written since the last harvest, and what they held then; unless it is fresh."""
        self.state: BridgeState | None = None
        self._total = 0
        self._come: list[_Claim] = []
        self._gone: list[_Claim] = []
        """What `_total` does not say yet."""

    def held(self, place: Hashable) -> Item | None:
        """What is at a place."""
        return self._table(place).get(place)

    def _table(self, place: Hashable) -> dict[Hashable, Item]:
        return self.flows if isinstance(place, FlowKey) else self.others

    def claim(self, unit: Unit, claims: Sequence[_Claim]) -> None:
        """Enter claims of one unit. Places that nobody holds, nearly all, take no call each."""
        owner, before, flows, known = self.owner, self.before, self.flows, not self.fresh
        for claim in claims:
            place, item = claim.place, claim.item
            if place in owner:
                self._contend(unit, claim)
                continue
            owner[place] = unit
            if known:
                before.setdefault(place, None)
            if item.__class__ is Flow:
                flows[place] = item
            else:
                self.others[place] = item
            self._come.append(claim)

    def _contend(self, unit: Unit, claim: _Claim) -> None:
        """Claim a place that somebody holds."""
        place = claim.place
        owner, contested = self.owner[place], self.contested.get(place)
        if contested is None:
            held = self._table(place)[place]
            if owner == unit:
                if held != claim.item:
                    raise PipelineError(f"{unit} claims {place} twice")
                return
            contested = self.contested[place] = {owner: _Claim(place, held)}
        before = contested[owner]
        contested[unit] = claim
        self._settle(place, before)

    def yield_up(self, unit: Unit, claims: Sequence[_Claim]) -> None:
        """Take claims of one unit away."""
        for claim in claims:
            place = claim.place
            contested = self.contested.get(place)
            if contested is not None:
                before = contested[self.owner[place]]
                contested.pop(unit, None)
                self._settle(place, before)
            elif self.owner.get(place) == unit:
                del self.owner[place]
                self._write(place, None)
                self._gone.append(claim)

    def _settle(self, place: Hashable, before: _Claim) -> None:
        """Give a place to the first of those that claim it, in place of what was there."""
        claims = self.contested[place]
        unit = min(claims, key=self.turn)
        if (claim := claims[unit]) is not before:
            self._come.append(claim)
            self._gone.append(before)
            self._write(place, claim.item)
        self.owner[place] = unit
        if len(claims) == 1:
            del self.contested[place]

    def turn(self, unit: Unit) -> tuple[bool, Unit]:
        """What units that claim one place are ordered by."""
        return unit.name not in self.over, unit

    def _write(self, place: Hashable, item: Item | None) -> None:
        table = self._table(place)
        if not self.fresh:
            self.before.setdefault(place, table.get(place))
        if item is None:
            del table[place]
        else:
            table[place] = item

    def harvest(self) -> BridgeDelta | None:
        """What differs from the last harvest."""
        if self.fresh:
            self.fresh = False
            return self._whole()
        before, self.before = self.before, {}
        flows: set[FlowKey] = set()
        numbers: dict[str, set[int]] = {"group": set(), "meter": set()}
        for place, old in before.items():
            new = self._table(place).get(place)
            if new is old or (new is not None and old is not None and new == old):
                continue
            if isinstance(place, FlowKey):
                flows.add(place)
            else:
                kind, number = cast("tuple[str, int]", place)
                numbers[kind].add(number)
        if not flows and not any(numbers.values()):
            return None
        self.state = None
        groups, meters = frozenset(numbers["group"]), frozenset(numbers["meter"])
        return BridgeDelta(frozenset(flows), groups, meters)

    def _whole(self) -> BridgeDelta | None:
        """All it holds, when it held nothing."""
        if not self.owner:
            return None
        self.state = None
        held = self.frozen()
        flows, groups, meters = held.flows, held.groups, held.meters
        return BridgeDelta(frozenset(flows), frozenset(groups), frozenset(meters))

    def total(self, breathe: Breathe = on_and_on) -> int:
        """The sum of the weights of what it holds. O(what changed since it was asked for)."""
        self._total += sum(claim.weight for claim in paced(self._come, breathe))
        self._total -= sum(claim.weight for claim in paced(self._gone, breathe))
        self._come, self._gone = [], []
        return self._total

    def reckon(self) -> None:
        """Work the total out that nobody asks for, so that what it does not say stays little."""
        if len(self._come) + len(self._gone) > _UNSAID + 2 * len(self.owner):
            self.total()

    def frozen(self) -> BridgeState:
        if self.state is None:
            items = self.others.values()
            self.state = BridgeState(
                cast("dict[FlowKey, Flow]", self.flows.copy()),
                {i.group: i for i in items if isinstance(i, Group)},
                {i.meter: i for i in items if isinstance(i, Meter)},
            )
        return self.state


def _items(part: Part) -> Iterator[Item]:
    yield from part.flows
    yield from part.groups
    yield from part.meters


Changed = Mapping[Unit, tuple[tuple[Part, ...], tuple[Part, ...]]]


class Bridges:
    """All bridges. O(items that change, times bridges that hold them) per update.

    Args:
        breathe: called between steps.
        over: names of units whose claims replace those of others, which is no clash.
    """

    def __init__(self, breathe: Breathe = on_and_on, over: Collection[str] = ()) -> None:
        self._breathe = breathe
        self._over = over
        self._bridges: dict[str, _Bridge] = {}

    def apply(self, changed: Changed) -> dict[str, BridgeDelta]:
        """Replace parts of units by others; returns what differs, by host.

        Raises:
            PipelineError: one unit claims a key twice, with different meanings.
        """
        work: dict[str, _Work] = {}
        for unit, parts in paced(changed.items(), self._breathe):
            for which, moved in enumerate(_differences(*parts)):
                for part in moved:
                    claims = _claims(part)
                    for host in part.hosts:
                        work.setdefault(host, ([], []))[which].append((unit, claims))
        deltas = {}
        for host, (removed, added) in work.items():  # one after the other, for the caches' sake
            delta = self._change(host, removed, added)
            if delta is not None:
                deltas[host] = delta
        return deltas

    def _change(
        self, host: str, removed: Sequence[_Claims], added: Sequence[_Claims]
    ) -> BridgeDelta | None:
        bridge = self._bridges.setdefault(host, _Bridge(self._over))
        for unit, claims in paced(removed, self._breathe):
            bridge.yield_up(unit, claims)
        for unit, claims in paced(added, self._breathe):
            bridge.claim(unit, claims)
        delta = bridge.harvest()
        bridge.reckon()
        self._breathe()
        if not bridge.owner:
            del self._bridges[host]
        return delta

    def state(self, host: str) -> BridgeState:
        """What a bridge holds."""
        bridge = self._bridges.get(host)
        return BridgeState() if bridge is None else bridge.frozen()

    def digest(self, host: str) -> str:
        """`digest` of its state, in O(what changed since it was asked for)."""
        bridge = self._bridges.get(host)
        return digest_text(0 if bridge is None else bridge.total(self._breathe))

    def hosts(self) -> tuple[str, ...]:
        """Hosts whose bridge holds something, sorted."""
        return tuple(sorted(self._bridges))

    def clashes(self) -> tuple[Clash, ...]:
        """Every place that more than one unit claims."""
        return tuple(
            Clash(host, place, tuple(sorted(claims)))
            for host, bridge in sorted(self._bridges.items())
            for place, claims in bridge.contested.items()
            if sum(unit.name not in self._over for unit in claims) > 1
        )

    def owner(self, host: str, key: FlowKey) -> Unit | None:
        """The unit that a flow on a bridge comes from."""
        bridge = self._bridges.get(host)
        return None if bridge is None else bridge.owner.get(key)


def _differences(
    before: tuple[Part, ...], after: tuple[Part, ...]
) -> tuple[list[Part], list[Part]]:
    """What to take away and what to add: of a part that only spread or shrank, just those hosts.

    A unit claims a place on a bridge in one part only; a second, equal claim would be taken away
    with the first.
    """
    if not before or not after:
        return list(before), list(after)
    held: dict[Hashable, list[Part]] = {}
    for part in before:
        held.setdefault(_sketch(part), []).append(part)
    removed, added = [], []
    for part in after:
        alike = held.get(_sketch(part), [])
        old = next((one for one in alike if _content(one) == _content(part)), None)
        if old is None:
            added.append(part)
            continue
        alike.remove(old)
        removed.append(replace(old, hosts=old.hosts - part.hosts))
        added.append(replace(part, hosts=part.hosts - old.hosts))
    removed += [part for rest in held.values() for part in rest]
    return _trimmed([p for p in removed if p.hosts], [p for p in added if p.hosts])


def _trimmed(removed: list[Part], added: list[Part]) -> tuple[list[Part], list[Part]]:
    """Without flows that go and come on the same hosts: a part of thousands may differ in one.

    Only the very same objects count (see `features.unit.Writer.again`): to compare flows takes
    longer than to put them where they were.
    """
    going, coming = _by_hosts(removed), _by_hosts(added)
    for hosts in going.keys() & coming.keys():
        old = {id(flow) for part in going[hosts] for flow in part.flows}
        both = old.intersection(id(flow) for part in coming[hosts] for flow in part.flows)
        if both:
            for parts in (going[hosts], coming[hosts]):
                parts[:] = [_without(part, both) for part in parts]
    return [p for ps in going.values() for p in ps], [p for ps in coming.values() for p in ps]


def _by_hosts(parts: list[Part]) -> dict[frozenset[str], list[Part]]:
    found: dict[frozenset[str], list[Part]] = {}
    for part in parts:
        found.setdefault(part.hosts, []).append(part)
    return found


def _without(part: Part, flows: set[int]) -> Part:
    return replace(part, flows=tuple(flow for flow in part.flows if id(flow) not in flows))


def _content(part: Part) -> tuple[object, ...]:
    return part.flows, part.groups, part.meters


def _sketch(part: Part) -> Hashable:
    """Equal for equal contents, and cheap: hashing whole flows costs more than comparing a few.

    Of parts that differ in their groups alone, as those of a tree do, there may be hundreds.
    """
    first = part.groups[0] if part.groups else None
    return len(part.flows), part.flows[0].match if part.flows else None, first


def _claims(part: Part) -> list[_Claim]:
    return [_Claim(place_of(item), item) for item in _items(part)]
