# SPDX-License-Identifier: Apache-2.0
"""A whole controller, as ``vneterctl up`` runs it, and a fleet of real hosts of its own."""

import contextlib
import ctypes
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import vneter_sdn_apps

import vneter_sdn
from vneter_sdn.cli.main import run
from vneter_sdn.client import Client
from vneter_sdn.fleet.controller import answers, await_ready, register
from vneter_sdn.fleet.layout import Layout, digest_of
from vneter_sdn.fleet.lifecycle import bring_up, tear_down
from vneter_sdn.fleet.stream import Stream
from vneter_sdn.fleet.topology import star
from vneter_sdn.fleet.workload import Wish, attach

sys.path.insert(0, str(Path(__file__).parent))  # what stands beside the tests
PR_SET_PDEATHSIG = 1
PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"
libc = ctypes.CDLL(None)


def die_with_parent():
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def free_port():
    """A port that nobody has, outside the range from which outgoing connections get theirs."""
    while True:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", random.randrange(20_000, 32_000)))
            return probe.getsockname()[1]


def until(condition, seconds=30, what="the condition"):
    """Wait for a condition; its last value."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what} did not come true in {seconds} s"
        time.sleep(0.05)
    return value


def manifest(kind, name, tenant=None, **spec):
    metadata = {"name": name} | ({"tenant": tenant} if tenant else {})
    return {"apiVersion": "vneter.io/v1", "kind": kind, "metadata": metadata, "spec": spec}


class Controller:
    """``vneterctl up`` in a process group of its own."""

    def __init__(self, scratch: Path, *options: str):
        self.scratch, self.options = scratch, options
        self.address = f"127.0.0.1:{free_port()}"
        self.server = f"http://{self.address}"
        self.client = Client(self.server)
        self.log = scratch / "controller.log"
        self.process = None

    def start(self, *options, package=None):
        """Run ``vneterctl up``, of a package elsewhere if one is given, until it is ready."""
        words = [sys.executable, "-m", "vneter_sdn", "up", "--api-listen", self.address]
        words += ["--state-dir", str(self.scratch / "state"), "--run-dir", str(self.scratch / "r")]
        words += [*self.options, *options]
        environment = os.environ | ({"PYTHONPATH": str(package)} if package else {})
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                words,
                cwd=package,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - it calls one function of libc
            )
        until(self._answers, what="the controller's readiness")

    def _answers(self):
        assert self.process.poll() is None, self.log.read_text(errors="replace")[-2000:]
        return answers(self.server)

    def pids(self):
        """The supervisor's children: database, core and api."""
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(word) for word in path.read_text().split()]

    def child(self, word):
        """The pid of the child whose command line has a word."""
        for pid in self.pids():
            with contextlib.suppress(OSError):
                if word.encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                    return pid
        return None

    def kill(self):
        """kill -9, all of it, as when the machine's power fails."""
        pids = [*self.pids(), self.process.pid]
        for pid in reversed(pids):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()

    @contextlib.contextmanager
    def frozen(self):
        """SIGSTOP, all of it, for as long as the context lasts."""
        pids = [self.process.pid, *self.pids()]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in reversed(pids):
                os.kill(pid, signal.SIGCONT)

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)

    def log_length(self):
        return len(self.log.read_text(errors="replace"))

    def await_log(self, words, times, since, seconds=30):
        """Wait until the log has said something so often since it was so long."""
        until(
            lambda: self.log.read_text(errors="replace")[since:].count(words) >= times,
            seconds,
            f"the log's {words!r}, {times} times,",
        )

    def conditions(self, kind, name, tenant=""):
        found = self.client.get(kind, tenant, name)["status"].get("conditions", ())
        return {c["type"]: (c["status"], c["reason"]) for c in found}

    def await_synced(self, hosts, seconds=30):
        for host in hosts:
            await_ready(self.client, "Host", "", host, seconds)


