# SPDX-License-Identifier: Apache-2.0
"""What one bridge does to one packet: OpenFlow 1.5.1 §5 and the details of Open vSwitch 3.1.

Where the two differ, Open vSwitch is followed, since ``ofproto/trace`` is what this is held to:
a register is set only where its prerequisites hold, and a TTL that would reach zero stops the
table it is in (the caller of a resubmit goes on).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from vneter_sdn.model.fields import ETH_IP, ETH_IPV6, FIELDS, LENGTH
from vneter_sdn.model.flow import (
    ANY,
    IN_PORT,
    Action,
    BridgeState,
    Bucket,
    CheckLength,
    Conntrack,
    Copy,
    DecTtl,
    Flow,
    Group,
    GroupAction,
    MeterAction,
    Output,
    OutputField,
    Punt,
    Resubmit,
    SetField,
)
from vneter_sdn.simulate.connections import NO_CONNECTIONS, Connections, Written
from vneter_sdn.simulate.lookup import Datapath
from vneter_sdn.simulate.packet import Packet

MAX_STEPS = 4096
MAX_DEPTH = 64
"""Open vSwitch's own limits on lookups and on nested resubmits and groups (ofproto-dpif-xlate)."""
MAX_RECIRCULATIONS = 6
"""How often the userspace datapath lets one packet come back from the connection tracker."""
_UNTRACKED = {"ct_state": 0, "ct_zone": 0, "ct_mark": 0, "ct_label": 0}
_NEEDS_IP = frozenset({"ip_ttl", "ip_proto", "ip_dscp"})
_RESERVED_16, _LAST_16 = 0xFF00, 0xFFFF
"""OpenFlow 1.0's reserved ports, which 16-bit registers still use for IN_PORT and the like."""


class Sent(NamedTuple):
    """A packet that left by a port; it still has its registers (see ``Packet.wire``)."""

    port: int
    packet: Packet


class Punted(NamedTuple):
    """A copy for the controller."""

    packet: Packet
    action: Punt


class Dropped(NamedTuple):
    """Why something did not go on: one copy, or the whole packet."""

    table: int
    reason: str
    """``miss``, ``no_action``, ``ttl``, ``in_port``, ``no_port``, ``group``, ``meter`` or
    ``limit``."""


class Ambiguous(NamedTuple):
    """Several flows of one priority match: the bridge may take any (OpenFlow 1.5.1 §5.3)."""

    table: int
    flows: tuple[Flow, ...]


class Result(NamedTuple):
    """What became of a packet."""

    outputs: tuple[Sent, ...]
    punts: tuple[Punted, ...]
    drops: tuple[Dropped, ...]
    trail: tuple[tuple[int, Flow], ...]
    """The flows it met, in order, with their tables."""
    ambiguities: tuple[Ambiguous, ...]
    last: Packet
    """The packet as the last action left it, which ``ofproto/trace`` calls the final flow."""
    connections: Connections
    """What the bridge remembers afterwards."""


def _all_live(_port: int) -> bool:
    return True


def _first(_group: Group, candidates: Sequence[int], _packet: Packet) -> int:
    return candidates[0]


