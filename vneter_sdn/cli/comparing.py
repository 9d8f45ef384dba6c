# SPDX-License-Identifier: Apache-2.0
"""``vneterctl diff``: what applying files would change of what is stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import unified_diff
from typing import Any

from vneter_sdn.cli import objects
from vneter_sdn.cli.patience import patience
from vneter_sdn.cli.terminal import REFUSED, Answer, paint, plain
from vneter_sdn.client.client import Client
from vneter_sdn.errors import IntentError
from vneter_sdn.model.kinds import KINDS
from vneter_sdn.model.snapshot import Key
from vneter_sdn.northbound import foreign
from vneter_sdn.northbound.exports import snapshot_from
from vneter_sdn.northbound.manifests import Document, write
from vneter_sdn.northbound.resources import key_of, spec_values

_COLOURS = {"+": "green", "-": "red", "@": "bold"}
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
        print("\n".join(_painted(line) for line in lines))
    if found:
        raise Answer(REFUSED)


def differences(client: Client, documents: Sequence[Document]) -> Iterator[list[str]]:
    """The lines of a diff for each object that an apply would change.

    Which they are says the controller, by a dry run: it alone knows all that counts.
    """
    values = [one.value for one in documents]
    try:
        would = client.apply(values, dry_run=True)
    except IntentError as error:
        raise objects.placed(error, documents) from None
    given = _given(client, values) if would.created or would.updated else {}
    for key in (*would.created, *would.updated):
        before = client.get(*key) if key in would.updated else None
        lines = list(lines_of(key, before, given.get(key)))
        yield lines or [f"{_name(key)} differs"]


def _given(client: Client, values: Sequence[Any]) -> Mapping[Key, Mapping[str, Any]]:
    """Manifests by object; those of Kubernetes as what they become."""
    if any(map(foreign.is_foreign, values)):
        snapshot = snapshot_from(client.snapshot())
        values = foreign.accept_into(snapshot, values).manifests
    return {key_of(value): value for value in values}


def lines_of(
    key: Key, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
) -> Iterator[str]:
    """A unified diff of two states of an object, either of which may be none."""
    texts = [text(one).splitlines() if one else [] for one in (before, after)]
    old = "/dev/null" if before is None else f"stored/{_name(key)}"
    new = "/dev/null" if after is None else f"given/{_name(key)}"
    for line in unified_diff(*texts, old, new, lineterm=""):
        yield line.rstrip("\n")


def text(manifest: Mapping[str, Any]) -> str:
    """An object as people write it, as YAML: without what only the store writes."""
    return write(asked_for(manifest)).rstrip("\n")


def asked_for(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """A manifest with its defaults, without status and what the store sets."""
    import msgspec

    metadata = {
        name: value
        for name, value in manifest.get("metadata", {}).items()
        if name not in _SET_BY_STORE and value not in ({}, None)
    }
    order = [name for name in ("name", "tenant", "labels", "annotations") if name in metadata]
    spec = msgspec.convert(manifest.get("spec", {}), KINDS[manifest["kind"]].spec)
    return {
        "apiVersion": manifest["apiVersion"],
        "kind": manifest["kind"],
        "metadata": {name: metadata[name] for name in order},
        "spec": spec_values(spec),
    }


def _painted(line: str) -> str:
    line = plain(line)
    return paint(line, _COLOURS[line[0]]) if line[:1] in _COLOURS else line


def _name(key: Key) -> str:
    return f"{key.kind.lower()}/{key.path}"
