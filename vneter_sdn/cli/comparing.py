# SPDX-License-Identifier: Apache-2.0
"""``vneterctl diff``: what applying files would change of what is stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import unified_diff
from typing import Any

from vneter_sdn.cli import objects
from vneter_sdn.cli.history import painted
from vneter_sdn.cli.output import Form, structured
from vneter_sdn.cli.patience import patience
from vneter_sdn.cli.terminal import REFUSED, Answer
from vneter_sdn.client.client import Client
from vneter_sdn.errors import IntentError
from vneter_sdn.model.journal import Change
from vneter_sdn.model.snapshot import Key
from vneter_sdn.northbound.manifests import Document, write
from vneter_sdn.northbound.resources import changes_values

_SET_BY_STORE = ("uid", "revision", "created")
_TEXT = Form("text")


def diff(client: Client, files: Sequence[str], how: Form = _TEXT) -> None:
    """Print a unified diff for each object that differs, or what it was and would be.

    Raises:
        Answer: exit code 1: something does.
        IntentError: the manifests would be refused.
    """
    documents = objects.read(files)
    with patience(f"comparing {len(documents)} objects"):
        found = differences(client, documents)
    if how.for_people:
        for change in found:
            print("\n".join(painted(change, "stored", "given")))
    else:
        print(structured({"items": changes_values(found)}, how))
    if found:
        raise Answer(REFUSED)


def differences(client: Client, documents: Sequence[Document]) -> Sequence[Change]:
    """What an apply would change.

    Which objects, and what would become of them, says the controller's dry run: it alone knows
    all that counts.
    """
    try:
        return client.apply([one.value for one in documents], dry_run=True).diff
    except IntentError as error:
        raise objects.placed(error, documents) from None


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
