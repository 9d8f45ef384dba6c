# SPDX-License-Identifier: Apache-2.0
"""The rules of policies, where endpoints are that they are about.

A rule is one conjunctive match: identities that it is about, identities or addresses at the other
end, ports. That costs the sum of its sets, not their product, and only bridges with an endpoint
that it is about hold it. What it decides is done, and counted, in the verdict table; what somebody
has to be told of goes to the controller from there, under a meter.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import product

from vneter_sdn.compile.books import NUMBER_BITS, Placed, RuleId, placed, rules_for
from vneter_sdn.compile.classes import Class, identity
from vneter_sdn.compile.features.pin import FAMILIES
from vneter_sdn.compile.features.police import (
    INVALID,
    THEN,
    committed,
    labelled,
    refused,
)
from vneter_sdn.compile.features.unit import Feature, Frozen, Matched, Part, Writer, on
from vneter_sdn.compile.membership import class_hosts
from vneter_sdn.compile.policing import decided_on, denies
from vneter_sdn.compile.queries import tenant_of
from vneter_sdn.compile.query import View
from vneter_sdn.compile.strands import Strand, Target, strands
from vneter_sdn.model.addresses import IPNetwork
from vneter_sdn.model.fields import (
    ETH_IP,
    ETH_IPV6,
    PROTO_ICMP,
    PROTO_ICMPV6,
    PROTO_SCTP,
    PROTO_TCP,
    PROTO_UDP,
)
from vneter_sdn.model.flow import Action, Conjunction, Flow, Punt
from vneter_sdn.model.policy_kinds import Direction
from vneter_sdn.model.snapshot import Key
from vneter_sdn.pipeline import punts
from vneter_sdn.pipeline.priorities import EXCEPTION, HIGH, NORMAL
from vneter_sdn.pipeline.registers import DENIED, LOCAL, PEER, RULE, TENANT
from vneter_sdn.policy.rule import Rule, Stage

_TABLE = {Stage.TIERED: "tiers", Stage.ISOLATION: "isolation", Stage.BASELINE: "baseline"}
_PORT = {PROTO_TCP: "tcp_dst", PROTO_UDP: "udp_dst", PROTO_SCTP: "sctp_dst"}
_STRAND_BITS = 32 - NUMBER_BITS


def _frozen(matched: Matched) -> Frozen:
    return tuple(sorted(matched.items()))


@dataclass(slots=True)
class _Clauses:
    """Clauses of the strands of one rule; equal matches are one flow."""

    about: defaultdict[tuple[Class, Frozen], list[Conjunction]] = field(
        default_factory=lambda: defaultdict(list)
    )
    """Of whom it is about, which only bridges need that have such endpoints."""
    others: defaultdict[Frozen, list[Conjunction]] = field(
        default_factory=lambda: defaultdict(list)
    )
    whole: list[tuple[Class, Frozen]] = field(default_factory=list)
    """Matches that need no conjunction."""
    ids: list[int] = field(default_factory=list)


class _Rule:
    """Writes one rule of one tenant."""

    def __init__(self, view: View, tenant: str, number: int, rule: Rule, at: Placed) -> None:
        self._view, self._rule, self._at = view, rule, at
        self._tenant, self._within = tenant, {"reg2": TENANT.match(number)}
        self._here = ("reg2", TENANT.match(number))
        self._tenant_number = number
        self._way: Direction = rule.direction
        self._table = f"{self._way}_{_TABLE[rule.stage]}"

    def parts(self, write: Writer) -> Iterator[Part]:
        """Its flows, on the bridges with endpoints that it is about."""
        found = self._strands()
        clauses = _Clauses()
        for position, strand in enumerate(found):
            self._gather(position, strand, clauses)
        at: dict[Class, frozenset[str]] = {
            one: self._view.ask(class_hosts, one) for strand in found for one in strand.applied
        }
        everywhere = frozenset().union(*at.values())
        if not everywhere:
            return
        for (one, matched), met in clauses.about.items():
            yield on(at[one], self._write(write, matched, *met))
        for one, matched in clauses.whole:
            yield on(at[one], self._decide(write, dict(matched)))
        flows = [self._write(write, matched, *met) for matched, met in clauses.others.items()]
        flows += [self._decide(write, {"conj_id": number}) for number in clauses.ids]
        yield on(everywhere, *flows, *self._verdict(write))

    def _strands(self) -> list[Strand]:
        found = strands(self._view, self._tenant, self._rule)
        about = (decided_on(self._view, self._tenant, self._rule, one.applied) for one in found)
        kept = (one._replace(applied=some) for one, some in zip(found, about, strict=True))
        return [one for one in kept if one.applied]

    def _write(self, write: Writer, matched: Frozen, *met: Conjunction) -> Flow:
        return write.again(self._table, self._at.priority, (self._here, *matched), *met)

    def _decide(self, write: Writer, matched: Matched) -> Flow:
        """What follows from a match of the whole rule."""
        where, said = f"{self._way}_verdict", self._at.number
        if self._rule.verdict == "pass":
            where = f"{self._way}_isolation"
            if self._rule.stage is Stage.BASELINE:
                denied = self._way in self._view.ask(denies, self._tenant)
                where, said = f"{self._way}_verdict", DENIED if denied else 0
        actions = () if where.endswith("isolation") else (RULE.load(said),)
        matched = {**self._within, **matched}
        return write(self._table, self._at.priority, matched, *actions, goto=where)

    def _verdict(self, write: Writer) -> Iterator[Flow]:
        """What is done with connections that it decides."""
        if self._rule.verdict == "pass":
            return
        verdict, then, number = f"{self._way}_verdict", THEN[self._way], self._at.number
        decided: Matched = {**self._within, "reg8": RULE.match(number)}
        if self._rule.verdict != "allow":
            # A refusal ends a connection by itself, and is not to be taken for one of its answers.
            cuts = self._rule.verdict == "drop"
            yield from refused(self._way, decided, write, *self._told(), cuts=cuts)
        elif not self._rule.stateful:
            yield write(verdict, NORMAL, decided, *self._told(), goto=then)
        else:
            known: Matched = {**decided, "ct_label": labelled(self._way, number)}
            yield write(verdict, HIGH, known, goto=then)
            yield write(verdict, EXCEPTION, {**decided, "ct_state": INVALID}, goto=then)
            remembered = committed(self._way, number, keep=self._rule.keep)
            for family in FAMILIES:
                ip: Matched = {**decided, "eth_type": family}
                yield write(verdict, NORMAL, ip, *self._told(), remembered, goto=then)

    def _told(self) -> tuple[Action, ...]:
        """What the controller is told of what it decided."""
        rule, refuses = self._rule, self._rule.verdict == "reject"
        if rule.verdict == "pass" or not (rule.log or refuses):
            return ()
        decided = punts.Decided(
            self._way, rule.verdict, self._tenant_number, self._at.number, refuses, rule.log
        )
        meter = punts.REJECT_METER if refuses else punts.AUDIT_METER
        length = punts.REJECT_LENGTH if refuses else punts.AUDIT_LENGTH
        return (Punt(decided.encode(), meter, length),)

    def _gather(self, position: int, strand: Strand, clauses: _Clauses) -> None:
        sets = self._sets(strand)
        about = {
            one: _frozen({"reg6": LOCAL.match(self._view.ask(identity, one))})
            for one in sorted(strand.applied)
        }
        if not sets or position >= 1 << _STRAND_BITS:
            for matched in map(_all_of, product(*sets)):
                if matched is not None:
                    clauses.whole += [(one, about[one] + matched) for one in about]
            return
        number, of = self._at.number << _STRAND_BITS | position, len(sets) + 1
        clauses.ids.append(number)
        for one, who in about.items():
            clauses.about[one, who].append(Conjunction(number, 1, of))
        for clause, some in enumerate(sets, 2):
            for one_of in some:
                clauses.others[_frozen(one_of)].append(Conjunction(number, clause, of))

    def _sets(self, strand: Strand) -> list[list[Matched]]:
        """The sets of a strand besides whom it is about, as matches of each element."""
        sets: list[list[Matched]] = []
        if strand.peers is not None:
            known = self._identities(strand.peers.classes)
            sets.append([*known, *(self._address(p) for p in strand.peers.prefixes)])
        if strand.spoken_to is not None:
            sets.append(self._identities(strand.spoken_to))
        if strand.ports is not None:
            sets.append([one for target in strand.ports for one in _target(target)])
        return sets

    def _identities(self, classes: Iterable[Class]) -> list[Matched]:
        return [{"reg7": PEER.match(self._view.ask(identity, one))} for one in sorted(classes)]

    def _address(self, prefix: IPNetwork) -> Matched:
        end = "dst" if self._way == "egress" else "src"
        four = prefix.version == 4
        name = f"{'ip' if four else 'ipv6'}_{end}"
        bounds = int(prefix.network_address), int(prefix.netmask)
        return {"eth_type": ETH_IP if four else ETH_IPV6, name: bounds}


def _all_of(matches: Iterable[Matched]) -> Frozen | None:
    """What matches all of some matches; None where two contradict each other."""
    found: Matched = {}
    for one in matches:
        if any(found.get(name, value) != value for name, value in one.items()):
            return None
        found |= one
    return _frozen(found)


def _target(target: Target) -> Iterator[Matched]:
    for family in FAMILIES:
        matched: Matched = {"eth_type": family, "ip_proto": target.protocol}
        if target.protocol in (PROTO_ICMP, PROTO_ICMPV6):
            if (target.protocol == PROTO_ICMP) != (family == ETH_IP):
                continue
            name = "icmp" if family == ETH_IP else "icmpv6"
            for word, value in (("type", target.icmp_type), ("code", target.icmp_code)):
                if value is not None:
                    matched[f"{name}_{word}"] = value
        elif target.mask:
            matched[_PORT[target.protocol]] = (target.value, target.mask)
        yield matched


def policy(view: View, key: Key, write: Writer) -> Iterator[Part]:
    """The rules of a policy, in its tenant or in all that it is for."""
    tenants = (key.tenant,) if key.tenant else sorted(one.name for one in view.keys("Tenant"))
    for tenant in tenants:
        number = view.ask(tenant_of, tenant)
        rules = rules_for(view, tenant, key) if number is not None else ()
        at = view.ask(placed, (tenant, key)) if rules else {}
        for rule in rules:
            where = at[RuleId(key, rule.direction, rule.number)]
            yield from _Rule(view, tenant, number or 0, rule, where).parts(write)


FEATURE = Feature("policy", 21, "rules of policies", {"Policy": policy, "ClusterPolicy": policy})
