# SPDX-License-Identifier: Apache-2.0
"""Diffs of revisions as text: canonical JSON, compressed where it is long. Pure."""

from __future__ import annotations

import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator

import msgspec

from vneter_sdn.admission.admit import Admission
from vneter_sdn.errors import DecodeError
from vneter_sdn.model.journal import Change, Version
from vneter_sdn.model.snapshot import Object, Snapshot

_encode = msgspec.json.Encoder(order="sorted").encode
_CHANGES = msgspec.json.Decoder(tuple[Change, ...])
_SHORT = 2048
"""Characters up to which text is stored as it is, for people to read in the database."""
_LARGEST = 1 << 30
_MARK = "zlib:"


def changes_of(snapshot: Snapshot, admission: Admission) -> tuple[Change, ...]:
    """What an admission changes of a snapshot, sorted by key; specs are the Structs of kinds."""
    lost: dict[str, dict[str, str]] = {}
    for held in admission.allocations.values():
        if held is not None and held.released is not None:
            lost.setdefault(held.owner, {})[held.pool] = held.value
    return tuple(
        Change(
            kind=key.kind,
            tenant=key.tenant,
            name=key.name,
            before=_version(snapshot.objects.get(key)),
            after=_version(admission.objects[key]),
            lost=lost.get(str(key), {}),
        )
        for key in sorted(admission.objects)
    )


def plain(changes: Iterable[Change]) -> tuple[Change, ...]:
    """The same with specs as plain JSON values."""
    return read(written(changes))


def _version(stored: Object | None) -> Version | None:
    if stored is None:
        return None
    return Version(
        spec=stored.spec,
        labels=stored.labels,
        annotations=stored.annotations,
        uid=stored.uid,
        created=stored.created,
    )


def written(changes: Iterable[Change]) -> str:
    """Canonical JSON: sorted keys, no space."""
    return _encode(tuple(changes)).decode()


def read(text: str) -> tuple[Change, ...]:
    """What `written` wrote; nothing for empty text.

    Raises:
        DecodeError: it did not.
    """
    try:
        return _CHANGES.decode(text) if text else ()
    except msgspec.DecodeError as error:
        raise DecodeError(f"a diff that cannot be read: {error}") from error


def objects_of(changes: Iterable[Change]) -> Iterator[str]:
    """``Network red/web`` of each change."""
    return (str(change.key) for change in changes)


def packed(text: str) -> str:
    """Text as it is stored: compressed when it is long."""
    if len(text) <= _SHORT and not text.startswith(_MARK):
        return text
    return _MARK + b64encode(zlib.compress(text.encode(), 6)).decode()


def unpacked(stored: str) -> str:
    """What `packed` packed.

    Raises:
        DecodeError: it is damaged, or longer than 1 GiB.
    """
    if not stored.startswith(_MARK):
        return stored
    try:
        inflate = zlib.decompressobj()
        text = inflate.decompress(b64decode(stored[len(_MARK) :], validate=True), _LARGEST).decode()
    except (ValueError, zlib.error) as error:
        raise DecodeError(f"text that cannot be unpacked: {error}") from error
    if not inflate.eof:
        raise DecodeError("text that cannot be unpacked: it does not end")
    return text
