# SPDX-License-Identifier: Apache-2.0
"""Manifests in files and directories; `model.documents` says how each file is read."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from vneter_sdn.errors import IntentError, Problem
from vneter_sdn.model import jsontext
from vneter_sdn.model.documents import Document, items_of, read_bytes, write

__all__ = ["SUFFIXES", "Document", "expand", "read_bytes", "read_path", "write"]

SUFFIXES = (".yaml", ".yml", ".json")


def read_path(path: Path) -> list[Document]:
    """Every document of a file, or of each manifest file below a directory, in order of name.

    Raises:
        IntentError: a file cannot be read, is too large, or is malformed.
    """
    files = [path]
    if os.path.isdir(path):  # no error, whatever its name
        files = sorted(_below(path))
        if not files:
            message = f"holds no file named *{', *'.join(SUFFIXES)}"
            raise IntentError(Problem(str(path), "", "Empty", message))
    documents: list[Document] = []
    for one in files:
        documents += read_bytes(_content(one), str(one))
    return documents


def expand(documents: Iterable[Document]) -> list[Document]:
    """Documents with each ``List`` (as ``get -o yaml`` writes) replaced by its items."""
    result: list[Document] = []
    for document in documents:
        items = items_of(document.value)
        if items is None:
            result.append(document)
            continue
        for index, item in enumerate(items):
            below = f"items[{index}]"
            lines = {
                path[len(below) :].lstrip("."): line
                for path, line in document.lines.items()
                if path.startswith(below)
            }
            result.append(Document(item, document.source, document.number, lines))
    return result


def _below(directory: Path) -> Iterator[Path]:
    """Manifest files, and links that should be some; others may come and go meanwhile."""
    for parent, _, names in os.walk(directory, onerror=_unlisted):
        for name in names:
            found = Path(parent, name)
            if found.suffix in SUFFIXES and (found.is_file() or _lost(found)):
                yield found


def _unlisted(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):  # what is in it must not be missed in silence
        raise _unread(str(error.filename), error)


def _lost(path: Path) -> bool:
    """Whether it is a link to nothing; editors keep such beside files they have open, hidden."""
    return path.is_symlink() and not path.exists() and not path.name.startswith(".")


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(jsontext.MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # a ValueError: NUL in its name
        raise _unread(str(path), error) from None


def _unread(path: str, error: Exception) -> IntentError:
    message = f"cannot be read: {getattr(error, 'strerror', None) or error}"
    return IntentError(Problem(path, "", "Unreadable", message))
