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
from collections import Counter, deque
from contextlib import suppress
from datetime import UTC, datetime
from typing import Protocol

import eventlet

from vneter_sdn.errors import IntentError
from vneter_sdn.telemetry.audit import Limit, Line, syslog, text

_log = logging.getLogger(__name__)
PAUSE = 0.1
"""Seconds between two writes."""
DEFAULT_PORT = 514


class Sink(Protocol):
    """Takes lines."""

    name: str
    """Where they go."""

    def write(self, lines: list[str]) -> None:
        """Write lines; `OSError` when that failed."""

    def reopen(self) -> None:
        """Begin anew."""


class FileSink:
    """Appends to a file, which only its owner may read."""

    def __init__(self, path: str) -> None:
        self.name = path
        self._file = -1
        self._torn = False
        """Whether the last line in the file is not whole."""

    def write(self, lines: list[str]) -> None:
        """Write all of them at once."""
        if self._file >= 0 and self._moved():
            self.reopen()
        if self._file < 0:
            # A pipe that nobody reads is an error, and nothing to wait for.
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_NOCTTY
            self._file = os.open(self.name, flags, 0o600)
        data = "".join(f"{line}\n" for line in lines).encode("ascii")
        if self._torn:
            data = b"\n" + data
        while data:  # what is left of a line after a full disk is ended before the next one
            written = os.write(self._file, data)
            if written:
                self._torn = data[written - 1 : written] != b"\n"
            data = data[written:]

    def reopen(self) -> None:
        """Close; the next write opens it again."""
        if self._file >= 0:
            file, self._file = self._file, -1
            with suppress(OSError):
                os.close(file)

    def _moved(self) -> bool:
        try:
            there = os.stat(self.name)
        except OSError:
            return True
        moved = not os.path.samestat(there, os.fstat(self._file))
        self._torn = self._torn and not moved
        return moved


class SyslogSink:
    """Sends RFC 5424 messages as datagrams.

    Args:
        target: ``unix:/dev/log``, ``udp:192.0.2.1``, ``udp:192.0.2.1:514`` or ``udp:[::1]:514``.

    Raises:
        IntentError: it is none of these.
    """

    def __init__(self, target: str) -> None:
        self.name = target
        self._family, self._address = _parsed(target)
        self._socket: socket.socket | None = None
        self._host = platform.node()

    def write(self, lines: list[str]) -> None:
        """Send each; what cannot be sent at once is lost."""
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
        self.counts: Counter[str] = Counter(dict.fromkeys(("written", "limited", "lost"), 0))
        """Lines that sinks took, that were too many, and that sinks did not take."""
        self._failing: dict[Sink, int] = {}
        """Lines that each sink lost since it took some last."""

    def take(self, line: Line) -> None:
        """One line; it is dropped when there are too many."""
        if not self._sinks:
            return
        if self._limit.may(time.monotonic()):
            self._lines.append(text(line.told(_now())))
        else:
            self.counts["limited"] += 1

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
                self._lost(sink, len(lines), failed)
            else:
                self.counts["written"] += len(lines)
                if sink in self._failing:
                    lost = self._failing.pop(sink)
                    _log.warning("audit lines go to %s again; %d were lost", sink.name, lost)

    def _lost(self, sink: Sink, lines: int, why: OSError) -> None:
        """Say so when it begins; counts tell how it goes on."""
        self.counts["lost"] += lines
        if sink not in self._failing:
            _log.error("audit lines for %s are lost: %s", sink.name, why.strerror or why)
        self._failing[sink] = self._failing.get(sink, 0) + lines
        sink.reopen()

    def reopen(self) -> None:
        """Files were moved away."""
        for sink in self._sinks:
            sink.reopen()
