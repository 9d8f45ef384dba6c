# SPDX-License-Identifier: Apache-2.0
"""A fleet that was proven, and what has to be proven again after a change.

What becomes of a packet changes only if it meets a flow that changed, before or after. So for each
such flow it is asked who may send packets that meet it, and what these look like when they come in
(`Touch`): by the registers it matches, which say whose packets they are; by the headers it matches
that nobody writes before; and where it matches a locator, by the flows that write that. Those
packets alone are followed again, before and after.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain

from vneter_sdn.model.flow import BridgeState, Flow, FlowKey, Group
from vneter_sdn.model.snapshot import Key
from vneter_sdn.pipeline.tables import table
from vneter_sdn.simulate.meaning import Meaning, Station
from vneter_sdn.verify.checks import (
    Excuse,
    between,
    by_policy,
    disguised,
    entering,
    leak,
    loop,
    nobodys,
    unclaimed,
    unmet,
)
from vneter_sdn.verify.expected import Directory, expectations, meant_for
from vneter_sdn.verify.facts import RULED
from vneter_sdn.verify.findings import Finding
from vneter_sdn.verify.fleet import CUTS, Anywhere, Fabric, Reached, Trace, Wiring
from vneter_sdn.verify.footprint import Footprint, Side, apart, by_source
from vneter_sdn.verify.index import BridgeIndex
from vneter_sdn.verify.kept_rules import KeptRules
from vneter_sdn.verify.packets import ALL, Cube, Packets
from vneter_sdn.verify.passing import Passing
from vneter_sdn.verify.policed import Unpoliced
from vneter_sdn.verify.punted import punted
from vneter_sdn.verify.reach import Change, Pair, Reach, addressed, change, reached_from
from vneter_sdn.verify.restraint import Restrained
from vneter_sdn.verify.rewrite import Rewrite
from vneter_sdn.verify.rulings import Rulings
from vneter_sdn.verify.touch import Origins, Touch, Touching
from vneter_sdn.verify.tracking import ANYTHING, NEW
from vneter_sdn.verify.walk import Around, Walker, all_up
from vneter_sdn.verify.ways import ends_of, unequal
from vneter_sdn.verify.weighing import weigh
from vneter_sdn.verify.written import STAGES

_CLASSIFY, _GUARD = table("classify").id, table("spoof_guard").id


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a change comes to."""

    findings: tuple[Finding, ...]
    """What is wrong with packets that the change is about; all others are as they were."""
    change: Change
    """What it does to who can open connections to whom."""
    sources: int
    """Endpoints of which packets were followed again."""


