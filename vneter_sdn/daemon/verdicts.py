# SPDX-License-Identifier: Apache-2.0
"""What policies decided, counted: a greenthread of its own beside the engine.

Every interval, each bridge is asked for the flows that do decisions (`compile.features.police`),
one way after the other, so that one question is out at a time. Nobody is asked while there are no
policies and no tenant that denies by default.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping

import eventlet

from vneter_sdn.compile.extents import KINDS
from vneter_sdn.compile.features.police import COOKIE, COOKIE_MASK, TABLES, decided
from vneter_sdn.config import Settings
from vneter_sdn.engine.port import Event
from vneter_sdn.model.datapath import datapath_of
from vneter_sdn.model.snapshot import Key, Pools, Snapshot
from vneter_sdn.southbound.openflow.bridges import Bridges
from vneter_sdn.southbound.openflow.measurements import FlowsCounted, Measurement
from vneter_sdn.southbound.openflow.multipart import FlowCounters
from vneter_sdn.telemetry.rules import Decision, Reading, RulesCounted

JITTER = 0.1
"""Share of the interval that it may be longer or shorter, so that controllers do not march."""
IDLE = 1.0
"""Seconds between two looks for something to count."""


class Verdicts:
    """Counts decisions on the bridges of a process.

    Args:
        bridges: OpenFlow.
        settings: how often.
        deliver: takes events for the engine; must not block.
    """

    def __init__(
        self, bridges: Bridges, settings: Settings, deliver: Callable[[Event], None]
    ) -> None:
        self._bridges, self._deliver = bridges, deliver
        self._interval = settings.policy_count_interval
        self._hosts: dict[int, str] = {}
        """By datapath id."""
        self._deciding: set[Key] = set()
        """Policies, and tenants that deny by default."""
        self._random = random.random
        bridges.measure(self._measured)

    def stored(self, snapshot: Snapshot, changed: Iterable[Key] | None) -> None:
        """The intent changed. ``changed``: keys of objects, None for all."""
        keys = tuple(snapshot.objects if changed is None else changed)
        for key in keys:
            stored = snapshot.objects.get(key)
            if key.kind in KINDS or key.kind == "Tenant":
                self._deciding.discard(key)
                if stored is not None and (key.kind in KINDS or _denies(stored.spec)):
                    self._deciding.add(key)
        if any(key.kind == "Host" for key in keys):
            self._hosts = dict(_bridges(snapshot))

    @property
    def hosts(self) -> Mapping[int, str]:
        """Names by datapath id."""
        return self._hosts

    def run(self) -> None:
        """Ask, for ever."""
        while True:
            if not self._deciding or not self._interval:
                eventlet.sleep(IDLE)
                continue
            for table in TABLES:
                self.ask(table)
                around = 1 + JITTER * (2 * self._random() - 1)
                eventlet.sleep(self._interval * around / len(TABLES))

    def ask(self, table: int) -> None:
        """One question to each bridge."""
        for dpid in self._hosts:
            self._bridges.count_flows(dpid, table, COOKIE, COOKIE_MASK)

    def _measured(self, measurement: Measurement) -> None:
        if not isinstance(measurement, FlowsCounted) or measurement.dpid not in self._hosts:
            return
        host = self._hosts[measurement.dpid]
        for table in {one.key.table for one in measurement.counters} & set(TABLES):
            readings = tuple(_readings(measurement.counters, table))
            self._deliver(RulesCounted(host, table, readings))


def _readings(counters: Iterable[FlowCounters], table: int) -> Iterator[Reading]:
    for one in counters:
        found = decided(one.key) if one.key.table == table else None
        if found is not None:
            decision = Decision(*found)
            yield Reading(one.key, decision, one.seconds, one.packets, one.octets)


def _denies(spec: object) -> bool:
    return "drop" in (getattr(spec, "default_ingress", ""), getattr(spec, "default_egress", ""))


def _bridges(snapshot: Snapshot) -> Iterator[tuple[int, str]]:
    """Datapath ids and names of all hosts that have a number."""
    for (pool, value), allocation in snapshot.allocations.items():
        kind, _, name = allocation.owner.partition(" ")
        stored = snapshot.objects.get(Key("Host", "", name))
        if pool == Pools.BRIDGE and allocation.released is None and kind == "Host" and stored:
            yield datapath_of(stored.spec, int(value)), name
