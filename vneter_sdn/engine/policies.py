# SPDX-License-Identifier: Apache-2.0
"""Policies, as the controller's loop sees them: since when they wait, what met them, their clock.

Conditions, besides Ready: ``Realised``, whether every bridge that should hold a policy has
confirmed that it does. Counts are by title of the rule; tenants report what was denied for want of
one, since several policies may isolate the same endpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from vneter_sdn.compile.extents import KINDS, Extent
from vneter_sdn.compile.network import Compiler, changed_flows
from vneter_sdn.engine.assertions import Assertions
from vneter_sdn.engine.names import Ends, Found, Names, NamesAnswered, Waiting, reported_names
from vneter_sdn.engine.port import AssertionsJudged
from vneter_sdn.engine.reports import NAMED, HostView, accepted, condition
from vneter_sdn.model.flow import FlowKey
from vneter_sdn.model.instants import posix, rfc3339
from vneter_sdn.model.policy_kinds import PolicySpec
from vneter_sdn.model.snapshot import Condition, Delta, Key, Pools, Snapshot
from vneter_sdn.pipeline.registers import DENIED, ISOLATED
from vneter_sdn.policy.rule import Domain, Rule
from vneter_sdn.policy.schedule import next_change
from vneter_sdn.telemetry.rules import Decision, Ledger, RulesCounted, Title, Volume

LISTED = 200
"""Rules that a policy's report counts one by one, those met first; the rest are summed up."""
REFRESHED = 50
"""Policies whose reach is looked at anew with every reading: endpoints come and go under them."""
RENAMED = 2.0
"""Seconds between two reports of what names stand for, at least."""
OTHERS = "others"
WITHOUT_RULE = {ISOLATED: "isolation", DENIED: "default"}
"""What denies for want of a rule, in words."""
Said = tuple[tuple[Condition, ...], Mapping[str, Any]]


