# SPDX-License-Identifier: Apache-2.0
"""The core process: the engine and everything southbound, on eventlet, and nothing else.

``python -m vneter_sdn.daemon.core SETTINGS.json``. Whatever goes wrong with one event is logged and
counted, and the engine starts over from the store, as after a restart: bridges keep what they hold.
"""

from __future__ import annotations

import atexit
import gc
import logging
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

import eventlet
import eventlet.green.threading
import eventlet.queue
import eventlet.tpool
import eventlet.wsgi
from prometheus_client import CollectorRegistry, Counter, Gauge, make_wsgi_app
from vneter_sdn_apps.discovery import Discovery
from vneter_sdn_apps.learning import Learning

from vneter_sdn.compile.network import Compiler
from vneter_sdn.config import Settings
from vneter_sdn.daemon import dumps
from vneter_sdn.daemon.breath import Breath, uncollected
from vneter_sdn.daemon.census import Census
from vneter_sdn.daemon.edge_services import EdgeServices
from vneter_sdn.daemon.fabric import Fabric
from vneter_sdn.daemon.handover import read_settings, retention, tls_files
from vneter_sdn.daemon.heartbeat import BEAT, beat
from vneter_sdn.daemon.highwater import Highwater, mark_file
from vneter_sdn.daemon.judgements import Judgements
from vneter_sdn.daemon.lab import Lab
from vneter_sdn.daemon.policing import Policing
from vneter_sdn.daemon.sessions import GREEN, opener
from vneter_sdn.daemon.watch import Watch
from vneter_sdn.engine.controller import Controller
from vneter_sdn.engine.planning import Terms as Planning
from vneter_sdn.engine.port import Event, Stored, Tick
from vneter_sdn.engine.rollout import PATIENCE
from vneter_sdn.errors import StoreUnavailable, VneterError
from vneter_sdn.graph.engineering import Plan
from vneter_sdn.model.snapshot import Delta, Snapshot
from vneter_sdn.southbound.openflow.apphost import AppHost
from vneter_sdn.southbound.openflow.bridges import OpenFlowBridges, Upkeeping
from vneter_sdn.southbound.openflow.session import Terms
from vneter_sdn.southbound.openflow.tls import Credentials
from vneter_sdn.store.ovsdb import Concurrency, OvsdbStore
from vneter_sdn.telemetry import logs
from vneter_sdn.telemetry.metrics import (
    DiscoveryCollector,
    LearningCollector,
    OpenFlowCollector,
    TrafficCollector,
)

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


class Core:
    """The engine with its queue of events."""

    def __init__(self, settings: Settings, store: OvsdbStore) -> None:
        self._store = store
        self._settings = settings
        self._told: Snapshot | None = None
        self._stopping = False
        self._events: eventlet.queue.LightQueue = eventlet.queue.LightQueue()
        deliver = self._events.put
        self._bridges = bridges = _bridges(settings)
        self._highwater = Highwater(
            mark_file(settings.state_dir), store.snapshot().revision, eventlet.spawn_after
        )
        self._watch = Watch(bridges, settings, deliver)
        self._fabric = Fabric(
            bridges, opener(settings), deliver, eventlet.spawn_after, self._highwater, self._watch
        )
        self._census = Census(bridges, settings, deliver)
        self._policing = Policing(bridges, settings, deliver, lambda: self._controller.policies)
        self._edge = EdgeServices(bridges, settings, deliver, self._policing)
        self._judgements = Judgements(settings, deliver)
        self._lab = Lab(bridges, store, settings, self._watch.workload)
        self._apps = AppHost(bridges)
        self._policing.start(self._apps)
        self._edge.start(self._apps)
        self._apps.start(Discovery, session=self._watch)
        self._apps.start(Learning, session=self._lab)
        self._breathe = Breath(self._others)
        self._controller = self._new_controller()
        self._registry = CollectorRegistry()
        self._measure()

    def _measure(self) -> None:
        """Have the registry hold what is measured of all parts."""
        for collector in (
            OpenFlowCollector(self._bridges.tally),
            DiscoveryCollector(self._watch.refusals),
            LearningCollector(self._lab.counts),
            TrafficCollector(self._census.levels, self._census.ages),
            *self._edge.collectors(),
        ):
            self._registry.register(collector)
        self._policing.measured(self._registry)
        self._restarts = Counter(
            "vneter_engine_restarts", "Times the engine started over.", registry=self._registry
        )
        unsettled = Gauge(
            "vneter_repairs_unsettled",
            "1 while bridges are on their way to other paths, or repairs go by links as they were.",
            registry=self._registry,
        )
        unsettled.set_function(lambda: float(self._unsettled))

    def run(self) -> None:
        """Serve until `stop`."""
        survey = (
            self._watch.run,
            self._lab.run,
            self._census.run,
            self._judgements.run,
            *self._policing.tasks(),
            *self._edge.tasks(),
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
        self._policing.reopen()

    def close(self) -> None:
        """Close every session; bridges keep what they hold."""
        self._judgements.close()
        self._policing.close()
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
                for event in events:
                    if isinstance(event, Stored):
                        self._lab.compiled(event.snapshot)
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
            self._tell(self._store.snapshot(), None)
        while True:
            changed = self._store.wait(self._told, 3600.0)
            if changed is not None:
                self._tell(*changed)

    def _tell(self, snapshot: Snapshot, delta: Delta | None) -> None:
        """The store is at this. ``delta``: what changed, None for all."""
        self._told = snapshot
        objects = None if delta is None else delta.objects
        self._watch.stored(snapshot, objects)
        self._lab.stored(snapshot, objects)
        self._census.stored(snapshot, objects)
        self._judgements.stored(snapshot, objects)
        self._policing.stored(snapshot, delta)
        self._edge.stored(snapshot, delta)
        self._events.put(Stored(snapshot, delta or Delta()))

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
    dumps.forbid()
    gc.set_threshold(*COLLECTION)
    atexit.register(gc.freeze)  # or the interpreter looks through all that is left before it ends
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
