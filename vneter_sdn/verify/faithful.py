# SPDX-License-Identifier: Apache-2.0
"""Whether bridges let through what policies allow, and nothing else: over all connections.

The one side is `reach`, from the flows. The other is `policy.evaluate`, which knows no flows; it is
asked once for every class of connections that no rule tells apart, and for every two kinds of
endpoints that none does. So a rule that is missing, in another place, wider or narrower than it was
written is found without anybody having asserted what it is for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Literal, NamedTuple

from vneter_sdn.model.fields import (
    ETH_IP,
    ETH_IPV6,
    PROTO_ICMP,
    PROTO_ICMPV6,
    PROTO_SCTP,
    PROTO_TCP,
    PROTO_UDP,
)
from vneter_sdn.model.snapshot import Key, Snapshot
from vneter_sdn.policy.evaluate import Answer, Connection, Party, World, evaluate
from vneter_sdn.policy.prefixes import contains
from vneter_sdn.policy.rule import Block, Domain, Ports, Rule
from vneter_sdn.policy.worlds import world_of
from vneter_sdn.simulate.attempts import Wanted, first_packet
from vneter_sdn.simulate.meaning import Meaning, Station
from vneter_sdn.verify.asserted import between
from vneter_sdn.verify.expected import Directory, one, ordinary
from vneter_sdn.verify.findings import Example, Finding
from vneter_sdn.verify.fleet import Fabric
from vneter_sdn.verify.packets import NONE, Cube, Packets
from vneter_sdn.verify.reach import Pair, reached_from, words
from vneter_sdn.verify.values import Rest, Values

POLICY = "policy"
"""What findings are called."""
_PORTS = {PROTO_TCP: "tcp_dst", PROTO_UDP: "udp_dst", PROTO_SCTP: "sctp_dst"}
_ECHO = {4: (PROTO_ICMP, "icmp", 8), 6: (PROTO_ICMPV6, "icmpv6", 128)}
_REST = Rest(8, frozenset((*_PORTS, PROTO_ICMP, PROTO_ICMPV6)))
_TUNNEL = 47
"""GRE, which stands for all protocols that rules cannot name."""
_LAST = 65535
_VERSIONS: tuple[Literal[4, 6], Literal[4, 6]] = (4, 6)


class Class(NamedTuple):
    """Connections that no rule tells apart."""

    cube: Cube
    stands: Connection
    """One of them."""


class _Sort(NamedTuple):
    """All of an endpoint that rules look at, save its address: of that, which blocks have it."""

    tenant: str
    namespace: str
    labels: frozenset[tuple[str, str]]
    ports: frozenset[object]
    blocks: frozenset[int]


def unfaithful(snapshot: Snapshot, fabric: Fabric, known: Directory) -> Iterator[Finding]:
    """Connections that bridges let through against the policies, and that they refuse.

    Between endpoints of one tenant that have one address of a family each, which both of them use.
    Tenants are left out whose rules go by clocks or by DNS names, which are not known here.

    Args:
        snapshot: what was asked for.
        fabric: one whose tracker says ``NEW``.
        known: who is where.
    """
    addresses = {s.key: [str(a) for a in s.addresses] for s in known.stations}
    places = {s.key: s.host for s in known.stations}
    world = world_of(snapshot.objects.values(), addresses=addresses, places=places)
    for tenant, stations in known.tenants.items():
        if _says_anything(world, tenant) and not _is_unsure(snapshot, world, tenant):
            yield from _Tenant(world, tenant, known.meaning).judge(stations, fabric, known)


def _says_anything(world: World, tenant: str) -> bool:
    book = world.book
    rules = any(one.concerns(tenant) for one in book.rules)
    rules = rules or any(one.concerns(tenant) for one in book.isolations)
    return rules or world.defaults.get(tenant, ("allow", "allow")) != ("allow", "allow")


def _is_unsure(snapshot: Snapshot, world: World, tenant: str) -> bool:
    """Whether what a tenant's rules say depends on a clock or on DNS."""
    policies = {rule.policy for rule in world.book.rules if rule.concerns(tenant)}
    policies |= {one.policy for one in world.book.isolations if one.concerns(tenant)}
    scheduled = any(snapshot.objects[key].spec.schedule for key in policies)
    rules = (rule for rule in world.book.rules if rule.concerns(tenant))
    return scheduled or any(isinstance(p, Domain) for rule in rules for p in rule.peers or ())


