# SPDX-License-Identifier: Apache-2.0
"""The embedded database: one private ``ovsdb-server`` on a unix socket."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from vneter_sdn.errors import StoreUnavailable
from vneter_sdn.store import filedb
from vneter_sdn.store.schema import DATABASE, PATH, VERSION, parsed

_TOOL_SECONDS = 60.0


class EmbeddedDatabase:
    """A file database in ``state_dir``, served on a socket in ``run_dir`` that only we may open.

    Either supervise `command` yourself after `prepare`, or use `start` and `stop`.
    """

    def __init__(self, state_dir: Path, run_dir: Path) -> None:
        self.file = state_dir.absolute() / "vneter.db"
        self.socket = run_dir.absolute() / "db.sock"
        self.log = state_dir.absolute() / "database.log"
        self._pidfile = run_dir.absolute() / "db.pid"
        self._control = run_dir.absolute() / "db.ctl"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def remote(self) -> str:
        """Where it listens, as OVSDB clients write it."""
        return f"unix:{self.socket}"

    @property
    def pid(self) -> int | None:
        """The process id of the server that `start` started."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def prepare(self) -> None:
        """Create or convert the database, and clear away what a killed server left.

        Raises:
            StoreUnavailable: the file is damaged, of a newer schema, or in use by another server;
                or ``ovsdb-server`` is not installed.
        """
        for directory in (self.file.parent, self.socket.parent):
            directory.mkdir(parents=True, exist_ok=True, mode=0o750)
        self._stop_orphan()
        for stale in (self.socket, self._control, self._pidfile):
            stale.unlink(missing_ok=True)
        if not self.file.exists():
            fresh = self.file.with_suffix(".new")
            fresh.unlink(missing_ok=True)
            _tool("ovsdb-tool", "create", str(fresh), str(PATH))
            fresh.rename(self.file)
        filedb.verify(self.file)
        self._convert()

    def command(self) -> tuple[str, ...]:
        """The server's command line; it stays in the foreground, and all it makes is private."""
        return (
            *("/bin/sh", "-c", 'umask 0177; exec "$@"', "sh"),
            _program("ovsdb-server"),
            "-vconsole:off",  # first: the words after it may already have something to say
            f"--remote=punix:{self.socket}",
            f"--unixctl={self._control}",
            f"--pidfile={self._pidfile}",
            f"--log-file={self.log}",
            "--no-chdir",
            "-vsyslog:off",
            "-vfile:warn",
            str(self.file),
        )

    def start(self, timeout: float = 10.0) -> None:
        """Prepare the database, start a server, and wait until it answers.

        Raises:
            StoreUnavailable: it did not come up within ``timeout`` seconds.
        """
        self.prepare()
        self._process = subprocess.Popen(
            self.command(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        until = time.monotonic() + timeout
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > until:
                self.stop()
                raise StoreUnavailable(f"ovsdb-server did not start; see {self.log}")
            time.sleep(0.02)

    def stop(self, *, kill: bool = False) -> None:
        """Stop the server that `start` started, at once with ``kill``; harmless when it is gone."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def backup(self, target: Path) -> None:
        """Write a consistent copy of the running database to a file.

        Raises:
            StoreUnavailable: the server does not answer.
        """
        content = _tool("ovsdb-client", "backup", self.remote, DATABASE)
        fresh = target.with_name(target.name + ".new")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        filedb.verify(fresh)
        fresh.rename(target)

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe, suppress(OSError):
            probe.connect(str(self.socket))
            return True
        return False

    def _convert(self) -> None:
        """Bring the file to our schema; never to one that knows less than it holds."""
        held = filedb.schema_of(self.file)
        if held.version == VERSION:
            return
        ours = parsed()
        lost = [
            f"{table}.{column}"
            for table, columns in held.tables.items()
            for column in columns
            if column not in ours.tables.get(table, {})
        ]
        if lost or _numbers(held.version) > _numbers(VERSION):
            what = f", with {', '.join(sorted(lost)[:5])} that this release does not know" * bool(
                lost
            )
            raise StoreUnavailable(
                f"{self.file} has schema {held.version}{what}; this release has {VERSION}: "
                "upgrade the release, or restore a backup"
            )
        shutil.copy2(self.file, self.file.with_suffix(f".{held.version}.backup"))
        _tool("ovsdb-tool", "convert", str(self.file), str(PATH))

    def _stop_orphan(self) -> None:
        """Stop a server of this very file whose supervisor died."""
        try:
            pid = int(self._pidfile.read_text(encoding="ascii"))
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            return
        if os.fsencode(self.file) not in words or b"ovsdb-server" not in words[0]:
            return
        until = time.monotonic() + 10.0
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
            while _runs(pid):
                if time.monotonic() > until:
                    os.kill(pid, signal.SIGKILL)
                time.sleep(0.02)


def _runs(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def _program(name: str) -> str:
    found = shutil.which(name) or shutil.which(
        name, path="/usr/sbin:/usr/bin:/sbin:/usr/local/sbin"
    )
    if found is None:
        raise StoreUnavailable(f"{name} is not installed; install openvswitch-switch")
    return found


def _tool(name: str, *arguments: str) -> bytes:
    """Run a tool to its end; its output.

    Raises:
        StoreUnavailable: it failed.
    """
    command = (_program(name), "-vconsole:off", *arguments)
    try:
        done = subprocess.run(command, capture_output=True, timeout=_TOOL_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise StoreUnavailable(f"{name} {arguments[0]} took too long") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise StoreUnavailable(f"{name} {arguments[0]} failed: {said[-1] if said else 'no reason'}")
    return done.stdout
