# SPDX-License-Identifier: Apache-2.0
"""The demonstration: a controller, real hosts, two tenants with the same addresses, and proof.

It leaves nothing behind, however it ends, unless asked to; what a killed one left is removed by
the next.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from rich.console import Console
from rich.table import Table
from rich.text import Text

from vneter_sdn.config import Settings
from vneter_sdn.errors import IntentError, Problem, SouthboundError
from vneter_sdn.fleet.controller import Controller, Manifest, answers, register
from vneter_sdn.fleet.expectation import Finding, Question
from vneter_sdn.fleet.layout import Layout
from vneter_sdn.fleet.lifecycle import bring_up, tear_down
from vneter_sdn.fleet.probe import Method, ProbeReport, probe
from vneter_sdn.fleet.records import WorkloadRecord
from vneter_sdn.fleet.report import matrix, verdict
from vneter_sdn.fleet.system import die_with_parent, locked, remove_tree
from vneter_sdn.fleet.topology import star
from vneter_sdn.fleet.workload import Wish, attach

_PATIENCE = 60.0
_PORTS = {"tcp": (8080,), "udp": (5353,)}


@dataclass(slots=True)
class Demo:
    """One showing."""

    layout: Layout
    connect: Callable[[str], Controller]
    """Makes a client of a REST server."""
    manifests: Path
    """Directory of tenants, networks and endpoints."""
    hosts: int = 3
    keep: bool = False
    """Leave everything running."""
    _pid: int = 0
    """Of the controller, if it was started here."""
    console: Console = field(default_factory=lambda: Console(width=_width(), highlight=False))

    def play(self) -> bool:
        """Show everything; says whether all that was seen agrees with what was expected.

        Raises:
            IntentError: the manifests are not acceptable.
            SouthboundError: something did not come up.
        """
        started = time.monotonic()
        with _polite(), ExitStack() as stack:
            if not self.keep:
                tear_down(self.layout)
                stack.callback(self._tear_down)
                stack.enter_context(locked(self._scratch, wait=False))
            server = stack.enter_context(self._controller())
            controller = self.connect(server)
            report = self._prove(controller)
            self._conclude(report, server)
        self.console.print(f"in all {time.monotonic() - started:.1f} s")
        return report.good

    def _prove(self, controller: Controller) -> ProbeReport:
        with self._step(f"{self.hosts} Open vSwitch hosts, each in a network namespace"):
            hosts = bring_up(self.layout, star(self.hosts))
            register(controller, hosts)
        objects = read_manifests(self.manifests)
        with self._step(f"{_summary(objects)} applied in one transaction"):
            controller.apply(objects, "demo")
        wishes = [wish_of(one) for one in objects if one["kind"] == "Endpoint"]
        with self._step(f"{len(wishes)} workloads attached, confirmed by barriers"):
            records = self._attach(controller, wishes)
        method = Method(tcp=_PORTS["tcp"], udp=_PORTS["udp"])
        with self._step("every pair probed by ICMP, TCP and UDP over IPv4 and IPv6"):
            return probe(records, method)

    def _attach(self, controller: Controller, wishes: Sequence[Wish]) -> list[WorkloadRecord]:
        def one(wish: Wish) -> WorkloadRecord:
            return attach(self.layout, controller, wish, _PATIENCE)

        with ThreadPoolExecutor(8) as pool:
            return list(pool.map(one, wishes))

    def _conclude(self, report: ProbeReport, server: str) -> None:
        self.console.print(matrix(report))
        self.console.print(proofs(report))
        self.console.print(verdict(report))
        if self.keep:
            self.console.print(_explore(server, self._pid))

    def _tear_down(self) -> None:
        with self._step("everything removed"):
            remove_tree(self._scratch)
            tear_down(self.layout)

    @property
    def _scratch(self) -> Path:
        """What is the controller's: state, sockets and log."""
        return self.layout.run_dir / "demo"

    @contextmanager
    def _controller(self) -> Iterator[str]:
        """A controller that is ready: a running one when it is to be kept, or one of our own."""
        address = Settings().api_listen if self.keep else f"127.0.0.1:{_free_port()}"
        server = f"http://{address}"
        if self.keep and answers(server):
            self.console.print(f"a controller answers at {server}")
            yield server
            return
        log = (self.layout.run_dir if self.keep else self._scratch) / "controller.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output:
            started = self._start(address, output.fileno())
        self._pid = started.pid
        try:
            with self._step(f"controller with its embedded database, at {server}"):
                _await_server(started, server)
            yield server
        except Exception:
            _show_end(self.console, log)
            raise
        finally:
            if not self.keep:
                with self._step("controller stopped"):
                    _end(started)

    def _start(self, address: str, output: int) -> subprocess.Popen[bytes]:
        words = [sys.executable, "-m", "vneter_sdn", "up", "--api-listen", address]
        if self.keep:
            words += ["--run-dir", str(self.layout.run_dir)]
        else:
            words += ["--state-dir", f"{self._scratch}/state", "--run-dir", f"{self._scratch}/run"]
        # In a session of its own, so that Ctrl-C ends it after the fleet and not before.
        return subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=None if self.keep else die_with_parent,  # noqa: PLW1509
        )

    @contextmanager
    def _step(self, what: str) -> Iterator[None]:
        started = time.monotonic()
        yield
        self.console.print(f"[dim]{time.monotonic() - started:6.1f} s[/dim]  {what}")