def _within(_meter: int) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a bridge knows besides its flows."""

    live: Callable[[int], bool] = _all_live
    """Whether a port is up (watch_port)."""
    choose: Callable[[Group, Sequence[int], Packet], int] = _first
    """Which of the live buckets a select group takes; the first by default."""
    within: Callable[[int], bool] = _within
    """Whether a meter lets this packet through."""
    connections: Connections = NO_CONNECTIONS
    """What the bridge remembers of earlier packets."""


NOTHING_SPECIAL = Surroundings()


def by_weight(
    number: Callable[[Packet], int],
) -> Callable[[Group, Sequence[int], Packet], int]:
    """A chooser for select groups: ``number`` modulo the sum of weights of the live buckets."""

    def choose(group: Group, candidates: Sequence[int], packet: Packet) -> int:
        left = number(packet) % sum(group.buckets[n].weight for n in candidates)
        for candidate in candidates:
            left -= group.buckets[candidate].weight
            if left < 0:
                return candidate
        return candidates[-1]

    return choose


def run(
    bridge: BridgeState | Datapath,
    packet: Packet,
    surroundings: Surroundings = NOTHING_SPECIAL,
    table: int = 0,
) -> Result:
    """Pass one packet through a bridge, from table 0 unless another is given.

    Give a `Datapath` when there are many packets: indexing a state is linear in its flows.
    """
    datapath = bridge if isinstance(bridge, Datapath) else Datapath.of(bridge)
    walk = _Walk(datapath, surroundings, dict(packet), surroundings.connections)
    walk.table(table, 0)
    return Result(
        tuple(walk.outputs),
        tuple(walk.punts),
        tuple(walk.drops),
        tuple(walk.trail),
        tuple(walk.ambiguities),
        walk.packet,
        walk.connections,
    )


@dataclass(slots=True)
class _Walk:
    """One packet on its way; `fields` are what they are at this point of it."""

    datapath: Datapath
    surroundings: Surroundings
    fields: dict[str, int]
    connections: Connections
    at: int = 0
    recirculations: int = 0
    outputs: list[Sent] = field(default_factory=list)
    punts: list[Punted] = field(default_factory=list)
    drops: list[Dropped] = field(default_factory=list)
    trail: list[tuple[int, Flow]] = field(default_factory=list)
    ambiguities: list[Ambiguous] = field(default_factory=list)

    @property
    def packet(self) -> Packet:
        return Packet(**self.fields)

    def drop(self, reason: str) -> None:
        self.drops.append(Dropped(self.at, reason))

    def table(self, number: int, depth: int) -> None:
        """Look up and act, following goto; returns to the caller of a resubmit."""
        following: int | None = number
        while following is not None:
            self.at = following
            if depth > MAX_DEPTH or len(self.trail) >= MAX_STEPS:
                self.drop("limit")
                return
            found = self.datapath.matching(following, self.fields)
            if not found:
                self.drop("miss")
                return
            if len(found) > 1:
                self.ambiguities.append(Ambiguous(following, tuple(found)))
            flow = found[0]
            self.trail.append((following, flow))
            if not flow.actions and flow.goto is None:
                self.drop("no_action")
            if not self.actions(flow.actions, depth):
                return
            following = flow.goto

    def actions(self, actions: Sequence[Action], depth: int) -> bool:
        """Apply in order; False when the rest of the table is not to be done."""
        return all(self.action(action, depth) for action in actions)

    def action(self, action: Action, depth: int) -> bool:
        match action:
            case SetField() | Copy() | CheckLength():
                self.rewrite(action)
            case Output() | OutputField():
                self.send(action)
            case Punt():
                self.punts.append(Punted(self.packet, action))
            case Resubmit(table=number):
                here = self.at
                self.table(number, depth + 1)
                self.at = here
            case GroupAction(group=number):
                self.group(number, depth)
            case Conntrack():
                self.conntrack(action)
            case DecTtl():
                return self.decrement()
            case MeterAction(meter=number):
                return self.meter(number)
        return True

    def send(self, action: Output | OutputField) -> None:
        if isinstance(action, Output):
            self.output(action.port)
        else:
            held = self.fields.get(action.field, 0) >> action.offset
            self.output_held(held & ((1 << action.bits) - 1))

    def has(self, name: str) -> bool:
        """Whether the packet, as it is now, has such a field."""
        if name in _NEEDS_IP:
            return self.fields.get("eth_type") in (ETH_IP, ETH_IPV6)
        return all(self.fields.get(need, 0) == value for need, value in FIELDS[name].needs)

    def write(self, name: str, value: int, mask: int) -> None:
        if self.has(name):
            self.fields[name] = self.fields.get(name, 0) & ~mask | value

    def rewrite(self, action: SetField | Copy | CheckLength) -> None:
        if isinstance(action, SetField):
            self.write(action.field, action.value, action.mask)
        elif isinstance(action, CheckLength):
            longer = self.fields.get(LENGTH.name, 0) > action.octets
            self.write(action.field, longer << action.offset, 1 << action.offset)
        elif self.has(action.source):
            self.copy(action)

    def copy(self, move: Copy) -> None:
        ones = (1 << move.bits) - 1
        value = self.fields.get(move.source, 0) >> move.source_offset & ones
        self.write(move.target, value << move.target_offset, ones << move.target_offset)

    def conntrack(self, action: Conntrack) -> None:
        """Track, and go on with a tracked copy in another table; this one stays untracked."""
        zone = self.fields.get(action.zone_field, 0) >> action.zone_offset & _LAST_16
        committed = self.written(action.actions) if action.commit else None
        tracked, self.connections = self.connections.track(
            self.fields, zone if action.zone_field else action.zone, committed
        )
        if action.table is not None:
            before, here = dict(self.fields), self.at
            self.fields |= tracked
            self.recirculate(action.table)
            self.fields, self.at = before, here
        self.fields |= _UNTRACKED

    def recirculate(self, table: int) -> None:
        if self.recirculations == MAX_RECIRCULATIONS:
            self.drop("limit")
            return
        self.recirculations += 1
        self.table(table, 0)
        self.recirculations -= 1

    def written(self, actions: Sequence[SetField | Copy]) -> Written:
        """What a commit writes: the bits its actions set, as they leave them."""
        before = dict(self.fields)
        masks = {"ct_mark": 0, "ct_label": 0}
        for action in actions:
            self.rewrite(action)
            if isinstance(action, SetField):
                masks[action.field] |= action.mask
            else:
                masks[action.target] |= ((1 << action.bits) - 1) << action.target_offset
        values = {name: self.fields.get(name, 0) for name in masks}
        self.fields = before
        return Written(values["ct_mark"], masks["ct_mark"], values["ct_label"], masks["ct_label"])

    def output(self, port: int) -> None:
        entered = self.fields.get("in_port", 0)
        if port == entered:
            # OpenFlow 1.5.1 §7.2.1.2: back where it came from only if asked for by IN_PORT.
            self.drop("in_port")
        elif port == IN_PORT and not entered:
            self.drop("no_port")
        else:
            self.outputs.append(Sent(entered if port == IN_PORT else port, self.packet))

    def output_held(self, port: int) -> None:
        """A port from a register, by its 16-bit number; larger ones are nowhere."""
        if port > _LAST_16:
            self.drop("no_port")
        else:
            self.output(port | 0xFFFF0000 if port >= _RESERVED_16 else port)

    def decrement(self) -> bool:
        if self.fields.get("eth_type") not in (ETH_IP, ETH_IPV6):
            return True
        if self.fields.get("ip_ttl", 0) <= 1:
            self.drop("ttl")
            return False
        self.fields["ip_ttl"] -= 1
        return True

    def meter(self, number: int) -> bool:
        if number not in self.datapath.meters or self.surroundings.within(number):
            return True
        self.drop("meter")
        return False

    def group(self, number: int, depth: int) -> None:
        group = self.datapath.groups.get(number)
        chosen = self.buckets(group) if group and depth < MAX_DEPTH else []
        if not chosen:
            self.drop("group")
        for bucket in chosen:
            # What a bucket does to the packet is its own affair (OpenFlow 1.5.1 §5.10.1).
            before = dict(self.fields)
            self.actions(_as_action_set(bucket.actions), depth + 1)
            self.fields = before

    def buckets(self, group: Group) -> Sequence[Bucket]:
        if group.kind == "all":
            return group.buckets
        if group.kind == "indirect":
            return group.buckets[:1]
        live = [n for n, bucket in enumerate(group.buckets) if self.live(bucket, MAX_DEPTH)]
        if group.kind == "select":
            live = [n for n in live if group.buckets[n].weight]
            live = [self.surroundings.choose(group, live, self.packet)] if live else []
        return [group.buckets[n] for n in live[:1]]

    def live(self, bucket: Bucket, depth: int) -> bool:
        """OpenFlow 1.5.1 §5.10.2: watching nothing is live, else either of what is watched."""
        if bucket.watch_port == ANY and bucket.watch_group == ANY:
            return True
        if bucket.watch_port != ANY and self.surroundings.live(bucket.watch_port):
            return True
        watched = self.datapath.groups.get(bucket.watch_group)
        if watched is None or not depth:
            return False
        return any(self.live(other, depth - 1) for other in watched.buckets)


def _as_action_set(actions: Sequence[Action]) -> list[Action]:
    """The order a bucket's actions have: TTL, sets, then one way out (OpenFlow 1.5.1 §5.6)."""
    ordered: list[Action] = []
    ordered += [action for action in actions if isinstance(action, DecTtl)][:1]
    ordered += [a for a in actions if isinstance(a, SetField | Copy)]
    for way_out in (GroupAction, Output, Resubmit, Conntrack):
        ways = [action for action in actions if isinstance(action, way_out)]
        if ways:
            return [*ordered, ways[-1]]
    return ordered
