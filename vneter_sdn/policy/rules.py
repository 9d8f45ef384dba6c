# SPDX-License-Identifier: Apache-2.0
"""Policies, tiers and groups as rules and isolations in normal form (`vneter_sdn.policy.rule`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from vneter_sdn.errors import IntentError, Problem
from vneter_sdn.model.fields import PROTO_ICMP, PROTO_ICMPV6, PROTO_TCP, PROTO_UDP
from vneter_sdn.model.kinds import HostSpec
from vneter_sdn.model.policy_kinds import (
    ClusterPolicySpec,
    Direction,
    GroupSpec,
    PolicyRule,
    PolicySpec,
    PortMatch,
    Selector,
    TierSpec,
)
from vneter_sdn.model.snapshot import Key, Object
from vneter_sdn.policy.checks import check_group, check_policy
from vneter_sdn.policy.findings import Findings
from vneter_sdn.policy.members import Lookup, Members
from vneter_sdn.policy.rule import EVERY, Isolation, Ports, Rule, RuleBook, Scope
from vneter_sdn.policy.schedule import in_force
from vneter_sdn.policy.selectors import selects
from vneter_sdn.policy.tiers import BUILT_IN, KUBERNETES, stage_of, tier_problems

PROTOCOLS = {
    "tcp": PROTO_TCP,
    "udp": PROTO_UDP,
    "sctp": 132,
    "icmp": PROTO_ICMP,
    "icmpv6": PROTO_ICMPV6,
}
"""IP protocol numbers by the names that policies use."""


class Objects:
    """What policies refer to, among some objects."""

    def __init__(self, objects: Iterable[Object]) -> None:
        self._by_key = {stored.key: stored for stored in objects}

    def tier(self, name: str) -> TierSpec | None:
        """A tier of the operator's."""
        stored = self._by_key.get(Key("Tier", "", name))
        return stored.spec if stored is not None else None

    def group(self, tenant: str, name: str) -> GroupSpec | None:
        """A group of a tenant."""
        stored = self._by_key.get(Key("Group", tenant, name))
        return stored.spec if stored is not None else None

    def host_addresses(self, hosts: Selector) -> Sequence[str]:
        """Tunnel addresses of the hosts that a selector selects, in order of the hosts' names."""
        return [
            address
            for key, stored in sorted(self._by_key.items())
            if isinstance(stored.spec, HostSpec) and selects(hosts, stored.labels)
            for address in stored.spec.tunnel_addresses
        ]


def rule_book(objects: Iterable[Object], at: datetime | None = None) -> RuleBook:
    """Every rule and isolation of the policies among some objects.

    Args:
        objects: of any kind; those that say nothing about policies are passed over.
        at: policies that are not in force at this time are left out; all are in when None.

    Raises:
        IntentError: with every problem of every policy, group and tier.
    """
    stored = sorted(objects, key=lambda one: one.key)
    lookup = Objects(stored)
    problems = _tiers(stored)
    for one in stored:
        if isinstance(one.spec, GroupSpec):
            problems += group_problems(one.key, one.spec, lookup)
    rules: list[Rule] = []
    isolations: list[Isolation] = []
    for one in stored:
        if not isinstance(one.spec, PolicySpec):
            continue
        try:
            book = rules_of(one.key, one.spec, lookup)
        except IntentError as error:
            problems += error.problems
            continue
        if at is None or in_force(one.spec.schedule, at):
            rules += book.rules
            isolations += book.isolations
    if problems:
        raise IntentError(*dict.fromkeys(problems))
    return RuleBook(tuple(sorted(rules, key=lambda rule: rule.rank)), tuple(isolations))


def _tiers(objects: Iterable[Object]) -> list[Problem]:
    tiers: dict[str, TierSpec] = {}
    used: set[str] = set()
    for one in objects:
        if isinstance(one.spec, TierSpec):
            tiers[one.key.name] = one.spec
        elif isinstance(one.spec, PolicySpec):
            used.add(one.spec.tier)
    return tier_problems(tiers, used)


def group_problems(key: Key, spec: GroupSpec, lookup: Lookup) -> tuple[Problem, ...]:
    """Every problem of one group: of itself, unknown groups in it, and circles it is part of."""
    findings = Findings(str(key))
    check_group(spec, findings)
    if not findings.problems:
        for position, who in enumerate(spec.members):
            if who.group == key.name:
                text = f"groups may not contain themselves, and this does: {key.name} → {key.name}"
                findings.add(f"spec.members[{position}].group", "CircularGroups", text)
            elif who.group is not None:
                _check_below(key, who.group, f"spec.members[{position}].group", lookup, findings)
    return tuple(findings.problems)


