# SPDX-License-Identifier: Apache-2.0
"""A controller in a lab (``vneterctl up --lab``), and Mininet networks that it serves."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vneter_sdn.client import Client
from vneter_sdn.errors import VneterError

HERE = Path(__file__).resolve().parent
SYSTEM_PYTHON = "/usr/bin/python3"
METRICS = "http://127.0.0.1:8182/metrics"


def until(condition: Callable[[], Any], what: str, seconds: float = 60) -> Any:
    """Wait for a condition; its value."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what} did not come true in {seconds} s"
        time.sleep(0.1)
    return value


class Controller:
    """``vneterctl up --lab`` in a lab, reached from outside by its unix socket."""

    def __init__(self, lab: Any) -> None:
        self.lab = lab
        self.server = "unix:/run/api.sock"
        """As those in the lab reach it."""
        self.client = Client(f"unix:/proc/{lab.pid}/root/run/api.sock")

    def start(self, *options: str) -> None:
        """Run it until it is ready."""
        words = [sys.executable, "-m", "vneter_sdn", "up", "--lab", "--api-listen", self.server]
        words += ["--state-dir", "/run/state", "--run-dir", "/run/controller", *options]
        self.process = self.lab.start(
            ["setsid", "sh", "-c", 'exec "$@" >>/run/controller.log 2>&1', "sh", *words]
        )
        until(self._ready, "the controller's readiness")

    def _ready(self) -> bool:
        assert self.process.poll() is None, self.log()
        with suppress(VneterError, OSError):
            return self.client.ready()
        return False

    @property
    def pid(self) -> int:
        """Its first process, as the machine counts; the leader of a group with all its others."""
        nsenter = self.process.pid
        return int(Path(f"/proc/{nsenter}/task/{nsenter}/children").read_text().split()[0])

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """With every process of it stopped (SIGSTOP)."""
        group = self.pid
        os.killpg(group, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(group, signal.SIGCONT)
            self.process.send_signal(signal.SIGCONT)  # nsenter stops with its child

    def log(self) -> str:
        """What it has said."""
        told: str = self.lab.run(["cat", "/run/controller.log"]).stdout
        return told

    def vneterctl(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run the command line tool in the lab."""
        command = [sys.executable, "-m", "vneter_sdn", *words]
        ended: subprocess.CompletedProcess[str] = self.lab.run(command, VNETER_SERVER=self.server)
        return ended

    def links(self) -> dict[str, Mapping[str, Any]]:
        """What is reported of each link, by name."""
        return {one["metadata"]["name"]: one["status"] for one in self.client.list("Link")}

    def edges(self) -> set[tuple[str, ...]]:
        """Usable directed edges of the graph: ``("s1:s1-eth1", "s2:s2-eth2")``."""
        edges = self.client.topology()["edges"]
        return {tuple(edge["name"].split(">")) for edge in edges if edge["usable"]}

    def refused(self) -> dict[str, float]:
        """Discovery frames that were not believed so far, by reason."""
        fetch = f"import urllib.request as u; print(u.urlopen('{METRICS}').read().decode())"
        told = self.lab.run([SYSTEM_PYTHON, "-c", fetch]).stdout
        found = re.findall(r'^vneter_discovery_refused_total{reason="(.+)"} (.+)$', told, re.M)
        return {reason: float(number) for reason, number in found}


@dataclass
class Network:
    """A Mininet network that is up."""

    process: subprocess.Popen[str]
    switches: Sequence[str]
    originals: Mapping[str, str]
    """What the file calls each switch, by its name."""
    hosts: Mapping[str, Mapping[str, str]]
    """``ip`` and ``mac`` addresses, and ``pid`` as the lab counts, by name."""
    links: Sequence[Sequence[Sequence[str]]]
    """Both ends of each, node and interface."""

    @property
    def wires(self) -> list[Sequence[Sequence[str]]]:
        """Links between two switches."""
        return [ends for ends in self.links if all(node in self.switches for node, _ in ends)]

    @property
    def edges(self) -> set[tuple[str, str]]:
        """Wires both ways, as `Controller.edges` has them."""
        named = [[f"{node}:{interface}" for node, interface in ends] for ends in self.wires]
        return {pair for one, other in named for pair in ((one, other), (other, one))}

    def run(self, node: str, words: str) -> str:
        """A command on a node; what it says. A ``&`` at the end sends it to the background."""
        said: str = self._ask(do="run", node=node, words=words)
        return said

    def set(self, ends: Sequence[Sequence[str]], state: str) -> None:
        """Set the interfaces of a link up or down."""
        self._ask(do="set", interfaces=ends, state=state)

    def ping(self, source: str, target: str, options: str = "-c 1 -W 2") -> bool:
        """Whether every echo request is answered."""
        told = self.run(source, f"ping -q {options} {self.hosts[target]['ip']}")
        return " 0% packet loss" in told

    def _ask(self, **what: Any) -> Any:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()
        found = answer(self.process)
        assert "failed" not in found, found
        return found["done"]


def answer(process: subprocess.Popen[str]) -> dict[str, Any]:
    """The next answer of `serve.py`."""
    told = []
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("@"):
            found: dict[str, Any] = json.loads(line[1:])
            return found
        told.append(line)
    raise AssertionError(f"Mininet ended: {''.join(told)[-3000:]}")


@contextmanager
def network(lab: Any, topology: str, **options: str) -> Iterator[Network]:
    """A topology file as a Mininet network, for as long as the context lasts.

    Args:
        lab: where it is to be.
        topology: path of the file, as the lab sees it.
        options: of `mininet_topos`: ``bw="off"``, ``delay="off"``.
    """
    words = [SYSTEM_PYTHON, str(HERE / "serve.py"), topology, json.dumps(options)]
    process = lab.start(words)
    try:
        yield Network(process, **answer(process)["network"])
    finally:
        _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    with suppress(BrokenPipeError):
        process.stdin.close()
    process.stdout.read()
    process.wait(60)
    process.stdout.close()
