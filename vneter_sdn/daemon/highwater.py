# SPDX-License-Identifier: Apache-2.0
"""The newest revision that bridges confirmed, kept beside the database for the shrink guard.

A database that comes back behind it was restored or damaged. That is found out once, when the
core starts, and stays known until an operator says otherwise: a few edits raise the revision
again and prove nothing.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

_log = logging.getLogger(__name__)
WRITE_EVERY = 1.0
"""Seconds between writes, at least."""


class Mark(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is kept."""

    revision: int = 0
    suspect: bool = False
    """Whether the database was seen behind ``revision``."""


def mark_file(state_dir: str) -> Path:
    """Where it is kept."""
    return Path(state_dir) / "confirmed.json"


def read(path: Path) -> Mark:
    """What is kept; nothing when there is no file.

    A file that cannot be read is no reason to trust the database: its mark is suspect.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Mark)
    except FileNotFoundError:
        return Mark()
    except (OSError, msgspec.MsgspecError) as unreadable:
        _log.error("%s: %s; large deletions are held", path, unreadable)
        return Mark(suspect=True)


def write(path: Path, mark: Mark) -> None:
    """Replace what is kept, durably and at once.

    Raises:
        OSError: it cannot be written; what was there stays.
    """
    fresh = path.with_suffix(".new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640), "wb") as file:
        file.write(msgspec.json.encode(mark))
        file.flush()
        os.fsync(file.fileno())
    fresh.rename(path)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def forget(path: Path) -> None:
    """Accept the database as it is, whatever was confirmed before."""
    path.unlink(missing_ok=True)


class Highwater:
    """The mark of a running core."""

    def __init__(
        self, path: Path, stored: int, later: Callable[[float, Callable[[], None]], Any]
    ) -> None:
        """Read the mark and judge the database by it.

        Args:
            path: of the file.
            stored: revision of the database.
            later: calls a function after so many seconds.
        """
        self._path, self._later = path, later
        self._due = False
        self.mark = read(path)
        if stored < self.mark.revision and not self.mark.suspect:
            _log.error(
                "the database is at revision %d, but bridges have %d: is it restored or damaged? "
                "Large deletions are held",
                stored,
                self.mark.revision,
            )
            self.mark = Mark(self.mark.revision, suspect=True)
            self.write()

    def confirmed(self, revision: int) -> None:
        """A bridge confirmed a revision; written within `WRITE_EVERY` seconds."""
        if revision <= self.mark.revision:
            return
        self.mark = Mark(revision, self.mark.suspect)
        if not self._due:
            self._due = True
            self._later(WRITE_EVERY, self.write)

    def write(self) -> None:
        """Write the mark; a disk that is full is logged, and tried again with the next one."""
        self._due = False
        try:
            write(self._path, self.mark)
        except OSError as failed:
            _log.error("%s: %s", self._path, failed)
