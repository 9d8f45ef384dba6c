# SPDX-License-Identifier: Apache-2.0
"""What may stand anywhere on a command line, before any command reads it."""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar

from vneter_sdn.cli.terminal import Usage

chosen: ContextVar[str] = ContextVar("chosen", default="")
"""The context that the command line names."""
ASK = "__complete"
"""What shells begin with to ask what a word may become."""
_CONTEXT = "--context"
_DRY = "--dry-run="


def read(words: Sequence[str]) -> tuple[str, list[str]]:
    """The context that a command line names, and the command line without it.

    ``--dry-run=server`` is what ``--dry-run`` is; options take a value or none, not either. Words
    behind ``--`` are somebody else's.

    Raises:
        Usage: no context is named, or another sort of dry run; or a word is no text.
    """
    for word in words:
        if not word.isascii() and any("\ud800" <= letter <= "\udfff" for letter in word):
            raise Usage(f"{word!r} is not UTF-8", "arguments are text")
    end = words.index("--") if "--" in words else len(words)
    if words and words[0].partition("=")[0] == "--server":
        raise Usage("--server stands behind the command", "vneterctl get hosts --server URL")
    context, left = "", []
    mine = iter(words[:end])
    for word in mine:
        if word == _CONTEXT:
            context = _named(next(mine, ""))
        elif word.startswith(f"{_CONTEXT}="):
            context = _named(word.partition("=")[2])
        elif word.startswith(_DRY):
            left += _dry(word.removeprefix(_DRY))
        else:
            left.append(word)
    return context, [*left, *words[end:]]


def _named(name: str) -> str:
    if not name or name.startswith("-"):
        raise Usage("--context needs a name", "`vneterctl config get-contexts` lists them")
    return name


def _dry(how: str) -> list[str]:
    if how not in {"server", "none"}:
        hint = "server: the controller checks everything and writes nothing; none: no dry run"
        raise Usage(f"there is no --dry-run={how}", hint)
    return ["--dry-run"] if how == "server" else []
