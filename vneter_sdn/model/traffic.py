# SPDX-License-Identifier: Apache-2.0
"""Traffic between hosts under a policy, as it is measured, and the words of its report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

Pair = tuple[str, str]
"""Host where connections begin, and host that they go to."""


class Volume(NamedTuple):
    """Mbit/s of the connections that begin at one host and go to another."""

    forth: float = 0.0
    back: float = 0.0
    """What is answered: it takes the same paths, the other way."""


def told(matrix: Mapping[Pair, Volume]) -> dict[str, dict[str, float]]:
    """A matrix in a report: to the kbit/s, by ``source>target``."""
    return {
        f"{source}>{target}": {"forth": round(volume.forth, 3), "back": round(volume.back, 3)}
        for (source, target), volume in sorted(matrix.items())
    }


def read(details: Mapping[str, Any]) -> dict[Pair, Volume]:
    """The matrix in a policy's report; empty when there is none."""
    found: dict[Pair, Volume] = {}
    for name, volume in details.get("measured", {}).items():
        source, _, target = str(name).partition(">")
        found[source, target] = Volume(float(volume["forth"]), float(volume["back"]))
    return found