class _Tenant:
    """What the policies about one tenant say."""

    def __init__(self, world: World, tenant: str, meaning: Meaning) -> None:
        rules = tuple(rule for rule in world.book.rules if rule.concerns(tenant))
        self._world = replace(world, book=replace(world.book, rules=rules))
        self._meaning = meaning
        self._blocks = tuple(dict.fromkeys(_blocks(rules)))
        self._parties = {p.key: p for p in world.parties if p.key.tenant == tenant}
        self._classes = {v: tuple(_classes(rules, self._parties.values(), v)) for v in _VERSIONS}
        self._said: dict[tuple[_Sort, _Sort, int], tuple[Answer, ...]] = {}

    def judge(
        self, stations: Sequence[Station], fabric: Fabric, known: Directory
    ) -> Iterator[Finding]:
        """All that is against them between some endpoints."""
        for version in _VERSIONS:
            sorts = {s.key: sort for s in stations if (sort := self._sort(s, version)) is not None}
            some = [s for s in stations if s.key in sorts]
            for source in some:
                reach = reached_from(fabric, known, source, _between(source, some, version))
                for target in some:
                    if source.key != target.key and self._meet(source, target):
                        ends = (source.key, sorts[source.key]), (target.key, sorts[target.key])
                        said = self._asked(*ends, version)
                        allowed = reach.get(Pair(source.key, target.key), NONE)
                        yield from self._compared(source, target, said, allowed, version)

    def _sort(self, station: Station, version: int) -> _Sort | None:
        own = [a for a in station.addresses if a.version == version]
        party = self._parties.get(station.key)
        if len(own) != 1 or party is None:
            return None
        within = (n for n, block in enumerate(self._blocks) if contains(block, own[0]))
        labels, ports = frozenset(party.labels.items()), frozenset(party.ports)
        return _Sort(station.tenant, party.namespace, labels, ports, frozenset(within))

    def _meet(self, source: Station, target: Station) -> bool:
        """Whether there is a way from one to the other at all."""
        return source.network == target.network or source.network in self._meaning.gateways

    def _asked(
        self, source: tuple[Key, _Sort], target: tuple[Key, _Sort], version: Literal[4, 6]
    ) -> tuple[Answer, ...]:
        """What is said of each class of connections."""
        place = source[1], target[1], version
        if place not in self._said:
            ends = self._parties[source[0]], self._parties[target[0]]
            world = replace(self._world, parties=ends)
            self._said[place] = tuple(
                evaluate(world, source[0], target[0], replace(kind.stands, version=version))
                for kind in self._classes[version]
            )
        return self._said[place]

    def _compared(
        self,
        source: Station,
        target: Station,
        said: Sequence[Answer],
        allowed: Packets,
        version: Literal[4, 6],
    ) -> Iterator[Finding]:
        for kind, answer in zip(self._classes[version], said, strict=True):
            if answer.allowed:  # but for what the guard drops, whatever policies say
                wrong = Packets(tuple(ordinary((kind.cube,)))).less(allowed)
            else:
                wrong = Packets((kind.cube,)).meet(allowed)
            if wrong:
                yield self._finding(source, target, wrong, answer, version)

    def _finding(
        self,
        source: Station,
        target: Station,
        wrong: Packets,
        answer: Answer,
        version: Literal[4, 6],
    ) -> Finding:
        can, says = ("cannot", "allows") if answer.allowed else ("can", "refuses")
        what = ", ".join(sorted(words(wrong)))
        title = answer.deciding.title
        about = f"{source.key} {can} open {what} to {target.key}, which {title} {says}"
        shown = first_packet(self._meaning, source, target, _wanted(wrong, version))
        example = Example(source.host, shown) if shown is not None else None
        return Finding(POLICY, about, example)


def _between(source: Station, targets: Iterable[Station], version: int) -> Packets:
    """Packets from an endpoint to others, by the addresses that policies know them by."""
    family, ip = (ETH_IP, "ip") if version == 4 else (ETH_IPV6, "ipv6")
    ends = {f"{ip}_src": _of([source], version), f"{ip}_dst": _of(targets, version)}
    return Packets(({"eth_type": one(family), **ends},))


def _of(stations: Iterable[Station], version: int) -> frozenset[int]:
    return frozenset(int(a) for s in stations for a in s.addresses if a.version == version)


def _wanted(packets: Packets, version: int) -> Wanted:
    chosen = packets.witness()
    held: Mapping[str, int] = chosen if chosen is not None else {}
    protocol = held.get("ip_proto", _TUNNEL)
    name = _ECHO[version][1]
    kinds = held.get(f"{name}_type", 0), held.get(f"{name}_code", 0)
    return Wanted(protocol, held.get(_PORTS.get(protocol, ""), 0), *kinds, version)


def _blocks(rules: Iterable[Rule]) -> Iterator[Block]:
    for rule in rules:
        yield from (peer for peer in rule.peers or () if isinstance(peer, Block))


def _classes(rules: Iterable[Rule], parties: Iterable[Party], version: int) -> Iterator[Class]:
    """All connections of a family, cut wherever a rule begins or ends."""
    named = [ports for rule in rules for ports in rule.ports or ()]
    numbers: defaultdict[tuple[str, int], set[int]] = defaultdict(set)
    for party in parties:
        for port in party.ports:
            numbers[port.name, port.protocol].add(port.port)
    family: Cube = {"eth_type": one(ETH_IP if version == 4 else ETH_IPV6)}
    for protocol, field in _PORTS.items():
        for first, last in _intervals(protocol, named, numbers):
            held: Values = between(first, last)
            cube: Cube = {**family, "ip_proto": one(protocol), field: held}
            yield Class(cube, Connection(protocol, first))
    yield from _echoes(family, named, version)
    yield Class({**family, "ip_proto": _REST}, Connection(_TUNNEL))


def _intervals(
    protocol: int, named: Iterable[Ports], numbers: Mapping[tuple[str, int], set[int]]
) -> Iterator[tuple[int, int]]:
    cuts = {0, _LAST + 1}
    for ports in named:
        if ports.protocol == protocol and ports.name:
            for number in numbers.get((ports.name, protocol), ()):
                cuts |= {number, number + 1}
        elif ports.protocol == protocol:
            cuts |= {ports.first, ports.last + 1}
    ordered = sorted(cuts)
    yield from ((a, b - 1) for a, b in pairwise(ordered))


def _echoes(family: Cube, named: Iterable[Ports], version: int) -> Iterator[Class]:
    """Echo requests, which are what begins of ICMP."""
    protocol, name, kind = _ECHO[version]
    codes = {p.icmp_code for p in named if p.protocol == protocol and p.icmp_code is not None}
    base: Cube = {**family, "ip_proto": one(protocol), f"{name}_type": one(kind)}
    for code in sorted(codes):
        yield Class({**base, f"{name}_code": one(code)}, Connection(protocol, 0, kind, code))
    other = next(code for code in range(256) if code not in codes)
    rest = Rest(8, frozenset(codes))
    yield Class({**base, f"{name}_code": rest}, Connection(protocol, 0, kind, other))
