# SPDX-License-Identifier: Apache-2.0
"""Weights of select groups that Open vSwitch keeps to.

Seen on Open vSwitch 3.1's userspace datapath, 3,000 UDP flows between two addresses:

* Without a selection method *all* of them take one bucket: the symmetric hash it falls to leaves
  out UDP ports. ``hash`` without fields looks at the destination MAC alone. So groups name
  ``dp_hash``, whose default hash is that of the 5-tuple.
* ``dp_hash`` deals hash values out to buckets: as many as the next power of two of the sum of
  weights over the least weight, 16 to 256. Weights 10, 20, 30, 40 get 16, and shares of 12.5,
  18.75, 31.25 and 37.5 %. A sum of 256 with a weight of 1 among them gets 256, and every share
  exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from vneter_sdn.errors import PipelineError

METHOD = "dp_hash"
"""For `vneter_sdn.model.flow.Group.method`."""
VALUES = 256
"""Hash values that there are to deal out, at most."""


class Share(NamedTuple):
    """Hash values for one of the things weighed; it may have several."""

    position: int
    """Of the weight it is for."""
    weight: int


def shares(weights: Sequence[int]) -> tuple[Share, ...]:
    """Deal `VALUES` hash values out by weight, nearest to what is asked and at least one each.

    One share more than there are weights comes back where needed, so that one weighs 1. Largest
    remainders first, earlier ones first among equals: equal weights give equal shares, give or
    take one.

    Raises:
        PipelineError: more weights than values, none at all, or one below 1.
    """
    if not 0 < len(weights) <= VALUES or min(weights) < 1:
        raise PipelineError(f"no shares for weights {list(weights)}")
    total = sum(weights)
    dealt = [max(1, weight * VALUES // total) for weight in weights]
    owed = [weight * VALUES / total - held for weight, held in zip(weights, dealt, strict=True)]
    while (missing := VALUES - sum(dealt)) != 0:
        step = 1 if missing > 0 else -1
        able = [n for n, held in enumerate(dealt) if step > 0 or held > 1]
        chosen = max(able, key=lambda n: (step * owed[n], -n))
        dealt[chosen] += step
        owed[chosen] -= step
    found = [Share(position, weight) for position, weight in enumerate(dealt)]
    if 1 not in dealt:
        position, weight = found[-1]
        found[-1:] = [Share(position, weight - 1), Share(position, 1)]
    return tuple(found)
