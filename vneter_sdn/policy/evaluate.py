# SPDX-License-Identifier: Apache-2.0
"""What rules decide about one connection, by plain loops over what README.md says.

This is the yardstick that compiled flows are held to, so it is written to be read and compared
with the page, not to be fast: O(rules) for every question.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from vneter_sdn.model.addresses import IPAddress
from vneter_sdn.model.fields import PROTO_ICMP, PROTO_ICMPV6
from vneter_sdn.model.policy_kinds import Direction
from vneter_sdn.model.snapshot import Key
from vneter_sdn.policy import domains
from vneter_sdn.policy.prefixes import address, contains
from vneter_sdn.policy.rule import (
    Alike,
    Block,
    Isolation,
    Peer,
    Ports,
    Rule,
    RuleBook,
    Scope,
    Stage,
)
from vneter_sdn.policy.selectors import labels_of_namespace, selects

Outcome = Literal["allow", "drop", "reject"]
Because = Literal["rule", "isolation", "default", "outside", "self", "host", "tenants"]


@dataclass(frozen=True, slots=True)
class PortName:
    """A port of an endpoint that has a name; ``protocol`` is its IP protocol number."""

    name: str
    protocol: int
    port: int


@dataclass(frozen=True, slots=True)
class Party:
    """An endpoint, as far as policies can tell."""

    key: Key
    namespace: str = ""
    """Empty when it is in none."""
    labels: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[PortName, ...] = ()
    addresses: tuple[str, ...] = ()
    host: str = ""


@dataclass(frozen=True, slots=True)
class Connection:
    """The first packet of a connection, or a packet of a protocol that has none."""

    protocol: int
    """IP protocol number."""
    port: int = 0
    """Destination port of TCP, UDP and SCTP."""
    icmp_type: int = 8
    icmp_code: int = 0
    version: Literal[4, 6] | None = None
    """Of IP; when None that of an address given, or one that both endpoints have, 4 first."""


@dataclass(frozen=True, slots=True)
class World:
    """Everything that a decision depends on."""

    parties: tuple[Party, ...] = ()
    namespaces: Mapping[tuple[str, str], Mapping[str, str]] = field(default_factory=dict)
    """Labels by (tenant, name) of the Namespaces there are."""
    book: RuleBook = field(default_factory=RuleBook)
    defaults: Mapping[str, tuple[Outcome, Outcome]] = field(default_factory=dict)
    """(ingress, egress) by tenant; allowed for those that are not here."""
    hosts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Addresses of each host by its name."""
    domains: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Addresses that DNS names have been seen to stand for."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What one direction says."""

    verdict: Outcome
    because: Because
    rule: Rule | None = None
    isolations: tuple[Isolation, ...] = ()
    """Those that the endpoint is under, when it was dropped for want of a rule that allows it."""
    path: tuple[str, ...] = ()
    """The stages it came through, in words."""

    @property
    def title(self) -> str:
        """Who decided, for people and for the column ``rule`` of a matrix."""
        if self.rule is not None:
            return self.rule.title
        if self.isolations:
            return self.isolations[0].title
        return self.because


@dataclass(frozen=True, slots=True)
class Answer:
    """What becomes of a connection: the source's egress, then the target's ingress."""

    egress: Decision
    ingress: Decision

    @property
    def allowed(self) -> bool:
        """Whether both directions allow it."""
        return self.egress.verdict == "allow" and self.ingress.verdict == "allow"

    @property
    def deciding(self) -> Decision:
        """The first that refuses it, or the last that allows it."""
        return self.egress if self.egress.verdict != "allow" else self.ingress


@dataclass(frozen=True, slots=True)
class _End:
    """One end of a connection: an endpoint, an address, or both."""

    party: Party | None
    address: IPAddress | None


