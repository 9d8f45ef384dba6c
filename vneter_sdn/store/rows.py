# SPDX-License-Identifier: Apache-2.0
"""Rows of the database and values of the model, each from the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

import msgspec

from vneter_sdn.errors import DecodeError
from vneter_sdn.model.access import AuditEntry, Credential
from vneter_sdn.model.kinds import KINDS
from vneter_sdn.model.snapshot import (
    Allocation,
    Binding,
    Condition,
    Key,
    Object,
    Revision,
    Status,
)
from vneter_sdn.ovsdb.values import Row
from vneter_sdn.store import changes
from vneter_sdn.store.chain import Chain, Entry, Sealed, sealed_audit, sealed_revision

Plain = dict[str, Any]

_SPECS = {name: msgspec.json.Decoder(kind.spec) for name, kind in KINDS.items()}
_CONDITIONS = msgspec.json.Decoder(tuple[Condition, ...])
_DETAILS = msgspec.json.Decoder(dict[str, Any])
_LINES = msgspec.json.Decoder(tuple[str, ...])
_text = msgspec.json.Encoder().encode


def object_row(stored: Object) -> Plain:
    """An Object row."""
    return {
        "kind": stored.key.kind,
        "tenant": stored.key.tenant,
        "name": stored.key.name,
        "uid": stored.uid,
        "revision": stored.revision,
        "created": stored.created,
        "spec": _text(stored.spec).decode(),
        "labels": stored.labels,
        "annotations": stored.annotations,
    }


def object_of(row: Row | Mapping[str, Any]) -> Object:
    """The object of a row.

    Raises:
        DecodeError: a kind that this release does not know, or a spec that it cannot read.
    """
    values: Any = row
    key = object_key(row)
    try:
        spec = _SPECS[key.kind].decode(values["spec"])
    except (KeyError, msgspec.DecodeError) as error:
        raise DecodeError(f"{key}: cannot read its spec: {error}") from error
    return Object(
        key=key,
        spec=spec,
        labels=dict(values["labels"]),
        annotations=dict(values["annotations"]),
        uid=values["uid"],
        revision=values["revision"],
        created=values["created"],
    )


def object_key(row: Row | Mapping[str, Any]) -> Key:
    """The key of an Object row."""
    return Key(str(row["kind"]), str(row["tenant"]), str(row["name"]))


def allocation_row(held: Allocation) -> Plain:
    """An Allocation row."""
    released = frozenset() if held.released is None else frozenset([float(held.released)])
    return {"pool": held.pool, "value": held.value, "owner": held.owner, "released": released}


def allocation_of(row: Row | Mapping[str, Any]) -> Allocation:
    """The allocation of a row."""
    values: Any = row
    released = next(iter(values["released"]), None)
    return Allocation(values["pool"], values["value"], values["owner"], released)


def binding_row(binding: Binding) -> Plain:
    """A Binding row."""
    return {
        "endpoint": binding.endpoint.path,
        "host": binding.host,
        "interface": binding.interface,
        "ofport": binding.ofport,
        "sequence": binding.sequence,
    }


def binding_of(row: Row | Mapping[str, Any]) -> Binding:
    """The binding of a row."""
    values: Any = row
    tenant, _, name = values["endpoint"].partition("/")
    return Binding(
        Key("Endpoint", tenant, name),
        values["host"],
        values["interface"],
        values["ofport"],
        values["sequence"],
    )


def status_row(status: Status) -> Plain:
    """A Status row."""
    return {
        "object": str(status.key),
        "observed_revision": status.observed_revision,
        "conditions": _text(status.conditions).decode(),
        "details": _text(dict(status.details)).decode(),
    }


def status_of_row(row: Row | Mapping[str, Any]) -> Status:
    """The status of a row.

    Raises:
        DecodeError: its JSON cannot be read.
    """
    values: Any = row
    kind, _, path = values["object"].partition(" ")
    tenant, slash, name = path.partition("/")
    try:
        return Status(
            Key(kind, tenant, name) if slash else Key(kind, "", path),
            values["observed_revision"],
            _CONDITIONS.decode(values["conditions"]),
            _DETAILS.decode(values["details"]),
        )
    except msgspec.DecodeError as error:
        raise DecodeError(f"status of {values['object']}: {error}") from error


def entry_row(entry: Entry, uid: str) -> Plain:
    """A Revision row."""
    told = entry.revision
    return {
        "number": told.number,
        "uid": uid,
        "author": told.author,
        "time": told.time,
        "message": told.message,
        "changes": _text(told.changes).decode(),
        "objects": frozenset(entry.objects),
        "diff": changes.packed(entry.diff),
        "position": entry.position,
        "previous": entry.previous,
        "digest": told.digest,
    }


def revision_of(row: Row | Mapping[str, Any]) -> Revision:
    """The journal entry of a row."""
    values: Any = row
    return Revision(
        values["number"],
        values["author"],
        values["time"],
        values["message"],
        _LINES.decode(values["changes"]),
        values["digest"],
    )


def entry_of(row: Row | Mapping[str, Any]) -> Entry:
    """The whole of a journal entry.

    Raises:
        DecodeError: its diff cannot be unpacked.
    """
    values: Any = row
    objects = values["objects"]
    several = [objects] if isinstance(objects, str) else objects  # a set of one is written as it
    diff = changes.unpacked(values["diff"])
    told = revision_of(row)
    return Entry(told, tuple(sorted(several)), diff, values["position"], values["previous"])


def sealed_revision_row(row: Row) -> Sealed:
    """What there is to verify of a Revision row."""
    try:
        return sealed_revision(entry_of(row))
    except (DecodeError, msgspec.DecodeError) as error:
        values: Any = row
        garbled = (f"cannot be read: {error}",)
        return Sealed(
            values["number"], values["position"], values["previous"], values["digest"], garbled
        )


def audit_row(entry: AuditEntry, previous: str) -> Plain:
    """An Audit row."""
    return {**asdict(entry), "previous": previous}


def audit_of(row: Row | Mapping[str, Any]) -> tuple[AuditEntry, str]:
    """The audit entry of a row, and the digest before it."""
    values: Any = row
    names = (field.name for field in fields(AuditEntry))
    return AuditEntry(**{name: values[name] for name in names}), values["previous"]


def sealed_audit_row(row: Row) -> Sealed:
    """What there is to verify of an Audit row."""
    return sealed_audit(*audit_of(row))


def chain_row(chain: Chain) -> Plain:
    """A Chain row."""
    return asdict(chain)


def chain_of(row: Row | Mapping[str, Any]) -> Chain:
    """The ends of a chain."""
    values: Any = row
    return Chain(**{field.name: values[field.name] for field in fields(Chain)})


def credential_row(credential: Credential) -> Plain:
    """A Credential row."""
    expires = frozenset() if credential.expires is None else frozenset([credential.expires])
    return {
        "name": credential.name,
        "digest": credential.digest,
        "grants": credential.grants,
        "author": credential.author,
        "created": credential.created,
        "expires": expires,
    }


def credential_of(row: Row | Mapping[str, Any]) -> Credential:
    """The credential of a row."""
    values: Any = row
    return Credential(
        values["name"],
        values["digest"],
        values["grants"],
        values["author"],
        values["created"],
        next(iter(values["expires"]), None),
    )
