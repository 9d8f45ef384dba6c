# SPDX-License-Identifier: Apache-2.0
"""How processes log: one JSON object a line on standard error, or plain text on a terminal."""

from __future__ import annotations

import json
import logging
import os
import sys
from datetime import UTC, datetime
from typing import TextIO

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
_COLOURS = {logging.WARNING: "\x1b[33m", logging.ERROR: "\x1b[31m", logging.CRITICAL: "\x1b[31m"}
MAX_FIELD = 2000
"""Characters of one value; the rest is cut, so that no peer writes our disk full."""


class JsonLines(logging.Formatter):
    """``{"time", "level", "logger", "message", …extra}``; times are RFC 3339, UTC."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage()[:MAX_FIELD],
        }
        for name, value in record.__dict__.items():
            if name not in _STANDARD and name not in line:
                plain = isinstance(value, bool | int | float) or value is None
                line[name] = value if plain else str(value)[:MAX_FIELD]
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)[-MAX_FIELD:]
        return json.dumps(line, ensure_ascii=True)


class Readable(logging.Formatter):
    """``15:10:23 warning  h3: bridge went away``, for a terminal; one line, but for tracebacks."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, cut as JSON lines are; the logger's name only where one is looking for it."""
        at = self.formatTime(record, "%H:%M:%S")
        level = f"{record.levelname.lower():<7}"
        plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
        if record.levelno in _COLOURS and not plain:
            level = f"{_COLOURS[record.levelno]}{level}\x1b[0m"
        name = f"{record.name}: " if record.levelno <= logging.DEBUG else ""
        text = " ".join(record.getMessage()[:MAX_FIELD].splitlines())
        lines = [f"{at} {level}  {name}{text}"]
        if record.exc_info:
            lines.append(self.formatException(record.exc_info)[-MAX_FIELD:])
        return "\n".join(lines)


def set_up(level: str = "INFO", stream: TextIO | None = None) -> logging.Handler:
    """Send the log of the whole process to ``stream`` (standard error), replacing what was set.

    Args:
        level: a level name of `logging`.
        stream: a terminal gets text, anything else JSON lines.

    Raises:
        ValueError: no such level.
    """
    target = sys.stderr if stream is None else stream
    handler = logging.StreamHandler(target)
    handler.setFormatter(Readable() if target.isatty() else JsonLines())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # os-ken tells of every app it makes; that is ours to say.
    logging.getLogger("os_ken").setLevel(logging.WARNING)
    # waitress warns of every request that waits for a thread, be it for a moment and threads that
    # have only just begun; how long requests wait is a metric.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    return handler
