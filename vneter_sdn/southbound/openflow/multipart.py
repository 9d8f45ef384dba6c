# SPDX-License-Identifier: Apache-2.0
"""What a bridge says it holds: flows, groups, meters and ports (OpenFlow 1.5.1 §7.3.5).

What others wrote is tolerated: an entry with words this package does not use comes back as
`ForeignFlow`, `ForeignGroup` or `ForeignMeter`, never as an error.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct

from vneter_sdn.model.flow import ANY, Bucket, Flow, FlowKey, Group, Match, Meter
from vneter_sdn.southbound.openflow import actions, oxm
from vneter_sdn.southbound.openflow.flowmod import (
    BURST,
    GROUP_KINDS,
    KBPS,
    PKTPS,
    WATCH_GROUP,
    WATCH_PORT,
    WEIGHT,
    read_method,
)
from vneter_sdn.southbound.openflow.wire import U16, U32, V14, need, tlvs

_CACHED = 1 << 17


@dataclass(frozen=True, slots=True)
class ForeignFlow:
    """A flow with a match, actions or timeouts that this package never writes."""

    table: int
    priority: int
    cookie: int
    match: bytes
    """OXM entries, as they came."""


@dataclass(frozen=True, slots=True)
class ForeignGroup:
    """A group with actions or properties that this package never writes."""

    group: int


@dataclass(frozen=True, slots=True)
class ForeignMeter:
    """A meter with bands or flags that this package never writes."""

    meter: int


@dataclass(frozen=True, slots=True)
class Port:
    """A port of a bridge."""

    number: int
    name: str
    mac: int
    down: bool
    """By administration (config bit 0)."""
    link_down: bool
    """No link (state bit 0)."""
    live: bool = False
    """Works, link and BFD alike (state bit 2); Open vSwitch says so, others need not."""
    speed: int = 0
    """Of the link as it is, kbit/s; 0 when not known."""


@dataclass(frozen=True, slots=True)
class PortCounters:
    """What a port has carried since it is there."""

    port: int
    rx_packets: int
    tx_packets: int
    rx_bytes: int
    tx_bytes: int
    rx_dropped: int
    tx_dropped: int


@dataclass(frozen=True, slots=True)
class FlowCounters:
    """What a flow has matched since it is there."""

    key: FlowKey
    cookie: int
    seconds: float
    """That it is there."""
    packets: int
    octets: int


class _Matches(dict[bytes, Match]):
    """Decoded matches, by the bytes of their entries."""

    def __missing__(self, data: bytes) -> Match:
        match = oxm.decode_fields(data)
        if len(self) >= _CACHED:
            self.clear()
        self[data] = match
        return match


class _Instructions(dict[bytes, actions.Instructions]):
    """Decoded instruction lists, by their bytes."""

    def __missing__(self, data: bytes) -> actions.Instructions:
        decoded = actions.decode_instructions(data)
        if len(self) >= _CACHED:
            self.clear()
        self[data] = decoded
        return decoded


class _Timed(dict[tuple[int, int], actions.Instructions]):
    """Flows that expire have no word in this package."""

    def __missing__(self, timeouts: tuple[int, int]) -> actions.Instructions:
        raise oxm.Unknown(f"timeouts {timeouts}")


_MATCHES, _INSTRUCTIONS, _TIMED = _Matches(), _Instructions(), _Timed()
_FLOW_15 = Struct("!H2xBxHHHHHQ")
_FLOW_14 = Struct("!HBxIIHHHHH2xQQQ")


def flows(data: bytes, start: int, version: int) -> Iterator[Flow | ForeignFlow]:
    """The flows of one part: flow descriptions in 1.5, flow statistics in 1.4.

    Raises:
        DecodeError: a length lies.
    """
    cursor, size = start, len(data)
    least = _FLOW_14.size if version == V14 else _FLOW_15.size
    while cursor < size:
        need(size - cursor >= least, "truncated flow", cursor)
        if version == V14:
            length, table, _, _, priority, idle, hard, _, _, cookie, _, _ = _FLOW_14.unpack_from(
                data, cursor
            )
        else:
            length, table, priority, idle, hard, _, _, cookie = _FLOW_15.unpack_from(data, cursor)
        end = cursor + length
        need(length >= least and length % 8 == 0 and end <= size, "flow length", cursor)
        matched = cursor + least
        fields, after = oxm.match_bounds(data, matched, end)
        if version != V14:
            after = stats_end(data, after, end)
        entries = data[matched + 4 : fields]
        try:
            does, goto = _TIMED[idle, hard] if idle or hard else _INSTRUCTIONS[data[after:end]]
            yield Flow(table, priority, _MATCHES[entries], does, goto, cookie)
        except oxm.Unknown:
            yield ForeignFlow(table, priority, cookie, entries)
        cursor = end


def stats_end(data: bytes, offset: int, end: int) -> int:
    """Where an ``ofp_stats`` (OXS, §7.2.4) ends, its padding included.

    Raises:
        DecodeError: its length lies.
    """
    need(end - offset >= 8, "truncated statistics", offset)
    length = U16.unpack_from(data, offset + 2)[0]
    after = offset + (length + 7 & ~7)
    need(length >= 4 and after <= end, "statistics length", offset)
    return int(after)


_OXS = Struct("!HBB")
_OXS_BASIC = 0x8002
_DURATION, _PACKETS, _OCTETS = 0, 4, 5
_SECONDS = Struct("!II")
_U64 = Struct("!Q")


def flow_counters(data: bytes, start: int, version: int) -> Iterator[FlowCounters]:
    """The counters of the flows of one part (OXS, §7.2.4.2); those of unknown match left out.

    Raises:
        DecodeError: a length lies.
    """
    cursor, size = start, len(data)
    least = _FLOW_14.size if version == V14 else _FLOW_15.size
    while cursor < size:
        need(size - cursor >= least, "truncated flow", cursor)
        if version == V14:
            length, table, seconds, rest, priority, *_, cookie, packets, octets = (
                _FLOW_14.unpack_from(data, cursor)
            )
            found = {_DURATION: seconds + rest * 1e-9, _PACKETS: packets, _OCTETS: octets}
        else:
            length, table, priority, *_, cookie = _FLOW_15.unpack_from(data, cursor)
        end = cursor + length
        need(length >= least and length % 8 == 0 and end <= size, "flow length", cursor)
        fields, after = oxm.match_bounds(data, cursor + least, end)
        if version != V14:
            stats_end(data, after, end)
            found = _statistics(data, after)
        try:
            key = FlowKey(table, priority, _MATCHES[data[cursor + least + 4 : fields]])
        except oxm.Unknown:
            pass
        else:
            packets, octets = int(found.get(_PACKETS, 0)), int(found.get(_OCTETS, 0))
            yield FlowCounters(key, cookie, found.get(_DURATION, 0.0), packets, octets)
        cursor = end


def _statistics(data: bytes, at: int) -> dict[int, float]:
    """Duration, packets and octets of an ``ofp_stats`` whose length `stats_end` accepted."""
    cursor, end = at + 4, at + U16.unpack_from(data, at + 2)[0]
    found: dict[int, float] = {}
    while cursor < end:
        need(end - cursor >= _OXS.size, "truncated statistic", cursor)
        kind, field, length = _OXS.unpack_from(data, cursor)
        value, field = cursor + _OXS.size, field >> 1
        cursor = value + length
        need(cursor <= end, "statistic length", value)
        if kind != _OXS_BASIC or length != 8:
            continue
        if field == _DURATION:
            seconds, rest = _SECONDS.unpack_from(data, value)
            found[field] = seconds + rest * 1e-9
        else:
            found[field] = _U64.unpack_from(data, value)[0]
    return found


_GROUP = Struct("!HBxI")
_BUCKET_14 = Struct("!HHII4x")
_BUCKET_15 = Struct("!HHI")


def _bucket_14(data: bytes, at: int, end: int, _select: bool) -> Bucket:
    need(end - at >= 16, "bucket length", at)
    _, weight, port, group = _BUCKET_14.unpack_from(data, at)
    return Bucket(actions.decode_actions(data, at + 16, end), weight, port, group)


def _bucket_15(data: bytes, at: int, end: int, select: bool) -> Bucket:
    need(end - at >= 8, "bucket length", at)
    _, size, _ = _BUCKET_15.unpack_from(data, at)
    properties = at + 8 + size
    need(properties <= end, "bucket's action length", at)
    found = {WEIGHT: int(select), WATCH_PORT: ANY, WATCH_GROUP: ANY}
    for kind, start, after in tlvs(data, properties, end):
        if kind not in found:
            raise oxm.Unknown(f"bucket property {kind}")
        need(after - start == 8, "bucket property length", start)
        unpack = U16 if kind == WEIGHT else U32
        found[kind] = unpack.unpack_from(data, start + 4)[0]
    does = actions.decode_actions(data, at + 8, properties)
    return Bucket(does, found[WEIGHT], found[WATCH_PORT], found[WATCH_GROUP])


def bucket_bounds(data: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Where each bucket of a list starts and ends.

    Raises:
        DecodeError: a length lies.
    """
    cursor = start
    while cursor < end:
        need(end - cursor >= 8, "truncated bucket", cursor)
        length = U16.unpack_from(data, cursor)[0]
        after = cursor + length
        need(length >= 8 and length % 8 == 0 and after <= end, "bucket length", cursor)
        yield cursor, after
        cursor = after


