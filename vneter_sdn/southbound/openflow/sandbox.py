# SPDX-License-Identifier: Apache-2.0
"""A private Open vSwitch with one dummy bridge, for benches and tests; needs no root."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from vneter_sdn.errors import SessionClosed
from vneter_sdn.southbound.openflow import decode, encode, validate
from vneter_sdn.southbound.openflow.framing import Framer
from vneter_sdn.southbound.openflow.wire import V15

_SCHEMA = Path("/usr/share/openvswitch/vswitch.ovsschema")
_PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


class Sandbox:
    """``ovsdb-server`` and ``ovs-vswitchd`` in a run directory of their own, gone at exit."""

    bridge = "br0"

    def __init__(self, ports: int = 4) -> None:
        self._ports = ports
        self._undo = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            self.directory = Path(undo.enter_context(tempfile.TemporaryDirectory(prefix="vn")))
            run = str(self.directory)
            names = ("OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR", "OVS_SYSCONFDIR")
            self.environment = {**os.environ, "PATH": _PATH, **dict.fromkeys(names, run)}
            database = self.directory / "conf.db"
            self.run("ovsdb-tool", "create", str(database), str(_SCHEMA))
            remote = f"--remote=punix:{self.directory}/db.sock"
            undo.callback(_stop, self._start("ovsdb-server", str(database), remote))
            _await(self.directory / "db.sock")
            self.vsctl("--no-wait", "init")
            undo.callback(
                _stop, self._start("ovs-vswitchd", "--enable-dummy=override", "--disable-system")
            )
            self._add_bridge()
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def _add_bridge(self) -> None:
        words = ["add-br", self.bridge, "--", "set", "bridge", self.bridge, "datapath_type=dummy"]
        words += ["fail-mode=secure", "protocols=OpenFlow14,OpenFlow15"]
        for number in range(1, self._ports + 1):
            words += ["--", "add-port", self.bridge, f"p{number}", "--", "set", "interface"]
            words += [f"p{number}", "type=dummy", f"ofport_request={number}"]
        self.vsctl(*words)
        _await(self.management)

    @property
    def management(self) -> Path:
        """The unix socket on which the bridge takes OpenFlow."""
        return self.directory / f"{self.bridge}.mgmt"

    def vsctl(self, *words: str) -> str:
        """Run ``ovs-vsctl`` on this database."""
        return self.run("ovs-vsctl", "--timeout=20", f"--db=unix:{self.directory}/db.sock", *words)

    def ofctl(self, *words: str) -> str:
        """Run ``ovs-ofctl`` with OpenFlow 1.5."""
        return self.run("ovs-ofctl", "--timeout=60", "-OOpenFlow15", *words)

    def run(self, *words: str) -> str:
        """Run a program in this sandbox and give what it prints.

        Raises:
            subprocess.SubprocessError: it fails, or takes more than a minute.
        """
        program = shutil.which(words[0], path=_PATH) or words[0]
        done = subprocess.run(
            [program, *words[1:]],
            env=self.environment,
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return done.stdout

    def _start(self, program: str, *words: str) -> subprocess.Popen[bytes]:
        path = shutil.which(program, path=_PATH) or program
        return subprocess.Popen(
            [path, *words, "--log-file", "--pidfile", "-vconsole:off"],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _await(path: Path, seconds: float = 20) -> None:
    """Wait until somebody listens on a socket, which is a moment after it is there."""
    limit = time.monotonic() + seconds
    while True:
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(str(path)) == 0:
                return
        if time.monotonic() > limit:
            raise TimeoutError(f"nobody listens on {path.name}")
        time.sleep(0.01)


class Link:
    """A plain blocking OpenFlow connection to a bridge's management socket."""

    def __init__(self, path: Path, version: int = V15, timeout: float = 60) -> None:
        self.version = version
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(timeout)
        self._socket.connect(str(path))
        self._framer = Framer()
        self._ready: list[bytes] = []
        self.send(encode.hello(0, (version,)))
        self._take(validate.State.HELLO)
        self._framer.version = version

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        """Send bytes, waiting as long as the switch does not read."""
        self._socket.sendall(data)

    def _take(self, state: validate.State = validate.State.OPEN) -> bytes:
        while not self._ready:
            data = self._socket.recv(1 << 18)
            if not data:
                raise SessionClosed("the switch closed the connection")
            self._ready += self._framer.feed(data)
        message = self._ready.pop(0)
        validate.check(message, state, self.version)
        return message

    def receive(self) -> decode.Message:
        """The next message, validated and decoded; echo requests are answered on the way."""
        while True:
            message = decode.message(self._take())
            if not isinstance(message, decode.EchoRequest):
                return message
            self.send(encode.echo_reply(self.version, message.xid, message.data))

    def until(self, kind: type[decode.Message], xid: int) -> list[decode.Message]:
        """Everything up to and with the message of a type and transaction."""
        seen: list[decode.Message] = []
        while not (seen and isinstance(seen[-1], kind) and seen[-1].xid == xid):
            seen.append(self.receive())
        return seen

    def barrier(self, xid: int = 0xB0) -> list[decode.Message]:
        """Wait until all is done; what came meanwhile, errors among it, without the reply."""
        self.send(encode.barrier_request(self.version, xid))
        return self.until(decode.BarrierReply, xid)[:-1]

    def ask(self, request: bytes) -> Iterator[decode.Item]:
        """The items of every part of a multipart reply.

        Raises:
            SessionClosed: the switch answered with an error.
        """
        self.send(request)
        while True:
            reply = self.receive()
            if isinstance(reply, decode.Error):
                raise SessionClosed(f"refused: {reply.kind}/{reply.code}")
            if isinstance(reply, decode.MultipartReply):
                yield from reply.items
                if not reply.more:
                    return
