# SPDX-License-Identifier: Apache-2.0
"""What endpoints try that they may not, counted: a greenthread of its own beside the engine.

Every interval, each bridge is asked for the flows that count it (`compile.features.refused`).
Totals are made of differences, as those of rules are, and begin with what an earlier life reported.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterable, Iterator, Mapping

import eventlet

from vneter_sdn.compile.features.refused import COOKIE, COOKIE_MASK, TABLE, counted
from vneter_sdn.config import Settings
from vneter_sdn.engine.port import Event
from vneter_sdn.engine.spoofing import Spoofed, reported
from vneter_sdn.model.snapshot import Delta, Key, Snapshot
from vneter_sdn.pipeline.refusals import Refusal
from vneter_sdn.southbound.openflow.bridges import Bridges
from vneter_sdn.southbound.openflow.measurements import FlowsCounted, Measurement
from vneter_sdn.southbound.openflow.multipart import FlowCounters
from vneter_sdn.telemetry.edge_metrics import Refused
from vneter_sdn.telemetry.rules import Decision, Ledger, Reading, RulesCounted, Title, Volume

_log = logging.getLogger(__name__)
JITTER = 0.1
"""Share of the interval that it may be longer or shorter, so that controllers do not march."""
RARER = 3
"""How many times as long as that of policies the interval is: there are five flows an endpoint."""
IDLE = 1.0
"""Seconds between two looks for something to count."""
_KINDS = {kind.word: kind for kind in Refusal}


class Refusals:
    """Counts what endpoints of a process's bridges try.

    Args:
        bridges: OpenFlow.
        settings: how often.
        deliver: takes events for the engine; must not block.
    """

    def __init__(
        self, bridges: Bridges, settings: Settings, deliver: Callable[[Event], None]
    ) -> None:
        self._bridges, self._deliver = bridges, deliver
        self._interval = RARER * settings.policy_count_interval
        self._hosts: Mapping[int, str] = {}
        self._behind: dict[tuple[str, int], Key] = {}
        """By host and port: endpoints."""
        self._ledger = Ledger()
        self._suspects: set[tuple[Key, str]] = set()
        """What was logged."""
        self._random = random.random
        bridges.measure(self._measured)

    def stored(self, snapshot: Snapshot, delta: Delta | None, hosts: Mapping[int, str]) -> None:
        """The store is at this. ``delta``: what changed, None for all; ``hosts``: by datapath."""
        self._hosts = hosts
        changed = snapshot.bindings.keys() if delta is None else delta.bindings
        if changed:
            self._behind = {(b.host, b.ofport): key for key, b in snapshot.bindings.items()}
        for key in snapshot.statuses if delta is None else ():
            for word, packets in reported(snapshot.statuses[key]).items():
                self._ledger.begin(Title(key, word), Volume(0, packets, 0))
        for key in () if delta is None else delta.objects:
            if key.kind == "Endpoint" and key not in snapshot.objects:
                self._ledger.end(key)

    def run(self) -> None:
        """Ask, for ever."""
        while True:
            if not self._interval:
                eventlet.sleep(IDLE)
                continue
            self.ask()
            eventlet.sleep(self._interval * (1 + JITTER * (2 * self._random() - 1)))

    def ask(self) -> None:
        """One question to each bridge."""
        for dpid in self._hosts:
            self._bridges.count_flows(dpid, TABLE, COOKIE, COOKIE_MASK)

    def totals(self) -> Refused:
        """Packets by endpoint and kind."""
        found: dict[Key, dict[Refusal, int]] = {}
        for title, volume in self._ledger.everything().items():
            found.setdefault(title.subject, {})[_KINDS[title.text]] = volume.packets
        return found

    def _measured(self, measurement: Measurement) -> None:
        if not isinstance(measurement, FlowsCounted) or measurement.dpid not in self._hosts:
            return
        host = self._hosts[measurement.dpid]
        readings = tuple(_readings(measurement.counters))
        if not readings:
            return
        titles = {one.decision: self._title(host, one.decision) for one in readings}
        changed = self._ledger.counted(RulesCounted(host, TABLE, readings), titles)
        if changed:
            self._tell(changed)

    def _title(self, host: str, decision: Decision) -> Title | None:
        endpoint = self._behind.get((host, decision.tenant))
        return None if endpoint is None else Title(endpoint, Refusal(decision.rule).word)

    def _tell(self, changed: Iterable[Key]) -> None:
        totals = {
            key: {
                word: one.packets for word, one in self._ledger.totals(key).items() if one.packets
            }
            for key in changed
        }
        for key, kinds in totals.items():
            fresh = sorted(word for word in kinds if (key, word) not in self._suspects)
            if fresh:
                self._suspects.update((key, word) for word in fresh)
                _log.warning(
                    "%s sends what it may not, which is dropped: %s", key, ", ".join(fresh)
                )
        self._deliver(Spoofed(totals))


def _readings(counters: Iterable[FlowCounters]) -> Iterator[Reading]:
    """As those of rules: the port is in place of a tenant, the kind in place of a rule."""
    for one in counters:
        found = counted(one.key)
        if found is not None:
            decision = Decision("egress", found[0], found[1], False)
            yield Reading(one.key, decision, one.seconds, one.packets, one.octets)
