# SPDX-License-Identifier: Apache-2.0
"""Traffic in inverse proportion to what paths cost, in small integers."""

from __future__ import annotations

from collections.abc import Sequence

_MOST = 100
"""What the weights add up to at most, while there are fewer paths than that."""
_CLOSE = 0.005
"""How far a share may be from what is asked."""
_CHEAPEST = 0.01
"""A path counts as costing at least this part of the dearest, so that one that is free does not
take everything."""


def portions(values: Sequence[float]) -> tuple[int, ...]:
    """Integer weights, at least 1, in inverse proportion to values that are not negative.

    The smallest total whose shares are all within half a percent of what is asked, else the one
    of at most 100 that comes closest: 1 and 2 give 2 and 1; 10, 15 and 30 give 3, 2 and 1.
    """
    dearest = max(values, default=0.0)
    if dearest <= 0:
        return (1,) * len(values)
    inverse = [1 / max(value, dearest * _CHEAPEST) for value in values]
    shares = [one / sum(inverse) for one in inverse]
    tried = (_rounded(shares, total) for total in range(len(shares), max(_MOST, len(shares)) + 1))
    best, error = (1,) * len(shares), 2.0
    for weights in tried:
        off = max(abs(w / sum(weights) - s) for w, s in zip(weights, shares, strict=True))
        if off < error - 1e-12:
            best, error = weights, off
        if error <= _CLOSE:
            break
    return best


def _rounded(shares: Sequence[float], total: int) -> tuple[int, ...]:
    """Whole numbers, each at least 1, that add up to a total: by largest remainder (Hamilton)."""
    spare = total - len(shares)
    exact = [max(0.0, share * total - 1) for share in shares]
    scale = spare / sum(exact) if sum(exact) > 0 else 0.0
    parts = [part * scale for part in exact]
    weights = [1 + int(part + 1e-9) for part in parts]
    order = sorted(range(len(parts)), key=lambda n: (weights[n] - 1 - parts[n], n))
    for number in order[: total - sum(weights)]:
        weights[number] += 1
    return tuple(weights)