def groups(data: bytes, start: int, version: int) -> Iterator[Group | ForeignGroup]:
    """The groups of one part.

    Raises:
        DecodeError: a length lies.
    """
    cursor, size = start, len(data)
    while cursor < size:
        need(size - cursor >= 8, "truncated group", cursor)
        length, kind, number = _GROUP.unpack_from(data, cursor)
        end = cursor + length
        need(length >= 8 and length % 8 == 0 and end <= size, "group length", cursor)
        read = _group_14 if version == V14 else _group_15
        try:
            buckets, method, parameter = read(data, cursor, end, kind == 1)
            yield Group(number, GROUP_KINDS.get(kind, str(kind)), buckets, method, parameter)
        except oxm.Unknown:
            yield ForeignGroup(number)
        cursor = end


_Choice = tuple[tuple[Bucket, ...], str | None, int]
"""Buckets, and how one is chosen."""


def _group_14(data: bytes, at: int, end: int, select: bool) -> _Choice:
    bounds = tuple(bucket_bounds(data, at + 8, end))
    buckets = tuple(_bucket_14(data, start, after, select) for start, after in bounds)
    return buckets, None if select else "", 0


def _group_15(data: bytes, at: int, end: int, select: bool) -> _Choice:
    need(end - at >= 16, "group length", at)
    buckets = at + 16 + U16.unpack_from(data, at + 8)[0]
    need(buckets <= end, "bucket list length", at)
    bounds = tuple(bucket_bounds(data, at + 16, buckets))
    method = read_method(data[buckets:end]) if buckets != end else ("", 0)
    if method is None:
        raise oxm.Unknown("group properties")
    return tuple(_bucket_15(data, start, after, select) for start, after in bounds), *method