class Fleet:
    """Hosts and workloads of one test."""

    until = staticmethod(until)
    manifest = staticmethod(manifest)

    def __init__(self, layout: Layout, controller: Controller):
        self.layout, self.controller = layout, controller
        self.records = {}
        self.hosts = []

    def up(self, hosts):
        """``hosts``: how many, on one switch; or a topology."""
        topology = star(hosts) if isinstance(hosts, int) else hosts
        self.hosts = bring_up(self.layout, topology)
        register(self.controller.client, self.hosts)
        self.controller.await_synced(record.name for record in self.hosts)

    def attach(self, *wishes):
        def one(wish):
            return attach(self.layout, self.controller.client, Wish(*wish), 60)

        with ThreadPoolExecutor(8) as pool:
            for record in pool.map(one, wishes):
                self.records[record.identity] = record

    def tenant(self, name, places, prefix="10.0.0.0/24"):
        """A tenant with a network and a workload on each of some hosts: ``{"a": "h1"}``."""
        network = manifest("Network", "net", name, prefixes=[prefix])
        self.controller.client.apply([manifest("Tenant", name), network])
        self.attach(*((name, workload, "net", host) for workload, host in places.items()))

    def alike(self, *tenants):
        """Tenants with the same addresses: of each networks ``web`` and ``db``, both routed."""
        objects = []
        for tenant in tenants:
            objects.append(manifest("Tenant", tenant))
            for number, name in enumerate(("web", "db"), 1):
                prefixes = [f"10.0.{number}.0/24", f"fd00:{number}::/64"]
                objects.append(manifest("Network", name, tenant, prefixes=prefixes))
        self.controller.client.apply(objects, "the test's")

    def stream(self, source, target, rate=1000):
        """Numbered datagrams between two workloads, and echoed."""
        return Stream(self.records[source], self.records[target], rate=rate, protocol="udp")

    def links(self):
        """Every link: its state by name."""
        found = self.controller.client.list("Link")
        return {item["metadata"]["name"]: item["status"].get("state") for item in found}

    def sent(self, host):
        """Packets sent out of each port of a host's bridge, by interface."""
        told = self.ofctl(host, "dump-ports", "--names")
        return {
            name: int(count)
            for name, count in re.findall(
                r"port +\"?([-\w.]+)\"?: rx.*?tx pkts=(\d+)", told, re.DOTALL
            )
        }

    def directory(self, host):
        return self.layout.host_dir(host)

    def ofctl(self, host, *words):
        bridge = self.directory(host) / "br-int.mgmt"
        run = subprocess.run(
            ["ovs-ofctl", "-O", "OpenFlow15", words[0], str(bridge), *words[1:]],
            capture_output=True, text=True, check=True, timeout=20,
        )  # fmt: skip
        return run.stdout

    def vsctl(self, host, *words):
        run = subprocess.run(
            ["ovs-vsctl", f"--db=unix:{self.directory(host)}/db.sock", "--timeout=10", *words],
            capture_output=True, text=True, check=True, timeout=20,
        )  # fmt: skip
        return run.stdout.strip()

    def appctl(self, host, *words):
        directory = self.directory(host)
        pid = (directory / "ovs-vswitchd.pid").read_text().strip()
        run = subprocess.run(
            ["ovs-appctl", "-t", str(directory / f"ovs-vswitchd.{pid}.ctl"), *words],
            capture_output=True, text=True, check=True, timeout=20,
        )  # fmt: skip
        return run.stdout

    def settle(self):
        """Wait until datapaths forgot what they concluded from the flows before.

        A bridge confirms flows first, and revalidates what its datapath caches after that.
        """
        names = [host.name for host in self.hosts]
        with ThreadPoolExecutor() as pool:  # each takes up to half a second
            list(pool.map(lambda name: self.appctl(name, "revalidator/wait"), names))

    def netns(self, identity, *words, check=True):
        """Run a command in a workload."""
        return subprocess.run(
            ["nsenter", f"--net=/run/netns/{self.records[identity].netns}", "--", *words],
            capture_output=True, text=True, check=check, timeout=60,
        )  # fmt: skip


class Switch:
    """An Open vSwitch on dummy datapaths, for tests that need no packets and no root."""

    def __init__(self, directory: Path, remote: str = "", files=()):
        """``remote``: where it listens for OVSDB besides its socket; ``files``: for TLS."""
        self.directory = directory
        self.ovsdb = f"unix:{directory}/db.sock"
        names = ("OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR", "OVS_SYSCONFDIR")
        self.environment = {**os.environ, "PATH": PATH, **dict.fromkeys(names, str(directory))}
        self.processes = []
        database = str(directory / "conf.db")
        self._run("ovsdb-tool", "create", database, SCHEMA)
        remotes = [f"p{self.ovsdb}", *([remote] if remote else [])]
        self._start("ovsdb-server", database, *(f"--remote={r}" for r in remotes), *_tls(files))
        until((directory / "db.sock").exists)
        self.vsctl("--no-wait", "init")
        self.start_switch(files)

    def start_switch(self, files=()):
        """Start ``ovs-vswitchd``."""
        words = ("--enable-dummy=override", "--disable-system", *_tls(files))
        self.switch = self._start("ovs-vswitchd", *words)

    def stop_switch(self):
        self.switch.kill()
        self.switch.wait()

    def _start(self, program, *words):
        quiet = subprocess.DEVNULL
        process = subprocess.Popen(
            [shutil.which(program, path=PATH), *words, "--pidfile", "-vconsole:off"],
            env=self.environment, stdin=quiet, stdout=quiet, stderr=quiet,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - it calls one function of libc
        )  # fmt: skip
        self.processes.append(process)
        return process

    def _run(self, program, *words):
        run = subprocess.run([shutil.which(program, path=PATH), *words], env=self.environment,
                             check=True, capture_output=True, text=True, timeout=30)  # fmt: skip
        return run.stdout.strip()

    def vsctl(self, *words):
        return self._run("ovs-vsctl", "--retry", f"--db={self.ovsdb}", "--timeout=15", *words)

    def attach(self, *interface_ids):
        """Give ``br-int`` a port for each endpoint."""
        words = []
        for interface_id in interface_ids:
            name = interface_id.replace("/", "-")
            words += ["--", "add-port", "br-int", name, "--", "set", "Interface", name,
                      "type=dummy", f"external_ids:iface-id={interface_id}"]  # fmt: skip
        self.vsctl(*words[1:])

    def flows(self, *which):
        """How many flows of ours ``br-int`` holds; ``which`` may say of which table."""
        words = ("ovs-ofctl", "-OOpenFlow15", "dump-flows", f"unix:{self.directory}/br-int.mgmt")
        return self._run(*words, *which).count("cookie=0x76")

    def down(self):
        for process in reversed(self.processes):
            process.kill()
            process.wait()


