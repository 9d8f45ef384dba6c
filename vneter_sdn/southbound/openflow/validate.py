# SPDX-License-Identifier: Apache-2.0
"""Decide whether a message may be looked at: the right type for the state, and no lying length.

A total function over all bytes. Nothing from a switch reaches any parser, ours or os-ken's,
before `check` accepted it; for what it accepts, os-ken's parsers end.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from vneter_sdn.errors import DecodeError
from vneter_sdn.southbound.openflow import laws
from vneter_sdn.southbound.openflow.decode import PACKET_IN_2
from vneter_sdn.southbound.openflow.wire import (
    HEADER,
    NICIRA,
    U16,
    U32,
    V14,
    V15,
    Multipart,
    Type,
    need,
    tlvs,
)


class State(Enum):
    """Where a session is."""

    HELLO = "hello"
    """Nothing agreed yet."""
    FEATURES = "features"
    """Version agreed, identity unknown."""
    OPEN = "open"
    """Identity known."""


_EVENTS = {
    Type.ERROR,
    Type.ECHO_REQUEST,
    Type.ECHO_REPLY,
    Type.PACKET_IN,
    Type.FLOW_REMOVED,
    Type.PORT_STATUS,
    Type.ROLE_STATUS,
    Type.EXPERIMENTER,
}
ALLOWED: dict[State, frozenset[int]] = {
    State.HELLO: frozenset({Type.HELLO, Type.ERROR}),
    State.FEATURES: frozenset(_EVENTS | {Type.FEATURES_REPLY}),
    State.OPEN: frozenset(
        _EVENTS
        | {
            Type.FEATURES_REPLY,
            Type.GET_CONFIG_REPLY,
            Type.MULTIPART_REPLY,
            Type.BARRIER_REPLY,
            Type.ROLE_REPLY,
            Type.GET_ASYNC_REPLY,
            Type.TABLE_STATUS,
            Type.REQUESTFORWARD,
            Type.BUNDLE_CONTROL,
            Type.CONTROLLER_STATUS,
        }
    ),
}
"""Message types a switch may send, by state. A switch may announce events as soon as a version
is agreed, so they are allowed (and dropped by the session) before it said who it is."""


def check(message: bytes, state: State, version: int) -> None:
    """Accept one message, or refuse it.

    Args:
        message: one complete message, as `framing.Framer` gives it.
        state: where the session is.
        version: the agreed version; before one is agreed, any.

    Raises:
        DecodeError: not allowed in this state, of another version, or with a lying length.
    """
    need(len(message) >= 8, "truncated header")
    found, kind, length, _ = HEADER.unpack_from(message)
    need(length == len(message), "message length", 2)
    need(kind in ALLOWED[state], f"message type {kind} in state {state.value}", 1)
    if state is State.HELLO:
        need(found >= 1, "version 0")
    else:
        need(found == version and version in (V14, V15), f"version {found:#x}")
    _LAWS[kind](message, found)


def _hello(message: bytes, _version: int) -> None:
    """Elements (§7.5.1); os-ken steps over them without padding, so they must need none."""
    for kind, at, end in tlvs(message, 8, len(message)):
        need((end - at) % 8 == 0, f"hello element {kind}", at)


def _exactly(size: int) -> Callable[[bytes, int], None]:
    def law(message: bytes, _version: int) -> None:
        need(len(message) == size, "message length", 2)

    return law


def _at_least(size: int) -> Callable[[bytes, int], None]:
    def law(message: bytes, _version: int) -> None:
        need(len(message) >= size, "message length", 2)

    return law


def _then_properties(head: int) -> Callable[[bytes, int], None]:
    def law(message: bytes, _version: int) -> None:
        need(len(message) >= head, "message length", 2)
        laws.properties(message, head, len(message))

    return law


def _packet_in(message: bytes, _version: int) -> None:
    need(len(message) >= 34, "message length", 2)
    after = laws.match(message, 24, len(message))
    need(after + 2 <= len(message), "packet-in without padding", after)


def _flow_removed(message: bytes, version: int) -> None:
    need(len(message) >= 40, "message length", 2)
    if version == V14:
        need(laws.match(message, 48, len(message)) == len(message), "flow-removed length", 2)
        return
    after = laws.match(message, 24, len(message))
    need(laws.statistics(message, after, len(message)) == len(message), "flow-removed length", 2)


def _port_status(message: bytes, version: int) -> None:
    need(len(message) >= 56, "message length", 2)
    need(U16.unpack_from(message, 20)[0] == len(message) - 16, "port length", 20)
    laws.port(message, 16, len(message), version)


def _table_status(message: bytes, version: int) -> None:
    need(len(message) >= 24, "message length", 2)
    need(U16.unpack_from(message, 16)[0] == len(message) - 16, "table description length", 16)
    laws.with_properties(8)(message, 16, len(message), version)


def _controller_status(message: bytes, version: int) -> None:
    need(version == V15 and len(message) >= 24, "message length", 2)
    need(U16.unpack_from(message, 8)[0] == len(message) - 8, "controller status length", 8)
    laws.with_properties(16)(message, 8, len(message), version)


def _requestforward(message: bytes, version: int) -> None:
    need(len(message) >= 24, "message length", 2)
    found, kind, length, _ = HEADER.unpack_from(message, 8)
    need(found == version and length == len(message) - 8, "forwarded header", 8)
    need(kind in (Type.GROUP_MOD, Type.METER_MOD), f"forwarded message type {kind}", 8)
    if kind == Type.METER_MOD:
        laws.bands(message, 24, len(message))
    elif version == V14:
        laws.buckets(message, 24, len(message), version)
    else:
        need(length >= 24, "forwarded group length", 8)
        split = 32 + U16.unpack_from(message, 24)[0]
        need(split <= len(message), "bucket list length", 24)
        laws.buckets(message, 32, split, version)
        laws.properties(message, split, len(message))


def _experimenter(message: bytes, _version: int) -> None:
    need(len(message) >= 16, "message length", 2)
    vendor, subtype = U32.unpack_from(message, 8)[0], U32.unpack_from(message, 12)[0]
    need((vendor, subtype) == (NICIRA, PACKET_IN_2), f"experimenter {vendor:#x}/{subtype}", 8)
    laws.properties(message, 16, len(message))


_Entry = Callable[[bytes, int, int, int], None]
_ENTRIES: dict[int, tuple[int, _Entry]] = {
    Multipart.FLOW: (0, laws.flow),
    Multipart.PORT_STATS: (0, laws.with_properties(80)),
    Multipart.QUEUE_STATS: (0, laws.with_properties(48)),
    Multipart.GROUP_STATS: (0, laws.counted(40)),
    Multipart.GROUP_DESC: (0, laws.group),
    Multipart.METER_STATS: (4, laws.counted(40)),
    Multipart.METER_DESC: (0, laws.meter),
    Multipart.PORT_DESC: (4, laws.port),
    Multipart.FLOW_STATS: (0, laws.flow_statistics),
}
"""Per kind: offset of an entry's length in the entry, and the entry's law."""
_SINGLE = {Multipart.DESC: 1056, Multipart.GROUP_FEATURES: 40, Multipart.METER_FEATURES: 16}
"""Per kind: size of the one structure of a reply."""


def _multipart(message: bytes, version: int) -> None:
    """Only kinds this package asks for; replies to questions nobody asked are refused (§7.3.5)."""
    need(len(message) >= 16, "message length", 2)
    kind, body = U16.unpack_from(message, 8)[0], len(message) - 16
    if kind in _ENTRIES:
        need(version == V15 or kind != Multipart.FLOW_STATS, f"multipart kind {kind}", 8)
        field, law = _ENTRIES[kind]
        for at, end in laws.sized(message, 16, field):
            law(message, at, end, version)
    elif kind in _SINGLE:
        need(body == _SINGLE[Multipart(kind)], "multipart reply length", 2)
    elif kind == Multipart.TABLE:
        need(body % 24 == 0, "multipart reply length", 2)
    elif kind == Multipart.AGGREGATE and version == V14:
        need(body == 24, "multipart reply length", 2)
    elif kind == Multipart.AGGREGATE:
        need(laws.statistics(message, 16, len(message)) == len(message), "multipart length", 2)
    else:
        raise DecodeError(f"multipart kind {kind}", 8)


_LAWS: dict[int, Callable[[bytes, int], None]] = {
    Type.HELLO: _hello,
    Type.ERROR: _at_least(12),
    Type.ECHO_REQUEST: _at_least(8),
    Type.ECHO_REPLY: _at_least(8),
    Type.EXPERIMENTER: _experimenter,
    Type.FEATURES_REPLY: _exactly(32),
    Type.GET_CONFIG_REPLY: _exactly(12),
    Type.PACKET_IN: _packet_in,
    Type.FLOW_REMOVED: _flow_removed,
    Type.PORT_STATUS: _port_status,
    Type.MULTIPART_REPLY: _multipart,
    Type.BARRIER_REPLY: _exactly(8),
    Type.ROLE_REPLY: _exactly(24),
    Type.GET_ASYNC_REPLY: _then_properties(8),
    Type.ROLE_STATUS: _then_properties(24),
    Type.TABLE_STATUS: _table_status,
    Type.REQUESTFORWARD: _requestforward,
    Type.BUNDLE_CONTROL: _then_properties(16),
    Type.CONTROLLER_STATUS: _controller_status,
}
