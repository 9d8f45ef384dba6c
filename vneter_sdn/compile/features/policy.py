# SPDX-License-Identifier: Apache-2.0
"""The rules of policies, where endpoints are that they are about.

A rule is one conjunctive match: identities that it is about, identities or addresses at the other
end, ports. That costs the sum of its sets, not their product, and only bridges with an endpoint
that it is about hold it. What it decides is done, and counted, in the verdict table; what somebody
has to be told of goes to the controller from there, under a meter.

Where classes come into a rule's sets or leave them, only their flows are written: a label that
nobody had may concern hundreds of rules of hundreds of flows each. So what was written is kept,
and compared with what there is to write, set by set.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product, zip_longest
from types import MappingProxyType
from typing import NamedTuple

from vneter_sdn.compile.books import NUMBER_BITS, Placed, RuleId, placing, rules_by_id
from vneter_sdn.compile.classes import Class, collisions, number_of
from vneter_sdn.compile.features.named import addresses, all_of, targets
from vneter_sdn.compile.features.pin import FAMILIES
from vneter_sdn.compile.features.police import (
    INVALID,
    THEN,
    committed,
    labelled,
    refused,
)
from vneter_sdn.compile.features.unit import Feature, Frozen, Matched, Part, Parts, Writer, on
from vneter_sdn.compile.membership import scopes, stationed
from vneter_sdn.compile.policing import decided_on, denies
from vneter_sdn.compile.queries import tenant_of
from vneter_sdn.compile.query import View, query
from vneter_sdn.compile.strands import Strand, strands
from vneter_sdn.model.flow import Action, Conjunction, Flow, Punt
from vneter_sdn.model.policy_kinds import Direction, Verdict
from vneter_sdn.model.snapshot import Key
from vneter_sdn.pipeline import punts
from vneter_sdn.pipeline.priorities import EXCEPTION, HIGH, NORMAL
from vneter_sdn.pipeline.registers import DENIED, LOCAL, PEER, RULE, TENANT
from vneter_sdn.policy.rule import Stage

ID = 21
"""Of the feature, in cookies."""
_TABLE = {Stage.TIERED: "tiers", Stage.ISOLATION: "isolation", Stage.BASELINE: "baseline"}
_STRAND_BITS = 32 - NUMBER_BITS
_NOBODY: frozenset[Class] = frozenset()
_FEW, _SHEAVES = 32, 16
"""So many flows of classes at the other end are one sheaf; more of them are so many sheaves."""
_NOTHING = Part(frozenset())


class _Line(NamedTuple):
    """One strand, as flows have it. Clause 1 is whom it is about; 0 stands for no such clause."""

    id: int = 0
    """Of the conjunction; 0 where there is none."""
    of: int = 0
    peers_clause: int = 0
    spoken_clause: int = 0
    whole: tuple[Frozen, ...] = ()
    """Matches that need no conjunction, besides whom it is about."""
    about: frozenset[Class] = _NOBODY
    peers: frozenset[Class] = _NOBODY
    spoken_to: frozenset[Class] = _NOBODY
    fixed: tuple[tuple[int, tuple[Frozen, ...]], ...] = ()
    """Clauses that no class is in: addresses, ports."""

    @property
    def form(self) -> tuple[object, ...]:
        """What flows of its classes depend on."""
        return self[:5]


class _Basis(NamedTuple):
    """What all flows of a rule depend on."""

    tenant: int
    """Its number."""
    way: Direction
    stage: Stage
    at: Placed
    salted: Mapping[Class, int]
    """Identities that are not just hashes."""


class _Closing(NamedTuple):
    """What follows from a match of the whole rule."""

    verdict: Verdict
    stateful: bool
    log: bool
    keep: bool
    denied: bool
    """Whether the tenant drops what passes the baseline."""


@dataclass(frozen=True, slots=True, eq=False)
class Written:
    """The flows of a rule, and what they follow from."""

    basis: _Basis
    closing: _Closing
    lines: tuple[_Line, ...] = ()
    at: Mapping[Class, frozenset[str]] = field(default_factory=dict)
    """Hosts of the classes it is about."""
    about: Mapping[Class, Part] = field(default_factory=dict)
    everywhere: frozenset[str] = frozenset()
    """Hosts of all of them."""
    peers: tuple[Mapping[Class, Flow], ...] = (MappingProxyType({}),)
    """Of classes at the other end, in sheaves."""
    sheaves: Parts = ()
    """The same as parts; not empty where something was written."""
    fixed: tuple[Flow, ...] = ()
    """Clauses that no class is in."""
    closed: tuple[Flow, ...] = ()
    """What is done with what matches all of it."""
    rest: Part = _NOTHING
    """The two above."""
    parts: Parts = ()


@query
def written(view: View, asked: tuple[str, RuleId]) -> Written | None:
    """A rule in a tenant. O(what it is written with, and classes that come or go)."""
    tenant, which = asked
    rule = view.entry(rules_by_id, (tenant, which.policy), which)
    at, number = view.entry(placing, tenant, which), view.ask(tenant_of, tenant)
    if rule is None or at is None or number is None:
        return None
    denied = rule.verdict == "pass" and rule.direction in view.ask(denies, tenant)
    basis = _Basis(number, rule.direction, rule.stage, at, view.ask(collisions, tenant))
    closing = _Closing(rule.verdict, rule.stateful, rule.log, rule.keep, denied)
    found = [
        strand._replace(applied=some)
        for strand in strands(view, tenant, rule)
        if (some := decided_on(view, tenant, rule, strand.applied))
    ]
    lines = tuple(_line(basis, position, one) for position, one in enumerate(found))
    places = view.ask(stationed, (tenant, scopes(rule.applied))) if lines else {}
    before: Written | None = view.before
    if before is None or before.basis != basis:
        before = Written(basis, closing)
    return _Scribe(basis, closing, Writer.of(ID, which.policy)).written(before, lines, places)


def _line(basis: _Basis, position: int, strand: Strand) -> _Line:
    peers, spoken_to, ports = strand.peers, strand.spoken_to, strand.ports
    fixed = {
        1: () if peers is None else addresses(basis.way, peers.prefixes),
        2: () if ports is None else targets(ports),
    }
    of = 1 + sum(one is not None for one in (peers, spoken_to, ports))
    if of == 1 or position >= 1 << _STRAND_BITS:
        return _Line(whole=_products(basis, strand), about=strand.applied)
    spoken_clause = 0 if spoken_to is None else 2 + (peers is not None)
    return _Line(
        basis.at.number << _STRAND_BITS | position,
        of,
        0 if peers is None else 2,
        spoken_clause,
        about=strand.applied,
        peers=_NOBODY if peers is None else peers.classes,
        spoken_to=spoken_to or _NOBODY,
        fixed=tuple((clause, some) for clause, some in ((2, fixed[1]), (of, fixed[2])) if some),
    )


def _products(basis: _Basis, strand: Strand) -> tuple[Frozen, ...]:
    """All combinations of a strand's sets, besides whom it is about."""
    sets: list[tuple[Frozen, ...]] = []
    if strand.peers is not None:
        known = _identities(basis, strand.peers.classes)
        sets.append((*known, *addresses(basis.way, strand.peers.prefixes)))
    if strand.spoken_to is not None:
        sets.append(_identities(basis, strand.spoken_to))
    if strand.ports is not None:
        sets.append(targets(strand.ports))
    return tuple(one for one in map(all_of, product(*sets)) if one is not None)