def evaluate(world: World, source: Key | str, target: Key | str, connection: Connection) -> Answer:
    """Decide about one connection.

    Args:
        world: the state.
        source: key of an endpoint, or an address; an address of an endpoint of the other end's
            tenant stands for that endpoint.
        target: likewise.
        connection: what is sent.

    Raises:
        KeyError: there is no such endpoint.
        ValueError: an address is malformed.
    """
    begin, end = _ends(world, source, target, connection)
    one, other = begin.party, end.party
    if one is not None and other is not None:
        if one.key == other.key:
            itself = Decision("allow", "self", path=("an endpoint always reaches itself",))
            return Answer(itself, itself)
        if one.key.tenant != other.key.tenant:
            apart = Decision("drop", "tenants", path=("tenants are isolated from each other",))
            return Answer(apart, apart)
    egress = _direction(world, "egress", begin, end, connection)
    if other is not None and _is_host_of(world, begin, other):
        own = Decision("allow", "host", path=("an endpoint's own host always reaches it",))
        return Answer(egress, own)
    return Answer(egress, _direction(world, "ingress", begin, end, connection))


def _is_host_of(world: World, there: _End, party: Party) -> bool:
    own = [address(text) for text in world.hosts.get(party.host, ())]
    return there.party is None and there.address in own


def _ends(
    world: World, source: Key | str, target: Key | str, connection: Connection
) -> tuple[_End, _End]:
    one = None if isinstance(source, str) else _party(world, source)
    other = None if isinstance(target, str) else _party(world, target)
    if isinstance(source, str):
        one = _holder(world, source, other)
    if isinstance(target, str):
        other = _holder(world, target, one)
    version = _version(source, target, one, other, connection)
    return _End(one, _address(source, one, version)), _End(other, _address(target, other, version))


def _party(world: World, key: Key) -> Party:
    for party in world.parties:
        if party.key == key:
            return party
    raise KeyError(str(key))


def _holder(world: World, wanted: str, near: Party | None) -> Party | None:
    """The endpoint of the other end's tenant that has an address."""
    for party in world.parties:
        if near is not None and party.key.tenant == near.key.tenant:
            for text in party.addresses:
                if address(text) == address(wanted):
                    return party
    return None


def _version(
    source: Key | str,
    target: Key | str,
    one: Party | None,
    other: Party | None,
    connection: Connection,
) -> int:
    if connection.version is not None:
        return connection.version
    if connection.protocol == PROTO_ICMPV6:
        return 6
    for given in (source, target):
        if isinstance(given, str):
            return address(given).version
    for version in (4, 6):
        if _address("", one, version) and _address("", other, version):
            return version
    return 4


def _address(given: Key | str, party: Party | None, version: int) -> IPAddress | None:
    texts = (given,) if isinstance(given, str) and given else party.addresses if party else ()
    for text in texts:
        one = address(text)
        if one.version == version:
            return one
    return None


def _direction(
    world: World, direction: Direction, begin: _End, end: _End, connection: Connection
) -> Decision:
    """What the policies of one end say: of the source's for egress, of the target's for ingress."""
    applied, peer = (begin, end) if direction == "egress" else (end, begin)
    if applied.party is None:
        why = "policies are about endpoints, and this end is none"
        return Decision("allow", "outside", path=(why,))
    path: list[str] = []
    matching = [
        rule
        for rule in sorted(world.book.rules, key=lambda rule: rule.rank)
        if rule.direction == direction
        and _matches(world, rule, applied.party, peer, end, connection)
    ]
    decision = _first(Stage.TIERED, matching, path)
    if decision is None:
        decision = _isolation(world, direction, applied.party, matching, path)
        own = direction == "egress" and _is_host_of(world, end, applied.party)
        if own and decision is not None and decision.because == "isolation":
            path[-1:] = ["ISOLATION: it keeps nobody from their own host"]
            decision = Decision("allow", "host", path=tuple(path))
    if decision is None:
        decision = _first(Stage.BASELINE, matching, path)
    if decision is not None:
        return decision
    ingress, egress = world.defaults.get(applied.party.key.tenant, ("allow", "allow"))
    verdict = ingress if direction == "ingress" else egress
    path.append(f"default of tenant {applied.party.key.tenant}: {verdict}")
    return Decision(verdict, "default", path=tuple(path))


