# SPDX-License-Identifier: Apache-2.0
"""The path whose worst edge is least bad: widest bandwidth, largest MTU, least utilisation.

The bottleneck (min-max) path problem by bisection over the values there are, each step a search
for any path over the edges that are good enough (Hu, "The Maximum Capacity Route Problem",
Operations Research 9, 1961; with limits on sums as well, bisection is what stays exact). O(log E)
searches, and the answer is exact: it is the value of an edge.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from vneter_sdn.graph.path import Path

_Value = TypeVar("_Value", int, float)


def widest(
    values: Iterable[_Value], search: Callable[[_Value], Path | None]
) -> tuple[_Value, Path] | None:
    """The largest value for which there is a path, and that path.

    Args:
        values: candidates, in any order, repeated or not.
        search: a path over edges that have at least a value; whether there is one must not become
            true again as values grow.
    """
    ordered = sorted(set(values))
    low, high, found = 0, len(ordered), None
    while low < high:
        middle = (low + high) // 2
        path = search(ordered[middle])
        if path is None:
            high = middle
        else:
            found, low = (ordered[middle], path), middle + 1
    return found
