# SPDX-License-Identifier: Apache-2.0
"""Revisions as the server tells them, as values of the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from vneter_sdn.model.journal import Change, Recorded, Version
from vneter_sdn.model.snapshot import Revision


def recorded_of(document: Mapping[str, Any]) -> Recorded:
    """One revision with its diff.

    Raises:
        KeyError, msgspec.ValidationError: the document is none.
    """
    return Recorded(
        revision=msgspec.convert(document, Revision),
        diff=differences_of(document["diff"]),
        position=document["position"],
        previous=document["previous"],
    )


def differences_of(items: Sequence[Mapping[str, Any]]) -> tuple[Change, ...]:
    """What became of each object."""
    return tuple(
        Change(
            kind=item["object"]["kind"],
            tenant=item["object"].get("tenant", ""),
            name=item["object"]["name"],
            before=_version(item.get("before")),
            after=_version(item.get("after")),
        )
        for item in items
    )


def _version(told: Mapping[str, Any] | None) -> Version | None:
    if told is None:
        return None
    metadata = told.get("metadata", {})
    return Version(
        spec=told["spec"],
        labels=metadata.get("labels", {}),
        annotations=metadata.get("annotations", {}),
    )
