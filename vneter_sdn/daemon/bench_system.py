# SPDX-License-Identifier: Apache-2.0
"""``scripts/bench system``: a real controller and a fleet, from apply to Ready, and a restart.

Hosts are real Open vSwitch on its dummy datapath: all of control, no packets. Ports are there
before their endpoints are asked for, so what is measured is the controller's part.
"""

from __future__ import annotations

import argparse
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from vneter_sdn.client import Client
from vneter_sdn.daemon.bench_compile import row
from vneter_sdn.errors import SouthboundError
from vneter_sdn.fleet.controller import answers, await_ready, condition, register
from vneter_sdn.fleet.host import vsctl
from vneter_sdn.fleet.layout import Layout, digest_of
from vneter_sdn.fleet.lifecycle import bring_up, tear_down
from vneter_sdn.fleet.records import HostRecord
from vneter_sdn.fleet.system import die_with_parent, require_root
from vneter_sdn.fleet.topology import star
from vneter_sdn.model.kinds import API_VERSION
from vneter_sdn.southbound.openflow.bench import Row

SINGLES = 5
PATIENCE = 120.0
BATCH, SINGLE, RESTART = 20.0, 500.0, 10.0
"""Targets: endpoints/s from one apply to all Ready, ms for one, s from start to all in sync."""


def measure(arguments: list[str]) -> list[Row]:
    """Run the bench.

    Args:
        arguments: ``--hosts N``, ``--endpoints N``.
    """
    parser = argparse.ArgumentParser(prog="bench system", description=__doc__)
    parser.add_argument("--hosts", type=int, default=20)
    parser.add_argument("--endpoints", type=int, default=200)
    given = parser.parse_args(arguments)
    require_root()
    with tempfile.TemporaryDirectory(prefix="vb") as scratch:
        prefix = f"vb{digest_of(scratch)[:7]}"
        layout = Layout(prefix, Path(scratch) / prefix)
        try:
            return _measured(Path(scratch), layout, given.hosts, given.endpoints)
        finally:
            tear_down(layout)


def _measured(scratch: Path, layout: Layout, hosts: int, endpoints: int) -> list[Row]:
    name = f"system/{endpoints}/{hosts}"
    address = f"127.0.0.1:{_free_port()}"
    client = Client(f"http://{address}")
    with _controller(scratch, address):
        records = bring_up(layout, star(hosts), "dummy")
        client.apply([_manifest("Tenant", "red"), _network()], "bench")
        register(client, records)
        _await_all(client, "Host", hosts)
        with ThreadPoolExecutor(4) as pool:
            ports = endpoints + SINGLES
            list(pool.map(lambda n: _plug(records[n], range(n, ports, hosts)), range(hosts)))
        batch = [_endpoint(number) for number in range(endpoints)]
        started = time.monotonic()
        client.apply(batch, "bench")
        _await_all(client, "Endpoint", endpoints)
        together = time.monotonic() - started
        alone = [_alone(client, endpoints + number) for number in range(SINGLES)]
    with _controller(scratch, address) as since:
        log = scratch / "controller.log"
        _until(lambda: log.read_text(errors="replace").count("in sync;") >= 2 * hosts, "in sync")
        restart = time.monotonic() - since
    return [
        row(f"{name}/batch-ready", "endpoints/s", endpoints / together, BATCH),
        row(f"{name}/one-ready", "ms", 1000 * median(alone), SINGLE, fewer=True),
        row(f"{name}/restart-in-sync", "s", restart, RESTART, fewer=True),
    ]


def _alone(client: Client, number: int) -> float:
    started = time.monotonic()
    client.apply([_endpoint(number)], "bench")
    await_ready(client, "Endpoint", "red", f"e{number}", PATIENCE)
    return time.monotonic() - started


@contextmanager
def _controller(scratch: Path, address: str) -> Iterator[float]:
    """``vneterctl up``, ready; gives the time at which it was started."""
    words = [sys.executable, "-m", "vneter_sdn", "up", "--api-listen", address]
    words += ["--state-dir", f"{scratch}/state", "--run-dir", f"{scratch}/run"]
    with (scratch / "controller.log").open("ab") as log:
        started = time.monotonic()
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - it calls one function of libc
        )
    try:
        _until(lambda: answers(f"http://{address}"), "ready")
        yield started
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _plug(record: HostRecord, numbers: range) -> None:
    words: list[str] = []
    for number in numbers:
        port, claim = f"e{number}", f"external_ids:iface-id=red/e{number}"
        words += ["--", "add-port", "br-int", port, "--", "set", "Interface", port]
        words += ["type=dummy", claim]
    if words:
        vsctl(record, *words[1:], seconds=60)


def _manifest(kind: str, name: str, tenant: str = "", **spec: Any) -> dict[str, Any]:
    metadata = {"name": name} | ({"tenant": tenant} if tenant else {})
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}


def _network() -> dict[str, Any]:
    return _manifest("Network", "web", "red", prefixes=["10.0.0.0/16", "fd00::/64"])


def _endpoint(number: int) -> dict[str, Any]:
    return _manifest("Endpoint", f"e{number}", "red", network="web")


def _await_all(client: Client, kind: str, count: int) -> None:
    def ready() -> bool:
        seen = [condition(one, "Ready").get("status") for one in client.list(kind)]
        return seen.count("True") >= count

    _until(ready, f"{count} of {kind} ready")


def _until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() >= deadline:
            raise SouthboundError(f"not {what} within {PATIENCE:g} s")
        time.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as probed:
        probed.bind(("127.0.0.1", 0))
        port: int = probed.getsockname()[1]
        return port
