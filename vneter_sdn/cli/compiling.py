# SPDX-License-Identifier: Apache-2.0
"""``vneterctl compile``: manifests in, what each bridge would hold out; no server is asked."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vneter_sdn.cli.objects import noted, placed, read
from vneter_sdn.cli.terminal import REFUSED, Answer
from vneter_sdn.errors import IntentError
from vneter_sdn.northbound.manifests import Document

if TYPE_CHECKING:
    from vneter_sdn.daemon.offline import OfflineResult

_MATRIX = frozenset({"from", "to", "port", "allowed"})


def compiled(files: Sequence[str], tenant: str) -> OfflineResult:
    """What manifests come to; what was left out of them is told on standard error.

    Args:
        files: files and directories, of our kinds and of Kubernetes.
        tenant: what Kubernetes namespaces belong to that say nothing else.

    Raises:
        IntentError: the manifests are malformed or not acceptable.
        PipelineError: two objects claim the same flow.
    """
    from vneter_sdn.daemon.offline import compile_manifests

    documents = _once(read(files))
    try:
        result = compile_manifests([document.value for document in documents], tenant)
    except IntentError as error:
        raise placed(error, documents) from None
    noted(result.notes, documents)
    return result


def _is_matrix(value: Any) -> bool:
    """Whether it is what ``vneterctl reachability -o json`` wrote, kept beside the manifests."""
    rows = value if isinstance(value, list) else []
    return bool(rows) and all(isinstance(row, dict) and row.keys() >= _MATRIX for row in rows)


def _once(documents: Sequence[Document]) -> list[Document]:
    """Without what is there again word for word, as where directories are put together."""
    from vneter_sdn.northbound.foreign import is_foreign

    kept: dict[str, Document] = {}
    for document in documents:
        if _is_matrix(document.value):
            print(f"note: {document.place('')}: left out, it is a matrix", file=sys.stderr)
            continue
        same = json.dumps(document.value, sort_keys=True)
        if is_foreign(document.value) and same in kept:
            first = kept[same].place("")
            print(f"note: {document.place('')}: the same as {first}", file=sys.stderr)
        else:
            kept[same if is_foreign(document.value) else document.origin] = document
    return list(kept.values())


def compile_files(files: Sequence[str], output: str, tenant: str) -> None:
    """Write per-bridge flows, groups, meters and OVSDB rows below a directory.

    Raises:
        IntentError: the manifests are malformed or not acceptable.
        PipelineError: two objects claim the same flow.
        Answer: the directory cannot be written.
    """
    result = compiled(files, tenant)
    written = {Path(output) / name: content for name, content in result.files().items()}
    try:
        for path, content in sorted(written.items()):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
            print(path)
    except OSError as refused:
        message = f"cannot write {refused.filename or output}: {refused.strerror}"
        raise Answer(REFUSED, message, "give a directory that can be written with -o") from None
    if not written:
        print("note: the manifests describe no Host, so there is no bridge", file=sys.stderr)
        return
    stale = sorted(set(Path(output).iterdir()) - set(written))
    if stale:
        names = ", ".join(path.name for path in stale[:5]) + (", …" if len(stale) > 5 else "")
        print(f"note: {output} also holds what this did not write: {names}", file=sys.stderr)
