# SPDX-License-Identifier: Apache-2.0
"""What the OpenFlow side counts, and how often it may complain.

The southbound knows no metrics library: it counts into a `Tally`, which telemetry exposes.
"""

from __future__ import annotations

import logging
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any

_LOG = logging.getLogger(__name__)
RTT_BOUNDS = (0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0)
"""Upper bounds of the echo histogram, seconds."""


class Tally:
    """Monotonic counts by (name, label), the latest value of gauges, and one histogram.

    Names in use: ``malformed`` (by kind), ``bundles`` (by outcome), ``flows`` (by verb), ``punts``,
    ``dropped`` (by queue), ``exceptions`` (by place), ``refused`` (by reason), ``closed`` (by
    reason), ``fd_exhausted``, ``drift``, ``rejections``; gauges: ``connections`` (by state).
    """

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        self.gauges: Counter[tuple[str, str]] = Counter()
        self.rtt_buckets = [0] * (len(RTT_BOUNDS) + 1)
        self.rtt_sum = 0.0

    def count(self, name: str, label: str = "", amount: int = 1) -> None:
        """Add to a count."""
        self.counts[name, label] += amount

    def shift(self, name: str, label: str, amount: int) -> None:
        """Move a gauge up or down."""
        self.gauges[name, label] += amount

    def rtt(self, seconds: float) -> None:
        """Note one echo round trip."""
        place = sum(seconds > bound for bound in RTT_BOUNDS)
        self.rtt_buckets[place] += 1
        self.rtt_sum += seconds

    def of(self, name: str, label: str | None = None) -> int:
        """A count; over all labels when none is given."""
        if label is not None:
            return self.counts[name, label]
        return sum(value for (known, _), value in self.counts.items() if known == name)


def guarded(tally: Tally, place: str, call: Callable[..., object], *arguments: Any) -> None:
    """Call what may be anybody's code; an exception is logged and counted, and ends here."""
    try:
        call(*arguments)
    except Exception:  # noqa: BLE001 - one handler's bug must not end the session of another
        tally.count("exceptions", place)
        _LOG.exception("%s failed", place)


class Complaints:
    """Logs each (peer, class) once in a while, however often it happens.

    A hostile peer chooses how often things go wrong and not how much is written about it. At most
    ``kept`` pairs are remembered, so it cannot choose the memory either.
    """

    def __init__(
        self,
        logger: logging.Logger,
        every: float = 60.0,
        kept: int = 1024,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._logger, self._every, self._kept, self._clock = logger, every, kept, clock
        self._last: OrderedDict[tuple[str, str], tuple[float, int]] = OrderedDict()

    def say(self, peer: str, kind: str, message: str, level: int = logging.WARNING) -> bool:
        """Log ``message`` unless the pair was logged within ``every`` seconds.

        Returns:
            Whether it was logged.
        """
        now = self._clock()
        at, silent = self._last.get((peer, kind), (-self._every, 0))
        if now - at < self._every:
            self._last[peer, kind] = (at, silent + 1)
            return False
        self._last[peer, kind] = (now, 0)
        self._last.move_to_end((peer, kind))
        while len(self._last) > self._kept:
            self._last.popitem(last=False)
        suffix = f" ({silent} more since)" if silent else ""
        # Text from outside is cut and escaped: it may hold line ends, and may be long.
        # (No codec here: looking one up opens files, which fails when descriptors have run out.)
        text = ascii(message[:300])[1:-1]
        self._logger.log(
            level, "%s: %s: %s%s", peer, kind, text, suffix, extra={"peer": peer, "kind": kind}
        )
        return True
