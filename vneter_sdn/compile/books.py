# SPDX-License-Identifier: Apache-2.0
"""Rules of all policies that concern a tenant, and the numbers they have on bridges.

A rule has a *priority* in the table of its stage and direction, and a *number* that is committed
to connections and counted by. Numbers, and the priorities of rules that have no order among them,
are hashes of what the rule is known by (`_known_by`): they do not depend on what other rules there
are, but for the few that collide, nor on what else it says.

Ordered rules have positions with room between them (`spacing`), and a rule put in between takes the
middle of its gap. Where the others are is not to be seen from the policies: what a policy's report
says (`facts.POSITIONS`) holds, also after a restart, and only what was never reported is placed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

from vneter_sdn.compile.facts import CLOCK, POLICIES_OF_TENANT, POSITIONS, SELECTED_BY
from vneter_sdn.compile.query import Database, View, query
from vneter_sdn.compile.spacing import spaced
from vneter_sdn.errors import IntentError
from vneter_sdn.model.kinds import HostSpec
from vneter_sdn.model.policy_kinds import Direction, GroupSpec, PolicySpec, Selector, TierSpec
from vneter_sdn.model.snapshot import Key
from vneter_sdn.pipeline import priorities
from vneter_sdn.policy.rule import Isolation, Rule, RuleBook, Stage
from vneter_sdn.policy.rules import rules_of
from vneter_sdn.policy.schedule import in_force
from vneter_sdn.policy.selectors import selects

NUMBER_BITS = 20
FIRST_NUMBER = 16
"""Lower numbers say what no rule does; see `pipeline.registers.RULE`."""
NOTHING = RuleBook()


class RuleId(NamedTuple):
    """Which rule of which policy."""

    policy: Key
    direction: Direction
    number: int


class Placed(NamedTuple):
    """Where a rule stands on bridges, for one tenant."""

    priority: int
    number: int


class _Seen:
    """What policies refer to, as facts; every look is recorded."""

    def __init__(self, view: View) -> None:
        self._view = view

    def tier(self, name: str) -> TierSpec | None:
        """A tier of the operator's."""
        found: TierSpec | None = self._view.get("Tier", Key("Tier", "", name))
        return found

    def group(self, tenant: str, name: str) -> GroupSpec | None:
        """A group of a tenant."""
        found: GroupSpec | None = self._view.get("Group", Key("Group", tenant, name))
        return found

    def host_addresses(self, hosts: Selector) -> Sequence[str]:
        """Tunnel addresses of the hosts that a selector selects."""
        found: list[str] = []
        for key in sorted(self._view.keys("Host")):
            spec: HostSpec = self._view.get("Host", key)
            if selects(hosts, dict(self._view.get(SELECTED_BY, key) or ())):
                found += spec.tunnel_addresses
        return found


@query
def book(view: View, policy: Key) -> RuleBook:
    """Rules and isolations of a policy, while it is in force."""
    spec: PolicySpec | None = view.get(policy.kind, policy)
    if spec is None:
        return NOTHING
    if spec.schedule:
        now = datetime.fromtimestamp(view.get(CLOCK, "") or 0.0, UTC)
        if not in_force(spec.schedule, now):
            return NOTHING
    try:
        return rules_of(policy, spec, _Seen(view))
    except IntentError:  # what it refers to is gone: admission does not let that happen
        return NOTHING


@query
def isolations(view: View, policy: Key) -> tuple[Isolation, ...]:
    """Isolations of a policy, while it is in force."""
    return view.ask(book, policy).isolations


@query
def policies(view: View, tenant: str) -> tuple[Key, ...]:
    """Policies that may concern a tenant, sorted."""
    everybody = (
        key
        for key in view.keys("ClusterPolicy")
        if tenant in (view.get("ClusterPolicy", key).tenants or (tenant,))
    )
    return tuple(sorted((*view.find(POLICIES_OF_TENANT, tenant), *everybody)))


@query
def rules_by_id(view: View, asked: tuple[str, Key]) -> Mapping[RuleId, Rule]:
    """Rules of a policy that concern a tenant."""
    tenant, policy = asked
    rules = (rule for rule in view.ask(book, policy).rules if rule.concerns(tenant))
    return {RuleId(policy, rule.direction, rule.number): rule for rule in rules}


@lru_cache(maxsize=1 << 17)
def _hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")


class _Entry(NamedTuple):
    """A rule, as far as numbering is concerned."""

    id: RuleId
    stage: Stage
    rank: tuple[int, float, str, str, int]
    hashed: int
    """Of what it is known by."""
    held: int | None
    """The position it was reported to have."""

    @property
    def title(self) -> str:
        """What a report calls it."""
        return str(self.hashed % _SPAN)


