# SPDX-License-Identifier: Apache-2.0
"""Every message a switch may send, as a frozen value. The one import of a session for receiving.

`message` is total: for any bytes it returns one of the values below or raises DecodeError.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from struct import Struct

from vneter_sdn.model.flow import Flow, Group, Meter
from vneter_sdn.southbound.openflow import multipart, oxm
from vneter_sdn.southbound.openflow.multipart import (
    ForeignFlow,
    ForeignGroup,
    ForeignMeter,
    Port,
    PortCounters,
)
from vneter_sdn.southbound.openflow.wire import (
    HEADER,
    NICIRA,
    U16,
    U32,
    U64,
    V14,
    Multipart,
    Type,
    need,
    tlvs,
)


@dataclass(frozen=True, slots=True)
class Hello:
    """The versions a peer offers."""

    xid: int
    versions: frozenset[int]


@dataclass(frozen=True, slots=True)
class Error:
    """A refusal; ``data`` starts with the message refused, whose xid is ``xid``."""

    xid: int
    kind: int
    code: int
    data: bytes


@dataclass(frozen=True, slots=True)
class EchoRequest:
    """Answer with the same data and xid."""

    xid: int
    data: bytes


@dataclass(frozen=True, slots=True)
class EchoReply:
    """The answer to ours."""

    xid: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Features:
    """Who the switch says it is."""

    xid: int
    dpid: int
    tables: int


@dataclass(frozen=True, slots=True)
class PacketIn:
    """A packet for the controller; ``userdata`` is what the Punt action that sent it carried."""

    xid: int
    in_port: int
    """0 when the switch did not say."""
    table: int
    reason: int
    """A `wire.Reason`."""
    cookie: int
    userdata: bytes
    data: bytes
    total: int
    """Length of the packet, of which ``data`` may be the start."""
    metadata: bytes = b""
    """Registers and the like, as OXM entries that nobody has looked into but for the port."""


@dataclass(frozen=True, slots=True)
class FlowRemoved:
    """A flow went away (only those with SEND_FLOW_REM tell; ours never ask for it)."""

    xid: int
    table: int
    priority: int
    cookie: int
    reason: int


@dataclass(frozen=True, slots=True)
class PortStatus:
    """A port came (reason 0), went (1) or changed (2)."""

    xid: int
    reason: int
    port: Port


@dataclass(frozen=True, slots=True)
class RoleReply:
    """The role this controller has."""

    xid: int
    role: int
    generation: int


@dataclass(frozen=True, slots=True)
class RoleStatus:
    """The switch changed this controller's role: another one took MASTER (reason 0)."""

    xid: int
    role: int
    reason: int
    generation: int


@dataclass(frozen=True, slots=True)
class BarrierReply:
    """Everything before the barrier is done."""

    xid: int


@dataclass(frozen=True, slots=True)
class BundleReply:
    """A bundle was opened, closed, committed or discarded; ``kind`` is a `wire.BundleControl`."""

    xid: int
    bundle: int
    kind: int
    flags: int


Item = Flow | ForeignFlow | Group | ForeignGroup | Meter | ForeignMeter | Port | PortCounters


@dataclass(frozen=True, slots=True)
class MultipartReply:
    """One part of a reply; more follow with the same xid when ``more``.

    ``items`` are decoded for flows, groups, meters, ports and their counters; of other kinds there
    are none.
    """

    xid: int
    kind: int
    more: bool
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Other:
    """A message that a switch may send and nobody here reads."""

    xid: int
    kind: int


Message = (
    Hello
    | Error
    | EchoRequest
    | EchoReply
    | Features
    | PacketIn
    | FlowRemoved
    | PortStatus
    | RoleReply
    | RoleStatus
    | BarrierReply
    | BundleReply
    | MultipartReply
    | Other
)


def _hello(data: bytes, xid: int) -> Hello:
    versions = None
    for kind, at, end in tlvs(data, 8, len(data)):
        if kind == 1 and versions is None:
            words = [U32.unpack_from(data, word)[0] for word in range(at + 4, end - 3, 4)]
            versions = frozenset(
                index * 32 + bit for index, word in enumerate(words) for bit in _bits(word)
            )
    if versions is None:
        versions = frozenset(range(1, data[0] + 1))
    return Hello(xid, versions)


def _bits(word: int) -> list[int]:
    return [bit for bit in range(32) if word >> bit & 1]


def _error(data: bytes, xid: int) -> Error:
    need(len(data) >= 12, "truncated error", 8)
    kind, code = U16.unpack_from(data, 8)[0], U16.unpack_from(data, 10)[0]
    return Error(xid, kind, code, data[12:])


_FEATURES = Struct("!QIBB2xII")


def _features(data: bytes, xid: int) -> Features:
    need(len(data) == 32, "features reply length", 8)
    dpid, _, tables, *_ = _FEATURES.unpack_from(data, 8)
    return Features(xid, dpid, tables)


_PACKET_IN = Struct("!IHBBQ")


def _packet_in(data: bytes, xid: int) -> PacketIn:
    need(len(data) >= 34, "truncated packet-in", 8)
    _, total, reason, table, cookie = _PACKET_IN.unpack_from(data, 8)
    fields, after = oxm.match_bounds(data, 24, len(data))
    need(after + 2 <= len(data), "truncated packet-in", after)
    port = _in_port(data, 28, fields)
    return PacketIn(xid, port, table, reason, cookie, b"", data[after + 2 :], total)


_IN_PORT = b"\x80\0\0\x04"


