# SPDX-License-Identifier: Apache-2.0
"""The length laws of every structure a switch may send, as walks that always end.

Each function takes the message and the bounds of one structure, and returns or raises
DecodeError. A structure is accepted only if its length covers its header, keeps its multiple,
fits what remains, and moves the cursor; nesting is bounded. Beyond the specification's laws
these hold the few that os-ken's parsers rely on without checking (each says so).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from vneter_sdn.errors import DecodeError
from vneter_sdn.southbound.openflow import actions as act
from vneter_sdn.southbound.openflow import oxm
from vneter_sdn.southbound.openflow.multipart import bucket_bounds, stats_end
from vneter_sdn.southbound.openflow.wire import NICIRA, U16, U32, V14, need, tlvs

MAX_DEPTH = 4
"""Actions inside actions (conntrack, clone); Open vSwitch writes two levels at most."""
_CT, _CLONE = 35, 42
_EXACT_ACTIONS = {0: 16, 11: 8, 12: 8, 15: 8, 16: 8, 17: 8, 18: 8, 19: 8, 20: 8, 21: 8, 22: 8}
_EXACT_ACTIONS |= {23: 8, 24: 8, 26: 8, 27: 8, 29: 8}
_CONTROLLER_PROPERTIES = {0: (8, 8), 1: (8, 8), 2: (5, 5), 3: (5, 0xFFFF), 4: (4, 4), 5: (8, 8)}


def entries(data: bytes, start: int, end: int) -> None:
    """OXM or OXS entries."""
    cursor = start
    while cursor < end:
        length = data[cursor + 3] if end - cursor >= 4 else 0
        if data[cursor] == 0xFF or length == 0:
            cursor = oxm.entry_end(data, cursor, end)
        else:
            cursor += 4 + length
    need(cursor == end, "OXM beyond its container", start)


def match(data: bytes, at: int, end: int) -> int:
    """An ``ofp_match`` (§7.2.3.1); returns where it ends, padding included."""
    fields, after = oxm.match_bounds(data, at, end)
    entries(data, at + 4, fields)
    return after


def statistics(data: bytes, at: int, end: int) -> int:
    """An ``ofp_stats`` (§7.2.4.1); returns where it ends, padding included."""
    after = stats_end(data, at, end)
    entries(data, at + 4, at + U16.unpack_from(data, at + 2)[0])
    return after


def properties(data: bytes, start: int, end: int) -> None:
    """Properties (§7.2.2): padded to eight bytes each."""
    for _ in tlvs(data, start, end):
        pass


def actions(data: bytes, start: int, end: int, depth: int = 0) -> None:
    """An action list (§7.2.6)."""
    need(depth < MAX_DEPTH, "actions nested too deep", start)
    for kind, at, after in tlvs(data, start, end, 8, 8):
        if _EXACT_ACTIONS.get(kind) == after - at:
            continue
        if kind == act.EXPERIMENTER:
            _experimenter_action(data, at, after, depth)
        elif kind == act.SET_FIELD:
            used = oxm.entry_end(data, at + 4, after)
            need(after - used < 8, "set-field length", at)
        elif kind == act.COPY_FIELD:
            need(after - at >= 24, "copy-field length", at)
        else:
            raise DecodeError(f"action {kind} of {after - at} bytes", at)


def _experimenter_action(data: bytes, at: int, end: int, depth: int) -> None:
    if U32.unpack_from(data, at + 4)[0] != NICIRA:
        return
    need(end - at >= 16, "Nicira action length", at)
    subtype = U16.unpack_from(data, at + 8)[0]
    if subtype == _CT:
        need(end - at >= 24, "conntrack action length", at)
        actions(data, at + 24, end, depth + 1)
    elif subtype == _CLONE:
        actions(data, at + 16, end, depth + 1)
    elif subtype == act.CONTROLLER2:
        _controller_properties(data, at + 16, end)


def _controller_properties(data: bytes, start: int, end: int) -> None:
    """os-ken walks these by sizes of its own; they agree with the lengths in these bounds only."""
    for kind, at, after in tlvs(data, start, end):
        least, most = _CONTROLLER_PROPERTIES.get(kind, (8, 8))
        need(least <= after - at <= most, f"controller property {kind}", at)


_GOTO, _WRITE_METADATA, _WRITE, _APPLY, _CLEAR, _METER, _TRIGGER = range(1, 8)
_EXACT_INSTRUCTIONS = {_GOTO: 8, _WRITE_METADATA: 24, _METER: 8}


def instructions(data: bytes, start: int, end: int) -> None:
    """An instruction list (§7.2.5); os-ken hangs on kinds it does not know, so they are refused."""
    for kind, at, after in tlvs(data, start, end, 8, 8):
        if kind in (_WRITE, _APPLY, _CLEAR):
            need(kind != _CLEAR or after - at == 8, "clear-actions length", at)
            actions(data, at + 8, after)
        elif kind == _TRIGGER:
            statistics(data, at + 8, after)
        else:
            need(_EXACT_INSTRUCTIONS.get(kind) == after - at, f"instruction {kind}", at)


def flow(data: bytes, at: int, end: int, version: int) -> None:
    """Flow statistics of 1.4, flow description of 1.5 (§7.3.5.2)."""
    head = 48 if version == V14 else 24
    need(end - at >= head and (end - at) % 8 == 0, "flow length", at)
    after = match(data, at + head, end)
    if version != V14:
        after = statistics(data, after, end)
    instructions(data, after, end)


def flow_statistics(data: bytes, at: int, end: int, _version: int) -> None:
    """Flow statistics of 1.5 (§7.3.5.4)."""
    need(end - at >= 8, "flow statistics length", at)
    after = statistics(data, match(data, at + 8, end), end)
    need(after == end, "flow statistics length", at)


def buckets(data: bytes, start: int, end: int, version: int) -> None:
    """A bucket list (§7.3.4.4)."""
    for at, after in bucket_bounds(data, start, end):
        if version == V14:
            need(after - at >= 16, "bucket length", at)
            actions(data, at + 16, after)
            continue
        split = at + 8 + U16.unpack_from(data, at + 2)[0]
        need(split <= after, "bucket's action length", at)
        actions(data, at + 8, split)
        properties(data, split, after)


def group(data: bytes, at: int, end: int, version: int) -> None:
    """A group description (§7.3.5.10)."""
    if version == V14:
        need(end - at >= 8, "group length", at)
        buckets(data, at + 8, end, version)
        return
    need(end - at >= 16, "group length", at)
    split = at + 16 + U16.unpack_from(data, at + 8)[0]
    need(split <= end, "bucket list length", at)
    buckets(data, at + 16, split, version)
    properties(data, split, end)


def bands(data: bytes, start: int, end: int) -> None:
    """Meter bands (§7.3.4.5): drop and DSCP remark, of 16 bytes each."""
    for kind, at, after in tlvs(data, start, end, 16, 8):
        need(kind in (1, 2) and after - at == 16, "meter band", at)


def meter(data: bytes, at: int, end: int, _version: int) -> None:
    """A meter description (§7.3.5.13)."""
    need(end - at >= 8, "meter length", at)
    bands(data, at + 8, end)


def port(data: bytes, at: int, end: int, _version: int) -> None:
    """A port description (§7.2.1)."""
    need(end - at >= 40 and (end - at) % 8 == 0, "port length", at)
    properties(data, at + 40, end)


def with_properties(head: int) -> Callable[[bytes, int, int, int], None]:
    """The law of an entry of ``head`` bytes followed by properties."""

    def law(data: bytes, at: int, end: int, _version: int) -> None:
        need(end - at >= head, "entry length", at)
        properties(data, at + head, end)

    return law


def counted(head: int) -> Callable[[bytes, int, int, int], None]:
    """The law of an entry of ``head`` bytes followed by counters of 16."""

    def law(_data: bytes, at: int, end: int, _version: int) -> None:
        need(end - at >= head and (end - at - head) % 16 == 0, "entry length", at)

    return law


def sized(data: bytes, start: int, field: int) -> Iterator[tuple[int, int]]:
    """Entries up to the end of a message, each with its 16-bit length at offset ``field``."""
    cursor, size = start, len(data)
    while cursor < size:
        need(size - cursor >= 8, "truncated entry", cursor)
        length = U16.unpack_from(data, cursor + field)[0]
        after = cursor + length
        need(length >= 8 and after <= size, "entry length", cursor)
        yield cursor, after
        cursor = after
