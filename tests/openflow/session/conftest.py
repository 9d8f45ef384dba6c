# SPDX-License-Identifier: Apache-2.0
"""A private Open vSwitch, a certificate authority, and bridges that remember their events."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # what stands beside the tests
os.environ["OSKEN_HUB_TYPE"] = "eventlet"
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import eventlet
    import os_ken.base.app_manager  # noqa: F401

PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"


def eventually(condition, seconds: float = 20.0):
    """Run the hub until a condition holds; its value."""
    limit = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < limit, "did not happen"
        eventlet.sleep(0.01)
    return value


class Ovs:
    """``ovsdb-server`` and ``ovs-vswitchd`` on dummy datapaths; the latter can be killed."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        names = ("OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR", "OVS_SYSCONFDIR")
        self.environment = {**os.environ, "PATH": PATH, **dict.fromkeys(names, str(directory))}
        self.run("ovsdb-tool", "create", str(directory / "conf.db"), SCHEMA)
        self.db = self._start(
            "ovsdb-server", str(directory / "conf.db"), f"--remote=punix:{directory}/db.sock"
        )
        eventually((directory / "db.sock").exists)
        self.vsctl("--no-wait", "init")
        self.switch = self._switch()

    def _start(self, program: str, *words: str) -> subprocess.Popen:
        quiet = subprocess.DEVNULL
        return subprocess.Popen(
            [shutil.which(program, path=PATH), *words, "--pidfile", "-vconsole:off"],
            env=self.environment,
            stdin=quiet,
            stdout=quiet,
            stderr=quiet,
        )

    def _switch(self) -> subprocess.Popen:
        return self._start("ovs-vswitchd", "--enable-dummy=override", "--disable-system")

    def kill_switch(self) -> None:
        self.switch.send_signal(signal.SIGKILL)
        self.switch.wait()

    def restart_switch(self) -> None:
        self.kill_switch()
        self.switch = self._switch()

    def close(self) -> None:
        for process in (self.switch, self.db):
            process.kill()
            process.wait()

    def run(self, *words: str) -> str:
        command = [shutil.which(words[0], path=PATH), *words[1:]]
        return subprocess.run(
            command, env=self.environment, check=True, capture_output=True, text=True, timeout=30
        ).stdout

    def vsctl(self, *words: str) -> str:
        remote = f"--db=unix:{self.directory}/db.sock"
        return self.run("ovs-vsctl", "--retry", "--timeout=20", remote, *words)

    def ofctl(self, *words: str) -> str:
        return self.run("ovs-ofctl", "--timeout=20", "-OOpenFlow14,OpenFlow15", *words)

    def bridge(self, name: str, dpid: int, versions: str = "OpenFlow14,OpenFlow15") -> None:
        self.vsctl(
            "add-br", name, "--", "set", "bridge", name, "datapath_type=dummy", "fail-mode=secure",
            f"protocols={versions}", f"other-config:datapath-id={dpid:016x}",
            "--", "add-port", name, f"{name}p1", "--", "set", "interface", f"{name}p1",
            "type=dummy", "ofport_request=1",
        )  # fmt: skip

    def controller(self, name: str, target: str) -> None:
        self.vsctl(
            "set-controller", name, target, "--", "set", "controller", name, "max_backoff=1000"
        )

    def flows(self, name: str) -> list[str]:
        text = self.ofctl("dump-flows", name)
        return [line.strip() for line in text.splitlines() if "cookie=" in line]


@pytest.fixture
def directory():
    """A short path: unix socket names end at 107 bytes."""
    made = Path(tempfile.mkdtemp(prefix="vn"))
    yield made
    shutil.rmtree(made)


@pytest.fixture
def ovs(directory):
    made = Ovs(directory)
    yield made
    made.close()


@pytest.fixture
def make_bridges():
    """``make(**upkeeping)`` gives bridges whose ``seen`` holds every event."""
    from vneter_sdn.southbound.openflow.bridges import OpenFlowBridges, Upkeeping
    from vneter_sdn.southbound.openflow.session import Terms

    made = []

    def make(terms: Terms | None = None, **upkeeping) -> OpenFlowBridges:
        bridges = OpenFlowBridges(Upkeeping(terms=terms or Terms(echo_interval=0.5), **upkeeping))
        bridges.seen = []
        bridges.subscribe(bridges.seen.append)
        made.append(bridges)
        return bridges

    yield make
    for bridges in made:
        bridges.close()
    eventlet.sleep(0.05)


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    """``issue(name, *uris)`` gives (key, certificate, CA) paths; ``ca`` picks the authority."""
    folder = tmp_path_factory.mktemp("pki")

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    def issue(name: str, *uris: str, ca: str = "ca") -> tuple[str, str, str]:
        if not (folder / f"{ca}.pem").exists():
            openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                    "-nodes", "-keyout", f"{ca}.key", "-out", f"{ca}.pem", "-days", "2",
                    "-subj", f"/CN={ca}")  # fmt: skip
        extension = "basicConstraints=CA:FALSE\n"
        if uris:
            extension += "subjectAltName=" + ",".join(f"URI:{uri}" for uri in uris) + "\n"
        (folder / f"{name}.ext").write_text(extension)
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj",
                f"/CN={name}")  # fmt: skip
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{ca}.pem", "-CAkey", f"{ca}.key",
                "-CAcreateserial", "-out", f"{name}.pem", "-days", "2",
                "-extfile", f"{name}.ext")  # fmt: skip
        return tuple(str(folder / part) for part in (f"{name}.key", f"{name}.pem", f"{ca}.pem"))

    return issue


@pytest.fixture(name="eventually")
def _eventually():
    return eventually


@pytest.fixture(params=["memory", pytest.param("real", marks=pytest.mark.ovs)])
def world(request):
    """``make(audit=0.0)`` gives one that is not connected yet."""
    from kinds_of_bridges import Memory, Real

    def make(audit: float = 0.0):
        if request.param == "memory":
            return Memory(audit)
        make_bridges = request.getfixturevalue("make_bridges")
        return Real(
            request.getfixturevalue("ovs"),
            make_bridges(audit=audit),
            request.getfixturevalue("eventually"),
        )

    return make