class Proof:
    """Bridges and what was proven of them, kept up to date.

    Args:
        states: what bridges hold.
        wiring: how they are joined.
        meaning: who is where.
        excused: drops that a policy says; see `checks.black_holes`.
    """

    def __init__(
        self,
        states: Mapping[str, BridgeState],
        wiring: Wiring,
        meaning: Meaning,
        excused: Excuse = by_policy,
    ) -> None:
        self.excused = excused
        self.known = Directory.of(meaning)
        self._indexes = {host: BridgeIndex(state) for host, state in states.items()}
        self.doubtful: Mapping[Key, Packets] | None = None
        """By sender, packets whose answers the last change puts in doubt; None: any it touched."""
        self._origins: Origins | None = None
        self._rulings: Rulings | None = None
        self._rules = KeptRules(self._indexes)
        self._wire(wiring)

    @property
    def origins(self) -> Origins:
        """Fields that may be written before tables; read from all flows when first asked for."""
        if self._origins is None:
            every = self._indexes.values()
            self._origins = Origins(f for i in every for n in i.tables() for f in i.flows(n))
        return self._origins

    def _wire(self, wiring: Wiring) -> None:
        self.new = self._fabric(wiring, Around(NEW, all_up))
        self.any = self._fabric(wiring, Around(ANYTHING, all_up))

        free = {h: Unpoliced(index) for h, index in self._indexes.items()}
        around = Around(ANYTHING, all_up)
        self.free = Fabric({h: Walker(index, around, h) for h, index in free.items()}, wiring)
        around = Around(NEW, all_up)
        self.open = Fabric({h: Walker(index, around, h) for h, index in free.items()}, wiring)
        if self._rulings is not None:
            self._rulings.settle(self.open, self.known)

    def _fabric(self, wiring: Wiring, around: Around) -> Fabric:
        walkers = {h: Walker(index, around, h) for h, index in self._indexes.items()}
        return Fabric(walkers, wiring)

    def full(self) -> Iterator[Finding]:
        """Everything that is wrong, of all packets and flows."""
        shared = self._fabric(self.any.wiring, Around(ANYTHING, all_up, CUTS))
        bridges = Restrained(shared)
        for station in self.known.stations:
            strays = partial(self._astray, station)
            yield from bridges.findings(station.host, entering(station), strays)
            yield from self._expected(station, ALL)
        for host in self._indexes:
            yield from self._nobodys(host)
            yield from self._between(host)
            yield from self._rules.all(host)

    def reach(self) -> Reach:
        """Who can open connections to whom."""
        found: dict[Pair, Packets] = {}
        for station in self.known.stations:
            found |= reached_from(self.new, self.known, station)
        return Reach(found)

    def update(
        self,
        flows: Mapping[str, Mapping[FlowKey, Flow | None]],
        meaning: Meaning,
        *,
        groups: Mapping[str, Mapping[int, Group | None]] | None = None,
        wiring: Wiring | None = None,
    ) -> Verdict:
        """Take in a change, and prove what it touches.

        Args:
            flows: by host and place, what is there now; None: nothing any more.
            meaning: who is where now.
            groups: by host and number, likewise.
            wiring: how bridges are joined now, when that changed; then all is touched.
        """
        for host in flows.keys() - self._indexes.keys():
            self._indexes[host] = BridgeIndex(BridgeState())
            wiring = wiring or self.new.wiring
        edit, self.doubtful = Rewrite(flows, groups or {}), None
        if wiring is None and not groups and self._is_of_policies(edit, meaning):
            verdict = self._ruled_anew(edit)
            if verdict is not None:
                return verdict
        known = self.known if meaning is self.known.meaning else Directory.of(meaning)
        about = self._touched_by(edit, Side(known, wiring))
        moved = self._moved(about)
        self._take(about.later)
        self._rules.take(edit, about.back)
        findings = (*self._behind(about), *self._news(about.regions, edit))
        self._about(about.regions)
        if self._rulings is not None:
            self._rulings.settle(self.open, self.known)
        return Verdict(findings, moved, len(about.regions))

    def _touched_by(self, edit: Rewrite, later: Side) -> Footprint:
        """Make a change; what it is about, of what was before and is after."""
        links = self.new.wiring.links
        before = Touching(self._indexes, self.known, self.origins, links)
        found = before.all(edit.flows(self._indexes))
        ways = ends_of(self.new, before.locators)
        back = edit.apply(self._indexes)
        self.origins.add(flow for _, flow in edit.flows(self._indexes))
        after = Touching(self._indexes, later.known, self.origins, links, before.locators)
        found += after.all(edit.flows(self._indexes))
        found += after.towards(unequal(ways, ends_of(self.new, after.locators)))
        if later.wiring is not None:
            every = (*later.known.meaning.stations, *self.known.meaning.stations)
            found.append(Touch(frozenset(every), {}))
        return Footprint(edit, back, later, tuple(found), after, by_source(found))

    def _moved(self, about: Footprint) -> Change:
        """What a change does to reachability: of pairs that it is about at all, of all packets."""
        moved = self._compared(about, about.regions)
        pairs = {*moved.gained.allowed, *moved.lost.allowed}
        every = self._towards(pairs, about.later.known)
        again = {key: all_ for key, all_ in every.items() if all_.less(about.regions[key])}
        pairs = {pair for pair in pairs if pair.source in again}
        if not pairs:
            return moved
        exact = self._compared(about, again, pairs)
        return Change(*(_without(a, pairs, b) for a, b in zip(moved, exact, strict=True)))

    # ---- changes of policies alone

    def prepare(self) -> Iterator[None]:
        """Read what proofs of changes of policies will ask for, step by step, while nobody waits.

        Nothing follows from it. A change makes it out of date, and some of it worth reading anew.
        """
        yield from self._ruling().prepare()
        yield from Passing(self._ruling()).prepare()
        for host in tuple(self._indexes):
            for number in STAGES:
                self._rules.of(host, number)
                yield

    def _is_of_policies(self, edit: Rewrite, meaning: Meaning) -> bool:
        """Whether a change is of policies alone, and everybody is where they were."""
        if meaning is not self.known.meaning and meaning != self.known.meaning:
            return False
        tables = {key.table for held in edit.changed.values() for key in held}
        return tables <= RULED and edit.changed.keys() <= self._indexes.keys()

    def _ruled_anew(self, edit: Rewrite) -> Verdict | None:
        """What a change of policies comes to; None when that has to be found packet by packet."""
        weighed = weigh(self._ruling(), self._indexes, edit, self.excused)
        if weighed is None:
            return None
        findings = [
            finding
            for key, packets in weighed.suspects.items()
            for finding in self._expected(self.known.meaning.stations[key], packets)
        ]
        self._rules.take(edit, weighed.back)
        findings += self._rules.changed(edit, self._is_single)
        self._about(weighed.regions)
        self.doubtful = weighed.doubtful
        return Verdict(tuple(findings), weighed.change, len(weighed.regions))

    def _ruling(self) -> Rulings:
        if self._rulings is None:
            self._rulings = Rulings(self._indexes, self.open, self.known)
        return self._rulings

    def _about(self, regions: Mapping[Key, Packets]) -> None:
        """Told which packets a change was about."""

    def _behind(self, about: Footprint) -> Iterator[Finding]:
        """Isolation and loops of what a change is about, from the tables that it is behind.

        What only says whether packets go on is taken to let them: where they go is asked then. More
        packets than come there; so what is found is looked for again from the beginning.
        """
        work: defaultdict[tuple[Key, int, bool], list[Cube]] = defaultdict(list)
        for touch in about.found:
            for key in touch.sources:
                work[key, touch.at, touch.free].append(touch.packets)
        for (key, at, free), cubes in work.items():
            station = self.known.meaning.stations.get(key)
            if station is None:
                continue
            packets = entering(station).meet(apart(cubes))
            held = about.touching.constants(station) if at > _CLASSIFY else {}
            # Behind the guard nobody knows any more what it let pass; it is as it was.
            wrong = self._astray if at <= _GUARD else self._led_astray
            if any(wrong(station, t) for t in self.free.traces(station.host, packets, at, held)):
                real = list(self._followed(station, packets, self.any))
                # What policies refuse now, a change of them may let pass, and is not followed then.
                yield from real or ([] if free else self._followed(station, packets, self.free))

    def _compared(
        self,
        about: Footprint,
        regions: Mapping[Key, Packets],
        pairs: Collection[Pair] | None = None,
    ) -> Change:
        """What of some packets arrives before and after; leaves the bridges as they are after."""
        about.back.apply(self._indexes)
        was = self._reached(regions, pairs)
        about.edit.apply(self._indexes)
        before = Side(self.known, self.new.wiring)
        self._take(about.later)
        now = self._reached(regions, pairs)
        self._take(before)
        return change(was, now)

    def _take(self, side: Side) -> None:
        self.known = side.known
        if side.wiring is not None and side.wiring is not self.new.wiring:
            self._wire(side.wiring)

    def _towards(self, pairs: Iterable[Pair], later: Directory) -> dict[Key, Packets]:
        """All packets of the sources of some pairs to their targets."""
        cubes: defaultdict[Key, list[Cube]] = defaultdict(list)
        for pair in pairs:
            for meaning in (self.known.meaning, later.meaning):
                source, target = (meaning.stations.get(key) for key in pair)
                if source is None or target is None:
                    continue
                gateway = meaning.gateways.get(source.network)
                if source.network == target.network:
                    cubes[pair.source] += addressed(target)
                for name in ("ip_dst", "ipv6_dst") if gateway else ():
                    values = meant_for(target, name)
                    if gateway and values:
                        routed: Cube = {"eth_dst": frozenset((gateway.mac,)), name: values}
                        cubes[pair.source].append(routed)
        return {key: apart(found) for key, found in cubes.items()}

    def _news(self, regions: Mapping[Key, Packets], edit: Rewrite) -> Iterator[Finding]:
        for key, packets in regions.items():
            station = self.known.meaning.stations.get(key)
            if station is not None:
                lost = list(self._expected(station, packets))
                yield from lost or self._expected(station, packets, self.open)
        for host in edit.changed:
            asked = [key for key in edit.changed[host] if key.table == _CLASSIFY]
            if asked:
                yield from self._nobodys(host)
            if asked and self._about_links(host, asked):
                yield from self._between(host)
        yield from self._rules.changed(edit, self._is_single)

    def _is_single(self, host: str, flow: Flow) -> bool:
        """Whether a flow gives an address an identity, and nothing else of its table does."""
        tables = self._rulings.gates.tables(host) if self._rulings is not None else None
        return tables is not None and not tables.wild and tables.single(flow)

    def _followed(
        self,
        station: Station,
        packets: Packets,
        fabric: Fabric,
    ) -> Iterator[Finding]:
        """Isolation and loops, of some packets of an endpoint."""
        for trace in fabric.traces(station.host, packets):
            found = self._astray(station, trace)
            if found is not None:
                yield found

    def _astray(self, station: Station, trace: Trace) -> Finding | None:
        """What is wrong with where packets of an endpoint end, as to isolation and loops."""
        return self._led_astray(station, trace) or disguised(station, trace)

    def _led_astray(self, station: Station, trace: Trace) -> Finding | None:
        """The same, whoever they say that they are from."""
        return leak(station, trace, self.known.whose) or loop(station.host, trace)

    def _expected(
        self, station: Station, packets: Packets, fabric: Fabric | None = None
    ) -> Iterator[Finding]:
        """Black holes, of some packets of an endpoint."""
        told = punted(station, self.known, packets)
        for wanted in chain(expectations(station, self.known), told):
            asked = replace(wanted, packets=wanted.packets.meet(packets))
            if asked.packets.cubes:
                whose = self.known.whose
                yield from unmet(fabric or self.new, station, asked, whose, self.excused)

    def _nobodys(self, host: str) -> Iterator[Finding]:
        """What comes by ports of nobody, and reaches somebody."""
        for trace in self.any.traces(host, unclaimed(self.any, self.known, host)):
            if isinstance(trace.end, Reached | Anywhere):
                yield nobodys(host, trace)

    def _between(self, host: str) -> Iterator[Finding]:
        """What comes from other bridges, and goes round."""
        for trace in self.any.traces(host, between(self.any, host)):
            found = loop(host, trace)
            if found is not None:
                yield found

    def _about_links(self, host: str, keys: Iterable[FlowKey]) -> bool:
        """Whether flows of the first table are about ports that lead to other bridges."""
        links = self.any.wiring.links(host)
        ports = [{t.value for t in key.match if t.field == "in_port"} for key in keys]
        return any(not some or some & links for some in ports)

    def _reached(
        self, regions: Mapping[Key, Packets], pairs: Collection[Pair] | None = None
    ) -> Reach:
        found: dict[Pair, Packets] = {}
        for key, packets in regions.items():
            station = self.known.meaning.stations.get(key)
            if station is not None:
                found |= reached_from(self.new, self.known, station, packets)
        if pairs is not None:
            found = {pair: allowed for pair, allowed in found.items() if pair in pairs}
        return Reach(found)


def _without(reach: Reach, pairs: Collection[Pair], instead: Reach) -> Reach:
    kept = {pair: allowed for pair, allowed in reach.allowed.items() if pair not in pairs}
    return Reach({**kept, **instead.allowed})
