# SPDX-License-Identifier: Apache-2.0
"""What endpoints tried that they may not, as their reports tell it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vneter_sdn.model.snapshot import Key, Status

DETAIL = "refused"
"""Where it is in an endpoint's report: packets by kind (`pipeline.refusals`)."""


@dataclass(frozen=True, slots=True)
class Spoofed:
    """What was counted of some endpoints, in all."""

    totals: Mapping[Key, Mapping[str, int]]
    """By endpoint: packets by kind."""


class Spoofing:
    """Remembers what was counted last."""

    def __init__(self) -> None:
        self._totals: dict[Key, Mapping[str, int]] = {}

    def take(self, event: Spoofed) -> frozenset[Key]:
        """Take it in; the endpoints whose reports may have to change."""
        self._totals.update(event.totals)
        return frozenset(event.totals)

    def details(self, endpoint: Key, before: Status | None) -> Mapping[str, Any]:
        """Part of a report; what was reported stands while nothing was counted since."""
        found = self._totals.get(endpoint) or reported(before)
        return {DETAIL: dict(found)} if found else {}

    def forget(self, endpoint: Key) -> None:
        """It is no more."""
        self._totals.pop(endpoint, None)


def reported(status: Status | None) -> Mapping[str, int]:
    """What a report tells of it."""
    found = status.details.get(DETAIL) if status else None
    return found if isinstance(found, Mapping) else {}
