# SPDX-License-Identifier: Apache-2.0
"""Stored objects as manifests, and manifests as edits.

A manifest is what people and programs read and write: ``apiVersion``, ``kind``,
``metadata``, ``spec`` and, in answers, ``status``. Its spec is checked by admission, against
the Struct of its kind; here only its identity is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from vneter_sdn.errors import IntentError, Problem
from vneter_sdn.model.advice import nearest
from vneter_sdn.model.journal import Change, Version
from vneter_sdn.model.kinds import API_VERSION, KINDS, Kind
from vneter_sdn.model.links import found_link
from vneter_sdn.model.snapshot import Key, Object
from vneter_sdn.store.port import Applied, Edit

_BY_WORD: dict[str, Kind] = {
    word.lower(): kind for kind in KINDS.values() for word in (kind.name, kind.plural, *kind.short)
}


def find_kind(word: str) -> Kind:
    """The kind that a person means by ``networks``, ``Network`` or ``net``, in any case.

    Raises:
        IntentError: reason ``UnknownKind``; the message lists the kinds.
    """
    kind = _BY_WORD.get(word.lower())
    if kind is None:
        raise IntentError(unknown_kind(word, word))
    return kind


def unknown_kind(subject: str, word: object) -> Problem:
    """The problem of naming a kind there is not."""
    near = nearest(word, KINDS)
    meant = f"did you mean {near}? " if near else ""
    text = f"no kind {str(word)[:64]!r}; {meant}the kinds are {', '.join(KINDS)}"
    return Problem(subject, "kind", "UnknownKind", text)


def manifest_of(stored: Object, status: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """One stored object as people read it; absent optional fields are left out."""
    metadata: dict[str, Any] = {"name": stored.key.name}
    if stored.key.tenant:
        metadata["tenant"] = stored.key.tenant
    if stored.labels:
        metadata["labels"] = dict(stored.labels)
    if stored.annotations:
        metadata["annotations"] = dict(stored.annotations)
    if stored.uid:
        metadata |= {"uid": stored.uid}
    if stored.revision:
        metadata |= {"revision": stored.revision}
    if stored.created:
        metadata |= {"created": stored.created}
    manifest: dict[str, Any] = {
        "apiVersion": API_VERSION,
        "kind": stored.key.kind,
        "metadata": metadata,
        "spec": spec_values(stored.spec),
    }
    if status is not None:
        manifest["status"] = dict(status)
    return manifest


def found_manifest(key: Key, status: Mapping[str, Any]) -> dict[str, Any]:
    """A link that was found and not declared, as people read it.

    Its spec is the one that would declare it: applied as it is, it changes nothing that counts.
    """
    spec = found_link(status)
    return {
        "apiVersion": API_VERSION,
        "kind": key.kind,
        "metadata": {"name": key.name},
        "spec": spec_values(spec) if spec else {},
        "status": dict(status),
    }


def spec_values(spec: Any) -> dict[str, Any]:
    """A spec Struct as plain JSON values, defaults filled in, without fields that are absent."""
    values: dict[str, Any] = _present(msgspec.to_builtins(spec))
    return values


def _present(value: Any) -> Any:
    """A value without fields that are None, at any depth; every sequence as a list."""
    if isinstance(value, dict):
        return {name: _present(inner) for name, inner in value.items() if inner is not None}
    return [_present(inner) for inner in value] if isinstance(value, list | tuple) else value


def object_of(manifest: Mapping[str, Any]) -> Object:
    """The stored object that `manifest_of` wrote; its inverse.

    Raises:
        KeyError, msgspec.ValidationError: it is not the manifest of a stored object.
    """
    metadata = manifest["metadata"]
    kind = KINDS[manifest["kind"]]
    return Object(
        key=Key(kind.name, metadata.get("tenant", ""), metadata["name"]),
        spec=msgspec.convert(manifest["spec"], kind.spec),
        labels=dict(metadata.get("labels", {})),
        annotations=dict(metadata.get("annotations", {})),
        uid=metadata.get("uid", ""),
        revision=metadata.get("revision", 0),
        created=metadata.get("created", ""),
    )


def edit_of(manifest: Any, verb: Any = "apply", origin: str = "") -> Edit:
    """The edit that a manifest asks for.

    Args:
        manifest: as given.
        verb: what to do with it.
        origin: what to call it as long as nobody knows its name: ``objects[3]``.

    Raises:
        IntentError: it does not say which object it is.
    """
    return Edit(verb=verb, key=key_of(manifest, origin), manifest=manifest)


def key_of(manifest: Any, origin: str = "manifest") -> Key:
    """Which object a manifest or reference (``{kind, tenant, name}``) is about.

    Raises:
        IntentError: every reason why that cannot be told.
    """
    if not isinstance(manifest, Mapping):
        raise IntentError(_wrong(origin, "", "an object", manifest))
    problems: list[Problem] = []
    kind = _kind_of(manifest, origin, problems)
    metadata = manifest.get("metadata", {})
    if not isinstance(metadata, Mapping):
        problems.append(_wrong(origin, "metadata", "an object", metadata))
        metadata = {"name": "?"}
    name = _text(metadata, "name", origin, problems)
    tenant = ""
    if kind is not None and (kind.tenanted or metadata.get("tenant") is not None):
        tenant = _text(metadata, "tenant", origin, problems)
    if problems:
        raise IntentError(*problems)
    return Key(kind.name if kind else "", tenant, name)


def _kind_of(manifest: Mapping[str, Any], origin: str, problems: list[Problem]) -> Kind | None:
    word = manifest.get("kind")
    if word is None:
        problems.append(Problem(origin, "kind", "Missing", "say which kind of object this is"))
    elif not isinstance(word, str):
        problems.append(_wrong(origin, "kind", "text", word))
    elif word not in KINDS:
        problems.append(unknown_kind(origin, word))
    else:
        return KINDS[word]
    return None


def _text(metadata: Mapping[str, Any], field: str, origin: str, problems: list[Problem]) -> str:
    value = metadata.get(field)
    path = f"metadata.{field}"
    if isinstance(value, str) and value:
        if value.isprintable():
            return value
        message = f"{value!r} holds what cannot be printed"
        problems.append(Problem(origin, path, "InvalidValue", message))
        return ""
    if value is None or value == "":
        problems.append(Problem(origin, path, "Missing", f"give {path}"))
    else:
        problems.append(_wrong(origin, path, "text", value))
    return ""


def _wrong(origin: str, field: str, wanted: str, value: Any) -> Problem:
    names = {
        dict: "an object",
        list: "an array",
        str: "text",
        bool: "a boolean",
        type(None): "null",
    }
    got = names.get(type(value), "a number")
    return Problem(origin, field, "WrongType", f"expected {wanted}, got {got}")


def reference(key: Key) -> dict[str, str]:
    """A key as JSON: ``{"kind", "tenant", "name"}``, without tenant for kinds that have none."""
    values = {"kind": key.kind, "tenant": key.tenant, "name": key.name}
    return {name: value for name, value in values.items() if value}


def changes_values(changes: Iterable[Change]) -> list[dict[str, Any]]:
    """What became of objects, as JSON; before and after are absent where there was none."""
    return [
        {"object": reference(change.key), "verb": change.verb}
        | {
            name: version_values(version)
            for name, version in (("before", change.before), ("after", change.after))
            if version is not None
        }
        for change in changes
    ]


def version_values(version: Version) -> dict[str, Any]:
    """What people wrote of an object: its labels, annotations and spec."""
    return {
        "metadata": {"labels": dict(version.labels), "annotations": dict(version.annotations)},
        "spec": spec_values(version.spec),
    }


def version_manifest(key: Key, version: Version, revision: int) -> dict[str, Any]:
    """An object as it is stored at a revision, without a status."""
    stored = Object(
        key=key,
        spec=version.spec,
        labels=version.labels,
        annotations=version.annotations,
        uid=version.uid,
        revision=revision,
        created=version.created,
    )
    return manifest_of(stored)


def applied_values(applied: Applied) -> dict[str, Any]:
    """What one transaction did, as JSON."""
    groups = ("created", "updated", "deleted", "unchanged")
    diff = {"diff": changes_values(applied.diff)} if applied.diff else {}
    proven = {} if applied.proven is None else {"proven": round(applied.proven, 4)}
    return (
        {"revision": applied.revision}
        | proven
        | {group: [reference(key) for key in getattr(applied, group)] for group in groups}
        | diff
    )


def path_of(key: Key) -> str:
    """The path of an object on the REST server: ``/v1/tenants/red/networks/web``."""
    plural = KINDS[key.kind].plural
    tenant = f"/tenants/{quote(key.tenant, safe='')}" if key.tenant else ""
    return f"/v1{tenant}/{plural}/{quote(key.name, safe='')}"