def _identities(basis: _Basis, classes: Iterable[Class]) -> tuple[Frozen, ...]:
    return tuple(_known(basis, one) for one in sorted(classes))


def _known(basis: _Basis, one: Class) -> Frozen:
    return (("reg7", PEER.match(number_of(basis.salted, one))),)


def _touched(old: Iterable[_Line], new: Iterable[_Line]) -> tuple[set[Class], set[Class]]:
    """Classes it is about, and those at the other end, whose flows may be others now."""
    about: set[Class] = set()
    peers: set[Class] = set()
    for was, now in zip_longest(old, new, fillvalue=_Line()):
        if was.form == now.form:
            about |= was.about ^ now.about
            peers |= (was.peers ^ now.peers) | (was.spoken_to ^ now.spoken_to)
        else:
            about |= was.about | now.about
            peers |= was.peers | now.peers | was.spoken_to | now.spoken_to
    return about, peers


def _sheaves(
    before: Written, peers: Iterable[Mapping[Class, Flow]], everywhere: frozenset[str]
) -> Iterator[Part]:
    """Sheaves of flows as parts, the very same where nothing changed."""
    held = {id(some): part for some, part in zip(before.peers, before.sheaves, strict=False)}
    for some in peers:
        part = held.get(id(some)) or Part(everywhere, tuple(some.values()))
        yield part if part.hosts is everywhere else Part(everywhere, part.flows)


