# SPDX-License-Identifier: Apache-2.0
"""What units claim on bridges, kept up to date claim by claim.

Two units that claim the same key are a mistake: of a feature, or of an admission that let two
owners have one address. It never stops the others: the unit whose name sorts first holds the key,
whatever order they came in, and the clash is reported with both names.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple, cast

from vneter_sdn.compile.differences import differences
from vneter_sdn.compile.features.unit import Part
from vneter_sdn.compile.layers import Layers
from vneter_sdn.errors import PipelineError
from vneter_sdn.model.flow import BridgeState, Flow, FlowKey, Group, Meter
from vneter_sdn.model.pace import Breathe, on_and_on, paced
from vneter_sdn.model.snapshot import Key

Item = Flow | Group | Meter
_Claims = Sequence["_Claim"]
_Work = tuple[list[_Claims], list[_Claims]]
"""What units take away from one bridge, and what they add."""
_ByHosts = dict[frozenset[str], list["_Claim"]]
_CHUNK = 1 << 10
"""Claims between two breaths."""
_MANY, _MOST = 4, 8
"""So many new bridges are begun together; what no more than one in so many lacks, they share."""

_UNSAID = 1 << 10
"""Changes that a digest may be behind, besides twice what the bridge holds."""


class _Claim:
    """What a unit wants at a place, on any number of bridges."""

    __slots__ = ("_weight", "item", "place", "unit")

    def __init__(self, unit: Unit, place: Hashable, item: Item) -> None:
        self.unit, self.place, self.item = unit, place, item
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
        *("_beside", "_come", "_gone", "_layers", "_total"),
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
        self._beside: tuple[dict[int, Group], dict[int, Meter]] | None = None
        """Groups and meters of `state`; kept while none of them change."""
        self._layers = Layers(cast("dict[FlowKey, Flow]", self.flows))
        self._total = 0
        self._come: list[_Claim] = []
        self._gone: list[_Claim] = []
        """What `_total` does not say yet."""

    def copy(self) -> _Bridge:
        """Another that holds the same, of which nothing was harvested yet."""
        other = _Bridge(self.over)
        other.flows.update(self.flows)
        other.others.update(self.others)
        other.owner = self.owner.copy()
        other.contested = {place: claims.copy() for place, claims in self.contested.items()}
        other._come, other._gone = self._come.copy(), self._gone.copy()
        return other

    def held(self, place: Hashable) -> Item | None:
        """What is at a place."""
        return self._table(place).get(place)

    def _table(self, place: Hashable) -> dict[Hashable, Item]:
        return self.flows if isinstance(place, FlowKey) else self.others

    def claim(self, claims: _Claims) -> None:
        """Enter claims. Places that nobody holds, nearly all, take no call each."""
        owner, before, flows, known = self.owner, self.before, self.flows, not self.fresh
        for claim in claims:
            place, item = claim.place, claim.item
            if place in owner:
                self._contend(claim)
                continue
            owner[place] = claim.unit
            if known:
                before.setdefault(place, None)
            if item.__class__ is Flow:
                flows[place] = item
            else:
                self.others[place] = item
            self._come.append(claim)

    def _contend(self, claim: _Claim) -> None:
        """Claim a place that somebody holds."""
        unit, place = claim.unit, claim.place
        owner, contested = self.owner[place], self.contested.get(place)
        if contested is None:
            held = self._table(place)[place]
            if owner == unit:
                if held != claim.item:
                    raise PipelineError(f"{unit} claims {place} twice")
                return
            contested = self.contested[place] = {owner: _Claim(owner, place, held)}
        before = contested[owner]
        contested[unit] = claim
        self._settle(place, before)

    def yield_up(self, claims: _Claims) -> None:
        """Take claims away."""
        for claim in claims:
            unit, place = claim.unit, claim.place
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
                self._layers.note(place, cast("Flow | None", new))
            else:
                kind, number = cast("tuple[str, int]", place)
                numbers[kind].add(number)
        groups, meters = frozenset(numbers["group"]), frozenset(numbers["meter"])
        if not (flows or groups or meters):
            return None
        self.state = None
        if groups or meters:
            self._beside = None
        return BridgeDelta(frozenset(flows), groups, meters)

    def _whole(self) -> BridgeDelta | None:
        """All it holds, when it held nothing."""
        if not self.owner:
            return None
        self.state = self._beside = None
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
            if self._beside is None:
                items = self.others.values()
                groups = {i.group: i for i in items if isinstance(i, Group)}
                self._beside = groups, {i.meter: i for i in items if isinstance(i, Meter)}
            self.state = BridgeState(self._layers.frozen(), *self._beside)
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
        gone: _ByHosts = {}
        come: _ByHosts = {}
        for unit, parts in paced(changed.items(), self._breathe):
            for groups, moved in zip((gone, come), differences(*parts), strict=True):
                for part in moved:
                    groups.setdefault(part.hosts, []).extend(_claims(unit, part))
        work: dict[str, _Work] = {}
        fresh = frozenset().union(*come) - self._bridges.keys()
        if len(fresh) >= _MANY:
            work = {host: ([], []) for host in fresh}
            come = self._begin(fresh, come)
        for which, groups in enumerate((gone, come)):
            for hosts, claims in groups.items():
                for host in hosts:
                    work.setdefault(host, ([], []))[which].append(claims)
        deltas = {}
        for host, (removed, added) in work.items():  # one after the other, for the caches' sake
            delta = self._change(host, removed, added)
            if delta is not None:
                deltas[host] = delta
        return deltas

    def _begin(self, fresh: frozenset[str], come: _ByHosts) -> _ByHosts:
        """Give new bridges what nearly all of them will hold, in one go; what is left to add.

        A copy of a table takes a tenth of the time that it takes to fill it again.
        """
        shared = dict.fromkeys(h for h in come if len(fresh - h) * _MOST <= len(fresh))
        template = _Bridge(self._over)
        for claims in self._chunks(come[hosts] for hosts in shared):
            template.claim(claims)
        for host in fresh:
            bridge = self._bridges[host] = template.copy()
            for claims in self._chunks(come[hosts] for hosts in shared if host not in hosts):
                bridge.yield_up(claims)
        left = {hosts: claims for hosts, claims in come.items() if hosts not in shared}
        for hosts in shared:
            left[hosts - fresh] = [*left.get(hosts - fresh, ()), *come[hosts]]
        return left

    def _change(
        self, host: str, removed: Sequence[_Claims], added: Sequence[_Claims]
    ) -> BridgeDelta | None:
        bridge = self._bridges.setdefault(host, _Bridge(self._over))
        for claims in self._chunks(removed):
            bridge.yield_up(claims)
        for claims in self._chunks(added):
            bridge.claim(claims)
        delta = bridge.harvest()
        bridge.reckon()
        self._breathe()
        if not bridge.owner:
            del self._bridges[host]
        return delta

    def _chunks(self, groups: Iterable[_Claims]) -> Iterator[_Claims]:
        """Some claims at a time, and a breath after each."""
        for claims in groups:
            for start in range(0, len(claims), _CHUNK):
                yield claims[start : start + _CHUNK] if len(claims) > _CHUNK else claims
                self._breathe()

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


def _claims(unit: Unit, part: Part) -> list[_Claim]:
    return [_Claim(unit, place_of(item), item) for item in _items(part)]
