# SPDX-License-Identifier: Apache-2.0
"""A private ovsdb-server (and vswitchd) per test, and a fake server that says what it is told."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

SCHEMA = Path("/usr/share/openvswitch/vswitch.ovsschema")


def eventually(condition: Callable[[], object], seconds: float = 20.0) -> object:
    """Wait until a condition holds; its value."""
    until = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < until, f"never became true: {condition}"
        time.sleep(0.01)


@dataclass
class Ovs:
    """Daemons in a directory short enough for unix socket paths."""

    directory: Path
    processes: dict[str, subprocess.Popen] = field(default_factory=dict)

    @property
    def socket(self) -> Path:
        return self.directory / "db.sock"

    @property
    def remote(self) -> str:
        return f"unix:{self.socket}"

    def _start(self, name: str, *arguments: str) -> None:
        env = {**os.environ, "OVS_RUNDIR": str(self.directory), "OVS_LOGDIR": str(self.directory)}
        self.processes[name] = subprocess.Popen(
            [shutil.which(name), *arguments],
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def start_database(self, schema: Path = SCHEMA, *arguments: str) -> None:
        database = self.directory / "conf.db"
        if not database.exists():
            subprocess.run(["ovsdb-tool", "create", database, schema], check=True, timeout=10)
        self.socket.unlink(missing_ok=True)
        self._start(
            "ovsdb-server",
            str(database),
            f"--remote=punix:{self.socket}",
            f"--unixctl={self.directory}/ovsdb.ctl",
            "-vconsole:off",
            *arguments,
        )
        eventually(self._listens)

    def _listens(self) -> bool:
        """The socket is there a moment before the server listens on it."""
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.socket)) == 0

    def start_switch(self) -> None:
        self.vsctl("--no-wait", "init")
        self._start(
            "ovs-vswitchd",
            self.remote,
            "--enable-dummy=override",
            "--disable-system",
            f"--unixctl={self.directory}/vswitchd.ctl",
            "-vconsole:off",
        )

    def stop(self, name: str, number: int = signal.SIGKILL) -> None:
        process = self.processes.pop(name)
        process.send_signal(number)
        process.wait(10)

    def run(self, *command: str) -> str:
        env = {**os.environ, "OVS_RUNDIR": str(self.directory)}
        done = subprocess.run(
            command, env=env, capture_output=True, text=True, timeout=15, check=False
        )
        assert done.returncode == 0, (command, done.stderr)
        return done.stdout

    def vsctl(self, *arguments: str) -> str:
        return self.run("ovs-vsctl", f"--db={self.remote}", "--timeout=10", *arguments)


@pytest.fixture
def ovs() -> Iterator[Callable[[], Ovs]]:
    """Make as many as a test needs; all of them are gone afterwards."""
    made = []

    def make() -> Ovs:
        made.append(Ovs(Path(tempfile.mkdtemp(prefix="vo"))))
        return made[-1]

    yield make
    for sandbox in made:
        for name in list(sandbox.processes):
            sandbox.stop(name)
        shutil.rmtree(sandbox.directory)


@pytest.fixture
def database(ovs: Callable[[], Ovs]) -> Ovs:
    """An ovsdb-server with the Open_vSwitch schema."""
    sandbox = ovs()
    sandbox.start_database()
    return sandbox


@pytest.fixture
def fake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    """``fake(handler)`` serves each connection with ``handler(socket)``; returns the remote."""
    directory = Path(tempfile.mkdtemp(prefix="vf"))
    listeners: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def serve(handler: Callable[[socket.socket], None]) -> str:
        path = directory / f"{len(listeners)}.sock"
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen()
        listeners.append(listener)

        def accept() -> None:
            while True:
                try:
                    peer, _ = listener.accept()
                except OSError:
                    return
                with peer:
                    peer.settimeout(20)
                    try:
                        handler(peer)
                    except OSError:
                        continue

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        threads.append(thread)
        return f"unix:{path}"

    yield serve
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
    for thread in threads:
        thread.join(20)
    shutil.rmtree(directory)