def _first(stage: Stage, matching: Sequence[Rule], path: list[str]) -> Decision | None:
    """The first rule of a stage decides, save that pass leaves the stage."""
    for rule in matching:
        if rule.stage != stage:
            continue
        path.append(f"{stage.name}: {rule.verdict} by {rule.title}")
        if rule.verdict == "pass":
            return None
        return Decision(rule.verdict, "rule", rule, path=tuple(path))
    path.append(f"{stage.name}: no rule matches")
    return None


def _isolation(
    world: World, direction: Direction, party: Party, matching: Sequence[Rule], path: list[str]
) -> Decision | None:
    """What is isolated may do what some rule allows; what is not goes on."""
    under = [
        isolation
        for isolation in world.book.isolations
        if isolation.direction == direction
        and isolation.concerns(party.key.tenant)
        and _within_any(world, isolation.applied, party)
    ]
    if not under:
        path.append("ISOLATION: not isolated")
        return None
    for rule in matching:
        if rule.stage == Stage.ISOLATION:
            path.append(f"ISOLATION: {rule.verdict} by {rule.title}")
            return Decision("allow", "rule", rule, path=tuple(path))
    names = ", ".join(str(isolation.policy) for isolation in under)
    path.append(f"ISOLATION: isolated by {names}, and no rule allows it")
    return Decision("drop", "isolation", isolations=tuple(under), path=tuple(path))


def _matches(
    world: World, rule: Rule, applied: Party, peer: _End, target: _End, connection: Connection
) -> bool:
    if not rule.concerns(applied.key.tenant):
        return False
    if not _within_any(world, rule.applied, applied):
        return False
    peers = rule.peers
    if peers is not None and not any(_is_peer(world, one, applied, peer) for one in peers):
        return False
    if rule.ports is not None:
        return any(_is_port(ports, target.party, connection) for ports in rule.ports)
    return True


def _within_any(world: World, scopes: Sequence[Scope], party: Party) -> bool:
    return any(_within(world, scope, party) for scope in scopes)


def _within(world: World, scope: Scope, party: Party) -> bool:
    namespace = _namespace_labels(world, party)
    return selects(scope.namespaces, namespace) and selects(scope.endpoints, party.labels)


def _namespace_labels(world: World, party: Party) -> Mapping[str, str]:
    given = world.namespaces.get((party.key.tenant, party.namespace))
    return labels_of_namespace(party.namespace, given)


def _is_peer(world: World, peer: Peer, applied: Party, end: _End) -> bool:
    if isinstance(peer, Scope):
        return end.party is not None and _within(world, peer, end.party)
    if isinstance(peer, Alike):
        return end.party is not None and _alike(world, peer, applied, end.party)
    if end.address is None:
        return False
    if isinstance(peer, Block):
        return contains(peer, end.address)
    return any(address(text) == end.address for text in _resolved(world, peer.pattern))


def _alike(world: World, alike: Alike, applied: Party, party: Party) -> bool:
    mine, theirs = _namespace_labels(world, applied), _namespace_labels(world, party)
    differ = False
    for label in alike.labels:
        if label not in mine or label not in theirs:
            return False
        if mine[label] != theirs[label]:
            differ = True
    return differ == alike.differ and selects(alike.endpoints, party.labels)


def _resolved(world: World, pattern: str) -> Iterator[str]:
    for name, addresses in world.domains.items():
        if domains.matches(pattern, name):
            yield from addresses


def _is_port(ports: Ports, target: Party | None, connection: Connection) -> bool:
    if ports.protocol != connection.protocol:
        return False
    if ports.protocol in {PROTO_ICMP, PROTO_ICMPV6}:
        if ports.icmp_type not in {None, connection.icmp_type}:
            return False
        return ports.icmp_code in {None, connection.icmp_code}
    if not ports.name:
        return ports.first <= connection.port <= ports.last
    wanted = (ports.name, connection.protocol, connection.port)
    if target is None:
        return False
    return any((one.name, one.protocol, one.port) == wanted for one in target.ports)
