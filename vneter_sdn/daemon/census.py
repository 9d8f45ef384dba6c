# SPDX-License-Identifier: Apache-2.0
"""Traffic under engineered policies, counted: a greenthread of its own beside the engine.

Every interval, each bridge is asked once for the flows that count such traffic
(`compile.features.traffic`): two for each policy and host that it is about. Nobody is asked while
no policy is engineered. What follows goes to the engine when it is clear, or has not been told of
for a minute.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping

import eventlet

from vneter_sdn.compile.features.traffic import COOKIE, COOKIE_MASK, TABLE, counted
from vneter_sdn.config import Settings
from vneter_sdn.engine.port import Event
from vneter_sdn.model import traffic
from vneter_sdn.model.datapath import datapath_of
from vneter_sdn.model.snapshot import Key, Pools, Snapshot
from vneter_sdn.southbound.openflow.bridges import Bridges
from vneter_sdn.southbound.openflow.measurements import FlowsCounted, Measurement
from vneter_sdn.telemetry.matrix import Hysteresis, Matrix, Reading, Seen, TrafficSeen

JITTER = 0.1
"""Share of the interval that it may be longer or shorter, so that controllers do not march."""
ANSWERING = 1.0
"""Seconds that bridges have to answer before what they said is looked at."""
TOLD = 60.0
"""Seconds after which a matrix is told of again, so that its age can be seen."""
SILENT = 3.5
"""Intervals without a word after which a host is said to be silent."""
IDLE = 1.0
"""Seconds between two looks for something to measure."""


class Census:
    """Counts traffic on the bridges of a process.

    Args:
        bridges: OpenFlow.
        settings: how often, and what counts as a change.
        deliver: takes events for the engine; must not block.
    """

    def __init__(
        self, bridges: Bridges, settings: Settings, deliver: Callable[[Event], None]
    ) -> None:
        self._bridges, self._deliver = bridges, deliver
        self._interval = settings.te_measure_interval
        self.matrix = Matrix(
            Hysteresis(settings.te_change_share, settings.te_change_mbps, settings.te_interval)
        )
        self._hosts: dict[int, str] = {}
        """By datapath id."""
        self._numbers: dict[int, str] = {}
        """Hosts by the number of their bridge."""
        self._policies: dict[int, Key] = {}
        """By their number."""
        self._told: dict[Key, float] = {}
        self._random = random.random
        bridges.measure(self._measured)

    def stored(self, snapshot: Snapshot, changed: Iterable[Key] | None) -> None:
        """The intent changed. ``changed``: keys of objects, None for all."""
        if changed is not None and not any(key.kind in ("Host", "PathPolicy") for key in changed):
            return
        numbers = dict(_owners(snapshot, Pools.POLICY, "PathPolicy"))
        self._policies = {
            number: key
            for number, key in numbers.items()
            if (stored := snapshot.objects.get(key)) and stored.spec.sharing == "engineered"
        }
        bridges = dict(_owners(snapshot, Pools.BRIDGE, "Host"))
        for host in set(self._numbers.values()) - {key.name for key in bridges.values()}:
            self.matrix.leave(host)
        self._numbers = {number: key.name for number, key in bridges.items()}
        self._hosts = {
            datapath_of(snapshot.objects[key].spec, number): key.name
            for number, key in bridges.items()
            if key in snapshot.objects
        }
        for policy in set(self.matrix.policies) - set(self._policies.values()):
            self.matrix.end(policy)
            self._told.pop(policy, None)
        for policy in self._policies.values():
            status = snapshot.statuses.get(policy)
            self.matrix.begin(policy, {} if status is None else traffic.read(status.details))

    def _measured(self, measurement: Measurement) -> None:
        if isinstance(measurement, FlowsCounted) and measurement.dpid in self._hosts:
            readings = list(self._readings(measurement))
            self.matrix.counted(self._hosts[measurement.dpid], measurement.at, readings)

    def _readings(self, measurement: FlowsCounted) -> Iterator[Reading]:
        for one in measurement.counters:
            found = counted(one.key)
            if found is not None:
                number, bridge, own = found
                policy, target = self._policies.get(number), self._numbers.get(bridge)
                if policy is not None and target is not None:
                    yield Reading(policy, target, own, one.seconds, one.octets)

    def run(self) -> None:
        """Ask, and tell, for ever."""
        while True:
            if not self._policies or not self._interval:
                eventlet.sleep(IDLE)
                continue
            self.ask()
            answering = min(ANSWERING, self._interval / 2)
            eventlet.sleep(answering)
            self.tell(time.monotonic())
            around = 1 + JITTER * (2 * self._random() - 1)
            eventlet.sleep(max(0.0, self._interval * around - answering))

    def ask(self) -> None:
        """One question to each bridge."""
        for dpid in self._hosts:
            self._bridges.count_flows(dpid, TABLE, COOKIE, COOKIE_MASK)

    def tell(self, now: float) -> None:
        """Tell the engine what changed clearly, and of all the rest now and then."""
        turned = set(self.matrix.turn(now))
        found: dict[Key, Seen] = {}
        for policy in self.matrix.policies:
            measured = self.matrix.age(policy, now) is not None
            if measured and (policy in turned or now - self._told.get(policy, -TOLD) >= TOLD):
                silent = self.matrix.silent(policy, now, SILENT * self._interval)
                found[policy] = Seen(self.matrix.shown(policy), silent)
                self._told[policy] = now
        if found:
            self._deliver(TrafficSeen(found))

    def levels(self) -> Mapping[str, Mapping[traffic.Pair, traffic.Volume]]:
        """What is measured now, by name of the policy."""
        return {policy.name: self.matrix.levels(policy) for policy in self.matrix.policies}

    def ages(self) -> Mapping[str, float | None]:
        """Seconds since each policy was measured; None for not yet."""
        now = time.monotonic()
        return {policy.name: self.matrix.age(policy, now) for policy in self.matrix.policies}


def _owners(snapshot: Snapshot, pool: str, kind: str) -> Iterator[tuple[int, Key]]:
    for (held, value), allocation in snapshot.allocations.items():
        if held == pool and allocation.released is None:
            owner, _, name = allocation.owner.partition(" ")
            if owner == kind:
                yield int(value), Key(kind, "", name)
