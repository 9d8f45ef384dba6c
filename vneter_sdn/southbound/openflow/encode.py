# SPDX-License-Identifier: Apache-2.0
"""Every message this package sends, as bytes. The one import of a session for sending.

Rare messages with many options are built by os-ken (`rare`); flow, group and meter changes by
templates (`flowmod`); the rest has a fixed shape and is packed here.
"""

from __future__ import annotations

from struct import Struct

from vneter_sdn.model.flow import CONTROLLER, Action
from vneter_sdn.southbound.openflow.actions import encode_actions
from vneter_sdn.southbound.openflow.flowmod import (
    ADD,
    DELETE,
    DELETE_STRICT,
    MODIFY,
    MODIFY_STRICT,
    REMOVE,
    bundle_add,
    bundle_control,
    bundled_flow_mods,
    flow_delete_all,
    flow_mod,
    group_mod,
    meter_mod,
)
from vneter_sdn.southbound.openflow.rare import role_request, set_async
from vneter_sdn.southbound.openflow.wire import (
    NICIRA,
    TLV,
    U32,
    V14,
    V15,
    BundleControl,
    Multipart,
    Type,
    message,
)

__all__ = [
    "ADD",
    "DELETE",
    "DELETE_STRICT",
    "MODIFY",
    "MODIFY_STRICT",
    "REMOVE",
    "barrier_request",
    "bundle_add",
    "bundle_commit",
    "bundle_control",
    "bundle_discard",
    "bundle_open",
    "bundled_flow_mods",
    "controller_id",
    "echo_reply",
    "echo_request",
    "error",
    "features_request",
    "flow_delete_all",
    "flow_mod",
    "flows_request",
    "group_mod",
    "groups_request",
    "hello",
    "meter_mod",
    "meters_request",
    "miss_send_len",
    "multipart_request",
    "packet_in_format",
    "packet_out",
    "port_counters_request",
    "ports_request",
    "role_request",
    "set_async",
]

_ALL_GROUPS, _ALL_METERS, _ANY = 0xFFFFFFFC, 0xFFFFFFFF, 0xFFFFFFFF


def hello(xid: int = 0, versions: tuple[int, ...] = (V14, V15)) -> bytes:
    """HELLO with a version bitmap; the header carries the highest (§7.5.1)."""
    bitmap = sum(1 << version for version in versions)
    return message(Type.HELLO, max(versions), xid, TLV.pack(1, 8) + U32.pack(bitmap))


def plain_hello(xid: int, version: int) -> bytes:
    """HELLO of who speaks a version and perhaps earlier ones, with no element (§7.5.1)."""
    return message(Type.HELLO, version, xid)


def error(version: int, xid: int, kind: int, code: int, data: bytes = b"") -> bytes:
    """An error message; ``data`` is the start of what was refused, or text (§7.5.4)."""
    return message(Type.ERROR, version, xid, TLV.pack(kind, code) + data[:64])


def echo_request(version: int, xid: int, data: bytes = b"") -> bytes:
    """Ask for a sign of life."""
    return message(Type.ECHO_REQUEST, version, xid, data)


def echo_reply(version: int, xid: int, data: bytes = b"") -> bytes:
    """Give one; ``data`` and ``xid`` are the request's."""
    return message(Type.ECHO_REPLY, version, xid, data)


def features_request(version: int, xid: int) -> bytes:
    """Ask for the datapath id."""
    return message(Type.FEATURES_REQUEST, version, xid)


def barrier_request(version: int, xid: int) -> bytes:
    """Ask for a reply once everything before it is done."""
    return message(Type.BARRIER_REQUEST, version, xid)


def bundle_open(bundle: int, version: int, xid: int, flags: int = 3) -> bytes:
    """Open a bundle; flags 3 are atomic and ordered."""
    return bundle_control(bundle, BundleControl.OPEN_REQUEST, version, xid, flags)


def bundle_commit(bundle: int, version: int, xid: int, flags: int = 3) -> bytes:
    """Do all that a bundle holds, or nothing. It need not be closed first."""
    return bundle_control(bundle, BundleControl.COMMIT_REQUEST, version, xid, flags)


