# SPDX-License-Identifier: Apache-2.0
"""The whole of it: the real controller, three real hosts, two tenants with the same addresses."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from vneter_sdn.client import Client
from vneter_sdn.fleet.controller import answers, await_ready, register
from vneter_sdn.fleet.demo import read_manifests, wish_of
from vneter_sdn.fleet.lifecycle import bring_up
from vneter_sdn.fleet.probe import Method, probe
from vneter_sdn.fleet.records import read_workloads
from vneter_sdn.fleet.report import difference
from vneter_sdn.fleet.stream import Stream
from vneter_sdn.fleet.system import command_line, die_with_parent
from vneter_sdn.fleet.topology import star
from vneter_sdn.fleet.workload import attach, move

pytestmark = pytest.mark.fleet
ROOT = Path(__file__).parents[2]
EVERYTHING = Method(tcp=(8080,), udp=(5353,), seconds=2.0)


class Controller:
    """`vneterctl up` in a process group of its own."""

    def __init__(self, directory):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        self.server = f"http://{self.address}"
        self.directory = directory
        self.client = Client(self.server)

    def start(self):
        words = [sys.executable, "-m", "vneter_sdn", "up", "--api-listen", self.address]
        words += ["--state-dir", f"{self.directory}/s", "--run-dir", f"{self.directory}/r"]
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(
                words,
                cwd=ROOT,
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent,  # noqa: PLW1509 -- it makes one system call
            )
        deadline = time.monotonic() + 30
        while not answers(self.server):
            assert self.process.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()

    def log(self):
        return (self.directory / "log").read_text()[-4000:]

    def processes(self):
        """The supervisor and all it started, as their command lines name our directory."""
        pids = [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]
        return [pid for pid in pids if f"{self.directory}/" in command_line(pid)]

    def kill(self):
        """Kill -9 of every process of the controller, the supervisor first."""
        self.process.kill()
        self.process.wait()
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        while self.processes():
            time.sleep(0.01)

    def stop(self):
        self.process.terminate()
        self.process.wait(30)


@pytest.fixture(scope="module")
def running(shared_layout):
    shared_layout.run_dir.mkdir(parents=True)
    directory = shared_layout.run_dir / "c"
    directory.mkdir()
    controller = Controller(directory)
    controller.start()
    try:
        yield controller
    finally:
        controller.stop()
        left = controller.processes()
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for path in sorted(directory.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        directory.rmdir()
        assert not left


@pytest.fixture(scope="module")
def workloads(shared_layout, running):
    register(running.client, bring_up(shared_layout, star(3)))
    objects = read_manifests(ROOT / "topologies" / "demo")
    running.client.apply(objects, "test")
    for one in objects:
        if one["kind"] == "Endpoint":
            attach(shared_layout, running.client, wish_of(one))
    return read_workloads(shared_layout)


def assert_as_expected(layout):
    report = probe(read_workloads(layout), EVERYTHING)
    assert report.good, [difference(report, one) for one in report.differences[:10]]
    return report


def test_every_pair_reaches_whom_it_must_and_nobody_else(shared_layout, workloads):
    report = assert_as_expected(shared_layout)

    assert len(report.findings) == 8 * 7 * 2 * 3


@pytest.mark.parametrize("family", [4, 6])
def test_a_killed_controller_loses_no_packet(shared_layout, running, workloads, family):
    by_name = {record.identity: record for record in workloads}
    source, target = by_name["red/web1"], by_name["red/db1"]
    stream = Stream(source, target, rate=100, family=family)
    with stream:
        assert stream.await_flow()
        running.kill()
        running.start()
        for record in workloads:
            await_ready(running.client, "Endpoint", record.tenant, record.name, 30)
    report = stream.report()

    assert (report.lost, report.duplicates, report.refused) == (0, 0, 0), report
    assert_as_expected(shared_layout)


def test_a_moved_endpoint_is_reached_at_its_new_place(shared_layout, running, workloads):
    by_name = {record.identity: record for record in workloads}
    moved = move(shared_layout, by_name["blue/db1"], "h1", running.client)

    assert_as_expected(shared_layout)
    move(shared_layout, moved, "h3", running.client)
    assert_as_expected(shared_layout)
