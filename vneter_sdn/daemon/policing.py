# SPDX-License-Identifier: Apache-2.0
"""Everything that policies need beside flows, as one part of the core.

Counts of their rules, answers to what they refuse, lines of the audit log, answers of DNS that they
learn from, and packets that are injected to see what they do.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping

import eventlet
from prometheus_client import Gauge
from prometheus_client.registry import Collector, CollectorRegistry
from vneter_sdn_apps.decisions import Decisions as DecisionsApp

from vneter_sdn.config import Settings
from vneter_sdn.daemon import errand
from vneter_sdn.daemon.answers import RENEWAL, Answers
from vneter_sdn.daemon.audit import Audit, FileSink, Sink, SyslogSink
from vneter_sdn.daemon.decisions import Decisions
from vneter_sdn.daemon.injecting import Injector
from vneter_sdn.daemon.verdicts import Verdicts
from vneter_sdn.engine.policies import Policies
from vneter_sdn.engine.port import Event
from vneter_sdn.model.snapshot import Delta, Snapshot
from vneter_sdn.policy.rule import Rule
from vneter_sdn.southbound.openflow.apphost import AppHost
from vneter_sdn.southbound.openflow.bridges import OpenFlowBridges
from vneter_sdn.telemetry.metrics import AssertionsCollector, OutcomesCollector, RulesCollector


class Policing:
    """Polices, for one process.

    Args:
        bridges: OpenFlow.
        settings: how often counts are read, and where the audit log goes.
        deliver: takes events for the engine; must not block.
        policies: what the engine has of them now.
    """

    def __init__(
        self,
        bridges: OpenFlowBridges,
        settings: Settings,
        deliver: Callable[[Event], None],
        policies: Callable[[], Policies],
    ) -> None:
        self._settings, self._policies = settings, policies
        self._verdicts = Verdicts(bridges, settings, deliver)
        self._audit = Audit(settings.audit_rate, *_sinks(settings))
        self._injector = Injector(bridges)
        self.traced = self._injector.concerns
        """Whether a frame is one that we sent ourselves, to follow it."""
        self._decisions = Decisions(bridges, self._rules, self._audit.take, self.traced)
        self.answers = Answers(
            bridges,
            self._decisions.directory,
            self._names,
            deliver,
            eventlet.spawn_after,
            time.monotonic,
        )
        """Holds answers of DNS back until rules know them."""

    def start(self, apps: AppHost) -> None:
        """Hear what bridges punt."""
        apps.start(DecisionsApp, session=self._decisions, answers=self.answers)

    def stored(self, snapshot: Snapshot, delta: Delta | None) -> None:
        """The store is at this. ``delta``: what changed, None for all."""
        self._verdicts.stored(snapshot, None if delta is None else delta.objects)
        self._decisions.stored(snapshot, self.hosts)
        self.answers.stored(self.hosts)
        self._injector.stored(snapshot, self.hosts)

    @property
    def hosts(self) -> Mapping[int, str]:
        """Names by datapath id."""
        return self._verdicts.hosts

    def tasks(self) -> Iterator[Callable[[], None]]:
        """What runs for ever, each in a greenthread of its own."""
        yield from (self._verdicts.run, self._audit.run, self._hold_answers, self._do_errands)

    def _collectors(self) -> Iterator[Collector]:
        yield RulesCollector(lambda: self._policies().totals())
        yield AssertionsCollector(self._assertions)
        for name, text, counts in (
            ("vneter_audit_lines", "Lines of the audit log, for each sink.", self._audit.counts),
            ("vneter_policy_refusals", "Packets to be answered.", self._decisions.counts),
            ("vneter_dns_answers", "Answers to endpoints under rules.", self.answers.counts),
        ):
            yield OutcomesCollector(name, text, counts)

    def measured(self, registry: CollectorRegistry) -> None:
        """Have a registry hold what is measured of it."""
        for collector in self._collectors():
            registry.register(collector)
        refused = Gauge(
            "vneter_dns_refused",
            "Names and addresses from answers of DNS that were too many to be remembered.",
            registry=registry,
        )
        refused.set_function(lambda: float(self._policies().refused))

    def reopen(self) -> None:
        """Files of the audit log were moved away."""
        self._audit.reopen()

    def close(self) -> None:
        """Write what waits."""
        self._audit.flush()

    def _rules(self, tenant: str) -> Mapping[int, Rule]:
        return self._policies().rules(tenant)

    def _names(self, tenant: str) -> Iterable[str]:
        return self._policies().wanted(tenant)

    def _assertions(self) -> tuple[Mapping[str, int], float | None]:
        held = self._policies().assertions
        return held.counts(), held.seconds

    def _hold_answers(self) -> None:
        """Renew the leases by which answers of DNS are held back, for ever."""
        while True:
            self.answers.renew()
            eventlet.sleep(RENEWAL)

    def _do_errands(self) -> None:
        """Do what the REST server asks at once, for ever."""
        errand.serve(self._settings.run_dir, self._injector.inject)


def _sinks(settings: Settings) -> Iterator[Sink]:
    if settings.audit_file:
        yield FileSink(settings.audit_file)
    if settings.audit_syslog:
        yield SyslogSink(settings.audit_syslog)
