# SPDX-License-Identifier: Apache-2.0
"""``vneterctl diff``: what applying files would change of what is stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import unified_diff
from typing import Any

from vneter_sdn.cli import objects
from vneter_sdn.cli.history import painted
from vneter_sdn.cli.patience import patience
from vneter_sdn.cli.terminal import REFUSED, Answer
from vneter_sdn.client.client import Client
from vneter_sdn.errors import IntentError
from vneter_sdn.model.snapshot import Key
from vneter_sdn.northbound.manifests import Document, write

_SET_BY_STORE = ("uid", "revision", "created")


def diff(client: Client, files: Sequence[str]) -> None:
    """Print a unified diff for each object that differs.

    Raises:
        Answer: exit code 1: something does.
        IntentError: the manifests would be refused.
    """
    documents = objects.read(files)
    with patience(f"comparing {len(documents)} objects"):
        found = list(differences(client, documents))
    for lines in found:
        print("\n".join(lines))
    if found:
        raise Answer(REFUSED)


def differences(client: Client, documents: Sequence[Document]) -> Iterator[list[str]]:
    """The lines of a diff for each object that an apply would change.

    Which they are, and what would become of them, says the controller's dry run: it alone knows
    all that counts.
    """
    try:
        would = client.apply([one.value for one in documents], dry_run=True)
    except IntentError as error:
        raise objects.placed(error, documents) from None
    for change in would.diff:
        yield list(painted(change, "stored", "given"))


def lines_of(
    key: Key, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
) -> Iterator[str]:
    """A unified diff of two states of an object, either of which may be none."""
    texts = [text(one).splitlines() if one else [] for one in (before, after)]
    name = f"{key.kind.lower()}/{key.path}"
    for line in unified_diff(*texts, f"{name} (before)", f"{name} (now)", lineterm=""):
        yield line.rstrip("\n")


def text(manifest: Mapping[str, Any]) -> str:
    """An object as people write it, as YAML: without what only the store writes."""
    return write(asked_for(manifest)).rstrip("\n")


def asked_for(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """A manifest without status and what the store sets."""
    metadata = {
        name: value
        for name, value in manifest["metadata"].items()
        if name not in _SET_BY_STORE and value not in ({}, None)
    }
    found = {name: manifest[name] for name in ("apiVersion", "kind", "spec") if name in manifest}
    order = ("name", "tenant", "labels", "annotations")
    found["metadata"] = {name: metadata[name] for name in order if name in metadata}
    return {name: found[name] for name in ("apiVersion", "kind", "metadata", "spec")}
