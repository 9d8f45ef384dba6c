# SPDX-License-Identifier: Apache-2.0
"""What REST says of changes: references, differences, patches, events of a watch."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct


class Reference(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Which object."""

    kind: str
    name: str
    tenant: Annotated[str, Meta(description="For kinds that belong to a tenant.")] = ""


class Version(Struct, frozen=True, kw_only=True):
    """What people wrote of an object."""

    metadata: Annotated[dict[str, dict[str, str]], Meta(description="Its labels and annotations.")]
    spec: Annotated[dict[str, Any], Meta(description="With defaults filled in.")]


class Difference(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one object."""

    object: Reference
    verb: Annotated[str, Meta(description="created, updated or deleted.")]
    before: Annotated[Version | None, Meta(description="Absent when it was created.")] = None
    after: Annotated[Version | None, Meta(description="Absent when it was deleted.")] = None


class Operation(Struct, frozen=True, kw_only=True):
    """One operation of a JSON Patch (RFC 6902)."""

    op: Literal["add", "remove", "replace", "move", "copy", "test"]
    path: Annotated[str, Meta(description="JSON pointer into the manifest: /spec/prefixes/0.")]
    from_: Annotated[str | None, Meta(description="Of move and copy.")] = msgspec.field(
        name="from", default=None
    )
    value: Annotated[Any, Meta(description="Of add, replace and test.")] = None


class WatchEvent(Struct, frozen=True, kw_only=True):
    """The data of one server-sent event.

    The name of the event is its ``type``, its id the ``position``. A ``bookmark`` says that
    nothing before its position is missing, a ``gone``, at the end of the stream, that something
    is: begin anew, with a list. Lines that begin with a colon say that the server is alive.
    """

    type: Annotated[
        Literal["added", "modified", "deleted", "bookmark", "gone"],
        Meta(description="To those who select, what is selected no more was deleted."),
    ]
    revision: Annotated[int, Meta(description="Of the store, afterwards.")]
    position: Annotated[
        str, Meta(description="To go on from; empty while what there is is being sent.")
    ] = ""
    object: Annotated[
        dict[str, Any] | None, Meta(description="The manifest; of what was deleted, the last.")
    ] = None
    detail: Annotated[str, Meta(description="Of gone: why.")] = ""
