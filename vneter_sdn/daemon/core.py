# SPDX-License-Identifier: Apache-2.0
"""The core process: the engine and everything southbound, on eventlet, and nothing else.

``python -m vneter_sdn.daemon.core SETTINGS.json``. Whatever goes wrong with one event is logged and
counted, and the engine starts over from the store, as after a restart: bridges keep what they hold.
"""

from __future__ import annotations

import gc
import logging
import signal
import sys
import time
from collections import Counter as Counts
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime

import eventlet
import eventlet.green.threading
import eventlet.queue
import eventlet.tpool
import eventlet.wsgi
from prometheus_client import CollectorRegistry, Counter, Gauge, make_wsgi_app
from vneter_sdn_apps.decisions import Decisions as DecisionsApp
from vneter_sdn_apps.discovery import Discovery
from vneter_sdn_apps.edge import Edge as EdgeApp
from vneter_sdn_apps.icmp_errors import IcmpErrors
from vneter_sdn_apps.learning import Learning

from vneter_sdn.compile.network import Compiler
from vneter_sdn.config import Settings
from vneter_sdn.daemon import errand
from vneter_sdn.daemon.advertiser import Advertiser
from vneter_sdn.daemon.answers import RENEWAL, Answers
from vneter_sdn.daemon.audit import Audit, FileSink, Sink, SyslogSink
from vneter_sdn.daemon.breath import Breath, uncollected
from vneter_sdn.daemon.census import Census
from vneter_sdn.daemon.decisions import Decisions
from vneter_sdn.daemon.edge import Edge, Responder, telling
from vneter_sdn.daemon.fabric import Fabric
from vneter_sdn.daemon.handover import read_settings, retention, tls_files
from vneter_sdn.daemon.heartbeat import BEAT, beat
from vneter_sdn.daemon.highwater import Highwater, mark_file
from vneter_sdn.daemon.injecting import Injector
from vneter_sdn.daemon.judgements import Judgements
from vneter_sdn.daemon.lab import Lab
from vneter_sdn.daemon.refused import Refusals
from vneter_sdn.daemon.resolver import Resolver
from vneter_sdn.daemon.sessions import GREEN, opener
from vneter_sdn.daemon.verdicts import Verdicts
from vneter_sdn.daemon.watch import Watch
from vneter_sdn.edge import advertising, dhcp4, dhcp6
from vneter_sdn.edge.ledger import Ledger
from vneter_sdn.engine.controller import Controller
from vneter_sdn.engine.planning import Terms as Planning
from vneter_sdn.engine.port import Event, Stored, Tick
from vneter_sdn.engine.rollout import PATIENCE
from vneter_sdn.errors import StoreUnavailable, VneterError
from vneter_sdn.graph.engineering import Plan
from vneter_sdn.model.snapshot import Delta, Snapshot
from vneter_sdn.pipeline.punts import Service
from vneter_sdn.policy.rule import Rule
from vneter_sdn.southbound.openflow.apphost import AppHost
from vneter_sdn.southbound.openflow.bridges import OpenFlowBridges, Upkeeping
from vneter_sdn.southbound.openflow.session import Terms
from vneter_sdn.southbound.openflow.tls import Credentials
from vneter_sdn.store.ovsdb import Concurrency, OvsdbStore
from vneter_sdn.telemetry import logs
from vneter_sdn.telemetry.edge_metrics import ComplaintsCollector, RefusedCollector
from vneter_sdn.telemetry.metrics import (
    AssertionsCollector,
    DiscoveryCollector,
    EdgeCollector,
    LearningCollector,
    OpenFlowCollector,
    OutcomesCollector,
    RulesCollector,
    TrafficCollector,
)
from vneter_sdn.telemetry.rules import Title, Volume

_log = logging.getLogger(__name__)
COLLECTION = (50_000, 20, 20)
"""Thresholds of the cyclic collector (`gc.set_threshold`). A read-back makes many objects that live
and form no cycles; with Python's own thresholds looking for some takes longer than making them."""
BATCH = 1000
"""Events taken in at once, at most."""
CLOSING = 2.0
"""Seconds that closing sessions may take."""
METRICS_RETRY = 60.0
"""Seconds until a taken metrics port is tried again."""
BREAK = 0.02
"""Seconds between two looks at a computation in another thread."""
RETRY = 1.0
"""Seconds until what failed is tried again."""


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def open_store(settings: Settings) -> OvsdbStore:
    """The store, on green sockets; tried until it answers."""
    breathe = Breath(lambda: eventlet.sleep(0))
    use = Concurrency(threads=eventlet.green.threading, network=GREEN, breathe=breathe)
    while True:
        try:
            return OvsdbStore(
                settings.db,
                concurrency=use,
                tls=tls_files(settings),
                retention=retention(settings),
            )
        except StoreUnavailable as away:
            _log.warning("%s; trying again", away)
            eventlet.sleep(RETRY)


