# SPDX-License-Identifier: Apache-2.0
"""Rules as products of sets: whom they are about, with whom, for what.

One rule comes to several such products, *strands*, where its parts depend on each other: a port's
name means another number on other endpoints, and being alike means something else in every
namespace. Each strand is one conjunctive match, so a rule costs the sum of its sets.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from vneter_sdn.compile.classes import Class
from vneter_sdn.compile.facts import RESOLVED
from vneter_sdn.compile.membership import members, namespace_labels
from vneter_sdn.compile.portranges import masks
from vneter_sdn.compile.query import View
from vneter_sdn.model.addresses import IPNetwork
from vneter_sdn.model.fields import PROTO_ICMP, PROTO_ICMPV6, PROTO_SCTP, PROTO_TCP, PROTO_UDP
from vneter_sdn.policy.domains import matches
from vneter_sdn.policy.prefixes import disjoint, parse
from vneter_sdn.policy.rule import Alike, Block, Domain, Ports, Rule, Scope

_WORDS = {PROTO_TCP: "tcp", PROTO_UDP: "udp", PROTO_SCTP: "sctp"}


class Target(NamedTuple):
    """Connections by protocol and destination port (value and mask), or ICMP type and code."""

    protocol: int
    value: int = 0
    mask: int = 0
    icmp_type: int | None = None
    icmp_code: int | None = None


class Peers(NamedTuple):
    """With whom: classes of endpoints, and addresses."""

    classes: frozenset[Class] = frozenset()
    prefixes: tuple[IPNetwork, ...] = ()

    @property
    def nobody(self) -> bool:
        """Whether there is none."""
        return not self.classes and not self.prefixes


class Strand(NamedTuple):
    """One product of sets; None where anything will do."""

    applied: frozenset[Class]
    peers: Peers | None
    spoken_to: frozenset[Class] | None
    """Classes of the peers besides, for ports that are called by name."""
    ports: tuple[Target, ...] | None


def applied_to(view: View, tenant: str, scopes: Iterable[Scope]) -> frozenset[Class]:
    """Classes that a rule or isolation is about."""
    return frozenset().union(*(members(view, tenant, scope) for scope in scopes))


def strands(view: View, tenant: str, rule: Rule) -> tuple[Strand, ...]:
    """What a rule comes to in a tenant; nothing where some set is empty."""
    applied = applied_to(view, tenant, rule.applied)
    found = (
        strand
        for about, peers in _sides(view, tenant, rule, applied)
        for strand in _by_ports(view, tenant, rule, about, peers)
    )
    return tuple(one for one in found if one.applied and not (one.peers and one.peers.nobody))


def _sides(
    view: View, tenant: str, rule: Rule, applied: frozenset[Class]
) -> Iterator[tuple[frozenset[Class], Peers | None]]:
    """Whom it is about, and with whom."""
    if rule.peers is None:
        yield applied, None
        return
    classes: set[Class] = set()
    prefixes: dict[IPNetwork, None] = {}
    for peer in rule.peers:
        if isinstance(peer, Scope):
            classes |= members(view, tenant, peer)
        elif isinstance(peer, Block):
            prefixes |= dict.fromkeys(disjoint(peer))
        elif isinstance(peer, Domain):
            prefixes |= dict.fromkeys(_resolved(view, tenant, peer))
    yield applied, Peers(frozenset(classes), tuple(prefixes))
    for peer in rule.peers:
        if isinstance(peer, Alike):
            yield from _alike(view, tenant, peer, applied)


def _resolved(view: View, tenant: str, domain: Domain) -> Iterator[IPNetwork]:
    for name in sorted(view.keys(RESOLVED)):
        owner, _, bare = name.rpartition("/")
        if owner in ("", tenant) and matches(domain.pattern, bare):
            for address in view.get(RESOLVED, name):
                yield parse(f"{address}/{128 if ':' in address else 32}")


def _alike(
    view: View, tenant: str, alike: Alike, applied: frozenset[Class]
) -> Iterator[tuple[frozenset[Class], Peers]]:
    def values(one: Class) -> tuple[str | None, ...]:
        labels = view.ask(namespace_labels, (tenant, one.namespace))
        return tuple(labels.get(label) for label in alike.labels)

    groups: defaultdict[tuple[str | None, ...], set[Class]] = defaultdict(set)
    for one in members(view, tenant, Scope(endpoints=alike.endpoints)):
        groups[values(one)].add(one)
    about: defaultdict[tuple[str | None, ...], set[Class]] = defaultdict(set)
    for one in applied:
        about[values(one)].add(one)
    for labels in sorted((labels for labels in about if None not in labels), key=repr):
        likes = groups.get(labels, set())
        if alike.differ:
            others = [held for values, held in groups.items() if None not in values]
            likes = set().union(*others) - likes
        if likes:
            yield frozenset(about[labels]), Peers(frozenset(likes))


def _by_ports(
    view: View, tenant: str, rule: Rule, applied: frozenset[Class], peers: Peers | None
) -> Iterator[Strand]:
    if rule.ports is None:
        yield Strand(applied, peers, None, None)
        return
    plain = [target for ports in rule.ports if not ports.name for target in _targets(ports)]
    if plain:
        yield Strand(applied, peers, None, tuple(dict.fromkeys(plain)))
    for ports in dict.fromkeys(ports for ports in rule.ports if ports.name):
        if rule.direction == "ingress":
            for target, spoken_to in _numbers(ports, applied):
                yield Strand(spoken_to, peers, None, (target,))
        else:
            yield from _named(view, tenant, ports, applied, peers)


def _numbers(ports: Ports, classes: Iterable[Class]) -> Iterator[tuple[Target, frozenset[Class]]]:
    """What a port's name means: each number, and the classes of endpoints that have it so."""
    word = _WORDS.get(ports.protocol)
    found: defaultdict[int, set[Class]] = defaultdict(set)
    for one in classes:
        for name, protocol, number in one.ports:
            if (name, protocol) == (ports.name, word):
                found[number].add(one)
    for number, some in sorted(found.items()):
        yield Target(ports.protocol, number, 0xFFFF), frozenset(some)


def _named(
    view: View, tenant: str, ports: Ports, applied: frozenset[Class], peers: Peers | None
) -> Iterator[Strand]:
    """A port of the peers by its name."""
    everybody = members(view, tenant, Scope())
    near = everybody if peers is None else peers.classes
    for target, spoken_to in _numbers(ports, near):
        yield Strand(applied, Peers(spoken_to), None, (target,))
    if peers is not None and peers.prefixes:
        for target, spoken_to in _numbers(ports, everybody):
            yield Strand(applied, Peers(prefixes=peers.prefixes), spoken_to, (target,))


def _targets(ports: Ports) -> Iterator[Target]:
    if ports.protocol in (PROTO_ICMP, PROTO_ICMPV6):
        yield Target(ports.protocol, 0, 0, ports.icmp_type, ports.icmp_code)
        return
    whole = ports.first == 0 and ports.last == 0xFFFF
    for value, mask in [(0, 0)] if whole else masks(ports.first, ports.last):
        yield Target(ports.protocol, value, mask)
