# SPDX-License-Identifier: Apache-2.0
"""What DNS names stand for, as endpoints were told: facts for rules about names. Pure.

Each tenant believes what its own endpoints were answered, and nobody else. An address counts for
as long as the answer said, but `LEAST` seconds, and `KEPT` seconds more: applications use
addresses for longer than they should. What is remembered is bounded: of too many names the last
are not, and rules do not allow them; of too many addresses those that end first give way.

What is believed is reported, so that the next life of the controller begins with it: then each
address counts for `ANEW` seconds at least, since not every refreshment was reported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from math import inf

from vneter_sdn.compile.facts import RESOLVED
from vneter_sdn.compile.query import Fact
from vneter_sdn.model.instants import posix
from vneter_sdn.model.snapshot import Status
from vneter_sdn.policy.domains import matches

LEAST, KEPT, LONGEST = 30.0, 60.0, 86_400.0
"""Seconds."""
MOST_NAMES, MOST_ADDRESSES = 1000, 64
"""Of one tenant, and of one name."""
ANEW = 300.0
"""Seconds: an end that moved by less is not reported again."""


@dataclass(frozen=True, slots=True)
class NamesAnswered:
    """An endpoint of a tenant was answered: by name, addresses and their seconds."""

    tenant: str
    names: Mapping[str, Mapping[str, int]]
    host: str = ""
    """Where the endpoint is."""
    done: Callable[[bool], None] | None = field(default=None, compare=False)
    """Called once its bridge holds what follows from it: the answer is held back until then.
    With whether it had to wait for the bridge."""


Found = dict[Fact, tuple[str, ...] | None]
Ends = Mapping[str, Mapping[str, float]]
"""By name and address, until when it counts (POSIX seconds)."""


def reported_names(status: Status | None) -> Ends:
    """What the names stand for that the report about a tenant tells of."""
    reported = status.details.get("names", {}) if status else {}
    return {n: {a: posix(end) for a, end in one.items()} for n, one in reported.items()}


class Names:
    """Addresses by tenant and name, each until a time (POSIX seconds)."""

    def __init__(self) -> None:
        self._held: dict[str, dict[str, dict[str, float]]] = {}
        self._reported: dict[tuple[str, str], float] = {}
        """By tenant and name: the last end that was reported."""
        self._next = inf
        """Nothing ends before."""
        self._unreported: set[str] = set()
        self.refused = 0
        """Names and addresses that were too many."""

    def answered(self, said: NamesAnswered, patterns: Iterable[str], now: float) -> Found:
        """Take in an answer, as far as any of some patterns wants it; facts that changed."""
        wanted = tuple(patterns)
        found: Found = {}
        for name, addresses in said.names.items():
            if any(matches(pattern, name) for pattern in wanted):
                ends = {
                    address: now + min(max(seconds, LEAST), LONGEST) + KEPT
                    for address, seconds in addresses.items()
                }
                found |= self._take(said.tenant, name, ends)
        return found

    def begin(self, tenant: str, reported: Ends, now: float) -> Found:
        """Begin with what an earlier life reported; facts that changed."""
        found: Found = {}
        for name, ends in reported.items():
            kept = {address: max(end, now + ANEW) for address, end in ends.items()}
            found |= self._take(tenant, name, kept)
        return found

    def _take(self, tenant: str, name: str, ends: Mapping[str, float]) -> Found:
        held = self._held.setdefault(tenant, {})
        if name not in held and len(held) >= MOST_NAMES:
            self.refused += 1
            return {}
        known = held.setdefault(name, {})
        before = set(known)
        for address, end in ends.items():
            if address not in known and len(known) >= MOST_ADDRESSES:
                self.refused += 1
                gives_way = min(known.keys() - ends.keys(), key=known.__getitem__, default=None)
                if gives_way is None:
                    continue
                del known[gives_way]
            known[address] = max(end, known.get(address, 0.0))
            self._next = min(self._next, known[address])
        if max(known.values(), default=0.0) >= self._reported.get((tenant, name), 0.0) + ANEW:
            self._unreported.add(tenant)
        return self._fact(tenant, name) if set(known) != before else {}

    @property
    def next(self) -> float | None:
        """Before which time nothing ends; None for never. O(1)."""
        return None if self._next == inf else self._next

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
                    self._reported.pop((tenant, name), None)
                found |= self._fact(tenant, name)
        every = (
            end for held in self._held.values() for one in held.values() for end in one.values()
        )
        self._next = min(every, default=inf)
        return found

    def forget(self, tenant: str) -> Found:
        """A tenant is no more; facts that changed."""
        held = self._held.pop(tenant, {})
        self._unreported.discard(tenant)
        for name in held:
            self._reported.pop((tenant, name), None)
        return {Fact(RESOLVED, f"{tenant}/{name}"): None for name in held}

    def facts(self) -> Found:
        """All that is believed."""
        found: Found = {}
        for tenant, held in self._held.items():
            for name in held:
                found |= self._fact(tenant, name)
        return found

    def _fact(self, tenant: str, name: str) -> Found:
        known = self._held[tenant].get(name)
        self._unreported.add(tenant)
        return {Fact(RESOLVED, f"{tenant}/{name}"): tuple(sorted(known)) if known else None}

    # -- reports --------------------------------------------------------------------------------

    @property
    def unreported(self) -> frozenset[str]:
        """Tenants whose names are to be reported anew."""
        return frozenset(self._unreported)

    def report(self, tenant: str) -> Ends:
        """What a tenant believes, to be reported now."""
        held = self._held.get(tenant, {})
        self._unreported.discard(tenant)
        for name, ends in held.items():
            self._reported[tenant, name] = max(ends.values())
        return {name: dict(sorted(ends.items())) for name, ends in sorted(held.items())}


class Waiting:
    """Answers that are held back until a bridge holds what names stand for."""

    def __init__(self) -> None:
        self._changed: dict[str, int] = {}
        """By host: the epoch at which names changed its flows last."""
        self._answers: list[tuple[str, int, Callable[[bool], None]]] = []
        self._fresh: list[tuple[str, int, Callable[[bool], None]]] = []
        """Those that nobody has asked a bridge about."""

    def changed(self, hosts: Iterable[str], epoch: int) -> None:
        """Names changed the flows of some hosts."""
        self._changed.update(dict.fromkeys(hosts, epoch))

    def wait(self, said: NamesAnswered) -> None:
        """An answer was taken in, and what follows from it was told to `changed`."""
        if said.done is not None:
            self._fresh.append((said.host, self._changed.get(said.host, 0), said.done))

    def settle(self, holds: Callable[[str, int], bool]) -> None:
        """Let go of those whose host holds an epoch."""
        asked = [(True, one) for one in self._answers] + [(False, one) for one in self._fresh]
        self._answers, self._fresh = [], []
        for waited, one in asked:
            host, epoch, done = one
            if not epoch or holds(host, epoch):
                done(waited)
            else:
                self._answers.append(one)
