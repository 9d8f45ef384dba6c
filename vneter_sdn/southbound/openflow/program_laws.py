# SPDX-License-Identifier: Apache-2.0
"""Which bytes of a switch a hosted program's os-ken parsers may see: `validate` and older versions.

Programs choose the version, and most that were written for Ryu speak 1.3 or 1.0. Total over all
bytes, as `validate` is. Sections are those of OpenFlow 1.3.5 and 1.0.2.
"""

from __future__ import annotations

from collections.abc import Callable

from vneter_sdn.errors import DecodeError
from vneter_sdn.southbound.openflow import laws, validate
from vneter_sdn.southbound.openflow.wire import HEADER, U16, U32, V14, V15, need, tlvs

V10, V13 = 1, 4
VERSIONS = (V10, V13, V14, V15)
"""Versions that a program may speak."""
_HELLO = 0
_Law = Callable[[bytes], None]


def check(message: bytes, version: int | None) -> None:
    """Accept one message of a switch, or refuse it.

    Args:
        message: one complete message.
        version: the agreed one; None as long as none is.

    Raises:
        DecodeError: not allowed, of another version, or with a lying length.
    """
    need(len(message) >= 8, "truncated header")
    found, kind, length, _ = HEADER.unpack_from(message)
    need(length == len(message), "message length", 2)
    if version is None or kind == _HELLO:
        validate.check(message, validate.State.HELLO, found)
        return
    if version in (V14, V15):
        validate.check(message, validate.State.OPEN, version)
        return
    need(found == version, f"version {found:#x}")
    law = _LAWS[version].get(kind)
    need(law is not None, f"message type {kind}", 1)
    assert law is not None
    law(message)


def _exactly(size: int) -> _Law:
    def law(message: bytes) -> None:
        need(len(message) == size, "message length", 2)

    return law


def _at_least(size: int) -> _Law:
    def law(message: bytes) -> None:
        need(len(message) >= size, "message length", 2)

    return law


def _then_many(head: int, each: int) -> _Law:
    def law(message: bytes) -> None:
        rest = len(message) - head
        need(rest >= 0 and rest % each == 0, "message length", 2)

    return law


def _packet_in_13(message: bytes) -> None:
    need(len(message) >= 34, "message length", 2)
    after = laws.match(message, 24, len(message))
    need(after + 2 <= len(message), "packet-in without padding", after)


def _flow_removed_13(message: bytes) -> None:
    need(len(message) >= 56, "message length", 2)
    need(laws.match(message, 48, len(message)) == len(message), "flow-removed length", 2)


def _queues(head: int) -> _Law:
    """Queues of a port (1.3 §7.3.6): a fixed head, its length at 8 (1.0: at 4), properties."""
    field = 8 if head == 16 else 4

    def law(message: bytes) -> None:
        need(len(message) >= 16, "message length", 2)
        cursor = 16
        while cursor < len(message):
            need(len(message) - cursor >= head, "truncated queue", cursor)
            end = cursor + U16.unpack_from(message, cursor + field)[0]
            need(cursor + head <= end <= len(message), "queue length", cursor)
            for kind, at, after in tlvs(message, cursor + head, end, 8, 8):
                need(kind in (1, 2, 0xFFFF) and after - at >= 16, f"queue property {kind}", at)
                need(kind == 0xFFFF or after - at == 16, f"queue property {kind}", at)
            cursor = end

    return law


def _flow_13(message: bytes, at: int, end: int) -> None:
    laws.flow(message, at, end, V14)


def _group_13(message: bytes, at: int, end: int) -> None:
    laws.group(message, at, end, V14)


def _meter_13(message: bytes, at: int, end: int) -> None:
    laws.meter(message, at, end, V14)


def _counters(message: bytes, at: int, end: int) -> None:
    laws.counted(40)(message, at, end, V14)


_TABLE_INSTRUCTIONS, _TABLE_NEXT, _TABLE_ACTIONS = (0, 1), (2, 3), (4, 5, 6, 7)
_TABLE_OXM = (8, 10, 12, 13, 14, 15)


def _table_features(message: bytes, at: int, end: int) -> None:
    """What a table can (1.3 §7.3.5.5.2)."""
    need(end - at >= 64 and (end - at) % 8 == 0, "table features length", at)
    for kind, start, stop in tlvs(message, at + 64, end):
        if kind in _TABLE_INSTRUCTIONS + _TABLE_ACTIONS:
            _identities(message, start + 4, stop)
        elif kind in _TABLE_OXM:
            need((stop - start) % 4 == 0, "OXM identities", start)
        else:
            need(kind in _TABLE_NEXT, f"table property {kind}", start)


