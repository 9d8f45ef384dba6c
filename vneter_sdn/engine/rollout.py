# SPDX-License-Identifier: Apache-2.0
"""In which order bridges learn what changed: downstream first, so that no packet meets a gap.

A forwarding tree towards one bridge is spread over many bridges, and those change one by one. A
bridge is told of its part only when all bridges that its new path crosses hold theirs; whatever it
sends then follows the new tree to the end, and whatever an untold bridge sends follows the old one
until it meets a told bridge. So there is neither loop nor gap at any moment, in whatever order the
bridges of one wave act (compare Francois and Bonaventure, "Avoiding transient loops during the
convergence of link-state routing protocols", 2007). What leads traffic onto trees comes after
them, and what nothing leads to any more goes last.

Pure: no clock, no sockets. The controller sends what `Rollout.due` yields and says what came of it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from vneter_sdn.model.flow import BridgeState, FlowKey
from vneter_sdn.reconcile.plan import Changed

K = TypeVar("K")
V = TypeVar("V")

LAST = 1 << 20
"""Rank of what leads packets onto trees; places of trees rank below, by distance, from 1 on."""
_UNUSED = LAST + 1
_UNLED = LAST + 2
PATIENCE = 1.0
"""Seconds that a wave waits for a bridge that is connected and does not answer."""

Rank = Callable[[str, Hashable], int]
"""Of a place (a flow's key, or ``("group", number)``) on a host: 0 where packets arrive,
the distance from its destination in a tree, `LAST` at the ingress."""


@dataclass(frozen=True, slots=True)
class Push:
    """What one bridge is to hold now."""

    host: str
    state: BridgeState
    epoch: int
    changed: Changed | None
    """What differs from the push before; None when that is not known."""


_Wave = Mapping[str, Changed]


def waves(
    told: Mapping[str, BridgeState],
    wanted: Mapping[str, BridgeState],
    changed: Mapping[str, Changed],
    rank: Rank,
) -> tuple[_Wave, ...]:
    """Split changes into waves, to be carried out one after the other.

    One wave, when no tree changes: then nothing depends on any order.

    Args:
        told: what each host was last told to hold.
        wanted: what it is to hold in the end.
        changed: where the two may differ.
        rank: of each place.
    """
    ranked: dict[int, dict[str, list[Hashable]]] = {}
    for host, places in changed.items():
        for place in _places(places):
            level = rank(host, place)
            if _item(wanted[host], place) is None:
                level = _UNUSED if level >= LAST else _UNLED
            ranked.setdefault(level, {}).setdefault(host, []).append(place)
    if not any(0 < level < LAST for level in ranked):
        return (dict(changed),) if changed else ()
    return tuple(
        {host: _together(places) for host, places in ranked[level].items()}
        for level in sorted(ranked)
    )


def _places(changed: Changed) -> Iterator[Hashable]:
    yield from changed.flows
    yield from (("group", number) for number in changed.groups)
    yield from (("meter", number) for number in changed.meters)


def _together(places: Iterable[Hashable]) -> Changed:
    flows: list[FlowKey] = []
    numbers: dict[str, list[int]] = {"group": [], "meter": []}
    for place in places:
        match place:
            case FlowKey():
                flows.append(place)
            case (str(kind), int(number)):
                numbers[kind].append(number)
    return Changed(frozenset(flows), frozenset(numbers["group"]), frozenset(numbers["meter"]))


def _item(state: BridgeState, place: Hashable) -> object:
    match place:
        case FlowKey():
            return state.flows.get(place)
        case ("group", int(number)):
            return state.groups.get(number)
        case ("meter", int(number)):
            return state.meters.get(number)
    raise AssertionError(place)


def advanced(told: BridgeState, wanted: BridgeState, changed: Changed) -> BridgeState:
    """What a bridge holds once some of the changes are made. O(what it holds)."""
    flows, groups, meters = dict(told.flows), dict(told.groups), dict(told.meters)
    _take_over(flows, wanted.flows, changed.flows)
    _take_over(groups, wanted.groups, changed.groups)
    _take_over(meters, wanted.meters, changed.meters)
    return BridgeState(flows, groups, meters)


def _take_over(into: dict[K, V], wanted: Mapping[K, V], keys: Iterable[K]) -> None:
    for key in keys:
        if key in wanted:
            into[key] = wanted[key]
        else:
            into.pop(key, None)


def differing(told: BridgeState, wanted: BridgeState, flows: frozenset[FlowKey]) -> Changed:
    """Where two states differ, when the flows that do are known. O(groups and meters)."""
    return Changed(
        flows, _unequal(told.groups, wanted.groups), _unequal(told.meters, wanted.meters)
    )


def _unequal(one: Mapping[int, V], other: Mapping[int, V]) -> frozenset[int]:
    return frozenset(n for n in one.keys() | other.keys() if one.get(n) != other.get(n))


class Rollout:
    """What hosts were told, what they are to be told yet, and whom we wait for."""

    def __init__(self, epoch: int = 0) -> None:
        self.epoch = epoch
        """Of the last push that is planned; grows with each."""
        self._told: dict[str, BridgeState] = {}
        self._wanted: dict[str, BridgeState] = {}
        self._left: dict[str, Changed] = {}
        """Where hosts differ yet from what is wanted."""
        self._at_once: dict[str, int] = {}
        """Hosts that were told nothing yet, and when they are."""
        self._waves: list[tuple[int, _Wave]] = []
        self._waiting: dict[str, int] = {}
        self._since: float | None = None

    def want(
        self, wanted: Mapping[str, tuple[BridgeState, frozenset[FlowKey] | None]], rank: Rank
    ) -> dict[str, int]:
        """Take in what hosts are to hold from now on; waves that were not sent yet are replanned.

        Args:
            wanted: by host, its state and the keys of flows that changed since the last call; None
                tells it everything, at once and before all others.
            rank: see `waves`.

        Returns:
            By host, the epoch at which it will hold all that is wanted.
        """
        if not wanted:
            return {}
        for host, (state, flows) in wanted.items():
            told = self._told.get(host)
            if flows is None or told is None:
                self._left.pop(host, None)
                self._wanted[host] = state
                self._told.pop(host, None)
            else:
                left = self._left.get(host, Changed())
                self._left[host] = left | differing(told, state, flows)
                self._wanted[host] = state
        self._at_once |= {h: self.epoch + 1 for h in wanted if h not in self._told}
        planned = self._planned(rank)
        self._waves = [(self.epoch + n, wave) for n, wave in enumerate(planned, 2)]
        self.epoch += 1 + len(planned)
        by_wave = {host: epoch for epoch, wave in self._waves for host in wave}
        return self._at_once | by_wave

    def _planned(self, rank: Rank) -> tuple[_Wave, ...]:
        wanted = {host: self._wanted[host] for host in self._left}
        told = {host: self._told[host] for host in self._left}
        return waves(told, wanted, self._left, rank)

    def due(self, connected: Callable[[str], bool]) -> Iterator[Push]:
        """What is to be sent now: to who knows nothing; the next wave, once nobody is waited for.

        Hosts that are not connected are told, and not waited for: what they hold, they get from the
        wanted state when they come back.
        """
        at_once, self._at_once = self._at_once, {}
        for host, epoch in sorted(at_once.items()):
            yield self._push(host, Changed(), epoch)
        while self._waves and not self._waiting:
            epoch, wave = self._waves.pop(0)
            self._since = None
            if self._waves:
                self._waiting = {host: epoch for host in wave if connected(host)}
            for host in sorted(wave):
                yield self._push(host, wave[host], epoch)

    def _push(self, host: str, changed: Changed, epoch: int) -> Push:
        wanted, told = self._wanted[host], self._told.get(host)
        if told is None:
            self._told[host] = wanted
            return Push(host, wanted, epoch, None)
        left = _without(self._left.pop(host, Changed()), changed)
        if left == Changed():
            state = wanted
        else:
            self._left[host] = left
            state = advanced(told, wanted, changed)
        self._told[host] = state
        return Push(host, state, epoch, changed)

    def settled(self, host: str, epoch: int | None = None) -> None:
        """A host confirmed an epoch; or, without one, is not to be waited for."""
        if epoch is None or epoch >= self._waiting.get(host, 0):
            self._waiting.pop(host, None)

    def forget(self, host: str) -> None:
        """A host is gone."""
        self.settled(host)
        self._told.pop(host, None)
        self._wanted.pop(host, None)
        self._left.pop(host, None)
        self._at_once.pop(host, None)
        self._waves = [
            (epoch, {h: c for h, c in wave.items() if h != host}) for epoch, wave in self._waves
        ]

    def tick(self, now: float) -> None:
        """Time passes, in seconds of any clock: nobody is waited for longer than `PATIENCE`."""
        if not self._waiting:
            self._since = None
        elif self._since is None:
            self._since = now
        elif now - self._since >= PATIENCE:
            self._waiting.clear()
            self._since = None

    @property
    def busy(self) -> bool:
        """Whether there are waves to come."""
        return bool(self._waves)


def _without(one: Changed, other: Changed) -> Changed:
    return replace(
        one,
        flows=one.flows - other.flows,
        groups=one.groups - other.groups,
        meters=one.meters - other.meters,
    )
