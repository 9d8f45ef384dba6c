# SPDX-License-Identifier: Apache-2.0
"""The published results below ``flows/``: scenarios, the picture and the table of features."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from difflib import unified_diff
from pathlib import Path

import yaml

from vneter_sdn.compile.features import FEATURES
from vneter_sdn.daemon.offline import compile_manifests
from vneter_sdn.pipeline import reference

GENERATED = (".flows", ".meters", ".groups", ".rows")
_FEATURES = ("<!-- golden: features -->\n", "<!-- end: features -->")


def main() -> int:
    """Rewrite what differs; with ``--check`` show it instead, and fail.

    Returns:
        0, or 1 when something is stale, or 2 for wrong arguments.
    """
    arguments = sys.argv[1:]
    if arguments not in ([], ["--check"]):
        sys.stderr.write("usage: scripts/golden [--check]\n")
        return 2
    return golden(Path(os.environ.get("VNETER_ROOT", ".")) / "flows", check=bool(arguments))


def golden(flows: Path, *, check: bool) -> int:
    """Bring everything below ``flows`` up to date, or say what is not; the exit code."""
    expected = {flows / name: text for name, text in _everything(flows)}
    held = {path for path in (flows / "scenarios").glob("*/*") if path.name.endswith(GENERATED)}
    stale = 0
    for path in sorted({*expected, *held}):
        old = path.read_text(encoding="utf-8") if path.exists() else ""
        new = expected.get(path, "")
        if old == new and (path in expected):
            continue
        stale += 1
        if check:
            lines = old.splitlines(keepends=True), new.splitlines(keepends=True)
            sys.stderr.writelines(unified_diff(*lines, f"{path} (committed)", "(compiled)", n=0))
        elif path in expected:
            path.write_text(new, encoding="utf-8")
            sys.stdout.write(f"wrote {path}\n")
        else:
            path.unlink()
            sys.stdout.write(f"removed {path}\n")
    if check and stale:
        sys.stderr.write("error: stale; run scripts/golden and commit the result\n")
    return 1 if check and stale else 0


def _everything(flows: Path) -> Iterator[tuple[str, str]]:
    yield "pipeline.dot", reference.dot()
    readme = flows / "README.md"
    if readme.exists():
        yield "README.md", _with_features(readme.read_text(encoding="utf-8"))
    for scenario in sorted((flows / "scenarios").iterdir()):
        if scenario.is_dir():
            for name, text in scenario_files(scenario).items():
                yield f"scenarios/{scenario.name}/{name}", text


def scenario_files(scenario: Path) -> dict[str, str]:
    """What a scenario's manifests compile to, by file name; the ones that are published."""
    documents: list[object] = []
    for file in ("topology.yaml", "intent.yaml"):
        text = (scenario / file).read_text(encoding="utf-8")
        documents += [document for document in yaml.safe_load_all(text) if document]
    files = compile_manifests(documents).files()
    return {
        name: text
        for name, text in files.items()
        if name.endswith(GENERATED) and not name.endswith(".numeric.flows")
    }


def _with_features(text: str) -> str:
    begin, end = _FEATURES
    head, _, rest = text.partition(begin)
    _, _, tail = rest.partition(end)
    rows = ["| id | feature | what it does | one unit per |", "|---|---|---|---|"]
    for feature in FEATURES:
        subjects = ", ".join(kind.lower() for kind in sorted(feature.generators))
        rows.append(f"| {feature.id} | `{feature.name}` | {feature.purpose} | {subjects} |")
    return head + begin + "\n".join(rows) + "\n" + end + tail