def _check_below(key: Key, name: str, path: str, lookup: Lookup, findings: Findings) -> None:
    """Look for the group itself in everything that one of its members contains."""
    if lookup.group(key.tenant, name) is None:
        text = f"there is no Group {key.tenant}/{name}; make it, or remove this"
        findings.add(path, "UnknownReference", text)
    trails: list[tuple[str, ...]] = [(key.name, name)]
    seen = {name}
    while trails:
        trail = trails.pop()
        group = lookup.group(key.tenant, trail[-1])
        for who in group.members if group is not None else ():
            if who.group == key.name:
                circle = " → ".join((*trail, key.name))
                text = f"groups may not contain themselves, and these do: {circle}; take one out"
                findings.add(path, "CircularGroups", text)
                return
            if who.group is not None and who.group not in seen:
                seen.add(who.group)
                trails.append((*trail, who.group))


def rules_of(key: Key, spec: PolicySpec, lookup: Lookup) -> RuleBook:
    """The rules and isolations of one policy, whatever its schedule.

    The cost is that of what it is written with, groups expanded; it does not depend on how many
    endpoints there are.

    Raises:
        IntentError: with every problem of the policy.
    """
    findings = Findings(str(key))
    check_policy(spec, findings)
    tier = lookup.tier(spec.tier) if spec.tier not in BUILT_IN else None
    if tier is None and spec.tier not in BUILT_IN:
        text = (
            f"there is no Tier {spec.tier}; make it, or use a built-in one: {', '.join(BUILT_IN)}"
        )
        findings.add("spec.tier", "UnknownTier", text)
    findings.close()
    place = BUILT_IN[spec.tier] if tier is None else tier.priority
    rules: list[Rule] = []
    isolations: list[Isolation] = []
    for tenants in _audiences(key, spec, findings):
        members = Members(lookup, tenants[0] if tenants else "", findings)
        author = _Author(key, spec, place, tenants, members)
        rules += author.rules()
        isolations += author.isolations()
    findings.close()
    return RuleBook(tuple(rules), tuple(isolations))


def _audiences(key: Key, spec: PolicySpec, findings: Findings) -> Iterator[tuple[str, ...]]:
    """Sets of tenants that one set of rules will do for: groups are different in each tenant."""
    if not isinstance(spec, ClusterPolicySpec):
        yield (key.tenant,)
    elif not _uses_groups(spec):
        yield spec.tenants
    elif spec.tenants:
        for tenant in spec.tenants:
            yield (tenant,)
    else:
        text = "groups belong to tenants; name the tenants whose groups are meant"
        findings.add("spec.tenants", "Missing", text)


def _uses_groups(spec: PolicySpec) -> bool:
    if any(who.group is not None for who in spec.applies_to):
        return True
    for rule in (*spec.ingress, *spec.egress):
        if any(who.group is not None for who in (*(rule.peers or ()), *(rule.applies_to or ()))):
            return True
    return False


class _Author:
    """Writes the rules of one policy for some tenants."""

    def __init__(
        self, key: Key, spec: PolicySpec, place: int, tenants: tuple[str, ...], members: Members
    ) -> None:
        self._key, self._spec, self._tenants, self._members = key, spec, tenants, members
        priority = 0.0 if spec.tier == KUBERNETES else spec.priority
        self._order = (place, priority, key.name)
        self._applied: tuple[Scope, ...] = (Scope(EVERY, EVERY),)
        if spec.applies_to:
            self._applied = members.scopes(spec.applies_to, "spec.appliesTo")

    def rules(self) -> Iterator[Rule]:
        """All of both directions."""
        for number, given in enumerate(self._spec.ingress):
            yield self._rule(given, "ingress", number)
        for number, given in enumerate(self._spec.egress):
            yield self._rule(given, "egress", number)

    def isolations(self) -> Iterator[Isolation]:
        """One per direction that the policy isolates."""
        for direction in self._spec.isolates:
            yield Isolation(self._key, direction, self._applied, self._tenants)

    def _rule(self, given: PolicyRule, direction: Direction, number: int) -> Rule:
        path = f"spec.{direction}[{number}]"
        applied, peers = self._applied, None
        if given.applies_to is not None:
            applied = self._members.scopes(given.applies_to, f"{path}.appliesTo")
        if given.peers is not None:
            peers = self._members.peers(given.peers, f"{path}.peers")
        return Rule(
            policy=self._key,
            direction=direction,
            number=number,
            stage=stage_of(self._spec.tier),
            order=self._order,
            verdict=given.action,
            applied=applied,
            peers=peers,
            ports=None if given.ports is None else tuple(ports_of(port) for port in given.ports),
            name=given.name,
            stateful=given.stateful,
            log=given.log,
            keep=self._spec.established == "keep",
            tenants=self._tenants,
        )


def ports_of(match: PortMatch) -> Ports:
    """The connections that an entry of ``ports`` means."""
    protocol = PROTOCOLS[match.protocol]
    if match.protocol.startswith("icmp"):
        return Ports(protocol, icmp_type=match.icmp_type, icmp_code=match.icmp_code)
    if match.port is None:
        return Ports(protocol)
    if isinstance(match.port, str):
        return Ports(protocol, name=match.port)
    last = match.port if match.end_port is None else match.end_port
    return Ports(protocol, first=match.port, last=last)