def _in_port(data: bytes, start: int, end: int) -> int:
    port, cursor = 0, start
    while cursor < end:
        after = oxm.entry_end(data, cursor, end)
        if data[cursor : cursor + 4] == _IN_PORT:
            port = U32.unpack_from(data, cursor + 4)[0]
        cursor = after
    return port


PACKET_IN_2 = 30
"""Subtype NXT_PACKET_IN2."""
_P2_PACKET, _P2_FULL, _P2_TABLE, _P2_COOKIE, _P2_REASON, _P2_META, _P2_USER = 0, 1, 3, 4, 5, 6, 7


def _experimenter(data: bytes, xid: int) -> PacketIn | Other:
    need(len(data) >= 16, "truncated experimenter message", 8)
    if (U32.unpack_from(data, 8)[0], U32.unpack_from(data, 12)[0]) != (NICIRA, PACKET_IN_2):
        return Other(xid, Type.EXPERIMENTER)
    found: dict[int, bytes] = {}
    for kind, at, end in tlvs(data, 16, len(data)):
        if kind == _P2_COOKIE:
            need(end - at == 16, "cookie property", at)
        found[kind] = data[at + 4 : end]
    packet, meta = found.get(_P2_PACKET, b""), found.get(_P2_META, b"")
    number = {kind: int.from_bytes(found.get(kind, b"")[:8], "big") for kind in range(_P2_META)}
    cookie = int.from_bytes(found.get(_P2_COOKIE, b"")[-8:], "big")
    return PacketIn(
        xid,
        _in_port(meta, 0, len(meta)),
        found.get(_P2_TABLE, b"\0")[0] if found.get(_P2_TABLE) else 0,
        found.get(_P2_REASON, b"\0")[0] if found.get(_P2_REASON) else 0,
        cookie,
        found.get(_P2_USER, b""),
        packet,
        number[_P2_FULL] or len(packet),
        meta,
    )


def _flow_removed(data: bytes, xid: int) -> FlowRemoved:
    if data[0] == V14:
        need(len(data) >= 56, "truncated flow-removed", 8)
        cookie, priority, reason, table = Struct("!QHBB").unpack_from(data, 8)
    else:
        need(len(data) >= 40, "truncated flow-removed", 8)
        table, reason, priority, _, _, cookie = Struct("!BBHHHQ").unpack_from(data, 8)
    return FlowRemoved(xid, table, priority, cookie, reason)


def _port_status(data: bytes, xid: int) -> PortStatus:
    need(len(data) >= 16, "truncated port status", 8)
    port, after = multipart.port(data, 16, len(data))
    need(after == len(data), "port status length", 8)
    return PortStatus(xid, data[8], port)


_ROLE = Struct("!IB3xQ")


def _role_reply(data: bytes, xid: int) -> RoleReply:
    need(len(data) == 24, "role reply length", 8)
    return RoleReply(xid, U32.unpack_from(data, 8)[0], U64.unpack_from(data, 16)[0])


def _role_status(data: bytes, xid: int) -> RoleStatus:
    need(len(data) >= 24, "truncated role status", 8)
    role, reason, generation = _ROLE.unpack_from(data, 8)
    return RoleStatus(xid, role, reason, generation)


_BUNDLE = Struct("!IHH")


def _bundle(data: bytes, xid: int) -> BundleReply:
    need(len(data) >= 16, "truncated bundle control", 8)
    bundle, kind, flags = _BUNDLE.unpack_from(data, 8)
    return BundleReply(xid, bundle, kind, flags)


def _multipart(data: bytes, xid: int) -> MultipartReply:
    need(len(data) >= 16, "truncated multipart reply", 8)
    kind, flags = U16.unpack_from(data, 8)[0], U16.unpack_from(data, 10)[0]
    items: tuple[Item, ...] = ()
    if kind == Multipart.FLOW:
        items = tuple(multipart.flows(data, 16, data[0]))
    elif kind == Multipart.GROUP_DESC:
        items = tuple(multipart.groups(data, 16, data[0]))
    elif kind == Multipart.METER_DESC:
        items = tuple(multipart.meters(data, 16))
    elif kind == Multipart.PORT_DESC:
        items = tuple(multipart.ports(data, 16))
    elif kind == Multipart.PORT_STATS:
        items = tuple(multipart.counters(data, 16))
    return MultipartReply(xid, kind, bool(flags & 1), items)


_DECODERS: dict[int, Callable[[bytes, int], Message]] = {
    Type.HELLO: _hello,
    Type.ERROR: _error,
    Type.ECHO_REQUEST: lambda data, xid: EchoRequest(xid, data[8:]),
    Type.ECHO_REPLY: lambda data, xid: EchoReply(xid, data[8:]),
    Type.EXPERIMENTER: _experimenter,
    Type.FEATURES_REPLY: _features,
    Type.PACKET_IN: _packet_in,
    Type.FLOW_REMOVED: _flow_removed,
    Type.PORT_STATUS: _port_status,
    Type.MULTIPART_REPLY: _multipart,
    Type.BARRIER_REPLY: lambda data, xid: BarrierReply(xid),
    Type.ROLE_REPLY: _role_reply,
    Type.ROLE_STATUS: _role_status,
    Type.BUNDLE_CONTROL: _bundle,
}


def message(data: bytes) -> Message:
    """One complete message, as `framing.Framer` gives it and `validate.check` accepted it.

    Raises:
        DecodeError: the bytes break the protocol.
    """
    need(len(data) >= 8, "truncated header")
    _, kind, length, xid = HEADER.unpack_from(data)
    need(length == len(data), "message length", 2)
    decoder = _DECODERS.get(kind)
    return Other(xid, kind) if decoder is None else decoder(data, xid)
