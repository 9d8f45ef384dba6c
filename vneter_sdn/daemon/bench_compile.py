# SPDX-License-Identifier: Apache-2.0
"""``scripts/bench compile``: a change in a large network, against computing it all again.

No switch and no database: the compiler alone, beside a greenthread that stands for everybody else
in the core process, an echo reply for instance, and notes how long it had to wait.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import eventlet

from vneter_sdn.compile.facts import everything
from vneter_sdn.compile.network import Compiler, compile_snapshot
from vneter_sdn.daemon.breath import Breath, uncollected
from vneter_sdn.errors import PipelineError
from vneter_sdn.model.kinds import API_VERSION
from vneter_sdn.model.snapshot import Binding, Key
from vneter_sdn.southbound.openflow.bench import Row
from vneter_sdn.store.memory import MemoryStore
from vneter_sdn.store.port import Edit

SIZES = ((1_000, 20), (10_000, 100))
"""Endpoints and hosts."""
PER_TENANT = 100
"""Endpoints of a tenant, in two networks, scattered over all hosts."""
FULL, AGAIN, WAIT, MEMORY = 660.0, 50.0, 50.0, 2500.0
"""Targets: endpoints/s of a full compilation, changes against full ones, ms, MB. Rates are of
processor time."""
TICK = 0.005


def measure(arguments: list[str]) -> list[Row]:
    """Run the bench.

    Args:
        arguments: ``--endpoints N --hosts N`` for one other size.
    """
    parser = argparse.ArgumentParser(prog="bench compile", description=__doc__)
    parser.add_argument("--endpoints", type=int)
    parser.add_argument("--hosts", type=int, default=20)
    given = parser.parse_args(arguments)
    sizes = SIZES if given.endpoints is None else ((given.endpoints, given.hosts),)
    return [row for endpoints, hosts in sizes for row in _measured(endpoints, hosts)]


def edit(kind: str, name: str, tenant: str = "", **spec: Any) -> Edit:
    """An edit that applies one object."""
    metadata = {"name": name} | ({"tenant": tenant} if tenant else {})
    manifest = {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}
    return Edit("apply", Key(kind, tenant, name), manifest)


def intent(endpoints: int, hosts: int) -> Iterator[Edit]:
    """Hosts, tenants with the same two networks each, one of them dual-stack, and endpoints."""
    for number in range(hosts):
        address = f"192.0.{2 + number // 250}.{number % 250 + 1}"
        database = f"unix:/run/h{number}/db.sock"
        yield edit("Host", f"h{number}", ovsdb=database, tunnelAddresses=[address])
    tenants = max(1, endpoints // PER_TENANT)
    for tenant in (f"t{number}" for number in range(tenants)):
        yield edit("Tenant", tenant)
        yield edit("Network", "web", tenant, prefixes=["10.0.0.0/20"])
        yield edit("Network", "db", tenant, prefixes=["10.0.16.0/20", "fd00::/64"])
    for number in range(endpoints):
        network = ("web", "db")[number // tenants % 2]
        host = f"h{_host(number, hosts)}"
        yield edit("Endpoint", f"e{number}", f"t{number % tenants}", network=network, host=host)


def _host(number: int, hosts: int) -> int:
    """A multiplicative hash: the same scatter in every run."""
    return (number * 2_654_435_761 >> 13) % hosts


@dataclass
class Bound:
    """A store whose endpoints are where their specs say."""

    store: MemoryStore = field(default_factory=MemoryStore)
    sequence: int = 0

    def bind(self, key: Key, host: str) -> None:
        """Bind one endpoint, as if it had just been seen there."""
        self.store.bind([self._binding(key, host)])

    def fill(self, endpoints: int, hosts: int) -> None:
        """Apply `intent`, and bind it."""
        self.apply(list(intent(endpoints, hosts)))

    def apply(self, edits: list[Edit]) -> None:
        """Apply edits, and bind their endpoints."""
        self.store.apply(edits, author="bench")
        wanted = [e for e in edits if e.key.kind == "Endpoint"]
        self.store.bind([self._binding(e.key, (e.manifest or {})["spec"]["host"]) for e in wanted])

    def _binding(self, key: Key, host: str) -> Binding:
        self.sequence += 1
        return Binding(key, host, f"v{self.sequence}", self.sequence % 30_000 + 1, self.sequence)


class Waiter:
    """Somebody who wants a moment of the thread every few milliseconds."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        """Seconds of delay, one for each time it was wanted."""
        self._greenthread = eventlet.spawn(self._run)

    def _run(self) -> None:
        while True:
            wanted = time.perf_counter() + TICK
            eventlet.sleep(TICK)
            self.waits.append(max(0.0, time.perf_counter() - wanted))

    def stop(self) -> float:
        """End it; the 99th percentile of its delays, in seconds."""
        self._greenthread.kill()
        ordered = sorted(self.waits) or [0.0]
        return ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]


def _measured(endpoints: int, hosts: int) -> list[Row]:
    name = f"compile/{endpoints}/{hosts}"
    bound = Bound()
    bound.fill(endpoints, hosts)
    snapshot = bound.store.snapshot()
    compiler = Compiler(breathe=Breath(lambda: eventlet.sleep(0)))
    waiter = Waiter()
    eventlet.sleep(2 * TICK)
    with uncollected():
        full = timed(lambda: compiler.take(snapshot, everything(snapshot)))
    wait = waiter.stop()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    added, moved = _changes(bound, compiler)
    with uncollected():
        again = timed(lambda: _check(compiler, bound))
    return [
        row(f"{name}/full", "endpoints/s", endpoints / full, FULL),
        against(f"{name}/one-added", "changes/s", 1 / added, 1 / again, AGAIN),
        against(f"{name}/one-moved", "changes/s", 1 / moved, 1 / again, AGAIN),
        row(f"{name}/others-wait-p99", "ms", 1000 * wait, WAIT, fewer=True),
        row(f"{name}/peak-memory", "MB", memory, MEMORY, fewer=True),
    ]


def timed(work: Callable[[], object]) -> float:
    """Seconds of this process alone, so that others on the machine count less."""
    start = time.process_time()
    work()
    return time.process_time() - start


def _changes(bound: Bound, compiler: Compiler, rounds: int = 15) -> tuple[float, float]:
    """Median seconds to take in one endpoint more, and one that moves."""
    known = bound.store.snapshot()
    added, moved = [], []
    for number in range(rounds):
        key = Key("Endpoint", "t0", f"new{number}")
        bound.store.apply([edit(*key[::2], "t0", network="web", host="h0")], author="bench")
        for host, found in (("h0", added), ("h1", moved)):
            bound.bind(key, host)
            news = bound.store.wait(known, 0)
            assert news is not None
            known, delta = news
            found.append(timed(lambda: compiler.take(known, delta)))  # noqa: B023
    return median(added), median(moved)


def _check(compiler: Compiler, bound: Bound) -> None:
    fresh = compile_snapshot(bound.store.snapshot())
    if any(compiler.digest(host) != fresh.digest(host) for host in fresh.hosts()):
        raise PipelineError("incremental and full compilations differ")


def row(measure: str, unit: str, ours: float, target: float, *, fewer: bool = False) -> Row:
    """A row without a peer; ``fewer``: the target is an upper bound."""
    met = ours <= target if fewer else ours >= target
    shown = round(ours, 1) if ours < 100 else round(ours)
    return Row(
        measure=measure, unit=unit, ours=shown, peer=None, ratio=None, target=target, met=met
    )


def against(measure: str, unit: str, ours: float, peer: float, target: float) -> Row:
    """A row with a peer; the target is of the ratio."""
    ratio = ours / peer
    return Row(
        measure=measure,
        unit=unit,
        ours=round(ours, 1),
        peer=round(peer, 3),
        ratio=round(ratio, 1),
        target=target,
        met=ratio >= target,
    )
