# SPDX-License-Identifier: Apache-2.0
"""OpenFlow's constants and the few primitives that every codec module shares."""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from struct import Struct

from vneter_sdn.errors import DecodeError

V14, V15 = 0x05, 0x06
"""Wire versions of OpenFlow 1.4 and 1.5."""
NICIRA = 0x00002320
"""Nicira's experimenter id."""
MAX_MESSAGE = 0xFFFF
"""The header's length field has 16 bits (OpenFlow 1.5.1 §7.1.1)."""


class Type(IntEnum):
    """Message types (OpenFlow 1.5.1 §7.1.1)."""

    HELLO = 0
    ERROR = 1
    ECHO_REQUEST = 2
    ECHO_REPLY = 3
    EXPERIMENTER = 4
    FEATURES_REQUEST = 5
    FEATURES_REPLY = 6
    GET_CONFIG_REQUEST = 7
    GET_CONFIG_REPLY = 8
    SET_CONFIG = 9
    PACKET_IN = 10
    FLOW_REMOVED = 11
    PORT_STATUS = 12
    PACKET_OUT = 13
    FLOW_MOD = 14
    GROUP_MOD = 15
    PORT_MOD = 16
    TABLE_MOD = 17
    MULTIPART_REQUEST = 18
    MULTIPART_REPLY = 19
    BARRIER_REQUEST = 20
    BARRIER_REPLY = 21
    ROLE_REQUEST = 24
    ROLE_REPLY = 25
    GET_ASYNC_REQUEST = 26
    GET_ASYNC_REPLY = 27
    SET_ASYNC = 28
    METER_MOD = 29
    ROLE_STATUS = 30
    TABLE_STATUS = 31
    REQUESTFORWARD = 32
    BUNDLE_CONTROL = 33
    BUNDLE_ADD = 34
    CONTROLLER_STATUS = 35


class Multipart(IntEnum):
    """Multipart kinds (OpenFlow 1.5.1 §7.3.5); ``FLOW`` is flow stats in 1.4, flow desc in 1.5."""

    DESC = 0
    FLOW = 1
    AGGREGATE = 2
    TABLE = 3
    PORT_STATS = 4
    QUEUE_STATS = 5
    GROUP_STATS = 6
    GROUP_DESC = 7
    GROUP_FEATURES = 8
    METER_STATS = 9
    METER_DESC = 10
    METER_FEATURES = 11
    PORT_DESC = 13
    FLOW_STATS = 17


class BundleControl(IntEnum):
    """Kinds of bundle control (OpenFlow 1.5.1 §7.3.9.2)."""

    OPEN_REQUEST = 0
    OPEN_REPLY = 1
    CLOSE_REQUEST = 2
    CLOSE_REPLY = 3
    COMMIT_REQUEST = 4
    COMMIT_REPLY = 5
    DISCARD_REQUEST = 6
    DISCARD_REPLY = 7


class Role(IntEnum):
    """Controller roles (OpenFlow 1.5.1 §7.3.8)."""

    NOCHANGE = 0
    EQUAL = 1
    MASTER = 2
    SLAVE = 3


class Reason(IntEnum):
    """Why a packet came (OpenFlow 1.5.1 §7.4.1)."""

    TABLE_MISS = 0
    APPLY_ACTION = 1
    INVALID_TTL = 2
    ACTION_SET = 3
    GROUP = 4
    PACKET_OUT = 5


ATOMIC, ORDERED = 1, 2
"""Bundle flags (OpenFlow 1.5.1 §7.3.9.3)."""

HEADER = Struct("!BBHI")
U16, U32, U64 = Struct("!H"), Struct("!I"), Struct("!Q")
TLV = Struct("!HH")


def message(kind: int, version: int, xid: int, body: bytes = b"") -> bytes:
    """A whole message with its header (OpenFlow 1.5.1 §7.1.1).

    Raises:
        ValueError: more than 65,535 bytes.
    """
    length = 8 + len(body)
    if length > MAX_MESSAGE:
        raise ValueError(f"an OpenFlow message of {length} bytes")
    return HEADER.pack(version, kind, length, xid) + body


def pad8(data: bytes) -> bytes:
    """Data with zeros up to a multiple of eight."""
    return data + bytes(-len(data) % 8)


def need(condition: object, what: str, offset: int = 0) -> None:
    """Refuse bytes that break a law.

    Raises:
        DecodeError: the condition does not hold.
    """
    if not condition:
        raise DecodeError(what, offset)


def tlvs(
    data: bytes, start: int, end: int, least: int = 4, multiple: int = 1
) -> Iterator[tuple[int, int, int]]:
    """Walk type-length elements ``(type, offset, end of element)``; the cursor strictly advances.

    Elements are padded to eight bytes when ``multiple`` is 1 (properties, §7.2.2), and have a
    length that is itself a multiple otherwise (actions, instructions).

    Raises:
        DecodeError: a length below ``least``, not a multiple, or beyond ``end``.
    """
    cursor = start
    while cursor < end:
        if end - cursor < 4:
            raise DecodeError("truncated element", cursor)
        kind, length = TLV.unpack_from(data, cursor)
        if length < least or length % multiple:
            raise DecodeError(f"element length {length}", cursor)
        step = length if multiple > 1 else length + 7 & ~7
        if cursor + step > end:
            raise DecodeError("element beyond its container", cursor)
        yield kind, cursor, cursor + length
        cursor += step