def _identities(message: bytes, start: int, end: int) -> None:
    """Instruction or action identities: four bytes, eight for an experimenter's."""
    cursor = start
    while cursor < end:
        need(end - cursor >= 4, "truncated identity", cursor)
        kind, length = U16.unpack_from(message, cursor)[0], U16.unpack_from(message, cursor + 2)[0]
        need(length == (8 if kind == 0xFFFF else 4), "identity length", cursor)
        cursor += length
    need(cursor == end, "identity beyond its container", cursor)


_Entry = Callable[[bytes, int, int], None]
_ENTRIES: dict[int, tuple[int, _Entry]] = {
    # Per kind: offset of an entry's length in the entry, and the entry's law.
    1: (0, _flow_13),
    6: (0, _counters),
    7: (0, _group_13),
    9: (4, _counters),
    10: (0, _meter_13),
    12: (0, _table_features),
}
_FIXED_13 = {3: 24, 4: 112, 5: 40, 13: 64}
_SINGLE_13 = {0: 1056, 2: 24, 8: 40, 11: 16}


def _multipart_13(message: bytes) -> None:
    """Replies to questions (1.3 §7.3.5), except experimenters'."""
    need(len(message) >= 16, "message length", 2)
    kind, body = U16.unpack_from(message, 8)[0], len(message) - 16
    if kind in _ENTRIES:
        field, law = _ENTRIES[kind]
        for at, end in laws.sized(message, 16, field):
            law(message, at, end)
    elif kind in _SINGLE_13:
        need(body == _SINGLE_13[kind], "multipart reply length", 2)
    else:
        need(kind in _FIXED_13 and body % _FIXED_13[kind] == 0, f"multipart kind {kind}", 8)


_ACTIONS_10 = {0: 8, 1: 8, 2: 8, 3: 8, 4: 16, 5: 16, 6: 8, 7: 8, 8: 8, 9: 8, 10: 8, 11: 16}
_VENDOR = 0xFFFF


def _flow_10(message: bytes, at: int, end: int) -> None:
    """Statistics of a flow with its actions (1.0 §5.3.5)."""
    need(end - at >= 88, "flow length", at)
    for kind, start, stop in tlvs(message, at + 88, end, 8, 8):
        if kind == _VENDOR:
            # Nicira's are as in later versions, and checked as those.
            need(U32.unpack_from(message, start + 4)[0] != 0, "vendor 0", start)
            laws.actions(message, start, stop)
        else:
            need(_ACTIONS_10.get(kind) == stop - start, f"action {kind}", start)


_FIXED_10 = {3: 64, 4: 104, 5: 32}
_SINGLE_10 = {0: 1056, 2: 24}


def _statistics_10(message: bytes) -> None:
    need(len(message) >= 12, "message length", 2)
    kind, body = U16.unpack_from(message, 8)[0], len(message) - 12
    if kind == 1:
        for at, end in laws.sized(message, 12, 0):
            _flow_10(message, at, end)
    elif kind in _SINGLE_10:
        need(body == _SINGLE_10[kind], "statistics length", 2)
    else:
        need(kind in _FIXED_10 and body % _FIXED_10[kind] == 0, f"statistics kind {kind}", 8)


def _refused(message: bytes) -> None:
    raise DecodeError(f"experimenter {U32.unpack_from(message.ljust(12, b'0'), 8)[0]:#x}", 8)


_ECHOES: dict[int, _Law] = {1: _at_least(12), 2: _at_least(8), 3: _at_least(8), 4: _refused}
_LAWS: dict[int, dict[int, _Law]] = {
    V13: _ECHOES
    | {
        6: _exactly(32),
        8: _exactly(12),
        10: _packet_in_13,
        11: _flow_removed_13,
        12: _exactly(80),
        19: _multipart_13,
        21: _exactly(8),
        23: _queues(16),
        25: _exactly(24),
        27: _exactly(32),
    },
    V10: _ECHOES
    | {
        6: _then_many(32, 48),
        8: _exactly(12),
        10: _at_least(18),
        11: _exactly(88),
        12: _exactly(64),
        17: _statistics_10,
        19: _exactly(8),
        21: _queues(8),
    },
}
