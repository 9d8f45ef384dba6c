# SPDX-License-Identifier: Apache-2.0
"""Where lines of the audit log go: a file, syslog, or both.

A file that was moved away is opened anew, at once on SIGHUP, so logrotate(8) needs nothing else.
A sink that fails costs the lines it was given, which are counted; nobody waits for it.
"""

from __future__ import annotations

import logging
import os
import platform
import socket
import time
from collections import deque
from datetime import UTC, datetime
from typing import Protocol, TextIO

import eventlet

from vneter_sdn.errors import IntentError
from vneter_sdn.telemetry.audit import Limit, Line, syslog, text

_log = logging.getLogger(__name__)
PAUSE = 0.1
"""Seconds between two writes."""
WAITING = 10_000
"""Lines that wait at most."""
DEFAULT_PORT = 514


class Sink(Protocol):
    """Takes lines."""

    def write(self, lines: list[str]) -> None:
        """Write lines; `OSError` when that failed."""

    def reopen(self) -> None:
        """Begin anew."""


class FileSink:
    """Appends to a file, which only its owner may read."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._file: TextIO | None = None

    def write(self, lines: list[str]) -> None:
        """Write and flush."""
        if self._file is not None and self._moved(self._file):
            self.reopen()
        if self._file is None:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
            self._file = os.fdopen(os.open(self._path, flags, 0o600), "a", encoding="ascii")
        self._file.write("".join(f"{line}\n" for line in lines))
        self._file.flush()

    def reopen(self) -> None:
        """Close; the next write opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _moved(self, file: TextIO) -> bool:
        try:
            there = os.stat(self._path)
        except FileNotFoundError:
            return True
        return not os.path.samestat(there, os.fstat(file.fileno()))


class SyslogSink:
    """Sends RFC 5424 messages as datagrams.

    Args:
        target: ``unix:/dev/log``, ``udp:192.0.2.1``, ``udp:192.0.2.1:514`` or ``udp:[::1]:514``.

    Raises:
        IntentError: it is none of these.
    """

    def __init__(self, target: str) -> None:
        self._family, self._address = _parsed(target)
        self._socket: socket.socket | None = None
        self._host = platform.node()

    def write(self, lines: list[str]) -> None:
        """Send each."""
        if self._socket is None:
            self._socket = socket.socket(self._family, socket.SOCK_DGRAM)
            self._socket.setblocking(False)
        for line in lines:
            self._socket.sendto(syslog(line, _now(), self._host), self._address)

    def reopen(self) -> None:
        """Close; the next write opens it again."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _parsed(target: str) -> tuple[int, str | tuple[str, int]]:
    kind, _, rest = target.partition(":")
    if kind == "unix" and rest.startswith("/"):
        return socket.AF_UNIX, rest
    host, _, port = rest.rpartition(":") if rest.count(":") == 1 or "]:" in rest else (rest, "", "")
    host = host.strip("[]")
    if kind != "udp" or not host or not (port or str(DEFAULT_PORT)).isdecimal():
        raise IntentError(f"{target!r} is no syslog target; write unix:/dev/log or udp:HOST:PORT")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return family, (host, int(port or DEFAULT_PORT))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Audit:
    """Takes lines, and writes them now and then.

    Args:
        rate: lines a second, at most.
        sinks: where to.
    """

    def __init__(self, rate: float, *sinks: Sink) -> None:
        self._limit, self._sinks = Limit(rate), sinks
        self._lines: deque[str] = deque()
        self.lost = 0
        """Lines that a sink did not take."""

    @property
    def dropped(self) -> int:
        """Lines that were too many, ever."""
        return self._limit.total

    def take(self, line: Line) -> None:
        """One line; it is dropped when there are too many."""
        if not self._sinks:
            return
        if len(self._lines) < WAITING and self._limit.may(time.monotonic()):
            self._lines.append(text(line.told(_now())))

    def run(self) -> None:
        """Write, for ever."""
        while True:
            eventlet.sleep(PAUSE)
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        lines = list(self._lines)
        self._lines.clear()
        dropped = self._limit.settled()
        if dropped:
            lines.append(text({"time": _now(), "dropped": dropped}))
        if not lines:
            return
        for sink in self._sinks:
            try:
                sink.write(lines)
            except OSError as failed:
                self.lost += len(lines)
                _log.warning("audit lines are lost: %s", failed)
                sink.reopen()

    def reopen(self) -> None:
        """Files were moved away."""
        for sink in self._sinks:
            sink.reopen()