def _tls(files):
    kinds = ("private-key", "certificate", "ca-cert")
    return [f"--{kind}={file}" for kind, file in zip(kinds, files, strict=False)]


@pytest.fixture
def make_switch():
    """``make_switch(remote, files)`` gives a running `Switch`."""
    with contextlib.ExitStack() as undo:

        def make(remote="", files=()):
            directory = Path(undo.enter_context(tempfile.TemporaryDirectory(prefix="vs")))
            switch = Switch(directory, remote, files)
            undo.callback(switch.down)
            return switch

        yield make


class System:
    """What tests without a fleet share."""

    until = staticmethod(until)
    manifest = staticmethod(manifest)
    free_port = staticmethod(free_port)


@pytest.fixture(name="system")
def _system():
    return System


@pytest.fixture
def make_controller():
    """``make_controller(*options)``: one without a fleet, not started; needs no root."""
    with contextlib.ExitStack() as undo:

        def make(*options):
            scratch = Path(undo.enter_context(tempfile.TemporaryDirectory(prefix="vs")))
            controller = Controller(scratch, *options)
            undo.callback(_stop, controller)
            return controller

        yield make


def _stop(controller):
    controller.stop()
    if controller.log.exists():
        sys.stdout.write(controller.log.read_text(errors="replace")[-6000:])


@contextlib.contextmanager
def _fleet(*options):
    if os.geteuid():
        pytest.skip("a fleet needs root; scripts/test runs as root")
    with tempfile.TemporaryDirectory(prefix="vs") as scratch:
        prefix = f"vt{digest_of(scratch)[:7]}"
        layout = Layout(prefix, Path(scratch) / prefix)
        controller = Controller(Path(scratch))
        try:
            controller.start(*options)
            yield Fleet(layout, controller)
        finally:
            _stop(controller)
            tear_down(layout)


@pytest.fixture(scope="module")
def fleet():
    """A controller and an empty fleet; ``fleet.up(n)`` makes hosts."""
    with _fleet() as made:
        yield made


@pytest.fixture(scope="module")
def shared_fleet_with():
    """``with shared_fleet_with(*options) as fleet:`` for all tests of a module."""

    @contextlib.contextmanager
    def make(*options):
        metrics = f"127.0.0.1:{free_port()}"
        words = ("--metrics-listen", metrics, *options)
        with _fleet(*words) as made:
            made.metrics, made.options = metrics, words
            yield made

    return make


@pytest.fixture
def quick_fleet():
    """The same for one test alone, whose links are seen to fail within 60 ms."""
    metrics = f"127.0.0.1:{free_port()}"
    with _fleet("--bfd-interval-ms", "20", "--metrics-listen", metrics) as made:
        made.metrics = metrics
        yield made


@pytest.fixture
def own_fleet():
    """The same, for one test alone."""
    with _fleet() as made:
        yield made


@pytest.fixture
def fleet_with():
    """``fleet_with(*options)``: a generator of one for one test alone, with options of ``up``."""

    def made(*options):
        with _fleet(*options) as fleet:
            yield fleet

    return made


@pytest.fixture
def vneterctl(fleet, capsys):
    """``vneterctl("get", "hosts")``: exit code, output and errors, of the fleet's controller."""

    def call(*words):
        capsys.readouterr()
        code = run([*words, "--server", fleet.controller.server])
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture
def release(tmp_path):
    """Makes a copy of the package whose tables and cookies are numbered otherwise."""

    def make(step, generation):
        for package in (vneter_sdn, vneter_sdn_apps):
            name = package.__name__
            shutil.copytree(Path(package.__file__).parent, tmp_path / name)
        pipeline = tmp_path / "vneter_sdn" / "pipeline"
        for file, name, number in (("tables", "STEP", step), ("cookies", "GENERATION", generation)):
            path = pipeline / f"{file}.py"
            text, found = re.subn(rf"(?m)^{name} = \d+$", f"{name} = {number}", path.read_text())
            assert found == 1
            path.write_text(text)
        return tmp_path

    return make
