# SPDX-License-Identifier: Apache-2.0
"""Where all packets of a set can end up in a fleet: `simulate.fleet`, on sets.

Each copy of a packet is followed for itself. A packet goes round when it comes to a bridge by a
port for the second time with the same contents, its TTL set aside: nothing a bridge knows of it
differs then, so it would come again. A round in which the TTL falls ends some day, and is told
apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from vneter_sdn.model.flow import BridgeState
from vneter_sdn.model.rows import HostRows
from vneter_sdn.pipeline.tables import table
from vneter_sdn.simulate.fleet import MAX_HOPS, PortOf, join
from vneter_sdn.verify.expressions import INSIDE, Expression, Held, Less, Mix
from vneter_sdn.verify.packets import Packets
from vneter_sdn.verify.state import Choice, Committed, Dropped, Punted, Sent, State, Step
from vneter_sdn.verify.walk import Around, Walker

CUTS = frozenset(table(name).id for name in ("neighbour", "arrival"))
"""Behind these, much is the same for many: see `walk.Around`."""
ONWARD = frozenset(table(name).id for name in ("steer", "arrival"))
"""Behind these, much is the same for all who are on one bridge, wherever packets come from."""


@dataclass(frozen=True, slots=True)
class Reached:
    """Handed to whatever is behind a port."""

    at: PortOf
    held: Held


@dataclass(frozen=True, slots=True)
class Replied:
    """Sent back by the port it came from."""

    held: Held


@dataclass(frozen=True, slots=True)
class Lost:
    """Sent into a port that leads nowhere."""

    at: PortOf


@dataclass(frozen=True, slots=True)
class Looped:
    """Comes round again; ``fading`` when its TTL falls on the way."""

    hosts: tuple[str, ...]
    fading: bool


@dataclass(frozen=True, slots=True)
class Anywhere:
    """Sent out of a port that the packet itself names."""

    host: str


End = Reached | Replied | Lost | Looped | Anywhere | Dropped | Punted


class Trace(NamedTuple):
    """Some packets, and one end of theirs; packets that are copied are in several."""

    packets: Packets
    """As they came in."""
    end: End
    hops: tuple[str, ...]
    trail: tuple[Step, ...]
    choices: tuple[Choice, ...]
    up: tuple[tuple[tuple[str, int], bool], ...]
    commits: tuple[Committed, ...] = ()
    """Connections that bridges on the way remember from now on."""


@dataclass(frozen=True, slots=True)
class Wiring:
    """Where ports lead; those that are in neither lead to endpoints."""

    tunnels: Mapping[PortOf, PortOf | None]
    wires: Mapping[PortOf, PortOf]

    @classmethod
    def of(
        cls, rows: Mapping[str, HostRows], wires: Iterable[tuple[PortOf, PortOf]] = ()
    ) -> Wiring:
        """As OVSDB rows, and pairs of ports, say."""
        joined = join({}, rows, wires)
        return cls(joined.tunnels, joined.wires)

    def links(self, host: str) -> frozenset[int]:
        """Ports of a host that lead to other bridges."""
        both = (*self.tunnels, *self.wires)
        return frozenset(port.port for port in both if port.host == host)


@dataclass(slots=True)
class Fabric:
    """Bridges that are joined."""

    walkers: Mapping[str, Walker]
    wiring: Wiring

    @classmethod
    def of(cls, states: Mapping[str, BridgeState], wiring: Wiring, around: Around) -> Fabric:
        """From what bridges hold."""
        return cls({host: Walker(held, around, host) for host, held in states.items()}, wiring)

    def traces(
        self, host: str, packets: Packets, table_number: int = 0, held: Held | None = None
    ) -> Iterator[Trace]:
        """Where packets end that come in to a host's bridge, by the ports they name.

        O(hops, times flows they meet). Packets that cannot exist are left out.

        Args:
            host: where they come in.
            packets: which.
            table_number: the table they come in at, for packets that came from nowhere.
            held: what registers hold there.
        """
        if not packets.cubes or host not in self.walkers:
            return
        waiting: list[_Copy] = [_Copy(host, State(packets.cubes, held), (), ())]
        while waiting:
            copy = waiting.pop()
            at, table_number = table_number, 0
            for after in self.walkers[copy.host].table(copy.state, at, 0):
                for end in self._ends(copy, after):
                    if isinstance(end, _Copy):
                        waiting.append(end)
                    else:
                        trace = _trace(copy, after, end)
                        if trace is not None:
                            yield trace

    def _ends(self, copy: _Copy, after: State) -> Iterator[End | _Copy]:
        """What becomes of each copy that a bridge made; unless it dropped, sent or punted any."""
        if all(isinstance(event, Committed) for event in after.events):
            last = after.trail[-1].flow if after.trail else None
            yield Dropped(copy.host, last.table if last else 0, "nothing", last)
        for event in after.events:
            match event:
                case Sent():
                    yield from self._sent(copy, after, event)
                case Dropped() | Punted():
                    yield event
                case Committed():
                    pass

    def _sent(self, copy: _Copy, after: State, sent: Sent) -> Iterator[End | _Copy]:
        if not isinstance(sent.port, int):
            own = isinstance(sent.port, Mix) and sent.port.pieces[0].field == "in_port"
            yield Replied(sent.held) if own and not copy.hops else Anywhere(copy.host)
            return
        near = PortOf(copy.host, sent.port)
        far = self.wiring.wires.get(near) or self.wiring.tunnels.get(near)
        if far is not None and far.host in self.walkers:
            yield self._onward(copy, after, sent, near, far)
        elif near in self.wiring.tunnels or near in self.wiring.wires:
            yield Lost(near)
        elif not copy.hops and copy.state.known("in_port") == sent.port:
            yield Replied(sent.held)
        else:
            yield Reached(near, sent.held)

    def _onward(
        self, copy: _Copy, after: State, sent: Sent, near: PortOf, far: PortOf
    ) -> End | _Copy:
        held = {n: e for n, e in sent.held.items() if n not in INSIDE}
        held["in_port"] = far.port
        if near in self.wiring.wires:
            held["tun_id"] = 0
        hops = (*copy.hops, copy.host)
        seen = _Seen(far, held.get("ip_ttl"), {n: e for n, e in held.items() if n != "ip_ttl"})
        for n, earlier in enumerate(copy.seen):
            if earlier.port == far and earlier.held == seen.held:
                return Looped((*hops[n:], far.host), earlier.ttl != seen.ttl)
        if len(hops) >= MAX_HOPS:
            return Looped(hops, isinstance(seen.ttl, Less))
        state = State(after.cubes, held)
        state.trail, state.choices, state.up = after.trail, after.choices, after.up
        state.asked = after.asked
        return _Copy(far.host, state, hops, (*copy.seen, seen), _committed(copy, after))


class _Seen(NamedTuple):
    port: PortOf
    ttl: Expression | None
    held: Held


class _Copy(NamedTuple):
    """A packet that comes in to a bridge, and where it was before."""

    host: str
    state: State
    hops: tuple[str, ...]
    seen: tuple[_Seen, ...]
    commits: tuple[Committed, ...] = ()


def _committed(copy: _Copy, after: State) -> tuple[Committed, ...]:
    return (*copy.commits, *(e for e in after.events if isinstance(e, Committed)))


def _trace(copy: _Copy, after: State, end: End) -> Trace | None:
    existing = tuple(Packets(tuple(after.cubes)).existing())
    if not existing:
        return None
    hops = (*copy.hops, copy.host)
    commits = _committed(copy, after)
    return Trace(Packets(existing), end, hops, after.trail, after.choices, after.up, commits)
