# SPDX-License-Identifier: Apache-2.0
"""When the graph that repairs go by follows the graph as it is (see `compile.standing`).

Some seconds after the last change: a link that flaps costs nothing but its own packets' next edges.
Then one shard of targets at a time, so that what happens meanwhile does not wait for all of them.
But shards in which a repair leads nowhere now, while there is another way, follow as soon as
bridges have made the turn: a second failure may come any moment. No clock of its own: `Tick` events
tell the time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vneter_sdn.compile.network import Compiler
from vneter_sdn.compile.standing import SHARDS
from vneter_sdn.graph.topology import Observation
from vneter_sdn.model.flow import FlowKey

QUIET = 5.0
"""Seconds after a link went down or came up until repairs go by it."""
LONGEST = 30.0
"""Seconds until they do though other links never rest."""
AT_A_TICK = 1 << 20
"""Pairs of hosts, times `SHARDS`, whose repairs are looked through at a tick; a shard at least."""
_Keys = Mapping[str, frozenset[FlowKey]]


class Standing:
    """What still counts as it was: by shard, edges and whether they are up."""

    def __init__(self, compiler: Compiler) -> None:
        self._compiler = compiler
        self._up: dict[str, bool] = {}
        self._shards: dict[int, dict[str, bool]] = {shard: {} for shard in range(SHARDS)}
        self._news = False
        """Whether something changed since the last tick."""
        self._last = 0.0
        """When something changed last."""
        self._first: float | None = None
        """When something changed first since all was at rest."""
        self._unseen: list[int] = []
        """Shards to be looked through for repairs that lead nowhere."""
        self._urgent: list[int] = []
        """Shards where there are some."""

    @property
    def busy(self) -> bool:
        """Whether anything counts as it was: send `Tick` now and then."""
        return any(self._shards.values())

    def begin(self, observations: Mapping[str, Observation | None]) -> _Keys:
        """Tell a new compiler of all links; repairs go by that at once."""
        self._up = {name: seen.up for name, seen in observations.items() if seen is not None}
        return self._compiler.observe_links(observations)

    def see(self, observations: Mapping[str, Observation | None]) -> _Keys:
        """Tell the compiler what was seen of links; the flows that changed, by host."""
        turned = {name for name, seen in observations.items() if self._turns(name, seen)}
        if not turned:
            return self._compiler.observe_links(observations)
        if not self.busy:
            self._first = None
        for found in self._shards.values():
            for name in turned:
                if name in found:
                    del found[name]  # it is again as it was
                else:
                    found[name] = not self._up.get(name, True)
        self._news = True
        self._unseen = [shard for shard, found in self._shards.items() if found]
        return self._compiler.observe_links(observations, self._shards)

    def _turns(self, name: str, seen: Observation | None) -> bool:
        """Note whether an edge is up; whether that is new. One that nobody saw counts as up."""
        before, now = self._up.get(name, True), seen is None or seen.up
        self._up[name] = now
        return before != now

    def due(self, now: float, waiting: bool) -> bool:
        """Whether something may follow: seconds of any clock, and whether bridges still owe.

        To be called with each tick.
        """
        if not self.busy:
            return False
        if self._news or self._first is None:
            self._news, self._last = False, now
            self._first = now if self._first is None else self._first
        if waiting:
            return False
        self._urgent = self._endangered()
        rested = now - self._last >= QUIET or now - self._first >= LONGEST
        return rested or bool(self._urgent)

    def _endangered(self) -> list[int]:
        """Of the shards that nobody looked through yet, as many as are for one tick."""
        count = max(1, AT_A_TICK // max(1, len(self._compiler.hosts())) ** 2)
        looked, self._unseen = self._unseen[:count], self._unseen[count:]
        return [n for n in looked if self._shards[n] and self._compiler.endangered(n)]

    def follow(self) -> _Keys:
        """Have the repairs of some shards go by what is seen; the flows that changed.

        Of those that are in danger, else of the next, or several, as long as nothing changes: in a
        small fleet most have no target.
        """
        if self._urgent:
            urgent, self._urgent = self._urgent, []
            return self._follow(urgent)
        changed: _Keys = {}
        while self.busy and not changed:
            changed = self._follow([next(shard for shard, found in self._shards.items() if found)])
        return changed

    def _follow(self, shards: Sequence[int]) -> _Keys:
        for shard in shards:
            del self._shards[shard]
            self._shards[shard] = {}
        return self._compiler.observe_links({}, {shard: {} for shard in shards})
