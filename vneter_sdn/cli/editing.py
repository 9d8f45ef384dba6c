# SPDX-License-Identifier: Apache-2.0
"""``vneterctl edit``: one object in an editor, until it is accepted or given up."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from vneter_sdn.cli.comparing import asked_for, lines_of
from vneter_sdn.cli.objects import tell
from vneter_sdn.cli.patience import patience
from vneter_sdn.cli.terminal import REFUSED, Answer, Usage, problem_line, report
from vneter_sdn.client.client import Client
from vneter_sdn.client.results import Manifest
from vneter_sdn.errors import Conflict, IntentError, Problem
from vneter_sdn.model.snapshot import Key
from vneter_sdn.northbound import manifests
from vneter_sdn.northbound.resources import key_of
from vneter_sdn.store.port import Applied

_MARK = "#! "
"""Begins the lines that we write above an object, and take away again."""
Open = Callable[[Path], None]


def edit(client: Client, key: Key, message: str = "", *, dry_run: bool = False) -> None:
    """Open an object in the user's editor, and apply what becomes of it.

    With ``dry_run``, what becomes of it is checked, and the file kept.

    Raises:
        Answer: it was given up, or the editor failed; says where the text is, if any is lost else.
        NotFound: there is no such object.
    """
    with patience(f"reading {key}"):
        stored = client.get(*key)
    made, name = tempfile.mkstemp(prefix=f"vneterctl-{key.kind.lower()}-", suffix=".yaml")
    os.close(made)
    session = _Session(client, key, stored, message, dry_run)
    try:
        done = session.run(Path(name), in_editor)
    except _GivenUp as over:
        if not over.failed:
            os.unlink(name)
            print(f"{key.kind.lower()}/{key.path} unchanged: {over}")
            return
        report(over.reasons)
        where = f"; what you wrote is in {name}" if session.kept(Path(name)) else ""
        raise Answer(REFUSED, f"{over}{where}") from None
    except BaseException:  # Ctrl-C, too: nothing that was typed is lost
        if session.kept(Path(name)):
            print(f"what you wrote is in {name}", file=sys.stderr)
        raise
    tell(done, dry_run)
    if dry_run:
        print(f"what you wrote is in {name}", file=sys.stderr)
    else:
        os.unlink(name)


def in_editor(path: Path) -> None:
    """Open a file in ``$VISUAL``, ``$EDITOR`` or ``vi``, and wait.

    Raises:
        Usage: there is no such program.
        Answer: it failed.
    """
    words = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi")
    try:
        code = subprocess.call([*words, str(path)])
    except (OSError, IndexError):
        raise Usage(f"there is no editor {' '.join(words)!r}", "set EDITOR") from None
    if code:
        raise _GivenUp(f"the editor ended with exit code {code}", failed=True)


class _GivenUp(Exception):
    def __init__(self, message: str, *, failed: bool = False, reasons: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.failed, self.reasons = failed, reasons


class _Session:
    """One object, as long as it is in the editor."""

    def __init__(
        self, client: Client, key: Key, stored: Manifest, message: str, dry_run: bool
    ) -> None:
        self._client, self._key, self._stored = client, key, stored
        self._message, self._dry_run = message, dry_run

    def run(self, path: Path, open_in: Open) -> Applied:
        """Edit until it is applied.

        Raises:
            _GivenUp: it is not to be.
        """
        body = first = self._body(self._stored)
        remarks, reasons, repeat = self._greeting(), list[str](), False
        while True:
            path.write_text(_above(remarks) + body, encoding="utf-8", errors="surrogateescape")
            open_in(path)
            before, body = body, _below(path)
            if not body.strip():
                raise _GivenUp("emptied")
            if body.strip() == first.strip() and not repeat:
                raise _GivenUp("no change")
            if body == before and remarks != self._greeting() and not repeat:
                raise _GivenUp("refused, and not corrected", failed=True, reasons=reasons)
            repeat = False
            try:
                return self._apply(body)
            except IntentError as error:
                reasons = [problem_line(problem) for problem in error.problems]
                remarks = ["This is refused; nothing was changed:", *reasons]
            except Conflict:
                remarks, repeat = self._overtaken(), True

    def kept(self, path: Path) -> bool:
        """Whether the file holds anything that somebody typed; it is removed where not."""
        try:
            typed = _below(path).strip() != self._body(self._stored).strip()
        except OSError:  # the editor took it away
            return False
        if not typed:
            path.unlink()
        return typed

    def _greeting(self) -> list[str]:
        return [
            f"{self._key}. Save and leave to apply it; without a change, or emptied, nothing is.",
            "Lines that begin so are not part of it.",
        ]

    def _body(self, manifest: Manifest) -> str:
        return manifests.write(asked_for(manifest))

    def _apply(self, body: str) -> Applied:
        documents = manifests.read_bytes(body.encode("utf-8", "surrogateescape"), "the text")
        if len(documents) != 1:
            raise IntentError(Problem("the text", "", "Several", "one object is edited, not more"))
        value = documents[0].value
        if key_of(value, "the text") != self._key:
            message = f"is {self._key}; kind, tenant and name cannot be changed"
            raise IntentError(Problem("the text", "metadata", "OtherObject", message))
        with patience(f"applying {self._key}"):
            asked = [self._of_now(value)]
            return self._client.apply(asked, self._message, dry_run=self._dry_run)

    def _of_now(self, value: dict[str, Any]) -> dict[str, Any]:
        """With the revision that it is a change of, so that nobody else's change is undone."""
        revision = self._stored["metadata"].get("revision")
        metadata = value["metadata"] | ({"revision": revision} if revision else {})
        return {**value, "metadata": metadata}

    def _overtaken(self) -> list[str]:
        before, self._stored = self._stored, self._client.get(*self._key)
        theirs = list(lines_of(self._key, asked_for(before), asked_for(self._stored)))[2:]
        return [
            "Somebody else changed it meanwhile. They changed:",
            *(f"  {line}" for line in theirs),
            "Below is yours. Take over of theirs what should stay, save and leave: it replaces",
            "what is there. Emptied, nothing is changed.",
        ]


def _above(remarks: Iterable[str]) -> str:
    lines = [line for remark in remarks for line in remark.splitlines()]
    return "".join(f"{_MARK}{line}\n" for line in lines)


def _below(path: Path) -> str:
    text = path.read_text(encoding="utf-8", errors="surrogateescape")
    lines = text.splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith(_MARK.strip()))
