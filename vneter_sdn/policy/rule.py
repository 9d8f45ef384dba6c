# SPDX-License-Identifier: Apache-2.0
"""What every policy comes down to: rules in one normal form, whatever they were written as.

::

    TIERED      first match decides: allow, drop, reject; pass goes on to ISOLATION
    ISOLATION   what no rule of this stage allows is dropped, for endpoints that are isolated
    BASELINE    first match decides; pass goes on
    then        the tenant's own default
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from vneter_sdn.model.policy_kinds import Direction, Selector, Verdict
from vneter_sdn.model.snapshot import Key

EVERY = Selector()
"""The selector of everything."""


class Stage(IntEnum):
    """The parts of a decision, in order."""

    TIERED = 0
    ISOLATION = 1
    BASELINE = 2


@dataclass(frozen=True, slots=True)
class Scope:
    """Endpoints of one tenant, by labels of theirs and of their namespaces."""

    namespaces: Selector = EVERY
    endpoints: Selector = EVERY


@dataclass(frozen=True, slots=True)
class Alike:
    """Endpoints in namespaces with the same values of some labels as that of the one it is about.

    A namespace that lacks any of them is like no other, not even like itself.
    """

    labels: tuple[str, ...]
    endpoints: Selector = EVERY
    """Among them, those with these labels."""
    differ: bool = False
    """Those of which some value is another instead; a label that is lacking is no other value."""


@dataclass(frozen=True, slots=True)
class Block:
    """Addresses: a prefix without some prefixes within it."""

    prefix: str
    excluded: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Domain:
    """Whatever a DNS name resolves to, in lower case; ``*`` stands for any characters."""

    pattern: str


Peer = Scope | Alike | Block | Domain


@dataclass(frozen=True, slots=True)
class Ports:
    """Connections by protocol and destination port, by named port, or by ICMP type and code."""

    protocol: int
    """IP protocol number."""
    first: int = 0
    last: int = 65535
    name: str = ""
    """Name of a port of the endpoint spoken to, in place of first and last."""
    icmp_type: int | None = None
    icmp_code: int | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of one policy, one way."""

    policy: Key
    direction: Direction
    number: int
    """Place among the rules of the policy in this direction, from 0."""
    stage: Stage
    order: tuple[int, float, str]
    """Tier's priority, policy's priority, policy's name; the lowest first. See `rank`."""
    verdict: Verdict
    applied: tuple[Scope, ...]
    """Whom it is about: the union; nobody when empty."""
    peers: tuple[Peer, ...] | None = None
    """The union; None: anybody, endpoint or not."""
    ports: tuple[Ports, ...] | None = None
    """The union; None: any protocol."""
    name: str = ""
    stateful: bool = True
    log: bool = False
    keep: bool = False
    """Whether established connections go on when it does not allow them any more."""
    tenants: tuple[str, ...] = ()
    """Endpoints of these tenants, applied and peers alike; of every tenant when empty."""

    @property
    def rank(self) -> tuple[int, float, str, str, int]:
        """Its place among all rules of its direction; no two of one tenant have the same."""
        return (*self.order, str(self.policy), self.number)

    def concerns(self, tenant: str) -> bool:
        """Whether it may be about endpoints of a tenant."""
        return not self.tenants or tenant in self.tenants

    @property
    def title(self) -> str:
        """``Policy red/web ingress[0]``: what people read in traces, counters and audit lines."""
        return (
            f"{self.policy} {self.direction}[{self.number}]{f' {self.name}' if self.name else ''}"
        )


@dataclass(frozen=True, slots=True)
class Isolation:
    """Endpoints that may do in one direction only what some rule of `Stage.ISOLATION` allows."""

    policy: Key
    direction: Direction
    applied: tuple[Scope, ...]
    tenants: tuple[str, ...] = ()
    """Endpoints of these tenants; of every tenant when empty."""

    @property
    def title(self) -> str:
        """``Policy red/web ingress isolation``."""
        return f"{self.policy} {self.direction} isolation"

    def concerns(self, tenant: str) -> bool:
        """Whether it may be about endpoints of a tenant."""
        return not self.tenants or tenant in self.tenants


@dataclass(frozen=True, slots=True)
class RuleBook:
    """Every rule and isolation of some policies, in the order of rank."""

    rules: tuple[Rule, ...] = ()
    isolations: tuple[Isolation, ...] = ()
