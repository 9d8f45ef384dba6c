# SPDX-License-Identifier: Apache-2.0
"""What the CLI prints, where, and with which exit code."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from vneter_sdn.errors import (
    Conflict,
    Forbidden,
    IntentError,
    NotFound,
    Problem,
    StoreUnavailable,
    Throttled,
    Unauthenticated,
    VneterError,
)

OK, REFUSED, USAGE, NOT_FOUND, CONFLICT, UNREACHABLE, TIMED_OUT, DENIED = range(8)
INTERRUPTED = 130
EXIT_CODES = (
    (OK, "done"),
    (REFUSED, "refused: the intent is not acceptable, or the answer is no"),
    (USAGE, "the command line is wrong"),
    (NOT_FOUND, "there is no such object"),
    (CONFLICT, "somebody else changed it first"),
    (UNREACHABLE, "the server or its database cannot be reached"),
    (TIMED_OUT, "it did not happen in time"),
    (DENIED, "no credential, an expired one, or one that may not do that"),
    (INTERRUPTED, "interrupted by Ctrl-C"),
)
"""Every exit code and its meaning."""

_WHERE = "is `vneterctl up` running? --server or --context says where to look"
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
        (StoreUnavailable, UNREACHABLE, _WHERE),
        (Unauthenticated, DENIED, "give a token: `vneterctl config set-context`, or VNETER_TOKEN"),
        (Forbidden, DENIED, "ask who runs the controller for a token that may"),
        (Throttled, UNREACHABLE, "wait a moment, and ask less often"),
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
        print(paint("error:", "red", sys.stderr), plain(line), file=sys.stderr)
    if hint:
        print(paint("hint:", "yellow", sys.stderr), plain(hint), file=sys.stderr)


def paint(text: str, colour: str, stream: object = None) -> str:
    """Text in a colour, on a terminal whose user did not ask for none (no-color.org)."""
    stream = stream or sys.stdout
    terminal = getattr(stream, "isatty", lambda: False)()
    if not terminal or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m"


_GAPS = ("   ", " ")
"""Between columns: of tables that fit so, and of others."""
_NARROWEST, _LEAST = 8, 4
"""Columns that a cell is left, where its heading has no more; and a heading, where nothing else
makes the table fit."""


class Layout(NamedTuple):
    """How the lines of a table are made."""

    widths: Sequence[int]
    gap: str = _GAPS[0]

    def line(self, row: Sequence[str], *, cut: bool = True) -> str:
        """One row; ``cut`` as `padded` has it."""
        cells = (padded(cell, n, cut=cut) for cell, n in zip(row, self.widths, strict=True))
        return self.gap.join(cells).rstrip()


def columns(rows: Sequence[Sequence[str]], width: int | None = None) -> list[str]:
    """Rows as lines with aligned columns.

    Args:
        rows: of one length; the first is the heading, which is cut last.
        width: cells are cut so that lines are no longer; what a terminal's are when None, and
            never where nobody reads them on one; 0: never.
    """
    if not rows:
        return []
    shown = [[plain(cell) for cell in row] for row in rows]
    made = layout(shown, terminal_width() if width is None else width)
    return [made.line(row) for row in shown]


def layout(rows: Sequence[Sequence[str]], limit: int) -> Layout:
    """How wide the columns of a table are; ``limit`` as ``width`` of `columns`."""
    widths = [max(_length(row[column]) for row in rows) for column in range(len(rows[0]))]
    if not limit:
        return Layout(widths)
    headings = [max(_length(cell), _NARROWEST) for cell in rows[0]]
    for least, gap in ((headings, 0), (headings, 1), ([_LEAST] * len(widths), 1)):
        room = limit - len(_GAPS[gap]) * (len(widths) - 1)
        found = _fitted(widths, least, room)
        if sum(found) <= room:
            break
    return Layout(found, _GAPS[gap])


def plain(text: str) -> str:
    """Text without what a terminal obeys; one line."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)


def harmless(text: str) -> str:
    """Text of many lines for standard output: as it is, but for a terminal that would obey it.

    There it has JSON's escapes, so that JSON stays what it is.
    """
    if not getattr(sys.stdout, "isatty", lambda: False)():
        return text
    return _OBEYED.sub(_escaped, text)


_OBEYED = re.compile(r"[^\n\t\x20-\x7e]")


def _escaped(found: re.Match[str]) -> str:
    if found[0].isprintable():
        return found[0]
    units = found[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def terminal_width() -> int:
    """Of the terminal that standard output is; 0 where it is none."""
    if not getattr(sys.stdout, "isatty", lambda: False)():
        return 0
    return shutil.get_terminal_size((0, 0)).columns


def terminal_height() -> int:
    """As `terminal_width`, in lines."""
    if not getattr(sys.stdout, "isatty", lambda: False)():
        return 0
    return shutil.get_terminal_size((0, 0)).lines


def _fitted(widths: Sequence[int], least: Sequence[int], room: int) -> list[int]:
    """Widths that add up to no more, as far as they may be less: the widest give way first."""
    found = list(widths)
    while sum(found) > room:
        wide = [n for n in range(len(found)) if found[n] > least[n]]
        if not wide:
            break
        found[max(wide, key=lambda n: found[n])] -= 1
    return found


def padded(text: str, width: int, *, cut: bool = True) -> str:
    """A text in so many columns; a longer one is cut, or sticks out."""
    missing = width - _length(text)
    if missing >= 0:
        return text + " " * missing
    if not cut:
        return text
    text = text[:width]
    while _length(text) > width - 1:
        text = text[:-1]
    return f"{text}…" + " " * (width - 1 - _length(text))


def _length(text: str) -> int:
    """Columns of a terminal that a text takes."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(one) else 2 if east_asian_width(one) in "WF" else 1 for one in text)
