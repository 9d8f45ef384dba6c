# SPDX-License-Identifier: Apache-2.0
"""What DNS names stand for, as endpoints were told: facts for rules about names. Pure.

Each tenant believes what its own endpoints were answered, and nobody else. An address counts for
as long as the answer said, but `LEAST` seconds, and `KEPT` seconds more: applications use
addresses for longer than they should. What is remembered is bounded; what would be too much is
not, and rules do not allow it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from vneter_sdn.compile.facts import RESOLVED
from vneter_sdn.compile.query import Fact
from vneter_sdn.policy.domains import matches

LEAST, KEPT, LONGEST = 30.0, 60.0, 86_400.0
"""Seconds."""
MOST_NAMES, MOST_ADDRESSES = 1000, 64
"""Of one tenant, and of one name."""


@dataclass(frozen=True, slots=True)
class NamesAnswered:
    """An endpoint of a tenant was answered: by name, addresses and their seconds."""

    tenant: str
    names: Mapping[str, Mapping[str, int]]


Found = dict[Fact, tuple[str, ...] | None]


class Names:
    """Addresses by tenant and name, each until a time (POSIX seconds)."""

    def __init__(self) -> None:
        self._held: dict[str, dict[str, dict[str, float]]] = {}
        self.refused = 0
        """Names and addresses that were too many."""

    def answered(self, said: NamesAnswered, patterns: Iterable[str], now: float) -> Found:
        """Take in an answer, as far as any of some patterns wants it; facts that changed."""
        wanted = tuple(patterns)
        found: Found = {}
        held = self._held.setdefault(said.tenant, {})
        for name, addresses in said.names.items():
            if not any(matches(pattern, name) for pattern in wanted):
                continue
            if name not in held and len(held) >= MOST_NAMES:
                self.refused += 1
                continue
            known = held.setdefault(name, {})
            before = set(known)
            for address, seconds in addresses.items():
                if address in known or len(known) < MOST_ADDRESSES:
                    until = now + min(max(seconds, LEAST), LONGEST) + KEPT
                    known[address] = max(until, known.get(address, 0.0))
                else:
                    self.refused += 1
            if set(known) != before:
                found |= self._fact(said.tenant, name)
        return found

    @property
    def next(self) -> float | None:
        """When something ends next; None for never."""
        ends = (
            end for held in self._held.values() for one in held.values() for end in one.values()
        )
        return min(ends, default=None)

    def ended(self, now: float) -> Found:
        """Forget what has ended; facts that changed."""
        found: Found = {}
        for tenant, held in self._held.items():
            for name in [n for n, one in held.items() if min(one.values()) <= now]:
                left = {address: end for address, end in held[name].items() if end > now}
                if left:
                    held[name] = left
                else:
                    del held[name]
                found |= self._fact(tenant, name)
        return found

    def facts(self) -> Found:
        """All that is believed."""
        found: Found = {}
        for tenant, held in self._held.items():
            for name in held:
                found |= self._fact(tenant, name)
        return found

    def _fact(self, tenant: str, name: str) -> Found:
        known = self._held[tenant].get(name)
        return {Fact(RESOLVED, f"{tenant}/{name}"): tuple(sorted(known)) if known else None}
