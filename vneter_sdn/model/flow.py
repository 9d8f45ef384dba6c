# SPDX-License-Identifier: Apache-2.0
"""What a bridge holds: flows, groups and meters, as frozen values.

A match is a sorted tuple of `Term`; two flows that mean the same are equal, whatever
order they were written in. Tables are numbers here, because a bridge may hold flows of
another generation; `pipeline.tables` gives the numbers their names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from vneter_sdn.errors import PipelineError
from vneter_sdn.model.fields import FIELDS, LENGTH


class Term(NamedTuple):
    """One field of a match: ``packet[field] & mask == value``."""

    field: str
    value: int
    mask: int


Match = tuple[Term, ...]
_NEEDS = {name: field.needs for name, field in FIELDS.items() if field.needs}


def match(**fields: int | tuple[int, int]) -> Match:
    """Build a match: ``match(eth_type=0x800, ip_dst=(net, mask))``.

    Raises:
        PipelineError: unknown field, value outside the field or its mask, a mask on a field that
            takes none, or a missing prerequisite (OpenFlow 1.5.1 §7.2.3.6).
    """
    terms: list[Term] = []
    for name, given in fields.items():
        known = FIELDS.get(name)
        if known is None:
            raise PipelineError(f"no such match field: {name}")
        value, mask = given if isinstance(given, tuple) else (given, known.full)
        if mask == 0:
            continue
        if value & ~mask or mask & ~known.full:
            raise PipelineError(f"{name}: value {value:#x} outside mask {mask:#x}")
        if mask != known.full and not known.maskable:
            raise PipelineError(f"{name} takes no mask")
        terms.append(Term(name, value, mask))
    terms.sort()
    for term in terms:
        for need in _NEEDS.get(term.field, ()):
            if not any(other[:2] == need for other in terms):
                raise PipelineError(f"{term.field} needs {need[0]}={need[1]:#x}")
    return tuple(terms)


IN_PORT = 0xFFFFFFF8
CONTROLLER = 0xFFFFFFFD
LOCAL = 0xFFFFFFFE
ANY = 0xFFFFFFFF
"""Reserved port numbers (OpenFlow 1.5.1 §7.2.1.2)."""
NO_TABLE = 255
"""Table number that means none, or all (OpenFlow 1.5.1 §7.3.4.1)."""


@dataclass(frozen=True, slots=True)
class Output:
    """Send out of a port; ``IN_PORT`` sends back where it came from."""

    port: int


@dataclass(frozen=True, slots=True)
class OutputField:
    """Send out of the port whose number a register holds (NXAST_OUTPUT_REG)."""

    field: str
    offset: int = 0
    bits: int = 16


@dataclass(frozen=True, slots=True)
class GroupAction:
    """Hand the packet to a group."""

    group: int


@dataclass(frozen=True, slots=True)
class SetField:
    """``packet[field] = packet[field] & ~mask | value``."""

    field: str
    value: int
    mask: int


@dataclass(frozen=True, slots=True)
class Copy:
    """Copy ``bits`` bits of one field into another (``move:`` in ovs-ofctl)."""

    source: str
    target: str
    bits: int
    source_offset: int = 0
    target_offset: int = 0


@dataclass(frozen=True, slots=True)
class DecTtl:
    """Decrement TTL or hop limit; a packet that would reach zero stops here (dropped or punted)."""


@dataclass(frozen=True, slots=True)
class CheckLength:
    """One bit: whether the frame is longer (NXAST_CHECK_PKT_LARGER, ``check_pkt_larger``).

    Open vSwitch does all that follows in the flow, and behind it, for both answers.

    Raises:
        PipelineError: no frame is so long, or there is no such bit.
    """

    octets: int
    """That are not longer: with the Ethernet header, without a checksum."""
    field: str
    offset: int = 0
    """Of the bit."""

    def __post_init__(self) -> None:
        known = FIELDS.get(self.field)
        if not 0 <= self.octets < 1 << LENGTH.bits:
            raise PipelineError(f"no frame is of {self.octets} octets")
        if known is None or not 0 <= self.offset < known.bits:
            raise PipelineError(f"no bit at {self.field}[{self.offset}]")


@dataclass(frozen=True, slots=True)
class Resubmit:
    """Look the packet up in another table, then go on with the next action."""

    table: int


@dataclass(frozen=True, slots=True)
class MeterAction:
    """Pass only what the meter lets through."""

    meter: int


@dataclass(frozen=True, slots=True)
class Punt:
    """Send a copy to the controller with user data that says why (NXAST_CONTROLLER2)."""

    userdata: bytes
    meter: int = 0
    """Meter that limits the punts; 0 for none."""
    max_len: int = 256


ZONE_BITS = 16
"""Width of a connection tracking zone."""


@dataclass(frozen=True, slots=True)
class Conntrack:
    """Pass the packet through the connection tracker (NXAST_CT, ``ct(...)`` in ovs-ofctl).

    Open vSwitch takes it only in flows that match IPv4 or IPv6, and in buckets.

    Raises:
        PipelineError: a zone that is none, or something is written without ``commit`` or elsewhere
            than to the connection's mark and label.
    """

    commit: bool = False
    """Whether the connection is to be remembered."""
    zone: int = 0
    """Zone number, when ``zone_field`` is empty."""
    zone_field: str = ""
    """Field whose bits ``zone_offset`` to ``zone_offset + 15`` are the zone."""
    zone_offset: int = 0
    table: int | None = None
    """Table that a tracked copy goes on in; None: the packet goes on here, untracked."""
    actions: tuple[SetField | Copy, ...] = ()
    """What is written to the connection when it is committed (``exec``): ct_mark, ct_label."""

    def __post_init__(self) -> None:
        if self.zone_field:
            known = FIELDS.get(self.zone_field)
            if known is None or not 0 <= self.zone_offset <= known.bits - ZONE_BITS:
                raise PipelineError(f"no zone at {self.zone_field}[{self.zone_offset}..]")
        if not 0 <= self.zone < 1 << ZONE_BITS or (self.zone_field and self.zone):
            raise PipelineError(f"no such zone: {self.zone}")
        if self.table is not None and not 0 <= self.table < NO_TABLE:
            raise PipelineError(f"no such table: {self.table}")
        if self.actions and not self.commit:
            raise PipelineError("a connection is written to only when it is committed")
        stray = {a.field if isinstance(a, SetField) else a.target for a in self.actions}
        if stray - {"ct_mark", "ct_label"}:
            raise PipelineError(f"not a field of a connection: {', '.join(sorted(stray))}")


MOST_CLAUSES = 64
"""Of one conjunction (ovs-fields(7))."""


@dataclass(frozen=True, slots=True)
class Conjunction:
    """One clause of a conjunctive match (NXAST_CONJUNCTION, ``conjunction(id, k/n)``).

    Of one priority, flows of all clauses of an id have to match; then the packet is looked up
    again with ``conj_id`` set to it (ovs-fields(7), Conjunctive Match Fields). A flow that has such
    an action has no others, and goes nowhere.

    Raises:
        PipelineError: there is no such clause.
    """

    id: int
    clause: int
    """From 1."""
    of: int
    """How many clauses there are: 2..64."""

    def __post_init__(self) -> None:
        if not (2 <= self.of <= MOST_CLAUSES and 1 <= self.clause <= self.of):
            raise PipelineError(f"no clause {self.clause} of {self.of}")
        if not 0 <= self.id < 1 << 32:
            raise PipelineError(f"no such conjunction: {self.id:#x}")


Action = (
    Output
    | OutputField
    | GroupAction
    | SetField
    | Copy
    | DecTtl
    | CheckLength
    | Resubmit
    | MeterAction
    | Punt
    | Conntrack
    | Conjunction
)


class FlowKey(NamedTuple):
    """What makes a flow unique on a bridge (OpenFlow 1.5.1 §6.4)."""

    table: int
    priority: int
    match: Match


@dataclass(frozen=True, slots=True)
class Flow:
    """One OpenFlow entry; equal flows are the same flow. No timeouts: state never expires."""

    table: int
    priority: int
    match: Match
    actions: tuple[Action, ...] = ()
    goto: int | None = None
    cookie: int = 0

    @property
    def key(self) -> FlowKey:
        """What this flow replaces when it is added."""
        return FlowKey(self.table, self.priority, self.match)


@dataclass(frozen=True, slots=True)
class Bucket:
    """One choice of a group."""

    actions: tuple[Action, ...]
    weight: int = 0
    watch_port: int = ANY
    watch_group: int = ANY


@dataclass(frozen=True, slots=True)
class Group:
    """A group; ``kind`` is ``all``, ``select``, ``indirect`` or ``ff`` (fast failover).

    Bucket ids are positions in ``buckets``.
    """

    group: int
    kind: str
    buckets: tuple[Bucket, ...]
    method: str | None = ""
    """How a select group chooses: ``dp_hash`` or ``hash``; empty leaves it to Open vSwitch, and
    None, only when read back, is not known (OpenFlow 1.4 has no word for it)."""
    method_parameter: int = 0
    """Of ``dp_hash``: which hash (0 layer 4, 1 symmetric layer 4) in the high half, basis below."""


@dataclass(frozen=True, slots=True)
class Meter:
    """A drop meter with one band; rate in packets/s or kbit/s, burst in the same unit."""

    meter: int
    rate: int
    burst: int
    unit: str = "pktps"


@dataclass(frozen=True, slots=True)
class BridgeState:
    """Everything one bridge holds of ours."""

    flows: Mapping[FlowKey, Flow] = field(default_factory=dict)
    groups: Mapping[int, Group] = field(default_factory=dict)
    meters: Mapping[int, Meter] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        flows: Iterable[Flow] = (),
        groups: Iterable[Group] = (),
        meters: Iterable[Meter] = (),
    ) -> BridgeState:
        """From plain values.

        Raises:
            PipelineError: two flows share a key but not their meaning.
        """
        table: dict[FlowKey, Flow] = {}
        for flow in flows:
            if table.setdefault(flow.key, flow) != flow:
                raise PipelineError(f"two flows for {flow.key}")
        return cls(table, {g.group: g for g in groups}, {m.meter: m for m in meters})
