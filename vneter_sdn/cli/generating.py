# SPDX-License-Identifier: Apache-2.0
"""``scripts/generate``: the parts of the documentation that code writes, between markers.

A file holds ``<!-- generated: NAME -->`` and ``<!-- end: NAME -->``; what stands between them
is replaced. To generate something more, add a row to `PARTS` and the markers to the file.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Part:
    """One generated part of one file."""

    file: str
    """Below the root of the repository."""
    name: str
    """As in its markers."""
    source: str
    """``module:function``; the function takes nothing and returns Markdown."""


PARTS = (
    Part("vneter_sdn/REFERENCE.md", "kinds", "vneter_sdn.cli.reference:kinds"),
    Part("vneter_sdn/REFERENCE.md", "rest", "vneter_sdn.cli.reference:rest"),
    Part("vneter_sdn/REFERENCE.md", "cli", "vneter_sdn.cli.reference:cli"),
    Part("vneter_sdn/REFERENCE.md", "settings", "vneter_sdn.cli.reference:settings"),
    Part("vneter_sdn/REFERENCE.md", "metrics", "vneter_sdn.cli.reference:metrics"),
    Part("flows/README.md", "pipeline", "vneter_sdn.pipeline.reference:render"),
)
"""Everything that is generated. A part whose file does not exist yet is passed over."""


def main() -> int:
    """Rewrite what is stale; with ``--check`` show it instead, and fail.

    Returns:
        0, or 1 when something is stale or a marker is missing, or 2 for wrong arguments.
    """
    arguments = sys.argv[1:]
    if arguments not in ([], ["--check"]):
        print("usage: scripts/generate [--check]", file=sys.stderr)
        return 2
    return generate(Path(os.environ.get("VNETER_ROOT", ".")), check=bool(arguments))


def generate(root: Path, *, check: bool, parts: tuple[Part, ...] = PARTS) -> int:
    """Bring every file of ``parts`` up to date, or say which are not; the exit code."""
    stale = 0
    for file in dict.fromkeys(part.file for part in parts):
        path = root / file
        if not path.exists():
            continue
        old = path.read_text(encoding="utf-8")
        new = old
        for part in parts:
            if part.file == file:
                new = replaced(new, part)
        if old == new:
            continue
        stale += 1
        if check:
            sys.stderr.writelines(_difference(file, old, new))
        else:
            path.write_text(new, encoding="utf-8")
            print(f"wrote {file}")
    if check and stale:
        print("error: stale; run scripts/generate and commit the result", file=sys.stderr)
    return 1 if check and stale else 0


def replaced(text: str, part: Part) -> str:
    """A file's text with one part made anew.

    Raises:
        ValueError: the markers are missing.
    """
    begin, end = f"<!-- generated: {part.name} -->\n", f"<!-- end: {part.name} -->"
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    module, _, function = part.source.partition(":")
    content = getattr(importlib.import_module(module), function)().strip("\n")
    block = f"{begin}{content}\n{end}"
    result, count = pattern.subn(lambda _: block, text)
    if count != 1:
        raise ValueError(f"{part.file} must hold the markers of {part.name!r} once")
    return result


def _difference(file: str, old: str, new: str) -> Iterator[str]:
    lines = old.splitlines(keepends=True), new.splitlines(keepends=True)
    return unified_diff(*lines, f"{file} (committed)", f"{file} (generated)", n=1)