_METER = Struct("!HHI")
_BAND = Struct("!HHII4x")
_STATS = 8


def meters(data: bytes, start: int) -> Iterator[Meter | ForeignMeter]:
    """The meters of one part.

    Raises:
        DecodeError: a length lies.
    """
    cursor, size = start, len(data)
    while cursor < size:
        need(size - cursor >= 8, "truncated meter", cursor)
        length, flags, number = _METER.unpack_from(data, cursor)
        end = cursor + length
        need(length >= 8 and end <= size, "meter length", cursor)
        yield _meter(data, cursor, end, flags & ~_STATS, number)
        cursor = end


def _meter(data: bytes, at: int, end: int, flags: int, number: int) -> Meter | ForeignMeter:
    units = {KBPS: "kbps", PKTPS: "pktps"}
    unit = units.get(flags & ~BURST)
    if end - at != 24 or unit is None:
        return ForeignMeter(number)
    kind, length, rate, burst = _BAND.unpack_from(data, at + 8)
    if kind != 1 or length != 16:
        return ForeignMeter(number)
    return Meter(number, rate, burst if flags & BURST else 0, unit)


_PORT = Struct("!IH2x6s2x16sII")


def port(data: bytes, at: int, end: int) -> tuple[Port, int]:
    """One port, and where it ends.

    Raises:
        DecodeError: its length lies, or its name is not UTF-8.
    """
    need(end - at >= _PORT.size, "truncated port", at)
    number, length, mac, name, config, state = _PORT.unpack_from(data, at)
    after = at + length
    need(length >= _PORT.size and length % 8 == 0 and after <= end, "port length", at)
    text = name.split(b"\0", 1)[0].decode("utf-8", "replace")
    mac_number = int.from_bytes(mac, "big")
    flags = bool(config & 1), bool(state & 1), bool(state & 4)
    return Port(number, text, mac_number, *flags, _speed(data, at + _PORT.size, after)), after


def _speed(data: bytes, start: int, end: int) -> int:
    """Current speed of an Ethernet port (§7.2.1, ``ofp_port_desc_prop_ethernet``)."""
    for kind, at, after in tlvs(data, start, end):
        if kind == 0 and after - at >= 32:
            return int(U32.unpack_from(data, at + 24)[0])
    return 0


def ports(data: bytes, start: int) -> Iterator[Port]:
    """The ports of one part.

    Raises:
        DecodeError: a length lies.
    """
    cursor = start
    while cursor < len(data):
        found, cursor = port(data, cursor, len(data))
        yield found


_COUNTERS = Struct("!H2xI8xQQQQQQ")
_COUNTERS_OCTETS = 80


def counters(data: bytes, start: int) -> Iterator[PortCounters]:
    """The port statistics of one part (§7.3.5.7).

    Raises:
        DecodeError: a length lies.
    """
    cursor, size = start, len(data)
    while cursor < size:
        need(size - cursor >= _COUNTERS_OCTETS, "truncated port statistics", cursor)
        length, port, *counts = _COUNTERS.unpack_from(data, cursor)
        need(length >= _COUNTERS_OCTETS and length % 8 == 0, "port statistics length", cursor)
        need(cursor + length <= size, "port statistics length", cursor)
        yield PortCounters(port, *counts)
        cursor += length
