# SPDX-License-Identifier: Apache-2.0
"""Sending one plan: meters, then an atomic ordered bundle, each stage closed by a barrier.

Open vSwitch answers a bad bundle-add with an error, keeps the bundle open without it, and would
commit the rest. So the commit is only sent once a barrier says that every add was taken.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from itertools import groupby

from vneter_sdn.model.flow import Flow, Group, Meter
from vneter_sdn.reconcile.plan import BridgePlan, Step, Verb
from vneter_sdn.southbound.openflow import encode
from vneter_sdn.southbound.openflow.decode import Error
from vneter_sdn.southbound.openflow.events import Confirmed, Rejected

_FLOW = {
    Verb.ADD: encode.ADD,
    Verb.MODIFY: encode.MODIFY_STRICT,
    Verb.DELETE: encode.DELETE_STRICT,
}
_NUMBERED = {Verb.ADD: encode.ADD, Verb.MODIFY: encode.MODIFY, Verb.DELETE: encode.REMOVE}
_ATOMIC_ORDERED = 3


class Stage(Enum):
    """What is being sent; each ends with a barrier."""

    METERS = 0
    ADDS = 1
    COMMIT = 2
    METER_DELETES = 3


class Delivery:
    """One plan on its way. Step ``i`` of the plan has transaction id ``first_xid + i``."""

    def __init__(self, plan_id: int, plan: BridgePlan, version: int, first_xid: int) -> None:
        self.plan_id = plan_id
        self._steps = tuple(plan)
        self._plan, self._version, self._first = plan, version, first_xid
        self._control = first_xid + len(self._steps)
        self._bundle = first_xid
        self._error: Rejected | None = None
        self._stages = [
            stage
            for stage, wanted in (
                (Stage.METERS, plan.meters),
                (Stage.ADDS, plan.bundle),
                (Stage.COMMIT, plan.bundle),
                (Stage.METER_DELETES, plan.meter_deletes),
            )
            if wanted
        ]
        if not self._stages:
            self._stages = [Stage.METER_DELETES]

    @staticmethod
    def xids(plan: BridgePlan) -> int:
        """How many transaction ids a plan needs."""
        return sum(1 for _ in plan) + 2 * len(Stage) + 1

    def owns(self, xid: int) -> bool:
        """Whether a reply or error with this transaction id belongs here."""
        return 0 <= xid - self._first < len(self._steps) + 2 * len(Stage) + 1

    def messages(self) -> Iterator[bytes]:
        """The messages of the current stage, made one by one.

        Raises:
            PipelineError: a step cannot be encoded; nothing is committed then.
        """
        stage = self._stages[0]
        if stage is Stage.ADDS:
            yield encode.bundle_open(self._bundle, self._version, self._xid_of(stage))
            yield from self._bundled()
        elif stage is Stage.COMMIT:
            yield encode.bundle_commit(self._bundle, self._version, self._xid_of(stage))
        else:
            yield from self._metered(stage)
        yield encode.barrier_request(self._version, self._xid_of(stage) + 1)

    def discard(self) -> bytes:
        """Forget the bundle on the bridge."""
        xid = self._control + 2 * len(Stage)
        return encode.bundle_discard(self._bundle, self._version, xid)

    def refused(self, error: Error) -> None:
        """Note an error; the first one that names a step is kept."""
        index = error.xid - self._first
        if not 0 <= index < len(self._steps):
            index = -1
        if self._error is not None and (self._error.index is not None or index < 0):
            return
        found = index >= 0
        self._error = Rejected(
            self.plan_id,
            error.kind,
            error.code,
            index if found else None,
            self._steps[index] if found else None,
        )

    def barrier(self, xid: int) -> Confirmed | Rejected | None:
        """A barrier came back: the outcome, or None when another stage is to be sent."""
        if xid != self._xid_of(self._stages[0]) + 1:
            return None
        if self._error is not None:
            return self._error
        self._stages.pop(0)
        return None if self._stages else Confirmed(self.plan_id)

    @property
    def open_bundle(self) -> bool:
        """Whether the bridge holds an open bundle of ours."""
        return bool(self._stages) and self._stages[0] is Stage.ADDS

    def _xid_of(self, stage: Stage) -> int:
        return self._control + 2 * stage.value

    def _bundled(self) -> Iterator[bytes]:
        xid = self._first + len(self._plan.meters)
        for is_flow, steps in groupby(self._plan.bundle, lambda s: isinstance(s.thing, Flow)):
            run = list(steps)
            yield from self._flows(run, xid) if is_flow else self._groups(run, xid)
            xid += len(run)

    def _flows(self, steps: list[Step], xid: int) -> Iterator[bytes]:
        changes = ((_FLOW[step.verb], step.thing) for step in steps if isinstance(step.thing, Flow))
        return encode.bundled_flow_mods(changes, self._version, self._bundle, xid)

    def _groups(self, steps: list[Step], xid: int) -> Iterator[bytes]:
        for number, step in enumerate(steps, xid):
            thing = step.thing
            if not isinstance(thing, Group):
                continue
            if step.verb is Verb.DELETE:
                thing = Group(thing.group, "all", ())
            inner = encode.group_mod(thing, _NUMBERED[step.verb], self._version, number)
            yield encode.bundle_add(self._bundle, _ATOMIC_ORDERED, inner)

    def _metered(self, stage: Stage) -> Iterator[bytes]:
        first = stage is Stage.METERS
        steps = self._plan.meters if first else self._plan.meter_deletes
        xid = self._first if first else self._control - len(steps)
        for number, step in enumerate(steps, xid):
            thing = step.thing
            if not isinstance(thing, Meter):
                continue
            if step.verb is Verb.DELETE:
                thing = Meter(thing.meter, 0, 0)
            yield encode.meter_mod(thing, _NUMBERED[step.verb], self._version, number)
