# SPDX-License-Identifier: Apache-2.0
"""Imports what warns on import, before warnings become errors; and a laboratory for programs."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from vneter_sdn.errors import SouthboundError
from vneter_sdn.fleet.host import vsctl
from vneter_sdn.fleet.layout import Layout, digest_of
from vneter_sdn.fleet.lifecycle import bring_up, tear_down
from vneter_sdn.fleet.system import add_namespaces, inside, ip_batch, run, set_sysctls
from vneter_sdn.fleet.topology import star

os.environ["OSKEN_HUB_TYPE"] = "eventlet"
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import eventlet  # noqa: F401
    import os_ken.base.app_manager  # noqa: F401

APPS = Path(__file__).parents[2] / "apps"
PROGRAMS = Path(__file__).parent / "programs"


class Lab:
    """Bridges in one Open vSwitch, workloads in namespaces, and programs that control them."""

    def __init__(self, layout: Layout, scratch: Path, stack: ExitStack) -> None:
        self._layout, self._stack, self._scratch = layout, stack, scratch
        (self.ovs,) = bring_up(layout, star(1))
        self.netns = self.ovs.netns
        self._addresses: dict[str, str] = {}
        self.log = scratch / "program.log"

    def bridge(self, number: int, protocols: str = "OpenFlow13") -> str:
        """A bridge ``sN`` whose datapath id is its number, under control of the programs."""
        name = f"s{number}"
        words = ["add-br", name, "--", "set", "Bridge", name, "datapath_type=netdev"]
        words += ["fail_mode=secure", f"protocols={protocols}"]
        words += [f"other_config:datapath-id={number:016x}", "--", "set-controller", name]
        words += ["tcp:127.0.0.1:6653", "--", "set", "Controller", name, "max_backoff=1000"]
        vsctl(self.ovs, *words)
        return name

    def link(self, one: int, other: int) -> None:
        """A cable between two bridges: interfaces ``s1-s2`` and ``s2-s1``."""
        ends = f"s{one}-s{other}", f"s{other}-s{one}"
        ip_batch([f"link add {ends[0]} type veth peer name {ends[1]}"], self.netns)
        for end, number in zip(ends, (one, other), strict=True):
            ip_batch([f"link set dev {end} up"], self.netns)
            vsctl(self.ovs, "add-port", f"s{number}", end)

    def cut(self, one: int, other: int) -> None:
        """Take a cable away; both bridges see that."""
        ip_batch(
            [f"link set dev s{a}-s{b} down" for a, b in ((one, other), (other, one))], self.netns
        )

    def mend(self, one: int, other: int) -> None:
        """Put it back."""
        ip_batch(
            [f"link set dev s{a}-s{b} up" for a, b in ((one, other), (other, one))], self.netns
        )

    def workload(self, name: str, bridge: int) -> str:
        """A namespace with an address, on a port of a bridge; its namespace."""
        netns, number = f"{self._layout.prefix}-w-{name}", len(self._addresses) + 1
        add_namespaces([netns])
        set_sysctls({"ipv6/conf/default/disable_ipv6": 1}, netns)
        self._addresses[name] = f"10.8.0.{number}"
        pair = f"link add eth0 netns {netns} type veth peer name p-{name} netns {self.netns}"
        ip_batch([pair])
        mac = f"02:00:00:00:00:{number:02x}"
        ip_batch(
            [f"link set eth0 address {mac} up", f"address add 10.8.0.{number}/24 dev eth0"], netns
        )
        ip_batch([f"link set dev p-{name} up"], self.netns)
        run(["ethtool", "-K", "eth0", "tx", "off"], netns=netns)
        vsctl(self.ovs, "add-port", f"s{bridge}", f"p-{name}")
        return netns

    def ping(self, source: str, target: str, count: int = 1) -> int:
        """How many of some pings are answered."""
        words = ["ping", "-c", str(count), "-i", "0.02", "-W", "1", self._addresses[target]]
        try:
            said = run(words, netns=f"{self._layout.prefix}-w-{source}")
        except SouthboundError as error:
            said = str(error)
        return int(re.search(r"(\d+) received", said)[1]) if "received" in said else 0

    def await_ping(self, source: str, target: str) -> None:
        """Wait until one gets through."""
        self.until(lambda: self.ping(source, target), f"{source} reaches {target}")

    def until(self, condition, what: str, seconds: float = 40) -> None:
        """Wait for a condition, and tell what the program said when it does not come."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"never: {what}\n{self.said()}"
            time.sleep(0.05)

    def said(self) -> str:
        """What the program printed."""
        return self.log.read_text() if self.log.exists() else ""

    def ofctl(self, *words: str) -> str:
        """What ``ovs-ofctl`` prints of a bridge."""
        directory = self.ovs.run_dir
        command, bridge, *rest = words
        target = f"unix:{directory}/{bridge}.mgmt"
        return run(
            ["ovs-ofctl", "-O", "OpenFlow13", command, target, *rest], env={"OVS_RUNDIR": directory}
        )

    def drop(self, bridge: int) -> None:
        """Have a bridge leave its controller."""
        vsctl(self.ovs, "del-controller", f"s{bridge}")

    def send(self, name: str, frame: bytes) -> None:
        """Have a workload send a frame."""

        def emit() -> None:
            with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
                raw.bind(("eth0", 0))
                raw.send(frame)

        inside(f"{self._layout.prefix}-w-{name}", emit)

    def speak(self, data: bytes) -> None:
        """Say something to the program as a switch, and listen for a while."""

        def talk() -> None:
            with socket.create_connection(("127.0.0.1", 6653), 5) as sock:
                sock.sendall(data)
                sock.settimeout(0.5)
                with suppress(OSError):
                    while sock.recv(4096):
                        pass

        inside(self.netns, talk)

    def curl(self, path: str, *words: str) -> str:
        """The answer of the program's REST server."""
        argv = ["curl", "-s", "-m", "5", *words, f"http://127.0.0.1:8080{path}"]
        return run(argv, netns=self.netns)

    def program(self, *words: str | Path) -> subprocess.Popen:
        """Run programs where the bridges are; ends with the laboratory."""
        return self._stack.enter_context(running(self.log, *words, netns=self.netns))


@contextmanager
def running(log: Path, *words: str | Path, netns: str = "") -> Iterator[subprocess.Popen]:
    """``vneterctl run`` with some words; killed at the end if it still runs."""
    enter = ["nsenter", f"--net=/run/netns/{netns}", "--"] if netns else []
    argv = [*enter, sys.executable, "-m", "vneter_sdn", "run", *map(str, words)]
    with log.open("ab") as output:
        process = subprocess.Popen(argv, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture
def lab() -> Iterator[Lab]:
    if os.geteuid():
        pytest.skip("a laboratory needs root")
    with tempfile.TemporaryDirectory(prefix="vt") as scratch, ExitStack() as stack:
        prefix = f"vt{digest_of(scratch)[:7]}"
        layout = Layout(prefix, Path(scratch) / prefix)
        stack.callback(tear_down, layout)
        yield Lab(layout, Path(scratch), stack)


@pytest.fixture
def apps() -> Path:
    """Where the apps are that we ship."""
    return APPS


@pytest.fixture
def programs() -> Path:
    """Where programs in Ryu's style are."""
    return PROGRAMS
