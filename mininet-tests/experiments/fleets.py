# SPDX-License-Identifier: Apache-2.0
"""A controller and a fleet: every bridge has an Open vSwitch of its own, and BFD on its wires."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benches import PATIENCE, Bench, manifest, until
from results import tell

from vneter_sdn.client import Client
from vneter_sdn.fleet.controller import answers, await_ready, register
from vneter_sdn.fleet.layout import Layout, digest_of
from vneter_sdn.fleet.lifecycle import bring_up, links, status, tear_down
from vneter_sdn.fleet.records import WorkloadRecord
from vneter_sdn.fleet.strands import Strand
from vneter_sdn.fleet.system import ip_batch
from vneter_sdn.fleet.topology import Topology
from vneter_sdn.fleet.workload import Wish, attach

TENANT = "lab"
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


@dataclass(slots=True, kw_only=True)
class FleetBench(Bench):
    """A bench of hosts in namespaces."""

    layout: Layout
    controller: subprocess.Popen[bytes]

    def attach(self, places: Mapping[str, str]) -> None:
        """Workloads of one tenant and network, by name, each on its host."""
        self.client.apply([
            manifest("Tenant", TENANT),
            manifest("Network", "lab", TENANT, prefixes=["10.0.0.0/16"]),
        ])  # fmt: skip

        def one(name: str) -> WorkloadRecord:
            wish = Wish(TENANT, name, "lab", places[name])
            return attach(self.layout, self.client, wish, PATIENCE)

        with ThreadPoolExecutor(4) as pool:
            for record in pool.map(one, places):
                self.workloads[record.name] = record

    @property
    def links(self) -> tuple[Strand, ...]:
        """Wires, NICs and cables of the underlay."""
        return links(self.layout)

    def await_wires(self) -> None:
        """Wait until every wire was found, all links are up, and BFD says so at both ends."""

        def all_up() -> bool:
            states = [one["status"].get("state") for one in self.client.list("Link")]
            return len(states) >= len(self.wires) and set(states) == {"up"}

        until(all_up, f"that all {len(self.wires)} wires, and all tunnels, are up")
        until(self._all_live, "BFD on all links")

    def flaps(self) -> int:
        """See `Bench.flaps`."""
        told = " ".join(self._bfd())
        return sum(int(count) for count in re.findall(r"flap_count=\"?(\d+)", told))

    def _all_live(self) -> bool:
        return not any("state=down" in text or "state=init" in text for text in self._bfd())

    def _bfd(self) -> list[str]:
        told = []
        for host in status(self.layout):
            socket = self.layout.host_dir(host.name) / "db.sock"
            words = ["ovs-vsctl", f"--db=unix:{socket}", "--timeout=10", "--bare"]
            words += ["--columns=bfd_status", "list", "Interface"]
            done = subprocess.run(words, capture_output=True, text=True, timeout=20, check=True)
            told.append(done.stdout)
        return told

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """With every process of the controller stopped (SIGSTOP)."""
        group = os.getpgid(self.controller.pid)
        os.killpg(group, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(group, signal.SIGCONT)

    def part(self, one: str, other: str) -> Callable[[], None]:
        """See `Bench.part`."""
        known = {host.name: host.addresses[0] for host in status(self.layout)}
        near, far = known[one], known[other]
        ways = [f"from {near} to {far} blackhole", f"from {far} to {near} blackhole"]
        ip_batch([f"rule add {way}" for way in ways], self.layout.underlay)
        return lambda: ip_batch([f"rule del {way}" for way in ways], self.layout.underlay)

    def groups(self, host: str) -> str:
        """A bridge's groups, as ``ovs-ofctl`` shows them."""
        socket = self.layout.host_dir(host) / "br-int.mgmt"
        words = ["ovs-ofctl", "-O", "OpenFlow15", "dump-groups", str(socket)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=20, check=True)
        return done.stdout

    def switch_pid(self, host: str) -> int:
        """The process of a host's ovs-vswitchd."""
        found = next(one for one in status(self.layout) if one.name == host)
        assert found.vswitchd_pid
        return found.vswitchd_pid


@contextmanager
def fleet(topology: Topology, *options: str) -> Iterator[FleetBench]:
    """A fleet that is in sync with its controller, see `benches.bench`."""
    with contextlib.ExitStack() as undo:
        scratch = Path(undo.enter_context(tempfile.TemporaryDirectory(prefix="vx")))
        prefix = f"vx{digest_of(str(scratch))[:7]}"
        layout = Layout(prefix, scratch / prefix)
        undo.callback(tear_down, layout)
        undo.push(lambda kind, *_: kind and _show(scratch / "controller.log"))
        tell(f"a fleet: {len(topology.hosts)} bridges, {len(topology.links)} links")
        hosts = bring_up(layout, topology)
        controller, server = _start(scratch, undo, options)
        client = Client(server)
        register(client, hosts)
        for host in hosts:
            await_ready(client, "Host", "", host.name, PATIENCE)
        wires = tuple(link for link in links(layout) if link.kind == "wire")
        made = FleetBench(client, wires, TENANT, layout=layout, controller=controller)
        made.await_wires()
        yield made


def _start(
    scratch: Path, undo: contextlib.ExitStack, options: Sequence[str]
) -> tuple[subprocess.Popen[bytes], str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    words = [sys.executable, "-m", "vneter_sdn", "up", "--api-listen", address]
    words += ["--state-dir", f"{scratch}/state", "--run-dir", f"{scratch}/r", *options]
    log = scratch / "controller.log"
    with log.open("wb") as output:
        started = subprocess.Popen(
            words,
            cwd=Path(__file__).resolve().parents[2],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=lambda: _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM),  # noqa: PLW1509
        )
    undo.callback(_end, started)
    until(lambda: started.poll() is not None or answers(f"http://{address}"), "readiness")
    if started.poll() is not None:
        raise SystemExit(log.read_text(errors="replace")[-2000:])
    return started, f"http://{address}"


def _show(log: Path) -> None:
    if log.exists():
        tell(f"the controller said at last:\n{log.read_text(errors='replace')[-3000:]}")


def _end(started: subprocess.Popen[bytes]) -> None:
    started.terminate()
    try:
        started.wait(15)
    except subprocess.TimeoutExpired:
        started.kill()
        started.wait()
