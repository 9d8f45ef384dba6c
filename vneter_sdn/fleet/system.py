# SPDX-License-Identifier: Apache-2.0
"""The machine: commands, namespaces, processes. Everything else in this package is decided above.

A thread may stand in another network namespace than its process, and a socket stays in the
namespace in which it was opened (setns(2)). Hence `inside`: no agent has to run in there.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import select
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from vneter_sdn.errors import SouthboundError
from vneter_sdn.fleet.layout import NETNS_DIR, Layout, netns_path

_CLONE_NEWNET = 0x40000000
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)
_T = TypeVar("_T")


def run(
    argv: Sequence[str | Path],
    *,
    netns: str = "",
    text: str = "",
    env: Mapping[str, str] | None = None,
    seconds: float = 30,
) -> str:
    """What a command printed.

    Args:
        argv: The command.
        netns: Name of the network namespace to run it in; the current one when empty.
        text: Its standard input.
        env: Variables on top of the environment.
        seconds: How long it may take.

    Raises:
        SouthboundError: it failed, is not installed or took too long; says what it said.
    """
    words = [*_enter(netns), *map(str, argv)]
    try:
        done = subprocess.run(
            words,
            input=text,
            text=True,
            capture_output=True,
            env={**os.environ, **(env or {})},
            timeout=seconds,
            check=False,
        )
    except FileNotFoundError as error:
        raise SouthboundError(f"{error.filename} is not installed; run scripts/setup") from error
    except subprocess.TimeoutExpired as error:
        raise SouthboundError(f"{' '.join(words)}: no end after {seconds:g} s") from error
    if done.returncode:
        said = (done.stderr or done.stdout).strip() or f"exit code {done.returncode}"
        raise SouthboundError(f"{' '.join(words)}: {said}")
    return done.stdout


def run_daemon(argv: Sequence[str | Path], *, netns: str, env: Mapping[str, str]) -> None:
    """Start a daemon that detaches itself when it is ready.

    Its output goes nowhere, since a daemon keeps what it inherits open and the caller would wait.

    Raises:
        SouthboundError: it did not get ready.
    """
    words = [*_enter(netns), *map(str, argv)]
    try:
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **env},
            timeout=60,
            check=False,
        )
    except FileNotFoundError as error:
        raise SouthboundError(f"{error.filename} is not installed; run scripts/setup") from error
    except subprocess.TimeoutExpired as error:
        raise SouthboundError(f"{' '.join(words)}: not ready after 60 s") from error
    if done.returncode:
        raise SouthboundError(f"{' '.join(words)}: exit code {done.returncode}; see its log")


def _enter(netns: str) -> list[str]:
    # `ip netns exec` would also make a mount namespace and mount sysfs: five times the cost.
    return ["nsenter", f"--net={netns_path(netns)}", "--"] if netns else []


def ip_batch(lines: Iterable[str], netns: str = "") -> None:
    """Run ``ip`` commands in one process; the first that fails ends it.

    Raises:
        SouthboundError: one failed.
    """
    text = "".join(f"{line}\n" for line in lines)
    if text:
        run(["ip", "-batch", "-"], netns=netns, text=text)


def namespaces(layout: Layout) -> list[str]:
    """Names of the fleet's namespaces, sorted, broken ones too."""
    with suppress(FileNotFoundError):
        return sorted(name for name in os.listdir(NETNS_DIR) if layout.owns(name))
    return []


def usable(netns: str) -> bool:
    """Whether a namespace's name leads to a namespace.

    An ``ip netns add`` that was killed halfway leaves an ordinary file under the name.
    """
    path = netns_path(netns)
    return path.exists() and path.stat().st_dev != NETNS_DIR.stat().st_dev


def add_namespaces(wanted: Iterable[str]) -> None:
    """Make the namespaces that are missing."""
    missing = [name for name in wanted if not usable(name)]
    for name in missing:
        netns_path(name).unlink(missing_ok=True)
    ip_batch(f"netns add {name}" for name in missing)


def delete_namespace(netns: str) -> None:
    """Delete a namespace, whole or broken, or do nothing when it is gone."""
    with suppress(SouthboundError):
        run(["ip", "netns", "delete", netns])
    with suppress(OSError):
        netns_path(netns).unlink(missing_ok=True)


