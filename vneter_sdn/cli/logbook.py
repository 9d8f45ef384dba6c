# SPDX-License-Identifier: Apache-2.0
"""``vneterctl logs``: the files that the processes of a controller on this machine write."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from vneter_sdn.cli.output import Form, streamed
from vneter_sdn.cli.terminal import NOT_FOUND, Answer, Usage, paint, plain
from vneter_sdn.telemetry.logs import PROCESSES, log_file

LEVELS = ("debug", "info", "warning", "error", "critical")
_COLOURS = {"warning": "yellow", "error": "red", "critical": "red"}
_OVS = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z)\|(\d+)\|([^|]*)\|([A-Z]+)\|(.*)")
_OVS_LEVELS = {"DBG": "debug", "INFO": "info", "WARN": "warning", "ERR": "error",
               "EMER": "critical"}  # fmt: skip
_PAUSE = 0.2
_KNOWN = frozenset({"time", "level", "logger", "message", "exception"})


class Asked(NamedTuple):
    """Which records."""

    process: str
    level: str
    since: float | None
    """Seconds ago; None for all there are."""
    tail: int
    follow: bool


class Record(NamedTuple):
    """One line of a log."""

    time: str
    process: str
    level: str
    values: dict[str, Any]
    """All it says."""

    def text(self) -> str:
        """For people."""
        level = f"{self.level:<8}"
        level = paint(level, _COLOURS[self.level]) if self.level in _COLOURS else level
        more = "".join(f" {k}={v}" for k, v in self.values.items() if k not in _KNOWN)
        lines = [f"{self.time}  {self.process:<10}  {level}  {self._message()}{plain(more)}"]
        if trace := str(self.values.get("exception", "")):
            lines += [f"    {plain(line)}" for line in trace.splitlines()]
        return "\n".join(lines)

    def document(self) -> dict[str, Any]:
        """For programs."""
        return {"process": self.process, **self.values}

    def _message(self) -> str:
        return plain(str(self.values.get("message", "")))


def show(state_dir: str, asked: Asked, how: Form) -> None:
    """Print the log, oldest first; with ``follow`` until interrupted.

    Raises:
        Usage: the command line makes no sense.
        Answer: no controller ever wrote a log there.
    """
    _check(asked)
    processes = [asked.process] if asked.process else list(PROCESSES)
    readers = [_Reader(one, log_file(state_dir, one)) for one in processes]
    if not any(reader.there for reader in readers) and not asked.follow:
        hint = "logs are where `vneterctl up` keeps its state, on its machine: --state-dir"
        raise Answer(NOT_FOUND, f"there is no log below {state_dir}", hint)
    records = [one for reader in readers for one in reader.all() if _wanted(one, asked)]
    records.sort(key=lambda one: one.time)
    for one in records[-asked.tail :]:
        _print(one, how)
    while asked.follow:
        sys.stdout.flush()
        time.sleep(_PAUSE)
        fresh = [one for reader in readers for one in reader.more() if _wanted(one, asked)]
        for one in sorted(fresh, key=lambda one: one.time):
            _print(one, how)


class _Reader:
    """Reads the log of one process, over its rotations."""

    def __init__(self, process: str, path: Path) -> None:
        self._process, self._path = process, path
        self._inode, self._at, self._rest = 0, 0, b""

    @property
    def there(self) -> bool:
        return self._path.exists()

    def all(self) -> Iterator[Record]:
        """What there is, the file before this one first."""
        before = self._path.with_name(f"{self._path.name}.1")
        try:
            yield from self._records(before.read_bytes().splitlines())
        except OSError as error:
            self._denied(error)
        yield from self.more()

    def more(self) -> Iterator[Record]:
        """What came since."""
        try:
            with self._path.open("rb") as file:
                found = os.fstat(file.fileno())
                if found.st_ino != self._inode or found.st_size < self._at:
                    self._inode, self._at, self._rest = found.st_ino, 0, b""
                file.seek(self._at)
                data = file.read()
        except OSError as error:
            self._denied(error)
            return
        self._at += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        yield from self._records(lines)

    def _denied(self, error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            raise Answer(NOT_FOUND, f"cannot read {self._path}: {error.strerror}") from None

    def _records(self, lines: Sequence[bytes]) -> Iterator[Record]:
        for line in lines:
            if line.strip():
                yield self._record(line.decode("utf-8", "replace"))

    def _record(self, line: str) -> Record:
        found = _OVS.fullmatch(line)
        if found:
            level = _OVS_LEVELS.get(found[4], "info")
            values = {"time": found[1], "level": level, "logger": found[3], "message": found[5]}
            return Record(found[1].replace("Z", "+00:00"), self._process, level, values)
        try:
            values = json.loads(line)
            return Record(str(values["time"]), self._process, str(values["level"]), values)
        except (ValueError, TypeError, KeyError, RecursionError):  # cut off by a crash
            return Record("", self._process, "info", {"message": line})


def _check(asked: Asked) -> None:
    for word, known, what in (
        (asked.level, LEVELS, "level"),
        (asked.process or PROCESSES[0], PROCESSES, "process"),
    ):
        if word not in known:
            raise Usage(f"there is no {what} {word!r}", f"it is one of {', '.join(known)}")


def _wanted(record: Record, asked: Asked) -> bool:
    if record.level in LEVELS and LEVELS.index(record.level) < LEVELS.index(asked.level):
        return False
    if asked.since is None:
        return True
    begin = datetime.now(UTC) - timedelta(seconds=asked.since)
    try:
        return datetime.fromisoformat(record.time) >= begin
    except (ValueError, TypeError):
        return False


def _print(record: Record, how: Form) -> None:
    print(record.text() if how.for_people else streamed(record.document(), how))
