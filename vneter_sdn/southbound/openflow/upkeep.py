# SPDX-License-Identifier: Apache-2.0
"""Keeping one bridge as it should be, without sockets and clocks.

Shared by the real bridges and by their twin in memory: what is done when (read back, diff, hold,
send, retry, audit) is decided here, from values.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from math import inf
from typing import Protocol

from vneter_sdn.errors import PipelineError
from vneter_sdn.model.flow import BridgeState, Flow, FlowKey
from vneter_sdn.reconcile.apply import apply
from vneter_sdn.reconcile.diff import diff, plan_delta
from vneter_sdn.reconcile.guard import ShrinkHeld, guard
from vneter_sdn.reconcile.plan import BridgePlan, Changed, Observed, Step
from vneter_sdn.reconcile.renewal import in_an_era, renewing
from vneter_sdn.southbound.openflow.quarantine import Culprit, Quarantine

FIRST_BACKOFF, LAST_BACKOFF = 1.0, 60.0
"""Seconds between tries of a plan that is refused."""


@dataclass(frozen=True, slots=True)
class DesiredBridge:
    """What a bridge should hold."""

    state: BridgeState
    revision: int
    """Revision of the intent it was compiled from."""
    changed: Changed | None = None
    """Keys of flows in which it differs from the last one given for this bridge; None when not
    known. Groups and meters are few and are compared in any case."""
    forced: bool = False
    """The intent is known to be good although it shrank: the shrink guard lets it pass."""
    epoch: int = 0
    """The caller's own number for this wish; reports carry it back."""
    renews: bool | None = False
    """Whether the bridge has to be made to forget at each change (`vneter_sdn.pipeline.eras`);
    None when not known: as before, then."""


@dataclass(frozen=True, slots=True)
class InSync:
    """The bridge confirmed everything of a revision (barrier), or already had it."""

    dpid: int
    revision: int
    plan: BridgePlan
    epoch: int = 0


@dataclass(frozen=True, slots=True)
class Refused:
    """The bridge refused a plan; nothing of its bundle was applied. It will be tried again."""

    dpid: int
    revision: int
    kind: int
    code: int
    step: Step | None
    what: str
    retry_in: float
    """Seconds; infinite when only another wish can help."""
    epoch: int = 0
    going_on: bool = False
    """Whether the rest is sent at once, without whoever asked for the step."""


@dataclass(frozen=True, slots=True)
class Quarantined:
    """The bridge confirmed everything of a revision but what some objects asked for."""

    dpid: int
    revision: int
    culprits: tuple[Culprit, ...]
    retry_in: float
    """Seconds until they are tried again."""
    epoch: int = 0


@dataclass(frozen=True, slots=True)
class Blocked:
    """Flows left out because a foreign flow holds their place."""

    dpid: int
    flows: tuple[Flow, ...]


@dataclass(frozen=True, slots=True)
class Held:
    """A plan the shrink guard did not let through."""

    dpid: int
    reason: ShrinkHeld


@dataclass(frozen=True, slots=True)
class Drifted:
    """An audit found, and now repairs, changes made behind our back."""

    dpid: int
    plan: BridgePlan


Report = InSync | Refused | Quarantined | Blocked | Held | Drifted


class Doing(Enum):
    """What is under way on the bridge."""

    AWAY = "away"
    READING = "reading"
    SENDING = "sending"
    RESTING = "resting"


class Wire(Protocol):
    """What upkeep asks of a connection; both start something whose end is told to upkeep."""

    def read_back(self) -> None:
        """Read everything the bridge holds; `Upkeep.seen` follows."""

    def send_plan(self, plan_id: int, plan: BridgePlan) -> None:
        """Carry out a plan; `Upkeep.confirmed` or `Upkeep.rejected` follows."""


