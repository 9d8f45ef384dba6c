# SPDX-License-Identifier: Apache-2.0
"""Assertions, proven on what the bridges hold.

``allowed``: every packet that begins one of the connections arrives, whatever buckets are chosen.
``denied``: none does. ``waypoints`` and ``regions`` are about all bridges that such packets come
to. All links are taken to be up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from typing import NamedTuple

from vneter_sdn.model.policy_kinds import Direction
from vneter_sdn.model.snapshot import Key, Snapshot
from vneter_sdn.pipeline.registers import NETWORK, ORIGIN, OUT_PORT, SOURCE, TENANT, Source
from vneter_sdn.pipeline.tables import table
from vneter_sdn.simulate.attempts import Numbers, numbers_of
from vneter_sdn.simulate.meaning import Station
from vneter_sdn.verify.asserted import (
    Asserted,
    beginnings,
    names_of,
    outside,
    ways,
    within,
)
from vneter_sdn.verify.checks import is_too_long, unmet
from vneter_sdn.verify.expected import Directory, Expected, meant_for, one, ordinary
from vneter_sdn.verify.findings import Finding, example_of
from vneter_sdn.verify.fleet import Fabric, Reached, Trace
from vneter_sdn.verify.packets import Cube, Packets, overlap
from vneter_sdn.verify.state import Dropped, Punted, State

_ENTERS: dict[Direction, tuple[int, int]] = {
    "egress": (table("egress").id, table("switch").id),
    "ingress": (table("ingress").id, table("output").id),
}
"""Where policies of a direction begin, and where what they let through goes on."""
_OUTSIDE = 0x020000000001
ASSERTION = "assertion"
"""What findings about assertions are called."""


class Pairs(NamedTuple):
    """Which of an assertion's endpoints to look at; None: all."""

    sources: frozenset[Key] | None = None
    targets: frozenset[Key] | None = None