def read_manifests(directory: Path) -> list[Manifest]:
    """Every object in a directory's YAML files, in the order of their names.

    Raises:
        IntentError: there is none, or a file is not YAML.
    """
    found: list[Manifest] = []
    for path in sorted(directory.glob("*.yaml")):
        try:
            found += [one for one in yaml.safe_load_all(path.read_text(encoding="utf-8")) if one]
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise IntentError(Problem(str(path), "", "Malformed", str(error))) from error
    if not found:
        raise IntentError(Problem(str(directory), "", "Empty", "there is no manifest in it"))
    return found


def wish_of(manifest: Manifest) -> Wish:
    """The workload that an Endpoint manifest with ``spec.host`` asks for."""
    metadata, spec = manifest["metadata"], manifest["spec"]
    return Wish(metadata["tenant"], metadata["name"], spec["network"], spec["host"])


def proofs(report: ProbeReport) -> Table:
    """What a probe proved, a row per promise."""
    table = Table(title="what was proven", title_justify="left")
    for heading in ("PROMISE", "PROBES", "AGREE", ""):
        table.add_column(heading, justify="right" if heading in ("PROBES", "AGREE") else "left")
    for promise, asked in _promises(report):
        if asked:
            agree = sum(report.findings[one].good for one in asked)
            mark = Text("yes", "green") if agree == len(asked) else Text("NO", "bold red")
            table.add_row(promise, str(len(asked)), str(agree), mark)
    return table


def _promises(report: ProbeReport) -> list[tuple[str, list[Question]]]:
    def tenant(identity: str) -> str:
        return identity.partition("/")[0]

    near = [q for q in report.findings if tenant(q.source) == tenant(q.target)]
    far = [q for q in report.findings if tenant(q.source) != tenant(q.target)]
    rows = [
        (
            f"within a tenant, {protocol.upper()} over IPv{family} arrives",
            [q for q in near if q.protocol == protocol and q.family == family],
        )
        for family in (4, 6)
        for protocol in ("icmp", "tcp", "udp")
    ]
    shared = [q for q in far if report.wanted[q]]
    foreign = [q for q in far if not report.wanted[q]]
    rows.append(("an address that two tenants use leads to one's own tenant's", shared))
    rows.append(("an address that only another tenant uses leads nowhere", foreign))
    leaks = sum(finding is Finding.LEAK for finding in report.findings.values())
    rows.append((f"nothing is heard in another tenant (leaks: {leaks})", far))
    return rows


def _summary(objects: Sequence[Manifest]) -> str:
    counted: dict[str, int] = {}
    for one in objects:
        counted[one["kind"]] = counted.get(one["kind"], 0) + 1
    return ", ".join(
        f"{count} {kind.lower()}{'s' if count != 1 else ''}" for kind, count in counted.items()
    )


def _explore(server: str, pid: int) -> str:
    end = f"kill {pid}" if pid else "end the controller that was running before"
    return f"""
Everything is left running. To explore:
  vneterctl get endpoints -o wide            what runs where (REST: {server}/v1/endpoints)
  vneterctl fleet status                     hosts and workloads
  vneterctl fleet exec red/web1 -- ip addr   a command in a workload
  vneterctl fleet exec h1 -- ovs-ofctl --names -O OpenFlow15 dump-flows br-int
  vneterctl fleet move red/web1 h3           live migration
  vneterctl fleet probe --tcp 8080 --udp 5353
To end it:
  vneterctl delete -f topologies/demo        tenants, networks and endpoints
  vneterctl fleet down                       hosts and workloads
  {end}"""


def _width() -> int | None:
    return None if sys.stdout.isatty() else 120


def _free_port() -> int:
    with socket.socket() as probed:
        probed.bind(("127.0.0.1", 0))
        port: int = probed.getsockname()[1]
        return port


def _await_server(started: subprocess.Popen[bytes], server: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not answers(server):
        if started.poll() is not None:
            raise SouthboundError(f"the controller ended with exit code {started.returncode}")
        if time.monotonic() >= deadline:
            raise SouthboundError(f"the controller is not ready after {_PATIENCE:g} s")
        time.sleep(0.05)


def _show_end(console: Console, log: Path) -> None:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-20:]
    if lines:
        console.print("the controller's last words:", style="bold")
        console.print("\n".join(lines), markup=False)


def _end(started: subprocess.Popen[bytes]) -> None:
    started.terminate()
    try:
        started.wait(10)
    except subprocess.TimeoutExpired:
        started.kill()
        started.wait()


@contextmanager
def _polite() -> Iterator[None]:
    """The first signal to end unwinds what was done; those after it do not disturb that."""
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def unwind(_number: int, _frame: object) -> None:
        for one in signals:
            signal.signal(one, signal.SIG_IGN)
        raise KeyboardInterrupt

    former = {one: signal.signal(one, unwind) for one in signals}
    try:
        yield
    finally:
        for one, handler in former.items():
            signal.signal(one, handler)
