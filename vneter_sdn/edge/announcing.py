# SPDX-License-Identifier: Apache-2.0
"""When gateways advertise themselves though nobody asked (RFC 4861 §6.2.4, §6.2.5).

Endpoints ask when they come up, and what they are told holds for hours; so advertisements in
between are rare, and spread: each group of ports (one network on one bridge) has a time of its own,
and no more than `MOST` leave at once. A gateway that is no router any more says so three times. One
whose controller ends says nothing: it routes on.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from vneter_sdn.edge import advertising
from vneter_sdn.edge.advertising import Face
from vneter_sdn.model.router_kinds import RaSpec
from vneter_sdn.model.snapshot import Key

MOST = 100
"""Advertisements that leave at one look, a second after the one before."""
FIRST, SOON = 16.0, 3.0
"""Seconds until a new group's first one, and one that says something new, at most (§10)."""
LAST, PAUSE = 3, 3.0
"""How often a gateway says that it is none any more, and seconds between."""
SHARE = 0.75
"""Of the interval that passes at least between two."""
Ports = tuple[int, ...]


class Group(NamedTuple):
    """Ports of one network on one bridge."""

    network: Key
    host: str


class Sending(NamedTuple):
    """An advertisement, and where it goes."""

    host: str
    ports: Ports
    frame: bytes


class Announcing:
    """The times. Pure but for what it is given to draw lots with.

    Args:
        uniform: a number between two, each as likely.
    """

    def __init__(self, uniform: Callable[[float, float], float]) -> None:
        self._uniform = uniform
        self._faces: dict[Key, Face] = {}
        self._groups: dict[Group, Ports] = {}
        self._due: dict[Group, float] = {}
        self._queue: list[tuple[float, Group]] = []
        self._farewells: list[tuple[float, Sending]] = []

    def stored(self, faces: Iterable[Face], groups: Mapping[Group, Ports], now: float) -> None:
        """Gateways there are, and who is behind them. O(gateways + groups)."""
        known = {face.network: face for face in faces if advertising.advertises(face)}
        for network in [network for network in self._faces if network not in known]:
            self._farewell(self._faces[network], now)
        news = {network for network, face in known.items() if self._faces.get(network) != face}
        again = news & self._faces.keys()
        self._faces = known
        self._groups = {group: ports for group, ports in groups.items() if group.network in known}
        for group in self._groups.keys() - self._due.keys():
            self._plan(group, now + self._uniform(0, FIRST))
        for group in [group for group in self._groups if group.network in again]:
            self._plan(group, now + self._uniform(0, SOON))
        self._due = {group: at for group, at in self._due.items() if group in self._groups}

    def _farewell(self, face: Face, now: float) -> None:
        ra = face.spec.ra
        for group, ports in self._groups.items():
            if group.network == face.network and ra is not None:
                sent = Sending(group.host, ports, advertising.last(face, ra))
                self._farewells += [(now + PAUSE * n, sent) for n in range(LAST)]
        self._farewells.sort(key=lambda one: one[0])

    def _plan(self, group: Group, at: float) -> None:
        self._due[group] = at
        heapq.heappush(self._queue, (at, group))

    def due(self, now: float) -> Iterator[Sending]:
        """What is to be sent now; the rest of it at the next look."""
        while self._farewells and self._farewells[0][0] <= now:
            yield self._farewells.pop(0)[1]
        for _ in range(MOST):
            group = self._next(now)
            if group is None:
                return
            face = self._faces[group.network]
            ra, frame = face.spec.ra, advertising.unsolicited(face)
            assert ra is not None  # whoever has none is no face of ours
            assert frame is not None
            self._plan(group, now + self._wait(ra))
            yield Sending(group.host, self._groups[group], frame)

    def _next(self, now: float) -> Group | None:
        while self._queue and self._queue[0][0] <= now:
            at, group = heapq.heappop(self._queue)
            if self._due.get(group) == at:
                return group
        return None

    def _wait(self, ra: RaSpec) -> float:
        return self._uniform(SHARE * ra.interval_seconds, float(ra.interval_seconds))
