# SPDX-License-Identifier: Apache-2.0
"""What the CLI prints, where, and with which exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence

from vneter_sdn.errors import (
    Conflict,
    IntentError,
    NotFound,
    Problem,
    StoreUnavailable,
    VneterError,
)

OK, REFUSED, USAGE, NOT_FOUND, CONFLICT, UNREACHABLE, TIMED_OUT = range(7)
EXIT_CODES = (
    (OK, "done"),
    (REFUSED, "refused: the intent is not acceptable, or the answer is no"),
    (USAGE, "the command line is wrong"),
    (NOT_FOUND, "there is no such object"),
    (CONFLICT, "somebody else changed it first"),
    (UNREACHABLE, "the server or its database cannot be reached"),
    (TIMED_OUT, "it did not happen in time"),
)
"""Every exit code and its meaning."""

_COLOURS = {"green": 32, "red": 31, "yellow": 33, "bold": 1}


class Usage(Exception):
    """The command line asks for something that makes no sense."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class Answer(Exception):
    """The command worked, and its answer is an exit code other than 0."""

    def __init__(self, code: int, message: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.code, self.hint = code, hint


def outcome(error: BaseException) -> tuple[int, list[str], str]:
    """Exit code, lines and hint for an error a command ended with.

    Raises:
        BaseException: the error itself, when it is not one a user can act on.
    """
    if isinstance(error, Usage):
        return USAGE, [str(error)], error.hint
    if isinstance(error, Answer):
        return error.code, [str(error)] if str(error) else [], error.hint
    if isinstance(error, IntentError):
        hint = "nothing was changed; correct what is named and try again"
        return REFUSED, [problem_line(problem) for problem in error.problems], hint
    for kind, code, hint in (
        (NotFound, NOT_FOUND, "`vneterctl get KIND` lists what there is"),
        (Conflict, CONFLICT, "read the object again, repeat the change on it, and apply that"),
        (StoreUnavailable, UNREACHABLE, "is `vneterctl up` running? --server says where to look"),
        (TimeoutError, TIMED_OUT, "--timeout waits longer; `vneterctl describe` says what lacks"),
        (VneterError, REFUSED, ""),
    ):
        if isinstance(error, kind):
            return code, [str(error.args[0] if error.args else error)], hint
    raise error


def problem_line(problem: Problem) -> str:
    """``Network red/web: spec.prefixes[0]: … (PrefixOverlap)``."""
    return f"{problem} ({problem.reason})" if problem.reason else str(problem)


def report(lines: Iterable[str], hint: str = "") -> None:
    """Print errors and a hint to standard error."""
    for line in lines:
        print(paint("error:", "red", sys.stderr), line, file=sys.stderr)
    if hint:
        print(paint("hint:", "yellow", sys.stderr), hint, file=sys.stderr)


def paint(text: str, colour: str, stream: object = None) -> str:
    """Text in a colour, on a terminal whose user did not ask for none (no-color.org)."""
    stream = stream or sys.stdout
    terminal = getattr(stream, "isatty", lambda: False)()
    if not terminal or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m"


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines with aligned columns; the last column is as long as it likes."""
    if not rows:
        return []
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
