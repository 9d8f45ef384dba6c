# SPDX-License-Identifier: Apache-2.0
"""Links that flap are left out for a while, as routes are in RFC 2439. Pure; times are given.

Every time a link goes down it gets a penalty, which halves with time. Above `SUPPRESS` the link
counts as down whatever it says, until the penalty is below `REUSE` again. So a link that fails
once in a while is used as soon as it is back, and one that flaps changes paths a few times, then
not any more until it has been quiet: three failures within 40 s, or one each 29 s for long, by the
half-life that is usual here. Those of RFC 2439 are minutes, as the routes that it damps are the
whole Internet's; here a minute without a link is already long.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log2

PENALTY = 1000.0
HALF_LIFE = 30.0
"""Seconds."""
SUPPRESS, REUSE = 2000.0, 750.0
MAX_SUPPRESSED = 2
"""Half-lives after its last failure that a link is left out at most."""
CEILING = REUSE * 2**MAX_SUPPRESSED


@dataclass(frozen=True, slots=True)
class Damping:
    """One link's penalty, as it was at a time, in seconds, as is the half-life."""

    penalty: float = 0.0
    at: float = 0.0
    suppressed: bool = False
    half_life: float = HALF_LIFE

    def failed(self, now: float) -> Damping:
        """The link went down."""
        penalty = min(CEILING, self._decayed(now) + PENALTY)
        suppressed = self.suppressed_at(now) or penalty > SUPPRESS
        return Damping(penalty, now, suppressed, self.half_life)

    def suppressed_at(self, now: float) -> bool:
        """Whether the link is left out."""
        return self.suppressed and self._decayed(now) > REUSE

    def until(self) -> float | None:
        """When a link that is left out is taken back; None for one that is not."""
        if not self.suppressed:
            return None
        return self.at + self.half_life * max(0.0, log2(self.penalty / REUSE))

    def _decayed(self, now: float) -> float:
        return self.penalty * float(0.5 ** (max(0.0, now - self.at) / self.half_life))