class Policies:
    """What the controller remembers of policies."""

    def __init__(self, compiler: Compiler) -> None:
        self._compiler = compiler
        self.assertions = Assertions()
        self._ledger = Ledger()
        self._tenants: dict[int, str] = {}
        """By number."""
        self._specs: dict[Key, PolicySpec] = {}
        self._epochs: dict[Key, int] = {}
        """Epoch at which the flows of each policy, or tenant, changed last."""
        self._extents: dict[Key, Extent] = {}
        self._clock: float | None = None
        self._next: float | None = None
        """When a schedule's window begins or ends next; None for never."""
        self._turn: list[Key] = []
        self._names, self._waiting = Names(), Waiting()
        self._begun: set[str] = set()
        """Tenants whose names an earlier life reported were read."""
        self._renamed = 0.0
        self._patterns: dict[str, tuple[Mapping[int, Rule], frozenset[str]]] = {}
        """By tenant: its rules, and the names that these are about."""

    def renewed(self, compiler: Compiler) -> Policies:
        """One that knows what was counted, and nothing it concluded."""
        fresh = Policies(compiler)
        fresh.assertions = self.assertions.renewed()
        fresh._ledger, fresh._names = self._ledger, self._names
        fresh._begun = self._begun
        compiler.update(self._names.facts())
        return fresh

    # -- what is asked for ----------------------------------------------------------------------

    def take(
        self, snapshot: Snapshot, delta: Delta, now: Callable[[], str]
    ) -> Mapping[str, frozenset[FlowKey]]:
        """Take in what changed in the store; flows that changed because names came or went."""
        self.assertions.take(snapshot, delta)
        if any(pool == Pools.TENANT for pool, _ in delta.allocations):
            self._tenants = {
                int(allocation.value): allocation.owner.partition(" ")[2]
                for (pool, _), allocation in snapshot.allocations.items()
                if pool == Pools.TENANT and allocation.released is None
            }
        scheduled = False
        found: Found = {}
        for key in delta.objects:
            if key.kind == "Host" and key not in snapshot.objects:
                self._ledger.leave(key.name)
            if key.kind in KINDS:
                scheduled |= self._take_policy(snapshot, key)
            elif key.kind == "Tenant":
                if key not in snapshot.objects:
                    self._ledger.end(key)
                self._begin(snapshot, key)
                found |= self._begin_names(snapshot, key, now)
        if scheduled:
            self._set_next()
        return changed_flows(self._compiler.update(found)) if found else {}

    def _take_policy(self, snapshot: Snapshot, key: Key) -> bool:
        """Take in one; whether clocks are concerned."""
        before, stored = self._specs.pop(key, None), snapshot.objects.get(key)
        self._extents.pop(key, None)
        if stored is None:
            self._epochs.pop(key, None)
            self._ledger.end(key)
        else:
            self._specs[key] = stored.spec
            self._begin(snapshot, key)
            self._ledger.end(key, kept=_titles(key, stored.spec))
        return bool((before and before.schedule) or (stored and stored.spec.schedule))

    def _begin(self, snapshot: Snapshot, key: Key) -> None:
        status = snapshot.statuses.get(key)
        counted = status.details.get("counters", {}) if status else {}
        for text, one in counted.items():
            reported = Volume(
                int(one.get("connections", 0)), int(one["packets"]), int(one["bytes"])
            )
            if text != OTHERS:
                self._ledger.begin(Title(key, text), reported)

    def _begin_names(self, snapshot: Snapshot, key: Key, now: Callable[[], str]) -> Found:
        """Names of a tenant that came, or went; facts that changed."""
        if key not in snapshot.objects:
            self._begun.discard(key.name)
            return self._names.forget(key.name)
        if key.name in self._begun:
            return {}
        self._begun.add(key.name)
        reported = reported_names(snapshot.statuses.get(key))
        return self._names.begin(key.name, reported, posix(now())) if reported else {}

    # -- the clock ------------------------------------------------------------------------------

    def due(self, now: Callable[[], str]) -> bool:
        """Whether a window of a schedule or a name began or ended, or names are to be reported."""
        report = self._renamed + RENAMED if self._names.unreported else None
        instants = (self._next, self._names.next, report)
        return any(one is not None and one <= posix(now()) for one in instants)

    def advance(self, now: Callable[[], str]) -> Mapping[str, frozenset[FlowKey]]:
        """The clock is set; flows that changed because names ended, by host."""
        self._clock = posix(now())
        self._set_next()
        ended = self._names.ended(self._clock)
        return changed_flows(self._compiler.update(ended)) if ended else {}

    def named(
        self, said: NamesAnswered, now: Callable[[], str]
    ) -> Mapping[str, frozenset[FlowKey]]:
        """Somebody was answered what names stand for; flows that changed, by host."""
        found = self._names.answered(said, self.wanted(said.tenant), posix(now()))
        return changed_flows(self._compiler.update(found)) if found else {}

    def answered(self, said: NamesAnswered, hosts: Iterable[str], epoch: int) -> None:
        """What followed from an answer was told to some hosts at an epoch."""
        self._waiting.changed(hosts, epoch)
        self._waiting.wait(said)

    def settle(self, views: Mapping[str, HostView], now: Callable[[], str]) -> frozenset[Key]:
        """Let go of answers whose host holds what follows from them.

        Returns:
            Tenants whose reports are to say what names stand for now.
        """
        nobody = HostView()
        self._waiting.settle(lambda host, epoch: views.get(host, nobody).holds(epoch))
        if not self._names.unreported or posix(now()) < self._renamed + RENAMED:
            return frozenset()
        self._renamed = posix(now())
        return frozenset(Key("Tenant", "", name) for name in self._names.unreported)

    @property
    def refused(self) -> int:
        """Names and addresses that were too many."""
        return self._names.refused

    def wanted(self, tenant: str) -> frozenset[str]:
        """Names that rules of a tenant are about. O(1) unless the rules changed."""
        rules = self._compiler.rules(tenant)
        known = self._patterns.get(tenant)
        if known is None or known[0] is not rules:
            peers = (peer for rule in rules.values() for peer in rule.peers or ())
            names = frozenset(peer.pattern for peer in peers if isinstance(peer, Domain))
            known = self._patterns[tenant] = rules, names
        return known[1]

    def _set_next(self) -> None:
        schedules = [spec.schedule for spec in self._specs.values() if spec.schedule]
        if self._clock is None:
            self._next = 0.0 if schedules else None
            return
        since = datetime.fromtimestamp(self._clock, UTC)
        found = (next_change(schedule, since) for schedule in schedules)
        self._next = min((one.timestamp() for one in found if one is not None), default=None)

    # -- what was counted -----------------------------------------------------------------------

    def seen(self, event: RulesCounted | AssertionsJudged) -> frozenset[Key]:
        """Take in what was counted or found out; the objects whose reports may have to change."""
        if isinstance(event, AssertionsJudged):
            return self.assertions.judged(event)
        return self.counted(event)

    def counted(self, seen: RulesCounted) -> frozenset[Key]:
        """Take in what a bridge counted; the objects whose reports may have to change."""
        decisions = {reading.decision for reading in seen.readings}
        titles = {decision: self._title(decision) for decision in decisions}
        return self._ledger.counted(seen, titles) | self._refreshed()

    def _title(self, decision: Decision) -> Title | None:
        tenant = self._tenants.get(decision.tenant)
        if tenant is None:
            return None
        why = WITHOUT_RULE.get(decision.rule)
        if why is not None:
            return Title(Key("Tenant", "", tenant), f"{decision.way} {why}")
        rule = self._compiler.rules(tenant).get(decision.rule)
        return None if rule is None else Title(rule.policy, rule.title)

    def _refreshed(self) -> frozenset[Key]:
        """Some of the policies, whose reach is to be looked at anew."""
        if not self._turn:
            self._turn = sorted(self._specs)
        some, self._turn = self._turn[:REFRESHED], self._turn[REFRESHED:]
        for key in some:
            self._extents.pop(key, None)
        return frozenset(some)

    def rules(self, tenant: str) -> Mapping[int, Rule]:
        """Rules that concern a tenant, by number."""
        return self._compiler.rules(tenant)

    def totals(self) -> Mapping[Title, Volume]:
        """What was counted, by title."""
        return self._ledger.everything()

    # -- reports --------------------------------------------------------------------------------

    def touched(self, keys: Iterable[Key], epoch: int) -> frozenset[Key]:
        """Flows of these policies, and of isolation in these tenants, changed at an epoch."""
        found: set[Key] = set()
        for key in keys:
            self._epochs[key] = epoch
            if key.kind == "Tenant":
                found |= {
                    one for one, spec in self._specs.items() if self._isolates(one, spec, key)
                }
            else:
                found.add(key)
        for key in found:
            self._extents.pop(key, None)
        return frozenset(found)

    @staticmethod
    def _isolates(policy: Key, spec: PolicySpec, tenant: Key) -> bool:
        return bool(spec.isolates) and policy.tenant in ("", tenant.name)

    def on(self, host: str) -> frozenset[Key]:
        """Policies that a host's bridge holds, as far as was looked at."""
        return frozenset(key for key, extent in self._extents.items() if host in extent.hosts)

    def awaited(self, key: Key, views: Mapping[str, HostView]) -> tuple[str, ...]:
        """Hosts to look at a policy again for when they move."""
        return tuple(self._lagging(key, views)[:NAMED]) if key in self._specs else ()

    def said(self, key: Key, views: Mapping[str, HostView]) -> Said | None:
        """Conditions and details of a policy, tenant or assertion; None for others."""
        if key.kind == "Assertion":
            return self.assertions.said(key)
        if key.kind == "Tenant":
            totals, names = self._ledger.totals(key), self._names.report(key.name)
            told: dict[str, Any] = {"counters": _listed(totals)} if totals else {}
            return accepted(), told | ({"names": _ends(names)} if names else {})
        if key not in self._specs:
            return None
        extent, lagging = self._extent(key), self._lagging(key, views)
        if lagging:
            more = " and others" if len(lagging) > NAMED else ""
            message = f"waiting for {', '.join(lagging[:NAMED])}{more}"
            realised = condition("Realised", False, "Programming", message)
        elif not extent.in_force:
            realised = condition("Realised", True, "NotInForce", "it says nothing now")
        elif not extent.hosts:
            realised = condition("Realised", True, "NoEndpoints", "it is about nobody who is here")
        else:
            realised = condition("Realised", True, "Confirmed", f"{len(extent.hosts)} bridges")
        return (*accepted(), realised), self._details(key, extent)

    def _extent(self, key: Key) -> Extent:
        if key not in self._extents:
            self._extents[key] = self._compiler.extent(key, self._about(key))
        return self._extents[key]

    def _about(self, key: Key) -> tuple[str, ...]:
        """Tenants that a policy may be about."""
        return (key.tenant,) if key.tenant else tuple(self._tenants.values())

    def _lagging(self, key: Key, views: Mapping[str, HostView]) -> list[str]:
        """Hosts whose bridges should hold a policy and have not said so; sorted."""
        epoch = self._epochs.get(key, 0)
        if self._specs[key].isolates:
            shared = (self._epochs.get(Key("Tenant", "", one), 0) for one in self._about(key))
            epoch = max(epoch, *shared, 0)
        nobody = HostView()
        hosts = self._extent(key).hosts
        return sorted(host for host in hosts if not views.get(host, nobody).holds(epoch))

    def _details(self, key: Key, extent: Extent) -> Mapping[str, Any]:
        found: dict[str, Any] = {
            "endpoints": extent.endpoints,
            "rules": extent.rules,
            "flows": extent.flows,
            "bridges": len(extent.hosts),
        }
        totals = self._ledger.totals(key)
        found |= {"counters": _listed(totals)} if totals else {}
        positions = self._compiler.positions(key, self._about(key))
        return found | ({"positions": positions} if positions else {})


def _titles(policy: Key, spec: PolicySpec) -> Iterator[str]:
    """Titles of the rules that a policy has, in force or not, as `Rule.title` has them."""
    for way, rules in (("ingress", spec.ingress), ("egress", spec.egress)):
        for number, rule in enumerate(rules):
            yield f"{policy} {way}[{number}]{f' {rule.name}' if rule.name else ''}"


def _listed(totals: Mapping[str, Volume]) -> dict[str, Any]:
    """Those met most first, as far as there is room; then sorted by title."""
    ranked = sorted(totals, key=lambda text: (-totals[text].packets, text))
    found = {text: _volume(totals[text]) for text in sorted(ranked[:LISTED])}
    rest = Volume()
    for text in ranked[LISTED:]:
        rest = rest.plus(totals[text])
    return found | ({OTHERS: _volume(rest)} if any(rest) else {})


def _ends(names: Ends) -> dict[str, dict[str, str]]:
    return {name: {a: rfc3339(end) for a, end in one.items()} for name, one in names.items()}


def _volume(one: Volume) -> dict[str, int]:
    return {"connections": one.connections, "packets": one.packets, "bytes": one.octets}
