# SPDX-License-Identifier: Apache-2.0
"""``vneterctl up``: the database, the core and the API server, kept running."""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import msgspec

from vneter_sdn.config import Settings
from vneter_sdn.daemon import dumps, highwater
from vneter_sdn.daemon.children import Child, Refused, supervise
from vneter_sdn.daemon.handover import refusal, write_settings
from vneter_sdn.daemon.heartbeat import errand_socket, heartbeat_file
from vneter_sdn.errors import VneterError
from vneter_sdn.store.embedded import EmbeddedDatabase

_log = logging.getLogger(__name__)


class CannotRun(VneterError):
    """A directory that is needed cannot be used."""


class AlreadyRunning(CannotRun):
    """Another controller uses the state or run directory."""


@contextmanager
def _held(directory: Path, option: str) -> Iterator[None]:
    """Hold a directory that two controllers must not share; make it if need be.

    Raises:
        AlreadyRunning: another controller holds it.
        CannotRun: we may not write there.
    """
    path = directory / "controller.lock"
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o750)
        lock = path.open("a+")
    except OSError as refused:
        message = f"cannot use {directory}: {refused.strerror}; run as root, or give {option}"
        raise CannotRun(message) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not os.path.samestat(os.fstat(lock.fileno()), path.stat()):
                raise BlockingIOError  # its holder ended, and somebody else was quicker
        except OSError:
            lock.seek(0)
            who = lock.read(20).strip() or "unknown"
            raise AlreadyRunning(
                f"another controller (pid {who}) runs on {directory}; stop it, or give {option}"
            ) from None
        lock.truncate(0)
        print(os.getpid(), file=lock, flush=True)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


@contextmanager
def _directories(settings: Settings) -> Iterator[None]:
    """Hold the state and the run directory, which may be one, and leave the latter as it was."""
    run_dir = Path(settings.run_dir)
    with ExitStack() as held:
        held.enter_context(_removed_if_empty(run_dir))
        held.enter_context(_held(Path(settings.state_dir), "--state-dir"))
        if settings.run_dir != settings.state_dir:
            held.enter_context(_held(run_dir, "--run-dir"))
        try:
            yield
        finally:
            for path in (
                run_dir / "settings.json",
                heartbeat_file(settings.run_dir),
                errand_socket(settings.run_dir),
            ):
                path.unlink(missing_ok=True)


@contextmanager
def _removed_if_empty(directory: Path) -> Iterator[None]:
    """Remove a directory afterwards, unless somebody else has something in it."""
    try:
        yield
    finally:
        with suppress(OSError):
            directory.rmdir()


def _has_terminal() -> bool:
    """Whether a terminal controls this process, which is told by SIGHUP that it is gone."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


def _passed_on(children: list[Child], hangups: list[int]) -> None:
    """Tell the core to open its audit log anew, if we were told to."""
    if not hangups:
        return
    hangups.clear()
    for child in children:
        if child.name == "core" and child.pid:
            os.kill(child.pid, signal.SIGHUP)


def _signalled() -> list[int]:
    """A list that signals to end are put in as they come; ``nohup`` stays respected."""
    seen: list[int] = []  # a threading.Event takes a lock, which a handler may find taken
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda number, _frame: seen.append(number))
    return seen


def _python(name: str, module: str, settings: Path) -> Child:
    # Warnings are for tests; eventlet's about its own age would greet every start (design 0002).
    return Child(
        name, (sys.executable, "-W", "ignore", "-m", f"vneter_sdn.daemon.{module}", str(settings))
    )


def run(settings: Settings, on_start: Callable[[], object] = lambda: None) -> None:
    """Run until SIGINT or SIGTERM; then stop everything that was started.

    SIGHUP ends it, too, unless it is a daemon that writes an audit log: that is opened anew.

    Args:
        settings: of every process.
        on_start: called a few times a second until it answers something true; must be quick.

    Raises:
        AlreadyRunning: the state or run directory is in use.
        CannotRun: one of them cannot be written.
        StoreUnavailable: the embedded database is damaged or of a newer schema.
    """
    dumps.forbid()
    stop = _signalled()
    hangups: list[int] = []
    if settings.audit_file and not _has_terminal():
        signal.signal(signal.SIGHUP, lambda number, _frame: hangups.append(number))
    with _directories(settings):
        if settings.accept_older_intent:  # of this start, not of every restart of the core
            highwater.forget(highwater.mark_file(settings.state_dir))
        started = False

        def wait(seconds: float) -> None:
            nonlocal started
            started = started or bool(on_start())
            _passed_on(children, hangups)
            time.sleep(seconds)

        children = _started(settings)
        try:
            supervise(children, lambda: bool(stop), wait)
        except Refused:
            raise CannotRun(refusal(settings.run_dir)) from None


def _started(settings: Settings) -> list[Child]:
    """The processes, each after those it talks to."""
    children = []
    if not settings.db:
        database = EmbeddedDatabase(Path(settings.state_dir), Path(settings.run_dir))
        database.prepare()
        children.append(Child("database", database.command()))
        settings = msgspec.structs.replace(settings, db=database.remote)
    path = write_settings(settings)
    children += [_python("core", "core", path), _python("api", "api", path)]
    for child in children:
        child.start()
        _log.debug("%s: pid %d", child.name, child.pid or 0)
    return children
