# SPDX-License-Identifier: Apache-2.0
"""``vneterctl compile``: manifests in, what each bridge would hold out; no server is asked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vneter_sdn.cli.objects import placed, read
from vneter_sdn.errors import IntentError


def compile_files(files: Sequence[str], output: str) -> None:
    """Write per-bridge flows, groups, meters and OVSDB rows below a directory.

    Raises:
        IntentError: the manifests are malformed or not acceptable.
        PipelineError: two objects claim the same flow.
    """
    from vneter_sdn.daemon.offline import compile_manifests

    documents = read(files)
    try:
        result = compile_manifests([document.value for document in documents])
    except IntentError as error:
        raise placed(error, documents) from None
    for name, content in sorted(result.files().items()):
        path = Path(output) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
        print(path)