def _bridges(settings: Settings) -> OpenFlowBridges:
    files = tls_files(settings)
    credentials = files and Credentials(files.private_key, files.certificate, files.ca_certificate)
    bridges = OpenFlowBridges(
        Upkeeping(
            terms=Terms(echo_interval=settings.echo_interval),
            audit=settings.readback_interval,
            insecure_lab=settings.insecure_lab,
            credentials=credentials,
        )
    )
    for target in settings.openflow_listen:
        bridges.listen(target)
    return bridges


def _sinks(settings: Settings) -> Iterator[Sink]:
    if settings.audit_file:
        yield FileSink(settings.audit_file)
    if settings.audit_syslog:
        yield SyslogSink(settings.audit_syslog)


class Core:
    """The engine with its queue of events."""

    def __init__(self, settings: Settings, store: OvsdbStore) -> None:
        self._store = store
        self._settings = settings
        self._told: Snapshot | None = None
        self._stopping = False
        self._events: eventlet.queue.LightQueue = eventlet.queue.LightQueue()
        self._bridges = _bridges(settings)
        self._highwater = Highwater(
            mark_file(settings.state_dir), store.snapshot().revision, eventlet.spawn_after
        )
        self._watch = Watch(self._bridges, settings, self._events.put)
        self._fabric = Fabric(
            self._bridges,
            opener(settings),
            self._events.put,
            eventlet.spawn_after,
            self._highwater,
            self._watch,
        )
        self._census = Census(self._bridges, settings, self._events.put)
        self._verdicts = Verdicts(self._bridges, settings, self._events.put)
        self._refusals = Refusals(self._bridges, settings, self._events.put)
        self._judgements = Judgements(settings, self._events.put)
        self._audit = Audit(settings.audit_rate, *_sinks(settings))
        self._injector = Injector(self._bridges)
        traced = self._injector.concerns
        self._decisions = Decisions(self._bridges, self._rules, self._audit.take, traced)
        self._answers = Answers(
            self._bridges,
            self._decisions.directory,
            self._names,
            self._events.put,
            eventlet.spawn_after,
            time.monotonic,
        )
        self._ledger = Ledger()
        self._advertiser = Advertiser(self._bridges, self._ledger)
        self._resolver = Resolver(self._ledger, settings.dns_upstreams, self._answers.ours)
        self._edge = Edge(self._bridges, self._ledger, self._responders(), time.monotonic, traced)
        self._apps = AppHost(self._bridges)
        self._apps.start(DecisionsApp, session=self._decisions, answers=self._answers)
        self._apps.start(EdgeApp, session=self._edge)
        self._complaints: Counts[tuple[str, str]] = Counts()
        self._apps.start(IcmpErrors, counts=self._complaints)
        self._apps.start(Discovery, session=self._watch)
        self._lab = Lab(self._bridges, store, settings, self._watch.workload)
        self._apps.start(Learning, session=self._lab)
        self._registry = CollectorRegistry()
        self._registry.register(OpenFlowCollector(self._bridges.tally))
        self._registry.register(DiscoveryCollector(self._watch.refusals))
        self._registry.register(LearningCollector(self._lab.counts))
        self._registry.register(EdgeCollector(self._edge.counts))
        self._registry.register(ComplaintsCollector(self._complaints))
        self._registry.register(RefusedCollector(self._refusals.totals))
        self._registry.register(TrafficCollector(self._census.levels, self._census.ages))
        self._registry.register(RulesCollector(self._rules_met))
        for name, text, counts in (
            ("vneter_audit_lines", "Lines of the audit log, for each sink.", self._audit.counts),
            ("vneter_policy_refusals", "Packets to be answered.", self._decisions.counts),
            ("vneter_router_advertisements", "That nobody asked for.", self._advertiser.counts),
            ("vneter_dns_answers", "Answers to endpoints under rules.", self._answers.counts),
            ("vneter_dns_forwarded", "Questions asked elsewhere.", self._resolver.counts),
        ):
            self._registry.register(OutcomesCollector(name, text, counts))
        self._registry.register(AssertionsCollector(self._assertions))
        self._restarts = Counter(
            "vneter_engine_restarts", "Times the engine started over.", registry=self._registry
        )
        self._breathe = Breath(self._others)
        self._controller = self._new_controller()
        unsettled = Gauge(
            "vneter_repairs_unsettled",
            "1 while bridges are on their way to other paths, or repairs go by links as they were.",
            registry=self._registry,
        )
        unsettled.set_function(lambda: float(self._unsettled))
        refused = Gauge(
            "vneter_dns_refused",
            "Names and addresses from answers of DNS that were too many to be remembered.",
            registry=self._registry,
        )
        refused.set_function(lambda: float(self._controller.policies.refused))

    def _responders(self) -> Mapping[Service, Responder]:
        return {
            Service.DHCP: telling(dhcp4.respond),
            Service.DNS: self._resolver,
            Service.DHCPV6: telling(dhcp6.respond),
            Service.ROUTER: telling(advertising.respond),
        }

    def run(self) -> None:
        """Serve until `stop`."""
        survey = (
            self._watch.run,
            self._lab.run,
            self._census.run,
            self._verdicts.run,
            self._refusals.run,
            self._advertiser.run,
            self._judgements.run,
            self._audit.run,
            self._hold_answers,
            self._do_errands,
        )
        for task in (self._follow, self._sweep, self._tick, *survey, self._serve_metrics):
            eventlet.spawn(self._forever, task)
        while not self._stopping:
            beat(self._settings.run_dir)
            with suppress(eventlet.queue.Empty):
                event = self._events.get(timeout=BEAT)
                if event is not None:
                    self._handle([event])

    def stop(self) -> None:
        """Make `run` return; callable from a signal handler through the hub."""
        self._stopping = True
        self._events.put(None)

    def reopen(self) -> None:
        """Files of the audit log were moved away."""
        self._audit.reopen()

    def close(self) -> None:
        """Close every session; bridges keep what they hold."""
        self._judgements.close()
        self._audit.flush()
        self._highwater.write()
        with eventlet.Timeout(CLOSING, False):
            self._bridges.close()
            self._store.close()

    def _new_controller(self) -> Controller:
        compiler = self._new_compiler()
        controller = Controller(self._store, self._fabric, compiler, _now, self._breathe)
        controller.policies.assertions.asked = bool(self._settings.assertion_limit)
        settings = self._settings
        rest = round(settings.te_interval / settings.count_interval)
        controller.planner.terms = Planning(
            self._beside, settings.te_max_moves, settings.te_change_share, max(1, rest)
        )
        return controller

    def _beside(self, work: Callable[[], Plan]) -> Plan:
        """Compute in a thread of its own, which takes seconds at times; nobody here is stuck."""
        job = eventlet.spawn(eventlet.tpool.execute, work)
        while not job.dead:
            beat(self._settings.run_dir)
            eventlet.sleep(BREAK)
        found: Plan = job.wait()
        return found

    def _rules(self, tenant: str) -> Mapping[int, Rule]:
        return self._controller.policies.rules(tenant)

    def _names(self, tenant: str) -> Iterable[str]:
        return self._controller.policies.wanted(tenant)

    def _do_errands(self) -> None:
        """Do what the REST server asks at once, for ever."""
        errand.serve(self._settings.run_dir, self._injector.inject)

    def _hold_answers(self) -> None:
        """Renew the leases by which answers of DNS are held back, for ever."""
        while True:
            self._answers.renew()
            eventlet.sleep(RENEWAL)

    def _assertions(self) -> tuple[Mapping[str, int], float | None]:
        held = self._controller.policies.assertions
        return held.counts(), held.seconds

    def _rules_met(self) -> Mapping[Title, Volume]:
        return self._controller.policies.totals()

    def _new_compiler(self) -> Compiler:
        return Compiler(self._settings.openflow_advertise, self._breathe)

    def _others(self) -> None:
        """Let others run. A long computation that gets this far is not stuck."""
        beat(self._settings.run_dir)
        eventlet.sleep(0)

    def _handle(self, events: list[Event]) -> None:
        while len(events) < BATCH and not self._events.empty():
            event = self._events.get()
            if event is not None:
                events.append(event)
        while not self._stopping:
            try:
                with uncollected():
                    self._controller.handle(events)
            except StoreUnavailable as away:
                _log.warning("%s; what bridges hold stays", away)
                events = []
                eventlet.sleep(RETRY)
            except Exception:  # noqa: BLE001 - no single object may end the control of all
                _log.exception("the engine starts over")
                self._restarts.inc()
                eventlet.sleep(RETRY)
                self._controller = self._controller.renewed(self._new_compiler())
                events = [Stored(self._store.snapshot(), Delta())]
            else:
                return

    def _forever(self, task: Callable[[], None]) -> None:
        while True:
            try:
                task()
            except StoreUnavailable as away:
                if self._stopping:  # we closed it ourselves
                    return
                _log.warning("%s", away)
            except Exception:  # noqa: BLE001 - a task that ends is an outage
                _log.exception("%s failed; it starts again", task.__name__)
            eventlet.sleep(RETRY)

    def _follow(self) -> None:
        """Tell the engine of every change in the store."""
        if self._told is None:
            self._told = self._store.snapshot()
            self._ledger.stored(self._told, None)
            self._watch.stored(self._told, None)
            self._lab.stored(self._told, None)
            self._census.stored(self._told, None)
            self._verdicts.stored(self._told, None)
            self._refusals.stored(self._told, None, self._verdicts.hosts)
            self._advertiser.stored(self._told, None, self._verdicts.hosts)
            self._judgements.stored(self._told, None)
            self._decisions.stored(self._told, self._verdicts.hosts)
            self._answers.stored(self._verdicts.hosts)
            self._injector.stored(self._told, self._verdicts.hosts)
            self._events.put(Stored(self._told, Delta()))
        while True:
            changed = self._store.wait(self._told, 3600.0)
            if changed is not None:
                self._told, delta = changed
                self._ledger.stored(self._told, delta)
                self._watch.stored(self._told, delta.objects)
                self._lab.stored(self._told, delta.objects)
                self._census.stored(self._told, delta.objects)
                self._verdicts.stored(self._told, delta.objects)
                self._refusals.stored(self._told, delta, self._verdicts.hosts)
                self._advertiser.stored(self._told, delta, self._verdicts.hosts)
                self._judgements.stored(self._told, delta.objects)
                self._decisions.stored(self._told, self._verdicts.hosts)
                self._answers.stored(self._verdicts.hosts)
                self._injector.stored(self._told, self._verdicts.hosts)
                self._events.put(Stored(self._told, delta))

    def _sweep(self) -> None:
        """Retry allocations, and forget what has rested."""
        while True:
            eventlet.sleep(self._settings.admission_sweep)
            self._store.sweep()

    def _tick(self) -> None:
        """Have no bridge wait for another for ever, and repairs follow what was seen of links."""
        while True:
            eventlet.sleep(PATIENCE / 4)
            if self._unsettled:
                self._events.put(Tick(time.monotonic()))

    @property
    def _unsettled(self) -> bool:
        return self._controller.rolling or self._controller.standing.busy

    def _serve_metrics(self) -> None:
        host, _, port = self._settings.metrics_listen.rpartition(":")
        try:
            listener = eventlet.listen((host, int(port)))
        except OSError as taken:
            _log.warning("no metrics at %s: %s", self._settings.metrics_listen, taken)
            eventlet.sleep(METRICS_RETRY)
            return
        eventlet.wsgi.server(listener, make_wsgi_app(self._registry), log_output=False)


def main() -> None:
    """Run the core until SIGTERM."""
    gc.set_threshold(*COLLECTION)
    settings = read_settings(sys.argv[1])
    logs.set_up(settings.log_level, file=logs.log_file(settings.state_dir, "core"))
    for early in (signal.SIGINT, signal.SIGHUP):
        signal.signal(early, signal.SIG_IGN)
    try:
        core = Core(settings, open_store(settings))
    except (VneterError, OSError) as refused:
        _log.error("the core cannot start: %s", refused)
        sys.exit(1)
    signal.signal(
        signal.SIGTERM, lambda *_: eventlet.hubs.get_hub().schedule_call_global(0, core.stop)
    )
    signal.signal(
        signal.SIGHUP, lambda *_: eventlet.hubs.get_hub().schedule_call_global(0, core.reopen)
    )
    core.run()
    core.close()


if __name__ == "__main__":
    main()