def bundle_discard(bundle: int, version: int, xid: int, flags: int = 3) -> bytes:
    """Forget a bundle."""
    return bundle_control(bundle, BundleControl.DISCARD_REQUEST, version, xid, flags)


def multipart_request(kind: int, version: int, xid: int, body: bytes = b"") -> bytes:
    """Any multipart request of one part (§7.3.5)."""
    return message(Type.MULTIPART_REQUEST, version, xid, TLV.pack(kind, 0) + bytes(4) + body)


_FLOWS = Struct("!B3xII4xQQHH4x")


def flows_request(
    version: int, xid: int, cookie: int = 0, cookie_mask: int = 0, table: int = 0xFF
) -> bytes:
    """Ask for the flows whose cookie agrees under the mask: descriptions in 1.5, stats in 1.4."""
    body = _FLOWS.pack(table, _ANY, _ANY, cookie, cookie_mask, 1, 4)
    return multipart_request(Multipart.FLOW, version, xid, body)


def groups_request(version: int, xid: int) -> bytes:
    """Ask for every group and its buckets."""
    body = b"" if version == V14 else U32.pack(_ALL_GROUPS) + bytes(4)
    return multipart_request(Multipart.GROUP_DESC, version, xid, body)


def meters_request(version: int, xid: int) -> bytes:
    """Ask for every meter and its bands."""
    body = U32.pack(_ALL_METERS) + bytes(4)
    return multipart_request(Multipart.METER_DESC, version, xid, body)


def ports_request(version: int, xid: int) -> bytes:
    """Ask for every port."""
    body = b"" if version == V14 else U32.pack(_ANY) + bytes(4)
    return multipart_request(Multipart.PORT_DESC, version, xid, body)


def port_counters_request(version: int, xid: int) -> bytes:
    """Ask what every port has carried (§7.3.5.7)."""
    return multipart_request(Multipart.PORT_STATS, version, xid, U32.pack(_ANY) + bytes(4))


def miss_send_len(version: int, xid: int, octets: int = 0xFFFF) -> bytes:
    """SET_CONFIG; a nonzero length makes Open vSwitch send events on service connections too."""
    return message(Type.SET_CONFIG, version, xid, TLV.pack(0, octets))


_NXT_PACKET_IN_FORMAT, _NXT_CONTROLLER_ID, _PACKET_IN_2 = 16, 20, 2
_NXT = Struct("!II")


def packet_in_format(version: int, xid: int) -> bytes:
    """Ask for packets with user data (NXT_SET_PACKET_IN_FORMAT, NXT_PACKET_IN2)."""
    body = _NXT.pack(NICIRA, _NXT_PACKET_IN_FORMAT) + U32.pack(_PACKET_IN_2)
    return message(Type.EXPERIMENTER, version, xid, body)


def controller_id(version: int, xid: int, number: int) -> bytes:
    """Take the number that controller actions name (NXT_SET_CONTROLLER_ID)."""
    body = _NXT.pack(NICIRA, _NXT_CONTROLLER_ID) + bytes(6) + number.to_bytes(2, "big")
    return message(Type.EXPERIMENTER, version, xid, body)


def packet_out(
    data: bytes, actions: tuple[Action, ...], version: int, xid: int, in_port: int = CONTROLLER
) -> bytes:
    """Send a frame through actions, as if it had come in on a port (§7.3.6).

    Raises:
        PipelineError: an action that this version cannot say.
        ValueError: the frame does not fit a message.
    """
    encoded = encode_actions(actions, version)
    head = 0xFFFFFFFF.to_bytes(4, "big")
    if version == V14:
        head += in_port.to_bytes(4, "big") + len(encoded).to_bytes(2, "big") + bytes(6)
    else:
        entry = b"\x80\0\0\x04" + in_port.to_bytes(4, "big")
        head += len(encoded).to_bytes(2, "big") + bytes(2) + b"\0\1\0\x0c" + entry + bytes(4)
    return message(Type.PACKET_OUT, version, xid, head + encoded + data)