@dataclass(slots=True)
class Court:
    """Proves assertions in one state of a fleet.

    Args:
        fabric: one whose tracker says ``NEW``.
        known: who is where.
        snapshot: what endpoints, hosts and numbers there are.
    """

    fabric: Fabric
    known: Directory
    snapshot: Snapshot
    _numbers: dict[str, Numbers] = field(default_factory=dict)

    def judge(
        self,
        case: Asserted,
        pairs: Pairs = Pairs(),  # noqa: B008 - frozen
        only: Mapping[Key, Packets] | None = None,
    ) -> Iterator[Finding]:
        """Everything that is against an assertion.

        Args:
            case: the assertion.
            pairs: endpoints to look at.
            only: by endpoint, packets to look at, of those that it sends; None for all of all. Not
                of addresses outside.
        """
        if case.spec.target.cidr is not None or case.spec.source.cidr is not None:
            yield from self._across_the_edge(case, pairs)
            return
        targets = [key for key in case.targets if pairs.targets is None or key in pairs.targets]
        for key in case.sources:
            chosen = pairs.sources is None or key in pairs.sources
            if chosen and (only is None or key in only):
                source = self.known.meaning.stations[key]
                yield from self._from(case, source, targets, None if only is None else only[key])

    # ---- between endpoints

    def _from(
        self, case: Asserted, source: Station, targets: Iterable[Key], only: Packets | None
    ) -> Iterator[Finding]:
        alike: dict[tuple[Cube, ...] | int, tuple[tuple[Cube, ...], list[Station]]] = {}
        for key in targets:
            target = self.known.meaning.stations[key]
            if key == source.key:
                continue
            if target.tenant != source.tenant:
                if case.crosses:
                    yield from self._strangers(case, source, target)
                continue
            names = names_of(self.snapshot, key) if _named(case) else {}
            first = beginnings(case.spec.ports, names)
            place = hash(tuple(sorted(names.items(), key=repr)))
            alike.setdefault(place, (first, []))[1].append(target)
        denied = case.spec.expect == "denied"
        for first, some in alike.values():
            for way in ways(self.known, source, some, first, wide=denied):
                packets = within(way.packets, only)
                if packets.cubes and denied:
                    yield from self._denied(case, source, packets, way.field)
                elif packets.cubes:
                    yield from self._allowed(case, source, packets, way.field)

    def _denied(
        self, case: Asserted, source: Station, packets: Packets, name: str
    ) -> Iterator[Finding]:
        for trace in self.fabric.traces(source.host, packets):
            target = self._reached(trace)
            if target is None:
                continue
            meant = Packets(({name: meant_for(target, name)},))
            if name == "ipv6_dst":
                inside = frozenset(int(a) for a in target.in_network if a.version == 6)
                meant = Packets(({name: inside},))
            found = trace.packets.meet(meant)
            if found:
                about = f"{source.key} can open {_what(case)} to {target.key}"
                yield _against(case, about, source.host, trace._replace(packets=found))

    def _allowed(
        self, case: Asserted, source: Station, packets: Packets, name: str
    ) -> Iterator[Finding]:
        usual = Packets(tuple(ordinary(packets.cubes)))
        wanted = Expected("what begins a connection", usual, name)
        for found in unmet(self.fabric, source, wanted, self.known.whose, _unless_too_long):
            target = self._meant(source, found)
            about = f"{source.key} cannot open {_what(case)} to {target}: {found.about}"
            yield replace(found, kind=ASSERTION, about=f"{case.key}: {about}")
        if case.spec.waypoints or case.spec.regions:
            for trace in self.fabric.traces(source.host, packets):
                yield from self._passed(case, source, trace)

    def _passed(self, case: Asserted, source: Station, trace: Trace) -> Iterator[Finding]:
        """Waypoints that are left out, and regions that are left."""
        target = self._reached(trace)
        missing = [name for name in case.spec.waypoints if name not in trace.hops]
        if target is not None and missing:
            about = f"{source.key} reaches {target.key} without passing {', '.join(missing)}"
            yield _against(case, about, source.host, trace)
        strays = [host for host in trace.hops if self._region(host) not in case.spec.regions]
        if case.spec.regions and strays and (target is not None or len(trace.hops) > 1):
            whom = target.key if target else "somebody"
            where = ", ".join(f"{host} ({self._region(host) or 'no region'})" for host in strays)
            about = f"what {source.key} sends to {whom} comes to {where}"
            yield _against(case, about, source.host, trace)

    def _strangers(self, case: Asserted, source: Station, target: Station) -> Iterator[Finding]:
        """Between tenants: whatever the one sends, the other never gets it."""
        first = beginnings(case.spec.ports, names_of(self.snapshot, target.key))
        base: Cube = {"in_port": one(source.port), "tun_id": one(0)}
        packets = Packets(tuple(c for f in first if (c := overlap(base, f)) is not None))
        if case.spec.expect == "allowed":
            about = f"{source.key} cannot reach {target.key}: tenants are isolated"
            shown = example_of(source.host, packets.cubes)
            yield Finding(ASSERTION, f"{case.key}: {about}", shown)
            return
        for trace in self.fabric.traces(source.host, packets):
            reached = self._reached(trace)
            if reached is not None and reached.key == target.key:
                about = f"{source.key} can open {_what(case)} to {target.key}"
                yield _against(case, about, source.host, trace)

    def _reached(self, trace: Trace) -> Station | None:
        return self.known.whose.get(trace.end.at) if isinstance(trace.end, Reached) else None

    def _meant(self, source: Station, found: Finding) -> str:
        packet = found.example.packet if found.example else {}
        for name in ("ip_dst", "ipv6_dst"):
            if packet.get(name):
                version = 4 if name == "ip_dst" else 6
                address = ip_address(packet[name].to_bytes(4 if version == 4 else 16, "big"))
                owner = self.known.meaning.owner(source.tenant, address)
                return str(owner.key) if owner else str(address)
        return "somebody"

    def _region(self, host: str) -> str:
        stored = self.snapshot.objects.get(Key("Host", "", host))
        return str(stored.spec.region) if stored else ""

    # ---- with addresses outside

    def _across_the_edge(self, case: Asserted, pairs: Pairs) -> Iterator[Finding]:
        """No bridge of ours is at the other end, so it is asked what policies say at this one."""
        outwards = case.spec.target.cidr is not None
        way: Direction = "egress" if outwards else "ingress"
        prefix = case.spec.target.cidr or case.spec.source.cidr or ""
        chosen = pairs.sources if outwards else pairs.targets
        for key in case.sources if outwards else case.targets:
            if chosen is None or key in chosen:
                station = self.known.meaning.stations[key]
                yield from self._at_the_edge(case, way, station, prefix)

    def _at_the_edge(
        self, case: Asserted, way: Direction, here: Station, prefix: str
    ) -> Iterator[Finding]:
        version, there = outside(self.known, here.tenant, prefix)
        near = frozenset(int(a) for a in here.addresses if a.version == version)
        names = names_of(self.snapshot, here.key) if way == "ingress" else {}
        walker = self.fabric.walkers.get(here.host)
        if not near or not there or walker is None:
            return
        ends = ("src", "dst") if way == "egress" else ("dst", "src")
        macs = (here.mac, _OUTSIDE) if way == "egress" else (_OUTSIDE, here.mac)
        ip = "ip" if version == 4 else "ipv6"
        base: Cube = {
            "in_port": one(here.port if way == "egress" else 0),
            "tun_id": one(0),
            "vlan_vid": one(0),
            "eth_src": one(macs[0]),
            "eth_dst": one(macs[1]),
            "eth_type": one(0x0800 if version == 4 else 0x86DD),
            f"{ip}_{ends[0]}": near,
            f"{ip}_{ends[1]}": there,
        }
        first = beginnings(case.spec.ports, names)
        cubes = [cube for f in first if (cube := overlap(base, f)) is not None]
        begins, goes_on = _ENTERS[way]
        denied = case.spec.expect == "denied"
        for after in walker.table(State(cubes, self._registers(here, way)), begins, 0):
            met = any(step.flow.table == goes_on for step in after.trail)
            ends_there = any(e.table == goes_on for e in after.events if isinstance(e, Dropped))
            shown = example_of(here.host, after.cubes)
            if (met or ends_there) == denied and shown is not None:
                verb = "can" if denied else "cannot"
                whom = f"{here.key} {verb} open {_what(case)} to {prefix}"
                if way == "ingress":
                    whom = f"{prefix} {verb} open {_what(case)} to {here.key}"
                trail = tuple(s for s in after.trail if s.flow.table < goes_on)
                yield Finding(ASSERTION, f"{case.key}: {whom}", shown, (here.host,), trail)

    def _registers(self, here: Station, way: Direction) -> dict[str, int]:
        if here.tenant not in self._numbers:
            self._numbers[here.tenant] = numbers_of(self.snapshot, here.tenant)
        numbers = self._numbers[here.tenant]
        vni = numbers.networks[here.network]
        found: dict[str, int] = {}
        for load in (
            SOURCE.load(Source.ENDPOINT),
            NETWORK.load(vni),
            ORIGIN.load(vni),
            TENANT.load(numbers.tenant),
            OUT_PORT.load(here.port if way == "ingress" else 0),
        ):
            found[load.field] = found.get(load.field, 0) | load.value
        return found


def subject_of(finding: Finding) -> str:
    """The assertion that a finding is against, as its key is written."""
    return finding.about.partition(": ")[0]


def _named(case: Asserted) -> bool:
    return any(isinstance(match.port, str) for match in case.spec.ports)


def _what(case: Asserted) -> str:
    words = [
        f"{m.protocol}/{m.port}" + (f"-{m.end_port}" if m.end_port else "")
        if m.port
        else m.protocol
        for m in case.spec.ports
    ]
    return ", ".join(words) if words else "a connection"


def _unless_too_long(end: Dropped | Punted) -> bool:
    """Nothing else excuses that a packet does not arrive which somebody asserts to."""
    return isinstance(end, Punted) and is_too_long(end)


def _against(case: Asserted, about: str, host: str, trace: Trace) -> Finding:
    shown = example_of(host, trace.packets.cubes, trace.choices, trace.up)
    return Finding(ASSERTION, f"{case.key}: {about}", shown, trace.hops, trace.trail)
