# SPDX-License-Identifier: Apache-2.0
"""Rules on policies, groups, tiers and assertions: what they are written with makes sense.

What it means is decided in `vneter_sdn.policy`; here is only what it is asked about.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from vneter_sdn.admission.draft import Draft
from vneter_sdn.errors import IntentError, Problem
from vneter_sdn.model.kinds import HostSpec
from vneter_sdn.model.policy_kinds import (
    ClusterPolicySpec,
    Direction,
    GroupSpec,
    PolicySpec,
    Selector,
    TierSpec,
)
from vneter_sdn.model.snapshot import Key, Object
from vneter_sdn.pipeline import priorities
from vneter_sdn.policy.checks import check_assertion
from vneter_sdn.policy.findings import Findings
from vneter_sdn.policy.rule import Stage
from vneter_sdn.policy.rules import group_problems, rules_of
from vneter_sdn.policy.selectors import selects
from vneter_sdn.policy.tiers import stage_of, tier_problems


class _Drafted:
    """What policies refer to, as it will be."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft

    def tier(self, name: str) -> TierSpec | None:
        """A tier of the operator's."""
        stored = self._draft.object(Key("Tier", "", name))
        return stored.spec if stored else None

    def group(self, tenant: str, name: str) -> GroupSpec | None:
        """A group of a tenant."""
        stored = self._draft.object(Key("Group", tenant, name))
        return stored.spec if stored else None

    def host_addresses(self, hosts: Selector) -> Sequence[str]:
        """Tunnel addresses of the hosts that a selector selects."""
        found: list[str] = []
        for stored in map(self._draft.object, _all(self._draft, "Host")):
            if stored and isinstance(stored.spec, HostSpec) and selects(hosts, stored.labels):
                found += stored.spec.tunnel_addresses
        return found


def _all(draft: Draft, kind: str) -> list[Key]:
    return sorted(key for key, _ in draft.lookup.members("kind", kind))


def policy_makes_rules(stored: Object, draft: Draft) -> Iterator[Problem]:
    """A policy comes down to rules. O(what it is written with, groups expanded)."""
    try:
        rules_of(stored.key, stored.spec, _Drafted(draft))
    except IntentError as error:
        yield from _besides_references(error.problems)


def rules_have_places(stored: Object, draft: Draft) -> Iterator[Problem]:
    """A tenant's rules of one stage and direction fit a table. O(policies), once for a batch."""
    if stored.key != draft.last("Policy", "ClusterPolicy"):
        return
    held: Counter[tuple[str, Stage, Direction]] = Counter()
    for key in (*_all(draft, "Policy"), *_all(draft, "ClusterPolicy")):
        found = draft.object(key)
        if found:
            spec: PolicySpec = found.spec
            tenants = spec.tenants if isinstance(spec, ClusterPolicySpec) else (key.tenant,)
            for tenant in tenants or ("",):
                held[tenant, stage_of(spec.tier), "ingress"] += len(spec.ingress)
                held[tenant, stage_of(spec.tier), "egress"] += len(spec.egress)
    for (tenant, stage, way), count in sorted(held.items()):
        total = count + (held["", stage, way] if tenant else 0)
        if total > priorities.RULES:
            whose = f"Tenant {tenant}" if tenant else "every tenant"
            text = (
                f"{whose} would have {total} {way} rules of stage {stage.name.lower()}, and there "
                f"is room for {priorities.RULES}; have one rule name several peers or ports"
            )
            yield Problem(str(stored.key), f"spec.{way}", "TooManyRules", text)


def group_well_formed(stored: Object, draft: Draft) -> Iterator[Problem]:
    """A group is well formed, and in no circle. O(groups below it)."""
    yield from _besides_references(group_problems(stored.key, stored.spec, _Drafted(draft)))


def _besides_references(problems: Sequence[Problem]) -> Iterator[Problem]:
    """Without what the rule on references reports, which knows what else is in the batch."""
    for problem in problems:
        if problem.reason not in {"UnknownReference", "UnknownTier"}:
            yield problem


def tier_has_a_place(stored: Object, draft: Draft) -> Iterator[Problem]:
    """A tier has a name and a priority of its own. O(tiers + policies)."""
    tiers = {key.name: found.spec for key in _all(draft, "Tier") if (found := draft.object(key))}
    used = {
        found.spec.tier
        for kind in ("Policy", "ClusterPolicy")
        for key in _all(draft, kind)
        if (found := draft.object(key))
    }
    others = [tier for tier in tier_problems(tiers, used) if tier.object == str(stored.key)]
    yield from others or _shared(stored, tiers)


def _shared(stored: Object, tiers: dict[str, TierSpec]) -> Iterator[Problem]:
    """The same for a tier that only comes first among those of one priority by its name."""
    for name, spec in sorted(tiers.items()):
        if name != stored.key.name and spec.priority == stored.spec.priority:
            text = f"{spec.priority} is that of Tier {name}; each tier needs its own, from 0 to 249"
            yield Problem(str(stored.key), "spec.priority", "PriorityInUse", text)
            return


def assertion_well_formed(stored: Object, _: Draft) -> Iterator[Problem]:
    """An assertion says something, by itself. O(its size)."""
    findings = Findings(str(stored.key))
    check_assertion(stored.spec, findings)
    yield from findings.problems
