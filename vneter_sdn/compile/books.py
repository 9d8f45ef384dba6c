# SPDX-License-Identifier: Apache-2.0
"""Rules of all policies that concern a tenant, and the numbers they have on bridges.

A rule has a *priority* in the table of its stage and direction, and a *number* that is committed
to connections and counted by. Numbers, and the priorities of rules that have no order among them,
are hashes of the rule: they do not depend on what other rules there are, but for the few that
collide. The priorities of ordered rules are their ranks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

from vneter_sdn.compile.facts import CLOCK, POLICIES_OF_TENANT, SELECTED_BY
from vneter_sdn.compile.query import View, query
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
    text: str
    """All it says."""


@query
def _entries(view: View, asked: tuple[str, Key]) -> tuple[_Entry, ...]:
    """Rules of a policy for a tenant."""
    return tuple(
        _Entry(which, rule.stage, rule.rank, repr(rule))
        for which, rule in view.ask(rules_by_id, asked).items()
    )


@query
def placing(view: View, tenant: str) -> Mapping[RuleId, Placed]:
    """Where every rule that concerns a tenant stands. O(rules · log rules)."""
    entries = [
        e for policy in view.ask(policies, tenant) for e in view.ask(_entries, (tenant, policy))
    ]
    span = (1 << NUMBER_BITS) - FIRST_NUMBER
    numbers = _spread(entries, lambda entry: entry.text, span)
    found: dict[RuleId, Placed] = {}
    for stage in Stage:
        for direction in ("ingress", "egress"):
            some = [e for e in entries if e.stage == stage and e.id.direction == direction]
            for entry, priority in _priorities(stage, some):
                found[entry.id] = Placed(priority, FIRST_NUMBER + numbers[entry.id])
    return found


def _priorities(stage: Stage, entries: Sequence[_Entry]) -> Iterable[tuple[_Entry, int]]:
    if stage is Stage.ISOLATION:
        # The number and the priority both tell rules apart, so the text may be the rule's name.
        places = _spread(entries, lambda entry: repr(entry.id), priorities.RULES)
        return [(entry, priorities.rule(places[entry.id])) for entry in entries]
    ranked = sorted(entries, key=lambda entry: entry.rank)
    return [(entry, priorities.rule(rank)) for rank, entry in enumerate(ranked)]


def _spread(
    entries: Iterable[_Entry], text: Callable[[_Entry], str], size: int
) -> dict[RuleId, int]:
    """A number below ``size`` for each: a hash; where that is taken, the next that is free."""
    taken: set[int] = set()
    found: dict[RuleId, int] = {}
    late: list[tuple[RuleId, int]] = []
    for entry in sorted(entries, key=lambda entry: entry.id):
        number = _hash(text(entry)) % size
        if number in taken:
            late.append((entry.id, number))
            continue
        taken.add(number)
        found[entry.id] = number
    for which, wanted in late:
        number = wanted
        while number in taken:
            number = (number + 1) % size
        taken.add(number)
        found[which] = number
    return found


@query
def tenant_rules(view: View, tenant: Key) -> Mapping[int, Rule]:
    """Rules that concern a tenant, by number."""
    at = view.ask(placing, tenant.name)
    return {
        at[which].number: rule
        for policy in view.ask(policies, tenant.name)
        for which, rule in view.ask(rules_by_id, (tenant.name, policy)).items()
    }
