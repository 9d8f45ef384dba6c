# SPDX-License-Identifier: Apache-2.0
"""A controller and real bridges joined by wires, as a topology file says, for experiments.

Every switch of the file is a host with an Open vSwitch of its own; links between two switches are
veth pairs between their bridges. All of it is gone when the context ends.
"""

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
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from results import tell

from vneter_sdn.fleet.controller import answers, await_ready, register
from vneter_sdn.fleet.layout import Layout, digest_of
from vneter_sdn.fleet.lifecycle import bring_up, links, status, tear_down
from vneter_sdn.fleet.records import HostRecord, WorkloadRecord
from vneter_sdn.fleet.strands import Strand
from vneter_sdn.fleet.system import inside
from vneter_sdn.fleet.topology import Link, Topology, as_wires, read_topology
from vneter_sdn.fleet.workload import Wish, attach
from vneter_sdn.northbound.client import Client

PATIENCE = 60.0
_COLOUR = re.compile(r"set_field:([0-9a-f:]+)/[0-9a-f:]+->eth_dst")
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def until(condition: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
    """Wait for a condition; its value.

    Raises:
        SystemExit: it did not come true; says which.
    """
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise SystemExit(f"{what} did not happen within {seconds:g} s")
        time.sleep(0.05)
    return value


def bridges_of(path: Path) -> Topology:
    """A topology's switches as hosts with wires between them; its hosts are left out."""
    read = read_topology(path)
    switches = read.switches or read.hosts
    between = [
        link
        for link in read.links
        if set(switches).issuperset(link.ends if isinstance(link, Link) else link)
    ]
    return as_wires(Topology(hosts=tuple(switches), links=tuple(between)))


def manifest(kind: str, name: str, tenant: str = "", **spec: Any) -> dict[str, Any]:
    """An object to apply."""
    metadata = {"name": name} | ({"tenant": tenant} if tenant else {})
    return {"apiVersion": "vneter.io/v1", "kind": kind, "metadata": metadata, "spec": spec}


@dataclass(slots=True)
class Bench:
    """What an experiment runs on."""

    layout: Layout
    controller: subprocess.Popen[bytes]
    client: Client
    hosts: list[HostRecord]
    wires: tuple[Strand, ...]
    workloads: dict[str, WorkloadRecord] = field(default_factory=dict)

    def attach(self, places: Mapping[str, str]) -> None:
        """Workloads of one tenant and network, by name, each on its host."""
        self.client.apply([
            manifest("Tenant", "lab"),
            manifest("Network", "lab", "lab", prefixes=["10.0.0.0/16"]),
        ])  # fmt: skip

        def one(name: str) -> WorkloadRecord:
            wish = Wish("lab", name, "lab", places[name])
            return attach(self.layout, self.client, wish, PATIENCE)

        with ThreadPoolExecutor(4) as pool:
            for record in pool.map(one, places):
                self.workloads[record.name] = record

    def await_wires(self) -> None:
        """Wait until every wire was found and is up, and BFD says so at both ends."""

        def all_up() -> bool:
            states = [one["status"].get("state") for one in self.client.list("Link")]
            return states.count("up") >= len(self.wires)

        until(all_up, f"that all {len(self.wires)} wires are up")
        until(self._all_live, "BFD on all wires")

    def _all_live(self) -> bool:
        told = []
        for host in status(self.layout):
            socket = self.layout.host_dir(host.name) / "db.sock"
            words = ["ovs-vsctl", f"--db=unix:{socket}", "--timeout=10", "--bare"]
            words += ["--columns=bfd_status", "list", "Interface"]
            done = subprocess.run(words, capture_output=True, text=True, timeout=20, check=True)
            told.append(done.stdout)
        return not any("state=down" in text or "state=init" in text for text in told)

    def carried(self) -> dict[str, int]:
        """Frames that each wire has carried so far, both ways."""
        found = {}
        for wire in self.wires:
            netns, interface = wire.places[0]
            found[wire.name] = inside(netns, lambda name=interface: _frames(name))
        return found

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """With every process of the controller stopped (SIGSTOP)."""
        group = os.getpgid(self.controller.pid)
        os.killpg(group, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(group, signal.SIGCONT)

    def ways_out(self, host: str) -> int:
        """Most colours that any select group of a host's bridge writes: paths of connections."""
        socket = self.layout.host_dir(host) / "br-int.mgmt"
        words = ["ovs-ofctl", "-O", "OpenFlow15", "dump-groups", str(socket)]
        told = subprocess.run(words, capture_output=True, text=True, timeout=20, check=True).stdout
        groups = [line for line in told.splitlines() if "type=select" in line]
        return max((len(set(_COLOUR.findall(line))) for line in groups), default=0)

    def switch_pid(self, host: str) -> int:
        """The process of a host's ovs-vswitchd."""
        found = next(one for one in status(self.layout) if one.name == host)
        assert found.vswitchd_pid
        return found.vswitchd_pid


def _frames(interface: str) -> int:
    # A socket's own namespace decides what /proc/thread-self shows of the network.
    for line in Path("/proc/thread-self/net/dev").read_text().splitlines():
        name, _, numbers = line.partition(":")
        if name.strip() == interface:
            words = numbers.split()
            return int(words[1]) + int(words[9])
    return 0


@contextmanager
def bench(topology: Topology, *options: str) -> Iterator[Bench]:
    """A controller that is ready, and the bridges of a topology, all synced and wires found.

    Args:
        topology: of hosts and wires alone.
        options: of ``vneterctl up``.
    """
    with contextlib.ExitStack() as undo:
        scratch = Path(undo.enter_context(tempfile.TemporaryDirectory(prefix="vx")))
        prefix = f"vx{digest_of(str(scratch))[:7]}"
        layout = Layout(prefix, scratch / prefix)
        undo.callback(tear_down, layout)
        undo.push(lambda kind, *_: kind and _show(scratch / "controller.log"))
        tell(f"{len(topology.hosts)} bridges, {len(topology.links)} wires")
        hosts = bring_up(layout, topology)
        controller, server = _start(scratch, undo, options)
        client = Client(server)
        register(client, hosts)
        for host in hosts:
            await_ready(client, "Host", "", host.name, PATIENCE)
        wires = tuple(link for link in links(layout) if link.kind == "wire")
        made = Bench(layout, controller, client, hosts, wires)
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