class Upkeep:
    """One bridge: what it should hold, what it holds, and what is under way."""

    def __init__(
        self, dpid: int, report: Callable[[Report], None], audit: float = 0.0, confirmed: int = 0
    ) -> None:
        self.dpid = dpid
        self.doing = Doing.AWAY
        self.desired: DesiredBridge | None = None
        self.observed: Observed | None = None
        self.revision = confirmed
        """Revision last confirmed; 0 for none."""
        self.suspect = False
        """Whether what is desired is of a database that went back."""
        self._report, self._audit = report, audit
        self._wire: Wire | None = None
        self._due = False
        self._whole = True
        self._pending = Changed()
        self._plan = BridgePlan()
        self._plan_id = 0
        self._sent = DesiredBridge(BridgeState(), 0)
        self._failures = 0
        self._tried_at = -inf
        self._retry_at: float | None = None
        self._paused_until = -inf
        self._quarantine = Quarantine()
        self._release_at = inf
        self._audit_at = inf
        self._auditing = False
        self._blocked: dict[FlowKey, Flow] = {}

    # -- from the owner -------------------------------------------------------------------------

    def desire(self, desired: DesiredBridge, now: float) -> None:
        """Want something else from now on."""
        if self._quarantine and self._may_remedy(desired):
            self._release_at = min(self._release_at, self._tried_at + FIRST_BACKOFF)
        if desired.changed is None or self.desired is None:
            self._whole = True
        else:
            self._pending |= desired.changed | _numbered(self.desired.state, desired.state)
        self.desired, self._due = desired, True
        if self._retry_at is not None:
            # It may well be the remedy, but a stream of remedies must not become a storm.
            self._retry_at = min(self._retry_at, self._tried_at + FIRST_BACKOFF)
        self.proceed(now)

    def _may_remedy(self, desired: DesiredBridge) -> bool:
        """Whether a wish changes something of an object that is left out."""
        if desired.changed is None or self.desired is None:
            return True
        states = (self.desired.state, desired.state)
        changed = desired.changed | _numbered(*states)
        flows = (s.flows.get(key) for s in states for key in changed.flows)
        return self._quarantine.concerns(flows, changed)

    def remember(self, revision: int, suspect: bool) -> None:
        """Take over what an earlier life of this process knew, for the shrink guard."""
        self.revision = max(self.revision, revision)
        self.suspect = self.suspect or suspect

    def pause(self, until: float, now: float) -> None:
        """Change nothing until then, as what is desired is about to change; now: go on."""
        self._paused_until = until
        self.proceed(now)

    def connected(self, wire: Wire) -> None:
        """The bridge is there, and a read-back is under way."""
        self._wire, self.doing = wire, Doing.READING
        self._failures, self._retry_at, self._auditing = 0, None, False
        self._release()
        self._blocked = {}

    def disconnected(self) -> None:
        """The bridge is gone; nothing is known of it any more."""
        self._wire, self.observed, self.doing = None, None, Doing.AWAY

    # -- from the bridge ------------------------------------------------------------------------

    def seen(self, observed: Observed, now: float) -> None:
        """A read-back is complete."""
        self.observed, self.doing = observed, Doing.RESTING
        self._due = self._whole = True
        if self._audit:
            self._audit_at = now + self._audit
        self.proceed(now)

    def confirmed(self, plan_id: int, now: float) -> None:
        """The plan that was sent is done."""
        if plan_id != self._plan_id or self.observed is None:
            return
        self.observed = apply(self._plan, self.observed)
        self.doing = Doing.RESTING
        self._in_sync(self._sent, self._plan, now)
        self.proceed(now)

    def rejected(self, plan_id: int, refusal: tuple[int, int], step: Step | None, now: float,
                 what: str = "") -> None:  # fmt: skip
        """The plan that was sent is refused, with an OpenFlow error type and code."""
        if plan_id != self._plan_id or self._wire is None:
            return
        if not self._quarantine:
            wait = min(LAST_BACKOFF, FIRST_BACKOFF * 2 ** min(self._failures, 10))
            self._failures += 1
            self._release_at = now + wait
        wait = round(max(0.0, self._release_at - now), 3)
        self.doing = Doing.RESTING
        others_can = self._quarantine.take(step, refusal, what, self._sent.state, self._plan)
        if not others_can:
            self._release()
            self._retry_at = now + wait
        self._report(
            Refused(
                self.dpid,
                self._sent.revision,
                *refusal,
                step,
                what,
                wait,
                self._sent.epoch,
                others_can,
            )
        )
        if others_can:
            self._due = self._whole = True
            if self._plan.meters:  # outside the bundle, so they may have been done
                self._look(self._wire)
            self.proceed(now)

    def _release(self) -> None:
        self._quarantine.release()
        self._release_at = inf

    # -- time -----------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Let time pass: retries and audits."""
        self.proceed(now)

    def wakes_at(self) -> float:
        """When `tick` has something to do."""
        if self.doing is not Doing.RESTING:
            return inf
        if self._paused_until > -inf:
            return self._paused_until
        retry = inf if self._retry_at is None else self._retry_at
        return min(retry, self._release_at, self._audit_at)

    def proceed(self, now: float) -> None:
        """Do the next thing, if nothing is under way."""
        if self.doing is not Doing.RESTING or self._wire is None or self.observed is None:
            return
        if now < self._paused_until:
            return
        self._paused_until = -inf
        if self._retry_at is not None:
            # What was refused may come from a wrong idea of the bridge: look again first.
            if now >= self._retry_at:
                self._retry_at = None
                self._look(self._wire)
        elif self.desired is not None and self._due:
            self._make(self.desired, self.observed, self._wire, now)
        elif now >= self._release_at:
            self._release()
            self._look(self._wire)
        elif now >= self._audit_at:
            self._auditing = True
            self._look(self._wire)

    def _look(self, wire: Wire) -> None:
        self.doing = Doing.READING
        wire.read_back()

    def _make(self, desired: DesiredBridge, observed: Observed, wire: Wire, now: float) -> None:
        whole, pending = self._whole, self._pending
        self._due, self._whole, self._pending = False, True, Changed()
        try:
            plan = (
                diff(desired.state, observed)
                if whole
                else plan_delta(desired.state, observed, pending)
            )
        except PipelineError as broken:  # a bug of ours: only another wish helps
            self._report(
                Refused(self.dpid, desired.revision, -1, -1, None, str(broken), inf, desired.epoch)
            )
            return
        self._report_blocked(plan, None if whole else pending)
        plan = self._quarantine.sift(plan, observed)
        if desired.renews or (desired.renews is None and in_an_era(observed)):
            plan = renewing(plan, observed)
        held = None
        if not desired.forced:
            held = guard(plan, observed, desired.revision, self.revision, self.suspect)
        if held is not None:
            self.suspect = True  # edits of what is suspect do not make it good
            self._report(Held(self.dpid, held))
            return
        if self._auditing and plan:
            self._report(Drifted(self.dpid, plan))
        self._auditing = self._whole = False
        self._sent, self._plan = desired, plan
        if not plan:
            self._in_sync(desired, plan, now)
            return
        self._plan_id += 1
        self._tried_at, self.doing = now, Doing.SENDING
        wire.send_plan(self._plan_id, plan)

    def _in_sync(self, desired: DesiredBridge, plan: BridgePlan, now: float) -> None:
        self.revision, self.suspect = desired.revision, False
        if self._quarantine:
            wait, culprits = round(max(0.0, self._release_at - now), 3), self._quarantine.culprits
            self._report(Quarantined(self.dpid, desired.revision, culprits, wait, desired.epoch))
            return
        self._failures = 0
        self._report(InSync(self.dpid, desired.revision, plan, desired.epoch))

    def _report_blocked(self, plan: BridgePlan, pending: Changed | None) -> None:
        """Say what is blocked whenever that changes; a delta tells of the keys it looked at."""
        blocked = {} if pending is None else dict(self._blocked)
        for key in pending.flows if pending is not None else ():
            blocked.pop(key, None)
        blocked.update({flow.key: flow for flow in plan.blocked})
        if blocked != self._blocked:
            self._blocked = blocked
            self._report(Blocked(self.dpid, tuple(blocked.values())))


def _numbered(before: BridgeState, after: BridgeState) -> Changed:
    """Groups and meters that differ."""
    groups = before.groups.keys() | after.groups.keys()
    meters = before.meters.keys() | after.meters.keys()
    return Changed(
        groups=frozenset(n for n in groups if before.groups.get(n) != after.groups.get(n)),
        meters=frozenset(n for n in meters if before.meters.get(n) != after.meters.get(n)),
    )
