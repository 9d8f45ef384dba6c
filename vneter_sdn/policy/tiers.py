# SPDX-License-Identifier: Apache-2.0
"""The order in which policies are asked: built-in tiers, and tiers of the operator's.

README.md has it as one table.
"""

from __future__ import annotations

from vneter_sdn.errors import Problem
from vneter_sdn.model.policy_kinds import TierSpec
from vneter_sdn.model.snapshot import Key
from vneter_sdn.policy.rule import Stage

KUBERNETES = "kubernetes"
"""The tier of Kubernetes' NetworkPolicies, whose policies have no order."""
BUILT_IN = {
    "emergency": 50,
    "securityops": 100,
    "networkops": 150,
    "platform": 200,
    "cluster-admin": 220,
    "application": 250,
    "admin": 251,
    KUBERNETES: 252,
    "baseline": 253,
    "baseline-admin": 254,
}
"""Priority by name; the lowest is asked first."""
LOANABLE = "cluster-admin"
"""The built-in tier whose priority is free as long as no policy is in it, as in Antrea."""


def stage_of(tier: str) -> Stage:
    """The stage that a tier belongs to."""
    if tier == KUBERNETES:
        return Stage.ISOLATION
    return Stage.BASELINE if tier in {"baseline", "baseline-admin"} else Stage.TIERED


def tier_problems(tiers: dict[str, TierSpec], used: set[str]) -> list[Problem]:
    """What is wrong with tiers, all of them.

    Args:
        tiers: by name.
        used: names of the tiers that policies are in.
    """
    taken = {
        priority: f"the built-in tier {name}"
        for name, priority in BUILT_IN.items()
        if name != LOANABLE or name in used
    }
    problems: list[Problem] = []
    for name, spec in sorted(tiers.items()):
        subject = str(Key("Tier", "", name))
        if name in BUILT_IN:
            text = f"{name} is a built-in tier (priority {BUILT_IN[name]}); choose another name"
            problems.append(Problem(subject, "metadata.name", "BuiltIn", text))
            continue
        holder = taken.setdefault(spec.priority, f"Tier {name}")
        if holder != f"Tier {name}":
            text = f"{spec.priority} is that of {holder}; each tier needs its own, from 0 to 249"
            problems.append(Problem(subject, "spec.priority", "PriorityInUse", text))
    return problems
