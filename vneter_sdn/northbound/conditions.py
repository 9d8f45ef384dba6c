# SPDX-License-Identifier: Apache-2.0
"""Conditions as manifests carry them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def condition_of(manifest: Mapping[str, Any], kind: str) -> Mapping[str, Any] | None:
    """The condition of one type in a manifest's status, or None."""
    for condition in manifest.get("status", {}).get("conditions", ()):
        if condition["type"] == kind:
            found: Mapping[str, Any] = condition
            return found
    return None


def met(manifest: Mapping[str, Any], kind: str) -> bool:
    """Whether a condition is True of the object as it now is.

    A condition reported for an earlier revision of the object does not count: it says that the
    old state was reached.
    """
    condition = condition_of(manifest, kind)
    if condition is None or condition["status"] != "True":
        return False
    observed = manifest.get("status", {}).get("observedRevision")
    return observed is None or observed >= manifest["metadata"].get("revision", 0)
