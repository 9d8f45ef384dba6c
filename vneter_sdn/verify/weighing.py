# SPDX-License-Identifier: Apache-2.0
"""A change of policies, before and after: which pairs it is about, and what these gain and lose."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from vneter_sdn.model.fields import ETH_IP, ETH_IPV6
from vneter_sdn.model.snapshot import Key
from vneter_sdn.simulate.meaning import Station
from vneter_sdn.verify.checks import Excuse
from vneter_sdn.verify.forwarding import Irregular
from vneter_sdn.verify.gate import Gate
from vneter_sdn.verify.index import BridgeIndex
from vneter_sdn.verify.packets import Cube, Packets
from vneter_sdn.verify.passing import Passed, Passing
from vneter_sdn.verify.reach import Change, Pair, Reach, change
from vneter_sdn.verify.rewrite import Rewrite
from vneter_sdn.verify.rulings import Moved, Place, Rulings, Touched, astray


@dataclass(frozen=True, slots=True)
class Weighed:
    """What a change comes to."""

    change: Change
    regions: Mapping[Key, Packets]
    """By sender, the packets that it is about."""
    suspects: Mapping[Key, Packets]
    """Those of them that may be lost without any rule saying so."""
    doubtful: Mapping[Key, Packets]
    """By sender, packets that begin connections whose answers may be lost."""
    back: Rewrite


def weigh(
    rulings: Rulings, indexes: Mapping[str, BridgeIndex], edit: Rewrite, excused: Excuse
) -> Weighed | None:
    """Make a change of policies, and say what it comes to.

    Args:
        rulings: gates and forwarding.
        indexes: bridges as they are before; as they are after, when it is over.
        edit: the change, of flows of policies alone.
        excused: drops that a policy says.

    Returns:
        None, and bridges as they are before, when more than policies may be at stake.
    """
    try:
        return _Weighing(rulings, indexes, edit, excused).result()
    except Irregular:
        return None


class _Weighing:
    """One change; bridges are changed and changed back in between."""

    def __init__(
        self,
        rulings: Rulings,
        indexes: Mapping[str, BridgeIndex],
        edit: Rewrite,
        excused: Excuse,
    ) -> None:
        self.rulings, self.indexes, self.edit = rulings, indexes, edit
        self.excused = excused
        self.passing = Passing(rulings)

    def result(self) -> Weighed:
        """What it comes to; leaves bridges as they are after, unless it raises."""
        self._look_before()
        back = self.edit.apply(self.indexes)
        try:
            self._look_after()
        except BaseException:
            back.apply(self.indexes)
            raise
        back.apply(self.indexes)
        self._compare()
        before = self._ruled()
        self.edit.apply(self.indexes)
        try:
            moved = self._reached(before, self._ruled())
            suspects, doubtful = self._suspects(), self._doubtful()
        except BaseException:
            back.apply(self.indexes)
            raise
        return Weighed(moved, self._regions(self.pairs), suspects, doubtful, back)

    # ---- what it is about

    def _look_before(self) -> None:
        was = self._touched()
        self.moved = was.moved | {
            moved
            for host, held in self.edit.changed.items()
            for moved in self.rulings.moving((host, f) for f in held.values() if f is not None)
        }
        self.named = self.rulings.named(self.moved)
        self.places = self.rulings.affected(was)

    def _look_after(self) -> None:
        self.places |= self.rulings.affected(self._touched())
        self.later = self.rulings.named(self.moved)
        self.apart = self.rulings.told_apart(self.named, self.later)
        self.gates = {place: self.rulings.gate(place) for place in self.places}

    def _compare(self) -> None:
        """Whom gates that are other ones now are about; with bridges as they are before."""
        for place, addresses in self.rulings.told_apart(self.named, self.later).items():
            self.apart.setdefault(place, set()).update(addresses)
        renamed = {m for m, was in self.named.items() if self.later[m] != was}
        owners = {
            (m.host, m.way): [s for one in renamed if one[:2] == m[:2] for s in self._owners(one)]
            for m in renamed
        }
        self.changed: set[Place] = set()
        self.pairs: set[Pair] = set()
        for place, gate in self.gates.items():
            before = self.rulings.gate(place)
            if before is not gate:
                self.changed.add(place)
                others = self.rulings.concerned(place, before, gate)
                others.update(owners.get((place.station.host, place.way), ()))
                self.pairs |= set(_pairs(place, others))
        for place, addresses in self.apart.items():
            for address in addresses:
                self.pairs |= set(_pairs(place, self.rulings.owners(address)))

    def _owners(self, moved: Moved) -> Iterable[Station]:
        return self.rulings.owners(moved.address)

    def _touched(self) -> Touched:
        """What the flows are about that are at its places now."""
        if self.rulings.gates.wild(self.edit.changed):
            raise Irregular
        return self.rulings.touch(self.edit.flows(self.indexes))

    # ---- what it makes

    def _ruled(self) -> dict[Pair, Passed]:
        """What gates let pass now."""
        stations = self.rulings.known.meaning.stations
        hosts = {stations[key].host for pair in self.pairs for key in pair}
        if self.rulings.gates.wild(hosts):
            raise Irregular
        return self.passing.ruled(self.pairs)

    def _reached(self, before: Mapping[Pair, Passed], after: Mapping[Pair, Passed]) -> Change:
        """What pairs gain and lose. Forwarding is the same, before and after."""
        was: dict[Pair, Packets] = {}
        now: dict[Pair, Packets] = {}
        for pair, passed in after.items():
            if self.passing.differ(before[pair], passed):
                was[pair] = self.passing.reached(pair, before[pair])
                now[pair] = self.passing.reached(pair, passed)
        return change(Reach(was), Reach(now))

    def _suspects(self) -> dict[Key, Packets]:
        """Packets that may be lost, by sender; with bridges as they are after."""
        lost: set[Pair] = set()
        seen: dict[Gate, list[Cube]] = {}
        for place in self.changed | self.apart.keys():
            gate = self.rulings.gate(place)
            if gate not in seen:
                seen[gate] = astray(gate, self.excused)
            if seen[gate]:
                lost |= set(_pairs(place, self.rulings.others(place, seen[gate])))
        return self._regions(lost)

    def _doubtful(self) -> dict[Key, Packets]:
        """Connections from and to endpoints whose answers may not pass their gates now."""
        known = self.rulings.known
        pairs: set[Pair] = set()
        for station in {place.station for place in self.changed}:
            if self.rulings.answers_in_doubt(station):
                for other in known.tenants[station.tenant]:
                    pairs |= set(_pairs(Place(station, "egress"), (other,)))
                    pairs |= set(_pairs(Place(station, "ingress"), (other,)))
        return self._regions(pairs)

    def _regions(self, pairs: Iterable[Pair]) -> dict[Key, Packets]:
        """Packets of the senders of some pairs to the receivers."""
        stations = self.rulings.known.meaning.stations
        values: defaultdict[Key, defaultdict[str, set[int]]]
        values = defaultdict(lambda: defaultdict(set))
        for pair in pairs:
            for one in stations[pair.target].in_network:
                name = "ip_dst" if one.version == 4 else "ipv6_dst"
                values[pair.source][name].add(int(one))
        return {
            key: Packets(tuple(_to(name, some) for name, some in held.items()))
            for key, held in values.items()
        }


def _to(name: str, values: set[int]) -> Cube:
    kind = ETH_IP if name == "ip_dst" else ETH_IPV6
    return {"eth_type": frozenset((kind,)), name: frozenset(values)}


def _pairs(place: Place, others: Iterable[Station]) -> Iterator[Pair]:
    """An endpoint and others, the sender first; none with itself, or with somebody else's."""
    station, way = place
    for other in others:
        if other.key != station.key and other.tenant == station.tenant:
            ends = (station, other) if way == "egress" else (other, station)
            yield Pair(ends[0].key, ends[1].key)
