# SPDX-License-Identifier: Apache-2.0
"""One packet, followed through the model: tables, bridges and edges, and who decided."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

from vneter_sdn.daemon.picture import WAYS, Decided, End, Picture
from vneter_sdn.daemon.reachability import Port, deciding, tried
from vneter_sdn.errors import DecodeError
from vneter_sdn.graph.topology import Edge
from vneter_sdn.model.flow import Flow
from vneter_sdn.model.policy_kinds import Direction
from vneter_sdn.pipeline import punts
from vneter_sdn.pipeline.complaints import Complaint
from vneter_sdn.pipeline.tables import BY_ID
from vneter_sdn.pipeline.text import actions_text, match_words
from vneter_sdn.simulate.attempts import Attempt, first_packet
from vneter_sdn.simulate.bridge import NOTHING_SPECIAL, Result, Surroundings, run
from vneter_sdn.simulate.fleet import MAX_HOPS, PortOf
from vneter_sdn.simulate.packet import Packet
from vneter_sdn.simulate.text import packet_text, value_of

STAGES = {"tiers": "tiered", "isolation": "isolation", "baseline": "baseline"}
"""Stages of a decision by the ends of their tables' names."""
Steps = Sequence[tuple[str, int, Flow]]


@dataclass(frozen=True, slots=True)
class Step:
    """One table on the way."""

    table: str
    id: int
    priority: int
    cookie: str
    match: str
    actions: str
    of: str = ""
    """The object that the flow is there for, as it was written."""


@dataclass(frozen=True, slots=True)
class Way:
    """Where a bridge sent the packet."""

    port: int
    host: str = ""
    """The next one; empty where the port leads to an endpoint, or nowhere."""
    edge: str = ""
    medium: str = ""
    cost: float | None = None
    latency_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Hop:
    """What one bridge did."""

    host: str
    bridge: str
    packet: Packet
    result: Result
    tables: tuple[Step, ...]
    rewrites: tuple[tuple[str, str, str], ...]
    """Field, before, after: of what it sent on."""
    sent: tuple[Way, ...]
    drops: tuple[tuple[str, str], ...]
    """Table and reason."""


@dataclass(frozen=True, slots=True)
class Trace:
    """All that became of it."""

    source: str
    target: str
    port: str
    allowed: bool
    rule: str
    directions: dict[Direction, tuple[Decided, tuple[str, ...]]]
    """What each said, and the stages it came through."""
    packet: str = ""
    hops: tuple[Hop, ...] = ()
    destination: PortOf | None = None
    """Where the endpoint is that it is for."""
    note: str = ""
    cost: float = field(default=0.0)
    """Of all edges."""

    @property
    def delivered(self) -> PortOf | None:
        """Where it came out; None when it did not, or is for somebody outside."""
        return self.destination if self.allowed else None

    def document(self) -> dict[str, Any]:
        """As plain JSON values."""
        said: dict[str, Any] = {
            way: {**asdict(decided), "stages": list(stages)}
            for way, (decided, stages) in self.directions.items()
        }
        return {
            "from": self.source,
            "to": self.target,
            "port": self.port,
            "allowed": self.allowed,
            "rule": self.rule,
            **said,
            "packet": self.packet,
            "hops": [_hop_values(hop) for hop in self.hops],
            "cost": self.cost,
            "delivered": self.delivered._asdict() if self.delivered else None,
            "note": self.note,
        }


def _hop_values(hop: Hop) -> dict[str, Any]:
    ways = [asdict(way) for way in hop.sent]
    for way in ways:
        way["latencyMs"] = way.pop("latency_ms")
    return {
        "host": hop.host,
        "bridge": hop.bridge,
        "packet": packet_text(hop.packet),
        "tables": [asdict(step) for step in hop.tables],
        "rewrites": [
            dict(zip(("field", "before", "after"), one, strict=True)) for one in hop.rewrites
        ],
        "sent": ways,
        "drops": [{"table": name, "reason": reason} for name, reason in hop.drops],
    }


def trace(picture: Picture, source: End, target: End, port: Port) -> Trace:
    """Follow the first packet of a connection.

    Between an endpoint and an address outside only the policies about the endpoint are asked: no
    bridge leads to anybody outside.
    """
    if source == target:
        return Trace(source.name, target.name, port.name, True, "self", {}, note="it never leaves")
    attempt = tried(picture, source, target, port.wanted)
    if isinstance(attempt, str):
        return Trace(source.name, target.name, port.name, False, attempt, {})
    rule = deciding(picture, source, target, attempt)
    said = _directions(picture, source, target, attempt)
    near, far = picture.station(source), picture.station(target)
    packet = first_packet(picture.meaning, near, far, port.wanted) if near and far else None
    if near is None or far is None or packet is None:
        hop = _alone(picture, attempt)
        note = "an address outside: the policies alone were asked"
        allowed = attempt.allowed
        return Trace(source.name, target.name, port.name, allowed, rule, said, "", hop, None, note)
    hops = tuple(walk(picture, near.host, packet))
    return Trace(
        source.name,
        target.name,
        port.name,
        attempt.allowed,
        rule,
        said,
        packet_text(packet),
        hops,
        PortOf(far.host, far.port),
        cost=sum(way.cost or 0.0 for hop in hops for way in hop.sent),
    )


