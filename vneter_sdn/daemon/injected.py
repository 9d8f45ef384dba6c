# SPDX-License-Identifier: Apache-2.0
"""Where a marked packet was seen on real bridges, held against the model.

The packet went through the live data plane: flows, groups, trackers and tunnels as they are. A
bridge reports every table that it came to. From the model follows which ones it should have come
to; where that depends on what the bridge alone knows (which of its ports are down, which bucket a
select group takes) whatever leads to where it was seen next is taken for so, and told.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from operator import ne
from typing import Any

from vneter_sdn.daemon.picture import WAYS, End, Picture
from vneter_sdn.daemon.reachability import deciding
from vneter_sdn.daemon.tracing import Hop, Trace, onwards, pass_through
from vneter_sdn.model.flow import Group
from vneter_sdn.model.policy_kinds import Direction
from vneter_sdn.pipeline.registers import OUT_PORT, RULE, RegisterField
from vneter_sdn.pipeline.tables import BY_ID
from vneter_sdn.simulate.attempts import Attempt, decided
from vneter_sdn.simulate.bridge import NOTHING_SPECIAL, Surroundings
from vneter_sdn.simulate.fleet import MAX_HOPS, PortOf
from vneter_sdn.simulate.packet import Packet
from vneter_sdn.simulate.text import parse_packet, value_of

_LAST = "output"
_BUCKETS = 64
"""Buckets of a select group that are tried."""


@dataclass(frozen=True, slots=True)
class InjectedHop:
    """What one bridge reported, beside what the model says."""

    host: str
    looked: bool
    why: str = ""
    """Why it did not report."""
    edge: str = ""
    """By which it came, where that is known."""
    tables: tuple[str, ...] = ()
    """Tables that it came to, in order."""
    assumed: tuple[str, ...] = ()
    """What the model took from where it was seen."""
    differences: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class InjectedTrace:
    """The live data plane's side."""

    hops: tuple[InjectedHop, ...]
    allowed: bool | None
    """Whether it got there; None when it went where nobody looked."""
    rule: str
    """Who decided, in the words of `reachability.matrix`; empty where nobody did."""
    ended: str
    """Where it was seen last: ``h1 ingress_verdict``."""
    packet: str
    delivered: PortOf | None = None
    """Port that it came out at; it is not handed to who is behind it."""
    differences: tuple[str, ...] = ()

    @property
    def agrees(self) -> bool:
        """Whether nothing is different, as far as anybody looked."""
        return not self.differences

    def document(self) -> dict[str, Any]:
        """As plain JSON values."""
        there = self.delivered._asdict() if self.delivered else None
        return {"agrees": self.agrees, **asdict(self), "delivered": there}


@dataclass(slots=True)
class _Pass:
    """One bridge, entered by one port: what it reported."""

    at: PortOf
    sightings: list[Mapping[str, Any]] = field(default_factory=list)

    @property
    def tables(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(one["table"] for one in self._ordered))

    @property
    def _ordered(self) -> list[Mapping[str, Any]]:
        return sorted(self.sightings, key=lambda one: one["place"])

    @property
    def arrived_for(self) -> str:
        """Ethernet address that it came with."""
        found: str = self._ordered[0]["fields"].get("eth_dst", "")
        return found

    @property
    def times(self) -> int:
        """How often it came."""
        return max(Counter(one["table"] for one in self.sightings).values(), default=0)

    def held(self, table: str, register: RegisterField) -> int | None:
        """What a register held when it came to a table; None where it did not come."""
        for one in self.sightings:
            if one["table"] == table:
                value = int(one["fields"].get(register.field, "0"), 0)
                return (value & register.mask) >> register.first
        return None


def follow(
    picture: Picture, model: Trace, ends: Sequence[End], told: Mapping[str, Any]
) -> InjectedTrace:
    """Make sense of what was seen.

    Args:
        picture: the network.
        model: the trace of the same packet but for its mark.
        ends: source and target.
        told: `northbound.schemas.Injected`, as JSON values.
    """
    return _Follower(picture, model, told).trace(ends)