_SPAN = (1 << NUMBER_BITS) - FIRST_NUMBER


@query
def _entries(view: View, asked: tuple[str, Key]) -> tuple[_Entry, ...]:
    """Rules of a policy for a tenant."""
    tenant, policy = asked
    rules = view.ask(rules_by_id, asked)
    held = (view.get(POSITIONS, policy) or {}).get(tenant, {})
    entries = (
        _Entry(which, rules[which].stage, rules[which].rank, _hash(text), None)
        for which, text in _known_by(rules).items()
    )
    return tuple(entry._replace(held=held.get(entry.title)) for entry in entries)


def _known_by(rules: Mapping[RuleId, Rule]) -> dict[RuleId, str]:
    """What tells each rule from the others of its policy, and stays while these come and go.

    Its name; or whom it is about, and with whom; or all it says, and then how often it was said.
    """
    levels: tuple[Callable[[Rule], object], ...] = (
        lambda rule: rule.name or None,
        lambda rule: (rule.applied, rule.peers),
        lambda rule: replace(rule, number=0, order=(0, 0.0, "")),
    )
    found: dict[RuleId, str] = {}
    left = dict(rules)
    for level, said in enumerate(levels):
        texts = {
            which: repr((str(which.policy), which.direction, level, text))
            for which, rule in left.items()
            if (text := said(rule)) is not None
        }
        times = Counter(texts.values())
        found |= {which: text for which, text in texts.items() if times[text] == 1}
        left = {which: rule for which, rule in left.items() if which not in found}
    again: Counter[str] = Counter()
    for which in left:
        again[texts[which]] += 1
        found[which] = f"{texts[which]} {again[texts[which]]}"
    return {which: found[which] for which in rules}


@query
def placing(view: View, tenant: str) -> Mapping[RuleId, Placed]:
    """Where every rule that concerns a tenant stands. O(rules · log rules)."""
    entries = [
        e for policy in view.ask(policies, tenant) for e in view.ask(_entries, (tenant, policy))
    ]
    numbers = _spread({entry.id: entry.hashed for entry in entries}, _SPAN)
    tables: defaultdict[tuple[Stage, Direction], list[_Entry]] = defaultdict(list)
    for entry in entries:
        tables[entry.stage, entry.id.direction].append(entry)
    found: dict[RuleId, Placed] = {}
    for (stage, _), some in tables.items():
        for which, position in _positions(stage, some).items():
            found[which] = Placed(priorities.rule(position), FIRST_NUMBER + numbers[which])
    return found


def _positions(stage: Stage, entries: Sequence[_Entry]) -> Mapping[RuleId, int]:
    if stage is Stage.ISOLATION:
        return _spread({entry.id: entry.hashed for entry in entries}, priorities.RULES)
    ranked = sorted(entries, key=lambda entry: entry.rank)
    positions = spaced([entry.held for entry in ranked], priorities.RULES)
    return {entry.id: position for entry, position in zip(ranked, positions, strict=True)}


def _spread(hashes: Mapping[RuleId, int], size: int) -> dict[RuleId, int]:
    """A number below ``size`` for each: its hash; where that is taken, the next that is free.

    Of those that want the same one, the first has it.
    """
    holders: dict[int, RuleId] = {}
    late: list[RuleId] = []
    for which, hashed in hashes.items():
        holder = holders.setdefault(hashed % size, which)
        if holder != which:
            late.append(max(which, holder))
            holders[hashed % size] = min(which, holder)
    found = {which: number for number, which in holders.items()}
    for which in sorted(late):
        number = hashes[which] % size
        while number in holders:
            number = (number + 1) % size
        holders[number] = which
        found[which] = number
    return found


def positions_of(database: Database, tenant: str, policy: Key) -> Mapping[str, int]:
    """Positions of a policy's rules in a tenant, to be reported; of ordered ones alone."""
    at = database.value(placing, tenant) or {}
    return {
        entry.title: priorities.position(at[entry.id].priority)
        for entry in database.value(_entries, (tenant, policy)) or ()
        if entry.stage is not Stage.ISOLATION and entry.id in at
    }


@query
def tenant_rules(view: View, tenant: Key) -> Mapping[int, Rule]:
    """Rules that concern a tenant, by number."""
    at = view.ask(placing, tenant.name)
    return {
        at[which].number: rule
        for policy in view.ask(policies, tenant.name)
        for which, rule in view.ask(rules_by_id, (tenant.name, policy)).items()
    }