def inside(netns: str, work: Callable[[], _T]) -> _T:
    """The result of some work done by a thread that stands in a namespace.

    Raises:
        SouthboundError: there is no such namespace, or we may not enter it.
        Exception: whatever the work raised.
    """
    results: list[_T] = []
    errors: list[BaseException] = []

    def body() -> None:
        try:
            enter_namespace(netns)
            results.append(work())
        except BaseException as error:  # noqa: BLE001 - handed over to the caller below
            errors.append(error)

    thread = threading.Thread(target=body, name=f"in-{netns}")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def enter_namespace(netns: str) -> None:
    """Move the calling thread into a namespace, for as long as it lives.

    Raises:
        SouthboundError: there is no such namespace, or we may not enter it.
    """
    try:
        descriptor = os.open(netns_path(netns), os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise SouthboundError(f"namespace {netns}: {error.strerror}") from error
    try:
        if _libc.setns(descriptor, _CLONE_NEWNET):
            raise SouthboundError(f"namespace {netns}: {os.strerror(ctypes.get_errno())}")
    finally:
        os.close(descriptor)


def set_sysctls(settings: Mapping[str, int], netns: str) -> None:
    """Write ``/proc/sys/net`` values (``ipv4/ip_forward``) of a namespace."""

    def write() -> None:
        for name, value in settings.items():
            with suppress(FileNotFoundError):
                Path("/proc/sys/net", name).write_text(f"{value}\n", encoding="ascii")

    inside(netns, write)


@contextmanager
def locked(directory: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold a directory for oneself, which is made if missing; others wait.

    Raises:
        SouthboundError: somebody else holds it, and we are not to wait.
    """
    while True:
        directory.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                raise SouthboundError(f"{directory} is in use by another process") from None
            held = os.fstat(descriptor)
            # Whoever held it before may have deleted it: then another one must be made.
            if _identity(directory) == (held.st_dev, held.st_ino):
                yield
                return
        finally:
            os.close(descriptor)


def pid_in(pid_file: Path, mark: str) -> int | None:
    """The process a pid file names, if it lives and its command line contains a mark."""
    try:
        pid = int(pid_file.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    return pid if mark in command_line(pid) else None


def command_line(pid: int) -> str:
    """Words of a process's command line, joined by blanks; empty when it is gone or a zombie."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ""
    return words.replace(b"\0", b" ").decode(errors="replace").strip()


def processes_of(layout: Layout) -> list[int]:
    """Processes that belong to the fleet.

    Those that stand in one of its namespaces, and daemons whose command line names its directory.
    """
    mark = f"{layout.fleet_dir}/"
    found = processes_in(namespaces(layout))
    for pid in _others():
        words = command_line(pid).split(" ")
        is_daemon = Path(words[0]).name in {"ovsdb-server", "ovs-vswitchd"}
        if is_daemon and pid not in found and any(mark in word for word in words):
            found.append(pid)
    return found


def processes_in(names: Iterable[str]) -> list[int]:
    """Processes, other than this one, that stand in one of some namespaces."""
    identities = {_identity(netns_path(name)) for name in names if usable(name)}
    return [pid for pid in _others() if _identity(Path(f"/proc/{pid}/ns/net")) in identities]


def _others() -> list[int]:
    pids = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return [pid for pid in pids if pid != os.getpid()]


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        seen = path.stat()
    except OSError:
        return None
    return seen.st_dev, seen.st_ino


def end_processes(candidates: Callable[[], list[int]], patience: float = 3.0) -> None:
    """End processes: asked to (SIGTERM), then made to (SIGKILL).

    Args:
        candidates: Lists the processes to end. It is asked again once a process is held by its
            pidfd, so that a number taken over by somebody else's process is never signalled.
        patience: Seconds between the request and the force.
    """
    for sign, seconds in ((signal.SIGTERM, patience), (signal.SIGKILL, 5.0)):
        held = _hold(candidates())
        ours = set(candidates()) if held else set()
        try:
            for pid, descriptor in held.items():
                if pid in ours:
                    with suppress(ProcessLookupError):
                        signal.pidfd_send_signal(descriptor, sign)
            _await_end([descriptor for pid, descriptor in held.items() if pid in ours], seconds)
        finally:
            for descriptor in held.values():
                os.close(descriptor)


def _hold(pids: Iterable[int]) -> dict[int, int]:
    held = {}
    for pid in pids:
        with suppress(ProcessLookupError):
            held[pid] = os.pidfd_open(pid)
    return held


def _await_end(descriptors: list[int], seconds: float) -> None:
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    left, deadline = len(descriptors), time.monotonic() + seconds
    while left and (rest := deadline - time.monotonic()) > 0:
        for descriptor, _ in poll.poll(rest * 1000):
            poll.unregister(descriptor)
            left -= 1


def die_with_parent() -> None:
    """Have the kernel end this process (SIGTERM) when its parent dies; a ``preexec_fn``."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def require_root() -> None:
    """Namespaces need root.

    Raises:
        SouthboundError: we are not root.
    """
    if os.geteuid():
        raise SouthboundError("a fleet needs root: network namespaces and veth pairs are made")


def remove_tree(path: Path) -> None:
    """Delete a directory and all in it, or do nothing when it is gone."""
    shutil.rmtree(path, ignore_errors=True)