class _Follower:
    def __init__(self, picture: Picture, model: Trace, told: Mapping[str, Any]) -> None:
        self._picture, self._model, self._told = picture, model, told
        self._left: dict[PortOf, _Pass] = {}
        for one in told["seen"]:
            at = PortOf(one["host"], one["port"])
            self._left.setdefault(at, _Pass(at)).sightings.append(one)
        self._passes = tuple(self._left.values())
        self._hops: list[InjectedHop] = []
        self._whole = True
        self._ended = ""

    def trace(self, ends: Sequence[End]) -> InjectedTrace:
        model, told = self._model, self._told
        start = PortOf(told["host"], told["port"])
        packet = parse_packet(told["packet"]).at(start.port)
        self._walk(start, packet)
        out = list(self._delivered())
        arrived = model.destination in out
        allowed = arrived if arrived or self._whole else None
        differences = [f"{hop.host}: {one}" for hop in self._hops for one in hop.differences]
        differences += [
            f"it came out on {port.host} by port {port.port}, where it is not for"
            for port in out
            if port != model.destination
        ]
        found = self._decided()
        differences += self._rules(found, ends)
        if allowed is not None and allowed != model.allowed:
            words = {True: "gets there", False: "does not get there"}
            differences.append(
                f"by the model it {words[model.allowed]}, injected it {words[allowed]}"
            )
        said = self._said(ends, Attempt(arrived, found))
        return InjectedTrace(
            tuple(self._hops),
            allowed,
            said,
            f"{out[0].host} port {out[0].port}" if out else self._ended,
            told["packet"],
            out[0] if out else None,
            tuple(dict.fromkeys(differences)),
        )

    def _said(self, ends: Sequence[End], attempt: Attempt) -> str:
        """Who decided."""
        source, target = ends
        return deciding(self._picture, source, target, attempt) if self._passes else ""

    def _walk(self, start: PortOf, packet: Packet) -> None:
        waiting: deque[tuple[PortOf, Packet | None, str]] = deque([(start, packet, "")])
        while (waiting or self._left) and len(self._hops) < MAX_HOPS:
            if not waiting:  # seen where it could not have come from
                waiting.append((next(iter(self._left)), None, ""))
            at, arrived, edge = waiting.popleft()
            seen = self._left.pop(at, None)
            if seen is None:
                waiting += self._unseen(at, arrived, edge)
            else:
                waiting += self._seen(seen, arrived, edge)

    def _unseen(
        self, at: PortOf, packet: Packet | None, edge: str
    ) -> Iterator[tuple[PortOf, Packet | None, str]]:
        """By the model it comes here, and it was not seen."""
        why = self._told["unlooked"].get(at.host)
        if why is None and at.host in self._told["looked"]:
            by = f" by {edge}" if edge else f" by port {at.port}"
            missing = f"it does not come to {at.host}{by}"
            self._hops.append(InjectedHop(at.host, True, "", edge, differences=(missing,)))
            return
        self._whole = False
        why = why or "more bridges than are looked at"
        self._hops.append(InjectedHop(at.host, False, why, edge))
        if packet is not None:
            hop = pass_through(self._picture, at.host, packet)
            yield from ((there, one, via) for there, (one, via) in self._next(hop).items())

    def _seen(
        self, seen: _Pass, packet: Packet | None, edge: str
    ) -> Iterator[tuple[PortOf, Packet | None, str]]:
        host = seen.at.host
        found = {far: self._edge(near) for near, far in self._ways_out(host)}
        self._ended = f"{host} {seen.tables[-1]}"
        if packet is None:
            stray = ("by the model it does not come here",)
            self._hops.append(InjectedHop(host, True, "", edge, seen.tables, (), stray))
            yield from ((far, None, via) for far, via in found.items())
            return
        hop, assumed = self._matching(seen, packet, frozenset(found))
        wanted = self._next(hop)
        differences = tuple(self._differences(seen, hop))
        self._hops.append(InjectedHop(host, True, "", edge, seen.tables, assumed, differences))
        for far, (sent, via) in wanted.items():
            if far in found or not differences:  # after the first difference one is enough
                yield far, sent, via
        yield from ((far, None, via) for far, via in found.items() if far not in wanted)

    def _ways_out(self, host: str) -> Iterator[tuple[PortOf, PortOf]]:
        """Ports of a host, and those behind them where it was seen and that are not yet told."""
        for far in self._left:
            near = self._picture.fleet.other_end(far)
            if near is not None and near.host == host:
                yield near, far

    def _edge(self, near: PortOf) -> str:
        edge = self._picture.edge(near)
        return edge.name if edge else ""

    def _next(self, hop: Hop) -> dict[PortOf, tuple[Packet, str]]:
        """Where a model's hop leads, by the port that it comes in at."""
        there = {PortOf(host, one["in_port"]): one for host, one in onwards(self._picture, hop)}
        ways = {self._picture.fleet.other_end(PortOf(hop.host, way.port)): way for way in hop.sent}
        return {far: (packet, ways[far].edge) for far, packet in there.items()}

    def _matching(
        self, seen: _Pass, packet: Packet, found: frozenset[PortOf]
    ) -> tuple[Hop, tuple[str, ...]]:
        """The model's hop that leads to where it was seen, if any does."""
        usual = pass_through(self._picture, seen.at.host, packet)
        if not found or self._leads_to(usual, found):
            return usual, ()
        for why, around in _circumstances(usual):
            hop = pass_through(self._picture, seen.at.host, packet, around)
            if self._leads_to(hop, found):
                return hop, (why,)
        return usual, ()

    def _leads_to(self, hop: Hop, found: frozenset[PortOf]) -> bool:
        """Whether it leads to where it was seen, with the locator that it came with."""
        wanted = self._next(hop)
        return wanted.keys() == found and all(
            value_of("eth_dst", packet.get("eth_dst", 0)) == self._left[far].arrived_for
            for far, (packet, _) in wanted.items()
        )

    def _differences(self, seen: _Pass, hop: Hop) -> Iterator[str]:
        model = tuple(dict.fromkeys(BY_ID[number].name for number, _ in hop.result.trail))
        real = seen.tables
        if seen.times > 1:
            yield f"it comes {seen.times} times by the same port: it goes in circles"
        if model == real:
            return
        same = next(
            (n for n, pair in enumerate(zip(model, real, strict=False)) if pair[0] != pair[1]),
            min(len(model), len(real)),
        )
        last = f"after {real[same - 1]} " if same else ""
        if same == len(real):
            yield f"{last}the model goes on to {model[same]}; the bridge does not"
        elif same == len(model):
            yield f"{last}the model stops; the bridge goes on to {real[same]}"
        else:
            yield f"{last}the model goes on to {model[same]}, the bridge to {real[same]}"

    def _delivered(self) -> Iterator[PortOf]:
        for one in self._passes:
            port = one.held(_LAST, OUT_PORT)
            if port is not None and port != one.at.port:
                yield PortOf(one.at.host, port)

    def _decided(self) -> dict[Direction, int | None]:
        """The number of the rule that decided, as bridges had it in a register."""
        found: dict[Direction, int | None] = {"egress": None, "ingress": None}
        for way in WAYS:
            for one in self._passes:
                number = one.held(f"{way}_verdict", RULE)
                if number is not None:
                    found[way] = number
        return found

    def _rules(self, real: Mapping[Direction, int | None], ends: Sequence[End]) -> Iterator[str]:
        trail = [(hop.host, n, flow) for hop in self._model.hops for n, flow in hop.result.trail]
        model = decided(trail)
        for way, end in zip(WAYS, ends, strict=True):
            here = self._picture.station(end)
            if here is None or model[way] is None or real[way] is None or model[way] == real[way]:
                continue
            names = [
                self._picture.decided(way, Attempt(True, {way: one}), here)
                for one in (model[way], real[way])
            ]
            words = [one.title or one.because for one in names]
            yield f"{way} is decided by {words[0]} in the model, by {words[1]} on the bridge"


def _circumstances(usual: Hop) -> Iterator[tuple[str, Surroundings]]:
    """What the bridge may know that the model does not."""
    ports = [sent.port for sent in usual.result.outputs]
    for port in ports:
        yield f"port {port} is down", Surroundings(live=partial(ne, port))
    for bucket in range(_BUCKETS):

        def choose(
            _group: Group, candidates: Sequence[int], _packet: Packet, wanted: int = bucket
        ) -> int:
            return (
                wanted
                if wanted in candidates
                else NOTHING_SPECIAL.choose(_group, candidates, _packet)
            )

        yield f"a select group takes bucket {bucket}", Surroundings(choose=choose)