class _Scribe:
    """Writes the flows of one rule of one tenant."""

    def __init__(self, basis: _Basis, closing: _Closing, write: Writer) -> None:
        self._basis, self._closing, self._new = basis, closing, write
        self._within: Matched = {"reg2": TENANT.match(basis.tenant)}
        self._way = basis.way
        self._table = f"{basis.way}_{_TABLE[basis.stage]}"

    def written(
        self, before: Written, lines: tuple[_Line, ...], at: Mapping[Class, frozenset[str]]
    ) -> Written:
        """All of it, with what stays of before; that itself where nothing changed."""
        closes = before.closing != self._closing
        touched, met = _touched(before.lines, lines)
        if before.at is not at:
            touched |= {one for one, hosts in at.items() if before.at.get(one) != hosts}
        if closes:
            touched |= before.about.keys()
        forms = [(line.form, line.fixed) for line in lines]
        same = forms == [(line.form, line.fixed) for line in before.lines]
        if same and not (touched or met or closes) and before.parts:
            return before
        about, everywhere = before.about, before.everywhere
        if touched:
            about = self._placed(before, lines, at, touched)
            hosts = frozenset().union(*(part.hosts for part in about.values()))
            everywhere = everywhere if hosts == everywhere else hosts
        peers = self._met(before.peers, lines, met) if met else before.peers
        sheaves = tuple(_sheaves(before, peers, everywhere))
        fixed = before.fixed if same else self._fixed(before.fixed, lines)
        closed = before.closed if same and not closes else tuple(self._closed(lines))
        rest = before.rest
        if rest.hosts is not everywhere or rest.flows != (*fixed, *closed):
            rest = Part(everywhere, (*fixed, *closed))
        parts = (*about.values(), *sheaves, rest)
        left = about, everywhere, peers, sheaves, fixed, closed, rest, parts
        return Written(self._basis, self._closing, lines, at, *left)

    def _placed(
        self,
        before: Written,
        lines: Iterable[_Line],
        at: Mapping[Class, frozenset[str]],
        touched: Iterable[Class],
    ) -> Mapping[Class, Part]:
        """Flows of the classes that it is about, where those are."""
        found = dict(before.about)
        for one in touched:
            found.pop(one, None)
            if flows := tuple(self._about(one, lines)):
                found[one] = on(at[one], *flows)
        return found

    def _met(
        self, before: Sequence[Mapping[Class, Flow]], lines: Iterable[_Line], met: Iterable[Class]
    ) -> tuple[Mapping[Class, Flow], ...]:
        """Clauses of classes at the other end; sheaves in which nothing changes are the same."""
        held = {
            number: dict(before[number]) for number in {self._sheaf(one, before) for one in met}
        }
        for one in met:
            some = held[self._sheaf(one, before)]
            some.pop(one, None)
            if clauses := tuple(_clauses(one, lines)):
                some[one] = self._clause(_known(self._basis, one), *clauses)
        found = tuple(held.get(number, some) for number, some in enumerate(before))
        wanted = _SHEAVES if sum(map(len, found)) > _FEW else 1
        if len(found) == wanted:
            return found
        sheaves: tuple[dict[Class, Flow], ...] = tuple({} for _ in range(wanted))
        for one, flow in ((one, flow) for some in found for one, flow in some.items()):
            sheaves[self._sheaf(one, sheaves)][one] = flow
        return sheaves

    def _sheaf(self, one: Class, among: Sequence[object]) -> int:
        return number_of(self._basis.salted, one) % len(among)

    def _about(self, one: Class, lines: Iterable[_Line]) -> Iterator[Flow]:
        """Flows of a class that it is about."""
        mine = [line for line in lines if one in line.about]
        who = ("reg6", LOCAL.match(number_of(self._basis.salted, one)))
        met = [Conjunction(line.id, 1, line.of) for line in mine if line.of]
        if met:
            yield self._clause((who,), *met)
        for matched in dict.fromkeys(matched for line in mine for matched in line.whole):
            yield self._decide(dict([who, *matched]))

    def _fixed(self, before: Iterable[Flow], lines: Iterable[_Line]) -> tuple[Flow, ...]:
        """Clauses that no class is in; those that stay are the very same."""
        clauses: defaultdict[Frozen, list[Conjunction]] = defaultdict(list)
        for line in lines:
            for clause, some in line.fixed:
                for matched in some:
                    clauses[matched].append(Conjunction(line.id, clause, line.of))
        held = {flow.key: flow for flow in before}
        made = (self._clause(matched, *met) for matched, met in clauses.items())
        return tuple(old if (old := held.get(flow.key)) == flow else flow for flow in made)

    def _closed(self, lines: Iterable[_Line]) -> Iterator[Flow]:
        for line in lines:
            if line.of:
                yield self._decide({"conj_id": line.id})
        yield from self._verdict()

    def _clause(self, matched: Frozen, *met: Conjunction) -> Flow:
        within: Matched = {**self._within, **dict(matched)}
        return self._new(self._table, self._basis.at.priority, within, *met)

    def _decide(self, matched: Matched) -> Flow:
        """What follows from a match of the whole rule."""
        where, said = f"{self._way}_verdict", self._basis.at.number
        if self._closing.verdict == "pass":
            where = f"{self._way}_isolation"
            if self._basis.stage is Stage.BASELINE:
                where, said = f"{self._way}_verdict", DENIED if self._closing.denied else 0
        actions = () if where.endswith("isolation") else (RULE.load(said),)
        matched = {**self._within, **matched}
        return self._new(self._table, self._basis.at.priority, matched, *actions, goto=where)

    def _verdict(self) -> Iterator[Flow]:
        """What is done with connections that it decides."""
        rule, write, number = self._closing, self._new, self._basis.at.number
        if rule.verdict == "pass":
            return
        verdict, then = f"{self._way}_verdict", THEN[self._way]
        decided: Matched = {**self._within, "reg8": RULE.match(number)}
        if rule.verdict != "allow":
            # A refusal ends a connection by itself, and is not to be taken for one of its answers.
            cuts = rule.verdict == "drop"
            yield from refused(self._way, decided, write, *self._told(), cuts=cuts)
        elif not rule.stateful:
            yield write(verdict, NORMAL, decided, *self._told(), goto=then)
        else:
            known: Matched = {**decided, "ct_label": labelled(self._way, number)}
            yield write(verdict, HIGH, known, goto=then)
            yield write(verdict, EXCEPTION, {**decided, "ct_state": INVALID}, goto=then)
            remembered = committed(self._way, number, keep=rule.keep)
            for family in FAMILIES:
                ip: Matched = {**decided, "eth_type": family}
                yield write(verdict, NORMAL, ip, *self._told(), remembered, goto=then)

    def _told(self) -> tuple[Action, ...]:
        """What the controller is told of what it decided."""
        rule, refuses = self._closing, self._closing.verdict == "reject"
        if not (rule.log or refuses):
            return ()
        number = self._basis.at.number
        decided = punts.Decided(
            self._way, rule.verdict, self._basis.tenant, number, refuses, rule.log
        )
        meter = punts.REJECT_METER if refuses else punts.AUDIT_METER
        length = punts.REJECT_LENGTH if refuses else punts.AUDIT_LENGTH
        return (Punt(decided.encode(), meter, length),)


def _clauses(one: Class, lines: Iterable[_Line]) -> Iterator[Conjunction]:
    """Clauses that a class at the other end is in."""
    for line in lines:
        if one in line.peers:
            yield Conjunction(line.id, line.peers_clause, line.of)
        if one in line.spoken_to:
            yield Conjunction(line.id, line.spoken_clause, line.of)


def policy(view: View, key: Key, write: Writer) -> Iterator[Part]:
    """The rules of a policy, in its tenant or in all that it is for."""
    tenants = (key.tenant,) if key.tenant else sorted(one.name for one in view.keys("Tenant"))
    for tenant in tenants:
        for which in view.ask(rules_by_id, (tenant, key)):
            rule = view.ask(written, (tenant, which))
            yield from rule.parts if rule is not None else ()


FEATURE = Feature("policy", ID, "rules of policies", {"Policy": policy, "ClusterPolicy": policy})