def _directions(
    picture: Picture, source: End, target: End, attempt: Attempt
) -> dict[Direction, tuple[Decided, tuple[str, ...]]]:
    ends: dict[Direction, End] = {"egress": source, "ingress": target}
    return {
        way: (picture.decided(way, attempt, here), tuple(_stages(way, attempt.trail)))
        for way in WAYS
        if (here := picture.station(ends[way]))
    }


def _stages(way: Direction, trail: Steps) -> Iterator[str]:
    for _, number, _ in trail:
        name, _, stage = BY_ID[number].name.partition("_")
        if name == way and stage in STAGES:
            yield STAGES[stage]


def _alone(picture: Picture, attempt: Attempt) -> tuple[Hop, ...]:
    """The part of one bridge that was asked about an address outside."""
    if not attempt.trail:
        return ()
    host = attempt.trail[0][0]
    tables = tuple(step(picture, host, number, flow) for _, number, flow in attempt.trail)
    nothing = Result((), (), (), (), (), Packet(), NOTHING_SPECIAL.connections)
    return (Hop(host, _bridge(picture, host), Packet(), nothing, tables, (), (), ()),)


def walk(
    picture: Picture, host: str, packet: Packet, around: Surroundings = NOTHING_SPECIAL
) -> Iterator[Hop]:
    """Every bridge that sees a packet, in order; at most `MAX_HOPS`.

    A bridge that it passes twice remembers nothing of the first time.
    """
    waiting: deque[tuple[str, Packet]] = deque([(host, packet)])
    for _ in range(MAX_HOPS):
        if not waiting:
            return
        at, arrived = waiting.popleft()
        hop = pass_through(picture, at, arrived, around)
        yield hop
        waiting += onwards(picture, hop)


def onwards(picture: Picture, hop: Hop) -> Iterator[tuple[str, Packet]]:
    """Which bridges get it next, and what they get."""
    for sent in hop.result.outputs:
        near = PortOf(hop.host, sent.port)
        far = picture.fleet.other_end(near)
        if far is not None and far.host in picture.fleet.bridges:
            wire = near in picture.fleet.wires
            yield far.host, (sent.packet.frame if wire else sent.packet.wire).at(far.port)


def pass_through(
    picture: Picture, host: str, packet: Packet, around: Surroundings = NOTHING_SPECIAL
) -> Hop:
    """What one bridge does to a packet."""
    result = run(picture.fleet.bridges[host], packet, around)
    sent = [_way(picture, PortOf(host, one.port)) for one in result.outputs]
    rewrites = [one for left in result.outputs for one in _rewrites(packet.wire, left.packet.wire)]
    return Hop(
        host,
        _bridge(picture, host),
        packet,
        result,
        tuple(step(picture, host, number, flow) for number, flow in result.trail),
        tuple(dict.fromkeys(rewrites)),
        tuple(sent),
        tuple(_drops(result) if not sent else ()),
    )


def _drops(result: Result) -> Iterator[tuple[str, str]]:
    """Where it ended, and why: also where its sender is told."""
    yield from ((BY_ID[one.table].name, one.reason) for one in result.drops)
    for punted in result.punts:
        with suppress(DecodeError):
            said = punts.decode(punted.action.userdata)
            if isinstance(said, Complaint):
                yield "complain", said.fault.name.lower()


def step(picture: Picture, host: str, number: int, flow: Flow) -> Step:
    """A flow that was met, in names."""
    unit = picture.compiler.unit(host, flow.key)
    return Step(
        BY_ID[number].name,
        number,
        flow.priority,
        f"{flow.cookie:#x}",
        ",".join(match_words(flow.match)),
        actions_text(flow.actions, flow.goto, named=True),
        picture.title(unit.subject) if unit else "",
    )


def _bridge(picture: Picture, host: str) -> str:
    return picture.compiler.rows(host).bridge


def _way(picture: Picture, near: PortOf) -> Way:
    far = picture.fleet.other_end(near)
    edge: Edge | None = picture.edge(near)
    if edge is None:
        return Way(near.port, far.host if far else "")
    return Way(near.port, edge.target, edge.name, edge.medium, edge.cost, edge.latency)


def _rewrites(before: Packet, after: Packet) -> Iterator[tuple[str, str, str]]:
    for name in sorted({*before, *after}):
        old, new = before.get(name, 0), after.get(name, 0)
        if old != new:
            yield name, value_of(name, old), value_of(name, new)
